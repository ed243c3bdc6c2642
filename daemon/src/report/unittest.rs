//! Python's unittest, and what builds on it: Django's runner, `setup.py test`.

use super::Format;
use super::found::{Failed, Found, cut, keep};
use super::text::{add, count, is_duration, python_frame};
use std::collections::BTreeSet;

/// Distinct failing tests that are told apart.
const MAX_DISTINCT: usize = 10_000;

/// Reads unittest's text runner.
#[derive(Debug, Default)]
pub(super) struct Unittest {
    state: State,
    /// Of the suite that is being read.
    suite: Suite,
    /// Of all suites, one after the other.
    total: Option<Found>,
    odd: bool,
}

#[derive(Debug, Default)]
enum State {
    /// Between blocks.
    #[default]
    Outside,
    /// After the double line that begins a block.
    Header,
    /// The name was said; a docstring may follow.
    Doc(Failed),
    /// The traceback.
    Body(Body),
    /// `Ran 5 tests` was said.
    Ran { tests: u32, blank: bool },
}

#[derive(Debug)]
struct Body {
    failure: Failed,
    /// In the frames of a traceback; after them comes the message.
    frames: bool,
    /// Output that was captured with the test.
    captured: bool,
}

#[derive(Debug, Default)]
struct Suite {
    failures: Vec<Failed>,
    headers: u32,
    distinct: BTreeSet<String>,
    /// Fixtures of classes and modules that failed: no tests, but failures.
    fixtures: BTreeSet<String>,
    ok_marks: u32,
    skip_marks: u32,
}

#[derive(Debug, Default)]
struct Status {
    failures: u32,
    errors: u32,
    skipped: u32,
    expected: u32,
    unexpected: u32,
}

impl Format for Unittest {
    fn line(&mut self, line: &str) {
        self.state = match std::mem::take(&mut self.state) {
            State::Header => self.header(line),
            State::Ran { tests, blank: false } if line.is_empty() => State::Ran { tests, blank: true },
            State::Ran { tests, blank: true } => {
                self.end(tests, line);
                State::Outside
            }
            state @ (State::Outside | State::Doc(_) | State::Body(_) | State::Ran { .. })
                if is_rule(line, b'=') =>
            {
                self.close(state);
                State::Header
            }
            state @ (State::Outside | State::Doc(_) | State::Body(_) | State::Ran { .. }) => {
                match ran(line) {
                    Some(tests) => {
                        self.close(state);
                        State::Ran { tests, blank: false }
                    }
                    None => self.inside(state, line),
                }
            }
        };
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        let cut_off = matches!(self.state, State::Ran { .. });
        self.total.filter(|_| !self.odd && !cut_off)
    }
}

impl Unittest {
    fn header(&mut self, line: &str) -> State {
        if let Some(name) = line.strip_prefix("UNEXPECTED SUCCESS: ") {
            let mut failure = Failed::new(name);
            failure.say("unexpected success");
            keep(&mut self.suite.failures, failure);
            return State::Outside;
        }
        let Some(name) = line.strip_prefix("FAIL: ").or_else(|| line.strip_prefix("ERROR: ")) else {
            return State::Outside;
        };
        self.suite.headers += 1;
        // A subtest has the name of its test, and what makes it different after that.
        let test = name.split_once(')').map_or(name, |(test, _)| test);
        let fixture = ["setUpClass (", "tearDownClass (", "setUpModule (", "tearDownModule ("];
        let names = match fixture.iter().any(|fixture| name.starts_with(fixture)) {
            true => &mut self.suite.fixtures,
            false => &mut self.suite.distinct,
        };
        if names.len() < MAX_DISTINCT {
            names.insert(cut(test, 500).to_owned());
        } else {
            self.odd = true;
        }
        State::Doc(Failed::new(name))
    }

    fn inside(&mut self, state: State, line: &str) -> State {
        match state {
            State::Doc(failure) if is_rule(line, b'-') => {
                State::Body(Body { failure, frames: false, captured: false })
            }
            State::Body(mut body) => {
                body.line(line);
                State::Body(body)
            }
            State::Outside => {
                self.suite.mark(line);
                State::Outside
            }
            State::Doc(failure) => State::Doc(failure),
            // How that ended was not said.
            State::Header | State::Ran { .. } => {
                self.odd = true;
                State::Outside
            }
        }
    }

    fn close(&mut self, state: State) {
        if let State::Body(Body { failure, .. }) | State::Doc(failure) = state {
            keep(&mut self.suite.failures, failure);
        }
    }

    fn end(&mut self, tests: u32, line: &str) {
        let suite = std::mem::take(&mut self.suite);
        let Some(status) = Status::read(line) else {
            self.odd = true;
            return;
        };
        let found = suite.count(tests, &status);
        self.total = Some(match self.total.take() {
            None => found,
            Some(mut total) => {
                total.passed = add(total.passed, found.passed);
                total.failed = add(total.failed, found.failed);
                total.skipped = add(total.skipped, found.skipped);
                found.failures.into_iter().for_each(|failure| keep(&mut total.failures, failure));
                total
            }
        });
    }
}

impl Body {
    fn line(&mut self, line: &str) {
        if self.captured {
            return;
        }
        if line.ends_with("Traceback (most recent call last):") {
            self.frames = true;
            self.failure.message.clear();
        } else if let Some((path, number)) = python_frame(line) {
            self.frames = true;
            self.failure.message.clear();
            self.failure.place(path, Some(number));
        } else if matches!(line, "Stdout:" | "Stderr:") {
            self.captured = true;
        } else if is_rule(line, b'-') {
            // It belongs to the line with the number of tests.
        } else if !self.frames || !line.starts_with(' ') {
            self.frames = false;
            self.failure.say(line);
        }
    }
}

impl Suite {
    /// Counts what is said of tests while they run: dots and letters, or words after their names.
    fn mark(&mut self, line: &str) {
        if !line.is_empty() && line.bytes().all(|byte| b".sFExu".contains(&byte)) {
            let count = |mark| line.bytes().filter(|byte| *byte == mark).count() as u32;
            self.ok_marks += count(b'.');
            self.skip_marks += count(b's');
        } else if line.ends_with(" ... ok") {
            self.ok_marks += 1;
        } else if line.contains(" ... skipped ") {
            self.skip_marks += 1;
        }
    }

    fn count(self, tests: u32, status: &Status) -> Found {
        let Status { failures, errors, skipped, expected, unexpected } = *status;
        // One test can fail and have an error, or fail in several subtests: only its blocks tell that it is one.
        let told = self.headers == failures + errors;
        let distinct = self.distinct.len() as u32;
        let failed = distinct + self.fixtures.len() as u32 + unexpected;
        let ran =
            [distinct, unexpected, expected].iter().try_fold(tests, |left, count| left.checked_sub(*count));
        let passed = match ran {
            Some(ran) if told && skipped == 0 => Some(ran),
            // A class that is skipped as a whole is a skip, but not among the tests that ran.
            Some(ran) if told && self.skip_marks == skipped => {
                let least = ran.saturating_sub(skipped);
                Some(self.ok_marks).filter(|ok| (least..=ran).contains(ok))
            }
            _ => None,
        };
        let skipped = Some(skipped + expected);
        Found { passed, failed: told.then_some(failed), skipped, failures: self.failures }
    }
}

impl Status {
    fn read(line: &str) -> Option<Self> {
        let (word, details) = match line.split_once(" (") {
            Some((word, details)) => (word, details.strip_suffix(')')?),
            None => (line, ""),
        };
        if !matches!(word, "OK" | "FAILED" | "NO TESTS RAN") {
            return None;
        }
        let mut status = Self::default();
        for detail in details.split(", ").filter(|detail| !detail.is_empty()) {
            let (key, number) = detail.split_once('=')?;
            let field = match key {
                "failures" => &mut status.failures,
                "errors" => &mut status.errors,
                "skipped" => &mut status.skipped,
                "expected failures" => &mut status.expected,
                "unexpected successes" => &mut status.unexpected,
                _ => return None,
            };
            *field = count(number)?;
        }
        Some(status)
    }
}

fn is_rule(line: &str, byte: u8) -> bool {
    line.len() == 70 && line.bytes().all(|it| it == byte)
}

fn ran(line: &str) -> Option<u32> {
    let (number, rest) = line.strip_prefix("Ran ")?.split_once(' ')?;
    let time = rest.strip_prefix("tests in ").or_else(|| rest.strip_prefix("test in "))?;
    is_duration(time).then(|| count(number))?
}
