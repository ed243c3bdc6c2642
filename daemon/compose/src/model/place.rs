//! Where each value of a project stands.

use std::collections::BTreeMap;

use super::Span;

/// The places of a project's keys by their paths, such as `services.api.ports`, without those that are free to choose
/// and hold a single value, such as the names of variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    known: BTreeMap<String, Span>,
}

impl Places {
    pub(crate) fn insert(&mut self, path: &str, span: Span) {
        self.known.insert(path.to_owned(), span);
    }

    /// Where `path` stands, or else the innermost thing around it that is known.
    pub fn get(&self, path: &str) -> Option<&Span> {
        let mut path = path;
        loop {
            if let Some(span) = self.known.get(path) {
                return Some(span);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }
}
