//! How much of what is known of the engine can be trusted.

use crate::backoff::pause;
use crate::{Moment, Observed};

/// `Stale → Looking → Fresh`, and `Looking` again with a reason to look once more.
///
/// Only a fresh view is acted on. A look that began before our last act may show the world before it, so its answer is
/// dropped: without this an operation would be done twice.
#[derive(Debug, Default)]
pub(crate) struct View {
    freshness: Freshness,
    /// The newest answer, trusted or not: good enough to show to people.
    last: Option<Observed>,
    /// The engine did not answer since its last answer, to whatever was asked of it.
    silent: bool,
    /// Looks in a row that got no answer, and when to look again although no event said so: what failed may have been
    /// this one look.
    attempts: u32,
    retry: Option<Moment>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Freshness {
    #[default]
    Stale,
    Looking,
    LookingButStale,
    /// The engine did not answer. An event says when it is worth looking again, or time does.
    Unreachable,
    Fresh,
}

impl View {
    /// Something happened on the engine.
    pub(crate) fn spoil(&mut self) {
        self.freshness = match self.freshness {
            Freshness::Looking | Freshness::LookingButStale => Freshness::LookingButStale,
            Freshness::Stale | Freshness::Unreachable | Freshness::Fresh => Freshness::Stale,
        };
    }

    /// The engine did not answer to something else than a look.
    pub(crate) fn unanswered(&mut self) {
        self.silent = true;
        self.spoil();
    }

    /// A look begins.
    pub(crate) fn looking(&mut self) {
        self.retry = None;
        self.freshness = Freshness::Looking;
    }

    /// A look was answered. Returns whether the answer can be trusted.
    pub(crate) fn looked(&mut self, observed: Observed) -> bool {
        let trusted = self.freshness == Freshness::Looking;
        self.freshness = if trusted { Freshness::Fresh } else { Freshness::Stale };
        self.last = Some(observed);
        self.silent = false;
        self.attempts = 0;
        trusted
    }

    /// A look was not answered.
    pub(crate) fn failed(&mut self, now: Moment) {
        self.silent = true;
        self.attempts += 1;
        self.retry = Some(now + pause(self.attempts));
        self.freshness = if self.freshness == Freshness::LookingButStale {
            Freshness::Stale
        } else {
            Freshness::Unreachable
        };
    }

    pub(crate) fn wants_look(&self, now: Moment) -> bool {
        match self.freshness {
            Freshness::Stale => true,
            Freshness::Unreachable => self.retry.is_some_and(|retry| retry <= now),
            Freshness::Looking | Freshness::LookingButStale | Freshness::Fresh => false,
        }
    }

    /// When time alone asks for a look.
    pub(crate) fn retry(&self) -> Option<Moment> {
        self.retry.filter(|_| self.freshness == Freshness::Unreachable)
    }

    pub(crate) fn is_unreachable(&self) -> bool {
        self.silent
    }

    /// What is so, for certain enough to act on.
    pub(crate) fn fresh(&self) -> Option<&Observed> {
        self.last.as_ref().filter(|_| self.freshness == Freshness::Fresh)
    }

    /// What was so when last looked, to show.
    pub(crate) fn last(&self) -> Option<&Observed> {
        self.last.as_ref()
    }
}
