//! What a service asks of its host beyond the everyday.

use crate::model::{Blkio, BlkioRate, BlkioWeight, Device, HostSettings};
use crate::node::{Entry, Node};

use super::{Keys, Reader};

const BLKIO: Keys = Keys {
    known: &[
        "weight",
        "weight_device",
        "device_read_bps",
        "device_read_iops",
        "device_write_bps",
        "device_write_iops",
    ],
    later: &[],
};
const BLKIO_WEIGHT: Keys = Keys { known: &["path", "weight"], later: &[] };
const BLKIO_RATE: Keys = Keys { known: &["path", "rate"], later: &[] };
const DEVICE: Keys = Keys { known: &["source", "target", "permissions"], later: &[] };
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
            "cgroup" => out.cgroup = self.words(value, &["host", "private"]),
            "cgroup_parent" => out.cgroup_parent = self.word(value),
            "cpu_count" => out.cpu_count = self.not_negative(value),
            "cpu_percent" => {
                out.cpu_percent = self.parsed(value, "a number of percent", |text| {
                    let nanos = crate::model::text::parse_nano_cpus(text)?;
                    i64::try_from(nanos / 10_000_000).ok().filter(|hundredths| *hundredths <= 10_000)
                });
            }
            "cpu_period" => out.cpu_period = self.not_negative(value),
            "cpu_quota" => out.cpu_quota = self.number(value, "a number of microseconds"),
            "cpu_rt_period" => out.cpu_rt_period = self.not_negative(value),
            "cpu_rt_runtime" => out.cpu_rt_runtime = self.number(value, "a number of microseconds"),
            "cpu_shares" => out.cpu_shares = self.not_negative(value),
            "cpuset" => out.cpuset = self.word(value),
            "device_cgroup_rules" => out.device_cgroup_rules = self.strings(value),
            "devices" => out.devices = self.devices(value),
            "dns_opt" => out.dns_opt = self.strings(value),
            "dns_search" => out.dns_search = self.string_or_list(value),
            "domainname" => out.domainname = self.word(value),
            "gpus" => out.gpus = self.gpus(value),
            "ipc" => out.ipc = self.namespace(value, &["host", "private", "shareable", "none"]),
            "isolation" => out.isolation = self.words(value, &["default", "process", "hyperv"]),
            "mem_reservation" => out.mem_reservation = self.size(value),
            "mem_swappiness" => {
                out.mem_swappiness = self.parsed(value, "a number of percent", |text| {
                    text.parse().ok().filter(|percent| *percent <= 100)
                });
            }
            "memswap_limit" => {
                out.memswap_limit = match value.as_text() {
                    Some("-1") => Some(-1),
                    Some(_) | None => self.size(value).and_then(|size| i64::try_from(size).ok()),
                };
            }
            "oom_kill_disable" => out.oom_kill_disable = self.flag(value).unwrap_or(false),
            "oom_score_adj" => {
                out.oom_score_adj = self.parsed(value, "a number from -1000 to 1000", |text| {
                    text.parse().ok().filter(|score| (-1000..=1000).contains(score))
                });
            }
            "pid" => out.pid = self.namespace(value, &["host"]),
            "pids_limit" => out.pids_limit = self.number(value, "a number of processes"),
            "runtime" => out.runtime = self.word(value),
            "scale" => out.scale = self.one_container(value),
            "storage_opt" => out.storage_opt = self.full_pairs(value),
            "userns_mode" => out.userns_mode = self.word(value),
            "uts" => out.uts = self.words(value, &["host"]),
            "volume_driver" => out.volume_driver = self.word(value),
            "volumes_from" => out.volumes_from = self.volumes_from(value),
            _ => {}
        }
    }

    fn words(&mut self, node: &Node, known: &[&'static str]) -> Option<String> {
        let known: Vec<(&str, &str)> = known.iter().map(|word| (*word, *word)).collect();
        self.choice(node, &known).map(str::to_owned)
    }

    fn not_negative(&mut self, node: &Node) -> Option<i64> {
        self.parsed(node, "a number", |text| text.parse().ok().filter(|number| *number >= 0))
    }

    /// How many containers: there is always one.
    pub(super) fn one_container(&mut self, node: &Node) -> Option<u32> {
        let count: u32 = self.number(node, "a number of containers")?;
        if count != 1 {
            let key = self.path.rsplit('.').next().unwrap_or_default();
            let message = format!("`{key}: {count}` is not supported yet: a service is one container");
            let help = if count == 0 { "take the service out, or give it a profile" } else { "take it out" };
            self.error("unsupported", node.place, message).help(help);
            return None;
        }
        Some(count)
    }

    /// One of the words, or another container's.
    fn namespace(&mut self, node: &Node, known: &[&'static str]) -> Option<String> {
        let text = self.word(node)?;
        if text.starts_with("service:") {
            let key = self.path.rsplit('.').next().unwrap_or_default();
            let message = format!("`{key}: {text}` is not supported yet");
            self.error("unsupported", node.place, message)
                .help("only the network of another service can be shared: `network_mode`");
            return None;
        }
        if text.strip_prefix("container:").is_some_and(|name| !name.is_empty()) {
            return Some(text);
        }
        self.words(node, known)
    }

    fn volumes_from(&mut self, node: &Node) -> Vec<String> {
        let mut out = Vec::new();
        self.each_item(node, |reader, item| {
            let Some(text) = reader.word(item) else { return };
            let Some(rest) = text.strip_prefix("container:") else {
                let message = "mounting the volumes of another service is not supported yet";
                let help = "name the volumes in `volumes` of both services";
                reader.error("unsupported", item.place, message).help(help);
                return;
            };
            let (name, access) = rest.split_once(':').unwrap_or((rest, "rw"));
            if name.is_empty() || !matches!(access, "ro" | "rw") {
                reader.bad_value(item, "a container").help("write `container:NAME` or `container:NAME:ro`");
            } else if !out.contains(&text) {
                out.push(text);
            }
        });
        out
    }

    fn devices(&mut self, node: &Node) -> Vec<Device> {
        let mut out: Vec<Device> = Vec::new();
        self.each_item(node, |reader, item| {
            let device =
                if item.as_map().is_some() { reader.long_device(item) } else { reader.short_device(item) };
            let Some(device) = device else { return };
            if device.permissions.as_ref().is_some_and(|text| !text.chars().all(|c| "rwm".contains(c))) {
                reader.error("wrong-value", item.place, "what may be done with a device is of `r`, `w`, `m`");
            }
            let place = |device: &Device| device.target.as_ref().unwrap_or(&device.source).clone();
            match out.iter_mut().find(|known| place(known) == place(&device)) {
                Some(known) => *known = device,
                None => out.push(device),
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
        if source.is_empty() {
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
        self.map(node, &DEVICE, |reader, key, entry| match key {
            "source" => out.source = reader.word(&entry.value).unwrap_or_default(),
            "target" => out.target = reader.word(&entry.value),
            _ => out.permissions = reader.word(&entry.value),
        });
        if node.get("source").is_none() {
            self.error("missing-key", node.place, "`source` is missing: the device of the host");
        }
        (!out.source.is_empty()).then_some(out)
    }

    fn blkio(&mut self, node: &Node) -> Option<Blkio> {
        let mut out = Blkio::default();
        self.map(node, &BLKIO, |reader, key, entry| {
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
            reader.map(item, &BLKIO_WEIGHT, |reader, key, entry| match key {
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
            reader.map(item, &BLKIO_RATE, |reader, key, entry| match key {
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
                self.error("missing-key", node.place, format!("`{key}` is missing"));
            }
        }
    }
}
