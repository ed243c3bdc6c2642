//! How a project is, in the words of the API.

use crate::observed::{ContainerState, Health, Observed};
use crate::plan::Plan;
use crate::{Hold, Moment, Op, Outcome, State, Subject, replica};
use devd_proto::{
    Health as HealthWord, ProjectState, RunId, ServiceName, ServiceState as StateWord, TestsState,
};
use std::collections::BTreeMap;

/// Why a service is stopped whose number of containers is zero.
const ABSENT: &str = "the files ask for none of it";

/// Why a service is stopped that devd did not stop.
const OUTSIDE: &str = "stopped by somebody else; `devd start` or `devd up` starts it";

/// A project as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectView {
    /// Its state.
    pub state: ProjectState,
    /// Nothing is under way and nothing is waited for that will come by itself, tests apart.
    pub settled: bool,
    /// Its services.
    pub services: BTreeMap<ServiceName, ServiceView>,
    /// The containers of those that are not one container, each as if it were a service: see [`crate::replica`].
    pub replicas: BTreeMap<ServiceName, Vec<ServiceView>>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// What it does.
    pub state: StateWord,
    /// What its health check says.
    pub health: HealthWord,
    /// Why it waits or failed.
    pub reason: Option<String>,
    /// Restarts by devd.
    pub restarts: u32,
    /// The last change: its path, when, and the reaction.
    pub last_change: Option<(String, Moment, &'static str)>,
    /// Its tests.
    pub tests: TestsView,
}

/// A service's tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestsView {
    /// How they are.
    pub state: TestsState,
    /// The verdict is for what is on disk.
    pub current: bool,
    /// The run under way.
    pub run: Option<RunId>,
    /// Why they wait.
    pub reason: Option<String>,
}

/// Puts the containers of a service together into what the service is.
fn together(services: &mut BTreeMap<ServiceName, ServiceView>) -> BTreeMap<ServiceName, Vec<ServiceView>> {
    let mut replicas: BTreeMap<ServiceName, BTreeMap<u32, (ServiceName, ServiceView)>> = BTreeMap::new();
    for name in services.keys().cloned().collect::<Vec<_>>() {
        let (service, number) = replica::parse(&name);
        if number > 1
            && let Some(view) = services.remove(&name)
        {
            replicas.entry(service).or_default().insert(number, (name, view));
        }
    }
    let each = replicas.into_iter().filter_map(|(service, others)| {
        let first = services.get_mut(&service)?;
        let mut each = vec![first.clone()];
        for (name, view) in others.into_values() {
            first.restarts += view.restarts;
            first.health = worse(first.health, view.health);
            if weight(view.state) > weight(first.state) {
                first.state = view.state;
                first.reason = view.reason.as_ref().map(|reason| format!("{name}: {reason}"));
            }
            each.push(view);
        }
        Some((service, each))
    });
    each.collect()
}

/// Which state of one container is the whole service's.
fn weight(state: StateWord) -> u8 {
    match state {
        StateWord::Completed => 0,
        StateWord::Running => 1,
        StateWord::Stopped => 2,
        StateWord::Pending => 3,
        StateWord::Starting => 4,
        StateWord::Restarting => 5,
        StateWord::Building => 6,
        StateWord::Backoff => 7,
        // The last one is never ours.
        StateWord::Failed | StateWord::Unknown => 8,
    }
}

fn worse(a: HealthWord, b: HealthWord) -> HealthWord {
    let weight = |health| match health {
        HealthWord::None | HealthWord::Unknown => 0,
        HealthWord::Healthy => 1,
        HealthWord::Starting => 2,
        HealthWord::Unhealthy => 3,
    };
    if weight(b) > weight(a) { b } else { a }
}

impl State {
    /// How everything is.
    pub fn status(&self, now: Moment) -> ProjectView {
        let plan = crate::plan::plan(self, now);
        let mut services = BTreeMap::new();
        let mut settled = self.down.is_none() && self.flying.is_empty();
        let empty = Observed::default();
        let seen = self.view.last().unwrap_or(&empty);
        let pending =
            plan.look || !plan.ops.is_empty() || (self.view.fresh().is_none() && !self.view.is_unreachable());
        for name in self.desired.services.keys() {
            let (state, reason) = self.service_word(now, seen, name, plan.holds.get(name));
            settled &= self.is_settled(state, plan.holds.get(name), name) && self.stays(now, seen, name);
            let view = ServiceView {
                state,
                health: self.health_word(seen, name),
                reason,
                restarts: self.services[name].restarts,
                last_change: self.services[name].last_change.clone(),
                tests: self.tests_view(name, plan.suite_holds.get(name)),
            };
            services.insert(name.clone(), view);
        }
        let replicas = together(&mut services);
        let words: Vec<StateWord> = services.values().map(|service| service.state).collect();
        let wanted = self.desired.services.keys().any(|name| self.wanted(name));
        ProjectView {
            state: self.project_word(&words, wanted),
            settled: settled && !pending,
            services,
            replicas,
        }
    }

    /// Whether no service is on its way any more.
    pub(crate) fn is_up(&self, now: Moment, plan: &Plan) -> bool {
        let Some(seen) = self.view.fresh() else { return false };
        let of_service = |op: &Op| matches!(op.subject(), Subject::Service(_));
        if self.flying.values().any(|flight| of_service(&flight.op))
            || plan.ops.iter().any(|(op, _)| of_service(op))
        {
            return false;
        }
        self.desired.services.keys().all(|name| {
            let hold = plan.holds.get(name);
            self.is_settled(self.service_word(now, seen, name, hold).0, hold, name)
        })
    }

    /// Whether what runs is not one of those that end at once.
    fn stays(&self, now: Moment, seen: &Observed, name: &ServiceName) -> bool {
        let speaks =
            seen.main(name).is_none_or(|it| it.state != ContainerState::Running || it.health != Health::None);
        speaks || self.services[name].stays_from().is_none_or(|from| from <= now)
    }

    fn project_word(&self, words: &[StateWord], wanted: bool) -> ProjectState {
        if self.invalid {
            return ProjectState::Invalid;
        }
        if !wanted {
            return ProjectState::Stopped;
        }
        let any = |states: &[StateWord]| words.iter().any(|word| states.contains(word));
        if any(&[StateWord::Failed, StateWord::Backoff]) {
            ProjectState::Degraded
        } else if any(&[StateWord::Pending, StateWord::Building, StateWord::Starting]) {
            ProjectState::Starting
        } else {
            ProjectState::Running
        }
    }

    fn is_settled(&self, state: StateWord, hold: Option<&Hold>, name: &ServiceName) -> bool {
        match state {
            StateWord::Pending => {
                matches!(hold, Some(Hold::NeedsInVain { .. } | Hold::Paused | Hold::Engine))
            }
            StateWord::Building | StateWord::Starting | StateWord::Restarting => false,
            StateWord::Backoff => self.services[name].keeps_dying(),
            StateWord::Running
            | StateWord::Stopped
            | StateWord::Completed
            | StateWord::Failed
            | StateWord::Unknown => true,
        }
    }

    fn service_word(
        &self,
        now: Moment,
        seen: &Observed,
        name: &ServiceName,
        hold: Option<&Hold>,
    ) -> (StateWord, Option<String>) {
        let state = &self.services[name];
        // What it is busy with, its state says.
        let why = hold.filter(|hold| !matches!(hold, Hold::Busy(_))).map(ToString::to_string);
        match self.busy(&Subject::Service(name.clone())) {
            Some(Op::Build(_) | Op::Pull(_)) => return (StateWord::Building, why),
            Some(Op::Start(_, _) | Op::Create(_)) if self.wanted(name) => return (StateWord::Starting, why),
            Some(Op::Restart(_, _)) => return (StateWord::Restarting, why),
            Some(Op::Remove(_, _)) if self.wanted(name) => return (StateWord::Starting, why),
            _ => {}
        }
        let runs = seen.main(name).is_some_and(|container| container.state == ContainerState::Running);
        if !self.wanted(name) {
            let absent = self.desired.services[name].absent.then(|| ABSENT.to_owned());
            let outside = (!runs && state.outside.is_stopped()).then(|| OUTSIDE.to_owned());
            return (StateWord::Stopped, runs.then(|| "stopping".to_owned()).or(absent).or(outside));
        }
        if let Some(failure) = self.failures.get(&Subject::Service(name.clone())) {
            let old = if runs { "what ran before keeps running: " } else { "" };
            return (StateWord::Failed, Some(format!("{old}{}", failure.reason)));
        }
        match hold {
            Some(Hold::Failed { reason, .. }) => return (StateWord::Failed, Some(reason.clone())),
            Some(Hold::NeedsInVain { .. }) => return (StateWord::Pending, why),
            _ => {}
        }
        // Nothing holds it: the next step only waits for a look.
        let next = match hold {
            None | Some(Hold::Resource(_)) => StateWord::Starting,
            Some(_) => StateWord::Pending,
        };
        let Some(container) = seen.main(name) else {
            let image = seen.images.contains_key(&self.desired.services[name].image);
            return (if image { next } else { StateWord::Pending }, why);
        };
        match container.state {
            ContainerState::Running if self.is_unhealthy(container) => {
                (StateWord::Failed, Some("its health check fails".to_owned()))
            }
            ContainerState::Running
                if container.health == Health::Starting && !self.is_healthy(container) =>
            {
                (StateWord::Starting, Some("waiting for its health check to pass".to_owned()))
            }
            ContainerState::Running => (StateWord::Running, why),
            ContainerState::Exited(_) if state.completed.as_ref() == Some(&container.started) => {
                (StateWord::Completed, None)
            }
            ContainerState::Exited(_) if state.given_up() => (StateWord::Failed, why),
            ContainerState::Exited(_) if state.again.is_some_and(|again| now < again) => {
                (StateWord::Backoff, why)
            }
            ContainerState::Restarting => (StateWord::Backoff, why),
            ContainerState::Created | ContainerState::Exited(_) | ContainerState::Removing => (next, why),
            ContainerState::Paused => (StateWord::Pending, why),
        }
    }

    fn health_word(&self, seen: &Observed, name: &ServiceName) -> HealthWord {
        let Some(container) = seen.main(name) else { return HealthWord::None };
        if container.state != ContainerState::Running || !self.wanted(name) {
            return HealthWord::None;
        }
        match container.health {
            Health::None => HealthWord::None,
            _ if self.is_healthy(container) => HealthWord::Healthy,
            _ if self.is_unhealthy(container) => HealthWord::Unhealthy,
            Health::Starting | Health::Healthy | Health::Unhealthy => HealthWord::Starting,
        }
    }

    fn tests_view(&self, name: &ServiceName, hold: Option<&Hold>) -> TestsView {
        let Some(suite) = self.suites.get(name) else {
            return TestsView { state: TestsState::None, current: false, run: None, reason: None };
        };
        let verdict = suite.verdict.as_ref();
        let state = if suite.running.is_some() {
            TestsState::Running
        } else if hold.is_some() {
            TestsState::Queued
        } else {
            match verdict.map(|verdict| &verdict.outcome) {
                None => TestsState::None,
                Some(Outcome::Passed { .. }) => TestsState::Passed,
                Some(Outcome::Failed { .. }) => TestsState::Failed,
                Some(Outcome::Error(_) | Outcome::Lost) => TestsState::Error,
                Some(Outcome::Cancelled) => TestsState::Cancelled,
            }
        };
        let reason = match verdict.map(|verdict| &verdict.outcome) {
            _ if hold.is_some_and(|hold| *hold != Hold::Running) => hold.map(ToString::to_string),
            Some(Outcome::Error(reason)) if suite.running.is_none() => Some(reason.clone()),
            _ => None,
        };
        TestsView {
            state,
            current: suite.running.is_none() && hold.is_none() && suite.is_current(),
            run: suite.running.as_ref().map(|running| running.id.clone()),
            reason,
        }
    }
}
