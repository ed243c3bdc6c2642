//! Counts what is asked of an engine, and what it refuses.

use super::spec::{Act, ExecSpec, LogQuery};
use super::{Applied, Attached, Engine, EngineChange, EngineError, Exec, LogLine, Look, Output, Progress};
use crate::system::metrics::Metrics;
use devd_logic::sweep::Thing;
use devd_proto::EngineStatus;
use futures_util::stream::BoxStream;
use std::pin::Pin;
use std::time::Duration;

/// An engine that is counted.
#[derive(Clone, Debug)]
pub struct Counted<E> {
    engine: E,
    metrics: Metrics,
}

impl<E: Engine> Counted<E> {
    /// Counts with these.
    pub fn new(engine: E, metrics: Metrics) -> Self {
        Self { engine, metrics }
    }

    /// Each call is on the heap: the futures of an engine are large, and one within another would take twice the stack.
    async fn count<T>(
        &self,
        call: &'static str,
        answer: Pin<Box<impl Future<Output = Result<T, EngineError>>>>,
    ) -> Result<T, EngineError> {
        let answer = answer.await;
        self.metrics.engine_call(call, answer.as_ref().err().map(kind));
        answer
    }
}

fn kind(error: &EngineError) -> &'static str {
    match error {
        EngineError::Unreachable(_) => "unreachable",
        EngineError::NotFound(_) => "not_found",
        EngineError::Refused(_) => "refused",
        EngineError::BuildFailed { .. } => "build_failed",
    }
}

/// What an operation is counted as.
fn name(act: &Act) -> &'static str {
    match act {
        Act::CreateNetwork(_) => "create_network",
        Act::CreateVolume(_) => "create_volume",
        Act::Pull { .. } => "pull",
        Act::Build(_) => "build",
        Act::Push { .. } => "push",
        Act::Create(_) => "create",
        Act::Start(_) => "start",
        Act::Stop(_) => "stop",
        Act::Restart { .. } => "restart",
        Act::Signal(..) => "signal",
        Act::Sync { .. } => "sync",
        Act::Remove(_) => "remove",
        Act::Kill(_) => "kill",
        Act::RemoveNetwork(_) => "remove_network",
        Act::RemoveVolume(_) => "remove_volume",
        Act::RemoveImage(_) => "remove_image",
        Act::Snapshot(_) => "snapshot",
        Act::RemoveImages { .. } => "remove_images",
        Act::RemoveSnapshots { .. } => "remove_snapshots",
        Act::RemoveEnvironment { .. } => "remove_environment",
    }
}

impl<E: Engine> Engine for Counted<E> {
    fn status(&self) -> EngineStatus {
        self.engine.status()
    }

    async fn observe(&self, project: &str, images: &[String]) -> Result<Look, EngineError> {
        self.count("observe", Box::pin(self.engine.observe(project, images))).await
    }

    async fn inventory(&self) -> Result<Vec<Thing>, EngineError> {
        self.count("inventory", Box::pin(self.engine.inventory())).await
    }

    async fn apply(&self, act: &Act, progress: &Progress) -> Result<Applied, EngineError> {
        self.count(name(act), Box::pin(self.engine.apply(act, progress))).await
    }

    async fn run(&self, container: &str, output: Output) -> Result<i64, EngineError> {
        self.count("run", Box::pin(self.engine.run(container, output))).await
    }

    async fn attach(&self, container: &str) -> Result<Attached, EngineError> {
        self.count("attach", Box::pin(self.engine.attach(container))).await
    }

    async fn probe(&self, container: &str) -> Result<bool, EngineError> {
        self.count("probe", Box::pin(self.engine.probe(container))).await
    }

    async fn memory(&self, containers: &[String]) -> Result<u64, EngineError> {
        self.count("memory", Box::pin(self.engine.memory(containers))).await
    }

    async fn fetch(&self, container: &str, path: &str) -> Result<Vec<Vec<u8>>, EngineError> {
        self.count("fetch", Box::pin(self.engine.fetch(container, path))).await
    }

    async fn keeps_data(&self, containers: &[String]) -> Result<bool, EngineError> {
        self.count("keeps_data", Box::pin(self.engine.keeps_data(containers))).await
    }

    async fn damage(
        &self,
        needed: &[String],
        tests: &str,
        lasted: Duration,
    ) -> Result<Option<String>, EngineError> {
        self.count("damage", Box::pin(self.engine.damage(needed, tests, lasted))).await
    }

    async fn exec(&self, container: &str, spec: ExecSpec) -> Result<Exec, EngineError> {
        self.count("exec", Box::pin(self.engine.exec(container, spec))).await
    }

    fn logs(&self, container: &str, query: LogQuery) -> BoxStream<'static, Result<LogLine, EngineError>> {
        self.engine.logs(container, query)
    }

    fn changes(&self) -> BoxStream<'static, EngineChange> {
        self.engine.changes()
    }
}
