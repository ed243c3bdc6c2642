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
    /// The id before the first one of this daemon.
    start: u64,
    next: u64,
    /// The highest id that was dropped because there was no more room. A status that a newer one replaced is not missed.
    dropped: u64,
    events: VecDeque<Arc<Event>>,
}

/// What a new reader gets first, and then what comes.
#[derive(Debug)]
pub struct Subscription {
    /// Events after the id it has seen, oldest first.
    pub missed: Vec<Arc<Event>>,
    /// How many of those are not kept at most, if any are not. 0 for a reader of an earlier daemon: what that one still said
    /// is not known.
    pub lost: Option<u64>,
    /// The id after which `missed` and `live` come.
    pub after: u64,
    /// Every event from now on.
    pub live: broadcast::Receiver<Arc<Event>>,
}

impl Default for Hub {
    /// Ids go on from the time, at a thousand a millisecond: a later daemon's are higher than those of an earlier one, and
    /// for two centuries they fit into the numbers of JavaScript.
    fn default() -> Self {
        Self::starting_after(jiff::Timestamp::now().as_millisecond().unsigned_abs() * 1000)
    }
}

impl Hub {
    fn starting_after(start: u64) -> Self {
        let kept = Kept { start, next: start + 1, dropped: start, events: VecDeque::with_capacity(KEPT) };
        Self { kept: Arc::new(Mutex::new(kept)), live: broadcast::Sender::new(KEPT) }
    }

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
        if kept.events.len() == KEPT
            && let Some(dropped) = kept.events.pop_front()
        {
            kept.dropped = dropped.id;
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
        let Some(seen) = seen else {
            return Subscription { missed: Vec::new(), lost: None, after: last, live };
        };
        // An id from the future is an earlier daemon's as well: the clock was set back.
        let ours = (kept.start..=last).contains(&seen);
        let after = if ours { seen.max(kept.dropped) } else { kept.dropped };
        let missed = kept.events.iter().filter(|event| event.id > after).cloned().collect();
        let lost = if ours { after - seen } else { kept.dropped - kept.start };
        Subscription { missed, lost: (!ours || lost > 0).then_some(lost), after, live }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_proto::{ProjectState, ProjectStatus};

    /// A hub with ids from 1001, and a number of events.
    fn hub(events: usize) -> Hub {
        let hub = Hub::starting_after(1000);
        for _ in 0..events {
            tell(&hub);
        }
        hub
    }

    fn tell(hub: &Hub) {
        hub.tell(&ProjectName::from("shop"), What::Removed);
    }

    fn tell_status(hub: &Hub) {
        let name = ProjectName::from("shop");
        let status = ProjectStatus {
            name: name.clone(),
            root: "/shop".to_owned(),
            state: ProjectState::Running,
            error: None,
            revision: 1,
            settled: true,
            services: Vec::new(),
        };
        hub.tell(&name, What::Status { status: Box::new(status) });
    }

    fn resumed(hub: &Hub, seen: u64) -> (Vec<u64>, Option<u64>, u64) {
        let subscription = hub.subscribe(Some(seen));
        let missed = subscription.missed.iter().map(|event| event.id).collect();
        (missed, subscription.lost, subscription.after)
    }

    #[test]
    fn a_reader_resumes_where_it_was() {
        assert_eq!(resumed(&hub(5), 1003), (vec![1004, 1005], None, 1003));
        assert_eq!(resumed(&hub(5), 1005), (vec![], None, 1005));
        assert_eq!(hub(5).subscribe(None).after, 1005);
    }

    #[test]
    fn a_reader_that_was_away_too_long_is_told_how_much_it_lost() {
        let hub = hub(KEPT + 10);
        let (missed, lost, after) = resumed(&hub, 1000);
        assert_eq!((missed.len(), missed[0], lost, after), (KEPT, 1011, Some(10), 1010));
        assert_eq!(resumed(&hub, 1009).1, Some(1));
        assert_eq!(resumed(&hub, 1010).1, None);
    }

    #[test]
    fn a_status_that_a_newer_one_replaced_is_not_lost() {
        let hub = hub(0);
        for _ in 0..KEPT {
            tell_status(&hub);
        }
        tell(&hub);
        let id = 1000 + KEPT as u64;
        assert_eq!(resumed(&hub, 1000), (vec![id, id + 1], None, 1000));
    }

    #[test]
    fn a_reader_of_an_earlier_daemon_gets_everything_and_is_told_that_it_may_have_lost_some() {
        for seen in [0, 999, 999_999] {
            assert_eq!(resumed(&hub(2), seen), (vec![1001, 1002], Some(0), 1000));
            assert_eq!(resumed(&hub(KEPT + 10), seen).1, Some(10));
        }
    }

    #[test]
    fn ids_go_on_over_a_restart_and_fit_into_the_numbers_of_javascript() {
        let (first, second) = (Hub::default(), Hub::default());
        for hub in [&first, &second] {
            let after = hub.subscribe(None).after;
            assert!((1_700_000_000_000_000..1 << 53).contains(&after), "{after}");
        }
        assert!(first.subscribe(None).after <= second.subscribe(None).after);
    }
}
