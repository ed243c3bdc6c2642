//! Minitest, and `rails test`.

use super::Format;
use super::found::{Failed, Found, keep};
use super::text::{count_and_word, path_line};

/// Reads Minitest's summary and its numbered failures.
#[derive(Debug, Default)]
pub(super) struct Minitest {
    counts: Option<[u32; 3]>,
    summaries: u32,
    failures: Vec<Failed>,
    state: State,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    /// After `  1) Failure:`.
    Name,
    Message,
}

impl Format for Minitest {
    fn line(&mut self, line: &str) {
        if let Some(counts) = summary(line) {
            self.summaries += 1;
            self.counts = Some(counts);
            self.state = State::Outside;
        } else if let Some((number, kind)) = line.strip_prefix("  ").and_then(|rest| rest.split_once(") "))
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && matches!(kind, "Failure:" | "Error:")
        {
            self.state = State::Name;
        } else if self.state == State::Name {
            let (name, place) = line.split_once(" [").unwrap_or((line, ""));
            let mut failure = Failed::new(name.trim_end_matches(':'));
            if let Some((path, number)) = place.split_once(']').and_then(|(place, _)| path_line(place)) {
                failure.place(path, Some(number));
            }
            keep(&mut self.failures, failure);
            self.state = State::Message;
        } else if line.trim().is_empty() {
            self.state = State::Outside;
        } else if self.state == State::Message
            && let Some(failure) = self.failures.last_mut()
        {
            match line.trim().split_once(":in ").and_then(|(place, _)| path_line(place)) {
                Some((path, number)) if line.starts_with("    ") => failure.outer_place(path, Some(number)),
                _ => failure.say(line),
            }
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        let [passed, failed, skipped] = self.counts.filter(|_| self.summaries == 1)?;
        Some(Found {
            passed: Some(passed),
            failed: Some(failed),
            skipped: Some(skipped),
            failures: self.failures,
        })
    }
}

/// Passed, failed and skipped of `5 runs, 9 assertions, 1 failures, 0 errors, 1 skips`.
fn summary(line: &str) -> Option<[u32; 3]> {
    let mut parts = line.split(", ").map(count_and_word);
    let mut next =
        |word: &str| parts.next().flatten().filter(|(_, said)| *said == word).map(|(count, _)| count);
    let (runs, _, failures, errors, skips) =
        (next("runs")?, next("assertions")?, next("failures")?, next("errors")?, next("skips")?);
    let failed = failures + errors;
    Some([runs.checked_sub(failed + skips)?, failed, skips])
}
