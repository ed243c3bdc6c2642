//! `devdd`: flags, log, socket, signals; the rest is the library.

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use devdd::engine::any::AnyEngine;
use devdd::engine::docker::{Docker, Surroundings};
use devdd::engine::fake::Fake;
use devdd::settings::{self, Settings};
use devdd::system::{log, paths, socket};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The daemon of devd: watches, decides, keeps services running and reruns their tests.
///
/// It is started by the first `devd` command that needs it, or at login by `devd install`.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// Listen here instead of $DEVD_SOCKET or its default.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Leave the terminal and log to devdd.log in the state folder.
    #[arg(long)]
    background: bool,
    /// As `devd ci` wants it: files are not followed, the daemon ends with the process that started it, and takes its
    /// projects and this folder with it.
    #[arg(long, value_name = "FOLDER", hide = true)]
    ci: Option<PathBuf>,
    /// The engine to work with.
    #[arg(long, value_enum, default_value_t = EngineKind::Docker, hide = true)]
    engine: EngineKind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EngineKind {
    Docker,
    Fake,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let outcome = serve(&flags);
    if let Some(folder) = &flags.ci
        && let Err(error) = std::fs::remove_dir_all(folder)
    {
        complain(&format!("error: cannot remove {}: {error}", folder.display()));
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "there is no log yet, or nobody reads it")]
fn complain(message: &str) {
    eprintln!("{message}");
}

fn serve(flags: &Flags) -> anyhow::Result<()> {
    // First of all, while there are no threads: until then Ctrl-C in the terminal ends this too, and nothing is begun.
    if flags.ci.is_some() {
        end_with_parent()?;
    }
    let alone = if flags.background { leave_terminal() } else { Ok(()) };
    let state_dir = paths::state()?;
    paths::private_folder(&state_dir).with_context(|| format!("the state folder {}", state_dir.display()))?;
    // The socket comes first: whoever loses the race for it must not touch the winner's log.
    let bound = match socket::handed_over()? {
        Some(bound) => bound,
        None => socket::bind(&flags.socket.clone().map_or_else(paths::socket, Ok)?)?,
    };
    let bound = bound.with_state(&state_dir)?;
    log::begin(flags.background.then_some(state_dir.as_path())).context("the log")?;
    if let Err(error) = alone {
        tracing::warn!(%error, "it stays with its terminal; `devd daemon start` starts one that does not");
    }
    let settings = match settings::path()? {
        Some(path) => Settings::load(&path).with_context(|| format!("the settings in {}", path.display()))?,
        None => Settings::default(),
    };
    socket::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let token = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("going down");
            token.cancel();
        });
        let engine = match flags.engine {
            EngineKind::Docker => {
                let docker = Docker::connect(Surroundings::of_process(), Some(&state_dir));
                // Whoever asks first gets to know whether there is an engine.
                docker.tried().await;
                AnyEngine::Docker(docker)
            }
            EngineKind::Fake => AnyEngine::Fake(Fake::default()),
        };
        let runs = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        let once = flags.ci.is_some();
        let config = devdd::Config { state_dir, runs, settings, clients: clients(), once };
        tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "devdd");
        let ready = || {
            if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
                tracing::warn!(%error, "whoever started the daemon could not be told that it is ready");
            }
        };
        devdd::run(config, engine, bound, shutdown, ready).await
    })
}

/// How many connections there may be: each takes another one to the engine when it follows a log, and files for the rest.
fn clients() -> usize {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4;
    usize::try_from(files).unwrap_or(MOST_CLIENTS).clamp(16, MOST_CLIENTS)
}

/// More than all editors, terminals and scripts of one person.
const MOST_CLIENTS: usize = 1024;

/// Whoever started this may be killed: then this is asked to end, too, and leaves nothing behind.
#[cfg(target_os = "linux")]
fn end_with_parent() -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
}

/// Here nobody tells.
#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> rustix::io::Result<()> {
    Ok(())
}

/// Begins a session without a terminal: Ctrl-C and the terminal's end are not for this process any more.
fn leave_terminal() -> rustix::io::Result<()> {
    use rustix::process::{getpid, getsid, setsid};
    match setsid() {
        // A service manager gave it a session of its own already.
        Err(_) if getsid(None)? == getpid() => Ok(()),
        // A shell made it the leader of a group, which cannot begin a session.
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}
