//! One document out of all those of a project: what they include below them, what they extend below each service.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::context::{Context, Place};
use crate::env::Env;
use crate::extends::{self, without};
use crate::interpolate::Interpolation;
use crate::node::{Node, Value};
use crate::paths::{nearest_file, resolve};
use crate::{legacy, merge, parse, relocate};

/// Files that are included or extended, each time that they are read.
const MAX_FILES: usize = 200;
/// Of all services that extend others.
const MAX_NODES: usize = 400_000;
/// Files include each other at most so far.
const MAX_DEPTH: usize = 20;

pub(crate) struct Assembly<'c> {
    pub(crate) context: &'c mut Context,
    files_left: usize,
    /// That extending may yet make.
    pub(crate) nodes_left: usize,
    /// The files that are being included, the including one first.
    including: Vec<PathBuf>,
}

/// What one entry of `include` says.
struct Include {
    place: Place,
    paths: Vec<Rc<Node>>,
    dir: Option<Rc<Node>>,
    env_files: Vec<Rc<Node>>,
}

impl<'c> Assembly<'c> {
    /// `files` are those of the project itself.
    pub(crate) fn new(context: &'c mut Context, files: &[PathBuf]) -> Self {
        Self { context, files_left: MAX_FILES, nodes_left: MAX_NODES, including: files.to_vec() }
    }

    /// The merged document, and whether it is in the form without `services:`.
    pub(crate) fn combine(
        &mut self,
        env: &Env<'_>,
        dir: &Path,
        documents: &[Rc<Node>],
    ) -> Option<(Rc<Node>, bool)> {
        let mut root: Option<Rc<Node>> = None;
        let mut is_legacy = false;
        for document in documents {
            let over_legacy =
                is_legacy && root.as_ref().is_some_and(|root| legacy::is_legacy_override(document, root));
            let document = if legacy::is_legacy(document) || over_legacy {
                is_legacy = true;
                legacy::to_specification(document)
            } else {
                Rc::clone(document)
            };
            let document = Interpolation::new(self.context, env).node(&document);
            let mut includes: Vec<Rc<Node>> = Vec::new();
            for include in self.includes(&document) {
                let Some(included) = self.include(env, dir, &include) else { continue };
                for other in includes.iter().chain([&document]) {
                    self.say_conflicts(other, &included);
                }
                includes.push(included);
            }
            for included in includes {
                root = Some(lay(root, &included));
            }
            let document = without(&document, "include");
            let document = extends::resolve_all(self, env, dir, &document, root.as_ref());
            root = Some(lay(root, &document));
        }
        root.map(|root| (root, is_legacy))
    }

    /// The documents of a file that another one names.
    pub(crate) fn open(&mut self, file: &Path, place: Place, path: &str) -> Option<Vec<Rc<Node>>> {
        let Some(left) = self.files_left.checked_sub(1) else {
            let message = format!("a project includes and extends at most {MAX_FILES} files");
            self.context.error("too-large", place, path, message);
            return None;
        };
        self.files_left = left;
        let text = match self.context.read(file) {
            Ok(text) => text,
            Err(error) => {
                let message = match error.kind() {
                    io::ErrorKind::NotFound => format!("the file {} does not exist", file.display()),
                    _ => format!("the file {} cannot be read: {error}", file.display()),
                };
                let near = nearest_file(file);
                self.context.error("unreadable", place, path, message).help =
                    near.map(|near| format!("did you mean `{}`?", near.display()));
                return None;
            }
        };
        let source = self.context.add_source(file, text);
        let documents = parse::parse(self.context, source)?;
        let documents: Vec<_> = documents.into_iter().filter(|document| !document.is_null()).collect();
        if documents.is_empty() {
            self.context.file_error("empty-file", Some(file), None, "this compose file is empty");
            return None;
        }
        Some(documents)
    }

    fn wrong(&mut self, code: &'static str, place: Place, message: impl Into<String>) {
        self.context.error(code, place, "include", message);
    }

    /// Nothing may be in a file and in one that it includes, unless both say the same of it.
    fn say_conflicts(&mut self, own: &Node, included: &Node) {
        for section in ["services", "networks", "volumes", "secrets", "configs", "models"] {
            let (Some(own), Some(included)) = (own.get(section), included.get(section)) else { continue };
            for entry in included.value.as_map().unwrap_or_default() {
                let Some(known) =
                    own.value.get(&entry.key).filter(|known| !known.value.is_like(&entry.value))
                else {
                    continue;
                };
                let what = section.trim_end_matches('s');
                let at = self.context.span(entry.place);
                let message = format!(
                    "the {what} `{}` is included as well, from {}:{}",
                    entry.key,
                    at.file.display(),
                    at.line
                );
                let path = format!("{section}.{}", entry.key);
                let help =
                    "give one of them another name, or change it in a file that lies over this one: `-f`";
                self.context.error("include-conflict", known.place, &path, message).help(help);
            }
        }
    }

    fn includes(&mut self, document: &Node) -> Vec<Include> {
        let Some(section) = document.get("include").filter(|entry| !entry.value.is_null()) else {
            return Vec::new();
        };
        let Some(items) = section.value.as_list() else {
            let message = format!("`include` must be a list, not {}", section.value.kind());
            self.wrong("wrong-type", section.value.place, message);
            return Vec::new();
        };
        items.iter().filter_map(|item| self.include_entry(item)).collect()
    }

    fn include_entry(&mut self, item: &Rc<Node>) -> Option<Include> {
        let mut out = Include { place: item.place, paths: Vec::new(), dir: None, env_files: Vec::new() };
        let Some(entries) = item.as_map() else {
            out.paths = self.texts(item)?;
            return Some(out);
        };
        for entry in entries {
            match &*entry.key {
                "path" => out.paths = self.texts(&entry.value)?,
                "project_directory" => out.dir = self.texts(&entry.value)?.into_iter().next(),
                "env_file" => out.env_files = self.texts(&entry.value)?,
                key if key.starts_with("x-") => {}
                key => {
                    let message = format!("unknown key `{key}`");
                    let wrong = self.context.error("unknown-key", entry.place, "include", message);
                    wrong.help("known here: path, project_directory, env_file");
                    return None;
                }
            }
        }
        if out.paths.is_empty() {
            let message = "`path` is missing: the file to include";
            self.context.error("missing-key", item.place, "include", message).help("add `path: …`");
            return None;
        }
        Some(out)
    }

    /// A text, or a list of them.
    fn texts(&mut self, node: &Rc<Node>) -> Option<Vec<Rc<Node>>> {
        let all = match &node.value {
            Value::List(items) => items.clone(),
            _ if node.is_null() => Vec::new(),
            Value::Scalar { .. } | Value::Map(_) => vec![Rc::clone(node)],
        };
        for item in &all {
            if item.as_text().is_none_or(str::is_empty) {
                let wrong = self.context.error("wrong-type", item.place, "include", "a path is missing here");
                wrong.help("name a file, relative to this one");
                return None;
            }
        }
        Some(all)
    }

    /// What an entry brings, with nothing left that depends on where it is.
    fn include(&mut self, env: &Env<'_>, dir: &Path, include: &Include) -> Option<Rc<Node>> {
        let find = |dir: &Path, text: &str| {
            let home = if text.starts_with('~') { env.process("HOME") } else { None };
            resolve(dir, home, text)
        };
        let mut files = Vec::new();
        for path in &include.paths {
            let text = path.as_text()?;
            if text.contains("://") || text.starts_with("git@") || text.starts_with("oci:") {
                self.wrong("unsupported", path.place, "including from elsewhere is not supported yet");
                return None;
            }
            files.push(find(dir, text));
        }
        let home = match &include.dir {
            Some(node) => find(dir, node.as_text()?),
            None => files.first()?.parent()?.to_owned(),
        };
        if let Some(start) = self.including.iter().position(|known| files.contains(known)) {
            let circle = self.including.get(start..).unwrap_or_default();
            let names = circle.iter().chain(circle.first()).map(|file| file.display().to_string());
            let message =
                format!("these files include each other: {}", names.collect::<Vec<_>>().join(" -> "));
            self.wrong("include-cycle", include.place, message);
            return None;
        }
        if self.including.len() >= MAX_DEPTH {
            let message = format!("files include each other more than {MAX_DEPTH} times here");
            self.wrong("too-deep", include.place, message);
            return None;
        }
        let mut own = env.child();
        if include.env_files.is_empty() {
            own.read_file(self.context, &home.join(".env"), false);
        }
        for path in &include.env_files {
            let file = find(dir, path.as_text()?);
            own.read_file(self.context, &file, true);
        }
        let mut documents = Vec::new();
        for (file, node) in files.iter().zip(&include.paths) {
            documents.extend(self.open(file, node.place, "include")?);
        }
        let before = self.including.len();
        self.including.extend(files);
        let combined = self.combine(&own, &home, &documents);
        self.including.truncate(before);
        let (root, _) = combined?;
        if root.as_map().is_none() {
            self.wrong(
                "wrong-type",
                root.place,
                format!("a compose file must be a mapping, not {}", root.kind()),
            );
            return None;
        }
        let volumes = root.get("volumes").and_then(|volumes| volumes.value.as_map()).unwrap_or_default();
        let volumes = volumes.iter().map(|entry| entry.key.to_string()).collect();
        Some(relocate::document(&root, &relocate::Place { dir: &home, env: &own, volumes: Some(volumes) }))
    }
}

fn lay(below: Option<Rc<Node>>, above: &Rc<Node>) -> Rc<Node> {
    match below {
        None => merge::first(above),
        Some(below) => merge::merge(&below, above),
    }
}
