//! Taking a project down: the same level-triggered plan, with nothing as the goal.

use crate::plan::Plan;
use crate::{Condition, Hold, Moment, Observed, Op, State, Subject};
use devd_proto::ServiceName;

/// The user is done with the project.
#[derive(Clone, Debug)]
pub(crate) struct Down {
    /// Its volumes go too.
    pub(crate) volumes: bool,
    /// [`crate::Effect::Gone`] was said.
    pub(crate) said: bool,
}

/// A network can be in use by somebody else's container: that is said, not fought.
const ATTEMPTS: u32 = 3;

impl State {
    /// Ends all runs: that takes no look at the engine, and whoever waits for it to answer need not wait for tests as well.
    pub(crate) fn plan_no_runs(&self, plan: &mut Plan) {
        let running = self.suites.values().filter_map(|suite| suite.running.as_ref());
        plan.cancels.extend(running.filter(|running| !running.cancelling).map(|running| running.id.clone()));
    }

    /// Plans the removal of everything: services in the reverse order of their needs, then networks, then volumes.
    pub(crate) fn plan_down(&self, now: Moment, seen: &Observed, down: &Down, plan: &mut Plan) {
        let mut left = !self.flying.is_empty();
        left |= self.suites.values().any(|suite| suite.running.is_some());
        left |= !self.held.is_empty();
        for id in seen.environments.iter().filter(|id| !self.held.contains(id)) {
            left |= self.remove(now, Op::RemoveEnvironment(id.clone()), plan);
        }
        let mut containers = false;
        for container in &seen.containers {
            containers = true;
            if let Some(dependent) = self.standing_dependent(seen, &container.service) {
                let hold = Hold::Needs { service: dependent, condition: "removed" };
                plan.holds.insert(container.service.clone(), hold);
                left = true;
                continue;
            }
            left |= self.remove(now, Op::Remove(container.service.clone(), container.id.clone()), plan);
        }
        if !containers && !left {
            for network in &seen.networks {
                left |= self.remove(now, Op::RemoveNetwork(network.clone()), plan);
            }
        }
        if !containers && !left && down.volumes {
            for volume in &seen.volumes {
                left |= self.remove(now, Op::RemoveVolume(volume.clone()), plan);
            }
        }
        plan.gone = !left && !down.said;
    }

    /// Plans one removal. Whether there is any use in waiting for it.
    fn remove(&self, now: Moment, op: Op, plan: &mut Plan) -> bool {
        let subject = op.subject();
        // A service may have several containers, also such that the files do not ask for.
        if self.busy(&subject).is_some() || plan.ops.iter().any(|(planned, _)| planned.subject() == subject) {
            return true;
        }
        match self.failures.get(&subject) {
            Some(failure) if failure.attempts >= ATTEMPTS => return false,
            // A build that failed for good is no reason to keep what it was meant for.
            Some(failure) if failure.until.is_some() && failure.holds(now) => plan.wake_at(failure.until),
            _ => plan.op(op, "the project goes down"),
        }
        true
    }

    /// A service whose container is still there and that needs this one; members of a circle do not wait for each other,
    /// and nobody waits for what cannot be removed.
    fn standing_dependent(&self, seen: &Observed, name: &ServiceName) -> Option<ServiceName> {
        self.desired.services.iter().find_map(|(other, service)| {
            let needs = service
                .needs
                .iter()
                .any(|need| need.service == *name && need.condition != Condition::Completed);
            let circle = self.desired.closure(&[name.clone()].into()).contains(other);
            let failure = self.failures.get(&Subject::Service(other.clone()));
            let stays = failure.is_some_and(|failure| failure.attempts >= ATTEMPTS);
            (needs && !circle && !stays && seen.main(other).is_some()).then(|| other.clone())
        })
    }

    pub(crate) fn down_problems(&mut self) -> Vec<String> {
        if let Some(down) = &mut self.down {
            down.said = true;
        }
        let problems = self.failures.iter().filter(|(_, failure)| failure.attempts >= ATTEMPTS);
        problems
            .map(|(subject, failure)| match subject {
                Subject::Service(name) => format!("{name}: {}", failure.reason),
                Subject::Network(name) => format!("network {name}: {}", failure.reason),
                Subject::Volume(name) => format!("volume {name}: {}", failure.reason),
                Subject::Environment(id) => format!("test environment {id}: {}", failure.reason),
            })
            .collect()
    }
}
