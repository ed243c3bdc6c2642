//! Vitest.

use super::Format;
use super::found::{Failed, Found, MAX_FAILURES};
use super::text::{count_and_word, path_line};

/// Reads Vitest's reporters.
#[derive(Debug, Default)]
pub(super) struct Vitest {
    files_failed: Option<u32>,
    counts: Option<[u32; 3]>,
    summaries: u32,
    /// Something failed that is no test: a file that does not load, an error outside.
    broken: bool,
    failures: Vec<Failed>,
    /// From here on the failures share the message that comes: equal errors are shown once.
    group: Option<usize>,
    /// The message has begun.
    said: bool,
}

impl Format for Vitest {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        if let Some(counts) = text.strip_prefix("Test Files  ") {
            self.files_failed = read(counts).map(|counts| counts[1]);
            self.group = None;
        } else if let Some(counts) = text.strip_prefix("Tests  ") {
            self.tests(counts);
        } else if let Some(errors) = text.strip_prefix("Errors  ") {
            self.broken |= self.summaries > 0 && count_and_word(errors).is_some();
        } else if let Some(name) = line.strip_prefix(" FAIL  ") {
            self.begin(name.trim());
        } else if text.starts_with("⎯⎯⎯") {
            self.group = None;
        } else if let Some(group) = self.group {
            for failure in self.failures.iter_mut().skip(group) {
                add(failure, &mut self.said, text);
            }
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        let [passed, failed, skipped] = self.counts.filter(|_| self.summaries == 1)?;
        // None failed, says Vitest, yet the run has: that zero would mislead.
        let failed = Some(failed).filter(|failed| *failed > 0 || !self.broken);
        Some(Found { passed: Some(passed), failed, skipped: Some(skipped), failures: self.failures })
    }
}

impl Vitest {
    fn tests(&mut self, counts: &str) {
        let Some(files_failed) = self.files_failed.take() else { return };
        self.summaries += 1;
        self.counts = if counts == "no tests" { Some([0; 3]) } else { read(counts) };
        self.broken |= files_failed > 0 && self.counts.is_some_and(|counts| counts[1] == 0);
    }

    fn begin(&mut self, name: &str) {
        if self.group.is_none() || self.said {
            self.group = Some(self.failures.len());
            self.said = false;
        }
        if self.failures.len() == MAX_FAILURES {
            self.group = Some(MAX_FAILURES);
            return;
        }
        let (file, _) = name.split_once(" > ").unwrap_or((name.split(" [ ").next().unwrap_or(name), ""));
        // `file [ file ]` is the file itself.
        self.broken |= !name.contains(" > ");
        let file = file.rsplit_once("| ").map_or(file, |(_, file)| file).trim();
        let mut failure = Failed::new(name);
        failure.outer_place(file, None);
        self.failures.push(failure);
    }
}

fn add(failure: &mut Failed, said: &mut bool, text: &str) {
    if let Some(frame) = text.strip_prefix("❯ ") {
        *said = true;
        if let Some((path, number)) = frame.split_whitespace().last().and_then(path_line) {
            failure.frame(path, number);
        }
    } else if !text.is_empty() && failure.lines() < 12 && !failure.has_line() {
        *said = true;
        failure.say(text);
    }
}

/// Passed, failed and skipped of `1 failed | 4 passed | 2 skipped (7)`, if they add up.
fn read(text: &str) -> Option<[u32; 3]> {
    let (counts, total) = text.trim().strip_suffix(')')?.rsplit_once(" (")?;
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for part in counts.split(" | ") {
        let (number, word) = count_and_word(part)?;
        match word {
            "passed" => passed += number,
            "failed" => failed += number,
            "skipped" | "todo" | "expected fail" => skipped += number,
            _ => return None,
        }
    }
    (total.parse() == Ok(passed + failed + skipped)).then_some([passed, failed, skipped])
}
