//! Making an environment: images, network, volumes, containers, dependencies that are ready.

use super::held::Held;
use super::parked::Parked;
use super::{Job, RunError, Stage};
use crate::blueprint::Stack;
use crate::engine::spec::{Act, Park};
use crate::engine::{Applied, Engine, EngineError, Progress};
use devd_compose::model::{Condition, Service};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// A complete environment, whose tests wait for the word.
#[derive(Debug)]
pub struct Ready {
    /// Its tests.
    pub tests: Tests,
    /// Its running containers.
    pub containers: Vec<String>,
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
    let environment = Environment {
        engine,
        job,
        stack: Stack::environment(&job.suite.project, &job.project, &held.id, &job.service),
        cancel,
    };
    let needed = job.suite.project.closure(&job.suite.service);
    environment.images(&needed, progress).await?;
    stage(Stage::Images);
    environment.resources().await?;
    let mounts = environment.mounts(&needed);
    let Made { containers, parked } = environment.create(&needed).await?;
    let timeout = job.suite.settings.timeout;
    let ready = environment.start(&needed, &containers, parked);
    let tests = tokio::time::timeout(timeout, ready).await.map_err(|_| RunError::TimedOut(timeout))??;
    stage(Stage::Ready);
    Ok(Ready { tests, containers: containers.into_values().collect(), mounts, held })
}

struct Environment<'a, E> {
    engine: &'a E,
    job: &'a Job,
    stack: Stack<'a>,
    cancel: &'a CancellationToken,
}

/// Created containers.
struct Made {
    /// Their ids by service.
    containers: BTreeMap<String, String>,
    /// The entrypoint of the tests, if they are under the park.
    parked: Option<Vec<String>>,
}

impl<E: Engine> Environment<'_, E> {
    /// Services of the environment, the tests last.
    fn services<'b>(&'b self, needed: &'b BTreeSet<String>) -> impl Iterator<Item = &'b Service> {
        let names = needed.iter().chain([&self.job.suite.service]);
        names.filter_map(|name| self.job.suite.project.services.get(name))
    }

    async fn short(&self, what: &str, act: Act) -> Result<Applied, RunError> {
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

    async fn images(&self, needed: &BTreeSet<String>, progress: &Progress) -> Result<(), RunError> {
        let names: Vec<String> = self.services(needed).map(|service| self.stack.image(service)).collect();
        let look =
            self.engine.observe(self.stack.name(), &names).await.map_err(|error| not_run("images", error))?;
        for service in self.services(needed) {
            let image = self.stack.image(service);
            let there = look.observed.images.contains_key(&image);
            match self.stack.build(&service.name) {
                Some(_) if there && !self.job.build => {}
                Some(build) => {
                    self.long(&service.name, Act::Build(Box::new(build)), progress).await?;
                }
                None if there => {}
                None => {
                    let act = Act::Pull { image, platform: service.platform.clone() };
                    self.long(&service.name, act, progress).await?;
                }
            }
        }
        Ok(())
    }

    async fn resources(&self) -> Result<(), RunError> {
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

    async fn create(&self, needed: &BTreeSet<String>) -> Result<Made, RunError> {
        let mut made = Made { containers: BTreeMap::new(), parked: None };
        for service in self.services(needed) {
            let Some(mut spec) = self.stack.container(&service.name) else { continue };
            let is_tests = service.name == self.job.suite.service;
            if is_tests {
                spec.service.command = self.job.command();
                // The tests' own health is their exit code.
                spec.service.healthcheck = None;
                spec.park = Some(Park::Wait);
            }
            let applied = self.short(&service.name, Act::Create(Box::new(spec))).await?;
            if is_tests {
                made.parked = applied.parked;
            }
            made.containers.extend(applied.id.map(|id| (service.name.clone(), id)));
        }
        Ok(made)
    }

    /// Starts everything that can start before the run.
    async fn start(
        &self,
        needed: &BTreeSet<String>,
        containers: &BTreeMap<String, String>,
        parked: Option<Vec<String>>,
    ) -> Result<Tests, RunError> {
        let Some(tests) = containers.get(&self.job.suite.service) else {
            return Err(RunError::NotRun(format!(
                "no service {} in the tests' file",
                self.job.suite.service
            )));
        };
        let dependencies = self.start_dependencies(needed, containers);
        let Some(entrypoint) = parked else {
            dependencies.await?;
            return Ok(Tests::Created(tests.clone()));
        };
        // Whether its dependencies are up does not matter to a process that only waits; but it may share the network of
        // one of them, which has to be there.
        let shares = self.stack.container(&self.job.suite.service).and_then(|spec| spec.shares_network_of);
        let park = async {
            let attached = self.cancellable(self.engine.attach(tests)).await?;
            let attached = attached.map_err(|error| not_run("the tests", error))?;
            self.cancellable(Parked::new(attached, entrypoint)).await?
        };
        let parked = if shares.is_some() {
            dependencies.await?;
            park.await?
        } else {
            tokio::try_join!(dependencies, park)?.1
        };
        Ok(Tests::Parked(parked))
    }

    /// Starts what the tests need, in waves: whoever waits for nothing that is not ready starts. Members of a circle
    /// start together.
    async fn start_dependencies(
        &self,
        needed: &BTreeSet<String>,
        containers: &BTreeMap<String, String>,
    ) -> Result<(), RunError> {
        let mut waiting: BTreeSet<&str> = needed.iter().map(String::as_str).collect();
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
            let starts = wave.iter().map(|name| self.start_dependency(name, containers));
            futures_util::future::try_join_all(starts).await?;
            for name in wave {
                waiting.remove(name);
            }
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
        if self.completes(name) {
            let (output, mut lines) = tokio::sync::mpsc::channel(64);
            let drain = async { while lines.recv().await.is_some() {} };
            let (ended, ()) = tokio::join!(self.cancellable(self.engine.run(id, output)), drain);
            return match ended?.map_err(|error| not_run(name, error))? {
                0 => Ok(()),
                code => Err(RunError::NotRun(format!(
                    "{name} must complete before the tests, but exited with {code}"
                ))),
            };
        }
        self.short(name, Act::Start(id.clone())).await?;
        match self.cancellable(self.engine.probe(id)).await?.map_err(|error| not_run(name, error))? {
            true => Ok(()),
            false => Err(RunError::NotRun(format!("{name} did not become healthy"))),
        }
    }

    /// Whether somebody in the environment waits for this service to end.
    fn completes(&self, name: &str) -> bool {
        let services = self.job.suite.project.services.values();
        services
            .filter_map(|service| service.depends_on.get(name))
            .any(|dependency| dependency.condition == Condition::Completed)
    }

    async fn cancellable<T>(&self, work: impl Future<Output = T>) -> Result<T, RunError> {
        tokio::select! {
            done = work => Ok(done),
            () = self.cancel.cancelled() => Err(RunError::Cancelled),
        }
    }
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
