//! What containers in memory write.

use super::Fake;
use super::world::FakeContainer;
use crate::clock;
use crate::engine::spec::LogQuery;
use crate::engine::{EngineError, LogLine};
use devd_logic::ContainerState;
use devd_proto::Stream;
use tokio::sync::watch;

impl FakeContainer {
    pub(super) fn say(&mut self, line: String) {
        let line = LogLine { stream: Stream::Stdout, time: clock::now_text(), line };
        self.log.push((self.starts, line));
    }

    /// The first line of its log that a query is about.
    fn first(&self, query: &LogQuery) -> usize {
        let since = query.since.map(clock::rfc3339);
        let older = |(_, line): &(u64, LogLine)| since.as_ref().is_some_and(|since| line.time < *since);
        let since = self.log.iter().position(|line| !older(line)).unwrap_or(self.log.len());
        let tail = query.tail.and_then(|lines| usize::try_from(lines).ok()).unwrap_or(usize::MAX);
        since.max(self.log.len().saturating_sub(tail))
    }
}

/// Reads what a container wrote. It ends with the process, whatever comes later.
pub(super) struct LogReader {
    pub(super) fake: Fake,
    pub(super) written: watch::Receiver<()>,
    pub(super) container: String,
    pub(super) query: LogQuery,
    /// The next line, and the start it follows.
    pub(super) place: Option<(usize, u64)>,
}

impl LogReader {
    pub(super) async fn next(&mut self) -> Result<Option<LogLine>, EngineError> {
        loop {
            self.written.borrow_and_update();
            {
                let world = self.fake.reachable()?;
                let Some(container) = world.containers.get(&self.container) else {
                    let missing = EngineError::NotFound(format!("no such container: {}", self.container));
                    return if self.place.is_some() { Ok(None) } else { Err(missing) };
                };
                let first = || (container.first(&self.query), container.starts);
                let (next, start) = self.place.get_or_insert_with(first);
                if let Some((_, line)) = container.log.get(*next).filter(|(of, _)| of <= start) {
                    *next += 1;
                    return Ok(Some(line.clone()));
                }
                let ended = container.starts > *start || container.state != ContainerState::Running;
                if ended || !self.query.follow {
                    return Ok(None);
                }
            }
            if self.written.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}
