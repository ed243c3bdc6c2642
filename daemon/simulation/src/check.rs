//! What must be so: at every step, and in the end.

use crate::engine::Box_;
use crate::files::{PROJECTS, is_one_shot};
use crate::world::World;
use devd_logic::{ContainerState, Desired, Event, Op, Subject, replica};
use devd_proto::{ServiceName, TestsState};

impl World {
    /// An operation is asked for.
    pub(crate) fn check_operation(&mut self, project: usize, op: &Op, desired: &Desired) {
        let it = &mut self.projects[project];
        let subject = op.subject();
        let twin = it.ledger.flying.values().find(|flight| flight.op.subject() == subject);
        if let Some(twin) = twin {
            let twin = twin.op.clone();
            return self.breaks("never two operations on one subject", || format!("{op} during {twin}"));
        }
        if it.ledger.storms(subject.clone(), self.now) {
            return self.breaks("nothing is tried again and again without a pause", || op.to_string());
        }
        if let Op::RemoveEnvironment(id) = op
            && (it.ledger.held.contains(id) || it.runs.keys().any(|run| run.as_str() == id.as_str()))
        {
            return self.breaks("no environment goes while it is in use", || op.to_string());
        }
        let starts = matches!(op, Op::Start(..) | Op::Create(_) | Op::Restart(..) | Op::Act(..));
        if let Subject::Service(name) = &subject {
            let name = replica::service(name);
            if starts && it.ledger.stopped.contains_key(&name) {
                return self.breaks("what the user stopped stays stopped", || op.to_string());
            }
            if starts && it.ledger.downed.is_some() {
                return self.breaks("what the user took down stays down", || op.to_string());
            }
        }
        if let Op::Start(name, _) = op {
            if it.ledger.revives(name, self.now) {
                return self.breaks("nothing is tried again and again without a pause", || op.to_string());
            }
            let needs =
                desired.services.get(name).map(|service| service.needs.as_slice()).unwrap_or_default();
            let boxes = &self.engine.stacks[project].boxes;
            // What is no longer in the files is on its way out, and nothing to wait for.
            let early =
                needs.iter().filter(|need| desired.services.contains_key(&need.service)).find(|need| {
                    need.service != *name && boxes.iter().any(|it| it.name == need.service && it.starts == 0)
                });
            if let Some(need) = early {
                let how = format!("{op} before {}", need.service);
                return self.breaks("what is needed starts first", || how);
            }
        }
        let disturbed = match op {
            Op::Stop(name, id) | Op::Restart(name, id) | Op::Act(name, id) | Op::Remove(name, id) => {
                Some((name.clone(), id.clone()))
            }
            Op::CreateNetwork(_)
            | Op::CreateVolume(_)
            | Op::Build(_)
            | Op::Pull(_)
            | Op::Create(_)
            | Op::Start(..)
            | Op::RemoveNetwork(_)
            | Op::RemoveVolume(_)
            | Op::RemoveEnvironment(_) => None,
        };
        if let Some((name, id)) = disturbed {
            self.check_disturbance(project, op, &name, &id, desired);
        }
    }

    /// Nothing that runs is disturbed without a cause.
    fn check_disturbance(
        &mut self,
        project: usize,
        op: &Op,
        name: &ServiceName,
        id: &str,
        desired: &Desired,
    ) {
        let it = &self.projects[project];
        let Some(container) = self.engine.stacks[project].boxes.iter().find(|it| it.id == id) else { return };
        if container.state != ContainerState::Running
            || it.ledger.has_cause(name)
            || it.ledger.has_cause(&container.name)
            || it.ledger.downed.is_some()
        {
            return;
        }
        let service = replica::service(name);
        let selected = it.life.as_ref().is_some_and(|life| life.state.memory().selected.is_none());
        let justified = match op {
            Op::Stop(..) => {
                let written = it.registered.as_ref().is_some_and(|memory| memory.stopped.contains(name));
                it.ledger.stopped.contains_key(&service) || written || !selected
            }
            Op::Remove(..) => {
                let wanted = desired.services.get(name);
                let image = wanted.and_then(|wanted| self.engine.images.get(&wanted.image));
                let boxes = &self.engine.stacks[project].boxes;
                let there = |owner: &ServiceName| {
                    boxes.iter().any(|it| it.name == *owner && container.shares.contains(&it.id))
                };
                let fits = |wanted: &devd_logic::Service| {
                    !wanted.absent
                        && wanted.definition == container.definition
                        && wanted.shares.iter().all(there)
                };
                let run = boxes.iter().filter(|it| {
                    replica::service(&it.name) == service && it.state == ContainerState::Running
                });
                let surplus = run.count() > desired.replicas(&service).count();
                surplus || !wanted.is_some_and(fits) || image.is_none_or(|image| image.id != container.image)
            }
            _ => false,
        };
        if !justified {
            self.breaks("nothing that runs is disturbed without a cause", || op.to_string());
        }
    }

    /// An old verdict is never shown as today's.
    pub(crate) fn check_verdicts(&mut self, project: usize) {
        let it = &self.projects[project];
        let Some(life) = &it.life else { return };
        let views = life.state.status(life.moment(self.now)).services;
        let old = views.iter().find(|(suite, view)| {
            let told = it.told.get(*suite).copied().unwrap_or_default();
            let definition = life.desired.suites.get(*suite).map(|suite| &suite.definition);
            let called_off =
                view.tests.state == TestsState::Cancelled && it.ledger.called_off.contains(*suite);
            view.tests.current
                && !called_off
                && it
                    .tested
                    .get(*suite)
                    .is_none_or(|tested| tested.content < told || Some(&tested.definition) != definition)
        });
        if let Some((suite, _)) = old {
            let (suite, tested) = (suite.clone(), it.tested.get(suite).cloned());
            self.breaks("an old verdict is never shown as today's", || format!("{suite}, tested {tested:?}"));
        }
    }

    /// devd says that nothing is left of a project.
    pub(crate) fn check_gone(&mut self, project: usize) {
        let stack = &self.engine.stacks[project];
        if !stack.boxes.is_empty() || !stack.networks.is_empty() || !stack.environments.is_empty() {
            let left = format!("{:?} {:?} {:?}", stack.boxes, stack.networks, stack.environments);
            self.breaks("down leaves nothing", || left);
        }
    }

    /// The story is over. From here on the world is kind, and all must come to where the files say.
    pub(crate) fn end(&mut self) {
        if self.broken.is_some() {
            return;
        }
        self.say(|| "-- from here on the world is kind".to_owned());
        for project in 0..PROJECTS.len() {
            if self.projects[project].files.broken {
                self.projects[project].files.broken = false;
                self.projects[project].unread = true;
            }
        }
        self.be_kind();
        self.settle();
        // What failed for good, or ended by itself, waits for a change or a wish. One of each must be enough.
        for project in 0..PROJECTS.len() {
            for name in crate::files::services(project) {
                let name = ServiceName::from(*name);
                let Some(life) = &self.projects[project].life else { continue };
                if life.desired.replicas(&name).any(|it| life.state.wanted(&it)) {
                    self.tell(project, Event::StartRequested(name), 0);
                }
            }
        }
        self.settle();
        for project in 0..PROJECTS.len() {
            if self.broken.is_none() {
                self.check_converged(project);
            }
        }
    }

    fn check_converged(&mut self, project: usize) {
        let wrong = match &self.projects[project].life {
            Some(_) => self.differs(project),
            None => self.is_left(project),
        };
        if let Some(wrong) = wrong {
            self.breaks("it ends where the files say", || format!("{}: {wrong}", PROJECTS[project]));
        }
    }

    /// Of a project that is down nothing is there.
    fn is_left(&self, project: usize) -> Option<String> {
        let stack = &self.engine.stacks[project];
        if self.projects[project].given_up {
            return None;
        }
        let empty = stack.boxes.is_empty() && stack.networks.is_empty() && stack.environments.is_empty();
        (!empty)
            .then(|| format!("left over: {:?} {:?} {:?}", stack.boxes, stack.networks, stack.environments))
    }

    fn differs(&self, project: usize) -> Option<String> {
        let it = &self.projects[project];
        let life = it.life.as_ref()?;
        let stack = &self.engine.stacks[project];
        if *life.state.desired() != *it.desired {
            return Some("devd does not know what its files say".to_owned());
        }
        let mut seen = self.engine.look(project, &it.desired, self.now);
        seen.name_replicas(&it.desired);
        let stands_for =
            |it: &Box_| seen.containers.iter().find(|seen| seen.id == it.id).map(|it| &it.service);
        for (name, wanted) in &it.desired.services {
            let boxes: Vec<&Box_> = stack.boxes.iter().filter(|it| stands_for(it) == Some(name)).collect();
            if wanted.absent && !boxes.is_empty() {
                return Some(format!("there is a container of {name}"));
            }
            if !life.state.wanted(name) {
                let runs = boxes.iter().any(|it| it.state == ContainerState::Running);
                if runs && !it.ledger.unasked.contains(name) {
                    return Some(format!("{name} runs"));
                }
                continue;
            }
            if let Some(wrong) = self.is_wrong(project, name, &boxes) {
                return Some(format!("{name} {wrong}"));
            }
        }
        if let Some(surplus) =
            seen.containers.iter().find(|seen| !it.desired.services.contains_key(&seen.service))
        {
            return Some(format!("{} is one too many", surplus.service));
        }
        let status = life.state.status(life.moment(self.now));
        for (name, suite) in it.desired.suites.iter().filter(|(_, suite)| suite.on_change) {
            if it.ledger.called_off.contains(name) {
                continue;
            }
            let tested = it.tested.get(name);
            let is_tested = tested.is_some_and(|tested| {
                tested.content == it.seen_by_tests(name) && tested.definition == suite.definition
            });
            if !is_tested {
                return Some(format!("{name} is not tested: {tested:?}"));
            }
            if status.services.get(name).is_some_and(|service| !service.tests.current) {
                return Some(format!("the verdict of {name} is not current"));
            }
        }
        if !stack.environments.is_empty() {
            return Some(format!("left over: {:?}", stack.environments));
        }
        if !it.runs.is_empty() || !it.ledger.flying.is_empty() {
            return Some(format!("under way: {:?} {:?}", it.runs, it.ledger.flying));
        }
        (!status.settled).then(|| "it is not settled".to_owned())
    }

    fn is_wrong(&self, project: usize, name: &ServiceName, boxes: &[&Box_]) -> Option<String> {
        let it = &self.projects[project];
        let wanted = it.desired.services.get(name)?;
        let service = replica::service(name);
        let [container] = boxes else { return Some(format!("has {} containers", boxes.len())) };
        let least =
            |of: &std::collections::BTreeMap<ServiceName, u32>| of.get(&service).copied().unwrap_or_default();
        let runs = container.state == ContainerState::Running
            || (is_one_shot(&service) && container.state == ContainerState::Exited(0));
        if !runs {
            return Some(format!("does not run: {:?}", container.state));
        }
        if container.content < least(&it.code) {
            return Some(format!("runs {} and not {}", container.content, least(&it.code)));
        }
        if container.image_content < least(&it.image) {
            return Some(format!("has an image of {} and not {}", container.image_content, least(&it.image)));
        }
        if container.definition != wanted.definition {
            return Some(format!("has the definition {}", container.definition));
        }
        let boxes = &self.engine.stacks[project].boxes;
        let there = |owner: &&ServiceName| {
            boxes.iter().any(|it| it.name == **owner && container.shares.contains(&it.id))
        };
        if let Some(owner) = wanted.shares.iter().find(|owner| !there(owner)) {
            return Some(format!("shares something of a container of {owner} that is gone"));
        }
        let image = self.engine.images.get(&wanted.image);
        image.is_none_or(|image| image.id != container.image).then(|| "has an old image".to_owned())
    }
}
