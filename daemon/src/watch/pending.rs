//! Paths that something happened to, and when to look at them.
//!
//! Saving a file is more than one event, and in between it can be empty, half written or away. A file that was
//! closed is looked at once; anything else gets a moment for the rest to come. New names get a moment even then:
//! editors and tools write `x.tmp` and rename it to `x`, and nobody wants to hear of `x.tmp`.

use super::source::Touch;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long a known file may be half written or away.
const HALF_DONE: Duration = Duration::from_millis(20);

/// How long a new file may keep its first name.
const FIRST_NAME: Duration = Duration::from_millis(25);

/// How long a new file may stay open for writing.
const NEW_AND_OPEN: Duration = Duration::from_millis(250);

/// In a flood, how long after a look the next one comes at the earliest: the first files of a branch switch are
/// looked at now, the others in batches.
const PAUSE: Duration = Duration::from_millis(10);

/// So many paths, within so long, are a flood.
const FLOOD: (usize, Duration) = (16, Duration::from_millis(50));

/// Paths to look at.
#[derive(Debug, Default)]
pub(super) struct Pending {
    paths: BTreeMap<PathBuf, (Instant, Touch)>,
    not_before: Option<Instant>,
    /// Since when paths are counted, and how many there were.
    lately: Option<(Instant, usize)>,
}

impl Pending {
    /// Notes that something happened to a path. `known`: it is in some index.
    pub(super) fn add(&mut self, path: PathBuf, touch: Touch, known: bool, now: Instant) {
        let wait = match (touch, known) {
            (Touch::Folder, _) | (Touch::Done, true) => Duration::ZERO,
            (Touch::Meta | Touch::Gone | Touch::Open, true) => HALF_DONE,
            (Touch::Done | Touch::Gone, false) => FIRST_NAME,
            (Touch::Open | Touch::Meta, false) => NEW_AND_OPEN,
        };
        let new = (now + wait, touch);
        let entry = self.paths.entry(path).or_insert(new);
        // A steady writer cannot put the look off.
        *entry = (entry.0.min(new.0), entry.1.max(touch));
    }

    /// When to look next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.paths.values().map(|(due, _)| *due).min().max(self.not_before.filter(|_| !self.paths.is_empty()))
    }

    /// So many paths were looked at just now.
    pub(super) fn looked(&mut self, count: usize, now: Instant) {
        let lately = self.lately.filter(|(since, _)| now < *since + FLOOD.1);
        let (since, before) = lately.unwrap_or((now, 0));
        self.lately = Some((since, before + count));
        if before + count > FLOOD.0 {
            self.not_before = Some(now + PAUSE);
        }
    }

    /// The paths whose time has come, outer folders first.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(PathBuf, Touch)> {
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return Vec::new();
        }
        let due = self.paths.extract_if(.., |_, (due, _)| *due <= now);
        due.map(|(path, (_, touch))| (path, touch)).collect()
    }

    /// All paths.
    pub(super) fn take_all(&mut self) -> Vec<(PathBuf, Touch)> {
        std::mem::take(&mut self.paths).into_iter().map(|(path, (_, touch))| (path, touch)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_file_is_looked_at_once_and_a_steady_writer_soon() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.add("/a".into(), Touch::Done, true, now);
        assert_eq!(pending.take_due(now), [(PathBuf::from("/a"), Touch::Done)]);
        for ms in 0..20 {
            pending.add("/a".into(), Touch::Open, true, now + Duration::from_millis(ms));
        }
        assert_eq!(pending.next_due(), Some(now + HALF_DONE));
        assert_eq!(pending.take_due(now + HALF_DONE).len(), 1);
        assert_eq!(pending.next_due(), None);
    }

    #[test]
    fn a_flood_comes_in_batches() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.looked(10, now);
        pending.add("/a".into(), Touch::Done, true, now);
        assert_eq!(pending.take_due(now).len(), 1);
        pending.looked(10, now);
        assert_eq!(pending.next_due(), None);
        pending.add("/a".into(), Touch::Done, true, now);
        pending.add("/b".into(), Touch::Done, true, now);
        assert!(pending.take_due(now).is_empty());
        assert_eq!(pending.next_due(), Some(now + PAUSE));
        assert_eq!(pending.take_due(now + PAUSE).len(), 2);
    }

    #[test]
    fn a_new_name_waits_and_closing_shortens_the_wait() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.add("/x.tmp".into(), Touch::Open, false, now);
        assert_eq!(pending.next_due(), Some(now + NEW_AND_OPEN));
        pending.add("/x.tmp".into(), Touch::Done, false, now);
        assert_eq!(pending.next_due(), Some(now + FIRST_NAME));
        assert!(pending.take_due(now).is_empty());
        assert_eq!(pending.take_all(), [(PathBuf::from("/x.tmp"), Touch::Done)]);
    }
}
