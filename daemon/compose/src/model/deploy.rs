use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{DeviceRequest, RestartPolicy, text};

/// What Swarm would do with a service. On a single machine, only `resources` and `restart_policy` mean something; the
/// rest is kept to be printed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Deploy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// How many containers; see [`Service::replicas`](super::Service::replicas).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_config: Option<UpdateConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_config: Option<UpdateConfig>,
    pub resources: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<DeployRestart>,
    pub placement: Placement,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_mode: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Resources {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Resource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservations: Option<Resource>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Resource {
    /// In billionths of a CPU. As a reservation it means nothing on a single machine.
    #[serde(rename = "cpus", serialize_with = "text::nano_cpus", skip_serializing_if = "Option::is_none")]
    pub nano_cpus: Option<u64>,
    /// In bytes.
    #[serde(serialize_with = "text::bytes", skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Of limits only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<i64>,
    /// Of reservations only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceRequest>,
    /// Of reservations only. Nothing to a single machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub generic_resources: Vec<GenericResource>,
}

/// Something countable of a node of a swarm. `None`: the entry is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GenericResource {
    pub kind: Option<String>,
    pub value: Option<i64>,
}

impl Serialize for GenericResource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Discrete<'a> {
            kind: &'a str,
            value: i64,
        }
        let mut map = serializer.serialize_map(None)?;
        if self.kind.is_some() || self.value.is_some() {
            let kind = self.kind.as_deref().unwrap_or_default();
            let discrete = Discrete { kind, value: self.value.unwrap_or_default() };
            map.serialize_entry("discrete_resource_spec", &discrete)?;
        }
        map.end()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeployRestart {
    /// `none`, `on-failure` or `any`, or a word of `restart`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    #[serde(serialize_with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    #[serde(serialize_with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
}

impl DeployRestart {
    /// The engine's word for it.
    pub fn policy(&self) -> RestartPolicy {
        match self.condition.as_deref() {
            Some("none" | "no") => RestartPolicy::No,
            Some("unless-stopped") => RestartPolicy::UnlessStopped,
            Some("on-failure") => RestartPolicy::OnFailure { max_retries: self.max_attempts },
            Some(_) | None => RestartPolicy::Always,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Placement {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preferences: Vec<Preference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_replicas_per_node: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Preference {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UpdateConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u64>,
    #[serde(serialize_with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_action: Option<String>,
    #[serde(serialize_with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Duration>,
    /// The text of a number.
    #[serde(serialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub max_failure_ratio: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
}

fn number<S: Serializer>(value: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match value.as_deref().map(str::parse::<f64>) {
        Some(Ok(number)) => text::single(number, serializer),
        Some(Err(_)) | None => serializer.serialize_none(),
    }
}
