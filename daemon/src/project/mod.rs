//! One project: the loop that owns its state ([`run`]), what the loop has done for it ([`executor`]), its test runs
//! ([`runs`]), the files it copies ([`sync`]), how it looks from outside ([`publish`]), and what its services write
//! ([`follow`]).

pub mod executor;
pub mod follow;
mod origins;
pub mod publish;
mod requests;
pub mod run;
pub mod runs;
mod saves;
pub mod sync;
mod testing;

use crate::blueprint::Blueprint;
use crate::engine::Look;
use crate::watch::Change;
use devd_logic::{EnvironmentId, Event};
use devd_proto::{
    Diagnostic, Problem, ProjectName, ProjectSource, ProjectStatus, Removed, Run, RunId, RunStarted,
    ServiceName,
};

use publish::Starts;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

/// Everything a project's loop can be told.
#[derive(Debug)]
pub enum Message {
    /// A fact for the logic.
    Event(Event),
    /// What was done to a container through the engine, by somebody else unless this daemon has removed it.
    Outside {
        /// Its id.
        container: String,
        /// What it means then.
        event: Event,
    },
    /// The engine was looked at.
    Looked(Box<Look>),
    /// The files were read.
    Loaded(Arc<Blueprint>),
    /// It is registered with these options from now on.
    Source(ProjectSource),
    /// The files do not load any more.
    LoadFailed(Diagnostic),
    /// Watched files changed.
    Changed(Vec<Change>),
    /// Every watched file was read once: contents can be compared.
    FilesKnown,
    /// The newest verdicts of an earlier life, as far as there are any.
    Recalled(Vec<(ServiceName, Option<Run>)>),
    /// A line of a build. The next one comes when this was handled.
    Progress(ServiceName, String, OwnedSemaphorePermit),
    /// The last lines of a container that ended.
    LastOutput {
        /// Whose.
        service: ServiceName,
        /// The start that ended.
        started: String,
        /// The lines.
        lines: Vec<String>,
    },
    /// So many environments stand ready for the tests of a service.
    Warm(ServiceName, u32),
    /// A container of a test environment has ended: of one that has served, or of one that stands ready and is of no use now.
    EnvironmentBroken(EnvironmentId),
    /// A run ended and is in the history.
    RunDone(Box<runs::Done>),
    /// A request from outside.
    Request(Request),
}

/// Requests from outside, with where the answer goes. A dropped receiver is a client that went away.
#[derive(Debug)]
pub enum Request {
    /// Services up; empty means all. Answers the revision that has it.
    Up {
        /// Which.
        services: Vec<ServiceName>,
        /// Builds their images even when they are there.
        build: bool,
        /// The answer.
        reply: oneshot::Sender<u64>,
    },
    /// Something with one service. Answers the revision that has it.
    Service {
        /// Which.
        service: ServiceName,
        /// What.
        verb: Verb,
        /// The answer.
        reply: oneshot::Sender<Result<u64, Problem>>,
    },
    /// Tests now.
    Test {
        /// Whose; empty means every service that has tests.
        services: Vec<ServiceName>,
        /// Arguments instead of the command's own.
        args: Vec<String>,
        /// Only those that failed last.
        failed: bool,
        /// The answer.
        reply: oneshot::Sender<Result<Vec<RunStarted>, Problem>>,
    },
    /// Ends a run.
    Cancel {
        /// Which.
        run: RunId,
        /// Whether it was under way.
        reply: oneshot::Sender<bool>,
    },
    /// A run that was asked for and has not ended.
    Run {
        /// Which.
        run: RunId,
        /// The answer.
        reply: oneshot::Sender<Option<Run>>,
    },
    /// Answers when everything said before is in the status.
    Flush {
        /// The answer.
        reply: oneshot::Sender<()>,
    },
    /// Ends the loop and its test runs, and leaves the services alone; answers when no test environment is left.
    Close {
        /// The answer.
        reply: oneshot::Sender<()>,
    },
    /// Takes the project down; answers when it is gone.
    Down {
        /// What goes with its containers and networks.
        also: Also,
        /// What was removed, or what could not be.
        reply: oneshot::Sender<Result<Removed, Problem>>,
    },
}

/// What is removed with a project's containers and networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Also {
    /// Its volumes, and what was kept of them.
    pub volumes: bool,
    /// The images that were built for it and have its name.
    pub images: bool,
}

/// What can be done with one service by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Start it.
    Start,
    /// Stop it, and leave it stopped.
    Stop,
    /// Restart it.
    Restart,
    /// Build its image, and make its container anew.
    Rebuild,
}

/// A running project, from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    /// The project's name.
    pub name: ProjectName,
    sender: mpsc::UnboundedSender<Message>,
    status: watch::Receiver<Arc<ProjectStatus>>,
    starts: watch::Receiver<Starts>,
    blueprint: watch::Receiver<Arc<Blueprint>>,
}

impl Handle {
    /// Tells the loop something. A loop that has ended has nothing left to do with it.
    pub fn tell(&self, message: Message) {
        let _ = self.sender.send(message);
    }

    /// The newest status.
    pub fn status(&self) -> Arc<ProjectStatus> {
        Arc::clone(&self.status.borrow())
    }

    /// The newest start of each service; closed when the project is gone.
    pub fn starts(&self) -> watch::Receiver<Starts> {
        self.starts.clone()
    }

    /// What its files say.
    pub fn blueprint(&self) -> Arc<Blueprint> {
        Arc::clone(&self.blueprint.borrow())
    }

    /// Whether the loop still runs.
    pub fn is_alive(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Asks the loop; `None` when it has ended.
    pub async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Request(request(reply))).ok()?;
        answer.await.ok()
    }
}
