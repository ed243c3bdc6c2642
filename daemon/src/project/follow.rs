//! What a service writes, over every restart, crash and recreation: one log out of those of all its containers.
//!
//! An engine ends the log of a container with its process. A follower then waits for another start of the service, and
//! reads on from the last line that it passed on. Every round needs a new start or a new connection to the engine, so that
//! no service makes it spin.

use super::Handle;
use super::publish::{Start, Starts};
use crate::engine::spec::LogQuery;
use crate::engine::{Engine, EngineError, LogLine};
use devd_proto::ServiceName;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A log that breaks off sooner than this after it was opened is not opened again before there is news.
const SHORT: Duration = Duration::from_secs(1);

/// Follows what a service writes until its project is gone.
pub fn follow<E: Engine>(
    handle: &Handle,
    engine: E,
    service: ServiceName,
    query: LogQuery,
) -> impl Stream<Item = Result<LogLine, EngineError>> + Send + use<E> {
    let follower = Follower {
        engine,
        service,
        starts: handle.starts(),
        query: LogQuery { follow: true, ..query },
        place: Place::default(),
        begun: false,
        opened: None,
        lines: None,
    };
    stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await? {
            Ok(line) => Some((Ok(line), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

struct Follower<E> {
    engine: E,
    service: ServiceName,
    starts: watch::Receiver<Starts>,
    /// What was asked for. The number of lines counts from the end of what there was then, and is gone once those are read.
    query: LogQuery,
    place: Place,
    /// A log was read, or there was none.
    begun: bool,
    /// The start whose log was opened last, and when.
    opened: Option<(Start, Instant)>,
    lines: Option<BoxStream<'static, Result<LogLine, EngineError>>>,
}

impl<E: Engine> Follower<E> {
    /// The next line; `None` when the project is gone. After an error there is nothing more.
    async fn next(&mut self) -> Option<Result<LogLine, EngineError>> {
        loop {
            let mut lines = match self.lines.take() {
                Some(lines) => lines,
                None => self.open().await?,
            };
            match lines.next().await {
                Some(Ok(line)) => {
                    self.lines = Some(lines);
                    self.begin();
                    if let Some(line) = self.place.pass(line) {
                        return Some(Ok(line));
                    }
                }
                // It will do so again. Later on it may be about a container that is being removed.
                Some(Err(error @ EngineError::Refused(_))) if !self.begun => return Some(Err(error)),
                Some(Err(error)) => {
                    tracing::debug!(service = %self.service, %error, "a log broke off");
                    self.opened.take_if(|(_, opened)| opened.elapsed() > SHORT);
                }
                None => self.begin(),
            }
        }
    }

    /// What there was at first has been read, or is being read: all that follows is new.
    fn begin(&mut self) {
        self.begun = true;
        self.query.tail = None;
    }

    /// Opens the log of the next start, once there is one; `None` when the project is gone.
    async fn open(&mut self) -> Option<BoxStream<'static, Result<LogLine, EngineError>>> {
        if !self.begun {
            let known = self.starts.wait_for(Starts::is_known).await.ok()?;
            let none = known.of(&self.service).is_none();
            drop(known);
            if none {
                self.begin();
            }
        }
        let (service, opened) = (&self.service, self.opened.as_ref().map(|(start, _)| start));
        let news = |starts: &Starts| starts.of(service).is_some_and(|start| opened != Some(&start));
        let start = self.starts.wait_for(news).await.ok()?.of(service)?;
        if self.place.container != start.container {
            if !self.place.container.is_empty() {
                self.begin();
            }
            self.place = Place::of(start.container.clone());
        }
        self.opened = Some((start, Instant::now()));
        if self.query.tail == Some(0)
            && let Err(error) = self.skip().await
        {
            return Some(stream::iter([Err(error)]).boxed());
        }
        let query = LogQuery { since: self.query.since.max(self.place.since()), ..self.query.clone() };
        self.place.reread();
        Some(self.engine.logs(&self.place.container, query))
    }

    /// Takes what there is for passed on: nothing else says from where on lines are new, and the engine's clock is its own.
    async fn skip(&mut self) -> Result<(), EngineError> {
        self.pass_over(LogQuery { follow: false, tail: Some(1), since: None }).await?;
        if let Some(since) = self.place.since() {
            // Others may have its time.
            self.place.reread();
            self.pass_over(LogQuery { follow: false, tail: None, since: Some(since) }).await?;
        }
        self.begin();
        Ok(())
    }

    async fn pass_over(&mut self, query: LogQuery) -> Result<(), EngineError> {
        let mut lines = self.engine.logs(&self.place.container, query);
        while let Some(line) = lines.next().await {
            // Nobody is to see it.
            let _ = self.place.pass(line?);
        }
        Ok(())
    }
}

/// How far the log of a container was passed on.
#[derive(Debug, Default)]
struct Place {
    container: String,
    /// The last line, and those before it that are not older: two streams may come in another order than their times.
    passed: Vec<(Timestamp, LogLine)>,
    /// Those of them that have not come again yet.
    again: Vec<(Timestamp, LogLine)>,
}

impl Place {
    fn of(container: String) -> Self {
        Self { container, ..Self::default() }
    }

    /// From when on there may be more.
    fn since(&self) -> Option<Timestamp> {
        self.passed.last().map(|(time, _)| *time)
    }

    /// The log is read once more from there on.
    fn reread(&mut self) {
        self.again.clone_from(&self.passed);
    }

    /// What of a line is new.
    fn pass(&mut self, line: LogLine) -> Option<LogLine> {
        // Without a time it can't be told whether it was there before; better twice than never.
        let Ok(time) = line.time.parse::<Timestamp>() else { return Some(line) };
        let line = (time, line);
        if let Some(index) = self.again.iter().position(|passed| *passed == line) {
            self.again.swap_remove(index);
            return None;
        }
        self.passed.retain(|(passed, _)| *passed >= time);
        self.passed.push(line.clone());
        let (_, mut line) = line;
        // A process that ends amid a line leaves it to the next one to end it.
        let begun = self.again.iter().filter(|(at, passed)| {
            *at == time && passed.stream == line.stream && line.line.starts_with(&passed.line)
        });
        if let Some(length) = begun.map(|(_, passed)| passed.line.len()).max() {
            line.line.drain(..length);
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_proto::Stream as Origin;

    /// Passes lines on, each `second text`; what of them is new.
    fn pass(place: &mut Place, lines: &[&str]) -> Vec<String> {
        let lines = lines.iter().filter_map(|line| {
            let (second, text) = line.split_once(' ').unwrap();
            let time = format!("2026-01-02T03:04:0{second}.000000006Z");
            place.pass(LogLine { stream: Origin::Stdout, time, line: text.to_owned() })
        });
        lines.map(|line| line.line).collect()
    }

    fn second(place: &Place) -> i64 {
        place.since().unwrap().as_second() % 60
    }

    #[test]
    fn a_line_is_passed_on_once_though_others_have_its_time_and_its_text() {
        let mut place = Place::default();
        assert_eq!(pass(&mut place, &["1 a", "2 b", "2 b", "2 c"]), ["a", "b", "b", "c"]);
        assert_eq!(second(&place), 2);
        place.reread();
        assert_eq!(pass(&mut place, &["2 b", "2 b", "2 c", "2 b", "3 b"]), ["b", "b"]);
        place.reread();
        assert_eq!(pass(&mut place, &["3 b", "3 b"]), ["b"]);
    }

    #[test]
    fn streams_may_come_in_another_order_than_their_times() {
        let mut place = Place::default();
        assert_eq!(pass(&mut place, &["3 out", "2 err"]), ["out", "err"]);
        assert_eq!(second(&place), 2);
        place.reread();
        assert_eq!(pass(&mut place, &["3 out", "2 err", "4 more"]), ["more"]);
    }

    #[test]
    fn of_a_line_that_another_process_ends_only_its_end_is_new() {
        let mut place = Place::default();
        assert_eq!(pass(&mut place, &["1 half"]), ["half"]);
        place.reread();
        assert_eq!(pass(&mut place, &["1 half and"]), [" and"]);
        place.reread();
        assert_eq!(pass(&mut place, &["1 half and whole", "2 next"]), [" whole", "next"]);
        place.reread();
        assert_eq!(pass(&mut place, &["2 next"]), [""; 0]);
    }

    #[test]
    fn a_line_without_a_time_is_passed_on() {
        let line = LogLine { stream: Origin::Stdout, time: String::new(), line: "text".to_owned() };
        let mut place = Place::default();
        assert_eq!(place.pass(line.clone()).as_ref(), Some(&line));
        assert_eq!(place.since(), None);
    }
}
