//! The engine that was chosen at start.

use super::docker::Docker;
use super::fake::Fake;
use super::spec::{Act, ExecSpec, LogQuery};
use super::{Applied, Attached, Engine, EngineChange, EngineError, Exec, LogLine, Look, Output, Progress};
use devd_logic::sweep::Thing;
use devd_proto::EngineStatus;
use futures_util::stream::BoxStream;
use std::time::Duration;

/// One of the engines there are. A process has one for its life.
#[derive(Clone)]
pub enum AnyEngine {
    /// A real one.
    Docker(Docker),
    /// The world in memory.
    Fake(Fake),
}

impl std::fmt::Debug for AnyEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.status().endpoint)
    }
}

impl Engine for AnyEngine {
    fn status(&self) -> EngineStatus {
        match self {
            Self::Docker(engine) => engine.status(),
            Self::Fake(engine) => engine.status(),
        }
    }

    async fn observe(&self, project: &str, images: &[String]) -> Result<Look, EngineError> {
        match self {
            Self::Docker(engine) => engine.observe(project, images).await,
            Self::Fake(engine) => engine.observe(project, images).await,
        }
    }

    async fn inventory(&self) -> Result<Vec<Thing>, EngineError> {
        match self {
            Self::Docker(engine) => engine.inventory().await,
            Self::Fake(engine) => engine.inventory().await,
        }
    }

    async fn apply(&self, act: &Act, progress: &Progress) -> Result<Applied, EngineError> {
        match self {
            Self::Docker(engine) => engine.apply(act, progress).await,
            Self::Fake(engine) => engine.apply(act, progress).await,
        }
    }

    async fn run(&self, container: &str, output: Output) -> Result<i64, EngineError> {
        match self {
            Self::Docker(engine) => engine.run(container, output).await,
            Self::Fake(engine) => engine.run(container, output).await,
        }
    }

    async fn attach(&self, container: &str) -> Result<Attached, EngineError> {
        match self {
            Self::Docker(engine) => engine.attach(container).await,
            Self::Fake(engine) => engine.attach(container).await,
        }
    }

    async fn fetch(&self, container: &str, path: &str) -> Result<Vec<Vec<u8>>, EngineError> {
        match self {
            Self::Docker(engine) => engine.fetch(container, path).await,
            Self::Fake(engine) => engine.fetch(container, path).await,
        }
    }

    async fn keeps_data(&self, containers: &[String]) -> Result<bool, EngineError> {
        match self {
            Self::Docker(engine) => engine.keeps_data(containers).await,
            Self::Fake(engine) => engine.keeps_data(containers).await,
        }
    }

    async fn damage(
        &self,
        needed: &[String],
        tests: &str,
        lasted: Duration,
    ) -> Result<Option<String>, EngineError> {
        match self {
            Self::Docker(engine) => engine.damage(needed, tests, lasted).await,
            Self::Fake(engine) => engine.damage(needed, tests, lasted).await,
        }
    }

    async fn memory(&self, containers: &[String]) -> Result<u64, EngineError> {
        match self {
            Self::Docker(engine) => engine.memory(containers).await,
            Self::Fake(engine) => engine.memory(containers).await,
        }
    }

    async fn probe(&self, container: &str) -> Result<bool, EngineError> {
        match self {
            Self::Docker(engine) => engine.probe(container).await,
            Self::Fake(engine) => engine.probe(container).await,
        }
    }

    async fn exec(&self, container: &str, spec: ExecSpec) -> Result<Exec, EngineError> {
        match self {
            Self::Docker(engine) => engine.exec(container, spec).await,
            Self::Fake(engine) => engine.exec(container, spec).await,
        }
    }

    fn logs(&self, container: &str, query: LogQuery) -> BoxStream<'static, Result<LogLine, EngineError>> {
        match self {
            Self::Docker(engine) => engine.logs(container, query),
            Self::Fake(engine) => engine.logs(container, query),
        }
    }

    fn changes(&self) -> BoxStream<'static, EngineChange> {
        match self {
            Self::Docker(engine) => engine.changes(),
            Self::Fake(engine) => engine.changes(),
        }
    }
}
