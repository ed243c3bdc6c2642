//! Saves on their way, from the first change that something has not reacted to until the last thing that came of it has
//! ended: how long that took, for the metrics and for traces.

use crate::clock::Clock;
use crate::system::metrics::Metrics;
use crate::system::traces::{Trace, Traces};
use devd_logic::{Change, Moment, Op, OpId, Reaction, State};
use devd_proto::{ProjectName, ServiceName};
use std::collections::BTreeMap;

/// Those of one project.
#[derive(Debug)]
pub(super) struct Saves {
    project: ProjectName,
    clock: Clock,
    metrics: Metrics,
    traces: Traces,
    /// What each service has not reacted to yet.
    owed: BTreeMap<ServiceName, Owed>,
    /// What no tests of each service have begun for.
    untested: BTreeMap<ServiceName, Trace>,
    /// Operations under way that came of a save.
    acting: BTreeMap<OpId, Acting>,
}

#[derive(Clone, Debug)]
struct Owed {
    /// When the first change came that asks for a restart.
    restart: Option<Moment>,
    trace: Trace,
}

#[derive(Debug)]
struct Acting {
    service: ServiceName,
    name: &'static str,
    since: Moment,
    /// The moment of the change that a restart was caused by.
    restart: Option<Moment>,
    trace: Trace,
}

impl Saves {
    pub(super) fn new(project: ProjectName, clock: Clock, metrics: Metrics, traces: Traces) -> Self {
        let (owed, untested, acting) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { project, clock, metrics, traces, owed, untested, acting }
    }

    /// Files of a service changed. What still waits from before is of one save with them: one restart and one run
    /// answer both.
    pub(super) fn changed(&mut self, now: Moment, change: &Change) {
        let (service, acts) = (&change.service, change.reaction != Reaction::None);
        if !acts && !change.tests {
            return;
        }
        let waiting = self.owed.get(service).map(|owed| &owed.trace).or_else(|| self.untested.get(service));
        let trace = waiting.cloned();
        let trace = trace.unwrap_or_else(|| self.traces.save(&self.project, service, self.clock, now));
        trace.files(&change.path, change.files);
        if acts {
            let owed = Owed { restart: None, trace: trace.clone() };
            let owed = self.owed.entry(service.clone()).or_insert(owed);
            if change.reaction == Reaction::Restart {
                owed.restart.get_or_insert(now);
            }
        }
        if change.tests {
            self.untested.entry(service.clone()).or_insert(trace);
        }
    }

    /// An operation begins.
    pub(super) fn begins(&mut self, now: Moment, id: OpId, op: &Op) {
        let Some((service, name)) = named(op) else { return };
        let owed = if is_last(op) { self.owed.remove(service) } else { self.owed.get(service).cloned() };
        let Some(Owed { restart, trace }) = owed else { return };
        let restart = restart.filter(|_| matches!(op, Op::Restart(_, _)));
        if let Some(change) = restart {
            self.metrics.restart("decided", now.saturating_sub(change));
        }
        trace.decided(now);
        self.acting.insert(id, Acting { service: service.clone(), name, since: now, restart, trace });
    }

    /// An operation has ended, and whether it did what it was to do. What is tried again later is
    /// not the save's any more.
    pub(super) fn ended(&mut self, now: Moment, id: OpId, op: Option<&Op>, done: bool) {
        let Some(Acting { service, name, since, restart, trace }) = self.acting.remove(&id) else { return };
        if done && let Some(change) = restart {
            self.metrics.restart("done", now.saturating_sub(change));
        }
        trace.operation(name, since, now, done);
        if !done && !op.is_some_and(is_last) {
            self.owed.remove(&service);
        }
    }

    /// A run of all the tests of a service begins: the save that it is for, if it is for one.
    pub(super) fn tested(&mut self, now: Moment, service: &ServiceName) -> Trace {
        let trace = self.untested.remove(service).unwrap_or_default();
        trace.decided(now);
        trace
    }

    /// Forgets what nothing will come of any more: services that are stopped or were begun by somebody else, tests
    /// that are not run by themselves.
    pub(super) fn settle(&mut self, state: &State) {
        self.owed.retain(|service, _| state.wanted(service) && state.is_behind(service));
        let suites = &state.desired().suites;
        self.untested.retain(|service, _| suites.get(service).is_some_and(|suite| suite.on_change));
    }
}

/// The service that an operation is about and its name in a trace, if it is one of those by which a service reacts.
fn named(op: &Op) -> Option<(&ServiceName, &'static str)> {
    match op {
        Op::Build(service) => Some((service, "build")),
        Op::Create(service) => Some((service, "create")),
        Op::Start(service, _) => Some((service, "start")),
        Op::Restart(service, _) => Some((service, "restart")),
        Op::Act(service, _) => Some((service, "act")),
        Op::Remove(service, _) => Some((service, "remove")),
        Op::Pull(_)
        | Op::Stop(_, _)
        | Op::CreateNetwork(_)
        | Op::CreateVolume(_)
        | Op::RemoveNetwork(_)
        | Op::RemoveVolume(_)
        | Op::RemoveEnvironment(_) => None,
    }
}

/// Whether the service has reacted with it: what comes before it only makes ready.
fn is_last(op: &Op) -> bool {
    matches!(op, Op::Start(_, _) | Op::Restart(_, _) | Op::Act(_, _))
}
