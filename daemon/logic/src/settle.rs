//! Debounce: when a burst of changes is over.
//!
//! The quiet time is short for a save and longer for a burst, so that one file is acted on at once and a branch switch is
//! one change. The cap counts from the first event, so that a continuous writer cannot put it off for ever.

use crate::{Change, Moment};
use std::time::Duration;

/// Changes that have not been acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Burst {
    pub(crate) first: Moment,
    last: Moment,
    files: usize,
    pushed: bool,
    more: bool,
    pub(crate) path: String,
}

impl Burst {
    pub(crate) fn new(now: Moment, path: &str, files: usize, pushed: bool) -> Self {
        Self { first: now, last: now, files, pushed, more: false, path: path.to_owned() }
    }

    /// The first or the next changes of it.
    pub(crate) fn note(burst: &mut Option<Self>, now: Moment, change: &Change) {
        let Change { path, files, pushed, more, .. } = change;
        match burst {
            Some(burst) => burst.add(now, path, *files, *pushed),
            None => *burst = Some(Self::new(now, path, *files, *pushed)),
        }
        if let Some(burst) = burst {
            burst.more |= more;
        }
    }

    /// More changes came.
    pub(crate) fn add(&mut self, now: Moment, path: &str, files: usize, pushed: bool) {
        self.last = now;
        self.files += files;
        // An editor that pushes one file says nothing of a branch switch that is under way.
        self.pushed |= pushed;
        self.path = path.to_owned();
    }

    /// An editor says that the save is complete.
    pub(crate) fn complete(&mut self) {
        self.pushed = true;
    }

    /// When the last change came.
    pub(crate) fn last(&self) -> Moment {
        self.last
    }

    /// From when on it can be acted on.
    pub(crate) fn settles(&self) -> Moment {
        if self.pushed && self.files <= FEW && !self.more {
            return self.first;
        }
        let (quiet, cap) = if self.more {
            (QUIET_MANY, CAP_MORE)
        } else if self.files <= FEW {
            (QUIET_FEW, CAP_FEW)
        } else if self.files <= MANY {
            (QUIET_SOME, CAP_MANY)
        } else {
            (QUIET_MANY, CAP_MANY)
        };
        (self.last + quiet).min(self.first + cap)
    }
}

const FEW: usize = 4;
const MANY: usize = 64;
/// An editor writes, renames and touches within a few milliseconds.
const QUIET_FEW: Duration = Duration::from_millis(10);
const CAP_FEW: Duration = Duration::from_millis(200);
/// A formatter or a coding agent over several files.
const QUIET_SOME: Duration = Duration::from_millis(60);
/// git writes thousands of files with pauses while it reads its packs.
const QUIET_MANY: Duration = Duration::from_millis(250);
const CAP_MANY: Duration = Duration::from_secs(5);
/// A slow disk and a large repository.
const CAP_MORE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Moment {
        Duration::from_millis(n)
    }

    #[test]
    fn one_save_settles_after_a_short_quiet_time() {
        assert_eq!(Burst::new(ms(100), "a", 1, false).settles(), ms(110));
    }

    #[test]
    fn a_pushed_save_settles_at_once() {
        assert_eq!(Burst::new(ms(100), "a", 1, true).settles(), ms(100));
    }

    #[test]
    fn a_push_amid_a_branch_switch_still_waits_for_the_rest() {
        let mut burst = Burst::new(ms(100), "a", 2000, false);
        burst.add(ms(120), "b", 1, true);
        assert_eq!(burst.settles(), ms(370));
    }

    #[test]
    fn a_continuous_writer_is_capped() {
        let mut burst = Burst::new(ms(0), "log", 1, false);
        for n in 1..4 {
            burst.add(ms(n * 9), "log", 1, false);
        }
        assert_eq!(burst.settles(), ms(37));
        for n in 4..10_000 {
            burst.add(ms(n * 9), "log", 1, false);
        }
        assert_eq!(burst.settles(), ms(5000));
    }
}
