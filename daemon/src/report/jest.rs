//! Jest.

use super::Format;
use super::found::{Failed, Found, keep};
use super::text::{count_and_word, js_frame};

/// Reads Jest's default and verbose reporters.
#[derive(Debug, Default)]
pub(super) struct Jest {
    /// Suites that failed by the line before the tests'.
    suites_failed: Option<u32>,
    counts: Option<[u32; 3]>,
    /// A suite failed that is not among the failed tests.
    broken: bool,
    odd: bool,
    /// The file of the suite whose failures are told.
    file: Option<String>,
    failures: Vec<Failed>,
    state: State,
    /// Failures are told a second time, in the summary of a long run.
    again: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    Message,
    Frames,
}

impl Format for Jest {
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(counts) = line.strip_prefix("Test Suites:") {
            self.state = State::Outside;
            self.suites_failed = read(counts).map(|counts| counts[1]);
            self.odd |= self.suites_failed.is_none();
        } else if let Some(counts) = line.strip_prefix("Tests:") {
            self.tests(counts);
        } else if line == "Summary of all failing tests" {
            (self.again, self.state) = (true, State::Outside);
        } else if let Some(rest) = line.trim_start().strip_prefix("FAIL ") {
            let rest = rest.rsplit_once(" (").map_or(rest, |(path, _)| path);
            self.file = rest.split_whitespace().last().map(str::to_owned);
            self.state = State::Outside;
        } else if line.trim_start().starts_with("PASS ") || line.starts_with("Snapshot Summary") {
            self.state = State::Outside;
        } else if let Some(name) = line.strip_prefix("  ● ") {
            self.begin(name);
        } else if self.state != State::Outside
            && let Some(failure) = self.failures.last_mut()
        {
            if line.trim_start().starts_with("at ") {
                self.state = State::Frames;
                if let Some((path, number)) = js_frame(line) {
                    failure.frame(path, number);
                }
            } else if is_code(line) {
                self.state = State::Frames;
            } else if self.state == State::Message {
                failure.say(line.strip_prefix("    ").unwrap_or(line));
            }
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        let [passed, failed, skipped] = self.counts.filter(|_| !self.odd)?;
        // None failed, says Jest, yet the run has: that zero would mislead.
        let failed = Some(failed).filter(|failed| *failed > 0 || !self.broken);
        Some(Found { passed: Some(passed), failed, skipped: Some(skipped), failures: self.failures })
    }
}

impl Jest {
    fn tests(&mut self, counts: &str) {
        let Some(suites_failed) = self.suites_failed.take() else { return };
        let Some(counts) = read(counts) else {
            self.odd = true;
            return;
        };
        self.broken |= suites_failed > 0 && counts[1] == 0;
        let sum = self.counts.unwrap_or_default();
        self.counts = Some(std::array::from_fn(|index| sum[index].saturating_add(counts[index])));
        (self.file, self.again) = (None, false);
    }

    fn begin(&mut self, name: &str) {
        self.state = State::Outside;
        // Without a failed suite around it this is a warning of Jest's, or what a test printed.
        let Some(file) = self.file.as_ref().filter(|_| !self.again && name != "Console") else { return };
        let mut failure = match name == "Test suite failed to run" {
            true => {
                self.broken = true;
                Failed::new(file)
            }
            false => Failed::new(name),
        };
        failure.outer_place(file, None);
        if self.failures.len() < super::found::MAX_FAILURES {
            self.state = State::Message;
        }
        keep(&mut self.failures, failure);
    }
}

/// A line of a code frame: `    > 12 |   expect(1).toBe(2)`, `         |   ^`.
fn is_code(line: &str) -> bool {
    let Some((before, _)) = line.split_once('|') else { return false };
    line.starts_with("    ") && before.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '>'))
}

/// Passed, failed and skipped of `1 failed, 2 skipped, 4 passed, 7 total`, if they add up.
fn read(text: &str) -> Option<[u32; 3]> {
    let (mut passed, mut failed, mut skipped, mut total) = (0, 0, 0, None);
    for part in text.trim().split(", ") {
        // `3 of 4 total`: the run was ended early.
        let part = part.split_once(" of ").map_or_else(|| part.to_owned(), |(run, _)| format!("{run} total"));
        let (number, word) = count_and_word(&part)?;
        match word {
            "passed" => passed += number,
            "failed" => failed += number,
            "skipped" | "todo" | "pending" => skipped += number,
            "total" => total = Some(number),
            _ => return None,
        }
    }
    (total? == passed + failed + skipped).then_some([passed, failed, skipped])
}
