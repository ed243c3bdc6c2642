//! `cargo nextest run`.

use super::Format;
use super::cargo::panicked;
use super::found::{Failed, Found, keep};
use super::text::{count_and_word, path_line};

/// Reads nextest's output.
#[derive(Debug, Default)]
pub(super) struct Nextest {
    summaries: u32,
    counts: Option<(u32, u32, u32)>,
    failures: Vec<Failed>,
    /// Lines of a message are being read.
    message: bool,
}

impl Format for Nextest {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        if let Some(rest) = text.strip_prefix("Summary [") {
            self.summaries += 1;
            self.counts = rest.split_once("] ").and_then(|(_, counts)| summary(counts));
        } else if let Some((_, name)) = text.strip_prefix("FAIL [").and_then(|rest| rest.split_once("] ")) {
            self.message = false;
            // Newer versions number their lines: `( 3/12)`.
            let name = name.trim_start();
            let name =
                name.strip_prefix('(').and_then(|rest| rest.split_once(") ")).map_or(name, |(_, name)| name);
            // Said once where it happens and once at the end.
            if self.counts.is_none() && self.failures.iter().all(|failure| failure.name != name) {
                keep(&mut self.failures, Failed::new(name));
            }
        } else if let Some(failure) = self.failures.last_mut().filter(|_| self.counts.is_none()) {
            if let Some(place) = panicked(text) {
                self.message = !failure.has_line();
                if let Some((path, number)) = path_line(place).filter(|_| self.message) {
                    failure.place(path, Some(number));
                }
            } else if text.starts_with("note: run with") || text == "stack backtrace:" || text.is_empty() {
                self.message = false;
            } else if self.message {
                failure.say(text);
            }
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        let (passed, failed, skipped) = self.counts.filter(|_| self.summaries == 1)?;
        Some(Found {
            passed: Some(passed),
            failed: Some(failed),
            skipped: Some(skipped),
            failures: self.failures,
        })
    }
}

/// Reads `5 tests run: 4 passed (1 slow), 1 failed, 2 skipped`.
fn summary(text: &str) -> Option<(u32, u32, u32)> {
    let (run, counts) = text.split_once(" run: ")?;
    let (run, word) = count_and_word(run)?;
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for count in counts.split(", ") {
        let count = count.split(" (").next().unwrap_or(count);
        let (number, word) = count_and_word(count)?;
        match word {
            "passed" => passed += number,
            "failed" | "timed out" | "exec failed" => failed += number,
            "skipped" => skipped += number,
            // Inside of brackets that hold a comma.
            _ => return None,
        }
    }
    (matches!(word, "test" | "tests") && passed + failed == run).then_some((passed, failed, skipped))
}
