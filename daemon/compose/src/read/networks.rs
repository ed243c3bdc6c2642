//! Networks and volumes, at the top level and on a service.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::model::{Attachment, Ipam, IpamPool, Network, Volume};
use crate::node::{Entry, Node, Value};

use super::{Keys, Reader, scalar};

const NETWORK: &Keys = &[
    "name",
    "driver",
    "driver_opts",
    "external",
    "internal",
    "attachable",
    "labels",
    "ipam",
    "enable_ipv4",
    "enable_ipv6",
];
const IPAM: &Keys = &["driver", "config", "options"];
const POOL: &Keys = &["subnet", "ip_range", "gateway", "aux_addresses"];
const VOLUME: &Keys = &["name", "driver", "driver_opts", "external", "labels"];
const EXTERNAL: &Keys = &["name"];
const ATTACHMENT: &Keys = &[
    "aliases",
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
    "driver_opts",
    "priority",
    "gw_priority",
    "interface_name",
];

impl Reader<'_> {
    pub(super) fn network(&mut self, entry: &Entry, project: &str) -> Network {
        let mut out = Network { span: self.context.span(entry.place), ..Network::default() };
        let mut name = None;
        self.map_or_nothing(&entry.value, NETWORK, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "name" => reader.engine_word(value, &mut name),
                "driver" => out.driver = reader.optional(value),
                "driver_opts" => out.driver_opts = reader.options(value),
                "enable_ipv4" => out.enable_ipv4 = reader.flag(value),
                "enable_ipv6" => out.enable_ipv6 = reader.flag(value),
                "external" => out.external = reader.external(value, &mut name),
                "internal" => out.internal = reader.flag(value).unwrap_or(false),
                "attachable" => out.attachable = reader.flag(value).unwrap_or(false),
                "labels" => out.labels = reader.full_pairs(value),
                _ => out.ipam = reader.ipam(value),
            }
        });
        (out.name, out.nameless) = engine_name(name, out.external, &entry.key, project);
        out
    }

    fn ipam(&mut self, node: &Node) -> Ipam {
        let mut out = Ipam::default();
        self.map(node, IPAM, |reader, key, entry| match key {
            "driver" => out.driver = reader.optional(&entry.value),
            "options" => out.options = reader.options(&entry.value),
            _ => reader.each_item(&entry.value, |reader, item| {
                let mut pool = IpamPool::default();
                reader.map(item, POOL, |reader, key, entry| match key {
                    "subnet" => pool.subnet = reader.optional(&entry.value),
                    "ip_range" => pool.ip_range = reader.optional(&entry.value),
                    "gateway" => pool.gateway = reader.optional(&entry.value),
                    _ => pool.aux_addresses = reader.options(&entry.value),
                });
                out.config.push(pool);
            }),
        });
        out
    }

    pub(super) fn volume(&mut self, entry: &Entry, project: &str) -> Volume {
        let mut out = Volume { span: self.context.span(entry.place), ..Volume::default() };
        let mut name = None;
        self.map_or_nothing(&entry.value, VOLUME, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "name" => reader.engine_word(value, &mut name),
                "driver" => out.driver = reader.optional(value),
                "driver_opts" => out.driver_opts = reader.options(value),
                "external" => out.external = reader.external(value, &mut name),
                _ => out.labels = reader.full_pairs(value),
            }
        });
        let other =
            |entry: &&Entry| !matches!(&*entry.key, "name" | "external") && !entry.key.starts_with("x-");
        if out.external
            && let Some(other) = entry.value.as_map().unwrap_or_default().iter().find(other)
        {
            let message = format!("`{}` means nothing for a volume that is made elsewhere", other.key);
            self.error("conflict", other.place, message).help("take it out, or take `external` out");
        }
        let is_bind = out.driver.as_deref() == Some("local")
            && out.driver_opts.get("o").is_some_and(|options| options == "bind");
        if is_bind && let Some(device) = out.driver_opts.get_mut("device") {
            *device = self.resolve_text(device);
        }
        (out.name, out.nameless) = engine_name(name, out.external, &entry.key, project);
        out
    }

    /// `true`, or the old form `{name: …}`.
    pub(super) fn external(&mut self, node: &Node, name: &mut Option<String>) -> bool {
        if node.as_map().is_none() {
            return self.flag(node).unwrap_or(false);
        }
        self.map(node, EXTERNAL, |reader, _, entry| reader.engine_word(&entry.value, name));
        true
    }

    fn attachment(&mut self, node: &Node) -> Attachment {
        let mut out = Attachment::default();
        self.map(node, ATTACHMENT, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "aliases" => out.aliases = reader.strings(value),
                "driver_opts" => out.driver_opts = reader.options(value),
                "gw_priority" => out.gw_priority = reader.priority(value),
                "interface_name" => out.interface_name = reader.optional(value),
                "ipv4_address" => out.ipv4_address = reader.address::<Ipv4Addr>(value, "an IPv4 address"),
                "ipv6_address" => out.ipv6_address = reader.address::<Ipv6Addr>(value, "an IPv6 address"),
                "link_local_ips" => out.link_local_ips = reader.strings(value),
                "mac_address" => out.mac_address = reader.optional(value),
                _ => out.priority = reader.priority(value),
            }
        });
        out
    }

    fn priority(&mut self, node: &Node) -> i64 {
        if scalar::kind(node) == Some(scalar::Kind::Text) {
            let message = format!("`{}` must be a number, and this is a text", self.path);
            self.error("wrong-type", node.place, message).help("write it without quotes");
            return 0;
        }
        self.number(node, "a number").unwrap_or_default()
    }

    fn address<T: FromStr>(&mut self, node: &Node, wanted: &str) -> Option<String> {
        let text = self.optional(node)?;
        self.parsed(node, wanted, |_| text.parse::<T>().ok().map(|_| text.clone()))
    }

    /// A name at the engine, which may be said in two places.
    pub(super) fn engine_word(&mut self, node: &Node, name: &mut Option<String>) {
        let Some(text) = self.text(node) else { return };
        if name.as_ref().is_some_and(|known| *known != text) {
            let message = "`name` and the name under `external` are not the same";
            self.error("conflict", node.place, message).help("keep `name`, and write `external: true`");
        }
        *name = Some(text);
    }

    pub(super) fn attachments(&mut self, node: &Node) -> BTreeMap<String, Option<Attachment>> {
        let mut out = BTreeMap::new();
        match &node.value {
            Value::List(_) => self.each_item(node, |reader, item| {
                if let Some(name) = reader.word(item) {
                    reader.refer(super::project::Kind::Network, &name, item.place);
                    out.insert(name, None);
                }
            }),
            Value::Scalar { .. } | Value::Map(_) => self.each_entry(node, |reader, entry| {
                reader.refer(super::project::Kind::Network, &entry.key, entry.place);
                let attachment = (!entry.value.is_null()).then(|| reader.attachment(&entry.value));
                out.insert(entry.key.to_string(), attachment);
            }),
        }
        out
    }
}

/// The name at the engine, and whether the file gave an empty one, which is none.
pub(super) fn engine_name(name: Option<String>, external: bool, key: &str, project: &str) -> (String, bool) {
    let nameless = name.as_ref().is_some_and(String::is_empty);
    let name = match name.filter(|name| !name.is_empty()) {
        Some(name) => name,
        None if external => key.to_owned(),
        None => format!("{project}_{key}"),
    };
    (name, nameless)
}
