//! What there is in memory, and what an operation does to it.

use super::TestsBehaviour;
use super::faults::Faults;
use crate::clock;
use crate::engine::spec::{Act, ContainerSpec, compose, label};
use crate::engine::{Applied, Details, EngineError, LogLine, Look};
use devd_logic::{Container, ContainerState, EnvironmentId, Health, Observed};
use devd_proto::{Port, ServiceName};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) next: u64,
    pub(super) gone: bool,
    pub(super) containers: BTreeMap<String, FakeContainer>,
    pub(super) networks: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) volumes: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) images: BTreeMap<String, String>,
    pub(super) faults: Faults,
    pub(super) refusals: VecDeque<(String, String)>,
    pub(super) tests: TestsBehaviour,
    pub(super) dies: BTreeMap<String, i64>,
    pub(super) logs_opened: u64,
    /// Everything that was asked for, for tests to read.
    pub(super) journal: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct FakeContainer {
    pub(super) spec: ContainerSpec,
    pub(super) state: ContainerState,
    pub(super) starts: u64,
    pub(super) image: String,
    /// Ids of the containers that it shares something with.
    pub(super) shares: BTreeSet<String>,
    pub(super) started_at: String,
    pub(super) finished_at: String,
    /// Told to what runs under the park in it.
    pub(super) killed: CancellationToken,
    /// What it wrote, each line with the number of the start it is from.
    pub(super) log: Vec<(u64, LogLine)>,
}

impl World {
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{:012x}", self.next)
    }

    /// Writes down what is asked for; an error when that is to be refused.
    pub(super) fn ask(&mut self, what: String) -> Result<(), EngineError> {
        let refusal = self.refusals.front().filter(|(prefix, _)| what.starts_with(prefix.as_str()));
        let refused = refusal.map(|(_, reason)| EngineError::Refused(reason.clone()));
        if refused.is_some() {
            self.refusals.pop_front();
        }
        self.journal.push(what);
        refused.map_or(Ok(()), Err)
    }

    pub(super) fn named(&self, id: &str) -> String {
        self.containers.get(id).map_or_else(|| id.to_owned(), |it| it.spec.name.clone())
    }

    /// Refuses what takes a running container.
    pub(super) fn running(&self, id: &str) -> Result<(), EngineError> {
        match self.containers.get(id) {
            Some(container) if container.state == ContainerState::Running => Ok(()),
            Some(container) => {
                Err(EngineError::Refused(format!("container {} is not running", container.spec.name)))
            }
            None => Err(EngineError::NotFound(format!("no such container: {id}"))),
        }
    }

    pub(super) fn start(&mut self, id: &str) -> Result<ContainerSpec, EngineError> {
        let dies = self.dies.get(&self.named(id)).copied();
        let missing = || EngineError::NotFound(format!("no such container: {id}"));
        let container = self.containers.get_mut(id).ok_or_else(missing)?;
        if container.state != ContainerState::Running {
            container.starts += 1;
            container.started_at = clock::now_text();
            container.state = dies.map_or(ContainerState::Running, ContainerState::Exited);
            container.say(format!("{} says hello", container.spec.name));
        }
        Ok(container.spec.clone())
    }

    /// What is asked for, in words: `start shop-api-1`.
    pub(super) fn line(&self, act: &Act) -> String {
        match act {
            Act::CreateNetwork(spec) => format!("create network {}", spec.name),
            Act::CreateVolume(spec) => format!("create volume {}", spec.name),
            Act::Pull { image, .. } => format!("pull {image}"),
            Act::Build(spec) => format!("build {}", spec.tag),
            Act::Push { image } => format!("push {image}"),
            Act::Create(spec) => format!("create {}", spec.name),
            Act::Start(id) => format!("start {}", self.named(id)),
            Act::Restart { container: id, .. } => format!("restart {}", self.named(id)),
            Act::Stop(id) => format!("stop {}", self.named(id)),
            Act::Signal(id, signal) => format!("signal {} {signal}", self.named(id)),
            Act::Sync { container, files } => {
                let targets: Vec<&str> = files.iter().map(|(_, target)| target.as_str()).collect();
                format!("sync {} {}", self.named(container), targets.join(" "))
            }
            Act::Remove(id) | Act::Kill(id) => format!("remove {}", self.named(id)),
            Act::RemoveNetwork(name) => format!("remove network {name}"),
            Act::RemoveVolume(name) => format!("remove volume {name}"),
            Act::RemoveImage(id) => format!("remove image {id}"),
            Act::Snapshot(spec) => format!("snapshot {}", self.named(&spec.container)),
            Act::RemoveImages { project } => format!("remove images {project}"),
            Act::RemoveSnapshots { project, beyond } => {
                let whose = beyond.as_ref().map_or("", |newest| newest.tests_of.as_str());
                format!("remove snapshots {project} {whose}")
            }
            Act::RemoveEnvironment { environment, .. } => format!("remove environment {environment}"),
        }
    }

    pub(super) fn apply(
        &mut self,
        act: &Act,
        line: String,
    ) -> Result<(Applied, Option<ContainerSpec>), EngineError> {
        let made = |id: String| Ok((Applied { id: Some(id), parked: None }, None));
        let done = |spec| Ok((Applied::default(), spec));
        self.ask(line)?;
        match act {
            Act::CreateNetwork(spec) => {
                self.networks.insert(spec.name.clone(), spec.labels.clone());
                done(None)
            }
            Act::CreateVolume(spec) => {
                self.volumes.insert(spec.name.clone(), spec.labels.clone());
                done(None)
            }
            Act::Pull { image, .. } => {
                let id = self.id("sha256:");
                self.images.insert(image.clone(), id.clone());
                made(id)
            }
            Act::Build(spec) => {
                let id = self.id("sha256:");
                self.images.insert(spec.tag.clone(), id.clone());
                made(id)
            }
            Act::Push { .. } => done(None),
            Act::Create(spec) => {
                if let Some((id, _)) = self.containers.iter().find(|(_, it)| it.spec.name == spec.name) {
                    return made(id.clone());
                }
                let image = self.images.get(&spec.image).cloned();
                let image =
                    image.ok_or_else(|| EngineError::Refused(format!("no such image: {}", spec.image)))?;
                let id = self.id("");
                let mut shares = BTreeSet::new();
                for name in spec.shares.containers() {
                    let found = self.containers.iter().find(|(_, it)| it.spec.name == *name);
                    let refuse =
                        || EngineError::Refused(format!("there is no container {name} to share with"));
                    shares.insert(found.ok_or_else(refuse)?.0.clone());
                }
                let container = FakeContainer {
                    shares,
                    spec: (**spec).clone(),
                    state: ContainerState::Created,
                    starts: 0,
                    image,
                    started_at: String::new(),
                    finished_at: String::new(),
                    killed: CancellationToken::new(),
                    log: Vec::new(),
                };
                self.containers.insert(id.clone(), container);
                let parked = spec.park.map(|_| spec.service.entrypoint.clone().unwrap_or_default());
                Ok((Applied { id: Some(id), parked }, None))
            }
            Act::Start(id) => self.start(id).map(|spec| (Applied::default(), Some(spec))),
            Act::Restart { container: id, grace: _ } => {
                if let Some(container) = self.containers.get_mut(id) {
                    container.state = ContainerState::Exited(143);
                }
                self.start(id).map(|spec| (Applied::default(), Some(spec)))
            }
            Act::Stop(id) => {
                let container = self.containers.get_mut(id);
                done(container.map(|container| {
                    container.state = ContainerState::Exited(143);
                    container.finished_at = clock::now_text();
                    container.spec.clone()
                }))
            }
            Act::Signal(..) => done(None),
            Act::Sync { container, files } => {
                // Files are copied into any container; removing one takes a command in it.
                if files.iter().any(|(source, _)| source.symlink_metadata().is_err()) {
                    self.running(container)?;
                }
                done(None)
            }
            Act::Remove(id) | Act::Kill(id) => {
                done(self.containers.remove(id).map(|container| container.spec))
            }
            Act::RemoveNetwork(name) => {
                self.networks.remove(name);
                done(None)
            }
            Act::RemoveVolume(name) => {
                self.volumes.remove(name);
                done(None)
            }
            Act::RemoveImage(id) => {
                self.images.retain(|_, other| other != id);
                done(None)
            }
            Act::Snapshot(spec) => {
                let id = self.id("sha256:");
                self.images.insert(spec.image.clone(), id.clone());
                made(id)
            }
            Act::RemoveImages { project } => {
                self.images.retain(|image, _| !image.starts_with(&format!("{project}-")));
                done(None)
            }
            Act::RemoveSnapshots { .. } => done(None),
            Act::RemoveEnvironment { project, environment } => {
                let theirs = |labels: &BTreeMap<String, String>| {
                    labels.get(label::ENVIRONMENT) == Some(environment)
                        && labels.get(label::PROJECT) == Some(project)
                };
                self.containers.retain(|_, it| !theirs(&it.spec.labels));
                self.networks.retain(|_, labels| !theirs(labels));
                self.volumes.retain(|_, labels| !theirs(labels));
                done(None)
            }
        }
    }

    pub(super) fn observe(&self, project: &str, images: &[String]) -> Look {
        let mut look = Look::default();
        let mine = |labels: &BTreeMap<String, String>| {
            labels.get(compose::PROJECT).is_some_and(|it| it == project)
                && !labels.contains_key(label::ENVIRONMENT)
        };
        let names = |all: &BTreeMap<String, BTreeMap<String, String>>| -> BTreeSet<String> {
            all.iter().filter(|(_, labels)| mine(labels)).map(|(name, _)| name.clone()).collect()
        };
        let images = images.iter().filter_map(|name| Some((name.clone(), self.images.get(name)?.clone())));
        look.observed = Observed {
            containers: Vec::new(),
            networks: names(&self.networks),
            volumes: names(&self.volumes),
            images: images.collect(),
            environments: BTreeSet::new(),
        };
        let everything = self.containers.values().map(|it| &it.spec.labels);
        for labels in everything.chain(self.networks.values()).chain(self.volumes.values()) {
            if labels.get(label::PROJECT).is_some_and(|it| it == project)
                && let Some(environment) = labels.get(label::ENVIRONMENT)
            {
                look.observed.environments.insert(EnvironmentId::new(environment));
            }
        }
        for (id, it) in self.containers.iter().filter(|(_, it)| mine(&it.spec.labels)) {
            look.observed.containers.push(it.observed(id));
            look.details.insert(id.clone(), it.details());
        }
        look
    }
}

impl FakeContainer {
    pub(super) fn observed(&self, id: &str) -> Container {
        let health = match (&self.spec.service.healthcheck, self.state) {
            (Some(check), ContainerState::Running) if !check.disable => Health::Healthy,
            _ => Health::None,
        };
        Container {
            lost_network: None,
            id: id.to_owned(),
            name: self.spec.name.clone(),
            service: ServiceName::new(self.spec.service.name.clone()),
            definition: self.spec.labels.get(label::DEFINITION).cloned(),
            config_hash: self.spec.labels.get(compose::CONFIG_HASH).cloned(),
            image: self.image.clone(),
            state: self.state,
            health,
            started: if self.starts == 0 { String::new() } else { format!("{id}.{}", self.starts) },
            shares: self.shares.clone(),
            number: 1,
        }
    }

    pub(super) fn details(&self) -> Details {
        let published = |port: &devd_compose::model::Port| {
            port.published.map(|range| Port {
                host_ip: port.host_ip.clone().unwrap_or_else(|| "0.0.0.0".to_owned()),
                host: range.first,
                container: port.target,
                protocol: port.protocol.clone(),
            })
        };
        Details {
            ports: self.spec.service.ports.iter().filter_map(published).collect(),
            started_at: self.started_at.clone(),
            finished_at: self.finished_at.clone(),
        }
    }
}
