//! The form without `services:`, where services stand at the top level.

use std::rc::Rc;

use crate::node::{Entry, Node, Value};

const TOP_LEVEL: [&str; 9] =
    ["services", "version", "name", "include", "networks", "volumes", "secrets", "configs", "models"];

/// Whether every key of a document is a service, by the look of it.
pub(crate) fn is_legacy(document: &Node) -> bool {
    let Some(entries) = document.as_map() else { return false };
    let mut services = entries.iter().filter(|entry| !entry.key.starts_with("x-")).peekable();
    if services.peek().is_none() {
        return false;
    }
    let mut runnable = false;
    for entry in services {
        if TOP_LEVEL.contains(&&*entry.key) || entry.value.as_map().is_none() {
            return false;
        }
        runnable |= entry.value.get("image").is_some() || entry.value.get("build").is_some();
    }
    runnable
}

/// Whether a document that lies over a legacy one may be meant as one too: it names only services known below.
pub(crate) fn is_legacy_override(document: &Node, base: &Node) -> bool {
    let known =
        |entry: &Entry| base.get("services").is_some_and(|below| below.value.get(&entry.key).is_some());
    document.as_map().is_some_and(|entries| {
        !entries.is_empty() && entries.iter().all(|entry| entry.key.starts_with("x-") || known(entry))
    })
}

/// The same document as the compose specification would have it.
pub(crate) fn to_specification(document: &Rc<Node>) -> Rc<Node> {
    let Some(entries) = document.as_map() else { return Rc::clone(document) };
    let (extensions, services): (Vec<_>, Vec<_>) =
        entries.iter().cloned().partition(|entry| entry.key.starts_with("x-"));
    let place = document.place;
    let services: Vec<Entry> =
        services.into_iter().map(|entry| Entry { value: Rc::new(service(&entry.value)), ..entry }).collect();
    let services = Entry { key: Rc::from("services"), place, value: Rc::new(Node::map(place, services)) };
    let mut all = vec![services];
    all.extend(extensions);
    Rc::new(Node { value: Value::Map(all), ..(**document).clone() })
}

/// Words that have moved since.
fn service(node: &Rc<Node>) -> Node {
    let Some(entries) = node.as_map() else { return (**node).clone() };
    let mut out: Vec<Entry> = Vec::new();
    let dockerfile = entries.iter().find(|entry| &*entry.key == "dockerfile");
    for entry in entries {
        match &*entry.key {
            "dockerfile" => {}
            "build" if dockerfile.is_some() && entry.value.as_text().is_some() => {
                let context = Entry { key: Rc::from("context"), ..entry.clone() };
                let parts = std::iter::once(context).chain(dockerfile.cloned()).collect();
                out.push(Entry { value: Rc::new(Node::map(entry.value.place, parts)), ..entry.clone() });
            }
            "net" => {
                let old = entry.value.as_text().and_then(|text| text.strip_prefix("container:"));
                let service =
                    old.map(|name| Rc::new(Node::text(entry.value.place, format!("service:{name}"))));
                let value = service.unwrap_or_else(|| Rc::clone(&entry.value));
                out.push(Entry { key: Rc::from("network_mode"), value, ..entry.clone() });
            }
            _ => out.push(entry.clone()),
        }
    }
    Node { value: Value::Map(out), ..(**node).clone() }
}
