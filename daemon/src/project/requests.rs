//! What users ask of a project, and what they are answered.

use super::run::{Loop, Remembrance, Surroundings};
use super::runs::{self, Live};
use super::{Request, Verb};
use crate::engine::spec::Act;
use crate::engine::{Engine, Progress};
use crate::problem;
use crate::warm::pool::Pool;
use devd_logic::Event;
use devd_proto::{Code, Problem, ProjectName, Removed, Run, RunId, RunStarted, ServiceName, TestsState};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// Runs of one project that are asked for and have not begun.
const MOST_QUEUED: usize = 64;

impl<E: Engine> Loop<E> {
    /// Answers a request, at once or when it is done.
    pub(super) fn request(&mut self, request: Request) {
        match request {
            Request::Up { services, build, reply } => {
                self.touch();
                for farewell in self.farewells.drain(..) {
                    let title = format!("{} was brought up again before it was down", self.blueprint.name);
                    let _ = farewell.send(Err(Problem::new(Code::NameTaken, title)));
                }
                self.step(Event::UpRequested { services: services.into_iter().collect(), build });
                self.answer_revision(reply);
            }
            Request::Service { service, verb, reply } => {
                let answer = self.verb(&service, verb);
                self.publish();
                // A client that went away needs no answer; so below.
                let _ = reply.send(answer.map(|()| self.publisher.revision()));
            }
            Request::Test { services, args, failed, reply } => {
                self.touch();
                let answer = self.test(services, &args, failed);
                let _ = reply.send(answer);
            }
            Request::Cancel { run, reply } => {
                let known = self.live.contains_key(&run) || self.queued.contains_key(&run);
                self.step(Event::CancelRequested { run });
                let _ = reply.send(known);
            }
            Request::Run { run, reply } => {
                let live = self.live.get(&run).map(|live| &live.run);
                let _ = reply.send(live.or_else(|| self.queued.get(&run)).cloned());
            }
            Request::Flush { reply } => {
                self.publish();
                let _ = reply.send(());
            }
            Request::Close { reply } => {
                self.gone = true;
                let (pool, surroundings) = (self.pool.clone(), self.surroundings.clone());
                let queued = std::mem::take(&mut self.queued).into_values().collect();
                let (live, project) = (std::mem::take(&mut self.live), self.blueprint.name.clone());
                let (written, is_written) = oneshot::channel();
                // Fails only when the runtime is going down; so below.
                let _ = self.registration.send(Remembrance::Written(written));
                tokio::spawn(async move {
                    close(pool, surroundings, project, queued, live).await;
                    let _ = is_written.await;
                    // Whoever asked may have lost patience.
                    let _ = reply.send(());
                });
            }
            Request::Down { also, reply } => {
                if self.farewells.is_empty() {
                    // What was removed because it was made anew is no part of it.
                    self.removed = Removed::default();
                }
                self.farewells.push(reply);
                self.also = also;
                self.pool.retain(|_| false);
                self.step(Event::DownRequested { volumes: also.volumes });
            }
        }
    }

    fn answer_revision(&mut self, reply: oneshot::Sender<u64>) {
        self.publish();
        let _ = reply.send(self.publisher.revision());
    }

    fn verb(&mut self, service: &ServiceName, verb: Verb) -> Result<(), Problem> {
        let Some(definition) = self.blueprint.service(service) else {
            return Err(self.unknown_service(service));
        };
        if verb == Verb::Rebuild && definition.build.is_none() {
            let title = format!("{service} is not built here: it has no `build`");
            return Err(Problem::new(Code::NoBuild, title));
        }
        let name = service.clone();
        self.step(match verb {
            Verb::Start => Event::StartRequested(name),
            Verb::Stop => Event::StopRequested(name),
            Verb::Restart => Event::RestartRequested(name),
            Verb::Rebuild => Event::RebuildRequested(name),
        });
        Ok(())
    }

    fn unknown_service(&self, service: &ServiceName) -> Problem {
        let known = self.blueprint.project.services.keys().map(String::as_str);
        problem::unknown_service(&self.blueprint.name, service, known)
    }

    fn test(
        &mut self,
        services: Vec<ServiceName>,
        args: &[String],
        failed: bool,
    ) -> Result<Vec<RunStarted>, Problem> {
        for service in &services {
            if self.blueprint.service(service).is_none() {
                return Err(self.unknown_service(service));
            }
            if let Some(broken) = self.blueprint.broken_suites.get(service) {
                let mut problem =
                    Problem::new(Code::InvalidProject, format!("the tests of {service} do not load"));
                problem.diagnostics.push(crate::problem::diagnostic(broken));
                return Err(problem);
            }
            if !self.blueprint.suites.contains_key(service) {
                let title = format!("{service} has no tests");
                let help = "put a compose file with a service `tests` into its folder, or name one under x-devd.tests";
                return Err(Problem::new(Code::NoTests, title).help(help));
            }
        }
        let all = self.blueprint.suites.keys().cloned().collect();
        let chosen: Vec<ServiceName> = if services.is_empty() { all } else { services };
        if chosen.is_empty() {
            let title = format!("no service of {} has tests", self.blueprint.name);
            let help = "put a compose file with a service `tests` into a service's folder";
            return Err(Problem::new(Code::NoTests, title).help(help));
        }
        let bad = |service: &ServiceName| {
            let last = self.publisher.last_runs.get(service);
            last.is_some_and(|run| matches!(run.state, TestsState::Failed | TestsState::Error))
        };
        let chosen: Vec<ServiceName> = chosen.into_iter().filter(|service| !failed || bad(service)).collect();
        if self.queued.len() >= MOST_QUEUED {
            let title = format!("{} test runs of {} wait already", self.queued.len(), self.blueprint.name);
            let help = "wait for them, or end some: `devd runs` lists them";
            return Err(Problem::new(Code::Busy, title).help(help));
        }
        let started = chosen.into_iter().map(|service| {
            let run = self.state.joinable_run(&service, args).unwrap_or_else(|| {
                let run = self.state.reserve_run();
                self.queue(run.clone(), service.clone(), args.to_vec());
                run
            });
            RunStarted { id: run, service }
        });
        Ok(started.collect())
    }

    fn queue(&mut self, run: RunId, service: ServiceName, args: Vec<String>) {
        if let Some(job) = self.job(&service, args.clone()) {
            let record = self.run_record(run.clone(), service.clone(), &job);
            self.queued.insert(run.clone(), record);
        }
        self.step(Event::TestRequested { service, run, args });
    }
}

/// Ends test runs for good: there is no loop any more that would clean up behind them.
async fn close<E: Engine>(
    pool: Pool<E>,
    Surroundings { history, hub, .. }: Surroundings<E>,
    project: ProjectName,
    queued: Vec<Run>,
    live: BTreeMap<RunId, Live>,
) {
    for live in live.values() {
        live.cancel.cancel();
    }
    for run in queued {
        runs::never_begins(history.clone(), hub.clone(), run).await;
    }
    let runs = async {
        for live in live.into_values() {
            // A run that panicked is cleaned up behind all the same.
            let _ = live.task.await;
        }
    };
    tokio::join!(pool.close(), runs);
    let engine = pool.engine();
    let environments = match engine.observe(project.as_str(), &[]).await {
        Ok(look) => look.observed.environments,
        Err(error) => {
            tracing::warn!(%project, %error, "test environments are left for the next start to remove");
            BTreeSet::new()
        }
    };
    for id in environments {
        let act = Act::RemoveEnvironment { project: project.to_string(), environment: id.to_string() };
        if let Err(error) = engine.apply(&act, &Progress::none()).await {
            tracing::warn!(%project, environment = %id, %error, "left for the next start to remove");
        }
    }
}
