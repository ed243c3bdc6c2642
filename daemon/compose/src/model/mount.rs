use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Span, is_false};

/// Something mounted into a service's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// An absolute path in the container.
    pub target: String,
    pub read_only: bool,
    /// It meant something on old versions of Docker for Mac.
    pub consistency: Option<String>,
    pub kind: MountKind,
    /// What the file says of it, as far as `kind` does not tell.
    pub written: MountText,
    pub span: Span,
}

impl Mount {
    /// A mount that stands in no file.
    pub fn new(target: impl Into<String>, kind: MountKind) -> Self {
        Self {
            target: target.into(),
            read_only: false,
            consistency: None,
            kind,
            written: MountText::default(),
            span: Span::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    Bind {
        /// Absolute, on the host.
        source: PathBuf,
        /// Whether the engine makes the source folder when it is not there.
        create_host_path: bool,
        propagation: Option<String>,
        /// `z` or `Z`.
        selinux: Option<String>,
        /// `enabled`, `disabled`, `writable` or `readonly`: what happens to mounts below the source.
        recursive: Option<String>,
    },
    Volume {
        /// A key of [`super::Project::volumes`]; `None` is an anonymous volume.
        source: Option<String>,
        nocopy: bool,
        subpath: Option<String>,
        /// Of an anonymous volume.
        labels: BTreeMap<String, String>,
    },
    Tmpfs {
        /// In bytes.
        size: Option<u64>,
        mode: Option<u32>,
    },
    /// The files of an image, read-only.
    Image {
        /// The image's reference.
        source: String,
        subpath: Option<String>,
    },
    /// A named pipe of Windows.
    Pipe { source: Option<String> },
    /// A volume of a swarm.
    Cluster { source: Option<String> },
}

impl MountKind {
    /// The word in the files.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Bind { .. } => "bind",
            Self::Volume { .. } => "volume",
            Self::Tmpfs { .. } => "tmpfs",
            Self::Image { .. } => "image",
            Self::Pipe { .. } => "npipe",
            Self::Cluster { .. } => "cluster",
        }
    }
}

/// A mount as compose prints it: its source with superfluous parts, and its sections, those of other kinds included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountText {
    pub source: Option<String>,
    /// What stands under `bind`, `volume`, `tmpfs` and `image`.
    pub sections: BTreeMap<String, serde_json::Value>,
}

impl Serialize for Mount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.kind.word())?;
        if let Some(source) = &self.written.source {
            map.serialize_entry("source", source)?;
        }
        map.serialize_entry("target", &self.target)?;
        if self.read_only {
            map.serialize_entry("read_only", &true)?;
        }
        if let Some(consistency) = &self.consistency {
            map.serialize_entry("consistency", consistency)?;
        }
        for (section, value) in &self.written.sections {
            map.serialize_entry(section, value)?;
        }
        map.end()
    }
}

/// A volume of the project.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Volume {
    /// Its name at the engine.
    pub name: String,
    /// Whether the file gives it an empty name, which is none.
    #[serde(skip)]
    pub nameless: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    /// Made by someone else, and never removed by devd.
    #[serde(skip_serializing_if = "is_false")]
    pub external: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip)]
    pub span: Span,
}
