//! The way to the watcher's thread. It has no end in itself, so events are counted in and out: beyond [`MOST`] they are
//! dropped, and everything is looked at instead, as when the system's own queue was full.

use super::keeper::Input;
use super::source::Touch;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Events that wait. A branch switch of as many files is still followed one by one.
pub(super) const MOST: usize = 32 * 1024;

/// Where events and wishes are put.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    // Wishes wait for their answers, so that there are no more of them than clients; the reader and the poller send one
    // answer for each question.
    sender: Sender<Input>,
    pub(super) counts: Arc<Counts>,
}

/// What is counted about watching.
#[derive(Debug, Default)]
pub(super) struct Counts {
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// [`Input::Lost`] is on its way for what is dropped now.
    lost: AtomicBool,
    folders: AtomicUsize,
}

/// How much there is to watch and to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Folders that are watched.
    pub folders: usize,
    /// File events that wait.
    pub waiting: usize,
    /// File events that were dropped because too many waited.
    pub dropped: u64,
}

pub(super) fn inbox() -> (Inbox, Receiver<Input>) {
    let (sender, receiver) = channel();
    (Inbox { sender, counts: Arc::default() }, receiver)
}

impl Inbox {
    /// Sends what is no event. Nobody listens any more when the watcher has ended, which is fine; so below.
    pub(super) fn send(&self, input: Input) -> bool {
        self.sender.send(input).is_ok()
    }

    /// One event, if there is room for it.
    pub(super) fn touched(&self, path: PathBuf, touch: Touch) {
        if self.counts.waiting.load(Ordering::Relaxed) >= MOST {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            if !self.counts.lost.swap(true, Ordering::AcqRel) {
                self.send(Input::Lost);
            }
            return;
        }
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        self.send(Input::Touched(path, touch));
    }
}

impl Counts {
    /// An event was taken out.
    pub(super) fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Everything is looked at from now on: what is dropped after this needs another look.
    pub(super) fn looking(&self) {
        self.lost.store(false, Ordering::Release);
    }

    /// So many folders are watched.
    pub(super) fn folders(&self, count: usize) {
        self.folders.store(count, Ordering::Relaxed);
    }

    pub(super) fn numbers(&self) -> Numbers {
        Numbers {
            folders: self.folders.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_events_waited_without_a_bound_while_the_watcher_was_busy() {
        let (inbox, inputs) = inbox();
        let fill = |count| (0..count).for_each(|_| inbox.touched(PathBuf::from("/a"), Touch::Done));
        fill(MOST + 10);
        assert_eq!(inbox.counts.numbers(), Numbers { folders: 0, waiting: MOST, dropped: 10 });
        let mut kinds = [0, 0];
        let mut drain = || {
            for input in inputs.try_iter() {
                match input {
                    Input::Touched(..) => {
                        inbox.counts.taken();
                        kinds[0] += 1;
                    }
                    Input::Lost => {
                        inbox.counts.looking();
                        kinds[1] += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            kinds
        };
        assert_eq!(drain(), [MOST, 1], "dropped events are made up for by one look at everything");
        fill(MOST + 1);
        assert_eq!(drain(), [2 * MOST, 2], "what is dropped after that look needs another");
        assert_eq!(inbox.counts.numbers(), Numbers { folders: 0, waiting: 0, dropped: 11 });
    }
}
