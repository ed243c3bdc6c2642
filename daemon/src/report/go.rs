//! `go test` and `go test -v`.
//!
//! A test is a `Test…` function; its subtests are told among the failures, not counted. Without `-v` Go does not say
//! how many passed, so that nobody knows.

use super::Format;
use super::found::{Failed, Found, keep};
use std::collections::BTreeMap;

/// Tests whose messages wait for their verdict.
const MAX_PENDING: usize = 256;

/// Reads go test's text output.
#[derive(Debug, Default)]
pub(super) struct Go {
    /// Packages that ended.
    packages: u32,
    package: Package,
    total: Tally,
    failures: Vec<Failed>,
}

/// Counts of `Test…` functions.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) passed: u32,
    pub(super) failed: u32,
    pub(super) skipped: u32,
    /// Tests ran that did not say how they ended.
    pub(super) hidden: bool,
    /// A package failed, and none of its tests did.
    pub(super) unexplained: bool,
}

/// The package whose lines are being read.
#[derive(Debug, Default)]
struct Package {
    tally: Tally,
    began: u32,
    failures: Vec<Failed>,
    /// With `-v`, messages come before the verdict.
    pending: BTreeMap<String, Failed>,
    /// Which test the next lines belong to.
    current: Current,
    panic: Option<String>,
}

#[derive(Debug, Default)]
enum Current {
    #[default]
    None,
    Pending(String),
    Failed,
}

impl Format for Go {
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some((failed, name, rest)) = package_end(line) {
            self.packages += 1;
            self.end(failed, name, rest);
        } else {
            self.package.line(line);
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        // Tests after the last package's end: it was cut off.
        let cut_off = self.package.began > 0 || self.package.tally.failed > 0;
        (self.packages > 0 && !cut_off).then(|| self.total.found(self.failures))
    }
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.hidden |= other.hidden;
        self.unexplained |= other.unexplained;
    }

    pub(super) fn found(&self, failures: Vec<Failed>) -> Found {
        let shown = !self.hidden;
        Found {
            passed: shown.then_some(self.passed),
            failed: (!self.unexplained).then_some(self.failed),
            skipped: shown.then_some(self.skipped),
            failures,
        }
    }
}

impl Go {
    fn end(&mut self, failed: bool, name: &str, rest: &str) {
        let Package { mut tally, began, failures, panic, .. } = std::mem::take(&mut self.package);
        let none = rest.contains("[no test files]") || rest.contains("[no tests to run]");
        tally.hidden = if began > 0 { began != tally.passed + tally.failed + tally.skipped } else { !none };
        tally.unexplained = failed && tally.failed == 0;
        for failure in without_parents(failures) {
            keep(&mut self.failures, in_package(failure, name));
        }
        if tally.unexplained {
            let mut failure = Failed::new(name);
            failure.say(panic.as_deref().unwrap_or_else(|| rest.trim()));
            keep(&mut self.failures, failure);
        }
        self.total.add(&tally);
    }
}

impl Package {
    fn line(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("=== RUN   ") {
            self.began += u32::from(!name.contains('/'));
            self.current = Current::Pending(name.to_owned());
        } else if let Some(name) = line.strip_prefix("=== CONT  ").or_else(|| line.strip_prefix("=== NAME  "))
        {
            self.current = Current::Pending(name.to_owned());
        } else if let Some((verdict, name)) = verdict(line) {
            let top = !line.starts_with(' ');
            let pending = self.pending.remove(name);
            self.current = Current::None;
            match verdict {
                "PASS" => self.tally.passed += u32::from(top),
                "SKIP" => self.tally.skipped += u32::from(top),
                _ => {
                    self.tally.failed += u32::from(top);
                    keep(&mut self.failures, pending.unwrap_or_else(|| Failed::new(name)));
                    self.current = Current::Failed;
                }
            }
        } else if line.starts_with("panic: ") {
            self.panic.get_or_insert_with(|| line.to_owned());
        } else if line.starts_with("    ") {
            self.message(line);
        }
    }

    fn message(&mut self, line: &str) {
        let failure = match &self.current {
            Current::None => return,
            Current::Failed => self.failures.last_mut(),
            Current::Pending(name) if self.pending.contains_key(name) || self.pending.len() < MAX_PENDING => {
                Some(self.pending.entry(name.clone()).or_insert_with(|| Failed::new(name)))
            }
            Current::Pending(_) => None,
        };
        if let Some(failure) = failure {
            say(failure, line);
        }
    }
}

/// Takes a line of a test: `    x_test.go:12: message`, or more of that message.
pub(super) fn say(failure: &mut Failed, line: &str) {
    let text = line.trim_start();
    match text.split_once(": ").and_then(|(place, message)| Some((place.split_once(".go:")?, message))) {
        Some(((file, number), message)) if !file.contains(' ') => {
            failure.say(message);
            if let Ok(number) = number.parse() {
                failure.place(&format!("{file}.go"), Some(number));
            }
        }
        _ if !failure.message.is_empty() => failure.say(text),
        _ => {}
    }
}

/// Without the tests that failed only because a subtest did.
pub(super) fn without_parents(failures: Vec<Failed>) -> Vec<Failed> {
    let names: Vec<String> = failures.iter().map(|failure| failure.name.clone()).collect();
    let is_parent = |name: &str| {
        names.iter().any(|other| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
    };
    failures.into_iter().filter(|failure| !failure.message.is_empty() || !is_parent(&failure.name)).collect()
}

/// Go says files by their name alone. The package's import path ends with its folder in the module: how much of it
/// does is not said, so every ending is tried, the longest first.
pub(super) fn in_package(mut failure: Failed, package: &str) -> Failed {
    failure.each_place_also(|file| {
        let parts: Vec<&str> = package.split('/').filter(|part| !part.is_empty()).collect();
        (0..parts.len()).rev().map(|from| format!("{}/{file}", parts[from..].join("/"))).collect()
    });
    failure
}

/// Whether it failed, its name and the rest of a package's last line, `ok`, name and time with tabs between them.
fn package_end(line: &str) -> Option<(bool, &str, &str)> {
    let (word, rest) = line.split_once('\t')?;
    let (failed, rest) = match word {
        "ok  " => (false, rest),
        "FAIL" => (true, rest),
        // Packages without tests, with coverage or without.
        "?   " | "" if rest.ends_with("[no test files]") || rest.contains("coverage: 0.0%") => (false, rest),
        _ => return None,
    };
    let (name, rest) = rest.split_once(['\t', ' ']).unwrap_or((rest, ""));
    let rest = if word.trim().is_empty() { "[no test files]" } else { rest };
    (!name.is_empty()).then_some((failed, name, rest))
}

fn verdict(line: &str) -> Option<(&str, &str)> {
    let (verdict, rest) = line.trim_start().strip_prefix("--- ")?.split_once(": ")?;
    let (name, time) = rest.rsplit_once(" (")?;
    let known = matches!(verdict, "PASS" | "FAIL" | "SKIP") && time.ends_with("s)");
    known.then_some((verdict, name))
}
