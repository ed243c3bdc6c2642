//! A YAML document as a tree that knows where each part stands.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::context::Place;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) tag: Option<Tag>,
    pub(crate) value: Value,
}

/// The tags that mean something when files are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Reset,
    Override,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar { text: Rc<str>, style: Style },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// The text may stand for a number, a boolean or null.
    Plain,
    /// The text is text, whatever it looks like: it was quoted, a block, or came out of a variable.
    Quoted,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Rc<str>,
    pub(crate) place: Place,
    pub(crate) value: Rc<Node>,
}

impl Node {
    pub(crate) fn text(place: Place, text: impl Into<Rc<str>>) -> Self {
        Self { place, tag: None, value: Value::Scalar { text: text.into(), style: Style::Quoted } }
    }

    pub(crate) fn null(place: Place) -> Self {
        Self { place, tag: None, value: Value::Scalar { text: Rc::from(""), style: Style::Plain } }
    }

    pub(crate) fn map(place: Place, entries: Vec<Entry>) -> Self {
        Self { place, tag: None, value: Value::Map(entries) }
    }

    pub(crate) fn list(place: Place, items: Vec<Rc<Node>>) -> Self {
        Self { place, tag: None, value: Value::List(items) }
    }

    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, style: Style::Plain } => {
                matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL")
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => false,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Rc<Node>]> {
        match &self.value {
            Value::List(items) => Some(items),
            Value::Scalar { .. } | Value::Map(_) => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.iter().find(|entry| &*entry.key == key)
    }

    /// Whether both say the same, wherever they stand.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar { text, .. }, Value::Scalar { text: other, .. }) => text == other,
            (Value::List(items), Value::List(others)) => {
                items.len() == others.len()
                    && items.iter().zip(others).all(|(item, other)| item.is_like(other))
            }
            (Value::Map(entries), Value::Map(others)) => {
                let known: BTreeMap<&str, &Self> =
                    others.iter().map(|entry| (&*entry.key, &*entry.value)).collect();
                entries.len() == others.len()
                    && entries
                        .iter()
                        .all(|entry| known.get(&*entry.key).is_some_and(|other| entry.value.is_like(other)))
            }
            _ => false,
        }
    }

    /// How many nodes this is, with all that is in it.
    pub(crate) fn count(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 1,
            Value::List(items) => 1 + items.iter().map(|item| item.count()).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.value.count()).sum::<usize>(),
        }
    }

    /// For messages: what this is, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}
