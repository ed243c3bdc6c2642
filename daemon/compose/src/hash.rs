//! The digest that compose writes on a container, in the label `com.docker.compose.config-hash`, to know whether the
//! service has changed since: of the service as JSON, in the order in which compose's own types have their fields.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::emit::{as_json_of_go, tree};
use crate::model::Service;

/// The config hash of a service, as compose 2.40 writes it on the containers.
///
/// It does so after it has put containers for every `service:…` of a namespace and of `volumes_from`: do the same in
/// the service before.
pub fn config_hash(service: &Service) -> String {
    digest(&canonical(service, false))
}

/// What `docker compose config --hash` prints: it leaves what `env_file` sets in the files, so it is another hash than
/// that of the container wherever there are such files.
pub fn printed_config_hash(service: &Service) -> String {
    digest(&canonical(service, true))
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn canonical(service: &Service, env_files: bool) -> String {
    let Value::Object(mut map) = tree(service) else { return String::new() };
    if env_files && !service.env_files.is_empty() {
        if let Some(Value::Object(environment)) = map.get_mut("environment") {
            environment.retain(|name, _| !service.from_env_files.contains(name));
            if environment.is_empty() {
                map.remove("environment");
            }
        }
        map.insert("env_file".to_owned(), tree(&service.env_files));
    }
    // What does not make the container.
    for key in ["build", "depends_on", "profiles", "pull_policy", "scale", "x-devd"] {
        map.remove(key);
    }
    if let Some(Value::Object(deploy)) = map.get_mut("deploy") {
        deploy.remove("replicas");
    }
    as_json_of_go(&mut map);
    let mut out = String::new();
    fields(&mut out, &map, SERVICE);
    out
}

/// How the keys of a value follow each other. What is not said follows the alphabet.
enum Order {
    /// As compose declares them.
    Fields(Fields),
    /// The same for each item of a list, or each value of a mapping with free keys.
    Each(Fields),
}

type Fields = &'static [(&'static str, Option<&'static Order>)];

const COMMAND: Fields =
    &[("command", None), ("user", None), ("privileged", None), ("working_dir", None), ("environment", None)];
const GRANT: Fields = &[("source", None), ("target", None), ("uid", None), ("gid", None), ("mode", None)];
const DEVICES: Fields =
    &[("capabilities", None), ("driver", None), ("count", None), ("device_ids", None), ("options", None)];
const RATE: Order = Order::Each(&[("Path", None), ("Rate", None)]);
const WATCH: Fields = &[
    ("path", None),
    ("action", None),
    ("target", None),
    ("exec", Some(&Order::Fields(COMMAND))),
    ("include", None),
    ("ignore", None),
    ("initial_sync", None),
];
const BLKIO: Fields = &[
    ("weight", None),
    ("weight_device", Some(&Order::Each(&[("Path", None), ("Weight", None)]))),
    ("device_read_bps", Some(&RATE)),
    ("device_read_iops", Some(&RATE)),
    ("device_write_bps", Some(&RATE)),
    ("device_write_iops", Some(&RATE)),
];
const UPDATE: Fields = &[
    ("parallelism", None),
    ("delay", None),
    ("failure_action", None),
    ("monitor", None),
    ("max_failure_ratio", None),
    ("order", None),
];
const GENERIC: Fields =
    &[("discrete_resource_spec", Some(&Order::Fields(&[("kind", None), ("value", None)])))];
const RESOURCE: Fields = &[
    ("cpus", None),
    ("memory", None),
    ("pids", None),
    ("devices", Some(&Order::Each(DEVICES))),
    ("generic_resources", Some(&Order::Each(GENERIC))),
];
const RESOURCES: Fields =
    &[("limits", Some(&Order::Fields(RESOURCE))), ("reservations", Some(&Order::Fields(RESOURCE)))];
const DEPLOY: Fields = &[
    ("mode", None),
    ("labels", None),
    ("update_config", Some(&Order::Fields(UPDATE))),
    ("rollback_config", Some(&Order::Fields(UPDATE))),
    ("resources", Some(&Order::Fields(RESOURCES))),
    (
        "restart_policy",
        Some(&Order::Fields(&[
            ("condition", None),
            ("delay", None),
            ("max_attempts", None),
            ("window", None),
        ])),
    ),
    (
        "placement",
        Some(&Order::Fields(&[
            ("constraints", None),
            ("preferences", None),
            ("max_replicas_per_node", None),
        ])),
    ),
    ("endpoint_mode", None),
];
const HEALTH: Fields = &[
    ("test", None),
    ("timeout", None),
    ("interval", None),
    ("retries", None),
    ("start_period", None),
    ("start_interval", None),
    ("disable", None),
];
const ATTACHMENT: Fields = &[
    ("aliases", None),
    ("driver_opts", None),
    ("gw_priority", None),
    ("interface_name", None),
    ("ipv4_address", None),
    ("ipv6_address", None),
    ("link_local_ips", None),
    ("mac_address", None),
    ("priority", None),
];
const PORT: Fields = &[
    ("name", None),
    ("mode", None),
    ("host_ip", None),
    ("target", None),
    ("published", None),
    ("protocol", None),
    ("app_protocol", None),
];
const BIND: Fields =
    &[("selinux", None), ("propagation", None), ("create_host_path", None), ("recursive", None)];
const MOUNT: Fields = &[
    ("type", None),
    ("source", None),
    ("target", None),
    ("read_only", None),
    ("consistency", None),
    ("bind", Some(&Order::Fields(BIND))),
    ("volume", Some(&Order::Fields(&[("labels", None), ("nocopy", None), ("subpath", None)]))),
    ("tmpfs", Some(&Order::Fields(&[("size", None), ("mode", None)]))),
    ("image", None),
];
const SERVICE: Fields = &[
    ("annotations", None),
    ("attach", None),
    ("develop", Some(&Order::Fields(&[("watch", Some(&Order::Each(WATCH)))]))),
    ("blkio_config", Some(&Order::Fields(BLKIO))),
    ("cap_add", None),
    ("cap_drop", None),
    ("cgroup_parent", None),
    ("cgroup", None),
    ("cpu_count", None),
    ("cpu_percent", None),
    ("cpu_period", None),
    ("cpu_quota", None),
    ("cpu_rt_period", None),
    ("cpu_rt_runtime", None),
    ("cpus", None),
    ("cpuset", None),
    ("cpu_shares", None),
    ("command", None),
    ("configs", Some(&Order::Each(GRANT))),
    ("container_name", None),
    ("credential_spec", Some(&Order::Fields(&[("config", None), ("file", None), ("registry", None)]))),
    ("deploy", Some(&Order::Fields(DEPLOY))),
    ("device_cgroup_rules", None),
    ("devices", Some(&Order::Each(&[("source", None), ("target", None), ("permissions", None)]))),
    ("dns", None),
    ("dns_opt", None),
    ("dns_search", None),
    ("domainname", None),
    ("entrypoint", None),
    ("provider", Some(&Order::Fields(&[("type", None), ("options", None)]))),
    ("environment", None),
    ("env_file", Some(&Order::Each(&[("path", None), ("required", None), ("format", None)]))),
    ("expose", None),
    ("external_links", None),
    ("extra_hosts", None),
    ("group_add", None),
    ("gpus", Some(&Order::Each(DEVICES))),
    ("hostname", None),
    ("healthcheck", Some(&Order::Fields(HEALTH))),
    ("image", None),
    ("init", None),
    ("ipc", None),
    ("isolation", None),
    ("labels", None),
    ("links", None),
    ("logging", Some(&Order::Fields(&[("driver", None), ("options", None)]))),
    ("mem_limit", None),
    ("mem_reservation", None),
    ("memswap_limit", None),
    ("mem_swappiness", None),
    ("mac_address", None),
    ("models", Some(&Order::Each(&[("endpoint_var", None), ("model_var", None)]))),
    ("network_mode", None),
    ("networks", Some(&Order::Each(ATTACHMENT))),
    ("oom_kill_disable", None),
    ("oom_score_adj", None),
    ("pid", None),
    ("pids_limit", None),
    ("platform", None),
    ("ports", Some(&Order::Each(PORT))),
    ("privileged", None),
    ("read_only", None),
    ("restart", None),
    ("runtime", None),
    ("secrets", Some(&Order::Each(GRANT))),
    ("security_opt", None),
    ("shm_size", None),
    ("stdin_open", None),
    ("stop_grace_period", None),
    ("stop_signal", None),
    ("storage_opt", None),
    ("sysctls", None),
    ("tmpfs", None),
    ("tty", None),
    ("ulimits", Some(&Order::Each(&[("soft", None), ("hard", None)]))),
    ("use_api_socket", None),
    ("user", None),
    ("userns_mode", None),
    ("uts", None),
    ("volume_driver", None),
    ("volumes", Some(&Order::Each(MOUNT))),
    ("volumes_from", None),
    ("working_dir", None),
    ("post_start", Some(&Order::Each(COMMAND))),
    ("pre_stop", Some(&Order::Each(COMMAND))),
];

fn fields(out: &mut String, map: &Map<String, Value>, order: Fields) {
    let known = order.iter().filter_map(|(key, inner)| Some((*key, map.get(*key)?, *inner)));
    let is_other = |key: &str| order.iter().all(|(known, _)| *known != key);
    let others = map.iter().filter(|(key, _)| is_other(key)).map(|(key, value)| (key.as_str(), value, None));
    out.push('{');
    for (index, (key, value, inner)) in known.chain(others).enumerate() {
        if index > 0 {
            out.push(',');
        }
        text(out, key);
        out.push(':');
        ordered(out, value, inner);
    }
    out.push('}');
}

fn ordered(out: &mut String, value: &Value, order: Option<&Order>) {
    let inner = |out: &mut String, value: &Value| match (value, order) {
        (Value::Object(map), Some(Order::Each(order))) => fields(out, map, order),
        (value, _) => ordered(out, value, None),
    };
    match (value, order) {
        (Value::Object(map), Some(Order::Fields(order))) => fields(out, map, order),
        (Value::Object(map), _) => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                text(out, key);
                out.push(':');
                inner(out, value);
            }
            out.push('}');
        }
        (Value::Array(items), _) => {
            out.push('[');
            for (index, value) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                inner(out, value);
            }
            out.push(']');
        }
        (Value::String(value), _) => text(out, value),
        (Value::Null | Value::Bool(_) | Value::Number(_), _) => {
            let _ = write!(out, "{value}");
        }
    }
}

/// Go escapes what a browser might take for markup.
fn text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}
