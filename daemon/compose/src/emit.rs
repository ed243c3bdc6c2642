//! A project as `docker compose config` would print it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::circles::circles;
use crate::model::{Project, Service};

/// The shape of `docker compose config --format json`, byte for byte but for the order of keys: `$` is doubled.
pub fn to_json(project: &Project) -> Value {
    let mut tree = document(project);
    for (name, service) in &project.services {
        let Some(Value::Object(printed)) = tree.pointer_mut(&format!("/services/{name}")) else { continue };
        as_json_of_go(printed);
        // Compose prints what it does not wait for, though no service of that name is printed.
        if !service.wished.is_empty()
            && let Value::Object(edges) = printed.entry("depends_on").or_insert_with(|| json!({}))
        {
            edges.extend(service.wished.iter().map(|(other, edge)| (other.clone(), self::tree(edge))));
        }
    }
    double_dollars(tree, true)
}

/// What Go's encoder makes of a service where it does not do as it does for YAML.
pub(crate) fn as_json_of_go(service: &mut Map<String, Value>) {
    for devices in service.get_mut("blkio_config").and_then(Value::as_object_mut).into_iter().flatten() {
        for device in devices.1.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            *device = std::mem::take(device)
                .into_iter()
                .map(|(key, value)| match key.as_str() {
                    "path" => ("Path".to_owned(), value),
                    "rate" => ("Rate".to_owned(), value),
                    "weight" => ("Weight".to_owned(), value),
                    _ => (key, value),
                })
                .collect();
        }
    }
    let limits = |holder: &mut Map<String, Value>| {
        let limits = holder.get_mut("ulimits").and_then(Value::as_object_mut);
        for (_, limit) in limits.into_iter().flatten() {
            match limit {
                // 0 counts as nothing said.
                Value::Number(number) if number.as_i64() == Some(0) => *limit = json!({}),
                Value::Object(range) => range.retain(|_, bound| bound.as_i64() != Some(0)),
                _ => {}
            }
        }
    };
    limits(service);
    let reserved =
        service.get_mut("deploy").and_then(|deploy| deploy.pointer_mut("/resources/reservations/devices"));
    let reserved = reserved.and_then(Value::as_array_mut).map(std::mem::take);
    if let Some(mut devices) = reserved {
        devices.iter_mut().for_each(without_zero);
        service["deploy"]["resources"]["reservations"]["devices"] = Value::Array(devices);
    }
    service.get_mut("gpus").and_then(Value::as_array_mut).into_iter().flatten().for_each(without_zero);
    let rules = service.get_mut("develop").and_then(|develop| develop.get_mut("watch"));
    for rule in rules.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        rule.entry("exec").or_insert_with(|| json!({"command": null}));
    }
    for mount in service.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(Value::Object(bind)) = mount.get_mut("bind") {
            bind.retain(|_, value| *value != Value::Bool(false));
        }
    }
    service.get_mut("build").and_then(Value::as_object_mut).map(limits);
}

/// A request for no device at all says nothing.
fn without_zero(request: &mut Value) {
    if let Some(request) = request.as_object_mut().filter(|request| request.get("count") == Some(&json!(0))) {
        request.remove("count");
    }
}

/// A project in compose's canonical form.
fn document(project: &Project) -> Value {
    let mut tree = tree(project);
    let mut nameless = |section: &str, names: Vec<&String>| {
        for name in names {
            if let Some(Value::Object(entry)) = tree.pointer_mut(&format!("/{section}/{name}")) {
                entry.remove("name");
            }
        }
    };
    nameless("networks", keys(&project.networks, |network| network.nameless));
    nameless("volumes", keys(&project.volumes, |volume| volume.nameless));
    nameless("secrets", keys(&project.secrets, |secret| secret.nameless));
    nameless("configs", keys(&project.configs, |config| config.nameless));
    let circles = circles(project);
    for (name, service) in &project.services {
        let links = service.links.iter().map(|link| &link.service);
        // Compose waits for what a service links to; where that could never end, devd does not, and says so here.
        let links = links.filter(|other| circles.get(other.as_str()) != circles.get(name.as_str()));
        let implied = links
            .map(|other| (other, json!({"condition": "service_started", "restart": true, "required": true})));
        for (other, edge) in implied.collect::<Vec<_>>() {
            let Some(Value::Object(printed)) = tree.pointer_mut(&format!("/services/{name}")) else {
                continue;
            };
            if let Value::Object(edges) = printed.entry("depends_on").or_insert_with(|| json!({})) {
                edges.entry(other.clone()).or_insert(edge);
            }
        }
    }
    tree
}

fn keys<T>(all: &BTreeMap<String, T>, wanted: impl Fn(&T) -> bool) -> Vec<&String> {
    all.iter().filter(|(_, value)| wanted(value)).map(|(key, _)| key).collect()
}

/// The same as YAML, which loads to the same project again.
pub fn to_yaml(project: &Project) -> String {
    let mut out = String::new();
    let mut tree = document(project);
    if !project.models.is_empty() {
        tree["models"] = self::tree(&project.models);
    }
    for name in project.services.keys() {
        // As a number, it must be a whole one.
        if let Some(percent) = tree.pointer_mut(&format!("/services/{name}/cpu_percent")) {
            *percent = Value::String(percent.to_string());
        }
    }
    if let Value::Object(mut map) = double_dollars(tree, false) {
        // What a reader looks for first.
        let name = map.remove("name").unwrap_or_default();
        out.push_str("name: ");
        scalar(&mut out, &name, 0);
        block_map(&mut out, &map, 0);
    }
    out
}

/// Everything of a service that makes its container, as canonical JSON: sorted keys, no white space. Equal text means
/// that a running container need not be replaced.
pub fn service_hash_input(service: &Service) -> String {
    let Value::Object(mut map) = tree(service) else { return String::new() };
    for key in ["attach", "build", "depends_on", "develop", "profiles", "pull_policy", "scale", "x-devd"] {
        map.remove(key);
    }
    if let Some(Value::Object(deploy)) = map.get_mut("deploy") {
        // The rest is for Swarm.
        deploy.retain(|key, value| match key.as_str() {
            "resources" => value.as_object().is_some_and(|parts| !parts.is_empty()),
            key => key == "restart_policy",
        });
        if deploy.is_empty() {
            map.remove("deploy");
        }
    }
    let mounts = service.secrets.iter().chain(&service.configs);
    let files: Vec<Value> = mounts
        .map(|grant| match &grant.content {
            Some(content) => Value::String(content.clone()),
            None => tree(&grant.file),
        })
        .collect();
    if !files.is_empty() {
        map.insert("files".to_owned(), Value::Array(files));
    }
    let texts: Vec<Value> =
        service.secrets.iter().chain(&service.configs).map(|grant| tree(&grant.content)).collect();
    if texts.iter().any(|text| !text.is_null()) {
        map.insert("contents".to_owned(), Value::Array(texts));
    }
    Value::Object(map).to_string()
}

pub(crate) fn tree(value: &impl serde::Serialize) -> Value {
    // Only maps with other keys than strings could fail, and the model has none; a path that is not UTF-8 cannot
    // come out of a file that is.
    value.serialize(serde_json::value::Serializer).unwrap_or_default()
}

/// Compose doubles those of keys as well, though it would not halve them again.
fn double_dollars(value: Value, keys: bool) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('$', "$$")),
        Value::Array(items) => items.into_iter().map(|item| double_dollars(item, keys)).collect(),
        Value::Object(map) => {
            let key = |key: String| if keys { key.replace('$', "$$") } else { key };
            map.into_iter().map(|(name, value)| (key(name), double_dollars(value, keys))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Characters of a key without a mark of its own. YAML allows 1024.
const LONGEST_KEY: usize = 1000;

fn block_map(out: &mut String, map: &Map<String, Value>, indent: usize) {
    for (key, value) in map {
        let margin = "  ".repeat(indent);
        let key = quoted_if_needed(key);
        out.push_str(&margin);
        if key.chars().count() > LONGEST_KEY {
            out.push_str(&format!("? {key}\n{margin}"));
        } else {
            out.push_str(&key);
        }
        out.push(':');
        nested(out, value, indent + 1);
    }
}

/// What follows `key:`, with the line's end.
fn nested(out: &mut String, value: &Value, indent: usize) {
    if let Value::Object(map) = value
        && !map.is_empty()
    {
        out.push('\n');
        return block_map(out, map, indent);
    }
    let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
        out.push(' ');
        return scalar(out, value, indent);
    };
    out.push('\n');
    for item in items {
        out.push_str(&"  ".repeat(indent));
        out.push('-');
        if let Value::Object(map) = item
            && !map.is_empty()
        {
            // The first key stands beside the dash.
            let mut block = String::new();
            block_map(&mut block, map, indent + 1);
            out.push(' ');
            out.push_str(block.trim_start_matches(' '));
        } else {
            nested(out, item, indent + 1);
        }
    }
}

fn scalar(out: &mut String, value: &Value, indent: usize) {
    let Value::String(text) = value else {
        out.push_str(&value.to_string());
        out.push('\n');
        return;
    };
    if !is_block(text) {
        out.push_str(&quoted_if_needed(text));
        out.push('\n');
        return;
    }
    out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
    for line in text.lines() {
        if !line.is_empty() {
            out.push_str(&"  ".repeat(indent));
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// Text of several lines that a block shows without any change.
fn is_block(text: &str) -> bool {
    let plain = |c: char| {
        c == '\n'
            || c == '\t'
            || (!c.is_control() && c != '\u{feff}' && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}'))
    };
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.ends_with("\n\n")
        && !text.lines().any(|line| line.ends_with([' ', '\t']))
        && text.chars().all(plain)
}

fn quoted_if_needed(text: &str) -> String {
    let first = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '.' | '_' | '$');
    let inner = |c: char| c.is_ascii_alphanumeric() || " /._-+=@,$()".contains(c) || c == ':';
    let plain = text.starts_with(first)
        && text.chars().all(inner)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !is_word(text);
    // JSON's quoting is YAML's, too.
    if plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

/// What some reader of YAML takes for a boolean, a null or a number.
fn is_word(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null")
        || lower.trim_start_matches(['.', '_']).starts_with(|c: char| c.is_ascii_digit())
        || lower.starts_with(".inf")
        || lower.starts_with(".nan")
}
