//! The Test Anything Protocol: tape, node-tap, bats, Node's `--test-reporter=tap`, …

use super::Format;
use super::found::{Failed, Found, cut};
use super::node::Trailer;
use super::text::{js_frame, path_line};

/// Frames of one stack that are kept.
const MAX_FRAMES: usize = 32;

/// Reads one TAP document. Subtests are the business of the test around them, unless Node counts them itself.
#[derive(Debug, Default)]
pub(super) struct Tap {
    plan: Option<u32>,
    tests: u32,
    passed: u32,
    failed: u32,
    skipped: u32,
    odd: bool,
    trailer: Trailer,
    failures: Vec<Entry>,
    diagnosis: Diagnosis,
}

#[derive(Debug)]
struct Entry {
    failure: Failed,
    indent: usize,
    /// It failed because a subtest did.
    parent: bool,
    /// What was expected and what there was, for want of a message.
    compared: String,
    /// Where the test begins.
    location: Option<(String, u32)>,
    /// The stack, the innermost call first.
    frames: Vec<(String, u32)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Diagnosis {
    #[default]
    None,
    /// The failed test's lines may come.
    Due,
    /// Between `---` and `...`, under a key. How far keys are indented is learnt from the first.
    Inside { key: Key, indent: Option<usize> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Message,
    Stack,
    Other,
}

impl Format for Tap {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        if let Diagnosis::Inside { key, indent: keys } = self.diagnosis {
            self.diagnose(key, keys.unwrap_or(indent), indent, line, text);
        } else if text == "---" && self.diagnosis == Diagnosis::Due {
            self.diagnosis = Diagnosis::Inside { key: Key::Other, indent: None };
        } else if let (Diagnosis::Due, Some(entry)) = (&self.diagnosis, self.failures.last_mut())
            && indent > entry.indent
            && test_line(text).is_none()
        {
            entry.bare(text);
        } else if let Some((ok, number, rest)) = test_line(text) {
            self.test(indent, ok, number, rest);
        } else if indent == 0 {
            self.margin(text);
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        let node = self.trailer.seen();
        let failures =
            self.failures.into_iter().filter(|entry| if node { !entry.parent } else { entry.indent == 0 });
        let failures = failures.map(Entry::finish).collect();
        if node {
            return Some(Found { failures, ..self.trailer.found()? });
        }
        (self.plan? == self.tests && !self.odd).then_some(Found {
            passed: Some(self.passed),
            failed: Some(self.failed),
            skipped: Some(self.skipped),
            failures,
        })
    }
}

impl Tap {
    /// A line at the margin that is no test.
    fn margin(&mut self, text: &str) {
        if let Some(plan) = text.strip_prefix("1..") {
            let number = plan.split_whitespace().next().and_then(|number| number.parse().ok());
            self.odd |= self.plan.is_some() || number.is_none();
            self.plan = number;
        } else if text.starts_with("Bail out!") {
            self.odd = true;
        } else if let Some(comment) = text.strip_prefix("# ") {
            self.trailer.line(comment);
        }
    }

    fn test(&mut self, indent: usize, ok: bool, number: Option<u32>, rest: &str) {
        let (name, directive) = rest.split_once(" # ").unwrap_or((rest, ""));
        let directive = directive.to_ascii_uppercase();
        let (skip, todo) = (directive.starts_with("SKIP"), directive.starts_with("TODO"));
        if indent == 0 {
            self.tests += 1;
            self.odd |= number.is_some_and(|number| number != self.tests);
            match (ok, skip || todo) {
                (true, false) => self.passed += 1,
                (false, false) => self.failed += 1,
                // What was to be done and works has passed.
                (true, true) if todo => self.passed += 1,
                _ => self.skipped += 1,
            }
        }
        self.diagnosis = Diagnosis::None;
        if !ok && !skip && !todo && self.failures.len() < 2 * super::found::MAX_FAILURES {
            self.diagnosis = Diagnosis::Due;
            let name = if name.is_empty() {
                format!("test {}", number.unwrap_or(self.tests))
            } else {
                name.to_owned()
            };
            self.failures.push(Entry {
                failure: Failed::new(&name),
                indent,
                parent: false,
                compared: String::new(),
                location: None,
                frames: Vec::new(),
            });
        }
    }

    fn diagnose(&mut self, key: Key, keys: usize, indent: usize, line: &str, text: &str) {
        let Some(entry) = self.failures.last_mut() else { return };
        if text == "..." {
            self.diagnosis = Diagnosis::None;
            return;
        }
        if indent <= keys
            && let Some((key, value)) = text.split_once(':')
        {
            let value = unquote(value.trim());
            let block = value.is_empty() || value.starts_with(['|', '>']);
            let key = match key {
                "error" | "message" => Key::Message,
                "stack" => Key::Stack,
                "location" | "at" => {
                    let place = js_frame(value).or_else(|| path_line(value));
                    entry.location = place.map(|(path, number)| (path.to_owned(), number));
                    Key::Other
                }
                "expected" | "actual" if !block => {
                    entry.compared.push_str(&format!("{key}: {}\n", cut(value, 200)));
                    Key::Other
                }
                "failureType" => {
                    entry.parent = value == "subtestsFailed";
                    Key::Other
                }
                _ => Key::Other,
            };
            if key == Key::Message && !block {
                entry.failure.say(value);
            }
            self.diagnosis = Diagnosis::Inside { key, indent: Some(keys) };
            return;
        }
        match key {
            Key::Message => entry.failure.say(line.get(keys + 2..).unwrap_or(text)),
            Key::Stack => {
                if let Some((path, number)) = js_frame(text)
                    && entry.frames.len() < MAX_FRAMES
                {
                    entry.frames.push((path.to_owned(), number));
                }
            }
            Key::Other => {}
        }
    }
}

impl Entry {
    /// Takes a line below the test, where the runner writes no diagnosis: message and stack as they are.
    fn bare(&mut self, text: &str) {
        match text.strip_prefix("at ").map(|_| js_frame(text)) {
            Some(Some((path, number))) if self.frames.len() < MAX_FRAMES => {
                self.frames.push((path.to_owned(), number))
            }
            None if self.frames.is_empty() => self.failure.say(text),
            _ => {}
        }
    }

    fn finish(self) -> Failed {
        let Self { mut failure, compared, location, frames, .. } = self;
        if failure.message.is_empty() {
            failure.say(&compared);
        }
        for (path, number) in location.iter().chain(frames.iter().rev()) {
            failure.place(path, Some(*number));
        }
        failure
    }
}

/// Whether it passed, its number, and the rest of `not ok 2 - name # TODO`.
fn test_line(text: &str) -> Option<(bool, Option<u32>, &str)> {
    let (ok, rest) = match text.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok")?),
    };
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let rest = rest.trim_start();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = rest[..digits].parse().ok();
    let rest = &rest[digits..];
    let rest = rest.strip_prefix(" - ").unwrap_or(rest);
    // A directive without a name.
    Some((ok, number, if rest.starts_with(" # ") { rest } else { rest.trim() }))
}

fn unquote(text: &str) -> &str {
    let inside = |quote| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inside('\'').or_else(|| inside('"')).unwrap_or(text)
}
