//! `extends`: a service on top of another one, of the same file or of another.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use crate::assemble::Assembly;
use crate::context::Place;
use crate::env::Env;
use crate::interpolate::Interpolation;
use crate::node::{Entry, Node, Value};
use crate::paths::{nearest, resolve};
use crate::{legacy, merge, relocate};

/// Services extend each other at most so far.
const MAX_DEPTH: usize = 50;

/// A service on top of what it extends, and how many services it is made of.
type Done = (Rc<Node>, usize);

/// The services of one file.
struct Shelf {
    /// `None` for the file that is being resolved.
    path: Option<PathBuf>,
    dir: PathBuf,
    services: BTreeMap<Rc<str>, Entry>,
}

pub(crate) struct Extends<'a, 'c> {
    assembly: &'a mut Assembly<'c>,
    env: &'a Env<'a>,
    shelves: Vec<Shelf>,
    /// `None` after an error.
    done: BTreeMap<(usize, Rc<str>), Option<Done>>,
    /// What is being resolved, the extending one first.
    chain: Vec<(usize, Rc<str>)>,
}

/// `document` with every `extends` carried out; services may also extend those of `below`.
pub(crate) fn resolve_all(
    assembly: &mut Assembly<'_>,
    env: &Env<'_>,
    dir: &std::path::Path,
    document: &Rc<Node>,
    below: Option<&Rc<Node>>,
) -> Rc<Node> {
    let Some(section) = document.get("services") else { return Rc::clone(document) };
    let own = section.value.as_map().unwrap_or_default();
    if !own.iter().any(|entry| entry.value.get("extends").is_some()) {
        return Rc::clone(document);
    }
    let mut services = BTreeMap::new();
    let below = below.and_then(|below| below.get("services"));
    for entry in below.and_then(|below| below.value.as_map()).unwrap_or_default().iter().chain(own) {
        services.insert(Rc::clone(&entry.key), entry.clone());
    }
    let shelves = vec![Shelf { path: None, dir: dir.to_owned(), services }];
    let mut extends = Extends { assembly, env, shelves, done: BTreeMap::new(), chain: Vec::new() };
    let resolved = own.iter().map(|entry| {
        let value =
            extends.service(0, &entry.key).map_or_else(|| Rc::clone(&entry.value), |(service, _)| service);
        Entry { value, ..entry.clone() }
    });
    let resolved = Rc::new(Node { value: Value::Map(resolved.collect()), ..(*section.value).clone() });
    let entries = document.as_map().unwrap_or_default().iter().map(|entry| match &*entry.key {
        "services" => Entry { value: Rc::clone(&resolved), ..entry.clone() },
        _ => entry.clone(),
    });
    Rc::new(Node { value: Value::Map(entries.collect()), ..(**document).clone() })
}

impl Extends<'_, '_> {
    /// `None` after an error.
    fn service(&mut self, shelf: usize, name: &Rc<str>) -> Option<Done> {
        let key = (shelf, Rc::clone(name));
        if let Some(done) = self.done.get(&key) {
            return done.clone();
        }
        self.chain.push(key.clone());
        let found = self.resolve(shelf, name);
        self.chain.pop();
        self.done.insert(key, found.clone());
        found
    }

    fn resolve(&mut self, shelf: usize, name: &str) -> Option<Done> {
        let node = Rc::clone(&self.shelves.get(shelf)?.services.get(name)?.value);
        let Some(extends) = node.get("extends") else {
            return Some((node, 1));
        };
        let path = format!("services.{name}.extends");
        let (base, file) = self.target(&extends.value, &path)?;
        let base_name: Rc<str> = Rc::from(base.as_text()?);
        let base_shelf = match file {
            Some(file) => self.open(shelf, &file, &path)?,
            None => shelf,
        };
        if let Some(start) = self.chain.iter().position(|known| *known == (base_shelf, Rc::clone(&base_name)))
        {
            self.say_circle(start, extends.place, &path);
            return None;
        }
        if self.chain.len() >= MAX_DEPTH {
            self.say_depth(extends.place, &path);
            return None;
        }
        if !self.shelves.get(base_shelf)?.services.contains_key(&base_name) {
            self.say_missing(base_shelf, &base, &base_name, &path);
            return None;
        }
        let (mut below, depth) = self.service(base_shelf, &base_name)?;
        if depth >= MAX_DEPTH {
            self.say_depth(extends.place, &path);
            return None;
        }
        if base_shelf != shelf {
            let dir = &self.shelves.get(base_shelf)?.dir;
            let place = relocate::Place { dir, env: self.env, volumes: None };
            below = relocate::service(&below, &place);
        }
        if self.assembly.nodes_left == 0 {
            // It has been said.
            return None;
        }
        self.assembly.nodes_left = self.assembly.nodes_left.saturating_sub(below.count() + node.count());
        if self.assembly.nodes_left == 0 {
            let message = "with everything that is extended, the project is too large";
            self.assembly.context.error("too-large", extends.place, &path, message);
            return None;
        }
        Some((merge::service(&below, &without(&node, "extends")), depth + 1))
    }

    /// The name of the base, and the file that it is in.
    fn target(&mut self, node: &Rc<Node>, path: &str) -> Option<(Rc<Node>, Option<Rc<Node>>)> {
        let context = &mut self.assembly.context;
        if node.as_text().is_some_and(|text| !text.is_empty()) {
            return Some((Rc::clone(node), None));
        }
        let Some(entries) = node.as_map() else {
            let message = format!("`{path}` must be the name of a service or a mapping, not {}", node.kind());
            context.error("wrong-type", node.place, path, message);
            return None;
        };
        let (mut service, mut file) = (None, None);
        for entry in entries {
            let slot = match &*entry.key {
                "service" => &mut service,
                "file" => &mut file,
                key if key.starts_with("x-") => continue,
                key => {
                    let message = format!("unknown key `{key}`");
                    context
                        .error("unknown-key", entry.place, path, message)
                        .help("known here: service, file");
                    return None;
                }
            };
            if entry.value.as_text().is_none_or(str::is_empty) {
                let message = format!("`{path}.{}` must be a single value", entry.key);
                context.error("wrong-type", entry.value.place, path, message);
                return None;
            }
            *slot = Some(Rc::clone(&entry.value));
        }
        if service.is_none() {
            let message = "`service` is missing: what is extended";
            context.error("missing-key", node.place, path, message).help("add `service: …`");
        }
        Some((service?, file))
    }

    /// Reads another file, once.
    fn open(&mut self, from: usize, file: &Rc<Node>, path: &str) -> Option<usize> {
        let text = file.as_text()?;
        let home = if text.starts_with('~') { self.env.process("HOME") } else { None };
        let full = resolve(&self.shelves.get(from)?.dir, home, text);
        if let Some(known) = self.shelves.iter().position(|shelf| shelf.path.as_ref() == Some(&full)) {
            return Some(known);
        }
        let documents = self.assembly.open(&full, file.place, path)?;
        let mut root: Option<Rc<Node>> = None;
        for document in documents {
            let document =
                if legacy::is_legacy(&document) { legacy::to_specification(&document) } else { document };
            let document = Interpolation::new(self.assembly.context, self.env).node(&document);
            root = Some(match root {
                None => merge::first(&document),
                Some(root) => merge::merge(&root, &document),
            });
        }
        let root = root?;
        let services = root.get("services").and_then(|services| services.value.as_map()).unwrap_or_default();
        let services = services.iter().map(|entry| (Rc::clone(&entry.key), entry.clone())).collect();
        let dir = full.parent()?.to_owned();
        self.shelves.push(Shelf { path: Some(full), dir, services });
        Some(self.shelves.len() - 1)
    }

    fn say_depth(&mut self, place: Place, path: &str) {
        let message = format!("services extend each other more than {MAX_DEPTH} times here");
        self.assembly.context.error("too-deep", place, path, message);
    }

    fn say_circle(&mut self, start: usize, place: Place, path: &str) {
        let links = self.chain.get(start..).unwrap_or_default();
        let names: Vec<String> = links.iter().chain(links.first()).map(|link| self.called(link)).collect();
        let message = match links {
            [link] => format!("`{}` extends itself", self.called(link)),
            _ => format!("these services extend each other: {}", names.join(" -> ")),
        };
        self.assembly.context.error("extends-cycle", place, path, message).help("take one of them out");
    }

    fn called(&self, (shelf, name): &(usize, Rc<str>)) -> String {
        let path = self.shelves.get(*shelf).and_then(|shelf| shelf.path.as_deref());
        match path.and_then(|path| path.file_name()) {
            Some(file) => format!("{name} in {}", file.to_string_lossy()),
            None => name.to_string(),
        }
    }

    fn say_missing(&mut self, shelf: usize, base: &Node, name: &str, path: &str) {
        let Some(shelf) = self.shelves.get(shelf) else { return };
        let of = match &shelf.path {
            Some(path) => format!(" in {}", path.display()),
            None => String::new(),
        };
        let message = format!("there is no service `{name}`{of} to extend");
        let help = match nearest(name, shelf.services.keys().map(|key| &**key)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if shelf.path.is_none() => "name the `file` if it is in another one".to_owned(),
            None => "look for it in that file".to_owned(),
        };
        self.assembly.context.error("undefined-service", base.place, path, message).help(help);
    }
}

pub(crate) fn without(node: &Rc<Node>, key: &str) -> Rc<Node> {
    let Some(entries) = node.as_map() else { return Rc::clone(node) };
    let entries = entries.iter().filter(|entry| &*entry.key != key).cloned().collect();
    Rc::new(Node { value: Value::Map(entries), ..(**node).clone() })
}
