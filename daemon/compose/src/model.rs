//! What a set of compose files means, once everything is resolved.
//!
//! Serialising a type of this module gives compose's canonical form: long syntax, absolute paths, durations as
//! `1m30s`, sizes as decimal strings.

mod build;
mod container;
mod deploy;
mod devd;
mod develop;
mod extension;
mod grant;
mod host;
mod mount;
mod network;
mod place;
mod port;
mod service;
pub(crate) mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

pub use build::{Build, SshKey};
pub use container::{Healthcheck, Logging, RestartPolicy, Ulimit};
pub use deploy::{
    Deploy, DeployRestart, GenericResource, Placement, Preference, Resource, Resources, UpdateConfig,
};
pub use devd::{OnChange, Prepare, Tests, XDevd};
pub use develop::{Develop, WatchAction, WatchExec, WatchRule};
pub use extension::{CredentialSpec, Hook, Model, ModelGrant, Provider};
pub use grant::{Grant, SharedFile};
pub use host::{Blkio, BlkioRate, BlkioWeight, Device, DeviceRequest, HostSettings};
pub use mount::{Mount, MountKind, MountText, Volume};
pub use network::{Attachment, Ipam, IpamPool, Network, NetworkMode};
pub use place::Places;
pub use port::{Port, PortRange};
pub use service::{Condition, Dependency, EnvFile, Link, PullPolicy, Service};

/// Everything that the files of one project say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Project {
    pub name: String,
    /// Relative paths of the files start here: the folder of the first file. Absolute.
    #[serde(skip)]
    pub dir: PathBuf,
    /// The compose files in the order in which they were merged. Absolute.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
    pub services: BTreeMap<String, Service>,
    /// Services left out because none of their profiles is active.
    #[serde(skip)]
    pub disabled_services: BTreeMap<String, Service>,
    /// The networks that the enabled services use, by their name in the files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, Network>,
    /// The volumes that the enabled services use, by their name in the files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Volume>,
    /// The secrets that the enabled services use, by their name in the files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SharedFile>,
    /// The configs that the enabled services use, by their name in the files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: BTreeMap<String, SharedFile>,
    /// The language models of the files, used or not. Compose does not print them as JSON.
    #[serde(skip)]
    pub models: BTreeMap<String, Model>,
    /// `x-…` at the top level.
    #[serde(flatten)]
    pub extensions: BTreeMap<String, serde_json::Value>,
    /// Where everything stands.
    #[serde(skip)]
    pub places: Places,
}

impl Project {
    /// The profiles that the files name, active or not.
    pub fn profiles(&self) -> BTreeSet<&str> {
        let services = self.services.values().chain(self.disabled_services.values());
        services.flat_map(|service| service.profiles.iter().map(String::as_str)).collect()
    }

    /// The same project with the values of its secrets, to be shown to someone who asked for them.
    pub fn with_secret_values(mut self) -> Self {
        for secret in self.secrets.values_mut() {
            secret.content = secret.value.clone();
        }
        self
    }

    /// The services that `service` needs, transitively and without itself: by `depends_on`, by a link, or by
    /// sharing a network namespace. Only enabled services.
    pub fn closure(&self, service: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![service];
        while let Some(next) = open.pop() {
            let Some(next) = self.services.get(next) else { continue };
            for name in next.needs() {
                if self.services.contains_key(name) && found.insert(name.to_owned()) {
                    open.push(name);
                }
            }
        }
        found.remove(service);
        found
    }
}

/// A place in a file, for errors that are found only later: a port that is taken, an image that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub file: Arc<Path>,
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
}

impl Default for Span {
    fn default() -> Self {
        Self { file: Arc::from(Path::new("")), line: 1, column: 1 }
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}
