//! What services need before a container can be made: their images, built or pulled, each once.

use crate::plan::Plan;
use crate::{Hold, Moment, Observed, Op, Pull, Reaction, Service, State, Subject};
use devd_proto::ServiceName;

impl State {
    /// Plans what the image needs; its id when it is as it should be.
    pub(crate) fn plan_image(
        &self,
        now: Moment,
        seen: &Observed,
        name: &ServiceName,
        service: &Service,
        reaction: Reaction,
        plan: &mut Plan,
    ) -> Option<String> {
        let image = seen.images.get(&service.image);
        if let Some(first) = &service.replica_of {
            if image.is_none() || self.is_at_its_image(now, first, plan) {
                plan.hold(name, Hold::Image(first.clone()));
                return None;
            }
            return image.cloned();
        }
        if service.build.is_some() && (image.is_none() || reaction == Reaction::Rebuild) {
            let cause = if image.is_none() { "its image is not there".to_owned() } else { self.why(name) };
            let there = |other: &ServiceName| {
                let base = self.desired.services.get(other);
                base.is_none_or(|base| seen.images.contains_key(&base.image))
            };
            let base =
                service.bases.iter().find(|base| !there(base) || self.is_at_its_image(now, base, plan));
            if let Some(other) = base.cloned().or_else(|| self.builds_same_image(name, &service.image, plan))
            {
                plan.hold(name, Hold::Image(other));
            } else {
                plan.op(Op::Build(name.clone()), cause);
            }
            return None;
        }
        let again = self.services[name].pulls && service.build.is_none();
        if let Some(image) = image.filter(|_| !again) {
            return Some(image.clone());
        }
        if service.pull == Pull::Never {
            let reason = format!("no such image: {}, and it must not be pulled", service.image);
            plan.hold(name, Hold::Failed { reason, until: None });
        } else if let Some(other) = self.builds_same_image(name, &service.image, plan) {
            plan.hold(name, Hold::Image(other));
        } else {
            let cause = if again { "its `pull_policy` asks for it" } else { "its image is not there" };
            plan.op(Op::Pull(name.clone()), cause);
        }
        None
    }

    /// Whether a service gets its image anew, or still has to.
    fn is_at_its_image(&self, now: Moment, service: &ServiceName, plan: &Plan) -> bool {
        let gets = |op: &Op| matches!(op, Op::Build(other) | Op::Pull(other) if other == service);
        self.busy(&Subject::Service(service.clone())).is_some_and(gets)
            || plan.ops.iter().any(|(op, _)| gets(op))
            || self.services.get(service).is_some_and(|state| state.reaction(now) == Reaction::Rebuild)
    }

    /// Whether something that is wanted is made from the image of this service.
    pub(crate) fn gives_its_image(&self, name: &ServiceName) -> bool {
        let mut services = self.desired.services.iter();
        services.any(|(other, service)| {
            (service.replica_of.as_ref() == Some(name) || service.bases.contains(name)) && self.wanted(other)
        })
    }

    /// A service that gets the same image at this moment.
    fn builds_same_image(&self, name: &ServiceName, image: &str, plan: &Plan) -> Option<ServiceName> {
        let flying = self.flying.values().map(|flight| &flight.op);
        let planned = plan.ops.iter().map(|(op, _)| op);
        flying.chain(planned).find_map(|op| {
            let (Op::Build(other) | Op::Pull(other)) = op else { return None };
            let same = self.desired.services.get(other).is_some_and(|service| service.image == image);
            (same && other != name).then(|| other.clone())
        })
    }
}
