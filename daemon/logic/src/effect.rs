//! Wishes that go out.

use crate::{EnvironmentId, Memory, Moment, Reaction};
use devd_proto::{RunId, ServiceName};
use std::fmt;

/// What the daemon is to do. The executor has no choice left.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Look at the engine and report [`crate::Event::Observed`].
    Look,
    /// Perform an operation and report [`crate::Event::OpFinished`].
    Op {
        /// Its number.
        id: OpId,
        /// What to do.
        op: Op,
        /// Why, for people.
        cause: String,
    },
    /// Run a service's health check until it passes or has failed for good, and report [`crate::Event::Probed`].
    Probe {
        /// Whose.
        service: ServiceName,
        /// The start that is meant.
        started: String,
    },
    /// Run a suite and report [`crate::Event::RunEnded`].
    StartRun {
        /// Its id.
        run: RunId,
        /// Whose tests.
        service: ServiceName,
        /// Arguments instead of the command's own.
        args: Vec<String>,
        /// Why.
        cause: RunCause,
        /// When what caused it was learned of.
        event: Moment,
    },
    /// End a run; [`crate::Event::RunEnded`] still comes.
    CancelRun {
        /// Which.
        run: RunId,
    },
    /// Keep this for the next life of the daemon.
    Remember(Memory),
    /// Nothing of the project is left, or what is left cannot be removed.
    Gone {
        /// What could not be removed and why.
        problems: Vec<String>,
    },
}

/// Why a run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunCause {
    /// It was never tested as it is now.
    Untested,
    /// Files changed; one of them.
    Changed(String),
    /// The files define its tests otherwise.
    Redefined,
    /// The user asked.
    Requested,
    /// Nothing was learned of the one before, for a reason outside of it.
    Repeated,
}

/// The number of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(pub u64);

/// One operation on the engine. Each is safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Creates a network of the project.
    CreateNetwork(String),
    /// Creates a volume of the project.
    CreateVolume(String),
    /// Builds a service's image.
    Build(ServiceName),
    /// Pulls a service's image.
    Pull(ServiceName),
    /// Creates a service's container.
    Create(ServiceName),
    /// Starts a container.
    Start(ServiceName, String),
    /// Stops a container as its definition says.
    Stop(ServiceName, String),
    /// Restarts what runs in a container.
    Restart(ServiceName, String),
    /// Does in a container what the user configured for a change.
    Act(ServiceName, String),
    /// Stops and removes a container with its anonymous volumes.
    Remove(ServiceName, String),
    /// Removes a network.
    RemoveNetwork(String),
    /// Removes a volume with its data.
    RemoveVolume(String),
    /// Removes all that is left of a test environment.
    RemoveEnvironment(EnvironmentId),
}

/// What an operation works on. There is never more than one operation on a subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A service: its image and its container.
    Service(ServiceName),
    /// A network.
    Network(String),
    /// A volume.
    Volume(String),
    /// A test environment.
    Environment(EnvironmentId),
}

impl Op {
    /// What it works on.
    pub fn subject(&self) -> Subject {
        match self {
            Self::CreateNetwork(name) | Self::RemoveNetwork(name) => Subject::Network(name.clone()),
            Self::CreateVolume(name) | Self::RemoveVolume(name) => Subject::Volume(name.clone()),
            Self::Build(service)
            | Self::Pull(service)
            | Self::Create(service)
            | Self::Start(service, _)
            | Self::Stop(service, _)
            | Self::Restart(service, _)
            | Self::Act(service, _)
            | Self::Remove(service, _) => Subject::Service(service.clone()),
            Self::RemoveEnvironment(id) => Subject::Environment(id.clone()),
        }
    }
}

impl Op {
    /// The reaction to a change that it is.
    pub(crate) fn reaction(&self) -> Option<(&ServiceName, Reaction)> {
        match self {
            Self::Build(service) => Some((service, Reaction::Rebuild)),
            Self::Restart(service, _) => Some((service, Reaction::Restart)),
            Self::Act(service, _) => Some((service, Reaction::Act)),
            Self::CreateNetwork(_)
            | Self::CreateVolume(_)
            | Self::Pull(_)
            | Self::Create(_)
            | Self::Start(_, _)
            | Self::Stop(_, _)
            | Self::Remove(_, _)
            | Self::RemoveNetwork(_)
            | Self::RemoveVolume(_)
            | Self::RemoveEnvironment(_) => None,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNetwork(name) => write!(f, "create network {name}"),
            Self::CreateVolume(name) => write!(f, "create volume {name}"),
            Self::Build(service) => write!(f, "build {service}"),
            Self::Pull(service) => write!(f, "pull {service}"),
            Self::Create(service) => write!(f, "create {service}"),
            Self::Start(service, _) => write!(f, "start {service}"),
            Self::Stop(service, _) => write!(f, "stop {service}"),
            Self::Restart(service, _) => write!(f, "restart {service}"),
            Self::Act(service, _) => write!(f, "act {service}"),
            Self::Remove(service, _) => write!(f, "remove {service}"),
            Self::RemoveNetwork(name) => write!(f, "remove network {name}"),
            Self::RemoveVolume(name) => write!(f, "remove volume {name}"),
            Self::RemoveEnvironment(id) => write!(f, "remove environment {id}"),
        }
    }
}

/// Why something that is due does not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nobody knows how things stand on the engine.
    Engine,
    /// An operation on it is under way.
    Busy(&'static str),
    /// Its files are still changing.
    Settling,
    /// It needs another service first.
    Needs {
        /// Which.
        service: ServiceName,
        /// What that must reach, and why it has not when that is known to be for good.
        condition: &'static str,
    },
    /// It needs another service, which will not get there by itself.
    NeedsInVain {
        /// Which.
        service: ServiceName,
        /// What that must reach.
        condition: &'static str,
    },
    /// It waits for a network or a volume.
    Resource(String),
    /// Another service builds the same image.
    Image(ServiceName),
    /// It died; it is started again after a pause.
    Backoff {
        /// The exit code.
        code: i64,
        /// When it is started again; `None` means after the next change.
        until: Option<Moment>,
    },
    /// An operation on it failed.
    Failed {
        /// Why.
        reason: String,
        /// When it is tried again; `None` means after the next change.
        until: Option<Moment>,
    },
    /// It seems to write into its own watched folder.
    Loop {
        /// The path.
        path: String,
        /// When it is tried again.
        until: Moment,
    },
    /// Someone paused its container.
    Paused,
    /// Enough runs are under way.
    Slots,
    /// A run of it is under way.
    Running,
    /// The services come up first.
    Services,
    /// The files are being read for the first time.
    Content,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => write!(f, "waiting for the engine"),
            Self::Busy(what) => write!(f, "{what}"),
            Self::Settling => write!(f, "waiting for files to settle"),
            Self::Needs { service, condition } => write!(f, "waiting for {service} ({condition})"),
            Self::NeedsInVain { service, condition } => {
                write!(f, "waiting for {service} ({condition}), which has failed")
            }
            Self::Resource(name) => write!(f, "waiting for {name}"),
            Self::Image(service) => write!(f, "waiting for the image that {service} builds"),
            Self::Backoff { code, until: Some(_) } => {
                write!(f, "exited with code {code}, starting again soon")
            }
            Self::Backoff { code, until: None } => {
                write!(f, "keeps exiting with code {code}, waiting for a change")
            }
            Self::Failed { reason, .. } => write!(f, "{reason}"),
            Self::Loop { path, .. } => write!(f, "held: it seems to write {path}, which it watches"),
            Self::Paused => write!(f, "its container is paused"),
            Self::Slots => write!(f, "waiting for another run to end"),
            Self::Running => write!(f, "running"),
            Self::Services => write!(f, "waiting for the services to be up"),
            Self::Content => write!(f, "waiting for the files to be read"),
        }
    }
}

/// An operation under way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) op: Op,
    pub(crate) since: Moment,
}
