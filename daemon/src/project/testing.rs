//! The tests of a project: from what the logic wishes for to runs, and back; environments kept ready for them.

use super::Message;
use super::run::Loop;
use super::runs::{self, Live};
use crate::clock;
use crate::engine::Engine;
use crate::system::traces::Trace;
use crate::warm::Job;
use devd_logic::{Event, RunCause};
use devd_proto::{Run, RunId, ServiceName, TestsState, What};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl<E: Engine> Loop<E> {
    /// Fetches these suites' verdicts of an earlier life.
    pub(super) fn recall(&self, services: BTreeSet<ServiceName>) {
        let (history, sender) = (self.surroundings.history.clone(), self.executor.sender());
        let project = self.blueprint.name.clone();
        tokio::spawn(async move {
            let mut runs = Vec::new();
            for service in services {
                let run = history.last(&project, &service).await.unwrap_or_else(|error| {
                    tracing::warn!(%project, %service, %error, "no verdict can be recalled");
                    None
                });
                runs.push((service, run));
            }
            // The loop may have ended in the meantime.
            let _ = sender.send(Message::Recalled(runs));
        });
    }

    /// Queued runs that will never begin, because they were called off, or their tests are gone from the files, or the
    /// project is gone, have ended: whoever waits for them is told.
    pub(super) fn drop_queued(&mut self) {
        let dropped: Vec<RunId> =
            self.queued.keys().filter(|run| self.gone || !self.state.is_waiting(run)).cloned().collect();
        for run in dropped.iter().filter_map(|id| self.queued.remove(id)) {
            let (history, hub) = (self.surroundings.history.clone(), self.surroundings.hub.clone());
            tokio::spawn(runs::never_begins(history, hub, run));
        }
    }

    /// Tells the logic which verdicts of an earlier life hold for what is on disk, once both are known.
    pub(super) fn compare(&mut self) {
        if !self.files_known {
            return;
        }
        let services = self.blueprint.suites.keys().filter(|name| self.recalled.contains(*name));
        let verdicts: Vec<_> = services
            .map(|service| {
                let content = self.content(service);
                let last = self.publisher.last_runs.get(service);
                let same = last.filter(|run| content.is_some_and(|content| content == run.content));
                (service.clone(), same.and_then(outcome_of))
            })
            .collect();
        for (service, verdict) in verdicts {
            if verdict.is_some() {
                // The images are those of the very files that it was given for.
                self.images_owed.remove(&service);
                if self.touched || self.was_run_lately(&service) {
                    self.keep_ready(&service);
                }
            }
            self.step(Event::Baseline { service, verdict });
        }
    }

    /// Somebody works on the project: what stands ready is for them.
    pub(super) fn touch(&mut self) {
        self.pool.touch();
        if !std::mem::replace(&mut self.touched, true) {
            for service in self.blueprint.suites.keys() {
                self.keep_ready(service);
            }
        }
    }

    /// Whether its last run was so short a time ago that somebody still works on it.
    fn was_run_lately(&self, service: &ServiceName) -> bool {
        let run = self.publisher.last_runs.get(service);
        let ended = run.and_then(|run| run.finished_at.as_ref()?.parse::<jiff::Timestamp>().ok());
        let ago = ended.and_then(|ended| jiff::Timestamp::now().duration_since(ended).try_into().ok());
        ago.is_some_and(|ago: std::time::Duration| ago < self.surroundings.machine.idle)
    }

    /// What a run of these tests would test: the watched files and the definition of the tests.
    pub(super) fn content(&self, service: &ServiceName) -> Option<String> {
        let files = self.surroundings.watcher.digest(&self.blueprint.name, service)?;
        let definition = &self.state.desired().suites.get(service)?.definition;
        Some(format!("{files}-{}", definition.get(..16).unwrap_or(definition)))
    }

    pub(super) fn start_run(
        &mut self,
        id: RunId,
        service: ServiceName,
        args: Vec<String>,
        cause: &RunCause,
        event: devd_logic::Moment,
    ) {
        let Some(mut job) = self.job(&service, args) else {
            // The files lost it in this very step; the logic learns that nothing came of it.
            self.step(Event::RunEnded { run: id, outcome: devd_logic::Outcome::Lost });
            return;
        };
        job.build = self.images_owed.remove(&service);
        // Tests that break what they need do so each time: a repeated run says how it ended, and so does one that somebody
        // waits for.
        job.repeats = !matches!(cause, RunCause::Repeated | RunCause::Requested);
        let now = self.clock.now();
        let age = now.saturating_sub(event);
        let mut run = self.run_record(id.clone(), service.clone(), &job);
        run.state = TestsState::Running;
        run.cause = cause_word(cause).to_owned();
        run.stages = vec![runs::stage_at("event", std::time::Duration::ZERO), runs::stage_at("decided", age)];
        if let RunCause::Changed(_) = cause {
            run.paths = self.paths.remove(&service).unwrap_or_default().into_iter().collect();
        }
        self.queued.remove(&id);
        let cancel = CancellationToken::new();

        self.publisher.running.insert(service, run.clone());
        let (pool, history) = (self.pool.clone(), self.surroundings.history.clone());
        let beginning = runs::begins(history.clone(), self.surroundings.hub.clone(), run.clone());
        let trace = if run.partial { Trace::default() } else { self.saves.tested(now, &run.service) };
        let since = self.clock.instant(event);
        let work =
            runs::execute(pool, history, job, run.clone(), since, cancel.clone(), self.executor.sender());
        let task = tokio::spawn(async move {
            beginning.await;
            work.await;
        });
        self.live.insert(id, Live { run, cancel, task, event, trace });
    }

    pub(super) fn job(&self, service: &ServiceName, args: Vec<String>) -> Option<Job> {
        Some(Job {
            project: self.blueprint.name.clone(),
            service: service.clone(),
            suite: Arc::new(self.blueprint.suites.get(service)?.clone()),
            definition: self.state.desired().suites.get(service)?.definition.clone(),
            args,
            build: false,
            repeats: false,
        })
    }

    /// A run that has not begun.
    pub(super) fn run_record(&self, id: RunId, service: ServiceName, job: &Job) -> Run {
        Run {
            id,
            project: job.project.clone(),
            content: self.content(&service).unwrap_or_default(),
            service,
            state: TestsState::Queued,
            cause: cause_word(&RunCause::Requested).to_owned(),
            paths: Vec::new(),
            command: job.command().unwrap_or_default(),
            partial: !job.args.is_empty(),
            exit_code: None,
            reason: None,
            started_at: clock::now_text(),
            finished_at: None,
            duration_ms: None,
            passed: None,
            failed: None,
            skipped: None,
            failures: Vec::new(),
            stages: Vec::new(),
        }
    }

    /// Has environments kept ready for the next runs, once there are images to make them from.
    pub(super) fn keep_ready(&self, service: &ServiceName) {
        // During a run its images may be in the making; its end comes here.
        let running = self.live.values().any(|live| live.run.service == *service);
        if running || self.images_owed.contains(service) || !self.farewells.is_empty() {
            return;
        }
        if let Some(job) = self.job(service, Vec::new()) {
            self.pool.stock(job);
        }
    }

    pub(super) fn run_done(&mut self, done: runs::Done) {
        let service = done.run.service.clone();
        if let Some(live) = self.live.remove(&done.run.id) {
            live.trace.tests(&done.run, live.event);
        }
        self.publisher.running.remove(&service);
        if done.build_owed {
            self.images_owed.insert(service.clone());
        }
        match done.run.state {
            // What cannot be run needs no environment.
            TestsState::Error => self.pool.discard(&service),
            _ => self.keep_ready(&service),
        }
        // Some of the tests say nothing of the whole.
        if !done.run.partial {
            let runs = match done.run.state {
                TestsState::Cancelled => &mut self.publisher.cancelled,
                _ => &mut self.publisher.last_runs,
            };
            runs.insert(service, done.run.clone());
        }
        self.surroundings.metrics.run(&done.run);
        self.surroundings
            .hub
            .tell(&self.blueprint.name, What::RunFinished { run: Box::new(done.run.clone()) });
        self.step(Event::RunEnded { run: done.run.id, outcome: done.outcome });
    }
}

fn cause_word(cause: &RunCause) -> &'static str {
    match cause {
        RunCause::Untested => "first",
        RunCause::Changed(_) => "save",
        RunCause::Redefined => "definition",
        RunCause::Requested => "request",
        RunCause::Repeated => "repeat",
    }
}

fn outcome_of(run: &Run) -> Option<devd_logic::Outcome> {
    let took = std::time::Duration::from_millis(run.duration_ms.unwrap_or_default());
    match run.state {
        TestsState::Passed => Some(devd_logic::Outcome::Passed { took }),
        TestsState::Failed => Some(devd_logic::Outcome::Failed { took }),
        // What could not be run may be possible now.
        TestsState::Error
        | TestsState::None
        | TestsState::Queued
        | TestsState::Running
        | TestsState::Cancelled
        | TestsState::Unknown => None,
    }
}
