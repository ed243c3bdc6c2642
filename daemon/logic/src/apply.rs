//! Facts into the state. Nothing is decided here.

use crate::backoff::{Failure, pause};
use crate::down::Down;
use crate::outside::Outside;
use crate::service::ServiceState;
use crate::{
    Change, Desired, Event, Moment, Observed, Op, OpError, OpId, Outcome, Pull, Reaction, State, Subject,
    replica,
};
use devd_proto::{RunId, ServiceName};

impl State {
    pub(crate) fn apply(&mut self, now: Moment, event: Event) {
        match event {
            Event::Loaded(desired) => self.loaded(now, *desired),
            Event::Invalid => self.invalid = true,
            Event::Changed(change) => self.changed(now, &change),
            Event::SaveComplete(name) => {
                for state in self.containers_of(&name) {
                    state.save_complete();
                }
                if let Some(suite) = self.suites.get_mut(&name) {
                    suite.save_complete();
                }
            }
            Event::EngineChanged => self.view.spoil(),
            Event::ToldToEnd(name) => {
                for state in self.containers_of(&name) {
                    state.outside.tells(now);
                }
            }
            Event::StoppedOutside(name) => {
                // What the user stopped is told late where it is several containers, or the engine has much to do.
                for state in self.containers_of(&name).filter(|state| !state.stopped) {
                    state.outside.says();
                }
                self.view.spoil();
            }
            Event::EngineBack => {
                self.epoch += 1;
                // What failed may have failed because the engine was going.
                self.failures.retain(|_, failure| failure.until.is_none());
                self.unheard.clear();
                self.view.spoil();
            }
            Event::Observed(observed) => self.observed(now, *observed),
            Event::LookFailed => self.view.failed(now),
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
            Event::RunEnded { run, outcome } => self.run_ended(now, &run, &outcome),
            Event::EnvironmentHeld(id) => {
                self.held.insert(id);
            }
            Event::EnvironmentLeft(id) => {
                self.held.remove(&id);
                self.leftovers.insert(id);
                self.view.spoil();
            }
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
                self.services.entry(name.clone()).or_default();
                for name in self.replicas_of(&name) {
                    let state = self.services.entry(name.clone()).or_default();
                    (state.stopped, state.outside) = (true, Outside::default());
                    self.failures.remove(&Subject::Service(name));
                }
            }
            Event::DownRequested { volumes } => {
                self.failures.clear();
                self.down = Some(Down { volumes, said: false });
                self.view.spoil();
            }
            Event::Tick => {}
        }
    }

    fn loaded(&mut self, now: Moment, desired: Desired) {
        self.loaded = true;
        let all_stopped = std::mem::take(&mut self.all_stopped);
        self.invalid = false;
        for (name, service) in &desired.services {
            let before = self.desired.services.get(name);
            let first = service.replica_of.as_ref().filter(|_| before.is_none());
            let first = first.and_then(|first| self.services.get(first)).cloned();
            // What the user has asked for since then is known.
            let stopped = all_stopped && !self.services.contains_key(name);
            let state = self.services.entry(name.clone()).or_default();
            state.stopped |= stopped;
            if let Some(first) = first {
                // What the user stopped is all of it, and what is there already may run what the others run.
                (state.stopped, state.outside) = (first.stopped, first.outside);
                (state.burst, state.due) = (first.burst, first.due);
            }
            // What is read for the first time is no change: what an earlier life of the daemon remembers of it holds.
            if before.is_some_and(|before| before != service) {
                state.forgive();
                self.failures.remove(&Subject::Service(name.clone()));
            }
            if before.is_some_and(|before| before.build.is_some() && before.build != service.build)
                && service.build.is_some()
            {
                state.build_changed(now);
            }
        }
        for (name, suite) in &desired.suites {
            let known = self.suites.contains_key(name);
            let state = self.suites.entry(name.clone()).or_default();
            // Of one that is defined again while its last run is still ending, nobody knows what that run tested.
            let before = self.desired.suites.get(name);
            if known && before.is_none_or(|before| before.definition != suite.definition) {
                state.redefined();
            }
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
        for name in self.replicas_of(&change.service) {
            if let Some(state) = self.services.get_mut(&name) {
                state.changed(now, change);
            }
            if change.reaction != Reaction::None {
                self.failures.remove(&Subject::Service(name));
            }
        }
        if change.tests
            && let Some(suite) = self.suites.get_mut(&change.service)
        {
            suite.changed(now, change);
        }
    }

    fn observed(&mut self, now: Moment, mut observed: Observed) {
        observed.name_replicas(&self.desired);
        for (name, state) in &mut self.services {
            let one_shot = self.desired.is_one_shot(name);
            state.observed(now, self.epoch, observed.main(name), one_shot);
        }
        // Only a trusted look says that something is gone.
        if self.view.looked(observed)
            && let Some(seen) = self.view.fresh()
        {
            self.leftovers = seen.environments.clone();
            for (name, state) in &mut self.services {
                if let Some(stopped) = state.outside.looked(seen.main(name).map(|main| main.state)) {
                    state.stopped = stopped;
                }
            }
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
        if result.is_err()
            && let Op::Pull(name) = &flight.op
            && let Some(state) = self.services.get_mut(name)
        {
            state.pulls = self.desired.services.get(name).is_some_and(|service| service.pull == Pull::Again);
        }
        if result != Err(OpError::Unreachable) {
            self.unheard.remove(&subject);
        }
        match result {
            Ok(()) => {
                self.failures.remove(&subject);
                if let Op::Build(base) | Op::Pull(base) = &flight.op {
                    self.base_changed(now, base);
                }
            }
            // What it was made from is not what is on disk any more: the next one may succeed.
            Err(OpError::Refused(_)) if self.is_outdated(&flight) => {
                self.failures.remove(&subject);
            }
            // Nothing is known of what became of it; the next look tells.
            Err(OpError::Unreachable) => {
                let attempts = self.unheard.get(&subject).map_or(0, |(attempts, _)| *attempts) + 1;
                self.unheard.insert(subject, (attempts, now + pause(attempts)));
                self.view.unanswered();
            }
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

    fn run_ended(&mut self, now: Moment, run: &RunId, outcome: &Outcome) {
        for suite in self.suites.values_mut() {
            suite.ended(now, run, outcome);
        }
        if *outcome == Outcome::Lost {
            // Without this it would be lost again and again, as fast as runs can start.
            self.view.unanswered();
        } else {
            self.view.spoil();
        }
        let desired = &self.desired;
        self.suites.retain(|name, suite| desired.suites.contains_key(name) || suite.running.is_some());
    }

    /// The names under which the containers of a service are kept.
    fn replicas_of(&self, service: &ServiceName) -> Vec<ServiceName> {
        self.desired.replicas(service).collect()
    }

    /// What is remembered of each container of a service.
    fn containers_of(&mut self, service: &ServiceName) -> impl Iterator<Item = &mut ServiceState> {
        self.services
            .iter_mut()
            .filter(move |(name, _)| replica::service(name) == *service)
            .map(|(_, state)| state)
    }

    fn up(&mut self, services: std::collections::BTreeSet<ServiceName>, build: bool) {
        self.down = None;
        let all = services.is_empty();
        if all {
            self.all_stopped = false;
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
            (state.stopped, state.outside) = (false, Outside::default());
            state.forgive();
            if build && self.desired.services.get(&name).is_some_and(|service| service.build.is_some()) {
                state.asked = Reaction::Rebuild;
            }
            state.pulls = self.desired.services.get(&name).is_some_and(|service| service.pull == Pull::Again);
            self.failures.remove(&Subject::Service(name));
        }
        for suite in self.suites.values_mut() {
            suite.reconsider();
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
            let is_meant = replica::service(&other) == *name;
            let state = self.services.entry(other.clone()).or_default();
            if std::mem::take(&mut state.stopped) || is_meant {
                state.outside = Outside::default();
                state.forgive();
            }
            if is_meant {
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
            Op::Build(name) => {
                for state in self.containers_of(name) {
                    state.building(now);
                }
            }
            Op::Pull(name) => self.services.entry(name.clone()).or_default().pulls = false,
            Op::Start(name, _) => {
                let state = self.services.entry(name.clone()).or_default();
                state.starting(now, self.epoch);
                state.fresh = true;
                state.restarts += u32::from(state.deaths > 0);
            }
            Op::Act(name, _) => self.services.entry(name.clone()).or_default().starting(now, self.epoch),
            Op::Restart(name, _) => {
                let state = self.services.entry(name.clone()).or_default();
                state.starting(now, self.epoch);
                state.restarts += 1;
            }
            Op::RemoveEnvironment(id) => {
                self.leftovers.remove(id);
            }
            Op::CreateNetwork(_)
            | Op::CreateVolume(_)
            | Op::Create(_)
            | Op::Stop(_, _)
            | Op::Remove(_, _)
            | Op::RemoveNetwork(_)
            | Op::RemoveVolume(_) => {}
        }
    }

    /// What is built from this image is out of date.
    fn base_changed(&mut self, now: Moment, base: &ServiceName) {
        for (name, service) in &self.desired.services {
            if service.bases.contains(base)
                && let Some(state) = self.services.get_mut(name)
            {
                state.build_changed(now);
            }
        }
    }

    /// Whether files changed since a build began.
    fn is_outdated(&self, flight: &crate::effect::Flight) -> bool {
        let Op::Build(name) = &flight.op else { return false };
        let burst = self.services.get(name).and_then(|state| state.burst.as_ref());
        burst.is_some_and(|burst| burst.last() >= flight.since)
    }
}
