//! Events for whoever listens, numbered and kept for a while, so that a reader can resume.

use crate::clock;
use devd_proto::{Event, ProjectName, What};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Events kept for readers that resume, and that a slow reader may be behind.
const KEPT: usize = 1024;

/// The events of all projects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    // Held for a push or a copy, never over I/O or an await.
    kept: Arc<Mutex<Kept>>,
    live: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug)]
struct Kept {
    next: u64,
    events: VecDeque<Arc<Event>>,
}

/// What a new reader gets first, and then what comes.
#[derive(Debug)]
pub struct Subscription {
    /// Events after the id it has seen, oldest first.
    pub missed: Vec<Arc<Event>>,
    /// How many of those were dropped before it came back.
    pub lost: u64,
    /// The id of the newest event before `live`.
    pub last: u64,
    /// Every event from now on.
    pub live: broadcast::Receiver<Arc<Event>>,
}

impl Default for Hub {
    fn default() -> Self {
        let kept = Kept { next: 1, events: VecDeque::with_capacity(KEPT) };
        Self { kept: Arc::new(Mutex::new(kept)), live: broadcast::Sender::new(KEPT) }
    }
}

impl Hub {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A push can't leave it half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everyone.
    pub fn tell(&self, project: &ProjectName, what: What) {
        let mut kept = self.kept();
        let event = Arc::new(Event { id: kept.next, at: clock::now_text(), project: project.clone(), what });
        kept.next += 1;
        // A status is only worth keeping until the next one of its project.
        if matches!(event.what, What::Status { .. }) {
            kept.events
                .retain(|old| old.project != event.project || !matches!(old.what, What::Status { .. }));
        }
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::clone(&event));
        // Nobody listening is fine. Sent under the lock, so that events arrive in the order of their ids.
        let _ = self.live.send(event);
    }

    /// Listens; `seen` is the id of the last event the reader got in an earlier connection.
    pub fn subscribe(&self, seen: Option<u64>) -> Subscription {
        let kept = self.kept();
        let last = kept.next - 1;
        let live = self.live.subscribe();
        let Some(seen) = seen else { return Subscription { missed: Vec::new(), lost: 0, last, live } };
        // An id from the future is one of an earlier daemon: everything it has is new to the reader.
        let seen = if seen > last { 0 } else { seen };
        let missed: Vec<_> = kept.events.iter().filter(|event| event.id > seen).cloned().collect();
        let first = kept.events.front().map_or(kept.next, |event| event.id);
        Subscription { missed, lost: first.saturating_sub(seen + 1), last, live }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_resumes_where_it_was() {
        let hub = Hub::default();
        let project = ProjectName::from("shop");
        for _ in 0..5 {
            hub.tell(&project, What::Removed);
        }
        let subscription = hub.subscribe(Some(3));
        assert_eq!(subscription.missed.iter().map(|event| event.id).collect::<Vec<_>>(), [4, 5]);
        assert_eq!((subscription.lost, subscription.last), (0, 5));
    }

    #[test]
    fn a_reader_that_was_away_too_long_is_told_how_much_it_lost() {
        let hub = Hub::default();
        let project = ProjectName::from("shop");
        for _ in 0..KEPT + 10 {
            hub.tell(&project, What::Removed);
        }
        assert_eq!(hub.subscribe(Some(0)).lost, 10);
        assert_eq!(hub.subscribe(Some(999_999)).lost, 10);
    }
}
