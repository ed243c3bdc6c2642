//! One command, one file, the same name everywhere.

pub(crate) mod action;
pub(crate) mod build;
pub(crate) mod ci;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod hook;
pub(crate) mod install;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod rebuild;
pub(crate) mod restart;
pub(crate) mod runs;
pub(crate) mod saved;
pub(crate) mod shell;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod test;
pub(crate) mod uninstall;
pub(crate) mod up;
pub(crate) mod why;

use crate::cli::Command;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::signal::guard;

/// Runs the command. Ctrl-C ends those that are guarded; the others have something to do when it comes.
pub(crate) async fn run(context: &Context, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Up(up) => up::run(context, up).await,
        Command::Down(down) => down::run(context, down).await,
        Command::Status(status) => guard(status::run(context, status)).await,
        Command::Logs(logs) => guard(logs::run(context, logs)).await,
        Command::Test(test) => test::run(context, test).await,
        // An editor waits for this one: nothing is set up that it does not need.
        Command::Saved(saved) => saved::run(context, saved).await,
        Command::Runs(runs) => guard(runs::run(context, runs)).await,
        Command::Restart(restart) => restart::run(context, restart).await,
        Command::Stop(stop) => stop::run(context, stop).await,
        Command::Start(start) => start::run(context, start).await,
        Command::Rebuild(rebuild) => rebuild::run(context, rebuild).await,
        Command::Exec(exec) => exec::run(context, exec).await,
        Command::Shell(shell) => shell::run(context, shell).await,
        Command::Build(build) => guard(build::run(context, build)).await,
        Command::Ci(ci) => ci::run(context, ci).await,
        Command::Config(config) => guard(config::run(context, config)).await,
        Command::Why(why) => guard(why::run(context, why)).await,
        Command::Events(events) => guard(events::run(context, events)).await,
        Command::Hook(hook) => hook::run(context, hook),
        Command::Doctor(doctor) => guard(doctor::run(context, doctor)).await,
        Command::Install(install) => guard(install::run(context, install)).await,
        Command::Uninstall(uninstall) => guard(uninstall::run(context, uninstall)).await,
        Command::Daemon(daemon) => guard(daemon::run(context, daemon)).await,
        Command::Completions(completions) => completions::run(context, completions),
        Command::Man(man) => man::run(context, man),
    }
}
