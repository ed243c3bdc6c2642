//! The daemon's event stream, with the moment at which each event came.

use anyhow::Context as _;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Nothing here takes so long; what does has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// All events since it was opened.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    shared: Arc<(Mutex<Seen>, Condvar)>,
}

#[derive(Debug, Default)]
struct Seen {
    events: Vec<(Instant, Value)>,
    /// The stream has ended.
    ended: bool,
}

impl Events {
    /// Begins to listen.
    pub(crate) fn open(socket: &Path) -> anyhow::Result<Self> {
        let mut stream = UnixStream::connect(socket).context("the daemon's socket")?;
        // By the older version of HTTP, the answer has no framing but lines.
        stream.write_all(b"GET /v1/events HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")?;
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        lines.read_line(&mut head)?;
        anyhow::ensure!(head.contains(" 200 "), "no events: {head}");
        let shared: Arc<(Mutex<Seen>, Condvar)> = Arc::default();
        let this = Self { shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            let (seen, news) = &*shared;
            for line in lines.lines().map_while(Result::ok) {
                // Before it is read: that is the bench's own time.
                let at = Instant::now();
                let Some(data) = line.strip_prefix("data:") else { continue };
                let Ok(event) = serde_json::from_str(data.trim_start()) else { continue };
                seen.lock().unwrap_or_else(PoisonError::into_inner).events.push((at, event));
                news.notify_all();
            }
            seen.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
            news.notify_all();
        });
        Ok(this)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there were so far: from there on [`Events::until`] looks.
    pub(crate) fn now(&self) -> usize {
        self.seen().events.len()
    }

    /// All events from there on.
    pub(crate) fn since(&self, from: usize) -> Vec<(Instant, Value)> {
        self.seen().events[from..].to_vec()
    }

    /// Waits for an event; looks at those from `from` on.
    pub(crate) fn until(
        &self,
        what: &str,
        mut from: usize,
        is: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<(Instant, Value)> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.seen();
        loop {
            if let Some(found) = seen.events[from..].iter().find(|(_, event)| is(event)) {
                return Ok(found.clone());
            }
            from = seen.events.len();
            anyhow::ensure!(!seen.ended, "the daemon's events ended before: {what}");
            let left = deadline.saturating_duration_since(Instant::now());
            anyhow::ensure!(!left.is_zero(), "never came: {what}");
            (seen, _) = self.shared.1.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the newest status of a project is so.
    pub(crate) fn until_status(
        &self,
        what: &str,
        project: &str,
        is: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<(Instant, Value)> {
        let of_project = |event: &Value| event["kind"] == "status" && event["project"] == project;
        let from = {
            let seen = self.seen();
            seen.events.iter().rposition(|(_, event)| of_project(event)).unwrap_or(0)
        };
        self.until(what, from, |event| of_project(event) && is(&event["status"]))
    }
}

/// One service of a project's status.
pub(crate) fn service<'a>(status: &'a Value, name: &str) -> &'a Value {
    let services = status["services"].as_array();
    services.and_then(|it| it.iter().find(|it| it["name"] == name)).unwrap_or(&Value::Null)
}
