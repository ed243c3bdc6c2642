//! A merged tree to the model. Every reader says what is wrong and goes on, so that one load tells everything.

mod build;
mod container;
mod deploy;
mod devd;
mod develop;
mod environment;
mod grants;
mod host;
mod mounts;
mod networks;
mod ports;
pub(crate) mod project;
mod scalar;
mod service;
pub(crate) mod short;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::str::FromStr;

use crate::context::{Context, Place};
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::node::{Entry, Node, Value};
use crate::paths::nearest;

pub(crate) use build::is_remote;
pub(crate) use scalar::is_true;

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
    /// What services say about other things of the project.
    pub(crate) references: Vec<project::Reference>,
}

/// The keys of one mapping.
pub(crate) struct Keys {
    pub(crate) known: &'static [&'static str],
    /// Of the compose specification, but not loaded.
    pub(crate) later: &'static [&'static str],
}

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
        self.error("wrong-type", node.place, message);
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
            if keys.known.contains(&key) {
                self.within(key, |reader| read(reader, key, entry));
            } else if keys.later.contains(&key) {
                let message = format!("`{key}` is not supported yet");
                self.within(key, |reader| {
                    let help = "take it out, or move it to a file that only other tools read";
                    reader.error("unsupported", entry.place, message).help(help);
                });
            } else if !key.starts_with("x-") && !self.context.is_full() {
                let candidates = keys.known.iter().chain(keys.later).copied();
                let near = nearest(key, candidates).map(str::to_owned);
                let is_service = self.path.is_empty()
                    && (entry.value.get("image").is_some() || entry.value.get("build").is_some());
                let help = match near {
                    _ if is_service => "a service belongs under `services:`".to_owned(),
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", keys.known.join(", ")),
                };
                let place = entry.place;
                self.within(key, |reader| {
                    reader.error("unknown-key", place, format!("unknown key `{}`", shorten(key))).help(help);
                });
            }
        }
    }

    /// The entries of a mapping; none when there is no value.
    fn entries<'n>(&mut self, node: &'n Node) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            _ if node.is_null() => Some(&[]),
            Value::Scalar { .. } | Value::List(_) => {
                self.wrong_type(node, "a mapping");
                None
            }
        }
    }

    /// Reads a mapping with free keys.
    fn each_entry(&mut self, node: &Node, mut read: impl FnMut(&mut Self, &Entry)) {
        for entry in self.entries(node).unwrap_or_default() {
            self.within(&entry.key, |reader| read(reader, entry));
        }
    }

    fn each_item(&mut self, node: &Node, mut read: impl FnMut(&mut Self, &Rc<Node>)) {
        match &node.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.within(&format!("[{index}]"), |reader| read(reader, item));
                }
            }
            _ if node.is_null() => {}
            Value::Scalar { .. } | Value::Map(_) => self.wrong_type(node, "a list"),
        }
    }

    pub(crate) fn text(&mut self, node: &Node) -> Option<String> {
        match node.as_text() {
            Some(_) if node.is_null() => {
                let path = self.path.clone();
                self.error("empty-value", node.place, format!("`{path}` has no value"));
                None
            }
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong_type(node, "a single value");
                None
            }
        }
    }

    /// Text that must not be empty.
    fn word(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if text.trim().is_empty() {
            let path = self.path.clone();
            self.error("empty-value", node.place, format!("`{path}` is empty"));
            return None;
        }
        Some(text)
    }

    fn flag(&mut self, node: &Node) -> Option<bool> {
        let text = self.text(node)?;
        let flag = scalar::parse_flag(&text);
        if flag.is_none() {
            self.bad_value(node, "`true` or `false`");
        }
        flag
    }

    fn parsed<T>(&mut self, node: &Node, wanted: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(node)?;
        let value = parse(&text);
        if value.is_none() {
            self.bad_value(node, wanted);
        }
        value
    }

    fn number<T: FromStr>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        self.parsed(node, wanted, |text| text.parse().ok())
    }

    fn duration(&mut self, node: &Node) -> Option<std::time::Duration> {
        let text = self.text(node)?;
        let value = crate::model::text::parse_duration(&text);
        if value.is_none() {
            self.bad_value(node, "a duration").help("write it like `1m30s`, `10s` or `500ms`");
        }
        value
    }

    fn size(&mut self, node: &Node) -> Option<u64> {
        let text = self.text(node)?;
        let value = crate::model::text::parse_bytes(&text);
        if value.is_none() {
            self.bad_value(node, "a size").help("write it like `64m` or `1g`");
        }
        value
    }

    /// One of a few words.
    fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(node)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let help = match nearest(&text, words.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? Known are {}", words.join(", ")),
            None => format!("known are {}", words.join(", ")),
        };
        self.bad_value(node, "known here").help(help);
        None
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
                    } else {
                        out.insert(key.to_owned(), value.map(str::to_owned));
                    }
                }
            });
        } else {
            self.each_entry(node, |reader, entry| {
                if entry.value.is_null() {
                    out.insert(entry.key.to_string(), None);
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
