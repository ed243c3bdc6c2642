//! Which containers this daemon is ending itself: the engine tells of that as it tells of what others do, and by another
//! connection than it answers on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long after the engine's answer it may still tell of what it did.
const LATE: Duration = Duration::from_secs(1);

/// Containers that are being stopped, restarted or signalled through the engine.
#[derive(Debug, Default)]
pub(super) struct Ending(Mutex<BTreeMap<String, Mark>>);

#[derive(Debug)]
struct Mark {
    /// The last event that it leads to.
    last: &'static str,
    /// Once the engine has answered.
    until: Option<Instant>,
}

/// What this daemon does to a container; dropped when the engine has answered.
#[must_use]
pub(super) struct Doing<'a> {
    ending: &'a Ending,
    container: &'a str,
}

impl Ending {
    /// Something begins of which the engine tells by events up to `last`.
    pub(super) fn begins<'a>(&'a self, container: &'a str, last: &'static str) -> Doing<'a> {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What did not run is not ended, and nobody tells of that.
        marks.retain(|_, mark| !mark.is_over());
        marks.insert(container.to_owned(), Mark { last, until: None });
        Doing { ending: self, container }
    }

    /// Whether an event is of this daemon's own doing.
    pub(super) fn leads_to(&self, container: &str, event: &str) -> bool {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mark) = marks.get(container).filter(|mark| !mark.is_over()) else { return false };
        if mark.last == event {
            marks.remove(container);
        }
        true
    }
}

impl Mark {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until < Instant::now())
    }
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        let mut marks = self.ending.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mark) = marks.get_mut(self.container) {
            mark.until = Some(Instant::now() + LATE);
        }
    }
}
