//! Making an environment: images, network, volumes, containers, dependencies that are ready.

use super::held::Held;
use super::parked::Parked;
use super::snapshot::{self, Snapshot};
use super::{Job, RunError, Stage};
use crate::blueprint::Stack;
use crate::commands;
use crate::engine::spec::{Act, Park};
use crate::engine::{Applied, Engine, EngineError, Output, Progress};
use devd_compose::model::Service;
use devd_logic::EnvironmentId;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// How much of the end of what a command wrote is shown when it fails.
const LAST_LINES: usize = 10;
const LAST_BYTES: usize = 4 << 10;

/// A complete environment, whose tests wait for the word.
#[derive(Debug)]
pub struct Ready {
    /// Its tests.
    pub tests: Tests,
    /// Its running containers.
    pub containers: Vec<String>,
    /// That of the tests.
    pub container: String,
    /// Those of them that could have been ready-made, and were not.
    pub keepers: Vec<String>,
    /// Mounted from the host, with what was there when it was mounted.
    mounts: Vec<(PathBuf, Option<(u64, u64)>)>,
    held: Held,
}

/// The tests of an environment.
#[derive(Debug)]
pub enum Tests {
    /// Their process waits under the park.
    Parked(Parked),
    /// Their container was created; the engine starts it. Its id.
    Created(String),
}

impl Ready {
    /// Whether a run in it would be one in a new environment.
    pub fn is_fresh(&mut self) -> bool {
        let same = self.mounts.iter().all(|(path, inode)| inode_of(path) == *inode);
        same && match &mut self.tests {
            Tests::Parked(parked) => parked.is_waiting(),
            Tests::Created(_) => true,
        }
    }

    /// Which one it is.
    pub fn id(&self) -> &EnvironmentId {
        &self.held.id
    }

    /// Whether a run in it may have arguments of its own.
    pub fn takes_arguments(&self) -> bool {
        matches!(self.tests, Tests::Parked(_))
    }

    /// The tests, and what keeps the environment there.
    pub fn into_parts(self) -> (Tests, Held) {
        (self.tests, self.held)
    }
}

/// Makes an environment for a job.
///
/// Whatever comes out, what was made is still there when `held` is dropped: that is where it is removed. Calling off
/// waits for a short operation to end, so that nothing is made behind the back of that removal.
pub(super) async fn make<E: Engine>(
    engine: &E,
    job: &Job,
    held: Held,
    progress: &Progress,
    cancel: &CancellationToken,
    stage: impl Fn(Stage),
) -> Result<Ready, RunError> {
    let environment = Environment::new(engine, job, &held, cancel);
    let needed = job.suite.project.closure(&job.suite.service);
    let images = environment.images(&needed, progress).await?;
    let snapshot = environment.snapshot(&images).await?;
    stage(Stage::Images);
    environment.resources().await?;
    let mounts = environment.mounts(&needed);
    let ready = environment.ready(&needed, snapshot.made());
    let timeout = job.suite.settings.timeout;
    let Made { containers, tests } =
        tokio::time::timeout(timeout, ready).await.map_err(|_| RunError::TimedOut(timeout))??;
    stage(Stage::Ready);
    let keepers = match snapshot {
        ReadyMade::Possible(snapshot) => {
            snapshot.services().filter_map(|name| containers.get(name).cloned()).collect()
        }
        ReadyMade::Made(_) | ReadyMade::Impossible => Vec::new(),
    };
    let container = containers.get(&job.suite.service).cloned().unwrap_or_default();
    Ok(Ready { tests, containers: containers.into_values().collect(), container, keepers, mounts, held })
}

/// How ready-made the dependencies are.
enum ReadyMade {
    Impossible,
    Possible(Snapshot),
    Made(Snapshot),
}

impl ReadyMade {
    fn made(&self) -> Option<&Snapshot> {
        match self {
            Self::Made(snapshot) => Some(snapshot),
            Self::Possible(_) | Self::Impossible => None,
        }
    }
}

/// An environment in the making.
pub(super) struct Environment<'a, E> {
    engine: &'a E,
    job: &'a Job,
    stack: Stack<'a>,
    cancel: &'a CancellationToken,
}

/// What was made.
struct Made {
    /// Ids of the containers by service.
    containers: BTreeMap<String, String>,
    tests: Tests,
}

impl<'a, E: Engine> Environment<'a, E> {
    /// One of which nothing is there yet.
    pub(super) fn new(engine: &'a E, job: &'a Job, held: &Held, cancel: &'a CancellationToken) -> Self {
        let stack = Stack::environment(&job.suite.project, &job.project, &held.id, &job.service);
        Self { engine, job, stack, cancel }
    }

    /// Services of the environment, the tests last.
    fn services<'b>(&'b self, needed: &'b BTreeSet<String>) -> impl Iterator<Item = &'b Service> {
        let names = needed.iter().chain([&self.job.suite.service]);
        names.filter_map(|name| self.job.suite.project.services.get(name))
    }

    /// Does something that takes no long time: it is not called off half-way.
    pub(super) async fn short(&self, what: &str, act: Act) -> Result<Applied, RunError> {
        if self.cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        self.engine.apply(&act, &Progress::none()).await.map_err(|error| not_run(what, error))
    }

    /// An image takes long, and a half-made one is nothing: calling off need not wait.
    async fn long(&self, what: &str, act: Act, progress: &Progress) -> Result<Applied, RunError> {
        tokio::select! {
            applied = self.engine.apply(&act, progress) => applied.map_err(|error| not_run(what, error)),
            () = self.cancel.cancelled() => Err(RunError::Cancelled),
        }
    }

    /// Has all images there; their ids by service.
    pub(super) async fn images(
        &self,
        needed: &BTreeSet<String>,
        progress: &Progress,
    ) -> Result<BTreeMap<String, String>, RunError> {
        let names: Vec<String> = self.services(needed).map(|service| self.stack.image(service)).collect();
        let look =
            self.engine.observe(self.stack.name(), &names).await.map_err(|error| not_run("images", error))?;
        let mut ids = BTreeMap::new();
        for service in self.services(needed) {
            let image = self.stack.image(service);
            let there = look.observed.images.get(&image).cloned();
            let id = match (self.stack.build(&service.name), there) {
                (Some(_), Some(id)) if !self.job.build => Some(id),
                (Some(build), _) => self.long(&service.name, Act::Build(Box::new(build)), progress).await?.id,
                (None, Some(id)) => Some(id),
                (None, None) => {
                    let act = Act::Pull { image, platform: service.platform.clone(), unless_since: None };
                    self.long(&service.name, act, progress).await?.id
                }
            };
            ids.extend(id.map(|id| (service.name.clone(), id)));
        }
        Ok(ids)
    }

    async fn snapshot(&self, images: &BTreeMap<String, String>) -> Result<ReadyMade, RunError> {
        let Some(snapshot) = Snapshot::of(self.job, images).await else { return Ok(ReadyMade::Impossible) };
        Ok(match self.has(&snapshot).await? {
            true => ReadyMade::Made(snapshot),
            false => ReadyMade::Possible(snapshot),
        })
    }

    /// Whether what is to be kept is kept.
    pub(super) async fn has(&self, snapshot: &Snapshot) -> Result<bool, RunError> {
        snapshot.is_there(self.engine, &self.stack).await
    }

    /// Makes its networks and volumes.
    pub(super) async fn resources(&self) -> Result<(), RunError> {
        for network in self.stack.networks() {
            self.short("its network", Act::CreateNetwork(network)).await?;
        }
        for volume in self.stack.volumes() {
            self.short("its volume", Act::CreateVolume(volume)).await?;
        }
        Ok(())
    }

    /// What is mounted from the host, as it is now.
    fn mounts(&self, needed: &BTreeSet<String>) -> Vec<(PathBuf, Option<(u64, u64)>)> {
        let sources = self.services(needed).flat_map(Service::binds);
        sources.map(|(source, _)| (source.to_owned(), inode_of(source))).collect()
    }

    /// Creates the container of something that the tests need; its name and its id.
    pub(super) async fn create_dependency(
        &self,
        name: &str,
        snapshot: Option<&Snapshot>,
    ) -> Result<Option<(String, String)>, RunError> {
        // Of something that is several, one will do for tests.
        let Some(mut spec) = self.stack.container(name, 1).filter(|spec| spec.service.replicas() > 0) else {
            return Ok(None);
        };
        // Some keep their data under their host's name, which would be another one in each container.
        if spec.service.network_mode.is_none() && is_hostname(name) {
            spec.service.hostname.get_or_insert_with(|| name.to_owned());
        }
        if let Some(snapshot) = snapshot {
            snapshot.apply(self.job, &mut spec);
        }
        let applied = self.short(name, Act::Create(Box::new(spec))).await?;
        Ok(applied.id.map(|id| (name.to_owned(), id)))
    }

    /// Creates the container of the tests; its id, and its entrypoint if it is under the park.
    async fn create_tests(&self) -> Result<(String, Option<Vec<String>>), RunError> {
        let service = &self.job.suite.service;
        let missing = || RunError::NotRun(format!("no service {service} in the tests' file"));
        let mut spec = self.stack.container(service, 1).ok_or_else(missing)?;
        spec.service.command = self.job.command();
        // The tests' own health is their exit code.
        spec.service.healthcheck = None;
        spec.park = Some(Park::Wait { stays: self.job.suite.settings.report.is_some() });
        let applied = self.short(service, Act::Create(Box::new(spec))).await?;
        Ok((applied.id.ok_or_else(missing)?, applied.parked))
    }

    /// Creates everything, and starts what can start before the run.
    async fn ready(&self, needed: &BTreeSet<String>, snapshot: Option<&Snapshot>) -> Result<Made, RunError> {
        let mut containers = BTreeMap::new();
        for name in self.owners_first(needed) {
            containers.extend(self.create_dependency(name, snapshot).await?);
        }
        let (tests, parked) = self.create_tests().await?;
        let dependencies = async {
            self.start_dependencies(needed, &containers).await?;
            // What is ready-made is prepared, too.
            if snapshot.is_none() { self.prepare().await } else { Ok(()) }
        };
        let park = async |entrypoint| {
            let attached = self.cancellable(self.engine.attach(&tests)).await?;
            let attached = attached.map_err(|error| not_run("the tests", error))?;
            self.cancellable(Parked::new(attached, entrypoint)).await?
        };
        // Whether its dependencies are up does not matter to a process that only waits; but it may share a namespace of
        // one of them, which has to be there.
        let shares =
            self.stack.container(&self.job.suite.service, 1).is_some_and(|spec| spec.shares.namespaces());
        let started = match parked {
            None => {
                dependencies.await?;
                Tests::Created(tests.clone())
            }
            Some(entrypoint) if shares => {
                dependencies.await?;
                Tests::Parked(park(entrypoint).await?)
            }
            Some(entrypoint) => Tests::Parked(tokio::try_join!(dependencies, park(entrypoint))?.1),
        };
        containers.insert(self.job.suite.service.clone(), tests);
        Ok(Made { containers, tests: started })
    }

    /// Services in the order in which they can be made: a container that shares something of another's comes after it.
    pub(super) fn owners_first<'b>(&self, needed: &'b BTreeSet<String>) -> Vec<&'b str> {
        let mut left: Vec<&str> = needed.iter().map(String::as_str).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let waits = |name: &&str| {
                let service = self.job.suite.project.services.get(*name);
                service.is_some_and(|it| it.shares().any(|other| other != *name && left.contains(&other)))
            };
            let (later, now): (Vec<&str>, Vec<&str>) = left.iter().copied().partition(waits);
            // Of a circle nothing can be made; the engine says why.
            let done = now.is_empty();
            order.extend(if done { later.clone() } else { now });
            left = if done { Vec::new() } else { later };
        }
        order
    }

    /// Runs what brings the dependencies into the state that the tests expect, in a container like the tests' own.
    pub(super) async fn prepare(&self) -> Result<(), RunError> {
        let Some(prepare) = &self.job.suite.settings.prepare else { return Ok(()) };
        let Some(mut spec) = self.stack.container(&self.job.suite.service, 1) else { return Ok(()) };
        spec.name = format!("{}-prepare", spec.name);
        spec.service.command = Some(prepare.command.clone());
        spec.service.healthcheck = None;
        let applied = self.short("prepare", Act::Create(Box::new(spec))).await?;
        let container = applied.id.unwrap_or_default();
        let (code, end) = self.run(&container).await?;
        // It must not be in the way of the tests.
        self.short("prepare", Act::Kill(container)).await?;
        if code == 0 {
            return Ok(());
        }
        let end: String = end.iter().map(|line| format!("\n  {line}")).collect();
        Err(RunError::NotRun(format!("`prepare` exited with {code}: {}{end}", prepare.command.join(" "))))
    }

    /// Runs a created container to its end: its exit code, and the last lines that it wrote.
    async fn run(&self, container: &str) -> Result<(i64, Vec<String>), RunError> {
        let (output, mut written): (Output, _) = tokio::sync::mpsc::channel(64);
        let read = async {
            let mut end = Vec::new();
            while let Some((_, bytes)) = written.recv().await {
                end.extend_from_slice(&bytes);
                let surplus = end.len().saturating_sub(LAST_BYTES);
                end.drain(..surplus);
            }
            end
        };
        let (ended, end) = tokio::join!(self.cancellable(self.engine.run(container, output)), read);
        let code = ended?.map_err(|error| not_run("prepare", error))?;
        let end = String::from_utf8_lossy(&end);
        let lines: Vec<&str> = end.lines().collect();
        let last = lines.iter().rev().take(LAST_LINES).rev();
        Ok((code, last.map(|line| (*line).to_owned()).collect()))
    }

    /// What is to start, in waves: whoever waits for nothing that is not ready starts. Members of a circle start
    /// together.
    pub(super) fn waves<'b>(&self, needed: &'b BTreeSet<String>) -> Vec<Vec<&'b str>> {
        let mut waiting: BTreeSet<&str> = needed.iter().map(String::as_str).collect();
        let mut waves = Vec::new();
        while !waiting.is_empty() {
            let waits = |name: &str| {
                let service = self.job.suite.project.services.get(name);
                service.is_some_and(|service| {
                    service.depends_on.keys().any(|other| other != name && waiting.contains(other.as_str()))
                })
            };
            let mut wave: Vec<&str> = waiting.iter().copied().filter(|name| !waits(name)).collect();
            if wave.is_empty() {
                wave = waiting.iter().copied().collect();
            }
            waiting.retain(|name| !wave.contains(name));
            waves.push(wave);
        }
        waves
    }

    /// Starts what the tests need.
    pub(super) async fn start_dependencies(
        &self,
        needed: &BTreeSet<String>,
        containers: &BTreeMap<String, String>,
    ) -> Result<(), RunError> {
        for wave in self.waves(needed) {
            let starts = wave.iter().map(|name| self.start_dependency(name, containers));
            futures_util::future::try_join_all(starts).await?;
        }
        Ok(())
    }

    /// Starts one dependency and waits until it is ready: healthy, completed, or listening.
    ///
    /// The condition `service_started` means no more than that to compose; tests that find a database which does not
    /// listen yet fail for no reason of their own, so here every dependency is waited for as far as that can be told.
    async fn start_dependency(
        &self,
        name: &str,
        containers: &BTreeMap<String, String>,
    ) -> Result<(), RunError> {
        let Some(id) = containers.get(name) else { return Ok(()) };
        if snapshot::completes(&self.job.suite, name) {
            return match self.run(id).await? {
                (0, _) => Ok(()),
                (code, end) => {
                    let end: String = end.iter().map(|line| format!("\n  {line}")).collect();
                    Err(RunError::NotRun(format!(
                        "{name} must complete before the tests, but exited with {code}{end}"
                    )))
                }
            };
        }
        self.short(name, Act::Start(id.clone())).await?;
        if let Some(service) = self.job.suite.project.services.get(name) {
            let hooks = self.cancellable(commands::after_start(self.engine, service, id)).await?;
            hooks.map_err(|error| not_run(name, error))?;
        }
        match self.cancellable(self.engine.probe(id)).await?.map_err(|error| not_run(name, error))? {
            true => Ok(()),
            false => Err(RunError::NotRun(format!("{name} did not become healthy"))),
        }
    }

    async fn cancellable<T>(&self, work: impl Future<Output = T>) -> Result<T, RunError> {
        tokio::select! {
            done = work => Ok(done),
            () = self.cancel.cancelled() => Err(RunError::Cancelled),
        }
    }
}

/// Whether a name can be a host's.
fn is_hostname(name: &str) -> bool {
    name.len() <= 63 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Device and inode: another one at the same path is not what is mounted.
fn inode_of(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

pub(super) fn not_run(what: &str, error: EngineError) -> RunError {
    match error {
        EngineError::Unreachable(_) => RunError::Lost(error),
        EngineError::BuildFailed { message, output } => {
            let end = output.iter().rev().take(5).rev().map(|line| format!("\n  {line}"));
            RunError::NotRun(format!(
                "the image of {what} could not be built: {message}{}",
                end.collect::<String>()
            ))
        }
        EngineError::NotFound(reason) | EngineError::Refused(reason) => {
            RunError::NotRun(format!("{what}: {reason}"))
        }
    }
}
