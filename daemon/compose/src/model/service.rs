use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{
    Attachment, Build, Deploy, Develop, Grant, Healthcheck, HostSettings, Logging, Mount, MountKind,
    NetworkMode, Port, Resource, RestartPolicy, Span, Ulimit, XDevd, is_false, text,
};

/// One service, with everything resolved: `env_file` is folded into `environment`, paths are absolute, and the
/// default network is attached where no other was named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Service {
    #[serde(skip)]
    pub name: String,
    /// The service's key in the file that defines it first.
    #[serde(skip)]
    pub span: Span,
    #[serde(skip)]
    pub image_span: Option<Span>,
    #[serde(skip)]
    pub build_span: Option<Span>,

    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// `None`: the image's. Empty: none at all.
    pub command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<Grant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
    /// In billionths of a CPU; see [`Service::cpu_limit`].
    #[serde(rename = "cpus", serialize_with = "text::nano_cpus", skip_serializing_if = "Option::is_none")]
    pub nano_cpus: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<String, Dependency>,
    /// Dependencies that need not be there and are not, because no active profile enables them.
    #[serde(skip)]
    pub wished: BTreeMap<String, Dependency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Deploy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub develop: Option<Develop>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// `None`: the image's. Empty: none at all.
    pub entrypoint: Option<Vec<String>>,
    /// `None` as a value: named without a value that is set anywhere, so the engine unsets it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
    /// The files that `environment` was completed from.
    #[serde(skip)]
    pub env_files: Vec<EnvFile>,
    /// The variables of `environment` that only those files set.
    #[serde(skip)]
    pub from_env_files: BTreeSet<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    /// `host=address`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_add: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// As written; see [`Service::image_name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    #[serde(flatten)]
    pub host: HostSettings,
    /// In bytes; see [`Service::memory_limit`].
    #[serde(serialize_with = "text::bytes", skip_serializing_if = "Option::is_none")]
    pub mem_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    /// `None` as a value: nothing but the name.
    pub networks: BTreeMap<String, Option<Attachment>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    #[serde(skip_serializing_if = "is_false")]
    pub privileged: bool,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub profiles: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    #[serde(skip_serializing_if = "is_false")]
    pub read_only: bool,
    /// See [`Service::restart_policy`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartPolicy>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Grant>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_opt: Vec<String>,
    /// In bytes.
    #[serde(serialize_with = "text::bytes", skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    pub stdin_open: bool,
    #[serde(serialize_with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub stop_grace_period: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// `path` or `path:options`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub tty: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Mount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    #[serde(rename = "x-devd", skip_serializing_if = "XDevd::is_default")]
    pub x_devd: XDevd,
}

impl Service {
    /// The image that the container runs: the one named, or else the one that the build is tagged with.
    pub fn image_name(&self, project: &str) -> String {
        self.image.clone().unwrap_or_else(|| format!("{project}-{}", self.name))
    }

    /// The names of the services that this one mentions as needed, in no particular order and perhaps repeated.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let shared = match &self.network_mode {
            Some(NetworkMode::Service(name)) => Some(name.as_str()),
            Some(_) | None => None,
        };
        let links = self.links.iter().map(|link| link.service.as_str());
        self.depends_on.keys().map(String::as_str).chain(links).chain(shared)
    }

    /// Whether it is on the engine's own network, on which nobody has a name but by links.
    pub fn is_on_bridge(&self) -> bool {
        match &self.network_mode {
            Some(NetworkMode::Bridge) => true,
            Some(NetworkMode::Other(text)) => text == "default",
            Some(_) | None => false,
        }
    }

    /// The services whose containers must be there to make its own: it uses their network, their processes, their shared
    /// memory or their volumes, or links to them where only that gives them a name.
    pub fn shares(&self) -> impl Iterator<Item = &str> {
        let network = match &self.network_mode {
            Some(NetworkMode::Service(name)) => Some(name.as_str()),
            Some(_) | None => None,
        };
        let spaces = [self.host.ipc.as_deref(), self.host.pid.as_deref()].into_iter().flatten();
        let spaces = spaces.filter_map(|text| text.strip_prefix("service:"));
        let volumes = self.host.volumes_from.iter().filter(|text| !text.starts_with("container:"));
        let volumes = volumes.map(|text| text.split_once(':').map_or(text.as_str(), |(name, _)| name));
        let links = self.links.iter().filter(|_| self.is_on_bridge()).map(|link| link.service.as_str());
        network.into_iter().chain(spaces).chain(volumes).chain(links)
    }

    /// How many containers it is.
    pub fn replicas(&self) -> u32 {
        let deployed = || self.deploy.as_ref().and_then(|deploy| deploy.replicas);
        self.host.scale.or_else(deployed).unwrap_or(1)
    }

    /// Everything mounted into the container: its volumes, and the files of its secrets and configs.
    pub fn mounts(&self) -> Vec<Mount> {
        let mut all = self.volumes.clone();
        let is_file = |grant: &&Grant| !grant.file.as_os_str().is_empty();
        let secrets = self.secrets.iter().filter(is_file).map(|grant| grant.mount("/run/secrets"));
        let configs = self.configs.iter().filter(is_file).map(|grant| grant.mount(""));
        for mount in secrets.chain(configs) {
            // What is mounted by hand was meant.
            if !all.iter().any(|known| known.target == mount.target) {
                all.push(mount);
            }
        }
        all
    }

    /// What the engine is to do when the container ends: `deploy` wins over `restart`.
    pub fn restart_policy(&self) -> Option<RestartPolicy> {
        let deployed = self.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref());
        deployed.map(super::DeployRestart::policy).or(self.restart)
    }

    fn limits(&self) -> Option<&Resource> {
        self.deploy.as_ref()?.resources.limits.as_ref()
    }

    fn reservations(&self) -> Option<&Resource> {
        self.deploy.as_ref()?.resources.reservations.as_ref()
    }

    /// In billionths of a CPU.
    pub fn cpu_limit(&self) -> Option<u64> {
        self.limits().and_then(|limits| limits.nano_cpus).or(self.nano_cpus)
    }

    /// In bytes.
    pub fn memory_limit(&self) -> Option<u64> {
        self.limits().and_then(|limits| limits.memory).or(self.mem_limit)
    }

    /// In bytes.
    pub fn memory_reservation(&self) -> Option<u64> {
        self.reservations().and_then(|reserved| reserved.memory).or(self.host.mem_reservation)
    }

    pub fn pids_limit(&self) -> Option<i64> {
        self.limits().and_then(|limits| limits.pids).or(self.host.pids_limit)
    }

    /// The devices that the engine is to choose.
    pub fn device_requests(&self) -> Vec<super::DeviceRequest> {
        let gpus = self.host.gpus.iter().map(|request| {
            let mut request = request.clone();
            if !request.capabilities.iter().any(|capability| capability == "gpu") {
                request.capabilities.push("gpu".to_owned());
            }
            request
        });
        let reserved = self.reservations().map(|reserved| reserved.devices.clone()).unwrap_or_default();
        reserved.into_iter().chain(gpus).collect()
    }

    /// The bind mounts: source on the host, target in the container.
    pub fn binds(&self) -> impl Iterator<Item = (&std::path::Path, &Mount)> {
        self.volumes.iter().filter_map(|mount| match &mount.kind {
            MountKind::Bind { source, .. } => Some((source.as_path(), mount)),
            MountKind::Volume { .. }
            | MountKind::Tmpfs { .. }
            | MountKind::Image { .. }
            | MountKind::Pipe { .. }
            | MountKind::Cluster { .. } => None,
        })
    }
}

/// A file with variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvFile {
    /// Absolute, as compose prints it.
    pub path: String,
    pub required: bool,
    /// `raw`: without quotes and variables.
    pub format: Option<String>,
}

/// As compose does: a path where nothing else is said.
impl Serialize for EnvFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.required {
            return serializer.serialize_str(&self.path);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("required", &false)?;
        if let Some(format) = &self.format {
            map.serialize_entry("format", format)?;
        }
        map.end()
    }
}

/// One edge of `depends_on`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Dependency {
    pub condition: Condition,
    /// Restart the dependent when this dependency is restarted by hand or recreated.
    #[serde(skip_serializing_if = "is_false")]
    pub restart: bool,
    pub required: bool,
    #[serde(skip)]
    pub span: Span,
}

/// What a dependency must have reached before its dependents start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub enum Condition {
    #[default]
    #[serde(rename = "service_started")]
    Started,
    #[serde(rename = "service_healthy")]
    Healthy,
    #[serde(rename = "service_completed_successfully")]
    Completed,
}

/// Another name for a service on the networks of the linking one. Links order nothing, so they may be circular.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    pub service: String,
    /// The service's name unless the file says otherwise.
    pub alias: String,
    pub span: Span,
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.alias == self.service {
            serializer.serialize_str(&self.service)
        } else {
            serializer.collect_str(&format_args!("{}:{}", self.service, self.alias))
        }
    }
}

/// When an image is pulled, or built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullPolicy {
    Always,
    Never,
    Missing,
    Build,
    /// Nothing says how old an image may be, so it counts as [`PullPolicy::Missing`].
    Refresh,
    /// Again when the last time is so long ago.
    Every {
        age: Duration,
        /// As the file says it: `daily`, `weekly`, `every_…`.
        text: String,
    },
}

impl Serialize for PullPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Missing => "missing",
            Self::Build => "build",
            Self::Refresh => "refresh",
            Self::Every { text, .. } => text,
        })
    }
}
