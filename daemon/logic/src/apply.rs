//! Facts into the state. Nothing is decided here.

use crate::backoff::Failure;
use crate::down::Down;
use crate::{Change, Desired, Event, Moment, Observed, Op, OpError, OpId, Outcome, Reaction, State, Subject};
use devd_proto::{RunId, ServiceName};

impl State {
    pub(crate) fn apply(&mut self, now: Moment, event: Event) {
        match event {
            Event::Loaded(desired) => self.loaded(*desired),
            Event::Invalid => self.invalid = true,
            Event::Changed(change) => self.changed(now, &change),
            Event::SaveComplete(name) => {
                if let Some(state) = self.services.get_mut(&name) {
                    state.save_complete();
                }
                if let Some(suite) = self.suites.get_mut(&name) {
                    suite.save_complete();
                }
            }
            Event::EngineChanged => self.view.spoil(),
            Event::EngineBack => {
                self.epoch += 1;
                // What failed may have failed because the engine was going.
                self.failures.retain(|_, failure| failure.until.is_none());
                self.view.spoil();
            }
            Event::Observed(observed) => self.observed(now, *observed),
            Event::LookFailed => self.view.failed(),
            Event::OpFinished { id, result } => self.finished(now, id, result),
            Event::Probed { service, started, healthy } => {
                let state = self.services.entry(service).or_default();
                if state.probing.as_ref() == Some(&started) {
                    state.probing = None;
                }
                state.probed = Some((started, healthy));
                self.view.spoil();
            }
            Event::Baseline { service, verdict } => {
                if let Some(suite) = self.suites.get_mut(&service) {
                    suite.compared(verdict);
                }
            }
            Event::RunEnded { run, outcome } => self.run_ended(&run, &outcome),
            Event::TestRequested { service, run, args } => {
                if let Some(suite) = self.suites.get_mut(&service) {
                    suite.request(now, run, args);
                }
            }
            Event::CancelRequested { run } => {
                for suite in self.suites.values_mut() {
                    suite.call_off(&run);
                }
            }
            Event::UpRequested { services, build } => self.up(services, build),
            Event::StartRequested(name) => self.start_requested(&name, Reaction::None),
            Event::RestartRequested(name) => self.start_requested(&name, Reaction::Restart),
            Event::RebuildRequested(name) => self.start_requested(&name, Reaction::Rebuild),
            Event::StopRequested(name) => {
                self.services.entry(name.clone()).or_default().stopped = true;
                self.failures.remove(&Subject::Service(name));
            }
            Event::DownRequested { volumes } => {
                self.failures.clear();
                self.down = Some(Down { volumes, said: false });
                self.view.spoil();
            }
            Event::Tick => {}
        }
    }

    fn loaded(&mut self, desired: Desired) {
        self.invalid = false;
        for (name, service) in &desired.services {
            let state = self.services.entry(name.clone()).or_default();
            if self.desired.services.get(name) != Some(service) {
                state.forgive();
                self.failures.remove(&Subject::Service(name.clone()));
            }
        }
        for name in desired.suites.keys() {
            self.suites.entry(name.clone()).or_default();
        }
        self.failures.retain(|subject, _| match subject {
            Subject::Service(name) => desired.services.contains_key(name),
            Subject::Network(name) => desired.networks.contains(name),
            Subject::Volume(name) => desired.volumes.contains(name),
            Subject::Environment(_) => true,
        });
        self.services.retain(|name, _| desired.services.contains_key(name));
        // A run of a suite that is gone still has to end: it is kept until then.
        self.suites.retain(|name, suite| desired.suites.contains_key(name) || suite.running.is_some());
        self.desired = desired;
        // The look names images and networks of the definition: another definition is another question.
        self.view.spoil();
    }

    fn changed(&mut self, now: Moment, change: &Change) {
        if let Some(state) = self.services.get_mut(&change.service) {
            state.changed(now, change);
            if change.reaction != Reaction::None {
                self.failures.remove(&Subject::Service(change.service.clone()));
            }
        }
        if change.tests
            && let Some(suite) = self.suites.get_mut(&change.service)
        {
            suite.changed(now, change);
        }
    }

    fn observed(&mut self, now: Moment, observed: Observed) {
        for (name, state) in &mut self.services {
            let one_shot = self.desired.is_one_shot(name);
            state.observed(now, self.epoch, observed.main(name), one_shot);
        }
        // Only a trusted look says that something is gone.
        if self.view.looked(observed)
            && let Some(seen) = self.view.fresh()
        {
            self.leftovers = seen.environments.clone();
        }
    }

    fn finished(&mut self, now: Moment, id: OpId, result: Result<(), OpError>) {
        let Some(flight) = self.flying.remove(&id) else { return };
        let subject = flight.op.subject();
        self.view.spoil();
        if result.is_err()
            && let Some((name, reaction)) = flight.op.reaction()
            && let Some(state) = self.services.get_mut(name)
        {
            state.owes(reaction);
        }
        match result {
            Ok(()) => {
                self.failures.remove(&subject);
            }
            // Nothing is known of what became of it; the next look tells.
            Err(OpError::Unreachable) => self.view.unanswered(),
            Err(OpError::Refused(reason)) => {
                let earlier = self.failures.get(&subject);
                let failure = match flight.op {
                    Op::Build(_) => Failure::for_good(reason),
                    Op::CreateNetwork(_)
                    | Op::CreateVolume(_)
                    | Op::Pull(_)
                    | Op::Create(_)
                    | Op::Start(_, _)
                    | Op::Stop(_, _)
                    | Op::Restart(_, _)
                    | Op::Act(_, _)
                    | Op::Remove(_, _)
                    | Op::RemoveNetwork(_)
                    | Op::RemoveVolume(_)
                    | Op::RemoveEnvironment(_) => Failure::for_now(now, reason, earlier),
                };
                self.failures.insert(subject, failure);
            }
        }
    }

    fn run_ended(&mut self, run: &RunId, outcome: &Outcome) {
        for suite in self.suites.values_mut() {
            suite.ended(run, outcome);
        }
        self.leftovers.insert(run.clone());
        if *outcome == Outcome::Lost {
            // Without this it would be lost again and again, as fast as runs can start.
            self.view.unanswered();
        } else {
            self.view.spoil();
        }
        let desired = &self.desired;
        self.suites.retain(|name, suite| desired.suites.contains_key(name) || suite.running.is_some());
    }

    fn up(&mut self, services: std::collections::BTreeSet<ServiceName>, build: bool) {
        self.down = None;
        let all = services.is_empty();
        if all {
            self.selected = None;
        } else {
            // `None` is all, and stays so: `up web` beside a running stack takes nothing down.
            if let Some(selected) = &mut self.selected {
                selected.extend(services.clone());
            }
        }
        let named =
            if all { self.services.keys().cloned().collect() } else { self.desired.closure(&services) };
        for name in named {
            let state = self.services.entry(name.clone()).or_default();
            state.stopped = false;
            state.forgive();
            if build && self.desired.services.get(&name).is_some_and(|service| service.build) {
                state.asked = Reaction::Rebuild;
            }
            self.failures.remove(&Subject::Service(name));
        }
        self.failures.clear();
        self.view.spoil();
    }

    fn start_requested(&mut self, name: &ServiceName, asked: Reaction) {
        let needed = self.desired.closure(&[name.clone()].into());
        if let Some(selected) = &mut self.selected {
            selected.insert(name.clone());
        }
        for other in needed {
            let state = self.services.entry(other.clone()).or_default();
            if std::mem::take(&mut state.stopped) || other == *name {
                state.forgive();
            }
            if other == *name {
                state.asked = state.asked.max(asked);
                state.rounds.lift();
            }
            self.failures.remove(&Subject::Service(other));
        }
        self.view.spoil();
    }

    /// An operation begins: what it will have done is recorded now, so that a change during it is not lost.
    pub(crate) fn begin_op(&mut self, now: Moment, op: &Op) {
        match op {
            Op::Build(name) => self.services.entry(name.clone()).or_default().building(now),
            Op::Start(name, _) => self.services.entry(name.clone()).or_default().starting(now, self.epoch),
            Op::Act(name, _) => self.services.entry(name.clone()).or_default().starting(now, self.epoch),
            Op::Restart(name, _) => {
                let state = self.services.entry(name.clone()).or_default();
                state.starting(now, self.epoch);
                state.restarts += 1;
            }
            Op::RemoveEnvironment(run) => {
                self.leftovers.remove(run);
            }
            Op::CreateNetwork(_)
            | Op::CreateVolume(_)
            | Op::Pull(_)
            | Op::Create(_)
            | Op::Stop(_, _)
            | Op::Remove(_, _)
            | Op::RemoveNetwork(_)
            | Op::RemoveVolume(_) => {}
        }
    }

    /// Whether a run is under way.
    pub(crate) fn is_live(&self, run: &RunId) -> bool {
        self.suites.values().any(|suite| suite.running.as_ref().is_some_and(|running| running.id == *run))
    }
}
