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
    pub kind: MountKind,
    pub span: Span,
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
    },
    Volume {
        /// A key of [`super::Project::volumes`]; `None` is an anonymous volume.
        source: Option<String>,
        nocopy: bool,
        subpath: Option<String>,
    },
    Tmpfs {
        /// In bytes.
        size: Option<u64>,
        mode: Option<u32>,
    },
}

impl Serialize for Mount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut options = BTreeMap::new();
        let kind = match &self.kind {
            MountKind::Bind { source, create_host_path, propagation, selinux } => {
                map.serialize_entry("source", source)?;
                options.insert("create_host_path", Text::Bool(*create_host_path));
                options.extend(propagation.as_ref().map(|text| ("propagation", Text::String(text.clone()))));
                options.extend(selinux.as_ref().map(|text| ("selinux", Text::String(text.clone()))));
                "bind"
            }
            MountKind::Volume { source, nocopy, subpath } => {
                if let Some(source) = source {
                    map.serialize_entry("source", source)?;
                }
                if *nocopy {
                    options.insert("nocopy", Text::Bool(true));
                }
                options.extend(subpath.as_ref().map(|text| ("subpath", Text::String(text.clone()))));
                "volume"
            }
            MountKind::Tmpfs { size, mode } => {
                options.extend(size.map(|size| ("size", Text::String(size.to_string()))));
                options.extend(mode.map(|mode| ("mode", Text::Number(mode))));
                "tmpfs"
            }
        };
        map.serialize_entry("type", kind)?;
        map.serialize_entry("target", &self.target)?;
        if self.read_only {
            map.serialize_entry("read_only", &true)?;
        }
        map.serialize_entry(kind, &options)?;
        map.end()
    }
}

enum Text {
    Bool(bool),
    Number(u32),
    String(String),
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_u32(*value),
            Self::String(value) => serializer.serialize_str(value),
        }
    }
}

/// A volume of the project.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Volume {
    /// Its name at the engine.
    pub name: String,
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
