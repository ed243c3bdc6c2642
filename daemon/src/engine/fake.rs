//! A world in memory: an engine without containers.
//!
//! Always compiled and chosen by a hidden flag, so that clients, editors' authors and tests have a daemon without Docker.
//! It can refuse, stall, kill and forget ([`Fake`]'s own methods), and it works at the speed of its clock: with tokio's
//! clock paused, an hour of it takes no time.

mod parked;

use super::spec::{Act, ContainerSpec, ExecSpec, LogQuery, compose, label};
use super::{
    Applied, Attached, Details, Engine, EngineChange, EngineError, Exec, LogLine, Look, Output, Progress,
};
use crate::clock;
use bytes::Bytes;
use devd_logic::{Container, ContainerState, EnvironmentId, Health, Observed};
use devd_proto::{EngineState, EngineStatus, Port, ServiceName, Stream};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The engine in memory. Cheap to clone; all clones are one world.
#[derive(Clone, Debug)]
pub struct Fake {
    // Never held over an await.
    world: Arc<Mutex<World>>,
    changes: broadcast::Sender<EngineChange>,
    /// Something was written, or what wrote has ended.
    written: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct World {
    next: u64,
    gone: bool,
    containers: BTreeMap<String, FakeContainer>,
    networks: BTreeMap<String, BTreeMap<String, String>>,
    volumes: BTreeMap<String, BTreeMap<String, String>>,
    images: BTreeMap<String, String>,
    refusals: VecDeque<(String, String)>,
    tests: TestsBehaviour,
    dies: BTreeMap<String, i64>,
    logs_opened: u64,
    /// Everything that was asked for, for tests to read.
    journal: Vec<String>,
}

#[derive(Clone, Debug)]
struct FakeContainer {
    spec: ContainerSpec,
    state: ContainerState,
    starts: u64,
    image: String,
    /// Ids of the containers that it shares something with.
    shares: BTreeSet<String>,
    started_at: String,
    finished_at: String,
    /// Told to what runs under the park in it.
    killed: CancellationToken,
    /// What it wrote, each line with the number of the start it is from.
    log: Vec<(u64, LogLine)>,
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

/// How long an operation takes.
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

    /// How often a log was opened.
    pub fn logs_opened(&self) -> u64 {
        self.world().logs_opened
    }

    /// Names of the containers there are.
    pub fn containers(&self) -> Vec<String> {
        self.world().containers.values().map(|it| it.spec.name.clone()).collect()
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

impl World {
    fn id(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{:012x}", self.next)
    }

    /// Writes down what is asked for; an error when that is to be refused.
    fn ask(&mut self, what: String) -> Result<(), EngineError> {
        let refusal = self.refusals.front().filter(|(prefix, _)| what.starts_with(prefix.as_str()));
        let refused = refusal.map(|(_, reason)| EngineError::Refused(reason.clone()));
        if refused.is_some() {
            self.refusals.pop_front();
        }
        self.journal.push(what);
        refused.map_or(Ok(()), Err)
    }

    fn named(&self, id: &str) -> String {
        self.containers.get(id).map_or_else(|| id.to_owned(), |it| it.spec.name.clone())
    }

    /// Refuses what takes a running container.
    fn running(&self, id: &str) -> Result<(), EngineError> {
        match self.containers.get(id) {
            Some(container) if container.state == ContainerState::Running => Ok(()),
            Some(container) => {
                Err(EngineError::Refused(format!("container {} is not running", container.spec.name)))
            }
            None => Err(EngineError::NotFound(format!("no such container: {id}"))),
        }
    }

    fn start(&mut self, id: &str) -> Result<ContainerSpec, EngineError> {
        let dies = self.dies.get(&self.named(id)).copied();
        let missing = || EngineError::NotFound(format!("no such container: {id}"));
        let container = self.containers.get_mut(id).ok_or_else(missing)?;
        if container.state != ContainerState::Running {
            container.starts += 1;
            container.started_at = clock::now_text();
            container.state = dies.map_or(ContainerState::Running, ContainerState::Exited);
            container.say(format!("{} says hello", container.spec.name));
        }
        Ok(container.spec.clone())
    }

    fn apply(&mut self, act: &Act) -> Result<(Applied, Option<ContainerSpec>), EngineError> {
        let made = |id: String| Ok((Applied { id: Some(id), parked: None }, None));
        let done = |spec| Ok((Applied::default(), spec));
        match act {
            Act::CreateNetwork(spec) => {
                self.ask(format!("create network {}", spec.name))?;
                self.networks.insert(spec.name.clone(), spec.labels.clone());
                done(None)
            }
            Act::CreateVolume(spec) => {
                self.ask(format!("create volume {}", spec.name))?;
                self.volumes.insert(spec.name.clone(), spec.labels.clone());
                done(None)
            }
            Act::Pull { image, .. } => {
                self.ask(format!("pull {image}"))?;
                let id = self.id("sha256:");
                self.images.insert(image.clone(), id.clone());
                made(id)
            }
            Act::Build(spec) => {
                self.ask(format!("build {}", spec.tag))?;
                let id = self.id("sha256:");
                self.images.insert(spec.tag.clone(), id.clone());
                made(id)
            }
            Act::Push { image } => {
                self.ask(format!("push {image}"))?;
                done(None)
            }
            Act::Create(spec) => {
                self.ask(format!("create {}", spec.name))?;
                if let Some((id, _)) = self.containers.iter().find(|(_, it)| it.spec.name == spec.name) {
                    return made(id.clone());
                }
                let image = self.images.get(&spec.image).cloned();
                let image =
                    image.ok_or_else(|| EngineError::Refused(format!("no such image: {}", spec.image)))?;
                let id = self.id("");
                let mut shares = BTreeSet::new();
                for name in spec.shares.containers() {
                    let found = self.containers.iter().find(|(_, it)| it.spec.name == *name);
                    let refuse =
                        || EngineError::Refused(format!("there is no container {name} to share with"));
                    shares.insert(found.ok_or_else(refuse)?.0.clone());
                }
                let container = FakeContainer {
                    shares,
                    spec: (**spec).clone(),
                    state: ContainerState::Created,
                    starts: 0,
                    image,
                    started_at: String::new(),
                    finished_at: String::new(),
                    killed: CancellationToken::new(),
                    log: Vec::new(),
                };
                self.containers.insert(id.clone(), container);
                let parked = spec.park.map(|_| spec.service.entrypoint.clone().unwrap_or_default());
                Ok((Applied { id: Some(id), parked }, None))
            }
            Act::Start(id) => {
                self.ask(format!("start {}", self.named(id)))?;
                self.start(id).map(|spec| (Applied::default(), Some(spec)))
            }
            Act::Restart { container: id, grace: _ } => {
                self.ask(format!("restart {}", self.named(id)))?;
                if let Some(container) = self.containers.get_mut(id) {
                    container.state = ContainerState::Exited(143);
                }
                self.start(id).map(|spec| (Applied::default(), Some(spec)))
            }
            Act::Stop(id) => {
                self.ask(format!("stop {}", self.named(id)))?;
                let container = self.containers.get_mut(id);
                done(container.map(|container| {
                    container.state = ContainerState::Exited(143);
                    container.finished_at = clock::now_text();
                    container.spec.clone()
                }))
            }
            Act::Signal(id, signal) => {
                self.ask(format!("signal {} {signal}", self.named(id)))?;
                done(None)
            }
            Act::Sync { container, files } => {
                let targets: Vec<&str> = files.iter().map(|(_, target)| target.as_str()).collect();
                self.ask(format!("sync {} {}", self.named(container), targets.join(" ")))?;
                // Files are copied into any container; removing one takes a command in it.
                if files.iter().any(|(source, _)| source.symlink_metadata().is_err()) {
                    self.running(container)?;
                }
                done(None)
            }
            Act::Remove(id) | Act::Kill(id) => {
                self.ask(format!("remove {}", self.named(id)))?;
                done(self.containers.remove(id).map(|container| container.spec))
            }
            Act::RemoveNetwork(name) => {
                self.ask(format!("remove network {name}"))?;
                self.networks.remove(name);
                done(None)
            }
            Act::RemoveVolume(name) => {
                self.ask(format!("remove volume {name}"))?;
                self.volumes.remove(name);
                done(None)
            }
            Act::Snapshot(spec) => {
                self.ask(format!("snapshot {}", self.named(&spec.container)))?;
                let id = self.id("sha256:");
                self.images.insert(spec.image.clone(), id.clone());
                made(id)
            }
            Act::RemoveImages { project } => {
                self.ask(format!("remove images {project}"))?;
                self.images.retain(|image, _| !image.starts_with(&format!("{project}-")));
                done(None)
            }
            Act::RemoveSnapshots { project, beyond } => {
                let whose = beyond.as_ref().map_or("", |newest| newest.tests_of.as_str());
                self.ask(format!("remove snapshots {project} {whose}"))?;
                done(None)
            }
            Act::RemoveEnvironment { project, environment } => {
                self.ask(format!("remove environment {environment}"))?;
                let theirs = |labels: &BTreeMap<String, String>| {
                    labels.get(label::ENVIRONMENT) == Some(environment)
                        && labels.get(label::PROJECT) == Some(project)
                };
                self.containers.retain(|_, it| !theirs(&it.spec.labels));
                self.networks.retain(|_, labels| !theirs(labels));
                self.volumes.retain(|_, labels| !theirs(labels));
                done(None)
            }
        }
    }

    fn observe(&self, project: &str, images: &[String]) -> Look {
        let mut look = Look::default();
        let mine = |labels: &BTreeMap<String, String>| {
            labels.get(compose::PROJECT).is_some_and(|it| it == project)
                && !labels.contains_key(label::ENVIRONMENT)
        };
        let names = |all: &BTreeMap<String, BTreeMap<String, String>>| -> BTreeSet<String> {
            all.iter().filter(|(_, labels)| mine(labels)).map(|(name, _)| name.clone()).collect()
        };
        let images = images.iter().filter_map(|name| Some((name.clone(), self.images.get(name)?.clone())));
        look.observed = Observed {
            containers: Vec::new(),
            networks: names(&self.networks),
            volumes: names(&self.volumes),
            images: images.collect(),
            environments: BTreeSet::new(),
        };
        let everything = self.containers.values().map(|it| &it.spec.labels);
        for labels in everything.chain(self.networks.values()).chain(self.volumes.values()) {
            if labels.get(label::PROJECT).is_some_and(|it| it == project)
                && let Some(environment) = labels.get(label::ENVIRONMENT)
            {
                look.observed.environments.insert(EnvironmentId::new(environment));
            }
        }
        for (id, it) in self.containers.iter().filter(|(_, it)| mine(&it.spec.labels)) {
            look.observed.containers.push(it.observed(id));
            look.details.insert(id.clone(), it.details());
        }
        look
    }
}

impl FakeContainer {
    fn say(&mut self, line: String) {
        let line = LogLine { stream: Stream::Stdout, time: clock::now_text(), line };
        self.log.push((self.starts, line));
    }

    fn observed(&self, id: &str) -> Container {
        let health = match (&self.spec.service.healthcheck, self.state) {
            (Some(check), ContainerState::Running) if !check.disable => Health::Healthy,
            _ => Health::None,
        };
        Container {
            id: id.to_owned(),
            name: self.spec.name.clone(),
            service: ServiceName::new(self.spec.service.name.clone()),
            definition: self.spec.labels.get(label::DEFINITION).cloned(),
            config_hash: self.spec.labels.get(compose::CONFIG_HASH).cloned(),
            image: self.image.clone(),
            state: self.state,
            health,
            started: if self.starts == 0 { String::new() } else { format!("{id}.{}", self.starts) },
            shares: self.shares.clone(),
            number: 1,
        }
    }

    /// The first line of its log that a query is about.
    fn first(&self, query: &LogQuery) -> usize {
        let since = query.since.map(clock::rfc3339);
        let older = |(_, line): &(u64, LogLine)| since.as_ref().is_some_and(|since| line.time < *since);
        let since = self.log.iter().position(|line| !older(line)).unwrap_or(self.log.len());
        let tail = query.tail.and_then(|lines| usize::try_from(lines).ok()).unwrap_or(usize::MAX);
        since.max(self.log.len().saturating_sub(tail))
    }

    fn details(&self) -> Details {
        let published = |port: &devd_compose::model::Port| {
            port.published.map(|range| Port {
                host_ip: port.host_ip.clone().unwrap_or_else(|| "0.0.0.0".to_owned()),
                host: range.first,
                container: port.target,
                protocol: port.protocol.clone(),
            })
        };
        Details {
            ports: self.spec.service.ports.iter().filter_map(published).collect(),
            started_at: self.started_at.clone(),
            finished_at: self.finished_at.clone(),
        }
    }
}

/// Reads what a container wrote. It ends with the process, whatever comes later.
struct LogReader {
    fake: Fake,
    written: watch::Receiver<()>,
    container: String,
    query: LogQuery,
    /// The next line, and the start it follows.
    place: Option<(usize, u64)>,
}

impl LogReader {
    async fn next(&mut self) -> Result<Option<LogLine>, EngineError> {
        loop {
            self.written.borrow_and_update();
            {
                let world = self.fake.reachable()?;
                let Some(container) = world.containers.get(&self.container) else {
                    let missing = EngineError::NotFound(format!("no such container: {}", self.container));
                    return if self.place.is_some() { Ok(None) } else { Err(missing) };
                };
                let first = || (container.first(&self.query), container.starts);
                let (next, start) = self.place.get_or_insert_with(first);
                if let Some((_, line)) = container.log.get(*next).filter(|(of, _)| of <= start) {
                    *next += 1;
                    return Ok(Some(line.clone()));
                }
                let ended = container.starts > *start || container.state != ContainerState::Running;
                if ended || !self.query.follow {
                    return Ok(None);
                }
            }
            if self.written.changed().await.is_err() {
                return Ok(None);
            }
        }
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
        let look = self.reachable()?.observe(project, images);
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(look)
    }

    async fn apply(&self, act: &Act, progress: &Progress) -> Result<Applied, EngineError> {
        tokio::time::sleep(OPERATION).await;
        if let Act::Build(spec) = act {
            progress.line(format!("Step 1/1 : {}", spec.tag));
        }
        let (applied, touched) = self.reachable()?.apply(act)?;
        if let Some(spec) = touched {
            self.hint(&spec);
            self.written.send_replace(());
        }
        Ok(applied)
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
        tokio::time::sleep(OPERATION).await;
        {
            let mut world = self.reachable()?;
            let name = world.named(container);
            world.ask(format!("park {name}"))?;
            world.start(container)?;
        }
        let (input, received) = mpsc::channel(16);
        let (sender, output) = mpsc::channel(16);
        let (engine, container) = (self.clone(), container.to_owned());
        tokio::spawn(async move { engine.parked(&container, received, &sender).await });
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
