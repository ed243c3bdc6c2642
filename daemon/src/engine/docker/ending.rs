//! Which containers this daemon is ending itself: the engine tells of that as it tells of what others do.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Containers that are being stopped, restarted or signalled through the engine.
#[derive(Debug, Default)]
pub(super) struct Ending(Mutex<BTreeSet<String>>);

/// Until this is dropped, events of the end of its container are of our own doing.
#[must_use]
pub(super) struct Doing<'a> {
    ending: &'a Ending,
    container: &'a str,
}

impl Ending {
    pub(super) fn begins<'a>(&'a self, container: &'a str) -> Doing<'a> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(container.to_owned());
        Doing { ending: self, container }
    }

    pub(super) fn contains(&self, container: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(container)
    }
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        self.ending.0.lock().unwrap_or_else(PoisonError::into_inner).remove(self.container);
    }
}
