//! A merged tree to the model. Every reader says what is wrong and goes on, so that one load tells everything.

mod build;
mod container;
mod deploy;
mod devd;
mod develop;
mod environment;
mod extension;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod grants;
mod host;
mod mounts;
mod networks;
mod ports;
pub(crate) mod project;
mod scalar;
mod service;
pub(crate) mod short;
mod value;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use crate::context::{Context, Place};
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::model::Places;
use crate::node::{Entry, Node, Value};
use crate::paths::nearest;

pub(crate) use build::is_remote;
pub(crate) use scalar::{Kind as ScalarKind, is_true, kind as scalar_kind};

/// Of all services together.
pub(crate) const MAX_PORTS: u32 = 20_000;

/// Where reading stands.
pub(crate) struct Reader<'a> {
    pub(crate) context: &'a mut Context,
    pub(crate) env: &'a Env<'a>,
    /// Where relative paths start.
    pub(crate) dir: &'a Path,
    /// Of the value being read, such as `services.api.ports[0]`.
    pub(crate) path: String,
    /// The names of the declared volumes: they decide what a short mount means.
    pub(crate) volumes: BTreeSet<String>,
    /// Whether services stood at the top level, where volumes cannot be declared.
    pub(crate) legacy: bool,
    /// Mount sources that are folders though they do not look like paths.
    pub(crate) folders: Vec<(String, Place, String)>,
    pub(crate) ports_left: u32,
    /// The service being read.
    pub(crate) service: String,
    /// Whether it is to run.
    pub(crate) enabled: bool,
    /// What services say about other things of the project.
    pub(crate) references: Vec<project::Reference>,
    pub(crate) places: Places,
    /// Owners and modes of secrets and configs, which mean nothing to those that are files.
    pub(crate) owners: Vec<project::Reference>,
}

/// The keys of one mapping.
pub(crate) type Keys = [&'static str];

/// Keys that compose learnt after the version that is followed here.
const NEWER: [&str; 1] = ["pre_start"];

impl Reader<'_> {
    pub(crate) fn within<R>(&mut self, segment: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        if !self.path.is_empty() && !segment.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(segment);
        let result = read(self);
        self.path.truncate(length);
        result
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.context.error(code, place, &self.path, message)
    }

    fn wrong_type(&mut self, node: &Node, wanted: &str) {
        let message = match self.path.as_str() {
            "" => format!("a compose file must be {wanted}, not {}", node.kind()),
            path => format!("`{path}` must be {wanted}, not {}", node.kind()),
        };
        let help = match wanted {
            "a list" => "write each item on a line of its own after `- `, or all in `[…]`",
            "a mapping" => "write `key: value`, one on each line",
            _ => "write one value after the colon",
        };
        self.error("wrong-type", node.place, message).help(help);
    }

    /// A value of the right type that makes no sense.
    fn bad_value(&mut self, node: &Node, wanted: &str) -> &mut Diagnostic {
        let shown = match node.as_text() {
            Some(text) if !crate::context::is_secret(&self.path) => format!("`{}`", shorten(text)),
            Some(_) | None => "this".to_owned(),
        };
        self.error("wrong-value", node.place, format!("{shown} is not {wanted}"))
    }

    /// Reads a mapping. `read` gets the entries with a known key; the others are errors, apart from `x-…`.
    pub(crate) fn map(&mut self, node: &Node, keys: &Keys, mut read: impl FnMut(&mut Self, &str, &Entry)) {
        let Some(entries) = self.entries(node) else { return };
        for entry in entries {
            let key = &*entry.key;
            if keys.contains(&key) {
                self.within(key, |reader| {
                    reader.note_place(entry.place);
                    read(reader, key, entry);
                });
            } else if NEWER.contains(&key) {
                let message = format!("`{key}` came with a later version of compose than is followed here");
                self.within(key, |reader| {
                    reader.error("unknown-key", entry.place, message).help("take it out");
                });
            } else if !key.starts_with("x-") && !self.context.is_full() {
                let near = nearest(key, keys.iter().copied()).map(str::to_owned);
                let is_service = self.path.is_empty()
                    && (entry.value.get("image").is_some() || entry.value.get("build").is_some());
                let help = match near {
                    _ if is_service => "a service belongs under `services:`".to_owned(),
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", keys.join(", ")),
                };
                let place = entry.place;
                self.within(key, |reader| {
                    reader.error("unknown-key", place, format!("unknown key `{}`", shorten(key))).help(help);
                });
            }
        }
    }

    /// Reads a mapping for which nothing may stand.
    pub(crate) fn map_or_nothing(
        &mut self,
        node: &Node,
        keys: &Keys,
        read: impl FnMut(&mut Self, &str, &Entry),
    ) {
        if !node.is_null() {
            self.map(node, keys, read);
        }
    }

    /// Only of what has parts, because there may be very many values.
    fn note_place(&mut self, place: Place) {
        let span = self.context.span(place);
        self.places.insert(&self.path, span);
    }

    /// Says that a key has no value, where compose wants one. The form without `services:` was never so strict.
    fn say_empty(&mut self, node: &Node) {
        if !self.legacy {
            let message = format!("`{}` has no value", self.path);
            let help = "take the key out, or write what belongs there";
            self.error("empty-value", node.place, message).help(help);
        }
    }

    /// The entries of a mapping.
    fn entries<'n>(&mut self, node: &'n Node) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            _ if node.is_null() && !self.path.is_empty() => {
                self.say_empty(node);
                None
            }
            Value::Scalar { .. } | Value::List(_) => {
                self.wrong_type(node, "a mapping");
                None
            }
        }
    }

    /// Reads a mapping with free keys.
    fn each_entry(&mut self, node: &Node, mut read: impl FnMut(&mut Self, &Entry)) {
        for entry in self.entries(node).unwrap_or_default() {
            self.within(&entry.key, |reader| {
                if entry.value.as_text().is_none() || entry.value.is_null() {
                    reader.note_place(entry.place);
                }
                read(reader, entry);
            });
        }
    }

    fn each_item(&mut self, node: &Node, mut read: impl FnMut(&mut Self, &Rc<Node>)) {
        match &node.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.within(&format!("[{index}]"), |reader| {
                        if item.as_text().is_none() {
                            reader.note_place(item.place);
                        }
                        read(reader, item);
                    });
                }
            }
            _ if node.is_null() => self.say_empty(node),
            Value::Scalar { .. } | Value::Map(_) => self.wrong_type(node, "a list"),
        }
    }

    /// A list of strings, each once.
    fn strings(&mut self, node: &Node) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        self.each_item(node, |reader, item| {
            if let Some(text) = reader.text(item)
                && seen.insert(text.clone())
            {
                out.push(text);
            }
        });
        out
    }

    /// The same, where a single string stands for a list of one.
    fn string_or_list(&mut self, node: &Node) -> Vec<String> {
        match &node.value {
            Value::Scalar { .. } if !node.is_null() => self.text(node).into_iter().collect(),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => self.strings(node),
        }
    }

    /// A mapping, or a list of `KEY=VALUE`. `None` as a value: there was only a key.
    fn pairs(&mut self, node: &Node) -> BTreeMap<String, Option<String>> {
        let mut out = BTreeMap::new();
        if node.as_list().is_some() {
            self.each_item(node, |reader, item| {
                if let Some(text) = reader.text(item) {
                    let (key, value) = short::split_pair(&text);
                    if key.is_empty() {
                        reader.error("wrong-value", item.place, "the name before `=` is missing");
                    } else if key.ends_with(char::is_whitespace) && crate::context::is_secret(&reader.path) {
                        let message =
                            format!("the name of the variable `{}` ends with a space", key.trim_end());
                        reader
                            .error("wrong-value", item.place, message)
                            .help("take the space before `=` out");
                    } else {
                        out.insert(key.to_owned(), value.map(str::to_owned));
                    }
                }
            });
        } else {
            self.each_entry(node, |reader, entry| {
                if entry.value.is_null() {
                    out.insert(entry.key.to_string(), None);
                } else if scalar::is_date(&entry.value) && !reader.legacy {
                    let message = format!("`{}` must be a text, and YAML takes this for a date", entry.key);
                    reader.error("wrong-type", entry.value.place, message).help("put it in quotes");
                } else if entry.value.as_text().is_some() {
                    out.insert(entry.key.to_string(), scalar::as_written_by_compose(&entry.value));
                } else {
                    reader.wrong_type(&entry.value, "a single value");
                }
            });
        }
        out
    }

    /// Pairs in which a key alone has the empty value.
    fn full_pairs(&mut self, node: &Node) -> BTreeMap<String, String> {
        self.pairs(node).into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
    }

    /// A command: a list as it is, a string split into words, nothing for no value.
    fn command(&mut self, node: &Node) -> Option<Vec<String>> {
        match &node.value {
            _ if node.is_null() => None,
            Value::List(items) => {
                let mut words = Vec::with_capacity(items.len());
                self.each_item(node, |reader, item| words.extend(reader.text(item)));
                Some(words)
            }
            Value::Scalar { .. } if self.text(node).is_none() => None,
            Value::Scalar { text, .. } => match words::split(text) {
                Ok(split) => {
                    if let Some(operator) = split.cut_at {
                        let message = format!(
                            "no shell runs this, so the command ends at `{operator}` and the rest is not run"
                        );
                        self.context
                            .warning("command-cut", node.place, &self.path, message)
                            .help("write `sh -c '…'` around it, or quote the character");
                    }
                    Some(split.words)
                }
                Err(problem) => {
                    self.error("wrong-value", node.place, format!("this command cannot be split: {problem}"));
                    None
                }
            },
            Value::Map(_) => {
                self.wrong_type(node, "a string or a list");
                None
            }
        }
    }

    /// A list of strings, as they are.
    fn listed(&mut self, node: &Node) -> Vec<String> {
        let mut out = Vec::new();
        self.each_item(node, |reader, item| out.extend(reader.text(item)));
        out
    }

    /// A list of strings in which none may stand twice.
    fn distinct(&mut self, node: &Node) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        self.each_item(node, |reader, item| {
            let Some(text) = reader.text(item) else { return };
            if seen.insert(text.clone()) {
                out.push(text);
            } else {
                reader
                    .error("duplicate", item.place, format!("`{}` is there already", shorten(&text)))
                    .help("keep one of them");
            }
        });
        out
    }

    /// The same path as compose prints it, which leaves what is absolute as it is.
    fn resolve_text(&self, text: &str) -> String {
        if text.starts_with('/') {
            text.to_owned()
        } else {
            self.resolve(text).to_string_lossy().into_owned()
        }
    }

    fn resolve(&self, text: &str) -> std::path::PathBuf {
        // Asked only where it matters, because what was asked for is recorded.
        let home = if text.starts_with('~') { self.env.process("HOME") } else { None };
        crate::paths::resolve(self.dir, home, text)
    }
}

/// For messages.
fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > 60 || line.len() < text.trim_end().len() {
        format!("{}…", line.chars().take(60).collect::<String>())
    } else {
        line.to_owned()
    }
}
