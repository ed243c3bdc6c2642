//! `deploy`, and the devices that `gpus` asks for.

use crate::model::{
    Deploy, DeployRestart, DeviceRequest, GenericResource, Placement, Preference, Resource, Resources,
    Service, UpdateConfig,
};
use crate::node::Node;

use super::{Keys, Reader};

const DEPLOY: &Keys = &[
    "mode",
    "replicas",
    "labels",
    "update_config",
    "rollback_config",
    "resources",
    "restart_policy",
    "placement",
    "endpoint_mode",
];
const RESOURCES: &Keys = &["limits", "reservations"];
const LIMITS: &Keys = &["cpus", "memory", "pids"];
const RESERVATIONS: &Keys = &["cpus", "memory", "devices", "generic_resources"];
const GENERIC: &Keys = &["discrete_resource_spec"];
const DISCRETE: &Keys = &["kind", "value"];
const RESTART: &Keys = &["condition", "delay", "max_attempts", "window"];
const PLACEMENT: &Keys = &["constraints", "preferences", "max_replicas_per_node"];
const PREFERENCE: &Keys = &["spread"];
const UPDATE: &Keys = &["parallelism", "delay", "failure_action", "monitor", "max_failure_ratio", "order"];
const DEVICE: &Keys = &["capabilities", "driver", "count", "device_ids", "options"];
/// Those of Swarm, and those of `restart`.
const CONDITIONS: [&str; 6] = ["any", "none", "on-failure", "always", "no", "unless-stopped"];

impl Reader<'_> {
    pub(super) fn deploy(&mut self, node: &Node) -> Option<Deploy> {
        let mut out = Deploy::default();
        self.map_or_nothing(node, DEPLOY, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "mode" => out.mode = reader.optional(value),
                "replicas" => out.replicas = reader.number(value, "a number of containers"),
                "labels" => out.labels = reader.full_pairs(value),
                "update_config" => out.update_config = reader.update_config(value),
                "rollback_config" => out.rollback_config = reader.update_config(value),
                "resources" => out.resources = reader.resources(value),
                "restart_policy" => out.restart_policy = reader.deploy_restart(value),
                "placement" => out.placement = reader.placement(value),
                _ => out.endpoint_mode = reader.optional(value),
            }
        });
        (!node.is_null()).then_some(out)
    }

    fn resources(&mut self, node: &Node) -> Resources {
        let mut out = Resources::default();
        self.map(node, RESOURCES, |reader, key, entry| {
            let keys = if key == "limits" { LIMITS } else { RESERVATIONS };
            let resource = (!entry.value.is_null()).then(|| reader.resource(&entry.value, keys));
            if key == "limits" { out.limits = resource } else { out.reservations = resource }
        });
        out
    }

    fn resource(&mut self, node: &Node, keys: &Keys) -> Resource {
        let mut out = Resource::default();
        self.map(node, keys, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "cpus" => {
                    let cpus = reader.parsed(value, "a number of CPUs", crate::model::text::parse_nano_cpus);
                    out.nano_cpus = cpus.filter(|cpus| *cpus > 0);
                }
                "memory" => out.memory = reader.text(value).and_then(|_| reader.limit(value)),
                "pids" => {
                    let pids = reader.number(value, "a number of processes");
                    out.pids = pids.filter(|pids| *pids != 0);
                }
                "generic_resources" => out.generic_resources = reader.generic_resources(value),
                _ => out.devices = reader.device_requests(value, true),
            }
        });
        out
    }

    fn generic_resources(&mut self, node: &Node) -> Vec<GenericResource> {
        let mut out = Vec::new();
        self.each_item(node, |reader, item| {
            let mut resource = GenericResource::default();
            reader.map(item, GENERIC, |reader, _, entry| {
                reader.map(&entry.value, DISCRETE, |reader, key, entry| match key {
                    "kind" => resource.kind = reader.text(&entry.value),
                    _ => resource.value = reader.number(&entry.value, "a number"),
                });
            });
            out.push(resource);
        });
        out
    }

    fn deploy_restart(&mut self, node: &Node) -> Option<DeployRestart> {
        let mut out = DeployRestart::default();
        self.map(node, RESTART, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "condition" => {
                    let known = CONDITIONS.map(|word| (word, word));
                    if reader.optional(value).is_none() {
                        return;
                    }
                    out.condition = reader.choice(value, &known).map(str::to_owned);
                }
                "delay" => out.delay = reader.duration(value),
                "max_attempts" => out.max_attempts = reader.number(value, "a number of attempts"),
                _ => out.window = reader.duration(value),
            }
        });
        let counts = out.condition.as_deref() == Some("on-failure");
        if let Some(entry) = node.get("max_attempts").filter(|_| !counts && out.max_attempts.is_some()) {
            let message = "attempts are counted only with `condition: on-failure`, so they have no limit";
            self.context.warning("no-effect", entry.place, &self.path, message);
        }
        (!node.is_null()).then_some(out)
    }

    fn placement(&mut self, node: &Node) -> Placement {
        let mut out = Placement::default();
        self.map(node, PLACEMENT, |reader, key, entry| match key {
            "constraints" => out.constraints = reader.listed(&entry.value),
            "preferences" => reader.each_item(&entry.value, |reader, item| {
                let mut preference = Preference::default();
                reader.map(item, PREFERENCE, |reader, _, entry| {
                    preference.spread = reader.optional(&entry.value);
                });
                out.preferences.push(preference);
            }),
            _ => {
                let most = reader.number(&entry.value, "a number of containers");
                out.max_replicas_per_node = most.filter(|most| *most > 0);
            }
        });
        out
    }

    fn update_config(&mut self, node: &Node) -> Option<UpdateConfig> {
        let mut out = UpdateConfig::default();
        self.map(node, UPDATE, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "parallelism" => out.parallelism = reader.number(value, "a number of containers"),
                "delay" => out.delay = reader.duration(value).filter(|delay| !delay.is_zero()),
                "failure_action" => out.failure_action = reader.optional(value),
                "monitor" => out.monitor = reader.duration(value).filter(|monitor| !monitor.is_zero()),
                "max_failure_ratio" => {
                    let finite = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
                    let ratio = reader.parsed(value, "a ratio", |text| finite(text).then(|| text.to_owned()));
                    out.max_failure_ratio = ratio.filter(|text| text.parse() != Ok(0.0));
                }
                _ => {
                    let known = [("start-first", "start-first"), ("stop-first", "stop-first")];
                    out.order = reader.choice(value, &known).map(str::to_owned);
                }
            }
        });
        (!node.is_null()).then_some(out)
    }

    /// `all`, or a list of requests.
    pub(super) fn gpus(&mut self, node: &Node) -> Vec<DeviceRequest> {
        if node.as_text() == Some("all") {
            return vec![DeviceRequest { count: Some(-1), ..DeviceRequest::default() }];
        }
        self.device_requests(node, false)
    }

    fn device_requests(&mut self, node: &Node, capable: bool) -> Vec<DeviceRequest> {
        let mut out = Vec::new();
        self.each_item(node, |reader, item| {
            let mut request = DeviceRequest::default();
            reader.map(item, DEVICE, |reader, key, entry| {
                let value = &entry.value;
                match key {
                    "capabilities" => request.capabilities = reader.distinct(value),
                    "driver" => request.driver = reader.optional(value),
                    "count" => {
                        request.count = reader.parsed(value, "a number of devices, or `all`", |text| {
                            if text.eq_ignore_ascii_case("all") {
                                Some(-1)
                            } else {
                                text.parse().ok().filter(|n| *n >= -1)
                            }
                        });
                    }
                    "device_ids" => request.device_ids = reader.distinct(value),
                    _ => request.options = reader.full_pairs(value),
                }
            });
            if capable {
                reader.require(item, &["capabilities"]);
            }
            let (counts, names) = (item.get("count").is_some(), item.get("device_ids").is_some());
            match (counts, names) {
                (true, true) => {
                    let message = "`count` and `device_ids` exclude each other";
                    reader.error("conflict", item.place, message).help("keep one of them");
                }
                (false, false) => request.count = Some(-1),
                (true, false) | (false, true) => {}
            }
            out.push(request);
        });
        out
    }

    /// What is said twice must be said alike.
    pub(super) fn same_limits(&mut self, service: &Service, node: &Node) {
        let Some(deploy) = &service.deploy else { return };
        let (limits, reserved) = (&deploy.resources.limits, &deploy.resources.reservations);
        // Where there are limits at all, one that is not among them counts as none.
        let differ = |one: Option<u64>, others: &Option<Resource>, other: fn(&Resource) -> Option<u64>| {
            one.is_some() && others.as_ref().is_some_and(|others| other(others) != one)
        };
        let host = &service.host;
        let pids =
            host.pids_limit.is_some() && limits.as_ref().is_some_and(|limits| limits.pids != host.pids_limit);
        for (key, other, differ) in [
            ("cpus", "limits.cpus", differ(service.nano_cpus, limits, |limits| limits.nano_cpus)),
            ("mem_limit", "limits.memory", differ(service.mem_limit, limits, |limits| limits.memory)),
            (
                "mem_reservation",
                "reservations.memory",
                differ(host.mem_reservation, reserved, |reserved| reserved.memory),
            ),
            ("pids_limit", "limits.pids", pids),
        ] {
            let Some(entry) = node.get(key).filter(|_| differ) else { continue };
            let message = format!("`{key}` and `deploy.resources.{other}` are not the same");
            self.within(key, |reader| {
                let help = format!("say it once, under `deploy.resources.{other}`");
                reader.error("conflict", entry.place, message).help(help);
            });
        }
    }
}
