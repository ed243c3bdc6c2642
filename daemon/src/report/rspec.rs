//! RSpec.

use super::Format;
use super::found::{Failed, Found, keep};
use super::text::{count_and_word, path_line};

/// Reads RSpec's progress and documentation formatters.
#[derive(Debug, Default)]
pub(super) struct Rspec {
    counts: Option<[u32; 3]>,
    summaries: u32,
    /// Under `Failures:`.
    inside: bool,
    failures: Vec<Failed>,
    frames: bool,
}

impl Format for Rspec {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        if line == "Failures:" {
            self.inside = true;
        } else if line.starts_with("Finished in ") {
            self.inside = false;
        } else if let Some(counts) = summary(line) {
            self.summaries += 1;
            self.counts = Some(counts);
        } else if self.inside {
            self.failure_line(line, text);
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

impl Rspec {
    fn failure_line(&mut self, line: &str, text: &str) {
        let numbered = line.strip_prefix("  ").and_then(|rest| rest.split_once(") "));
        if let Some((number, name)) = numbered
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            keep(&mut self.failures, Failed::new(name));
            self.frames = false;
        } else if let Some(failure) = self.failures.last_mut() {
            if let Some(frame) = text.strip_prefix("# ") {
                self.frames = true;
                let place = frame.split(":in ").next().and_then(path_line);
                if let Some((path, number)) = place {
                    failure.outer_place(path, Some(number));
                }
            } else if !self.frames {
                failure.say(line.strip_prefix("     ").unwrap_or(line));
            }
        }
    }
}

/// Passed, failed and pending of `5 examples, 1 failure, 1 pending, 1 error occurred outside of examples`.
fn summary(line: &str) -> Option<[u32; 3]> {
    let mut parts = line.split(", ").map(count_and_word);
    let (examples, "example" | "examples") = parts.next()?? else { return None };
    let (failures, "failure" | "failures") = parts.next()?? else { return None };
    let (mut pending, mut outside) = (0, 0);
    for part in parts {
        match part? {
            (count, "pending") => pending = count,
            (count, "error occurred outside of examples" | "errors occurred outside of examples") => {
                outside = count
            }
            _ => return None,
        }
    }
    Some([examples.checked_sub(failures + pending)?, failures + outside, pending])
}
