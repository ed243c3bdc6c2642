//! The seam to the container engine, in our words.
//!
//! [`Engine`] is small on purpose: what is asked of it is said with the types of [`spec`], so that the real engine
//! ([`docker`]) translates and nothing more, and the world in memory ([`fake`]) can refuse, stall, kill and forget.
//! Every operation is safe to repeat. Cleaning up is an operation too, never a side effect of dropping a future.

pub mod any;
pub mod counted;
pub mod docker;
pub mod fake;
pub mod spec;

use devd_logic::sweep::Thing;
use devd_logic::{EnvironmentId, Observed};
use devd_proto::{EngineStatus, Port, Stream};
use futures_util::stream::BoxStream;
use spec::{Act, ContainerSpec, ExecSpec, LogQuery};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// A container engine.
pub trait Engine: Clone + Send + Sync + 'static {
    /// Whether it answers, and what it is. Known without asking.
    fn status(&self) -> EngineStatus;

    /// Lists everything of a project, and the ids of the images that it names.
    fn observe(
        &self,
        project: &str,
        images: &[String],
    ) -> impl Future<Output = Result<Look, EngineError>> + Send;

    /// Lists everything that a devd has made, this one or another.
    fn inventory(&self) -> impl Future<Output = Result<Vec<Thing>, EngineError>> + Send;

    /// Performs one operation. Safe to repeat; may be dropped at any point, and a look tells what became of it.
    fn apply(
        &self,
        act: &Act,
        progress: &Progress,
    ) -> impl Future<Output = Result<Applied, EngineError>> + Send;

    /// Starts a created container, sends what it writes to `output` from the first byte, and returns its exit code.
    /// May be dropped at any point: the container is still there then.
    fn run(&self, container: &str, output: Output) -> impl Future<Output = Result<i64, EngineError>> + Send;

    /// Starts a created container with its input attached, and its output from the first byte.
    fn attach(&self, container: &str) -> impl Future<Output = Result<Attached, EngineError>> + Send;

    /// Runs a container's health check until it passes (`true`) or has failed for good (`false`), at growing intervals
    /// while it starts. Without a health check: waits until one of its exposed ports is listened on, if that can be told.
    fn probe(&self, container: &str) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// What running containers need of the machine's memory, in bytes; as far as the engine can tell.
    fn memory(&self, containers: &[String]) -> impl Future<Output = Result<u64, EngineError>> + Send;

    /// The contents of the files at a path of a container, running or not. The path may have wildcards, and is relative
    /// to the container's working folder. That there are none is an error.
    fn fetch(
        &self,
        container: &str,
        path: &str,
    ) -> impl Future<Output = Result<Vec<Vec<u8>>, EngineError>> + Send;

    /// Whether any of these containers has anything in a volume of its own.
    fn keeps_data(&self, containers: &[String]) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// What happened to the containers of tests that have run for so long, in words: one that they need ended with an
    /// error, is gone or paused, or was taken off its network, or somebody ended one of them or the tests themselves.
    /// None if they are as they were.
    fn damage(
        &self,
        needed: &[String],
        tests: &str,
        lasted: Duration,
    ) -> impl Future<Output = Result<Option<String>, EngineError>> + Send;

    /// Runs a command in a running container.
    fn exec(&self, container: &str, spec: ExecSpec)
    -> impl Future<Output = Result<Exec, EngineError>> + Send;

    /// What a container wrote, one line an item.
    fn logs(&self, container: &str, query: LogQuery) -> BoxStream<'static, Result<LogLine, EngineError>>;

    /// Says when something is worth looking at. Never ends: reconnects for ever.
    fn changes(&self) -> BoxStream<'static, EngineChange>;
}

/// A hint, never a fact: it says *look*, not *what*. What somebody wants of a container, no look can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineChange {
    /// Something happened to the dev stack of this compose project.
    Project(String),
    /// Somebody sent the process of a service of the dev stack a signal that ends processes.
    ToldToEnd {
        /// The compose project.
        project: String,
        /// The service.
        service: String,
        /// The id of the container.
        container: String,
    },
    /// Somebody stopped a service of the dev stack, which may run again by now.
    Stopped {
        /// The compose project.
        project: String,
        /// The service.
        service: String,
        /// The id of the container.
        container: String,
    },
    /// A container of a test environment has ended.
    Environment {
        /// The project.
        project: String,
        /// The environment.
        environment: EnvironmentId,
    },
    /// The engine is reached (again): everything may be different.
    Connected,
    /// The engine is not reached any more.
    Disconnected,
}

/// The answer to one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What decisions need.
    pub observed: Observed,
    /// What only people want to see, by container id.
    pub details: BTreeMap<String, Details>,
}

/// Facts about a container that nothing is decided on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Its published ports.
    pub ports: Vec<Port>,
    /// When its process started, RFC 3339; empty if never.
    pub started_at: String,
    /// When its process ended, RFC 3339; empty if it has not.
    pub finished_at: String,
}

/// What an operation made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The id of the container or image, where one was made.
    pub id: Option<String>,
    /// The container's process is under the park, and this is what stands before its command.
    pub parked: Option<Vec<String>>,
}

/// A started container's input and output.
pub struct Attached {
    /// Its standard input; dropping it is the end of the input.
    pub input: mpsc::Sender<bytes::Bytes>,
    /// What it writes; ends when it has ended.
    pub output: BoxStream<'static, Result<(Stream, bytes::Bytes), EngineError>>,
}

/// Lines of a build or a pull, for those who watch. Dropped when nobody keeps up.
#[derive(Clone, Debug, Default)]
pub struct Progress(Option<mpsc::Sender<String>>);

impl Progress {
    /// Sends lines to `sender`.
    pub fn to(sender: mpsc::Sender<String>) -> Self {
        Self(Some(sender))
    }

    /// Nobody watches.
    pub fn none() -> Self {
        Self(None)
    }

    /// One line, without its end.
    pub fn line(&self, line: impl Into<String>) {
        if let Some(sender) = &self.0 {
            // A full channel means a slow reader: progress is for looking at, the build goes on.
            let _ = sender.try_send(line.into());
        }
    }
}

/// Where the output of a run goes: a bounded channel, so that a slow disk slows the run and not the memory.
pub type Output = mpsc::Sender<(Stream, bytes::Bytes)>;

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where it wrote it.
    pub stream: Stream,
    /// When the engine got it, RFC 3339.
    pub time: String,
    /// The line, without its end.
    pub line: String,
}

/// A command under way in a container.
pub struct Exec {
    /// Its standard input; dropping it is the end of the input.
    pub input: mpsc::Sender<bytes::Bytes>,
    /// What it writes; ends when it has ended.
    pub output: BoxStream<'static, Result<(Stream, bytes::Bytes), EngineError>>,
    /// New sizes of its terminal: columns, rows.
    pub resize: mpsc::Sender<(u16, u16)>,
    /// Its exit code, once `output` has ended.
    pub exit: futures_util::future::BoxFuture<'static, Result<i64, EngineError>>,
}

/// Why the engine did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// It did not answer, or hung up. Nothing is known of what became of it.
    #[error("the engine cannot be reached: {0}")]
    Unreachable(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It said no. The text is for people.
    #[error("{0}")]
    Refused(String),
    /// A build failed: the end of its output.
    #[error("{message}")]
    BuildFailed {
        /// The step and its exit code.
        message: String,
        /// The last lines of the output.
        output: Vec<String>,
    },
}

/// The name of a container spec, for log lines.
impl std::fmt::Display for ContainerSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}
