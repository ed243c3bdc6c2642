//! Facts that come in.

use crate::{Desired, EnvironmentId, Observed, OpId};
use devd_proto::{RunId, ServiceName};
use std::collections::BTreeSet;
use std::time::Duration;

/// A fact. Closed: a new one must be thought about everywhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The files were read and say this.
    Loaded(Box<Desired>),
    /// The files do not load; what they said before stays in force.
    Invalid,
    /// Watched files of a service changed.
    Changed(Change),
    /// An editor says of a service's files, whose change was told before, that the save is complete.
    SaveComplete(ServiceName),
    /// The engine hints that something happened.
    EngineChanged,
    /// Somebody sent a service's process a signal that ends processes, through the engine.
    ToldToEnd(ServiceName),
    /// Somebody stopped a service through the engine.
    StoppedOutside(ServiceName),
    /// The engine is reached again after it was not.
    EngineBack,
    /// The answer to the last [`crate::Effect::Look`].
    Observed(Box<Observed>),
    /// The last look got no answer.
    LookFailed,
    /// An operation ended.
    OpFinished {
        /// Which.
        id: OpId,
        /// How.
        result: Result<(), OpError>,
    },
    /// A probe ended: whether the process that was started then is healthy.
    Probed {
        /// Whose.
        service: ServiceName,
        /// The start that was probed.
        started: String,
        /// What came out.
        healthy: bool,
    },
    /// The verdict of an earlier life of the daemon still holds for a suite's files, or does not.
    Baseline {
        /// Whose tests.
        service: ServiceName,
        /// The verdict, when its content is what is on disk now.
        verdict: Option<Outcome>,
    },
    /// A test run ended.
    RunEnded {
        /// Which.
        run: RunId,
        /// How.
        outcome: Outcome,
    },
    /// A test environment is about to be made, and is in use until it is said otherwise.
    EnvironmentHeld(EnvironmentId),
    /// A test environment is not needed any more.
    EnvironmentLeft(EnvironmentId),
    /// The user asks for tests.
    TestRequested {
        /// Whose.
        service: ServiceName,
        /// The run's id, from [`crate::State::reserve_run`].
        run: RunId,
        /// Arguments instead of the command's own.
        args: Vec<String>,
    },
    /// The user takes a run back.
    CancelRequested {
        /// Which.
        run: RunId,
    },
    /// The user wants these services up; empty means all.
    UpRequested {
        /// Which.
        services: BTreeSet<ServiceName>,
        /// Builds images even when they are there.
        build: bool,
    },
    /// The user starts a service.
    StartRequested(ServiceName),
    /// The user stops a service.
    StopRequested(ServiceName),
    /// The user restarts a service.
    RestartRequested(ServiceName),
    /// The user rebuilds a service's image and with it the service.
    RebuildRequested(ServiceName),
    /// The user is done with the project.
    DownRequested {
        /// Removes its volumes too.
        volumes: bool,
    },
    /// Time went by.
    Tick,
}

/// Watched files of one service changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose files.
    pub service: ServiceName,
    /// One of them, for people.
    pub path: String,
    /// How many.
    pub files: usize,
    /// What the service is to do.
    pub reaction: Reaction,
    /// The reaction in the words of the files: `restart`, `sync+exec`.
    pub action: &'static str,
    /// The service's tests depend on them.
    pub tests: bool,
    /// An editor said so: the save is complete, there is nothing to wait for.
    pub pushed: bool,
    /// A program that writes many files is at it, as git is while it switches branches: more comes.
    pub more: bool,
}

/// What a service is to do about a change. Later ones include earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaction {
    /// Nothing.
    #[default]
    None,
    /// What the user configured: a signal, a command, a sync.
    Act,
    /// Restart the process.
    Restart,
    /// Build the image, then make the container anew.
    Rebuild,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpError {
    /// The engine did not answer. Nothing is known of what became of it.
    Unreachable,
    /// The engine, or a build, said no.
    Refused(String),
}

/// How a test run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All tests passed.
    Passed {
        /// How long it took.
        took: Duration,
    },
    /// Some did not, or took too long.
    Failed {
        /// How long it took.
        took: Duration,
    },
    /// It could not be run.
    Error(String),
    /// It was ended before it was done.
    Cancelled,
    /// The engine, or what the tests need, went away under it: no verdict, and no fault of the tests.
    Lost,
}
