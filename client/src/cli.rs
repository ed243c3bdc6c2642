//! The command line.

use crate::commands::{
    build, ci, completions, config, daemon, doctor, down, events, exec, hook, install, logs, man, rebuild,
    restart, runs, saved, shell, start, status, stop, test, uninstall, up, why,
};
use crate::exit::Exit;
use crate::ui::Ui;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use serde_json::json;
use std::ffi::OsString;
use std::path::PathBuf;

/// Keeps containerised dev services running, restarts them on save, and reruns their tests
#[derive(Debug, Parser)]
#[command(
    name = "devd",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Start here:
  cd my-project && devd up     bring the project up and keep it so
  devd status                  how everything is, tests included
  devd hook vim                what to put into your editor
  devd doctor                  when something does not work

Exit codes: 0 yes, 1 the thing asked about is bad, 2 bad usage or input, 3 no daemon, 4 no engine, 130 interrupted"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which project, and for whom the output is.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The folder of the project, or one inside it [default: the current one]
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub(crate) dir: Option<PathBuf>,
    /// A compose file instead of a search for one; repeatable
    #[arg(short, long, value_name = "FILE", global = true)]
    pub(crate) file: Vec<PathBuf>,
    /// A profile to activate; repeatable
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) profile: Vec<String>,
    /// The project's name instead of the one compose would find
    #[arg(short, long, value_name = "NAME", global = true)]
    pub(crate) project_name: Option<String>,
    /// An env file instead of `.env`; repeatable
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) env_file: Vec<PathBuf>,
    /// Print facts as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Globals {
    /// Whether the command line names a project, other than by where one stands.
    pub(crate) fn name_a_project(&self) -> bool {
        self.dir.is_some() || !self.file.is_empty() || self.project_name.is_some()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(up::Up),
    Down(down::Down),
    Status(status::Status),
    Logs(logs::Logs),
    Test(test::Test),
    Saved(saved::Saved),
    Runs(runs::Runs),
    Restart(restart::Restart),
    Stop(stop::Stop),
    Start(start::Start),
    Rebuild(rebuild::Rebuild),
    Exec(exec::Exec),
    Shell(shell::Shell),
    Build(build::Build),
    Ci(ci::Ci),
    Config(config::Config),
    Why(why::Why),
    Events(events::Events),
    Hook(hook::Hook),
    Doctor(doctor::Doctor),
    Install(install::Install),
    Uninstall(uninstall::Uninstall),
    Daemon(daemon::Daemon),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Parses a command line; says itself what is wrong with it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let wants_json = arguments.iter().take_while(|a| *a != "--").any(|a| a == "--json");
    Cli::try_parse_from(arguments).map_err(|error| {
        let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        if wants_json && !is_answer {
            // When nobody reads it, the exit code says the rest.
            _ = Ui::new(true).value(&usage(&error.render().to_string()));
            return Exit::USAGE;
        }
        match error.print() {
            Ok(()) if is_answer => Exit::OK,
            Err(_) if is_answer => Exit::BROKEN_PIPE,
            Ok(()) | Err(_) => Exit::USAGE,
        }
    })
}

/// The error object for a command line that does not parse, from what clap says to people.
fn usage(rendered: &str) -> serde_json::Value {
    let command = shown_usage(rendered);
    let path = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut paragraphs = rendered.split("\n\n");
    let message = match paragraphs.next().and_then(|first| first.strip_prefix("error: ")) {
        Some(first) => sentence(first),
        // It shows the help of a command that needs another one behind it.
        None => {
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            format!("`{path}` needs a command: {}", names.join(", "))
        }
    };
    let tips =
        paragraphs.next().unwrap_or_default().lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    let tips: Vec<&str> = tips.collect();
    let help = if tips.is_empty() { format!("{path} --help") } else { tips.join("; ") };
    json!({ "error": {
        "code": "usage", "message": message, "file": null, "line": null, "column": null, "help": help,
    }})
}

/// The command whose usage is shown.
fn shown_usage(rendered: &str) -> clap::Command {
    let mut root = Cli::command();
    root.build();
    let usage = rendered.lines().find_map(|line| line.strip_prefix("Usage: devd "));
    let words = usage.unwrap_or_default().split(' ');
    words.fold(root, |command, word| command.find_subcommand(word).cloned().unwrap_or(command))
}

/// A paragraph as one line; what is listed below its colon stands behind it.
fn sentence(paragraph: &str) -> String {
    let mut lines = paragraph.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let listed: Vec<&str> = lines.collect();
    if listed.is_empty() { first.to_owned() } else { format!("{first} {}", listed.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Cli {
        Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        let command = Cli::command();
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{} has no help", sub.get_name());
            for argument in sub.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {} has no help",
                    sub.get_name(),
                    argument.get_id()
                );
            }
        }
    }

    #[test]
    fn f_is_the_file_before_logs_and_follow_after_it() {
        let cli = parsed("devd -f a.yaml logs -f web");
        assert_eq!(cli.globals.file, [PathBuf::from("a.yaml")]);
        let Command::Logs(logs) = cli.command else { panic!("not logs") };
        assert!(logs.follow);
        let Command::Daemon(_) = parsed("devd daemon logs -f").command else { panic!("not daemon") };
        let cli = parsed("devd logs --file a.yaml");
        assert_eq!(cli.globals.file, [PathBuf::from("a.yaml")]);
    }

    #[test]
    fn global_flags_stand_on_both_sides() {
        for line in ["devd -C /p -f a -f b -p shop --json up", "devd up -C /p -f a -f b -p shop --json"] {
            let globals = parsed(line).globals;
            assert_eq!(globals.file, [PathBuf::from("a"), PathBuf::from("b")], "{line}");
            assert_eq!(globals.project_name.as_deref(), Some("shop"));
            assert!(globals.json && globals.dir.is_some());
        }
    }

    #[test]
    fn a_usage_error_as_json_is_complete() {
        let told = |line: &str| {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            let error = &usage(&error.render().to_string())["error"];
            format!("{}\n{}\n", error["message"].as_str().unwrap(), error["help"].as_str().unwrap())
        };
        let lines = [
            "devd why",
            "devd exec",
            "devd --json daemon",
            "devd stauts",
            "devd logs --tail few",
            "devd hook ed",
        ];
        let told: String = lines.map(told).concat();
        expect_test::expect![[r#"
            the following required arguments were not provided: <PATH>
            devd why --help
            the following required arguments were not provided: <SERVICE>, <CMD>...
            devd exec --help
            `devd daemon` needs a command: start, stop, restart, status, logs
            devd daemon --help
            unrecognized subcommand 'stauts'
            some similar subcommands exist: 'restart', 'start', 'status'
            invalid value 'few' for '--tail <N>': a number of lines, or `all`
            devd --help
            invalid value 'ed' for '<EDITOR>' [possible values: vim, nvim, vscode, emacs, helix, jetbrains, git]
            devd --help
        "#]].assert_eq(&told);
    }

    #[test]
    fn flags_after_the_service_belong_to_the_command() {
        let cli = parsed("devd exec -T web ls -l --json");
        assert!(!cli.globals.json);
        let Command::Exec(exec) = cli.command else { panic!("not exec") };
        assert_eq!(exec.cmd, ["ls", "-l", "--json"]);
        let Command::Test(test) = parsed("devd test web -- -k name").command else { panic!("not test") };
        assert_eq!(
            (test.services, test.args),
            (vec!["web".to_owned()], vec!["-k".into(), "name".to_owned()])
        );
    }
}
