//! Test runs, and the history of them, which outlives every life of devd.

use crate::due::Due;
use crate::files::suites;
use crate::project::{LiveRun, Record, Tested};
use crate::world::{World, ms};
use devd_logic::{EnvironmentId, Event, Outcome, RunCause};
use devd_proto::{RunId, ServiceName};

/// How long a run takes.
const RUN: u32 = 400;

impl World {
    pub(crate) fn start_run(
        &mut self,
        project: usize,
        run: RunId,
        service: ServiceName,
        args: &[String],
        cause: &RunCause,
    ) {
        self.say(|| format!("  run {service} as {run}  # {cause:?}"));
        let it = &mut self.projects[project];
        let Some(life) = &it.life else { return };
        let Some(suite) = life.desired.suites.get(&service) else { return };
        let tested = Tested { content: it.seen_by_tests(&service), definition: suite.definition.clone() };
        let twin = it.runs.values().any(|other| other.service == service);
        let again = it.history.contains_key(&run);
        let live = LiveRun { service, tested, cancelled: false, some: !args.is_empty() };
        it.runs.insert(run.clone(), live);
        let (many, most) = (it.runs.len(), self.runs);
        if twin || many > most {
            return self.breaks("one run of a suite, and no more than the machine bears", || run.to_string());
        }
        if again {
            return self.breaks("no run has the number of another", || run.to_string());
        }
        self.later(ms(0), Due::RunBegins(project, run.clone()));
        let delay = self.delay(RUN);
        self.later(delay, Due::RunEnds(project, run));
    }

    pub(crate) fn run_begins(&mut self, project: usize, run: RunId) {
        let it = &mut self.projects[project];
        let Some(live) = it.runs.get(&run).cloned() else { return };
        let number = run.as_str().rsplit('-').next().and_then(|number| number.parse::<u64>().ok());
        it.next_run = it.next_run.max(number.unwrap_or_default() + 1);
        let LiveRun { service, tested, some, .. } = live;
        it.history.insert(run.clone(), Record { service, tested, some, verdict: None });
        it.order.push(run.clone());
        let id = EnvironmentId::new(run.as_str());
        self.tell(project, Event::EnvironmentHeld(id.clone()), 0);
        if self.alive && !self.engine.gone {
            self.engine.stacks[project].environments.insert(id, true);
        }
    }

    pub(crate) fn run_ends(&mut self, project: usize, run: RunId) {
        let it = &mut self.projects[project];
        let Some(live) = it.runs.remove(&run) else { return };
        let id = EnvironmentId::new(run.as_str());
        let environments = &mut self.engine.stacks[project].environments;
        let killed = environments.get(&id).is_some_and(|lives| !lives);
        if let Some(lives) = environments.get_mut(&id) {
            *lives = false;
        }
        let outcome = if self.engine.gone || killed {
            Outcome::Lost
        } else if live.cancelled {
            Outcome::Cancelled
        } else {
            let passed = live.tested.content.is_multiple_of(2);
            if let Some(record) = it.history.get_mut(&run) {
                record.verdict = Some(passed);
            }
            if !live.some {
                it.tested.insert(live.service, live.tested);
            }
            let took = ms(RUN);
            if passed { Outcome::Passed { took } } else { Outcome::Failed { took } }
        };
        self.tell(project, Event::EnvironmentLeft(id), 0);
        self.later(ms(1), Due::RunTold(project, run, outcome));
    }

    /// The watched files were read: which verdicts of earlier lives hold is known now.
    pub(crate) fn files_known(&mut self, project: usize) {
        let it = &mut self.projects[project];
        let Some(life) = &mut it.life else { return };
        life.files_known = true;
        // They were read just now. What changed since devd began to watch is told by events; of those that are lost devd
        // hears at the next rescan.
        for service in std::mem::take(&mut life.unwatched) {
            let is_to_hear = self.is_to_hear(project, &service);
            let it = &mut self.projects[project];
            let content = it.tests_disk.get(&service).copied().unwrap_or_default();
            it.watched.insert(service.clone(), content);
            if !is_to_hear {
                it.told.insert(service, content);
            }
        }
        self.origins_summed(project);
        let it = &mut self.projects[project];
        let Some(life) = &mut it.life else { return };
        let mut verdicts = Vec::new();
        for name in suites(project) {
            let service = ServiceName::from(*name);
            let Some(suite) = life.desired.suites.get(&service) else { continue };
            let content = it.watched.get(&service).copied().unwrap_or_default();
            let now = Tested { content, definition: suite.definition.clone() };
            let last = it.order.iter().rev().filter_map(|run| it.history.get(run));
            let last = last.filter(|record| record.service == service && !record.some);
            let last = last.filter_map(|record| Some((record.verdict?, &record.tested))).next();
            let took = ms(RUN);
            let verdict = last
                .filter(|(_, tested)| **tested == now)
                .map(|(passed, _)| if passed { Outcome::Passed { took } } else { Outcome::Failed { took } });
            verdicts.push((service, verdict));
        }
        for (service, verdict) in verdicts {
            self.tell(project, Event::Baseline { service, verdict }, 0);
        }
    }
}
