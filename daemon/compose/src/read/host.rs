//! What a service asks of its host beyond the everyday.

use std::collections::BTreeMap;

use crate::model::{Blkio, BlkioRate, BlkioWeight, Device, HostSettings};
use crate::node::{Entry, Node};
use crate::paths::nearest;

use super::project::Kind;
use super::{Keys, Reader, scalar};

const BLKIO: &Keys = &[
    "weight",
    "weight_device",
    "device_read_bps",
    "device_read_iops",
    "device_write_bps",
    "device_write_iops",
];
const BLKIO_WEIGHT: &Keys = &["path", "weight"];
const BLKIO_RATE: &Keys = &["path", "rate"];
const DEVICE: &Keys = &["source", "target", "permissions"];
/// Of `blkio_config`, as the kernel has it.
const WEIGHTS: std::ops::RangeInclusive<u16> = 10..=1000;

impl Reader<'_> {
    /// One key of a service.
    pub(super) fn host_key(&mut self, out: &mut HostSettings, key: &str, entry: &Entry) {
        let value = &entry.value;
        match key {
            "annotations" => out.annotations = self.full_pairs(value),
            "attach" => out.attach = self.flag(value),
            "blkio_config" => out.blkio_config = self.blkio(value),
            "cgroup" => {
                let known = [("host", "host"), ("private", "private")];
                out.cgroup = self.choice(value, &known).map(str::to_owned);
            }
            "cgroup_parent" => out.cgroup_parent = self.optional(value),
            "cpu_count" => out.cpu_count = self.not_negative(value).filter(is_said),
            "cpu_percent" => {
                if scalar::kind(value) == Some(scalar::Kind::Float) {
                    let message = "`cpu_percent` must be a whole number, or a text";
                    self.error("wrong-type", value.place, message).help("put it in quotes");
                    return;
                }
                out.cpu_percent = self.parsed(value, "a percentage", |text| {
                    let nanos = crate::model::text::parse_nano_cpus(text)?;
                    i64::try_from(nanos / 10_000_000).ok().filter(|hundredths| *hundredths <= 10_000)
                });
            }
            "cpu_period" => out.cpu_period = self.not_negative(value).filter(is_said),
            "cpu_quota" => out.cpu_quota = self.number(value, "a number of microseconds").filter(is_said),
            "cpu_rt_period" => out.cpu_rt_period = self.not_negative(value).filter(is_said),
            "cpu_rt_runtime" => {
                out.cpu_rt_runtime = self.number(value, "a number of microseconds").filter(is_said)
            }
            "cpu_shares" => out.cpu_shares = self.not_negative(value).filter(is_said),
            "cpuset" => out.cpuset = self.optional(value),
            "credential_spec" => out.credential_spec = self.credential_spec(value),
            "device_cgroup_rules" => out.device_cgroup_rules = self.distinct(value),
            "devices" => out.devices = self.devices(value),
            "dns_opt" => out.dns_opt = self.strings(value),
            "dns_search" => out.dns_search = self.string_or_list(value),
            "domainname" => out.domainname = self.optional(value),
            "external_links" => out.external_links = self.distinct(value),
            "gpus" => out.gpus = self.gpus(value),
            "ipc" => out.ipc = self.namespace(value, &["host", "private", "shareable", "none"]),
            "isolation" => out.isolation = self.optional(value),
            "mac_address" => out.mac_address = self.optional(value),
            "mem_reservation" => out.mem_reservation = self.limit(value),
            "mem_swappiness" => {
                out.mem_swappiness = self.parsed(value, "a percentage from 0 to 100", |text| {
                    text.parse().ok().filter(|percent| *percent <= 100)
                });
                out.mem_swappiness = out.mem_swappiness.filter(|percent| *percent > 0);
            }
            "memswap_limit" => {
                out.memswap_limit = match value.as_text() {
                    Some("-1") => Some(-1),
                    Some(_) | None => self.limit(value).and_then(|size| i64::try_from(size).ok()),
                };
            }
            "models" => out.models = self.model_grants(value),
            "oom_kill_disable" => out.oom_kill_disable = self.flag(value).unwrap_or(false),
            "oom_score_adj" => {
                out.oom_score_adj = self.parsed(value, "a number from -1000 to 1000", |text| {
                    text.parse().ok().filter(|score| (-1000..=1000).contains(score))
                });
                out.oom_score_adj = out.oom_score_adj.filter(is_said);
            }
            "pid" => out.pid = self.namespace(value, &["host"]),
            "pids_limit" => out.pids_limit = self.number(value, "a number of processes").filter(is_said),
            "post_start" => out.post_start = self.hooks(value),
            "pre_stop" => out.pre_stop = self.hooks(value),
            "provider" => out.provider = self.provider(value),
            "runtime" => out.runtime = self.optional(value),
            "scale" => out.scale = self.number(value, "a number of containers"),
            "storage_opt" => out.storage_opt = self.options(value),
            "use_api_socket" => out.use_api_socket = self.plain_flag(value).unwrap_or(false),
            "userns_mode" => out.userns_mode = self.optional(value),
            "uts" => out.uts = self.namespace(value, &["host"]),
            "volume_driver" => {
                if !self.legacy {
                    let message = "compose does not know `volume_driver` any more";
                    let help = "name the driver at the volume: `volumes: {NAME: {driver: …}}`";
                    self.error("unknown-key", entry.place, message).help(help);
                }
                out.volume_driver = self.optional(value);
            }
            "volumes_from" => out.volumes_from = self.volumes_from(value),
            _ => {}
        }
    }

    fn not_negative(&mut self, node: &Node) -> Option<i64> {
        self.parsed(node, "a number", |text| text.parse().ok().filter(|number| *number >= 0))
    }

    /// One of the words, or that of a container or a service.
    fn namespace(&mut self, node: &Node, known: &[&'static str]) -> Option<String> {
        let text = self.optional(node)?;
        if let Some(service) = text.strip_prefix("service:").filter(|name| !name.is_empty()) {
            let service = service.to_owned();
            self.refer(Kind::Namespace, &service, node.place);
            return Some(text);
        }
        if text.strip_prefix("container:").is_some_and(|name| !name.is_empty()) {
            return Some(text);
        }
        if known.contains(&text.as_str()) {
            return Some(text);
        }
        let words = known.join(", ");
        let help = match nearest(&text, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {words}, `service:NAME` or `container:NAME`"),
        };
        self.bad_value(node, "known here").help(help);
        None
    }

    fn volumes_from(&mut self, node: &Node) -> Vec<String> {
        let mut out = Vec::new();
        for (index, text) in self.distinct(node).into_iter().enumerate() {
            let (kind, name, access) = match *text.split(':').collect::<Vec<_>>().as_slice() {
                ["container", name] => ("container", name, "rw"),
                ["container", name, access] => ("container", name, access),
                [name] => ("service", name, "rw"),
                [name, access] => ("service", name, access),
                _ => ("", "", ""),
            };
            let place =
                node.as_list().and_then(|items| items.get(index)).map_or(node.place, |item| item.place);
            if name.is_empty() || !matches!(access, "ro" | "rw") {
                let message = format!("`{text}` names no container");
                let help = "write `SERVICE`, `SERVICE:ro` or `container:NAME:ro`";
                self.error("wrong-value", place, message).help(help);
                continue;
            }
            if kind == "service" {
                let name = name.to_owned();
                self.within(&format!("[{index}]"), |reader| reader.refer(Kind::VolumesFrom, &name, place));
            }
            out.push(text);
        }
        out
    }

    fn devices(&mut self, node: &Node) -> Vec<Device> {
        let mut out: Vec<Device> = Vec::new();
        let mut index = BTreeMap::new();
        self.each_item(node, |reader, item| {
            let device =
                if item.as_map().is_some() { reader.long_device(item) } else { reader.short_device(item) };
            let Some(device) = device else { return };
            if device.permissions.as_ref().is_some_and(|text| !text.chars().all(|c| "rwm".contains(c))) {
                reader
                    .error("wrong-value", item.place, "what may be done with a device is of `r`, `w`, `m`")
                    .help("write `:r` or `:rwm` at its end");
            }
            let place = device.target.as_ref().unwrap_or(&device.source).clone();
            match index.get(&place).and_then(|index: &usize| out.get_mut(*index)) {
                Some(known) => *known = device,
                None => {
                    index.insert(place, out.len());
                    out.push(device);
                }
            }
        });
        out
    }

    fn short_device(&mut self, node: &Node) -> Option<Device> {
        let text = self.word(node)?;
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, permissions) = match *parts.as_slice() {
            [source] => (source, "", "rwm"),
            [source, target] => (source, target, "rwm"),
            [source, target, permissions] => (source, target, permissions),
            _ => ("", "", ""),
        };
        // An engine takes an empty list of permissions for a mistake, too, but only when the container starts.
        if source.is_empty() || permissions.is_empty() {
            self.bad_value(node, "a device")
                .help("write `/dev/SOURCE:/dev/TARGET`, with `:r` or `:rw` perhaps");
            return None;
        }
        let target = if target.is_empty() { source } else { target };
        let (target, permissions) = (Some(target.to_owned()), Some(permissions.to_owned()));
        Some(Device { source: source.to_owned(), target, permissions })
    }

    fn long_device(&mut self, node: &Node) -> Option<Device> {
        let mut out = Device::default();
        self.map(node, DEVICE, |reader, key, entry| match key {
            "source" => out.source = reader.word(&entry.value).unwrap_or_default(),
            "target" => out.target = reader.word(&entry.value),
            _ => out.permissions = reader.word(&entry.value),
        });
        if node.get("source").is_none() {
            self.error("missing-key", node.place, "`source` is missing: the device of the host")
                .help("add `source: …`");
        }
        if node.get("target").is_none() {
            self.error("missing-key", node.place, "`target` is missing: the device in the container")
                .help("add `target: …`");
        }
        (!out.source.is_empty()).then_some(out)
    }

    fn blkio(&mut self, node: &Node) -> Option<Blkio> {
        let mut out = Blkio::default();
        self.map(node, BLKIO, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "weight" => out.weight = reader.weight(value),
                "weight_device" => out.weight_device = reader.weights(value),
                "device_read_bps" => out.device_read_bps = reader.rates(value),
                "device_read_iops" => out.device_read_iops = reader.rates(value),
                "device_write_bps" => out.device_write_bps = reader.rates(value),
                _ => out.device_write_iops = reader.rates(value),
            }
        });
        (!node.is_null()).then_some(out)
    }

    fn weight(&mut self, node: &Node) -> Option<u16> {
        self.parsed(node, "a weight from 10 to 1000", |text| {
            text.parse().ok().filter(|weight| WEIGHTS.contains(weight) || *weight == 0)
        })
    }

    fn weights(&mut self, node: &Node) -> Vec<BlkioWeight> {
        let mut out = Vec::new();
        self.each_item(node, |reader, item| {
            let (mut path, mut weight) = (None, None);
            reader.map(item, BLKIO_WEIGHT, |reader, key, entry| match key {
                "path" => path = reader.word(&entry.value),
                _ => weight = reader.weight(&entry.value),
            });
            reader.require(item, &["path", "weight"]);
            out.extend(path.zip(weight).map(|(path, weight)| BlkioWeight { path, weight }));
        });
        out
    }

    fn rates(&mut self, node: &Node) -> Vec<BlkioRate> {
        let mut out = Vec::new();
        self.each_item(node, |reader, item| {
            let (mut path, mut rate) = (None, None);
            reader.map(item, BLKIO_RATE, |reader, key, entry| match key {
                "path" => path = reader.word(&entry.value),
                _ => rate = reader.size(&entry.value),
            });
            reader.require(item, &["path", "rate"]);
            out.extend(path.zip(rate).map(|(path, rate)| BlkioRate { path, rate }));
        });
        out
    }

    /// Says which keys are missing.
    pub(super) fn require(&mut self, node: &Node, keys: &[&str]) {
        for key in keys {
            if node.as_map().is_some() && node.get(key).is_none() {
                let help = format!("add `{key}: …`");
                self.error("missing-key", node.place, format!("`{key}` is missing")).help(help);
            }
        }
    }
}

/// Compose takes 0 for nothing said.
fn is_said(number: &i64) -> bool {
    *number != 0
}
