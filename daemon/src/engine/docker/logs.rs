//! What a container wrote, by lines.

use super::frames::frames;
use super::link::Connection;
use super::wire::{Call, chunks, unreachable};
use crate::engine::spec::LogQuery;
use crate::engine::{EngineError, LogLine};
use bollard::query_parameters::InspectContainerOptions;
use bytes::{Bytes, BytesMut};
use devd_proto::Stream as Origin;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::collections::VecDeque;

/// A longer line is cut: whoever writes megabytes without a line end does not write lines.
const LONGEST: usize = 1 << 20;

pub(super) async fn open(
    connection: &Connection,
    container: &str,
    query: &LogQuery,
) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError> {
    let inspected = connection.api.inspect_container(container, None::<InspectContainerOptions>).await?;
    let terminal = inspected.config.and_then(|config| config.tty).unwrap_or_default();
    let mut pairs = vec![
        ("stdout", "1".to_owned()),
        ("stderr", "1".to_owned()),
        ("timestamps", "1".to_owned()),
        ("follow", u8::from(query.follow).to_string()),
        ("tail", query.tail.map_or("all".to_owned(), |lines| lines.to_string())),
    ];
    pairs.extend(query.since.map(|since| ("since", moment(since))));
    let call = Call::get(format!("/containers/{container}/logs")).query(&pairs);
    // A quiet container may have nothing to begin with.
    let response = call.patient().send(&connection.address).await?;

    let state = (frames(chunks(response), terminal).boxed(), Lines::new(terminal), VecDeque::new(), false);
    let lines = stream::try_unfold(state, |(mut frames, mut lines, mut ready, mut ended)| async move {
        loop {
            if let Some(line) = ready.pop_front() {
                return Ok(Some((line, (frames, lines, ready, ended))));
            }
            if ended {
                return Ok(None);
            }
            match frames.next().await {
                Some(frame) => {
                    let (origin, bytes) = frame.map_err(unreachable)?;
                    lines.push(origin, &bytes, &mut ready);
                }
                None => {
                    ended = true;
                    lines.finish(&mut ready);
                }
            }
        }
    });
    Ok(lines.boxed())
}

/// A point in time as the engine reads it: seconds and nanoseconds since 1970. It knows none before.
fn moment(time: jiff::Timestamp) -> String {
    let time = time.max(jiff::Timestamp::UNIX_EPOCH);
    format!("{}.{:09}", time.as_second(), time.subsec_nanosecond())
}

/// Puts lines together. Each message of the log begins with its time; a long line is several messages.
struct Lines {
    terminal: bool,
    stdout: Partial,
    stderr: Partial,
}

#[derive(Default)]
struct Partial {
    time: String,
    text: BytesMut,
}

impl Lines {
    fn new(terminal: bool) -> Self {
        Self { terminal, stdout: Partial::default(), stderr: Partial::default() }
    }

    fn push(&mut self, origin: Origin, bytes: &Bytes, ready: &mut VecDeque<LogLine>) {
        let partial = match origin {
            Origin::Stdout => &mut self.stdout,
            Origin::Stderr => &mut self.stderr,
        };
        if self.terminal {
            // Chunks break anywhere: only what follows a line end is sure to begin with a time.
            partial.text.extend_from_slice(bytes);
            while let Some(end) = partial.text.iter().position(|byte| *byte == b'\n') {
                let line = partial.text.split_to(end + 1);
                let (time, text) = split_time(&line);
                ready.push_back(line_of(origin, time.to_owned(), text));
            }
        } else {
            let (time, text) = split_time(bytes);
            if partial.text.is_empty() {
                time.clone_into(&mut partial.time);
            }
            partial.text.extend_from_slice(text);
            while let Some(end) = partial.text.iter().position(|byte| *byte == b'\n') {
                let line = partial.text.split_to(end + 1);
                ready.push_back(line_of(origin, partial.time.clone(), &line));
            }
        }
        if partial.text.len() > LONGEST {
            ready.push_back(partial.take(origin, self.terminal));
        }
    }

    fn finish(&mut self, ready: &mut VecDeque<LogLine>) {
        for (origin, partial) in [(Origin::Stdout, &mut self.stdout), (Origin::Stderr, &mut self.stderr)] {
            if !partial.text.is_empty() {
                ready.push_back(partial.take(origin, self.terminal));
            }
        }
    }
}

impl Partial {
    fn take(&mut self, origin: Origin, terminal: bool) -> LogLine {
        let text = self.text.split();
        if terminal {
            let (time, text) = split_time(&text);
            return line_of(origin, time.to_owned(), text);
        }
        line_of(origin, self.time.clone(), &text)
    }
}

fn line_of(stream: Origin, time: String, text: &[u8]) -> LogLine {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    LogLine { stream, time, line: String::from_utf8_lossy(text).into_owned() }
}

/// `2026-01-02T03:04:05.000000006Z text`
fn split_time(message: &[u8]) -> (&str, &[u8]) {
    let split = message.iter().position(|byte| *byte == b' ').and_then(|at| {
        let time = std::str::from_utf8(message.get(..at)?).ok()?;
        let is_time = time.len() >= 20 && time.as_bytes().get(10) == Some(&b'T');
        is_time.then_some((time, message.get(at + 1..)?))
    });
    split.unwrap_or(("", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-01-02T03:04:05.000000006Z";

    fn lines(terminal: bool, pushes: &[(Origin, String)]) -> Vec<(Origin, String, String)> {
        let mut lines = Lines::new(terminal);
        let mut ready = VecDeque::new();
        for (origin, text) in pushes {
            lines.push(*origin, &Bytes::from(text.clone()), &mut ready);
        }
        lines.finish(&mut ready);
        ready.into_iter().map(|line| (line.stream, line.time, line.line)).collect()
    }

    fn line(origin: Origin, text: &str) -> (Origin, String, String) {
        (origin, TIME.to_owned(), text.to_owned())
    }

    #[test]
    fn a_moment_is_exact_to_the_nanosecond() {
        assert_eq!(moment(TIME.parse().unwrap()), "1767323045.000000006");
        assert_eq!(moment("1900-01-01T00:00:00Z".parse().unwrap()), "0.000000000");
    }

    #[test]
    fn a_long_line_is_one_line() {
        let pushes = [
            (Origin::Stdout, format!("{TIME} one")),
            (Origin::Stderr, format!("{TIME} oops\n")),
            (Origin::Stdout, format!("{TIME}  two\n")),
            (Origin::Stdout, format!("{TIME} \n")),
            (Origin::Stdout, format!("{TIME} the end")),
        ];
        let expected = [
            line(Origin::Stderr, "oops"),
            line(Origin::Stdout, "one two"),
            line(Origin::Stdout, ""),
            line(Origin::Stdout, "the end"),
        ];
        assert_eq!(lines(false, &pushes), expected);
    }

    #[test]
    fn a_terminal_breaks_anywhere() {
        let text = format!("{TIME} one\r\n{TIME} two\r\n{TIME} $ ");
        let (start, end) = text.split_at(12);
        let pushes = [(Origin::Stdout, start.to_owned()), (Origin::Stdout, end.to_owned())];
        let expected = [line(Origin::Stdout, "one"), line(Origin::Stdout, "two"), line(Origin::Stdout, "$ ")];
        assert_eq!(lines(true, &pushes), expected);
    }
}
