//! Time: what the logic counts in, and what people read.

use devd_logic::Moment;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Relates the logic's moments to the calendar. Tests pause and advance it with tokio's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts counting now.
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// The time since the start.
    pub fn now(&self) -> Moment {
        self.origin.elapsed()
    }

    /// The instant of a moment, to wait for.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.origin + moment
    }

    /// A moment of just now on the calendar, RFC 3339. It is counted back from today's time: no moment counts how long the
    /// machine has slept since the start.
    pub fn calendar(&self, moment: Moment) -> String {
        let ago = SignedDuration::try_from(self.now().saturating_sub(moment)).unwrap_or(SignedDuration::MAX);
        rfc3339(Timestamp::now().saturating_sub(ago).unwrap_or(Timestamp::MIN))
    }
}

/// Now, RFC 3339.
pub fn now_text() -> String {
    rfc3339(Timestamp::now())
}

/// RFC 3339 in UTC with milliseconds.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// Text from an engine in the daemon's own form; empty stays empty.
pub fn normalise(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Here it is the clock of the moments that runs ahead of the calendar; on a machine that sleeps it falls behind.
    #[tokio::test(start_paused = true)]
    async fn what_changes_after_the_machine_slept_was_not_told_as_of_hours_ago() {
        let clock = Clock::start();
        tokio::time::advance(std::time::Duration::from_secs(8 * 3600)).await;
        let told: Timestamp = clock.calendar(clock.now()).parse().unwrap();
        assert!(told.duration_since(Timestamp::now()).abs() < SignedDuration::from_hours(1), "{told}");
    }
}
