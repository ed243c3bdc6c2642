//! What is: the engine's answer to one look.

use devd_proto::ServiceName;
use std::collections::{BTreeMap, BTreeSet};

/// Everything on the engine that belongs to a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its containers, of the dev stack only.
    pub containers: Vec<Container>,
    /// Its networks, by name.
    pub networks: BTreeSet<String>,
    /// Its volumes, by name.
    pub volumes: BTreeSet<String>,
    /// The ids of the images its services name, as far as they are there.
    pub images: BTreeMap<String, String>,
    /// Test environments of which anything is left.
    pub environments: BTreeSet<EnvironmentId>,
}

/// Names a test environment: everything on the engine that was made for one run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvironmentId(String);

impl EnvironmentId {
    /// From its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A container of the dev stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub service: ServiceName,
    /// The definition it was made from; `None` when devd did not make it.
    pub definition: Option<String>,
    /// Compose's digest of what it was made from.
    pub config_hash: Option<String>,
    /// The id of its image.
    pub image: String,
    /// What it does.
    pub state: ContainerState,
    /// What the engine says of its health.
    pub health: Health,
    /// Identifies the start of its process: another value, another process.
    pub started: String,
    /// Ids, or where the engine does not tell them names, of other containers of which it uses something as its own.
    pub shares: BTreeSet<String>,
    /// A network of the project that was made anew without it. One that somebody only took it off is their wish.
    pub lost_network: Option<String>,
    /// Container number, from 1; the lowest is kept.
    pub number: u32,
}

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process runs.
    Running,
    /// Frozen.
    Paused,
    /// The engine starts it again by its own policy.
    Restarting,
    /// Its process ended with this code.
    Exited(i64),
    /// The engine is removing it, or failed to.
    Removing,
}

/// What a health check says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// There is none.
    #[default]
    None,
    /// It has not passed yet.
    Starting,
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
}

impl Observed {
    pub(crate) fn of<'a>(&'a self, service: &ServiceName) -> impl Iterator<Item = &'a Container> + use<'a> {
        let service = service.clone();
        self.containers.iter().filter(move |container| container.service == service)
    }

    /// The container that stands for a service; others of it are surplus.
    pub fn main(&self, service: &ServiceName) -> Option<&Container> {
        self.of(service).min_by_key(|container| (container.number, &container.id))
    }
}
