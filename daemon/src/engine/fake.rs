//! A world in memory: an engine without containers.
//!
//! Always compiled and chosen by a hidden flag, so that clients, editors' authors and tests have a daemon without Docker.
//! It can refuse, stall, kill and forget ([`Fake`]'s own methods), and it works at the speed of its clock: with tokio's
//! clock paused, an hour of it takes no time.

mod faults;
mod inventory;
mod logs;
mod parked;
mod world;

pub use faults::{Befalls, Fault};

use super::spec::{Act, ContainerSpec, ExecSpec, LogQuery, compose, label};
use super::{Applied, Attached, Engine, EngineChange, EngineError, Exec, LogLine, Look, Output, Progress};
use crate::clock;
use bytes::Bytes;
use devd_logic::ContainerState;
use devd_logic::sweep::Thing;
use devd_proto::{EngineState, EngineStatus, Stream};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use logs::LogReader;
use parked::Lease;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use world::World;

/// The engine in memory. Cheap to clone; all clones are one world.
#[derive(Clone, Debug)]
pub struct Fake {
    // Never held over an await.
    world: Arc<Mutex<World>>,
    changes: broadcast::Sender<EngineChange>,
    /// Something was written, or what wrote has ended.
    written: watch::Sender<()>,
}

/// How test containers behave.
#[derive(Clone, Debug)]
pub struct TestsBehaviour {
    /// How long they run.
    pub takes: Duration,
    /// What they write.
    pub output: String,
    /// How they exit.
    pub exit: i64,
}

impl Default for TestsBehaviour {
    fn default() -> Self {
        let output = ".....\n----------------------------------------------------------------------\nRan 5 tests in 0.100s\n\nOK\n";
        Self { takes: Duration::from_millis(100), output: output.to_owned(), exit: 0 }
    }
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            world: Arc::default(),
            changes: broadcast::Sender::new(256),
            written: watch::Sender::default(),
        }
    }
}

/// What a container needs of the memory.
const MEMORY: u64 = 32 << 20;

/// How long a look and an operation take.
const LOOK: Duration = Duration::from_millis(1);
const OPERATION: Duration = Duration::from_millis(5);

impl Fake {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses the next operation whose journal line begins with `what`.
    pub fn refuse_next(&self, what: &str, reason: &str) {
        self.world().refusals.push_back((what.to_owned(), reason.to_owned()));
    }

    /// From now on tests behave like this.
    pub fn tests_behave(&self, behaviour: TestsBehaviour) {
        self.world().tests = behaviour;
    }

    /// From now on containers of this name exit with this code as soon as they start; `None` mends them.
    pub fn dies(&self, container: &str, code: Option<i64>) {
        match code {
            Some(code) => self.world().dies.insert(container.to_owned(), code),
            None => self.world().dies.remove(container),
        };
    }

    /// Kills a container by name, as `docker kill` does.
    pub fn kill(&self, name: &str) {
        let mut world = self.world();
        for container in world.containers.values_mut().filter(|it| it.spec.name == name) {
            container.state = ContainerState::Exited(137);
            container.finished_at = clock::now_text();
            container.killed.cancel();
            self.hint(&container.spec);
        }
        self.written.send_replace(());
    }

    /// Has a container, by name, write a line. Many lines can have the same time: it is in milliseconds.
    pub fn says(&self, name: &str, line: &str) {
        let mut world = self.world();
        for container in world.containers.values_mut().filter(|it| it.spec.name == name) {
            container.say(line.to_owned());
        }
        self.written.send_replace(());
    }

    /// Goes away, or comes back.
    pub fn set_gone(&self, gone: bool) {
        self.world().gone = gone;
        self.written.send_replace(());
        // Nobody listens yet: then nobody needs to know.
        let _ = self.changes.send(if gone { EngineChange::Disconnected } else { EngineChange::Connected });
    }

    /// Everything that was asked for so far: `start shop-api-1`, …
    pub fn journal(&self) -> Vec<String> {
        self.world().journal.clone()
    }

    /// Forgets what was asked for and written so far: a world that lives long would remember for ever. Whoever follows a
    /// log meanwhile misses lines.
    pub fn forget_past(&self) {
        let mut world = self.world();
        world.journal.clear();
        for container in world.containers.values_mut() {
            container.log.clear();
        }
    }

    /// How often a log was opened.
    pub fn logs_opened(&self) -> u64 {
        self.world().logs_opened
    }

    /// Names of the containers there are.
    pub fn containers(&self) -> Vec<String> {
        self.world().containers.values().map(|it| it.spec.name.clone()).collect()
    }

    /// Names of the containers that run.
    pub fn running(&self) -> Vec<String> {
        let world = self.world();
        let running = world.containers.values().filter(|it| it.state == ContainerState::Running);
        running.map(|it| it.spec.name.clone()).collect()
    }

    /// Test environments of which anything is there.
    pub fn environments(&self) -> BTreeSet<String> {
        let world = self.world();
        let containers = world.containers.values().map(|it| &it.spec.labels);
        let labels = containers.chain(world.networks.values()).chain(world.volumes.values());
        labels.filter_map(|labels| labels.get(label::ENVIRONMENT).cloned()).collect()
    }

    fn hint(&self, spec: &ContainerSpec) {
        if spec.labels.contains_key(label::ENVIRONMENT) {
            return;
        }
        if let Some(project) = spec.labels.get(compose::PROJECT) {
            // As above.
            let _ = self.changes.send(EngineChange::Project(project.clone()));
        }
    }

    fn reachable(&self) -> Result<MutexGuard<'_, World>, EngineError> {
        let world = self.world();
        if world.gone { Err(EngineError::Unreachable("it is gone".to_owned())) } else { Ok(world) }
    }
}

impl Engine for Fake {
    fn status(&self) -> EngineStatus {
        let gone = self.world().gone;
        EngineStatus {
            state: if gone { EngineState::Disconnected } else { EngineState::Connected },
            kind: "fake".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            endpoint: "memory:".to_owned(),
            error: gone.then(|| "it is gone".to_owned()),
        }
    }

    async fn observe(&self, project: &str, images: &[String]) -> Result<Look, EngineError> {
        let fault = self.fault(&format!("observe {project}"), Duration::ZERO);
        tokio::time::sleep(fault.before).await;
        let look = self.reachable()?.observe(project, images);
        tokio::time::sleep(LOOK + fault.after).await;
        fault.result().map(|()| look)
    }

    async fn inventory(&self) -> Result<Vec<Thing>, EngineError> {
        Ok(self.reachable()?.inventory())
    }

    async fn apply(&self, act: &Act, progress: &Progress) -> Result<Applied, EngineError> {
        let line = self.world().line(act);
        let fault = self.fault(&line, OPERATION);
        tokio::time::sleep(fault.before).await;
        if let Act::Build(spec) = act {
            progress.line(format!("Step 1/1 : {}", spec.tag));
        }
        let mut applied = Applied::default();
        if fault.is_done() {
            let touched;
            (applied, touched) = self.reachable()?.apply(act, line)?;
            if let Some(spec) = touched {
                self.hint(&spec);
                self.written.send_replace(());
            }
        }
        tokio::time::sleep(fault.after).await;
        fault.result().map(|()| applied)
    }

    async fn run(&self, container: &str, output: Output) -> Result<i64, EngineError> {
        let behaviour = {
            let mut world = self.reachable()?;
            let name = world.named(container);
            world.ask(format!("run {name}"))?;
            world.start(container)?;
            world.tests.clone()
        };
        // Whoever reads may have gone; the tests go on.
        let _ = output.send((Stream::Stderr, Bytes::from(behaviour.output))).await;
        tokio::time::sleep(behaviour.takes).await;
        let mut world = self.reachable()?;
        if let Some(container) = world.containers.get_mut(container) {
            container.state = ContainerState::Exited(behaviour.exit);
        }
        Ok(behaviour.exit)
    }

    async fn attach(&self, container: &str) -> Result<Attached, EngineError> {
        let line = format!("park {}", self.world().named(container));
        let fault = self.fault(&line, OPERATION);
        tokio::time::sleep(fault.before).await;
        if fault.is_done() {
            let mut world = self.reachable()?;
            world.ask(line)?;
            world.start(container)?;
        }
        tokio::time::sleep(fault.after).await;
        fault.result()?;
        let (input, received) = mpsc::channel(16);
        let (sender, output) = mpsc::channel(16);
        let (engine, lease) = (self.clone(), Lease::new(self, container));
        tokio::spawn(async move { engine.parked(lease, received, &sender).await });
        let output = tokio_stream::wrappers::ReceiverStream::new(output).map(Ok).boxed();
        Ok(Attached { input, output })
    }

    async fn memory(&self, containers: &[String]) -> Result<u64, EngineError> {
        self.reachable().map(|_| containers.len() as u64 * MEMORY)
    }

    async fn fetch(&self, container: &str, path: &str) -> Result<Vec<Vec<u8>>, EngineError> {
        let world = self.reachable()?;
        Err(EngineError::NotFound(format!("there is no {path} in {}", world.named(container))))
    }

    async fn keeps_data(&self, containers: &[String]) -> Result<bool, EngineError> {
        let world = self.reachable()?;
        // As if an image of this name declared a volume.
        let image = |id: &String| world.containers.get(id).map(|it| it.spec.image.as_str());
        Ok(containers.iter().filter_map(image).any(|image| image.contains("postgres")))
    }

    async fn damage(
        &self,
        needed: &[String],
        _tests: &str,
        _lasted: Duration,
    ) -> Result<Option<String>, EngineError> {
        let world = self.reachable()?;
        let damaged = needed.iter().find(|id| match world.containers.get(*id).map(|it| it.state) {
            Some(ContainerState::Running | ContainerState::Exited(0)) => false,
            Some(_) | None => true,
        });
        Ok(damaged.map(|id| format!("{id} ended")))
    }

    async fn probe(&self, container: &str) -> Result<bool, EngineError> {
        tokio::time::sleep(OPERATION).await;
        let world = self.reachable()?;
        Ok(world.containers.get(container).is_some_and(|it| it.state == ContainerState::Running))
    }

    async fn exec(&self, container: &str, spec: ExecSpec) -> Result<Exec, EngineError> {
        let name = {
            let mut world = self.reachable()?;
            let name = world.named(container);
            world.ask(format!("exec {name} {}", spec.cmd.join(" ")))?;
            world.running(container)?;
            name
        };
        // It answers with what it was asked, then with what it is given, and exits with 0.
        let (input, received) = mpsc::channel::<Bytes>(16);
        let (resize, _sizes) = mpsc::channel(1);
        let greeting = Bytes::from(format!("{name}: {}\n", spec.cmd.join(" ")));
        let echo =
            tokio_stream::wrappers::ReceiverStream::new(received).map(|bytes| Ok((Stream::Stdout, bytes)));
        let output = futures_util::stream::iter([Ok((Stream::Stdout, greeting))]).chain(echo).boxed();
        Ok(Exec { input, output, resize, exit: async { Ok(0) }.boxed() })
    }

    fn logs(&self, container: &str, query: LogQuery) -> BoxStream<'static, Result<LogLine, EngineError>> {
        self.world().logs_opened += 1;
        let reader = LogReader {
            fake: self.clone(),
            written: self.written.subscribe(),
            container: container.to_owned(),
            query,
            place: None,
        };
        let lines = futures_util::stream::try_unfold(reader, |mut reader| async move {
            Ok(reader.next().await?.map(|line| (line, reader)))
        });
        lines.boxed()
    }

    fn changes(&self) -> BoxStream<'static, EngineChange> {
        let receiver = self.changes.subscribe();
        let stream = tokio_stream::wrappers::BroadcastStream::new(receiver);
        // Too many at once: everything may be different.
        stream.map(|change| change.unwrap_or(EngineChange::Connected)).boxed()
    }
}
