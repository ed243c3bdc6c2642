//! Paths that something happened to, and when to look at them.
//!
//! Saving a file is more than one event, and in between it can be empty, half written or away. A file that was
//! closed is looked at once; anything else gets time for the rest to come. New names get a moment even then: editors
//! and tools write `x.tmp` and rename it to `x`, and nobody wants to hear of `x.tmp`.

use super::source::Touch;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long a file may be open for writing before it is looked at all the same. Linux says when it is closed;
/// elsewhere nothing better than a short wait is to be had.
const OPEN: Duration = Duration::from_millis(if cfg!(target_os = "linux") { 500 } else { 20 });

/// How long a known file may be away: it may be put back under its name. As long for what polling finds, which may be
/// half written.
const AWAY: Duration = Duration::from_millis(100);

/// How long a new file may keep its first name.
const FIRST_NAME: Duration = Duration::from_millis(30);

/// In a flood, how long after a look the next one comes at the earliest: the first files of a branch switch are
/// looked at now, the others in batches.
const PAUSE: Duration = Duration::from_millis(10);

/// So many paths, within so long, are a flood.
const FLOOD: (usize, Duration) = (4, Duration::from_millis(50));

/// Paths to look at.
#[derive(Debug, Default)]
pub(super) struct Pending {
    paths: BTreeMap<PathBuf, Wait>,
    not_before: Option<Instant>,
    /// Since when paths are counted, and how many there were.
    lately: Option<(Instant, usize)>,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    since: Instant,
    due: Instant,
    touch: Touch,
}

impl Pending {
    /// Notes that something happened to a path. `known`: it is in some index.
    pub(super) fn add(&mut self, path: PathBuf, touch: Touch, known: bool, now: Instant) {
        let wait = self.paths.entry(path).or_insert(Wait { since: now, due: now, touch });
        // Counted from the first event: a steady writer cannot put the look off.
        let due = match touch {
            Touch::Folder => now,
            Touch::Done if known => now,
            Touch::Done => now + FIRST_NAME,
            Touch::Open => wait.since + OPEN,
            Touch::Gone | Touch::Meta | Touch::Polled => wait.since + AWAY,
        };
        let first = wait.since == now && wait.due == now;
        wait.due = if first {
            due
        } else if wait.touch < Touch::Done && touch == Touch::Open {
            // It was away, and is being written anew.
            wait.due.max(due)
        } else {
            wait.due.min(due)
        };
        wait.touch = wait.touch.max(touch);
    }

    /// When to look next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let not_before = self.not_before.filter(|_| !self.paths.is_empty());
        self.paths.values().map(|wait| wait.due).min().max(not_before)
    }

    /// Whether a path, or a folder above it, still waits for a look.
    pub(super) fn covers(&self, path: &Path) -> bool {
        !self.paths.is_empty() && path.ancestors().any(|path| self.paths.contains_key(path))
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
        let due = self.paths.extract_if(.., |_, wait| wait.due <= now);
        due.map(|(path, wait)| (path, wait.touch)).collect()
    }

    /// All paths.
    pub(super) fn take_all(&mut self) -> Vec<(PathBuf, Touch)> {
        std::mem::take(&mut self.paths).into_iter().map(|(path, wait)| (path, wait.touch)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn path() -> PathBuf {
        "/a".into()
    }

    #[test]
    fn a_closed_file_is_looked_at_at_once() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.add(path(), Touch::Open, true, now);
        pending.add(path(), Touch::Open, true, now + ms(1));
        assert!(pending.take_due(now + ms(2)).is_empty());
        pending.add(path(), Touch::Done, true, now + ms(3));
        assert_eq!(pending.take_due(now + ms(3)), [(path(), Touch::Done)]);
        assert_eq!(pending.next_due(), None);
    }

    #[test]
    fn a_steady_writer_cannot_put_the_look_off() {
        let now = Instant::now();
        let mut pending = Pending::default();
        for at in 0..100 {
            pending.add(path(), Touch::Open, true, now + ms(at));
        }
        assert_eq!(pending.next_due(), Some(now + OPEN));
        assert_eq!(pending.take_due(now + OPEN).len(), 1);
    }

    #[test]
    fn a_file_that_is_written_anew_is_not_away() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.add(path(), Touch::Gone, true, now);
        assert_eq!(pending.next_due(), Some(now + AWAY));
        pending.add(path(), Touch::Open, true, now + ms(90));
        assert_eq!(pending.next_due(), Some(now + OPEN.max(AWAY)));
        pending.add(path(), Touch::Done, true, now + ms(95));
        assert_eq!(pending.next_due(), Some(now + ms(95)));
    }

    #[test]
    fn a_flood_comes_in_batches() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.looked(4, now);
        pending.add(path(), Touch::Done, true, now);
        assert_eq!(pending.take_due(now).len(), 1);
        pending.looked(1, now);
        assert_eq!(pending.next_due(), None);
        pending.add(path(), Touch::Done, true, now);
        pending.add("/b".into(), Touch::Done, true, now);
        assert!(pending.take_due(now).is_empty());
        assert_eq!(pending.next_due(), Some(now + PAUSE));
        assert_eq!(pending.take_due(now + PAUSE).len(), 2);
    }

    #[test]
    fn a_new_name_waits_and_closing_shortens_the_wait() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.add("/x/y.tmp".into(), Touch::Open, false, now);
        assert_eq!(pending.next_due(), Some(now + OPEN));
        pending.add("/x/y.tmp".into(), Touch::Done, false, now);
        assert_eq!(pending.next_due(), Some(now + FIRST_NAME.min(OPEN)));
        assert!(pending.take_due(now).is_empty());
        assert!(pending.covers(Path::new("/x/y.tmp")) && !pending.covers(Path::new("/x/z")));
        assert_eq!(pending.take_all(), [(PathBuf::from("/x/y.tmp"), Touch::Done)]);
    }
}
