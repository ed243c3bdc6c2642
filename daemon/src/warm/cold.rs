//! Making an environment when it is needed.

use super::{Job, RunError, Stage};
use crate::blueprint::Stack;
use crate::engine::spec::Act;
use crate::engine::{Applied, Engine, EngineError, Output, Progress};
use devd_compose::model::{Condition, Service};
use devd_logic::EnvironmentId;
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::sync::CancellationToken;

/// Runs a suite in an environment of its own and returns the exit code of its tests.
///
/// Whatever comes out, what was made is still there: the caller sees to `Act::RemoveEnvironment`. Calling off waits for
/// a short operation to end, so that nothing is made behind the back of that removal.
pub async fn run<E: Engine>(
    engine: &E,
    job: &Job,
    id: &EnvironmentId,
    output: Output,
    progress: &Progress,
    cancel: &CancellationToken,
    stage: impl Fn(Stage),
) -> Result<i64, RunError> {
    let environment = Environment {
        engine,
        job,
        stack: Stack::environment(&job.suite.project, &job.project, id, &job.service),
        cancel,
    };
    let needed = job.suite.project.closure(&job.suite.service);
    environment.images(&needed, progress).await?;
    stage(Stage::Images);
    environment.resources().await?;
    let containers = environment.create(&needed).await?;
    let timeout = job.suite.settings.timeout;
    let ready = environment.start_dependencies(&needed, &containers);
    tokio::time::timeout(timeout, ready).await.map_err(|_| RunError::TimedOut(timeout))??;
    stage(Stage::Ready);
    let Some(tests) = containers.get(&job.suite.service) else {
        return Err(RunError::NotRun(format!("no service {} in the tests' file", job.suite.service)));
    };
    stage(Stage::Released);
    tokio::select! {
        ended = engine.run(tests, output) => ended.map_err(|error| not_run("the tests", error)),
        () = tokio::time::sleep(timeout) => Err(RunError::TimedOut(timeout)),
        () = cancel.cancelled() => Err(RunError::Cancelled),
    }
}

struct Environment<'a, E> {
    engine: &'a E,
    job: &'a Job,
    stack: Stack<'a>,
    cancel: &'a CancellationToken,
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

    /// Creates every container; their ids by service.
    async fn create(&self, needed: &BTreeSet<String>) -> Result<BTreeMap<String, String>, RunError> {
        let mut ids = BTreeMap::new();
        for service in self.services(needed) {
            let Some(mut spec) = self.stack.container(&service.name) else { continue };
            if service.name == self.job.suite.service {
                spec.service.command = self.job.command();
                // The tests' own health is their exit code.
                spec.service.healthcheck = None;
            }
            let made = self.short(&service.name, Act::Create(Box::new(spec))).await?;
            ids.extend(made.id.map(|id| (service.name.clone(), id)));
        }
        Ok(ids)
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

fn not_run(what: &str, error: EngineError) -> RunError {
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
