//! Node's own test runner, in its spec reporter; its TAP is [`super::tap`]'s.

use super::Format;
use super::found::{Failed, Found, keep};
use super::text::{count as number, js_frame, path_line};

/// Reads the spec reporter.
#[derive(Debug, Default)]
pub(super) struct Node {
    trailer: Trailer,
    /// After the heading over all failed tests.
    failing: bool,
    /// The place of the next failed test.
    place: Option<(String, u32)>,
    failures: Vec<Failed>,
    frames: bool,
}

/// The counts at the end: `tests 5`, `pass 4`, …, in the reporter's own dress.
#[derive(Debug, Default)]
pub(super) struct Trailer {
    counts: [Option<u32>; 7],
    twice: bool,
}

const WORDS: [&str; 7] = ["tests", "suites", "pass", "fail", "cancelled", "skipped", "todo"];

impl Trailer {
    /// Takes a line without its dress.
    pub(super) fn line(&mut self, text: &str) {
        let Some((word, count)) = text.split_once(' ') else { return };
        if let Some(index) = WORDS.iter().position(|known| *known == word)
            && let Some(count) = number(count)
        {
            self.twice |= self.counts[index].replace(count).is_some();
        }
    }

    /// Whether any of it was seen.
    pub(super) fn seen(&self) -> bool {
        // `tests`, `pass` and `fail` are said by others too.
        self.counts[1].is_some()
    }

    /// The counts, if they are all there and add up.
    pub(super) fn found(&self) -> Option<Found> {
        let [tests, _, passed, failed, cancelled, skipped, todo] = self.counts;
        let (failed, skipped) = (failed? + cancelled?, skipped? + todo?);
        let adds_up = tests? == passed? + failed + skipped && !self.twice;
        adds_up.then(|| Found { passed, failed: Some(failed), skipped: Some(skipped), failures: Vec::new() })
    }
}

impl Format for Node {
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(text) = line.strip_prefix("ℹ ") {
            self.trailer.line(text);
        } else if line == "✖ failing tests:" {
            self.failing = true;
        } else if self.failing {
            self.failing_line(line);
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        Some(Found { failures: self.failures, ..self.trailer.found()? })
    }
}

impl Node {
    fn failing_line(&mut self, line: &str) {
        if let Some(place) = line.strip_prefix("test at ").and_then(path_line) {
            self.place = Some((place.0.to_owned(), place.1));
        } else if let Some(name) = line.strip_prefix("✖ ") {
            let name = name
                .rsplit_once(" (")
                .filter(|(_, time)| time.ends_with("ms)"))
                .map_or(name, |(name, _)| name);
            let mut failure = Failed::new(name);
            if let Some((path, number)) = self.place.take() {
                failure.outer_place(&path, Some(number));
            }
            keep(&mut self.failures, failure);
            self.frames = false;
        } else if let Some(failure) = self.failures.last_mut() {
            if line.trim_start().starts_with("at ") {
                self.frames = true;
                if let Some((path, number)) = js_frame(line.trim_end_matches(" {")) {
                    // Better than where the test begins, and the first of them is the best.
                    failure.frame(path, number);
                }
            } else if !self.frames {
                failure.say(line.strip_prefix("  ").unwrap_or(line));
            }
        }
    }
}
