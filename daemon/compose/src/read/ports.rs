//! `ports` and `expose`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Port, PortRange};
use crate::node::Node;

use super::{Keys, MAX_PORTS, Reader, short};

const PORT: &Keys = &["name", "target", "host_ip", "published", "protocol", "app_protocol", "mode"];

impl Reader<'_> {
    pub(super) fn ports(&mut self, node: &Node) -> Vec<Port> {
        let mut ports: Vec<Port> = Vec::new();
        let mut index = BTreeMap::new();
        self.each_item(node, |reader, item| {
            for port in reader.port(item) {
                let address = port.host_ip.clone().unwrap_or_else(|| "0.0.0.0".to_owned());
                let key = (address, port.published, port.target, port.protocol.clone());
                match index.get(&key).and_then(|index| ports.get_mut(*index)) {
                    Some(known) => *known = port,
                    None => {
                        index.insert(key, ports.len());
                        ports.push(port);
                    }
                }
            }
        });
        ports
    }

    fn port(&mut self, node: &Node) -> Vec<Port> {
        if node.as_map().is_some() {
            return self.long_port(node).into_iter().collect();
        }
        let Some(text) = self.written(node) else { return Vec::new() };
        let port = match short::parse_port(&text) {
            Ok(port) => port,
            Err(problem) => {
                let help = "write `HOST:CONTAINER`, `CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` at the end if need be";
                self.error("wrong-value", node.place, problem).help(help);
                return Vec::new();
            }
        };
        let span = self.context.span(node.place);
        if port.target.first == 0 {
            self.error("wrong-value", node.place, "there is no port 0 in a container")
                .help("name the port that the service listens on");
            return Vec::new();
        }
        let single = port.target.first == port.target.last;
        // A range is written short and becomes many.
        let count = u32::from(port.target.last - port.target.first) + 1;
        let Some(left) = self.ports_left.checked_sub(count) else {
            self.error("too-large", node.place, format!("a project has at most {MAX_PORTS} ports"));
            return Vec::new();
        };
        self.ports_left = left;
        // In the order in which compose has them: by their text.
        let mut targets: Vec<(u16, u16)> = (port.target.first..=port.target.last).zip(0u16..).collect();
        targets.sort_by_key(|(target, _)| target.to_string());
        targets
            .into_iter()
            .map(|(target, offset)| {
                let published = port.published.map(|range| match range.first.checked_add(offset) {
                    Some(number) if !single => PortRange { first: number, last: number },
                    Some(_) | None => range,
                });
                Port {
                    host_ip: port.host_ip.clone(),
                    published,
                    target,
                    protocol: port.protocol.clone(),
                    mode: "ingress".to_owned(),
                    name: None,
                    app_protocol: None,
                    span: span.clone(),
                }
            })
            .collect()
    }

    fn long_port(&mut self, node: &Node) -> Option<Port> {
        let (mut target, mut published, mut name, mut host_ip, mut app_protocol) =
            (None, None, None, None, None);
        let (mut protocol, mut mode) = ("tcp".to_owned(), "ingress".to_owned());
        self.map(node, PORT, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "target" => target = reader.number::<u16>(value, "a port in the container"),
                "published" => {
                    published = reader.parsed(value, "a port of the host", |text| {
                        if text.is_empty() { Some(None) } else { short::parse_range(text).map(Some) }
                    })
                }
                "protocol" => {
                    let known = [("tcp", "tcp"), ("udp", "udp"), ("sctp", "sctp")];
                    protocol = reader.choice(value, &known).unwrap_or("tcp").to_owned();
                }
                "mode" => {
                    let known = [("ingress", "ingress"), ("host", "host")];
                    mode = reader.choice(value, &known).unwrap_or("ingress").to_owned();
                }
                "host_ip" => {
                    host_ip = reader.parsed(value, "an IP address", |text| {
                        text.parse::<std::net::IpAddr>().ok().map(|_| text.to_owned())
                    });
                }
                "app_protocol" => app_protocol = reader.optional(value),
                _ => name = reader.optional(value),
            }
        });
        if node.get("target").is_none() {
            self.error("missing-key", node.place, "`target` is missing: the port in the container")
                .help("add `target: …`");
        }
        let span = self.context.span(node.place);
        let published = published.flatten();
        Some(Port { host_ip, published, target: target?, protocol, mode, name, app_protocol, span })
    }

    pub(super) fn expose(&mut self, node: &Node) -> Vec<String> {
        let mut out = Vec::new();
        let mut seen = BTreeSet::new();
        self.each_item(node, |reader, item| {
            let Some(text) = reader.written(item) else { return };
            let (range, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
            if short::parse_range(range).is_none() || !matches!(protocol, "tcp" | "udp" | "sctp") {
                reader.bad_value(item, "a port in the container");
            } else if seen.insert(text.clone()) {
                out.push(text);
            }
        });
        out
    }
}
