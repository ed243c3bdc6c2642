//! A project as `docker compose config` would print it.

use serde_json::{Map, Value};

use crate::model::{Project, Service};

/// The shape of `docker compose config --format json`: `$` is doubled, so that it loads to the same project again.
pub fn to_json(project: &Project) -> Value {
    double_dollars(tree(project))
}

/// The same as YAML.
pub fn to_yaml(project: &Project) -> String {
    let mut out = String::new();
    if let Value::Object(mut map) = to_json(project) {
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
    let files: Vec<Value> = mounts.map(|grant| tree(&grant.file)).collect();
    if !files.is_empty() {
        map.insert("files".to_owned(), Value::Array(files));
    }
    Value::Object(map).to_string()
}

fn tree(value: &impl serde::Serialize) -> Value {
    // Only maps with other keys than strings could fail, and the model has none; a path that is not UTF-8 cannot
    // come out of a file that is.
    value.serialize(serde_json::value::Serializer).unwrap_or_default()
}

fn double_dollars(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('$', "$$")),
        Value::Array(items) => Value::Array(items.into_iter().map(double_dollars).collect()),
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(key, value)| (key, double_dollars(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

fn block_map(out: &mut String, map: &Map<String, Value>, indent: usize) {
    for (key, value) in map {
        out.push_str(&"  ".repeat(indent));
        out.push_str(&quoted_if_needed(key));
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
