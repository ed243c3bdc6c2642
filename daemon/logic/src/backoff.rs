//! How long to wait before something that failed is tried again.

use crate::Moment;
use std::time::Duration;

/// An operation that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) attempts: u32,
    /// `None`: not before something changes.
    pub(crate) until: Option<Moment>,
}

impl Failure {
    /// Not to be tried again before something changes: the same build fails the same way.
    pub(crate) fn for_good(reason: String) -> Self {
        Self { reason, attempts: 1, until: None }
    }

    /// To be tried again after a pause that grows with each failure.
    pub(crate) fn for_now(now: Moment, reason: String, earlier: Option<&Self>) -> Self {
        let attempts = earlier.map_or(0, |failure| failure.attempts) + 1;
        Self { reason, attempts, until: Some(now + pause(attempts)) }
    }

    pub(crate) fn holds(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A service that keeps dying is started this often before it waits for a change.
pub(crate) const DEATHS: u32 = 10;

/// A process that lived so long was well: the count starts anew.
pub(crate) const WELL: Duration = Duration::from_secs(10);

/// A process that ends at once is often seen running before: so long nobody is told that it is up.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(250);

/// The same of one that did so before.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// 0.1 s, 0.5 s, 1 s, 2 s, … at most 30 s.
pub(crate) fn pause(attempts: u32) -> Duration {
    match attempts {
        0 | 1 => Duration::from_millis(100),
        2 => Duration::from_millis(500),
        n => Duration::from_secs(1 << (n - 3).min(5)).min(Duration::from_secs(30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_half_a_minute() {
        let pauses: Vec<u128> = (1..=10).map(|n| pause(n).as_millis()).collect();
        assert_eq!(pauses, [100, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(pause(u32::MAX), Duration::from_secs(30));
    }
}
