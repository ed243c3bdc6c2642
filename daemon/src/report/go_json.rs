//! `go test -json`.

use super::Format;
use super::found::{Failed, Found, keep};
use super::go::{Tally, in_package, say, without_parents};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Tests under way at the same time whose messages are kept.
const MAX_PENDING: usize = 1024;
/// Packages at the same time.
const MAX_PACKAGES: usize = 10_000;

/// Reads go test's events.
#[derive(Debug, Default)]
pub(super) struct GoJson {
    packages: BTreeMap<String, Package>,
    ended: u32,
    total: Tally,
    failures: Vec<Failed>,
    odd: bool,
}

#[derive(Debug, Default)]
struct Package {
    tally: Tally,
    began: u32,
    failures: Vec<Failed>,
    pending: BTreeMap<String, Failed>,
    panic: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    #[serde(default)]
    package: String,
    test: Option<String>,
    output: Option<String>,
}

impl Format for GoJson {
    fn line(&mut self, line: &str) {
        if !line.starts_with('{') || !line.contains("\"Action\":") {
            return;
        }
        let Ok(event) = serde_json::from_str::<Event>(line) else { return };
        if event.package.is_empty() {
            return;
        }
        if !self.packages.contains_key(&event.package) && self.packages.len() == MAX_PACKAGES {
            self.odd = true;
            return;
        }
        let package = self.packages.entry(event.package.clone()).or_default();
        match (event.action.as_str(), event.test) {
            ("output", test) => package.output(test, event.output.as_deref().unwrap_or("")),
            ("run", Some(test)) => package.began += u32::from(!test.contains('/')),
            (verdict @ ("pass" | "fail" | "skip"), Some(test)) => package.verdict(verdict, &test),
            (verdict @ ("pass" | "fail" | "skip"), None) => self.end(&event.package, verdict == "fail"),
            _ => {}
        }
    }

    fn finish(self: Box<Self>) -> Option<Found> {
        // A package that did not end was cut off.
        (self.ended > 0 && self.packages.is_empty() && !self.odd).then(|| self.total.found(self.failures))
    }
}

impl GoJson {
    fn end(&mut self, name: &str, failed: bool) {
        let Some(Package { mut tally, began, failures, panic, .. }) = self.packages.remove(name) else {
            return;
        };
        self.ended += 1;
        tally.hidden = began != tally.passed + tally.failed + tally.skipped;
        tally.unexplained = failed && tally.failed == 0;
        for failure in without_parents(failures) {
            keep(&mut self.failures, in_package(failure, name));
        }
        if tally.unexplained {
            let mut failure = Failed::new(name);
            failure.say(panic.as_deref().unwrap_or("the package failed, and none of its tests did"));
            keep(&mut self.failures, failure);
        }
        self.total.add(&tally);
    }
}

impl Package {
    fn output(&mut self, test: Option<String>, text: &str) {
        let text = text.trim_end_matches('\n');
        if text.starts_with("panic: ") || text.ends_with("[build failed]") || text.ends_with("[setup failed]")
        {
            self.panic.get_or_insert_with(|| text.to_owned());
        }
        let Some(test) = test.filter(|_| text.starts_with("    ") && !text.trim_start().starts_with("--- "))
        else {
            return;
        };
        if self.pending.len() < MAX_PENDING || self.pending.contains_key(&test) {
            let name = test.clone();
            say(self.pending.entry(test).or_insert_with(|| Failed::new(&name)), text);
        }
    }

    fn verdict(&mut self, verdict: &str, test: &str) {
        let top = u32::from(!test.contains('/'));
        let pending = self.pending.remove(test);
        match verdict {
            "pass" => self.tally.passed += top,
            "skip" => self.tally.skipped += top,
            _ => {
                self.tally.failed += top;
                keep(&mut self.failures, pending.unwrap_or_else(|| Failed::new(test)));
            }
        }
    }
}
