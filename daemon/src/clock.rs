//! Time: what the logic counts in, and what people read.

use devd_logic::Moment;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Relates the logic's moments to the calendar. Tests pause and advance it with tokio's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    wall: Timestamp,
}

impl Clock {
    /// Starts counting now.
    pub fn start() -> Self {
        Self { origin: Instant::now(), wall: Timestamp::now() }
    }

    /// The time since the start.
    pub fn now(&self) -> Moment {
        self.origin.elapsed()
    }

    /// The instant of a moment, to wait for.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.origin + moment
    }

    /// A moment on the calendar, RFC 3339.
    pub fn calendar(&self, moment: Moment) -> String {
        let offset = SignedDuration::try_from(moment).unwrap_or(SignedDuration::MAX);
        rfc3339(self.wall.saturating_add(offset).unwrap_or(Timestamp::MAX))
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
