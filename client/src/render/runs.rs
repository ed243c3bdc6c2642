//! Test runs and their verdicts.

use super::style::{BAD, BUSY, DIM, GOOD, HEADER, PLAIN, WARN, paint};
use super::table::{Table, cell};
use super::time;
use anstyle::Style;
use devd_proto::{Run, TestFailure, TestsState};
use jiff::Timestamp;

/// How many tests did what, where the output tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: Option<u32>,
    pub(crate) failed: Option<u32>,
    pub(crate) skipped: Option<u32>,
}

impl From<&Run> for Counts {
    fn from(run: &Run) -> Self {
        Self { passed: run.passed, failed: run.failed, skipped: run.skipped }
    }
}

/// `passed 5`, `failed 2 of 7`, `running`, …
pub(crate) fn verdict(state: TestsState, counts: Counts) -> (String, Style) {
    let Counts { passed, failed, skipped } = counts;
    let skipped = match skipped {
        None | Some(0) => String::new(),
        Some(skipped) => format!(", skipped {skipped}"),
    };
    match state {
        TestsState::None => ("none".to_owned(), DIM),
        TestsState::Queued => ("queued".to_owned(), BUSY),
        TestsState::Running => ("running".to_owned(), BUSY),
        TestsState::Passed => {
            let count = passed.map_or_else(String::new, |passed| format!(" {passed}"));
            (format!("passed{count}{skipped}"), GOOD)
        }
        TestsState::Failed => {
            let count = match (failed, passed) {
                (Some(failed), Some(passed)) => format!(" {failed} of {}", failed + passed),
                (Some(failed), None) => format!(" {failed}"),
                (None, _) => String::new(),
            };
            (format!("failed{count}{skipped}"), BAD)
        }
        TestsState::Error => ("error".to_owned(), BAD),
        TestsState::Cancelled => ("cancelled".to_owned(), WARN),
        TestsState::Unknown => ("unknown".to_owned(), WARN),
    }
}

/// One line for a run that has ended, and a line for each test that failed.
pub(crate) fn result(run: &Run) -> String {
    let (mut text, style) = verdict(run.state, run.into());
    if let Some(duration) = run.duration_ms {
        text.push_str(&format!(" ({})", time::duration(duration)));
    }
    if let Some(reason) = &run.reason {
        text.push_str(&format!(": {reason}"));
    } else if let (TestsState::Failed, None, Some(code)) = (run.state, run.failed, run.exit_code) {
        text.push_str(&format!(": exit code {code}"));
    }
    let mut out = format!("{}: {}\n", paint(HEADER, run.service.as_str()), paint(style, &text));
    for failure in &run.failures {
        out.push_str(&failed_test(failure));
    }
    out
}

fn failed_test(failure: &TestFailure) -> String {
    let place = match (&failure.file, failure.line) {
        (Some(file), Some(line)) => format!("  {file}:{line}"),
        (Some(file), None) => format!("  {file}"),
        (None, _) => String::new(),
    };
    let mut out = format!("  {} {}{}\n", paint(BAD, "✗"), failure.name, paint(DIM, &place));
    if let Some(first) = failure.message.lines().find(|line| !line.trim().is_empty()) {
        out.push_str(&format!("    {}\n", first.trim_end()));
    }
    out
}

/// The history.
pub(crate) fn table(runs: &[Run], now: Timestamp) -> String {
    let mut table = Table::default();
    table.row(["RUN", "SERVICE", "VERDICT", "TIME", "STARTED", "CAUSE"].map(|title| cell(DIM, title)));
    for run in runs {
        let (text, style) = verdict(run.state, run.into());
        table.row([
            cell(PLAIN, run.id.as_str()),
            cell(PLAIN, run.service.as_str()),
            cell(style, text),
            cell(PLAIN, run.duration_ms.map_or_else(|| "-".to_owned(), time::duration)),
            cell(PLAIN, time::ago(&run.started_at, now)),
            cell(DIM, cause(run)),
        ]);
    }
    table.render(0)
}

fn cause(run: &Run) -> String {
    match run.paths.as_slice() {
        [] => run.cause.clone(),
        [path] => format!("{}: {path}", run.cause),
        [path, more @ ..] => format!("{}: {path} and {} more", run.cause, more.len()),
    }
}

/// Everything about one run.
pub(crate) fn details(run: &Run, now: Timestamp) -> String {
    let mut table = Table::default();
    let mut fact = |title: &str, text: String| {
        if !text.is_empty() {
            table.row([cell(DIM, title), cell(PLAIN, text)]);
        }
    };
    fact("run", run.id.to_string());
    fact("project", run.project.to_string());
    fact("command", run.command.join(" "));
    fact("cause", run.cause.clone());
    fact("changed", run.paths.join(", "));
    fact("started", format!("{} ({})", run.started_at, time::ago(&run.started_at, now)));
    fact("finished", run.finished_at.clone().unwrap_or_default());
    fact("exit code", run.exit_code.map_or_else(String::new, |code| code.to_string()));
    let stages: Vec<String> =
        run.stages.iter().map(|s| format!("{} {}", s.name, time::microseconds(s.at_us))).collect();
    fact("stages", stages.join(", "));
    format!("{}{}", result(run), table.render(2))
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod test;
