//! What should be: the compose files, in the few words that decisions need.

use devd_proto::ServiceName;
use std::collections::{BTreeMap, BTreeSet};

/// What a project's files ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Services to keep, by name. A suite's own service is not among them. Each further container of a service is one of its
    /// own: see [`crate::replica`].
    pub services: BTreeMap<ServiceName, Service>,
    /// Tests, by the service whose they are.
    pub suites: BTreeMap<ServiceName, Suite>,
    /// Networks to create, by engine name.
    pub networks: BTreeSet<String>,
    /// Volumes to create, by engine name.
    pub volumes: BTreeSet<String>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// A digest of all that makes its container; another one means another container.
    pub definition: String,
    /// Compose's own digest of what the files say of it.
    pub config_hash: String,
    /// The reference of its image.
    pub image: String,
    /// The image is built here, from what has this digest; else it is pulled. Another one means another build.
    pub build: Option<String>,
    /// Services whose images its own is built from.
    pub bases: BTreeSet<ServiceName>,
    /// When to pull.
    pub pull: Pull,
    /// What must be so before it starts.
    pub needs: Vec<Need>,
    /// Services of whose containers it uses something as its own: a namespace, or volumes. It can only be made when they
    /// are there, and must be made anew when they are.
    pub shares: BTreeSet<ServiceName>,
    /// It is a further container of this service, which sees to the image of both.
    pub replica_of: Option<ServiceName>,
    /// The files ask for no container of it.
    pub absent: bool,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// When it is not there.
    #[default]
    Missing,
    /// Also whenever the user brings the service up. The old image serves until the new one is there.
    Again,
    /// Not even then.
    Never,
}

/// Something that must be so before a service starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The other service.
    pub service: ServiceName,
    /// What it must have reached.
    pub condition: Condition,
    /// Without it the service starts all the same.
    pub required: bool,
}

/// What a needed service must have reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Started,
    /// Its health check passes.
    Healthy,
    /// It ended with exit code 0.
    Completed,
}

impl Condition {
    /// The word users see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Healthy => "healthy",
            Self::Completed => "completed",
        }
    }
}

/// The tests of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// A digest of all that makes its environment; another one means that a verdict says nothing any more.
    pub definition: String,
    /// Changes rerun them.
    pub on_change: bool,
}

impl Desired {
    /// Some services with all that they need, directly or not.
    pub fn closure(&self, from: &BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&ServiceName> = from.iter().collect();
        while let Some(name) = open.pop() {
            let Some(service) = self.services.get(name) else { continue };
            if found.insert(name.clone()) {
                found.extend(self.replicas(name));
                open.extend(service.needs.iter().map(|need| &need.service));
            }
        }
        found
    }

    /// Whether somebody waits for this service to end.
    pub(crate) fn is_one_shot(&self, name: &ServiceName) -> bool {
        self.services
            .values()
            .flat_map(|service| &service.needs)
            .any(|need| need.service == *name && need.condition == Condition::Completed)
    }
}
