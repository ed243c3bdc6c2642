//! Single values: texts, numbers, flags, sizes, words.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::node::Node;
use crate::paths::nearest;

use super::{Reader, scalar, shorten};

impl Reader<'_> {
    /// A text, a number, or true or false, as it stands.
    pub(crate) fn single(&mut self, node: &Node) -> Option<String> {
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

    /// A text, and nothing that YAML takes for something else. The form without `services:` was never so strict.
    pub(crate) fn text(&mut self, node: &Node) -> Option<String> {
        let text = self.single(node)?;
        match scalar::kind(node) {
            Some(kind) if kind != scalar::Kind::Text && !self.legacy => {
                let secret = crate::context::is_secret(&self.path);
                let shown = if secret { "this".to_owned() } else { format!("`{}`", shorten(&text)) };
                let message = format!("`{}` must be a text, and {shown} is {}", self.path, kind.noun());
                let help = match secret {
                    true => "put it in quotes".to_owned(),
                    false => format!("put it in quotes: `\"{}\"`", shorten(&text)),
                };
                self.error("wrong-type", node.place, message).help(help);
                None
            }
            Some(_) | None => Some(text),
        }
    }

    /// A text or a number, as compose writes it.
    pub(super) fn written(&mut self, node: &Node) -> Option<String> {
        self.single(node)?;
        scalar::as_written_by_compose(node)
    }

    /// Text that says nothing when it is empty, which it is where a variable is not set.
    pub(super) fn optional(&mut self, node: &Node) -> Option<String> {
        self.text(node).filter(|text| !text.is_empty())
    }

    /// Text that must not be empty.
    pub(super) fn word(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if text.trim().is_empty() {
            let path = self.path.clone();
            self.error("empty-value", node.place, format!("`{path}` is empty"));
            return None;
        }
        Some(text)
    }

    /// True or false, or a text that says so.
    pub(super) fn flag(&mut self, node: &Node) -> Option<bool> {
        let text = self.single(node)?;
        let flag = scalar::parse_word(&text);
        if flag.is_none() {
            self.bad_value(node, "`true` or `false`").help("write `true` or `false`");
        }
        flag
    }

    /// True or false, and no text that says so.
    pub(super) fn plain_flag(&mut self, node: &Node) -> Option<bool> {
        let flag = self.flag(node)?;
        if scalar::kind(node) != Some(scalar::Kind::Flag) && !self.legacy {
            let message = format!("`{}` must be true or false, and this is a text", self.path);
            self.error("wrong-type", node.place, message).help("write `true` or `false`, without quotes");
            return None;
        }
        Some(flag)
    }

    /// A mapping of names to texts and numbers.
    pub(super) fn options(&mut self, node: &Node) -> BTreeMap<String, String> {
        if node.as_list().is_some() {
            self.wrong_type(node, "a mapping");
            return BTreeMap::new();
        }
        let mut out = BTreeMap::new();
        self.each_entry(node, |reader, entry| {
            if entry.value.is_null() {
                reader.say_empty(&entry.value);
            } else {
                out.extend(reader.written(&entry.value).map(|text| (entry.key.to_string(), text)));
            }
        });
        out
    }

    pub(super) fn parsed<T>(
        &mut self,
        node: &Node,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.single(node)?;
        let value = parse(&text);
        if value.is_none() {
            let help = match wanted {
                "a number of CPUs" => "write it like `2` or `0.5`",
                _ => "write it in digits",
            };
            let is_number = wanted.starts_with("a number") || wanted.starts_with("a p");
            let wrong = self.bad_value(node, wanted);
            if is_number {
                wrong.help(help);
            }
        }
        value
    }

    /// Written in any way that YAML knows.
    pub(super) fn number<T: FromStr>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        self.parsed(node, wanted, |text| {
            text.parse().ok().or_else(|| scalar::as_written_by_compose(node)?.parse().ok())
        })
    }

    pub(super) fn duration(&mut self, node: &Node) -> Option<std::time::Duration> {
        let text = self.single(node)?;
        let is_text = self.legacy || scalar::kind(node) == Some(scalar::Kind::Text);
        let value = crate::model::text::parse_duration(&text).filter(|_| is_text);
        if value.is_none() {
            self.bad_value(node, "a duration").help("write it like `1m30s`, `10s` or `500ms`");
        }
        value
    }

    pub(super) fn size(&mut self, node: &Node) -> Option<u64> {
        let text = self.single(node)?;
        let value = crate::model::text::parse_bytes(&text);
        if value.is_none() {
            self.bad_value(node, "a size").help("write it like `64m` or `1g`");
        }
        value
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&str, T)]) -> Option<T> {
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

    /// A size of which 0 says that there is no limit.
    pub(super) fn limit(&mut self, node: &Node) -> Option<u64> {
        self.size(node).filter(|size| *size > 0)
    }
}
