//! PHPUnit.

use super::Format;
use super::found::{Failed, Found, keep};
use super::text::{count as number, count_and_word, path_line};

/// Reads PHPUnit's default output.
#[derive(Debug, Default)]
pub(super) struct Phpunit {
    counts: Option<Counts>,
    summaries: u32,
    failures: Vec<Failed>,
    /// Under a heading that counts failures or errors, not risky tests or warnings.
    inside: bool,
    open: bool,
}

#[derive(Debug)]
struct Counts {
    passed: Option<u32>,
    failed: u32,
    skipped: u32,
}

impl Format for Phpunit {
    fn line(&mut self, line: &str) {
        if let Some(counts) = all_well(line).or_else(|| totals(line)) {
            self.summaries += 1;
            self.counts = Some(counts);
            (self.inside, self.open) = (false, false);
        } else if let Some(what) =
            line.strip_prefix("There was ").or_else(|| line.strip_prefix("There were "))
        {
            let what = what.trim_end_matches(':');
            self.inside = ["failure", "failures", "error", "errors"].iter().any(|word| what.ends_with(word))
                && count_and_word(what).is_some_and(|(_, word)| !word.contains(' '));
            self.open = false;
        } else if line == "--" || matches!(line, "FAILURES!" | "ERRORS!") {
            (self.inside, self.open) = (false, false);
        } else if self.inside {
            self.failure_line(line);
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        let Counts { passed, failed, skipped } = self.counts.filter(|_| self.summaries == 1)?;
        Some(Found { passed, failed: Some(failed), skipped: Some(skipped), failures: self.failures })
    }
}

impl Phpunit {
    fn failure_line(&mut self, line: &str) {
        if let Some((number, name)) = line.split_once(") ")
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            keep(&mut self.failures, Failed::new(name));
            self.open = true;
        } else if let Some(failure) = self.failures.last_mut().filter(|_| self.open) {
            match path_line(line) {
                Some((path, number)) if path.starts_with('/') => failure.outer_place(path, Some(number)),
                _ => failure.say(line),
            }
        }
    }
}

/// Reads `OK (5 tests, 9 assertions)`.
fn all_well(line: &str) -> Option<Counts> {
    let (tests, assertions) = line.strip_prefix("OK (")?.strip_suffix(')')?.split_once(", ")?;
    let (tests, "test" | "tests") = count_and_word(tests)? else { return None };
    let (_, "assertion" | "assertions") = count_and_word(assertions)? else { return None };
    Some(Counts { passed: Some(tests), failed: 0, skipped: 0 })
}

/// Reads `Tests: 5, Assertions: 9, Failures: 1, Skipped: 1.`
fn totals(line: &str) -> Option<Counts> {
    let mut tests = None;
    let (mut assertions, mut unclear) = (false, false);
    let (mut failed, mut skipped) = (0, 0);
    for part in line.strip_suffix('.')?.split(", ") {
        let (key, count) = part.split_once(": ")?;
        let count = number(count)?;
        match key {
            "Tests" => tests = Some(count),
            "Assertions" => assertions = true,
            "Failures" | "Errors" => failed += count,
            "Skipped" | "Incomplete" => skipped += count,
            // Whether these passed depends on the version and its settings.
            "Warnings" | "Risky" | "PHPUnit Errors" | "PHPUnit Warnings" => unclear |= count > 0,
            "Deprecations" | "Notices" | "PHPUnit Deprecations" | "PHPUnit Notices" => {}
            _ => return None,
        }
    }
    let passed = tests.filter(|_| assertions)?.checked_sub(failed + skipped);
    Some(Counts { passed: passed.filter(|_| !unclear), failed, skipped })
}
