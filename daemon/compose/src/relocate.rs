//! Relative paths of a file that lies elsewhere, made absolute before the file is merged into a project.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use crate::env::Env;
use crate::node::{Entry, Node, Value};
use crate::paths::resolve;
use crate::substitute::Lookup as _;

/// The key, which is nobody's business, under which the value of a variable travels with a secret or config.
pub(crate) const VALUE: &str = "x-#value";

/// Where the paths of a file start.
pub(crate) struct Place<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) env: &'a Env<'a>,
    /// Set when the file is a project of its own: then what it leaves out means its own folder and environment, too.
    pub(crate) volumes: Option<BTreeSet<String>>,
}

/// A whole document, without what is nobody else's business.
pub(crate) fn document(document: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    let sections = document.as_map().unwrap_or_default().iter().filter_map(|section| {
        let each: fn(&Rc<Node>, &Place<'_>) -> Rc<Node> = match &*section.key {
            "services" => service,
            "secrets" | "configs" => shared_file,
            "volumes" => volume,
            "name" | "version" => return None,
            key if key.starts_with("x-") => return None,
            // What is wrong is for the reader to say.
            _ => return Some(section.clone()),
        };
        Some(Entry { value: keys(&section.value, &mut |_, node| each(node, place)), ..section.clone() })
    });
    Rc::new(Node::map(document.place, sections.collect()))
}

pub(crate) fn service(service: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    keys(service, &mut |key, node| match key {
        "build" => build(node, place),
        "env_file" | "label_file" => items(node, &mut |item| match &item.value {
            Value::Map(_) => keys(item, &mut |key, node| match key {
                "path" => path(node, place),
                _ => Rc::clone(node),
            }),
            Value::Scalar { .. } | Value::List(_) => path(item, place),
        }),
        "environment" if place.volumes.is_some() => environment(node, place),
        "volumes" => items(node, &mut |item| mount(item, place)),
        "develop" => keys(node, &mut |key, node| match key {
            "watch" => items(node, &mut |rule| {
                keys(rule, &mut |key, node| if key == "path" { path(node, place) } else { Rc::clone(node) })
            }),
            _ => Rc::clone(node),
        }),
        "x-devd" => keys(node, &mut |key, node| match key {
            "watch" => items(node, &mut |item| path(item, place)),
            _ => Rc::clone(node),
        }),
        _ => Rc::clone(node),
    })
}

fn shared_file(node: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    let moved = keys(node, &mut |key, node| if key == "file" { path(node, place) } else { Rc::clone(node) });
    let variable = moved.get("environment").and_then(|entry| entry.value.as_text());
    match (variable.and_then(|name| place.env.get(name)), moved.as_map()) {
        (Some(value), Some(entries)) => {
            let value = Rc::new(Node::text(moved.place, value));
            let value = Entry { key: Rc::from(VALUE), place: moved.place, value };
            let entries = entries.iter().cloned().chain([value]).collect();
            Rc::new(Node { value: Value::Map(entries), ..(*moved).clone() })
        }
        _ => moved,
    }
}

fn build(node: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    if node.as_map().is_none() {
        return context(node, place);
    }
    let build = keys(node, &mut |key, node| match key {
        "context" => context(node, place),
        "additional_contexts" => additional_contexts(node, place),
        "args" if place.volumes.is_some() => environment(node, place),
        _ => Rc::clone(node),
    });
    match build.as_map() {
        Some(entries) if place.volumes.is_some() && build.get("context").is_none() => {
            let here = Rc::new(Node::text(build.place, place.dir.to_string_lossy()));
            let here = Entry { key: Rc::from("context"), place: build.place, value: here };
            let entries = entries.iter().cloned().chain([here]).collect();
            Rc::new(Node { value: Value::Map(entries), ..(*build).clone() })
        }
        Some(_) | None => build,
    }
}

fn additional_contexts(node: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    match &node.value {
        Value::Map(_) => keys(node, &mut |_, node| context(node, place)),
        Value::List(_) => {
            items(node, &mut |item| match item.as_text().and_then(|text| text.split_once('=')) {
                Some((name, text)) if !crate::read::is_remote(text) && !text.starts_with(['/', '~']) => {
                    let text = format!("{name}={}", resolve(place.dir, None, text).display());
                    Rc::new(Node { tag: item.tag, ..Node::text(item.place, text) })
                }
                Some(_) | None => Rc::clone(item),
            })
        }
        Value::Scalar { .. } => Rc::clone(node),
    }
}

fn context(node: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    let remote = node.as_text().is_some_and(crate::read::is_remote);
    if remote { Rc::clone(node) } else { path(node, place) }
}

fn volume(node: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    let text =
        |node: &Node, key: &str| node.get(key).and_then(|entry| entry.value.as_text().map(str::to_owned));
    let local = text(node, "driver").is_some_and(|driver| driver == "local");
    keys(node, &mut |key, node| {
        let is_bind = text(node, "o").is_some_and(|options| options == "bind");
        if key != "driver_opts" || !local || !is_bind {
            return Rc::clone(node);
        }
        keys(node, &mut |key, node| if key == "device" { path(node, place) } else { Rc::clone(node) })
    })
}

fn mount(node: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    if node.as_map().is_some() {
        let bind = node.get("type").is_some_and(|entry| entry.value.as_text() == Some("bind"));
        return keys(node, &mut |key, node| match key {
            "source" if bind => path(node, place),
            _ => Rc::clone(node),
        });
    }
    let Some((source, rest)) = node.as_text().and_then(|text| text.split_once(':')) else {
        return Rc::clone(node);
    };
    let undeclared = place.volumes.as_ref().is_some_and(|known| !known.contains(source));
    let folder = undeclared && !source.is_empty() && place.dir.join(source).is_dir();
    if !source.starts_with('.') && !folder {
        return Rc::clone(node);
    }
    let source = resolve(place.dir, None, source);
    let text = Node::text(node.place, format!("{}:{rest}", source.display()));
    Rc::new(Node { tag: node.tag, ..text })
}

/// Gives variables without a value the one that they have here.
fn environment(node: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    let filled = |at: &Node, text: String| Rc::new(Node { tag: at.tag, ..Node::text(at.place, text) });
    match &node.value {
        Value::Map(_) => keys(node, &mut |key, node| match place.env.get(key) {
            Some(value) if node.is_null() => filled(node, value),
            Some(_) | None => Rc::clone(node),
        }),
        Value::List(_) => items(node, &mut |item| match item.as_text() {
            Some(name) if !name.contains('=') => match place.env.get(name) {
                Some(value) => filled(item, format!("{name}={value}")),
                None => Rc::clone(item),
            },
            Some(_) | None => Rc::clone(item),
        }),
        Value::Scalar { .. } => Rc::clone(node),
    }
}

fn path(node: &Rc<Node>, place: &Place<'_>) -> Rc<Node> {
    match node.as_text() {
        Some(text) if !node.is_null() && !text.is_empty() && !text.starts_with(['/', '~']) => {
            let text = Node::text(node.place, resolve(place.dir, None, text).to_string_lossy());
            Rc::new(Node { tag: node.tag, ..text })
        }
        Some(_) | None => Rc::clone(node),
    }
}

/// Every value of a mapping.
fn keys(node: &Rc<Node>, change: &mut dyn FnMut(&str, &Rc<Node>) -> Rc<Node>) -> Rc<Node> {
    let Some(entries) = node.as_map() else { return Rc::clone(node) };
    let entries =
        entries.iter().map(|entry| Entry { value: change(&entry.key, &entry.value), ..entry.clone() });
    Rc::new(Node { value: Value::Map(entries.collect()), ..(**node).clone() })
}

/// Every item of a list, or the single one that stands for it.
fn items(node: &Rc<Node>, change: &mut dyn FnMut(&Rc<Node>) -> Rc<Node>) -> Rc<Node> {
    match &node.value {
        Value::List(items) => {
            let items = items.iter().map(change).collect();
            Rc::new(Node { value: Value::List(items), ..(**node).clone() })
        }
        Value::Scalar { .. } => change(node),
        Value::Map(_) => Rc::clone(node),
    }
}
