use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{is_false, text};

/// How the engine finds out whether the service is well. What is `None` comes from the image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Healthcheck {
    /// Begins with `CMD`, `CMD-SHELL` or `NONE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_false")]
    pub disable: bool,
    #[serde(serialize_with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    #[serde(serialize_with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    #[serde(serialize_with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub start_period: Option<Duration>,
    #[serde(serialize_with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<Duration>,
}

/// Where the engine sends the container's output.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Logging {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// What compose would have the engine do when the container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    No,
    Always,
    UnlessStopped,
    OnFailure { max_retries: Option<u32> },
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => out.write_str("no"),
            Self::Always => out.write_str("always"),
            Self::UnlessStopped => out.write_str("unless-stopped"),
            Self::OnFailure { max_retries: None } => out.write_str("on-failure"),
            Self::OnFailure { max_retries: Some(max) } => write!(out, "on-failure:{max}"),
        }
    }
}

impl Serialize for RestartPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A resource limit; -1 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ulimit {
    Single(i64),
    Range { soft: i64, hard: i64 },
}

impl Ulimit {
    pub fn soft(self) -> i64 {
        match self {
            Self::Single(value) | Self::Range { soft: value, .. } => value,
        }
    }

    pub fn hard(self) -> i64 {
        match self {
            Self::Single(value) | Self::Range { hard: value, .. } => value,
        }
    }
}

impl Serialize for Ulimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Single(value) => serializer.serialize_i64(*value),
            Self::Range { soft, hard } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("hard", hard)?;
                map.serialize_entry("soft", soft)?;
                map.end()
            }
        }
    }
}
