//! How a project looks from outside: the logic's view, with what only people want to see.

use crate::blueprint::Blueprint;
use crate::clock::{self, Clock};
use crate::engine::Look;
use crate::hub::Hub;
use devd_logic::status::{ProjectView, ServiceView};
use devd_logic::{Container, ContainerState, Moment, Observed, State};
use devd_proto::{
    ContainerRef, Diagnostic, LastChange, LastExit, Port, ProjectStatus, ReplicaStatus, Run, ServiceName,
    ServiceState, ServiceStatus, TestsState, TestsStatus, What,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// The newest start of each service's process, while its container is there. Clients need not know it, those who follow
/// logs do: another value says that there is more to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Starts {
    /// How often the engine was reached again. What was being read broke off then.
    connections: u64,
    /// Containers and their starts; `None` before the engine was looked at.
    services: Option<BTreeMap<ServiceName, (String, String)>>,
}

/// One start of a process, as it was seen over one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its container.
    pub container: String,
    started: String,
    connection: u64,
}

impl Starts {
    /// Whether the engine was looked at.
    pub fn is_known(&self) -> bool {
        self.services.is_some()
    }

    /// The newest start of a service.
    pub fn of(&self, service: &ServiceName) -> Option<Start> {
        let (container, started) = self.services.as_ref()?.get(service)?.clone();
        Some(Start { container, started, connection: self.connections })
    }
}

/// Publishes the newest status; whoever reads late reads the newest, and nobody is waited for.
#[derive(Debug)]
pub struct Publisher {
    clock: Clock,
    hub: Hub,
    sender: watch::Sender<Arc<ProjectStatus>>,
    starts: watch::Sender<Starts>,
    /// Why the files do not load.
    pub error: Option<Diagnostic>,
    /// The newest line of a build under way.
    pub progress: BTreeMap<ServiceName, String>,
    /// The newest run with a verdict, by service.
    pub last_runs: BTreeMap<ServiceName, Run>,
    /// The newest runs that were called off.
    pub cancelled: BTreeMap<ServiceName, Run>,
    /// The run under way, by service.
    pub running: BTreeMap<ServiceName, Run>,
    /// How each service last ended, with the start that ended.
    exits: BTreeMap<ServiceName, (String, LastExit)>,
    since: BTreeMap<ServiceName, (ServiceState, String)>,
    /// When each service last changed, with the calendar's word for it: what was said once stays so.
    changed: BTreeMap<ServiceName, (Moment, String)>,
    /// Environments that stand ready.
    pub warm: BTreeMap<ServiceName, u32>,
}

impl Publisher {
    /// Publishes to a channel of its own and to the hub.
    pub fn new(clock: Clock, blueprint: &Blueprint, hub: Hub) -> Self {
        let first = ProjectStatus {
            name: blueprint.name.clone(),
            root: blueprint.project.dir.display().to_string(),
            state: devd_proto::ProjectState::Starting,
            error: None,
            revision: 0,
            settled: false,
            services: Vec::new(),
        };
        Self {
            clock,
            hub,
            sender: watch::Sender::new(Arc::new(first)),
            starts: watch::Sender::default(),
            error: None,
            progress: BTreeMap::new(),
            last_runs: BTreeMap::new(),
            cancelled: BTreeMap::new(),
            running: BTreeMap::new(),
            exits: BTreeMap::new(),
            since: BTreeMap::new(),
            changed: BTreeMap::new(),
            warm: BTreeMap::new(),
        }
    }

    /// The newest status, always.
    pub fn subscribe(&self) -> watch::Receiver<Arc<ProjectStatus>> {
        self.sender.subscribe()
    }

    /// The newest starts, always.
    pub fn subscribe_to_starts(&self) -> watch::Receiver<Starts> {
        self.starts.subscribe()
    }

    /// The engine is reached again.
    pub fn engine_back(&self) {
        self.starts.send_modify(|starts| starts.connections += 1);
    }

    /// The revision of the newest status.
    pub fn revision(&self) -> u64 {
        self.sender.borrow().revision
    }

    /// Notes how a start ended. Whether that is news.
    pub fn note_exit(&mut self, service: &ServiceName, started: &str, code: i64, at: String) -> bool {
        if self.exits.get(service).is_some_and(|(start, _)| start == started) {
            return false;
        }
        // Its last words come a moment later; until then those of the death before are nearer to them than silence.
        let output = self.exits.remove(service).map(|(_, exit)| exit.output).unwrap_or_default();
        let exit = LastExit { code, at, output };
        self.exits.insert(service.clone(), (started.to_owned(), exit));
        true
    }

    /// Notes what it wrote last.
    pub fn note_output(&mut self, service: &ServiceName, started: &str, lines: Vec<String>) {
        if let Some((start, exit)) = self.exits.get_mut(service)
            && start == started
        {
            exit.output = lines;
        }
    }

    /// Publishes the newest starts.
    pub fn publish_starts(&self, observed: &Observed) {
        let names = observed.containers.iter().map(|container| &container.service);
        let mains = names.filter_map(|name| observed.main(name));
        // One that never started has nothing to say.
        let mains = mains.filter(|container| !container.started.is_empty());
        let start = |it: &Container| (it.service.clone(), (it.id.clone(), it.started.clone()));
        let services = Some(mains.map(start).collect());
        self.starts.send_if_modified(|starts| {
            let news = starts.services != services;
            starts.services = services;
            news
        });
    }

    /// Publishes how things stand, if that is not what was published last.
    pub fn publish(&mut self, view: &ProjectView, state: &State, blueprint: &Blueprint, look: &Look) {
        let before = Arc::clone(&self.sender.borrow());
        let services = view
            .services
            .iter()
            .map(|(name, service)| {
                let replicas = view.replicas.get(name).map(Vec::as_slice).unwrap_or_default();
                self.service(name, service, replicas, state, blueprint, look)
            })
            .collect();
        let mut status = ProjectStatus {
            name: blueprint.name.clone(),
            root: blueprint.project.dir.display().to_string(),
            state: view.state,
            error: self.error.clone(),
            revision: before.revision,
            settled: view.settled,
            services,
        };
        if status == *before {
            return;
        }
        status.revision += 1;
        for service in &status.services {
            let old = before.services.iter().find(|old| old.name == service.name);
            if let Some(old) = old.filter(|old| old.state != service.state) {
                let (service, from, to, reason) =
                    (service.name.clone(), old.state, service.state, service.reason.clone());
                self.hub.tell(&status.name, What::Service { service, from, to, reason });
            }
        }
        self.hub.tell(&status.name, What::Status { status: Box::new(status.clone()) });
        self.sender.send_replace(Arc::new(status));
    }

    fn service(
        &mut self,
        name: &ServiceName,
        view: &ServiceView,
        replicas: &[ServiceView],
        state: &State,
        blueprint: &Blueprint,
        look: &Look,
    ) -> ServiceStatus {
        let replicas: Vec<ReplicaStatus> =
            (1..).zip(replicas).map(|(index, view)| replica(name, index, view, look)).collect();
        let container = look.observed.main(name);
        let details = container.and_then(|container| look.details.get(&container.id));
        let building = view.state == ServiceState::Building;
        let reason = match self.progress.get(name) {
            Some(line) if building => Some(line.clone()),
            Some(_) | None => view.reason.clone(),
        };
        let since = match self.since.get(name) {
            Some((state, since)) if *state == view.state => since.clone(),
            known => {
                let started = details.map(|details| clock::normalise(&details.started_at));
                // What runs when it is first seen was started by an earlier daemon. The engine does not hear of a restart
                // in place, so later on its word is an old one.
                let found = known.is_none() && view.state == ServiceState::Running;
                let since = started.filter(|at| found && !at.is_empty()).unwrap_or_else(clock::now_text);
                self.since.insert(name.clone(), (view.state, since.clone()));
                since
            }
        };
        let ports = if replicas.is_empty() {
            ports(container, view.state, look)
        } else {
            replicas.iter().flat_map(|replica| replica.ports.clone()).collect()
        };
        let last_change = view.last_change.as_ref().map(|(path, at, action)| LastChange {
            path: path.clone(),
            at: self.told(name, *at),
            action: (*action).to_owned(),
        });
        ServiceStatus {
            name: name.clone(),
            state: view.state,
            health: view.health,
            reason,
            container: container.map(reference),
            ports,
            since: Some(since),
            restarts: view.restarts,
            last_exit: self.exits.get(name).map(|(_, exit)| exit.clone()),
            last_change,
            tests: self.tests(name, view, state, blueprint),
            replicas,
        }
    }

    /// When a service changed, on the calendar.
    fn told(&mut self, name: &ServiceName, at: Moment) -> String {
        let clock = self.clock;
        let entry = self.changed.entry(name.clone()).or_insert_with(|| (at, clock.calendar(at)));
        if entry.0 != at {
            *entry = (at, clock.calendar(at));
        }
        entry.1.clone()
    }

    fn tests(
        &self,
        name: &ServiceName,
        view: &ServiceView,
        state: &State,
        blueprint: &Blueprint,
    ) -> TestsStatus {
        let tests = &view.tests;
        let has_suite = state.desired().suites.contains_key(name);
        let shown = match tests.state {
            TestsState::Running => self.running.get(name),
            TestsState::Cancelled => self.cancelled.get(name),
            _ => self.last_runs.get(name),
        }
        .filter(|_| has_suite);
        // Known from an earlier life, though it is not known yet whether it still holds.
        let state = match (tests.state, shown) {
            (TestsState::None, Some(run)) => run.state,
            (state, _) => state,
        };
        // Its tests stay as they were; that is not what is on disk.
        let (state, current, broken) = match blueprint.broken_suites.get(name) {
            Some(broken) => {
                (TestsState::Error, false, Some(place_and_message(broken, &blueprint.project.dir)))
            }
            None => (state, tests.current, None),
        };
        TestsStatus {
            state,
            current,
            run: shown.map(|run| run.id.clone()),
            started_at: shown.map(|run| run.started_at.clone()),
            duration_ms: shown.and_then(|run| run.duration_ms),
            passed: shown.and_then(|run| run.passed),
            failed: shown.and_then(|run| run.failed),
            skipped: shown.and_then(|run| run.skipped),
            reason: broken
                .or_else(|| tests.reason.clone())
                .or_else(|| shown.and_then(|run| run.reason.clone())),
            warm: self.warm.get(name).copied().unwrap_or_default(),
        }
    }
}

/// One of several containers of a service.
fn replica(service: &ServiceName, index: u32, view: &ServiceView, look: &Look) -> ReplicaStatus {
    let container = look.observed.main(&devd_logic::replica::name(service, index));
    ReplicaStatus {
        index,
        state: view.state,
        health: view.health,
        reason: view.reason.clone(),
        container: container.map(reference),
        ports: ports(container, view.state, look),
    }
}

fn reference(container: &Container) -> ContainerRef {
    ContainerRef { id: container.id.clone(), name: container.name.clone() }
}

/// The ports that are published at this moment.
fn ports(container: Option<&Container>, state: ServiceState, look: &Look) -> Vec<Port> {
    let running =
        container.filter(|it| it.state == ContainerState::Running && state != ServiceState::Stopped);
    let details = running.and_then(|container| look.details.get(&container.id));
    details.map(|details| details.ports.clone()).unwrap_or_default()
}

/// The place as one sees it from the project's folder: each service's folder may have a `compose.yaml`.
fn place_and_message(found: &devd_compose::Diagnostic, dir: &Path) -> String {
    match (&found.file, found.line) {
        (Some(file), Some(line)) => {
            let file = file.strip_prefix(dir).unwrap_or(file).display();
            format!("{file}:{line}: {}", found.message)
        }
        _ => found.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_its_file_from_the_project() {
        let said = |file: &str| {
            let found = devd_compose::Diagnostic {
                severity: devd_compose::Severity::Error,
                code: "unknown-key",
                message: "unknown key `imagee`".to_owned(),
                file: Some(file.into()),
                line: Some(12),
                column: None,
                length: 1,
                source_line: None,
                path: String::new(),
                help: None,
            };
            place_and_message(&found, Path::new("/p/shop"))
        };
        assert_eq!(said("/p/shop/web/compose.yaml"), "web/compose.yaml:12: unknown key `imagee`");
        assert_eq!(said("/p/other/compose.yaml"), "/p/other/compose.yaml:12: unknown key `imagee`");
    }
}
