use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::{Grant, Ulimit, is_false, text};

/// How to make a service's image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Build {
    /// An existing folder, absolute; or, if it is [remote](Self::remote), what to fetch.
    #[serde(skip)]
    pub context: PathBuf,
    /// Whether the context is a URL or another thing that only the builder can fetch.
    #[serde(skip)]
    pub remote: bool,
    /// The context as compose prints it: with `..` and a `/` at its end.
    #[serde(rename = "context")]
    pub context_text: String,
    /// Relative to the context, or absolute. `None` with `dockerfile_inline`, and where the file says that it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile_inline: Option<String>,
    /// Rights that the build asks for, such as `network.host`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entitlements: Vec<String>,
    /// Those that are set nowhere are left out, so the Dockerfile's default counts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Option<String>>,
    /// `true`, `false` or `mode=…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<String>,
    /// `true`, `false` or options of the generator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sbom: Option<String>,
    /// The agent's socket is `default`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<SshKey>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache_from: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache_to: Vec<String>,
    /// Further contexts by name: an absolute folder, a URL, `docker-image://…` or `service:…`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub additional_contexts: BTreeMap<String, String>,
    /// `host=address`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub no_cache: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub pull: bool,
    /// What the image is built for, besides or instead of the machine's own kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub privileged: bool,
    /// Seen while the image is built, and not in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Grant>,
    /// In bytes.
    #[serde(serialize_with = "text::bytes", skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u64>,
    /// Names for the image besides the service's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
}

/// A key, or the socket of an agent, that a build may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshKey {
    pub id: String,
    /// `None`: the agent of the one who builds.
    pub path: Option<String>,
}

impl Serialize for SshKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.path {
            Some(path) => serializer.collect_str(&format_args!("{}={path}", self.id)),
            None => serializer.serialize_str(&self.id),
        }
    }
}
