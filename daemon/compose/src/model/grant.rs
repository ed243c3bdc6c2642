use std::path::PathBuf;

use serde::Serialize;

use super::{Mount, MountKind, Span, is_false};

/// A file of the host that services may read: one of `secrets` or `configs` at the top level.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SharedFile {
    pub name: String,
    /// Absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The name of a variable. No service can use it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The text itself. No service can use it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Kept by someone else. No service can use it, as only Swarm could.
    #[serde(skip_serializing_if = "is_false")]
    pub external: bool,
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
    /// Means nothing for files, like `gid` and `mode`: they keep their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What is mounted, once the project is complete.
    #[serde(skip)]
    pub file: PathBuf,
    #[serde(skip)]
    pub span: Span,
}

impl Grant {
    /// Its absolute path in the container. What is relative starts at `folder`.
    fn place(&self, folder: &str) -> String {
        let target = self.target.as_deref().unwrap_or(&self.source);
        if target.starts_with('/') { target.to_owned() } else { format!("{folder}/{target}") }
    }

    pub(super) fn mount(&self, folder: &str) -> Mount {
        let kind = MountKind::Bind {
            source: self.file.clone(),
            create_host_path: false,
            propagation: None,
            selinux: None,
        };
        Mount { target: self.place(folder), read_only: true, kind, span: self.span.clone() }
    }
}
