//! From the whole state to what is to be done now, what waits and why, and when to look again.

use crate::backoff::Failure;
use crate::observed::{Container, ContainerState, Health, Observed};
use crate::suite::Due;
use crate::{Condition, Hold, Moment, Need, Op, Reaction, Service, State, Subject};
use devd_proto::{RunId, ServiceName};
use std::collections::BTreeMap;

/// What one look at the state leads to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) ops: Vec<(Op, String)>,
    /// Services to probe, with the start that is meant.
    pub(crate) probes: Vec<(ServiceName, String)>,
    /// Suites to run.
    pub(crate) runs: Vec<ServiceName>,
    /// Runs to end.
    pub(crate) cancels: Vec<RunId>,
    pub(crate) look: bool,
    pub(crate) gone: bool,
    pub(crate) holds: BTreeMap<ServiceName, Hold>,
    pub(crate) suite_holds: BTreeMap<ServiceName, Hold>,
    /// When time alone changes the plan.
    pub(crate) wake: Option<Moment>,
}

impl Plan {
    pub(crate) fn op(&mut self, op: Op, cause: impl Into<String>) {
        self.ops.push((op, cause.into()));
    }

    pub(crate) fn wake_at(&mut self, at: Option<Moment>) {
        self.wake = match (self.wake, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    pub(crate) fn hold(&mut self, service: &ServiceName, hold: Hold) {
        self.holds.insert(service.clone(), hold);
    }
}

pub(crate) fn plan(state: &State, now: Moment) -> Plan {
    let mut plan = Plan { look: state.view.wants_look(now), wake: state.view.retry(), ..Plan::default() };
    if let Some(down) = &state.down {
        state.plan_no_runs(&mut plan);
        if let Some(seen) = state.view.fresh() {
            state.plan_down(now, seen, down, &mut plan);
        }
        return plan;
    }
    // To somebody who has not read the files everything that is there is one too many.
    if !state.loaded {
        return plan;
    }
    match state.view.fresh() {
        Some(seen) => {
            state.plan_resources(now, seen, &mut plan);
            state.plan_leftovers(now, &mut plan);
            for (name, service) in &state.desired.services {
                state.plan_service(now, seen, name, service, &mut plan);
            }
            state.plan_orphans(now, seen, &mut plan);
        }
        None => {
            for name in state.desired.services.keys().filter(|name| state.wanted(name)) {
                if state.view.is_unreachable() || state.view.last().is_none() {
                    plan.hold(name, Hold::Engine);
                }
                // What is due is due, also while the view is stale: it must not be forgotten to wake for it.
                if let Some(burst) = &state.services[name].burst {
                    plan.wake_at(Some(burst.settles()).filter(|settles| *settles > now));
                }
            }
        }
    }
    state.plan_suites(now, &mut plan);
    // One that drops a connection at a request answers the next look all the same.
    let mut later = None;
    plan.ops.retain(|(op, _)| match state.unheard.get(&op.subject()) {
        Some((_, until)) if now < *until => {
            later = later.into_iter().chain([*until]).min();
            false
        }
        _ => true,
    });
    plan.wake_at(later);
    plan
}

impl State {
    fn plan_resources(&self, now: Moment, seen: &Observed, plan: &mut Plan) {
        if !self.desired.services.keys().any(|name| self.wanted(name)) {
            return;
        }
        let networks =
            self.desired.networks.difference(&seen.networks).map(|name| Op::CreateNetwork(name.clone()));
        let volumes =
            self.desired.volumes.difference(&seen.volumes).map(|name| Op::CreateVolume(name.clone()));
        for op in networks.chain(volumes) {
            self.plan_op(now, op, "not there yet", plan);
        }
    }

    fn plan_leftovers(&self, now: Moment, plan: &mut Plan) {
        for id in self.leftovers.iter().filter(|id| !self.held.contains(id)) {
            self.plan_op(now, Op::RemoveEnvironment(id.clone()), "nobody needs it any more", plan);
        }
    }

    /// Containers of services that the files no longer have: compose calls them orphans and leaves them; so does devd,
    /// except for those it made.
    fn plan_orphans(&self, now: Moment, seen: &Observed, plan: &mut Plan) {
        for container in &seen.containers {
            let known = self.desired.services.get(&container.service);
            let cause = match known {
                None if container.definition.is_some() => "its service is no longer in the files",
                Some(service) if service.absent => "the files ask for none of it",
                None | Some(_) => continue,
            };
            let op = Op::Remove(container.service.clone(), container.id.clone());
            self.plan_op(now, op, cause, plan);
        }
    }

    /// Plans an operation unless its subject is busy or has just failed.
    fn plan_op(&self, now: Moment, op: Op, cause: &str, plan: &mut Plan) {
        let subject = op.subject();
        if self.busy(&subject).is_some() || plan.ops.iter().any(|(planned, _)| planned.subject() == subject) {
            return;
        }
        match self.failures.get(&subject) {
            // A build that failed for good is no reason to keep what it was meant for, nor to have it run.
            Some(Failure { until: None, .. }) if matches!(op, Op::Remove(..) | Op::Stop(..)) => {
                plan.op(op, cause);
            }
            Some(failure) if failure.holds(now) => plan.wake_at(failure.until),
            _ => plan.op(op, cause),
        }
    }

    fn plan_service(
        &self,
        now: Moment,
        seen: &Observed,
        name: &ServiceName,
        service: &Service,
        plan: &mut Plan,
    ) {
        let state = &self.services[name];
        if let Some(burst) = &state.burst {
            plan.wake_at(Some(burst.settles()).filter(|settles| *settles > now));
        }
        if let Some(op) = self.busy(&Subject::Service(name.clone())) {
            return plan.hold(name, Hold::Busy(doing(op)));
        }
        let container = seen.main(name);
        if service.absent {
            return;
        }
        let surplus = seen.of(name).filter(|other| container.is_some_and(|main| main.id != other.id));
        if let Some(surplus) = surplus.into_iter().find(|it| self.wanted(name) || it.definition.is_some()) {
            let op = Op::Remove(name.clone(), surplus.id.clone());
            return self.plan_op(now, op, "there are more than the files ask for", plan);
        }
        if !self.wanted(name) {
            // What nobody has asked for yet may run from before its project was registered anew: it is left alone.
            if let Some(container) = container
                && is_up(container.state)
                && state.stopped
            {
                let op = Op::Stop(name.clone(), container.id.clone());
                return self.plan_op(now, op, "it is meant to be stopped", plan);
            }
            // Others may need its image.
            if !self.gives_its_image(name) {
                return;
            }
        }
        if let Some(failure) = self.failures.get(&Subject::Service(name.clone()))
            && failure.holds(now)
        {
            plan.wake_at(failure.until);
            return plan.hold(name, Hold::Failed { reason: failure.reason.clone(), until: failure.until });
        }
        let reaction = state.reaction(now);
        if let Some((path, until)) = state.rounds.hold(now)
            && reaction != Reaction::None
            && state.asked == Reaction::None
        {
            plan.wake_at(Some(until));
            return plan.hold(name, Hold::Loop { path: path.to_owned(), until });
        }
        let Some(image) = self.plan_image(now, seen, name, service, reaction, plan) else { return };
        if !self.wanted(name) {
            return;
        }
        let missing = self
            .desired
            .networks
            .difference(&seen.networks)
            .chain(self.desired.volumes.difference(&seen.volumes));
        if let Some(resource) = missing.into_iter().next() {
            return plan.hold(name, Hold::Resource(resource.clone()));
        }
        let Some(container) = container else {
            let missing = others(name, service).find(|other| seen.main(other).is_none());
            if let Some(other) = missing {
                return plan.hold(name, self.needs_a_container(seen, other));
            }
            return plan.op(Op::Create(name.clone()), "it has no container");
        };
        if !is_current(container, service) {
            let cause = if container.definition.is_some() {
                "its definition changed"
            } else {
                "it was not made from these files"
            };
            return plan.op(Op::Remove(name.clone(), container.id.clone()), cause);
        }
        let there = |it: &Container| container.shares.contains(&it.id) || container.shares.contains(&it.name);
        let shares = |other: &ServiceName| seen.main(other).is_some_and(there);
        if let Some(other) = others(name, service).find(|other| !shares(other)) {
            let cause = format!("it shares something of a container of {other} that is gone");
            return plan.op(Op::Remove(name.clone(), container.id.clone()), cause);
        }
        if container.image != image {
            return plan.op(Op::Remove(name.clone(), container.id.clone()), "its image changed");
        }
        // What has ended by itself needs no network any more.
        let ended = state.completed.as_ref() == Some(&container.started) && reaction == Reaction::None;
        if let Some(network) = container.lost_network.as_ref().filter(|_| !ended) {
            let cause = format!("its network {network} was removed and made anew");
            return plan.op(Op::Remove(name.clone(), container.id.clone()), cause);
        }
        match container.state {
            ContainerState::Running => self.plan_running(now, name, container, reaction, plan),
            ContainerState::Created | ContainerState::Exited(_) => {
                self.plan_start(now, seen, name, service, container, plan);
            }
            ContainerState::Paused => plan.hold(name, Hold::Paused),
            ContainerState::Restarting => plan.hold(name, Hold::Busy("the engine restarts it")),
            ContainerState::Removing => plan.hold(name, Hold::Busy("being removed")),
        }
    }

    /// Why a container that shares something of another service's has to wait until there is one.
    fn needs_a_container(&self, seen: &Observed, other: &ServiceName) -> Hold {
        let need = Need { service: other.clone(), condition: Condition::Started, required: true };
        let (service, condition) = (other.clone(), need.condition.word());
        if self.is_lost(seen, &need) {
            Hold::NeedsInVain { service, condition }
        } else {
            Hold::Needs { service, condition }
        }
    }

    fn plan_running(
        &self,
        now: Moment,
        name: &ServiceName,
        container: &Container,
        reaction: Reaction,
        plan: &mut Plan,
    ) {
        let state = &self.services[name];
        let id = container.id.clone();
        match reaction {
            Reaction::Restart | Reaction::Rebuild => plan.op(Op::Restart(name.clone(), id), self.why(name)),
            Reaction::Act => plan.op(Op::Act(name.clone(), id), self.why(name)),
            Reaction::None => {
                if state.burst.as_ref().is_some_and(|burst| burst.settles() > now) {
                    plan.hold(name, Hold::Settling);
                }
                if container.health == Health::None {
                    plan.wake_at(state.stays_from().filter(|from| *from > now));
                }
                let probed = state.probed.as_ref().is_some_and(|(start, _)| *start == container.started);
                if container.health == Health::Starting && !probed && state.probing.is_none() {
                    plan.probes.push((name.clone(), container.started.clone()));
                }
            }
        }
    }

    fn plan_start(
        &self,
        now: Moment,
        seen: &Observed,
        name: &ServiceName,
        service: &Service,
        container: &Container,
        plan: &mut Plan,
    ) {
        let state = &self.services[name];
        if state.completed.as_ref() == Some(&container.started) && state.reaction(now) == Reaction::None {
            return;
        }
        if let ContainerState::Exited(code) = container.state {
            if state.given_up() {
                return plan.hold(name, Hold::Backoff { code, until: None });
            }
            if let Some(again) = state.again.filter(|again| now < *again) {
                plan.wake_at(Some(again));
                return plan.hold(name, Hold::Backoff { code, until: Some(again) });
            }
        }
        if let Some(need) = service.needs.iter().find(|need| !self.is_met(seen, name, need)) {
            let (service, condition) = (need.service.clone(), need.condition.word());
            let hold = if self.is_lost(seen, need) {
                Hold::NeedsInVain { service, condition }
            } else {
                Hold::Needs { service, condition }
            };
            return plan.hold(name, hold);
        }
        plan.op(Op::Start(name.clone(), container.id.clone()), self.why(name));
    }

    /// The cause of a start, a restart or a build.
    pub(crate) fn why(&self, name: &ServiceName) -> String {
        let state = &self.services[name];
        match &state.burst {
            _ if state.asked != Reaction::None => "requested".to_owned(),
            Some(burst) => format!("{} changed", burst.path),
            None if state.deaths > 0 => "it died".to_owned(),
            None => "it does not run".to_owned(),
        }
    }

    fn is_met(&self, seen: &Observed, name: &ServiceName, need: &Need) -> bool {
        // A service that is not kept, or no longer there, cannot be waited for.
        let kept = self.desired.services.get(&need.service).is_some_and(|service| !service.absent);
        if !kept || need.service == *name {
            return true;
        }
        let Some(container) = seen.main(&need.service) else {
            return !need.required && self.is_lost(seen, need);
        };
        let met = match need.condition {
            // Its start is over when what the files want done right after it is done.
            Condition::Started => {
                matches!(container.state, ContainerState::Running | ContainerState::Exited(0))
                    && !matches!(self.busy(&Subject::Service(need.service.clone())), Some(Op::Start(_, _)))
            }
            Condition::Healthy => self.is_healthy(container),
            Condition::Completed => {
                self.services[&need.service].completed.as_ref() == Some(&container.started)
                    && container.state == ContainerState::Exited(0)
            }
        };
        met || (!need.required && self.is_lost(seen, need))
    }

    /// Whether a need will not be met by waiting alone.
    fn is_lost(&self, seen: &Observed, need: &Need) -> bool {
        let Some(state) = self.services.get(&need.service) else { return false };
        let failed = self.failures.contains_key(&Subject::Service(need.service.clone()));
        let container = seen.main(&need.service);
        let without_check = need.condition == Condition::Healthy
            && container.is_some_and(|container| {
                container.state == ContainerState::Running && container.health == Health::None
            });
        let unhealthy =
            need.condition == Condition::Healthy && container.is_some_and(|it| self.is_unhealthy(it));
        failed || state.keeps_dying() || state.stopped || without_check || unhealthy
    }

    pub(crate) fn is_healthy(&self, container: &Container) -> bool {
        container.state == ContainerState::Running
            && match container.health {
                Health::Healthy => true,
                Health::Starting => self.probe_said(container) == Some(true),
                Health::None | Health::Unhealthy => false,
            }
    }

    pub(crate) fn is_unhealthy(&self, container: &Container) -> bool {
        container.state == ContainerState::Running
            && match container.health {
                Health::Unhealthy => true,
                Health::Starting => self.probe_said(container) == Some(false),
                Health::None | Health::Healthy => false,
            }
    }

    fn probe_said(&self, container: &Container) -> Option<bool> {
        let (start, healthy) = self.services.get(&container.service)?.probed.as_ref()?;
        (*start == container.started).then_some(*healthy)
    }

    fn plan_suites(&self, now: Moment, plan: &mut Plan) {
        let is_up = self.is_up(now, plan);
        let mut running = self.suites.values().filter(|suite| suite.running.is_some()).count();
        for (name, suite) in &self.suites {
            if let Some(run) = suite.supersede(now) {
                plan.cancels.push(run.clone());
            }
            let on_change = self.desired.suites.get(name).is_some_and(|suite| suite.on_change);
            let hold = match suite.due(now, on_change) {
                Due::Nothing => continue,
                Due::Settling(until) => {
                    plan.wake_at(Some(until));
                    Hold::Settling
                }
                Due::Loop(path, until) => {
                    plan.wake_at(Some(until));
                    Hold::Loop { path, until }
                }
                Due::Content => Hold::Content,
                Due::Run if suite.running.is_some() => Hold::Running,
                Due::Run if self.view.is_unreachable() || self.view.last().is_none() => Hold::Engine,
                Due::Run if suite.too_soon(now).is_some() => {
                    plan.wake_at(suite.too_soon(now));
                    Hold::Engine
                }
                Due::Run if running >= self.limits.runs => Hold::Slots,
                // Builds of a first `up` come before tests that nobody waits for.
                Due::Run if !suite.is_waited_for() && suite.verdict.is_none() && !is_up => Hold::Services,
                Due::Run => {
                    plan.runs.push(name.clone());
                    running += 1;
                    continue;
                }
            };
            plan.suite_holds.insert(name.clone(), hold);
        }
    }
}

/// Whether a container is what the files say. One that compose made is taken over as it is.
fn is_current(container: &Container, service: &Service) -> bool {
    match &container.definition {
        Some(definition) => *definition == service.definition,
        None => container.config_hash.as_ref() == Some(&service.config_hash),
    }
}

/// The services whose containers it shares something of.
fn others<'a>(name: &'a ServiceName, service: &'a Service) -> impl Iterator<Item = &'a ServiceName> {
    service.shares.iter().filter(move |other| *other != name)
}

fn is_up(state: ContainerState) -> bool {
    match state {
        ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => true,
        ContainerState::Created | ContainerState::Exited(_) | ContainerState::Removing => false,
    }
}

fn doing(op: &Op) -> &'static str {
    match op {
        Op::CreateNetwork(_) | Op::CreateVolume(_) | Op::Create(_) => "being created",
        Op::Build(_) => "building its image",
        Op::Pull(_) => "pulling its image",
        Op::Start(_, _) => "starting",
        Op::Stop(_, _) => "stopping",
        Op::Restart(_, _) => "restarting",
        Op::Act(_, _) => "reacting to a change",
        Op::Remove(_, _) | Op::RemoveNetwork(_) | Op::RemoveVolume(_) | Op::RemoveEnvironment(_) => {
            "being removed"
        }
    }
}
