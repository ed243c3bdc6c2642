//! What `.dockerignore` leaves out of a build.

use crate::dockerignore::{Patterns, Seen};
use std::{path::Path, rc::Rc};

/// The patterns, and what they said on the way down to a folder.
pub(super) struct Ignored {
    patterns: Rc<Patterns>,
    seen: Seen,
}

impl Ignored {
    /// Reads the text of an ignore file.
    pub(super) fn new(text: &str) -> Self {
        Self { patterns: Rc::new(Patterns::parse(text)), seen: Seen::default() }
    }

    /// Whether a path in this folder is left out, and what holds below it.
    pub(super) fn step(&self, path: &Path) -> (bool, Self) {
        let (excluded, seen) = self.patterns.step(&path.to_string_lossy(), &self.seen);
        (excluded.is_some(), Self { patterns: Rc::clone(&self.patterns), seen })
    }

    /// Whether something in an excluded folder may be brought back.
    pub(super) fn may_bring_back(&self, folder: &Path) -> bool {
        self.patterns.may_bring_back_below(&folder.to_string_lossy())
    }
}
