//! `cargo test`: libtest and rustdoc, several binaries one after the other.

use super::Format;
use super::found::{Failed, Found, MAX_FAILURES, keep};
use super::text::{Sessions, count_and_word, path_line};

/// Reads libtest's output.
#[derive(Debug, Default)]
pub(super) struct Cargo {
    sessions: Sessions,
    /// How many tests the binary said it would run.
    announced: u32,
    odd: bool,
    counts: Counts,
    /// Of the binary that runs.
    failures: Vec<Failed>,
    all: Vec<Failed>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Outside,
    /// What a failed test wrote.
    Output { failure: usize, message: Message },
    /// The names of all that failed.
    Names,
}

#[derive(Debug, PartialEq, Eq)]
enum Message {
    Before,
    Inside,
    After,
}

#[derive(Debug, Default)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Format for Cargo {
    fn line(&mut self, line: &str) {
        if let Some(tests) = running(line) {
            self.sessions.begin();
            if !self.sessions.nested() {
                self.announced = tests;
                self.failures.clear();
                self.state = State::Outside;
            }
        } else if let Some(counts) = line.strip_prefix("test result: ").and_then(result) {
            self.result(&counts);
        } else if !self.sessions.nested() {
            self.inside(line);
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        let Counts { passed, failed, skipped } = self.counts;
        (self.sessions.certain() && !self.odd).then_some(Found {
            passed: Some(passed),
            failed: Some(failed),
            skipped: Some(skipped),
            failures: self.all,
        })
    }
}

impl Cargo {
    fn result(&mut self, counts: &[u32; 4]) {
        if !self.sessions.end() {
            return;
        }
        let [passed, failed, ignored, measured] = *counts;
        self.odd |= passed + failed + ignored + measured != self.announced;
        let counts = &mut self.counts;
        counts.passed = counts.passed.saturating_add(passed + measured);
        counts.failed = counts.failed.saturating_add(failed);
        counts.skipped = counts.skipped.saturating_add(ignored);
        let failures = std::mem::take(&mut self.failures);
        if failures.len() <= failed as usize {
            failures.into_iter().for_each(|failure| keep(&mut self.all, failure));
        }
        self.state = State::Outside;
    }

    fn inside(&mut self, line: &str) {
        if line == "failures:" {
            self.state = State::Names;
            return;
        }
        let heading = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let Some(name) = heading {
            if let Some(failure) = self.failure(name) {
                self.state = State::Output { failure, message: Message::Before };
            }
            return;
        }
        match &mut self.state {
            State::Outside => {}
            State::Names => {
                if let Some(name) = line.strip_prefix("    ") {
                    self.failure(name);
                }
            }
            State::Output { failure, message } => {
                if let Some(failure) = self.failures.get_mut(*failure) {
                    output(failure, message, line);
                }
            }
        }
    }

    fn failure(&mut self, name: &str) -> Option<usize> {
        if let Some(index) = self.failures.iter().position(|failure| failure.name == Failed::new(name).name) {
            return Some(index);
        }
        if self.failures.len() == MAX_FAILURES {
            return None;
        }
        let mut failure = Failed::new(name);
        // A documentation test says where it is in its name: `src/lib.rs - add (line 3)`.
        if let Some((path, rest)) = name.split_once(" - ")
            && let Some((_, number)) = rest.rsplit_once("(line ")
        {
            failure.place(path, number.trim_end_matches(')').parse().ok());
        }
        self.failures.push(failure);
        Some(self.failures.len() - 1)
    }
}

fn output(failure: &mut Failed, message: &mut Message, line: &str) {
    if let Some(place) = panicked(line) {
        // The first panic is the test's own; what comes after are panics on the way out.
        if *message == Message::Before {
            *message = Message::Inside;
            failure.message.clear();
            if let Some((path, number)) = path_line(place) {
                failure.place(path, Some(number));
            }
        }
        return;
    }
    if let Some(place) = line.strip_prefix("note: test did not panic as expected at ") {
        failure.say("test did not panic as expected");
        if let Some((path, number)) = path_line(place) {
            failure.place(path, Some(number));
        }
        *message = Message::After;
        return;
    }
    let ends = line.starts_with("note: run with `RUST_BACKTRACE") || line == "stack backtrace:";
    match message {
        Message::Before if line.starts_with("Error: ") => {
            failure.message.clear();
            failure.say(line);
            *message = Message::After;
        }
        Message::Inside if ends => *message = Message::After,
        Message::Inside => failure.say(line),
        Message::Before | Message::After => {}
    }
}

/// The place in `thread 'x' (7) panicked at src/lib.rs:5:9:`.
pub(super) fn panicked(line: &str) -> Option<&str> {
    let (_, place) = line.strip_prefix("thread '")?.split_once(" panicked at ")?;
    place.strip_suffix(':')
}

fn running(line: &str) -> Option<u32> {
    let (number, word) = count_and_word(line.strip_prefix("running ")?)?;
    matches!(word, "test" | "tests").then_some(number)
}

/// Passed, failed, ignored and measured of `ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …`.
fn result(text: &str) -> Option<[u32; 4]> {
    let text = text.strip_prefix("ok. ").or_else(|| text.strip_prefix("FAILED. "))?;
    let mut parts = text.split("; ");
    let mut counts = [0; 4];
    for (count, expected) in counts.iter_mut().zip(["passed", "failed", "ignored", "measured"]) {
        let (number, word) = count_and_word(parts.next()?)?;
        if word != expected {
            return None;
        }
        *count = number;
    }
    Some(counts)
}
