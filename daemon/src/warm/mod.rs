//! Test environments: private, complete, used for one run and then gone.
//!
//! This is the seam behind which environments will stand ready before they are needed. What is here is the plain way:
//! an environment is made when a run is due ([`cold`]). Its removal is an operation of the project's loop, planned and
//! retried like any other, because a dropped future removes nothing.

pub mod cold;

use crate::engine::EngineError;
use devd_compose::Suite;
use devd_proto::{ProjectName, RunId, ServiceName};
use std::sync::Arc;
use std::time::Duration;

/// One run to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub run: RunId,
    /// The project.
    pub project: ProjectName,
    /// Whose tests.
    pub service: ServiceName,
    /// The tests.
    pub suite: Arc<Suite>,
    /// Arguments instead of the command's own.
    pub args: Vec<String>,
    /// Builds the images even when they are there: their files changed, or nobody knows.
    pub build: bool,
}

impl Job {
    /// The command line, as far as it is not the image's.
    pub fn command(&self) -> Option<Vec<String>> {
        let command = self.suite.project.services.get(&self.suite.service)?.command.clone();
        if self.args.is_empty() {
            return command;
        }
        match command.as_deref() {
            // The whole command line was given, as `docker compose run` takes it.
            Some([program, ..]) if Some(program) == self.args.first() => Some(self.args.clone()),
            Some([program, ..]) => Some([std::slice::from_ref(program), &self.args].concat()),
            Some([]) | None => Some(self.args.clone()),
        }
    }
}

/// Points of a run worth timing, as they are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Images are there.
    Images,
    /// The environment is complete: dependencies are healthy.
    Ready,
    /// The tests' process is being started.
    Released,
}

/// Why a run has no exit code.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine went away.
    #[error("{0}")]
    Lost(EngineError),
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
