//! The engine: what it has, what an operation does to it, and what a look shows. It outlives every life of devd.

use crate::files::{PROJECTS, SHARED_IMAGE, is_checked, is_one_shot};
use crate::world::CHECKED;
use devd_logic::{Container, ContainerState, Desired, EnvironmentId, Health, Moment, Observed, Op, replica};
use devd_proto::ServiceName;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A container.
#[derive(Clone, Debug)]
pub struct Box_ {
    /// Its id.
    pub id: String,
    /// The name under which it was made: a service's or a replica's.
    pub name: ServiceName,
    /// What it was made from.
    pub definition: String,
    /// Its image's id.
    pub image: String,
    /// What it does.
    pub state: ContainerState,
    /// How often it was started.
    pub starts: u32,
    /// The content of the disk that its process runs.
    pub content: u32,
    /// The content that its image was built from.
    pub image_content: u32,
    /// When the engine's own check has passed.
    healthy_at: Option<Moment>,
    /// Ids of the containers that it shares something of.
    pub shares: BTreeSet<String>,
}

impl Box_ {
    /// Identifies the start of its process.
    pub fn start(&self) -> String {
        format!("{}.{}", self.id, self.starts)
    }
}

/// An operation, as it was asked for.
#[derive(Clone, Debug)]
pub struct Work {
    /// Which.
    pub op: Op,
    /// What devd knew of the files then.
    pub desired: Rc<Desired>,
    /// The content of the service's files then: what a build sends.
    pub content: u32,
}

/// What one project has on the engine.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    /// Its containers.
    pub boxes: Vec<Box_>,
    /// Its networks.
    pub networks: BTreeSet<String>,
    /// Its volumes.
    pub volumes: BTreeSet<String>,
    /// Test environments of which anything is left, and whether tests live in each.
    pub environments: BTreeMap<EnvironmentId, bool>,
}

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// The content that it was built from.
    pub content: u32,
}

/// What an operation led to, beside what was asked for.
#[derive(Debug, Default)]
pub struct Led {
    /// Containers whose process started, with how it goes on.
    pub started: Vec<String>,
    /// An image is another one now.
    pub image: Option<String>,
    /// A container is there or gone.
    pub replaced: Option<ServiceName>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    /// It does not answer.
    pub gone: bool,
    /// By project.
    pub stacks: [Stack; PROJECTS.len()],
    /// By reference.
    pub images: BTreeMap<String, Image>,
    /// With which code a service ends whenever it starts.
    pub dies: BTreeMap<(usize, ServiceName), i64>,
    counter: u32,
}

impl Engine {
    fn number(&mut self) -> u32 {
        self.counter += 1;
        self.counter
    }

    /// A project's answer to a look.
    pub fn look(&self, project: usize, desired: &Desired, now: Moment) -> Observed {
        let stack = &self.stacks[project];
        let container = |it: &Box_| {
            let (service, number) = replica::parse(&it.name);
            Container {
                lost_network: None,
                name: format!("{}-{service}-{number}", PROJECTS[project]),
                config_hash: Some(it.definition.replace("-v", "-hash")),
                id: it.id.clone(),
                service,
                definition: Some(it.definition.clone()),
                image: it.image.clone(),
                state: it.state,
                health: match (it.state, it.healthy_at) {
                    (ContainerState::Running, Some(at)) if at <= now => Health::Healthy,
                    (ContainerState::Running, Some(_)) => Health::Starting,
                    _ => Health::None,
                },
                started: it.start(),
                shares: it.shares.clone(),
                number,
            }
        };
        let named: BTreeSet<&String> = desired.services.values().map(|service| &service.image).collect();
        let images =
            named.into_iter().filter_map(|name| Some((name.clone(), self.images.get(name)?.id.clone())));
        Observed {
            containers: stack.boxes.iter().map(container).collect(),
            networks: stack.networks.clone(),
            volumes: stack.volumes.clone(),
            images: images.collect(),
            environments: stack.environments.keys().cloned().collect(),
        }
    }

    /// A container by its id.
    pub fn container(&mut self, project: usize, id: &str) -> Option<&mut Box_> {
        self.stacks[project].boxes.iter_mut().find(|it| it.id == id)
    }

    /// The containers of a service, its replicas among them.
    pub fn of(&mut self, project: usize, service: &str) -> impl Iterator<Item = &mut Box_> {
        self.stacks[project].boxes.iter_mut().filter(move |it| replica::service(&it.name).as_str() == service)
    }

    /// Whether an operation can be done at all; else why not.
    pub fn refuses(&self, project: usize, op: &Op, desired: &Desired) -> Option<&'static str> {
        let stack = &self.stacks[project];
        let there = |id: &String| stack.boxes.iter().any(|it| it.id == *id);
        match op {
            Op::Start(_, id) | Op::Stop(_, id) | Op::Restart(_, id) if !there(id) => {
                Some("no such container")
            }
            Op::Act(_, id) => {
                let runs = stack.boxes.iter().any(|it| it.id == *id && it.state == ContainerState::Running);
                (!runs).then_some("the container is not running")
            }
            Op::RemoveNetwork(_) if !stack.boxes.is_empty() => Some("the network has active endpoints"),
            Op::Create(name) => {
                let service = desired.services.get(name)?;
                let made = |other: &ServiceName| stack.boxes.iter().any(|it| it.name == *other);
                if !self.images.contains_key(&service.image) {
                    return Some("no such image");
                }
                (!service.shares.iter().all(made)).then_some("there is no container to share with")
            }
            Op::CreateNetwork(_)
            | Op::CreateVolume(_)
            | Op::Build(_)
            | Op::Pull(_)
            | Op::Start(..)
            | Op::Stop(..)
            | Op::Restart(..)
            | Op::Remove(..)
            | Op::RemoveNetwork(_)
            | Op::RemoveVolume(_)
            | Op::RemoveEnvironment(_) => None,
        }
    }

    /// Starts a container; one that runs goes on.
    pub fn start(&mut self, project: usize, id: &str, content: u32, now: Moment) -> bool {
        let Some(it) = self.stacks[project].boxes.iter_mut().find(|it| it.id == id) else { return false };
        if it.state == ContainerState::Running || it.state == ContainerState::Paused {
            return false;
        }
        let service = replica::service(&it.name);
        it.starts += 1;
        it.content = content;
        it.healthy_at = is_checked(&service).then(|| now + CHECKED);
        it.state = ContainerState::Running;
        let dies = self.dies.get(&(project, service)).copied();
        if let Some(code) = dies {
            it.state = ContainerState::Exited(code);
        }
        dies.is_none()
    }

    /// Does what an operation asks for. `content` is what the service's files are now.
    pub fn work(&mut self, project: usize, work: &Work, content: u32, now: Moment) -> Led {
        let mut led = Led::default();
        match &work.op {
            Op::CreateNetwork(network) => _ = self.stacks[project].networks.insert(network.clone()),
            Op::CreateVolume(volume) => _ = self.stacks[project].volumes.insert(volume.clone()),
            Op::RemoveNetwork(network) => _ = self.stacks[project].networks.remove(network),
            Op::RemoveVolume(volume) => _ = self.stacks[project].volumes.remove(volume),
            Op::RemoveEnvironment(id) => _ = self.stacks[project].environments.remove(id),
            Op::Build(name) | Op::Pull(name) => {
                let Some(service) = work.desired.services.get(name) else { return led };
                let pulled = service.image == SHARED_IMAGE;
                // Upstream it is what it was.
                if !(pulled && self.images.contains_key(&service.image)) {
                    let id = format!("sha256:{}", self.number());
                    self.images.insert(service.image.clone(), Image { id, content: work.content });
                    led.image = Some(service.image.clone());
                }
            }
            Op::Create(name) => {
                if self.stacks[project].boxes.iter().any(|it| it.name == *name) {
                    return led;
                }
                let services = &work.desired.services;
                let Some(wanted) = services.get(name) else { return led };
                let Some(image) = self.images.get(&wanted.image).cloned() else { return led };
                let boxes = &self.stacks[project].boxes;
                let shares = wanted
                    .shares
                    .iter()
                    .filter_map(|other| boxes.iter().find(|it| it.name == *other).map(|it| it.id.clone()));
                let shares = shares.collect();
                let made = Box_ {
                    id: format!("c{}", self.number()),
                    name: name.clone(),
                    definition: wanted.definition.clone(),
                    image: image.id,
                    state: ContainerState::Created,
                    starts: 0,
                    content: 0,
                    image_content: image.content,
                    healthy_at: None,
                    shares,
                };
                self.stacks[project].boxes.push(made);
                led.replaced = Some(name.clone());
            }
            Op::Start(_, id) => {
                if self.start(project, id, content, now) {
                    led.started.push(id.clone());
                }
            }
            Op::Restart(_, id) => {
                if let Some(it) = self.container(project, id) {
                    it.state = ContainerState::Exited(143);
                }
                if self.start(project, id, content, now) {
                    led.started.push(id.clone());
                }
            }
            Op::Act(_, id) => {
                if let Some(it) = self.container(project, id) {
                    // One that an earlier life asked for may come after a later restart.
                    it.content = content.max(it.content);
                }
            }
            Op::Stop(_, id) => {
                if let Some(it) = self.container(project, id)
                    && matches!(it.state, ContainerState::Running | ContainerState::Paused)
                {
                    it.state = ContainerState::Exited(143);
                }
            }
            Op::Remove(name, id) => {
                self.stacks[project].boxes.retain(|it| it.id != *id);
                led.replaced = Some(name.clone());
            }
        }
        led
    }

    /// A process ends by itself, or is killed.
    pub fn ends(&mut self, project: usize, id: &str, start: u32, code: i64) -> bool {
        let it = self.container(project, id);
        let it = it.filter(|it| it.starts == start && it.state == ContainerState::Running);
        it.map(|it| it.state = ContainerState::Exited(code)).is_some()
    }

    /// Whether a process ends by itself soon after it starts.
    pub fn ends_soon(&mut self, project: usize, id: &str) -> Option<u32> {
        let it = self.container(project, id)?;
        is_one_shot(&replica::service(&it.name)).then_some(it.starts)
    }

    /// The engine ends, and every container with it.
    pub fn restart(&mut self) {
        for stack in &mut self.stacks {
            for it in &mut stack.boxes {
                if matches!(it.state, ContainerState::Running | ContainerState::Paused) {
                    it.state = ContainerState::Exited(143);
                }
            }
            for lives in stack.environments.values_mut() {
                *lives = false;
            }
        }
    }
}
