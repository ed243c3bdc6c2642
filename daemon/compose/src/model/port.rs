use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Span;

/// A port of the container that the host can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// `None`: all addresses of the host.
    pub host_ip: Option<String>,
    /// `None`: the engine picks one.
    pub published: Option<PortRange>,
    /// The port in the container.
    pub target: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `ingress` unless the file says otherwise; it means nothing outside a swarm.
    pub mode: String,
    pub name: Option<String>,
    pub app_protocol: Option<String>,
    pub span: Span,
}

/// One port, or a range out of which the engine picks one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

impl fmt::Display for PortRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(out, "{}", self.first)
        } else {
            write!(out, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(name) = &self.name {
            map.serialize_entry("name", name)?;
        }
        map.serialize_entry("mode", &self.mode)?;
        if let Some(host_ip) = &self.host_ip {
            map.serialize_entry("host_ip", host_ip)?;
        }
        map.serialize_entry("target", &self.target)?;
        if let Some(published) = &self.published {
            map.serialize_entry("published", &published.to_string())?;
        }
        map.serialize_entry("protocol", &self.protocol)?;
        if let Some(app_protocol) = &self.app_protocol {
            map.serialize_entry("app_protocol", app_protocol)?;
        }
        map.end()
    }
}
