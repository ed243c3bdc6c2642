//! Networks and volumes, at the top level and on a service.

use std::collections::BTreeMap;

use crate::model::{Attachment, Ipam, IpamPool, Network, Volume};
use crate::node::{Entry, Node, Value};

use super::{Keys, Reader};

const NETWORK: Keys = Keys {
    known: &["name", "driver", "driver_opts", "external", "internal", "attachable", "labels", "ipam"],
    later: &["enable_ipv4", "enable_ipv6"],
};
const IPAM: Keys = Keys { known: &["driver", "config"], later: &["options"] };
const POOL: Keys = Keys { known: &["subnet", "ip_range", "gateway", "aux_addresses"], later: &[] };
const VOLUME: Keys = Keys { known: &["name", "driver", "driver_opts", "external", "labels"], later: &[] };
const EXTERNAL: Keys = Keys { known: &["name"], later: &[] };
const ATTACHMENT: Keys = Keys {
    known: &["aliases", "ipv4_address"],
    later: &[
        "ipv6_address",
        "link_local_ips",
        "mac_address",
        "driver_opts",
        "priority",
        "gw_priority",
        "interface_name",
    ],
};

impl Reader<'_> {
    pub(super) fn network(&mut self, entry: &Entry, project: &str) -> Network {
        let mut out = Network { span: self.context.span(entry.place), ..Network::default() };
        let mut name = None;
        self.map(&entry.value, &NETWORK, |reader, key, entry| {
            let value = &entry.value;
            match key {
                // An empty name is none.
                "name" => name = reader.text(value).filter(|text| !text.is_empty()).or_else(|| name.take()),
                "driver" => out.driver = reader.word(value),
                "driver_opts" => out.driver_opts = reader.full_pairs(value),
                "external" => out.external = reader.external(value, &mut name),
                "internal" => out.internal = reader.flag(value).unwrap_or(false),
                "attachable" => out.attachable = reader.flag(value).unwrap_or(false),
                "labels" => out.labels = reader.full_pairs(value),
                _ => out.ipam = reader.ipam(value),
            }
        });
        out.name = engine_name(name, out.external, &entry.key, project);
        out
    }

    fn ipam(&mut self, node: &Node) -> Ipam {
        let mut out = Ipam::default();
        self.map(node, &IPAM, |reader, key, entry| match key {
            "driver" => out.driver = reader.word(&entry.value),
            _ => reader.each_item(&entry.value, |reader, item| {
                let mut pool = IpamPool::default();
                reader.map(item, &POOL, |reader, key, entry| match key {
                    "subnet" => pool.subnet = reader.word(&entry.value),
                    "ip_range" => pool.ip_range = reader.word(&entry.value),
                    "gateway" => pool.gateway = reader.word(&entry.value),
                    _ => pool.aux_addresses = reader.full_pairs(&entry.value),
                });
                out.config.push(pool);
            }),
        });
        out
    }

    pub(super) fn volume(&mut self, entry: &Entry, project: &str) -> Volume {
        let mut out = Volume { span: self.context.span(entry.place), ..Volume::default() };
        let mut name = None;
        self.map(&entry.value, &VOLUME, |reader, key, entry| {
            let value = &entry.value;
            match key {
                // An empty name is none.
                "name" => name = reader.text(value).filter(|text| !text.is_empty()).or_else(|| name.take()),
                "driver" => out.driver = reader.word(value),
                "driver_opts" => out.driver_opts = reader.full_pairs(value),
                "external" => out.external = reader.external(value, &mut name),
                _ => out.labels = reader.full_pairs(value),
            }
        });
        let is_bind = matches!(out.driver.as_deref(), None | Some("local"))
            && out
                .driver_opts
                .get("o")
                .is_some_and(|options| options.split(',').any(|option| option == "bind"));
        if is_bind && let Some(device) = out.driver_opts.get_mut("device") {
            *device = self.resolve(device).to_string_lossy().into_owned();
        }
        out.name = engine_name(name, out.external, &entry.key, project);
        out
    }

    /// `true`, or the old form `{name: …}`.
    pub(super) fn external(&mut self, node: &Node, name: &mut Option<String>) -> bool {
        if node.as_map().is_none() {
            return self.flag(node).unwrap_or(false);
        }
        self.map(node, &EXTERNAL, |reader, _, entry| *name = reader.word(&entry.value));
        true
    }

    pub(super) fn attachments(&mut self, node: &Node) -> BTreeMap<String, Attachment> {
        let mut out = BTreeMap::new();
        match &node.value {
            Value::List(_) => self.each_item(node, |reader, item| {
                if let Some(name) = reader.word(item) {
                    reader.refer(super::project::Kind::Network, &name, item.place);
                    out.insert(name, Attachment::default());
                }
            }),
            Value::Scalar { .. } | Value::Map(_) => self.each_entry(node, |reader, entry| {
                let mut attachment = Attachment::default();
                reader.refer(super::project::Kind::Network, &entry.key, entry.place);
                reader.map(&entry.value, &ATTACHMENT, |reader, key, entry| match key {
                    "aliases" => attachment.aliases = reader.strings(&entry.value),
                    _ => {
                        attachment.ipv4_address = reader.parsed(&entry.value, "an IPv4 address", |text| {
                            text.parse::<std::net::Ipv4Addr>().ok().map(|_| text.to_owned())
                        });
                    }
                });
                out.insert(entry.key.to_string(), attachment);
            }),
        }
        out
    }
}

pub(super) fn engine_name(name: Option<String>, external: bool, key: &str, project: &str) -> String {
    match name {
        Some(name) => name,
        None if external => key.to_owned(),
        None => format!("{project}_{key}"),
    }
}
