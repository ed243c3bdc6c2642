use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::{Mount, MountKind, Span, is_false};

/// What services may read: one of `secrets` or `configs` at the top level.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SharedFile {
    pub name: String,
    /// Whether the file gives it an empty name, which is none.
    #[serde(skip)]
    pub nameless: bool,
    /// A file of the host, absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The name of a variable of the project's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The value of that variable, if it is set. Never printed.
    #[serde(skip)]
    pub value: Option<String>,
    /// The text itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Kept by someone else, which only Swarm can.
    #[serde(skip_serializing_if = "is_false")]
    pub external: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Of Swarm, like its options and `template_driver`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_driver: Option<String>,
    #[serde(skip)]
    pub span: Span,
}

/// That a service gets one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Grant {
    /// A key of [`super::Project::secrets`] or [`super::Project::configs`].
    pub source: String,
    /// As written; see [`Grant::place`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Means nothing for files, like `gid` and `mode`: they keep their own. For what is no file, the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What is mounted, once the project is complete. Empty when it is not a file.
    #[serde(skip)]
    pub file: PathBuf,
    /// The text that the container gets where there is no file: of a variable, or out of the compose file.
    #[serde(skip)]
    pub content: Option<String>,
    #[serde(skip)]
    pub span: Span,
}

impl Grant {
    /// Its absolute path in the container. What is relative starts at `folder`.
    pub fn place(&self, folder: &str) -> String {
        let target = self.target.as_deref().unwrap_or(&self.source);
        if target.starts_with('/') { target.to_owned() } else { format!("{folder}/{target}") }
    }

    pub(super) fn mount(&self, folder: &str) -> Mount {
        let kind = MountKind::Bind {
            source: self.file.clone(),
            create_host_path: false,
            propagation: None,
            selinux: None,
            recursive: None,
        };
        Mount { read_only: true, span: self.span.clone(), ..Mount::new(self.place(folder), kind) }
    }
}
