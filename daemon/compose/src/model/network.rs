use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::{Span, is_false, is_zero};

/// A network of the project.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Network {
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
    /// No way out to the world.
    #[serde(skip_serializing_if = "is_false")]
    pub internal: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub attachable: bool,
    /// `None`: the engine decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_ipv4: Option<bool>,
    /// `None`: the engine decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_ipv6: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    pub ipam: Ipam,
    #[serde(skip)]
    pub span: Span,
}

/// Which addresses a network has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Ipam {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<IpamPool>,
    /// Of the driver. Compose drops them, so they are not printed.
    #[serde(skip)]
    pub options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct IpamPool {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub aux_addresses: BTreeMap<String, String>,
}

/// How a service is on a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Attachment {
    /// Besides the service's name, which is always one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    /// The network with the highest is the one whose gateway the container uses.
    #[serde(skip_serializing_if = "is_zero")]
    pub gw_priority: i64,
    /// Of the container's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub link_local_ips: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    /// Networks with a higher one are connected first.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority: i64,
}

/// A network that is not one of the project's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    Host,
    None,
    Bridge,
    /// Shares the network namespace of another service of the project.
    Service(String),
    /// Shares the network namespace of a container from elsewhere, by name or id.
    Container(String),
    /// The engine may know more.
    Other(String),
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => out.write_str("host"),
            Self::None => out.write_str("none"),
            Self::Bridge => out.write_str("bridge"),
            Self::Service(name) => write!(out, "service:{name}"),
            Self::Container(name) => write!(out, "container:{name}"),
            Self::Other(text) => out.write_str(text),
        }
    }
}

impl Serialize for NetworkMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
