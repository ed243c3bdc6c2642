//! Mocha, and Cypress, which prints as Mocha does, spec by spec.

use super::Format;
use super::found::{Failed, Found, keep};
use super::text::{count, count_and_word, is_duration, js_frame};

/// Reads Mocha's spec reporter, and the others that end as it does.
#[derive(Debug, Default)]
pub(super) struct Mocha {
    counts: Option<[u32; 3]>,
    state: State,
    failures: Vec<Failed>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    /// After the number of those that passed.
    Counts,
    /// After the number of those that failed.
    Failures,
    /// The name of a failed test, over several lines.
    Title,
    Message,
    Frames,
}

impl Format for Mocha {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        if line.starts_with(' ')
            && let Some((passed, time)) = text.split_once(" passing (")
            && let (Some(passed), true) = (count(passed), time.strip_suffix(')').is_some_and(is_duration))
        {
            let counts = self.counts.get_or_insert_default();
            counts[0] = counts[0].saturating_add(passed);
            self.state = State::Counts;
            return;
        }
        let Some(counts) = &mut self.counts else { return };
        match self.state {
            State::Outside => {}
            State::Counts => match count_and_word(text) {
                Some((failed, "failing")) => {
                    counts[1] = counts[1].saturating_add(failed);
                    self.state = State::Failures;
                }
                Some((pending, "pending")) => counts[2] = counts[2].saturating_add(pending),
                _ if text.is_empty() => {}
                _ => self.state = State::Outside,
            },
            State::Failures | State::Message | State::Frames | State::Title => self.failure_line(line, text),
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        let [passed, failed, skipped] = self.counts?;
        Some(Found {
            passed: Some(passed),
            failed: Some(failed),
            skipped: Some(skipped),
            failures: self.failures,
        })
    }
}

impl Mocha {
    fn failure_line(&mut self, line: &str, text: &str) {
        if let Some(title) = numbered(line) {
            if self.failures.len() == super::found::MAX_FAILURES {
                self.state = State::Failures;
                return;
            }
            keep(&mut self.failures, Failed::new(title.trim_end_matches(':')));
            self.state = if title.ends_with(':') { State::Message } else { State::Title };
            return;
        }
        // Whatever follows the report begins at the margin.
        if !line.is_empty() && !line.starts_with(' ') && self.state != State::Message {
            self.state = State::Outside;
            return;
        }
        let Some(failure) = self.failures.last_mut() else { return };
        match self.state {
            State::Title => {
                let name = format!("{} {}", failure.name, text.trim_end_matches(':'));
                failure.name = Failed::new(&name).name;
                if text.ends_with(':') {
                    self.state = State::Message;
                }
            }
            State::Message | State::Frames if text.starts_with("at ") => {
                self.state = State::Frames;
                if let Some((path, number)) = js_frame(text) {
                    failure.outer_place(path, Some(number));
                }
            }
            State::Message => failure.say(text),
            State::Outside | State::Counts | State::Failures | State::Frames => {}
        }
    }
}

/// The title in `  1) title`.
fn numbered(line: &str) -> Option<&str> {
    let (number, title) = line.strip_prefix("  ")?.split_once(") ")?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(title.trim_end())
}
