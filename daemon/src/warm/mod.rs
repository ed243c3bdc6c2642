//! Test environments: private, complete, used for one run and then gone.
//!
//! Everything slow is done before it is needed: a [`pool`] has environments made ([`environment`]) whose tests are held
//! at their first instruction ([`parked`]). A run that finds none has one made. Their removal is an operation of the
//! project's loop, planned and retried like any other, because a dropped future removes nothing: [`held`] says when.

mod depth;
mod environment;
mod held;
pub mod machine;
pub mod parked;
pub mod pool;
mod snapshot;

use crate::engine::{Engine, EngineError, Output, Progress};
use devd_compose::Suite;
use devd_proto::{ProjectName, ServiceName, Stream};
use environment::{Tests, not_run};
use pool::Pool;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One run to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// The project.
    pub project: ProjectName,
    /// Whose tests.
    pub service: ServiceName,
    /// The tests.
    pub suite: Arc<Suite>,
    /// A digest of all that makes its environment.
    pub definition: String,
    /// Arguments instead of the command's own.
    pub args: Vec<String>,
    /// Builds the images even when they are there: their files changed, or nobody knows.
    pub build: bool,
    /// It is repeated when what its tests need was damaged meanwhile, so that their failing says nothing.
    pub repeats: bool,
}

impl Job {
    /// The command line, as far as it is not the image's.
    pub fn command(&self) -> Option<Vec<String>> {
        let command = self.suite.project.services.get(&self.suite.service)?.command.clone();
        if self.args.is_empty() {
            return command;
        }
        command.map_or_else(|| Some(self.args.clone()), |command| Some(with_arguments(&command, &self.args)))
    }
}

/// A command with other arguments; or another command, when they begin with the same program.
fn with_arguments(command: &[String], args: &[String]) -> Vec<String> {
    let (program, _) = command.split_at(program(command));
    // The whole command line was given, as `docker compose run` takes it.
    if args.first() == command.first() {
        return args.to_vec();
    }
    // Another module for the same interpreter.
    let program = match (program, args) {
        ([interpreter, m, _], [first, ..]) if m == "-m" && first == "-m" => std::slice::from_ref(interpreter),
        _ => program,
    };
    [program, args].concat()
}

/// How many words at its start name the program: `python -m pytest -q` has three.
fn program(command: &[String]) -> usize {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let name = words.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
    match (name, words.get(1..).unwrap_or_default()) {
        (python, ["-m", _, ..]) if python.starts_with("python") => 3,
        ("go" | "cargo" | "npm" | "yarn" | "pnpm" | "mix" | "deno" | "dotnet", ["test", ..]) => 2,
        ("npm" | "yarn" | "pnpm" | "poetry" | "uv" | "pipenv" | "hatch", ["run", _, ..])
        | ("bundle", ["exec", _, ..]) => 3,
        ("npx", [_, ..]) => 2,
        _ => words.len().min(1),
    }
}

/// Points of a run worth timing, as they are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// None was ready, but one in the making, which is waited for.
    Awaited,
    /// An environment that was made ahead was taken.
    Warm,
    /// None was ready: one is made.
    Cold,
    /// Images are there.
    Images,
    /// The environment is complete: dependencies are healthy.
    Ready,
    /// The tests' process is being started.
    Released,
}

/// How tests ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Their exit code.
    pub code: i64,
    /// The files that `x-devd.tests.report` names.
    pub reports: Vec<Vec<u8>>,
    /// What happened to what they need, when that may be why they failed.
    pub damage: Option<String>,
}

/// Runs a suite in an environment of its own and returns how its tests ended.
pub async fn run<E: Engine>(
    pool: &Pool<E>,
    job: &Job,
    output: Output,
    progress: &Progress,
    cancel: &CancellationToken,
    stage: impl Fn(Stage),
) -> Result<Ended, RunError> {
    let taken = async { if job.build { None } else { pool.take(job, || stage(Stage::Awaited)).await } };
    let taken = tokio::select! {
        taken = taken => taken,
        () = cancel.cancelled() => return Err(RunError::Cancelled),
    };
    let ready = match taken {
        Some(ready) if job.args.is_empty() || ready.takes_arguments() => {
            stage(Stage::Warm);
            ready
        }
        Some(_) | None => {
            stage(Stage::Cold);
            environment::make(pool.engine(), job, pool.hold(), progress, cancel, &stage).await?
        }
    };
    let container = ready.container.clone();
    let needed: Vec<String> = ready.containers.iter().filter(|id| **id != container).cloned().collect();
    let (tests, _held) = ready.into_parts();
    let timeout = job.suite.settings.timeout;
    let began = Instant::now();
    let ended = async {
        let code = match tests {
            Tests::Created(container) => {
                stage(Stage::Released);
                let ended = pool.engine().run(&container, output.clone()).await;
                ended.map_err(|error| not_run("the tests", error))?
            }
            Tests::Parked(parked) => {
                let command = job.command().unwrap_or_default();
                let released = || stage(Stage::Released);
                match parked.run(&command, !job.args.is_empty(), &output, released).await? {
                    Some(code) => code,
                    None => return Err(killed(pool.engine(), job).await),
                }
            }
        };
        let damage = match code {
            0 => None,
            _ => damage(pool.engine(), &needed, &container, began.elapsed()).await?,
        };
        if let Some(damage) = damage.as_ref().filter(|_| job.repeats) {
            return Err(RunError::Damaged(damage.clone()));
        }
        Ok(Ended { code, reports: reports(pool.engine(), job, &container, &output).await, damage })
    };
    tokio::select! {
        ended = ended => ended,
        () = tokio::time::sleep(timeout) => Err(RunError::TimedOut(timeout)),
        () = cancel.cancelled() => Err(RunError::Cancelled),
    }
}

/// What happened to what tests need, or to themselves, if anything did. Only asked when they failed.
async fn damage<E: Engine>(
    engine: &E,
    needed: &[String],
    tests: &str,
    lasted: Duration,
) -> Result<Option<String>, RunError> {
    let found = engine.damage(needed, tests, lasted).await;
    let found = found.map_err(|error| not_run("what the tests need", error))?;
    Ok(found.map(|what| format!("{what} while the tests ran")))
}

/// The reports that tests left. That there is none is said in the run's log.
async fn reports<E: Engine>(engine: &E, job: &Job, container: &str, output: &Output) -> Vec<Vec<u8>> {
    let Some(path) = &job.suite.settings.report else { return Vec::new() };
    match engine.fetch(container, path).await {
        Ok(reports) => reports,
        Err(error) => {
            let line = format!("devd: no report: {error}\n");
            // Whoever writes the log may have gone with the run.
            let _ = output.send((Stream::Stderr, line.into())).await;
            Vec::new()
        }
    }
}

/// Why tests ended without a word: the engine went away, or somebody killed them.
async fn killed<E: Engine>(engine: &E, job: &Job) -> RunError {
    match engine.observe(job.project.as_str(), &[]).await {
        Err(error) => RunError::Lost(error),
        Ok(_) => RunError::NotRun("the tests' container was killed from outside".to_owned()),
    }
}

/// Why a run has no exit code.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine went away.
    #[error("{0}")]
    Lost(EngineError),
    /// They failed, and what they need was damaged while they ran.
    #[error("{0}; they are repeated")]
    Damaged(String),
    /// The environment could not be made.
    #[error("{0}")]
    NotRun(String),
    /// The tests took too long.
    #[error("timed out after {}", humane(*.0))]
    TimedOut(Duration),
    /// It was called off.
    #[error("cancelled")]
    Cancelled,
}

fn humane(duration: Duration) -> String {
    match duration.as_secs() {
        s if s >= 60 && s.is_multiple_of(60) => format!("{}m", s / 60),
        0 => format!("{}ms", duration.as_millis()),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::with_arguments;

    #[test]
    fn arguments_take_the_place_of_the_commands_own() {
        let of = |command: &str, args: &str| {
            let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
            with_arguments(&words(command), &words(args)).join(" ")
        };
        assert_eq!(of("pytest -q", "-k name"), "pytest -k name");
        assert_eq!(of("python -m pytest -q", "-k name"), "python -m pytest -k name");
        assert_eq!(of("/usr/bin/python3 -m unittest", "test_a.A"), "/usr/bin/python3 -m unittest test_a.A");
        assert_eq!(of("python -m unittest", "-m pytest -x"), "python -m pytest -x");
        assert_eq!(of("python -m unittest", "python tests.py"), "python tests.py");
        assert_eq!(of("python manage.py test", "manage.py check"), "python manage.py check");
        assert_eq!(of("go test ./...", "-run One ./a"), "go test -run One ./a");
        assert_eq!(of("bundle exec rspec spec", "spec/a_spec.rb"), "bundle exec rspec spec/a_spec.rb");
        assert_eq!(of("npm", "test"), "npm test");
    }
}
