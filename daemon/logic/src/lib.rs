//! What devd decides.
//!
//! State and event go in, effects come out. Nothing here does I/O, reads a clock or iterates over a hash map, so that
//! every decision can be tested in microseconds and replayed from its inputs. The daemon's loop feeds [`State::step`]
//! and carries out what it returns; what became of it comes back as another event.
//!
//! - **Record, then decide.** `apply` folds an event into the state and decides nothing; `plan` looks at the whole state.
//! - **Level-triggered.** A plan comes from where things stand, never from what just happened: a lost event costs time,
//!   not correctness.
//! - **Look before you act.** The planner touches containers only on a [`view::View`] newer than the last act.
//! - **Every act has a cause, every wait a reason.** Both are shown to the user.

// A new event, operation or reaction must be thought about everywhere it is handled. Only here: enums of the standard
// library and of others have too many words for it elsewhere.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod desired;
pub mod effect;
pub mod event;
pub mod observed;
pub mod replica;
pub mod status;
pub mod sweep;

mod apply;
mod backoff;
mod down;
mod image;
mod outside;
mod plan;
mod service;
mod settle;
mod suite;
mod view;

#[cfg(test)]
mod tests;

pub use desired::{Condition, Desired, Need, Pull, Service, Suite};
pub use effect::{Effect, Hold, Op, OpId, RunCause, Subject};
pub use event::{Change, Event, OpError, Outcome, Reaction};
pub use observed::{Container, ContainerState, EnvironmentId, Health, Observed};

use devd_proto::{ProjectName, RunId, ServiceName};
use service::ServiceState;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use suite::SuiteState;
use view::View;

/// A point in time: how long after the loop began.
pub type Moment = Duration;

/// What must outlive the daemon, because the engine can't tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Services the user stopped; [`EVERY`] stands for all that the files will name.
    pub stopped: BTreeSet<ServiceName>,
    /// Services the user asked for; `None` means all.
    pub selected: Option<BTreeSet<ServiceName>>,
    /// Services that ended by themselves with 0, with the start that ended so.
    pub completed: BTreeMap<ServiceName, String>,
}

/// No service can have this name.
pub const EVERY: &str = "*";

/// Limits that come from the machine and the user's settings.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Test runs of one project at the same time.
    pub runs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { runs: 2 }
    }
}

/// Everything known about one project.
#[derive(Debug)]
pub struct State {
    /// When the last step was.
    stepped: Moment,
    project: ProjectName,
    limits: Limits,
    desired: Desired,
    /// The files were read once: until then nothing is known of what should be.
    loaded: bool,
    /// All that the files name, once they are read, is stopped: it was taken down when nobody could read them.
    all_stopped: bool,
    invalid: bool,
    view: View,
    services: BTreeMap<ServiceName, ServiceState>,
    suites: BTreeMap<ServiceName, SuiteState>,
    /// Services to run with what they need; `None` means all.
    selected: Option<BTreeSet<ServiceName>>,
    /// Operations under way.
    flying: BTreeMap<OpId, effect::Flight>,
    next_op: u64,
    next_run: u64,
    /// What went wrong with something, and when to try again.
    failures: BTreeMap<Subject, backoff::Failure>,
    /// Operations that nothing was heard of, though looks are answered: how often in a row, and when to try again.
    unheard: BTreeMap<Subject, (u32, Moment)>,
    /// Environments that may be there and that nobody needs, were they not held.
    leftovers: BTreeSet<EnvironmentId>,
    /// Environments in use.
    held: BTreeSet<EnvironmentId>,
    down: Option<down::Down>,
    /// When the engine came back, counted: what was seen before says nothing of what happened in between.
    epoch: u64,
    remembered: Memory,
}

impl State {
    /// A project of which nothing is known yet. `next_run` is the number of its first run.
    pub fn new(project: ProjectName, limits: Limits, memory: Memory, next_run: u64) -> Self {
        let mut services: BTreeMap<ServiceName, ServiceState> = BTreeMap::new();
        for name in memory.stopped.iter().filter(|name| name.as_str() != EVERY) {
            services.entry(name.clone()).or_default().stopped = true;
        }
        for (name, start) in &memory.completed {
            services.entry(name.clone()).or_default().completed = Some(start.clone());
        }
        Self {
            stepped: Moment::ZERO,
            project,
            limits,
            desired: Desired::default(),
            loaded: false,
            all_stopped: memory.stopped.contains(EVERY),
            invalid: false,
            view: View::default(),
            services,
            suites: BTreeMap::new(),
            selected: memory.selected.clone(),
            flying: BTreeMap::new(),
            next_op: 1,
            next_run,
            failures: BTreeMap::new(),
            unheard: BTreeMap::new(),
            leftovers: BTreeSet::new(),
            held: BTreeSet::new(),
            down: None,
            epoch: 0,
            remembered: memory,
        }
    }

    /// Takes note of an event and says what is to be done now.
    pub fn step(&mut self, now: Moment, event: Event) -> Vec<Effect> {
        self.stepped = now;
        self.apply(now, event);
        let plan = plan::plan(self, now);
        self.begin(now, plan)
    }

    /// When a [`Event::Tick`] would change something; `None` when only an event can.
    ///
    /// As of the last step: what has become due since, and be it while somebody came to ask this, was not done then, and
    /// its moment has to be told.
    pub fn next_deadline(&self) -> Option<Moment> {
        plan::plan(self, self.stepped).wake
    }

    /// Why each service that is due does nothing.
    pub fn holds(&self, now: Moment) -> BTreeMap<ServiceName, Hold> {
        plan::plan(self, now).holds
    }

    /// Why each suite that is due does not run.
    pub fn suite_holds(&self, now: Moment) -> BTreeMap<ServiceName, Hold> {
        plan::plan(self, now).suite_holds
    }

    /// Reserves the id of a run that is about to be asked for.
    pub fn reserve_run(&mut self) -> RunId {
        number_run(&self.project, &mut self.next_run)
    }

    /// The run that a request for these tests may join instead of starting another: one of what is on disk now.
    pub fn joinable_run(&self, service: &ServiceName, args: &[String]) -> Option<RunId> {
        self.suites.get(service)?.joinable(args)
    }

    /// Whether a run was asked for and has not begun.
    pub fn is_waiting(&self, run: &RunId) -> bool {
        self.suites.values().any(|suite| suite.is_waiting(run))
    }

    /// The operation of this number, while it is under way.
    pub fn operation(&self, id: OpId) -> Option<&Op> {
        self.flying.get(&id).map(|flight| &flight.op)
    }

    /// The definition in force.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// Whether a service is meant to run: selected, or needed by one that is, and not stopped by hand.
    pub fn wanted(&self, name: &ServiceName) -> bool {
        self.down.is_none()
            && self.is_selected(name)
            && !self.desired.services.get(name).is_some_and(|service| service.absent)
            && !self.services.get(name).is_some_and(|service| service.stopped)
    }

    /// Whether files of a service changed that not all of it has reacted to.
    pub fn is_behind(&self, service: &ServiceName) -> bool {
        let mut containers = self.desired.replicas(service).filter_map(|name| self.services.get(&name));
        containers.any(|state| state.burst.is_some() || state.due != Reaction::None)
    }

    fn is_selected(&self, name: &ServiceName) -> bool {
        match &self.selected {
            None => self.desired.services.contains_key(name),
            Some(selected) => self.desired.closure(selected).contains(name),
        }
    }

    fn busy(&self, subject: &Subject) -> Option<&Op> {
        self.flying.values().find(|flight| flight.op.subject() == *subject).map(|flight| &flight.op)
    }

    /// What must outlive the daemon.
    pub fn memory(&self) -> Memory {
        // A daemon that is cut off while it takes a project down must not bring it up again, and stops what still runs.
        let down = self.down.is_some();
        let selected = if down { Some(BTreeSet::new()) } else { self.selected.clone() };
        let stopped = self.services.iter().filter(|(_, service)| down || service.stopped);
        let every = self.all_stopped || (down && !self.loaded);
        let completed = self.services.iter();
        Memory {
            stopped: stopped.map(|(name, _)| name.clone()).chain(every.then(|| EVERY.into())).collect(),
            selected,
            completed: completed
                .filter_map(|(name, service)| Some((name.clone(), service.completed.clone()?)))
                .collect(),
        }
    }

    /// Remembers what is under way from now on, and numbers it.
    fn begin(&mut self, now: Moment, plan: plan::Plan) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (op, cause) in plan.ops {
            let id = OpId(self.next_op);
            self.next_op += 1;
            self.begin_op(now, &op);
            self.flying.insert(id, effect::Flight { op: op.clone(), since: now });
            effects.push(Effect::Op { id, op, cause });
        }
        for (service, started) in plan.probes {
            let state = self.services.entry(service.clone()).or_default();
            state.probing = Some(started.clone());
            effects.push(Effect::Probe { service, started });
        }
        for run in plan.cancels {
            for suite in self.suites.values_mut() {
                suite.cancelling(&run);
            }
            effects.push(Effect::CancelRun { run });
        }
        for service in plan.runs {
            let (project, next_run) = (&self.project, &mut self.next_run);
            if let Some(suite) = self.suites.get_mut(&service) {
                effects.push(suite.begin(now, &service, || number_run(project, next_run)));
            }
        }
        if plan.look {
            self.view.looking();
            effects.push(Effect::Look);
        }
        let memory = self.memory();
        if memory != self.remembered {
            self.remembered = memory.clone();
            effects.push(Effect::Remember(memory));
        }
        if plan.gone {
            effects.push(Effect::Gone { problems: self.down_problems() });
        }
        effects
    }
}

fn number_run(project: &ProjectName, next: &mut u64) -> RunId {
    let id = RunId::new(format!("{project}-{next}"));
    *next += 1;
    id
}
