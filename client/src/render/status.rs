//! `devd status`: projects, services, verdicts.

use super::addresses::mappings;
use super::style::{BAD, BUSY, DIM, GOOD, HEADER, PLAIN, WARN, diagnostic, paint};
use super::table::{Cell, Table, cell};
use super::{runs, time};
use anstyle::Style;
use devd_proto::{
    DaemonStatus, EngineState, Health, ProjectState, ProjectStatus, ServiceState, ServiceStatus, TestsState,
};
use jiff::Timestamp;

/// The last lines of a process that died, and no more: the rest is in `devd logs`.
const OUTPUT_LINES: usize = 10;

/// The same of a build that failed, whose reason is its first line.
const REASON_LINES: usize = 5;

/// What is to be said before any project: only that the engine is away.
pub(crate) fn engine(daemon: &DaemonStatus) -> Option<String> {
    let engine = &daemon.engine;
    match engine.state {
        EngineState::Connected => None,
        EngineState::Disconnected | EngineState::Unknown => {
            let why = engine.error.as_deref().map_or_else(String::new, |error| format!(": {error}"));
            let text = format!("the engine at {} cannot be reached{why}", engine.endpoint);
            Some(format!("{}\n", paint(BAD, &text)))
        }
    }
}

/// Every project with its services.
pub(crate) fn projects<'a>(projects: impl IntoIterator<Item = &'a ProjectStatus>, now: Timestamp) -> String {
    projects.into_iter().map(|p| project(p, now)).collect::<Vec<_>>().join("\n")
}

fn project(project: &ProjectStatus, now: Timestamp) -> String {
    let (word, style) = match project.state {
        ProjectState::Starting => ("starting", BUSY),
        ProjectState::Running => ("running", GOOD),
        ProjectState::Degraded => ("degraded", BAD),
        ProjectState::Stopped => ("stopped", DIM),
        ProjectState::Invalid => ("invalid", BAD),
        ProjectState::Unknown => ("unknown", WARN),
    };
    let mut out = format!(
        "{}  {}  {}\n",
        paint(HEADER, project.name.as_str()),
        paint(style, word),
        paint(DIM, &project.root)
    );
    if let Some(error) = &project.error {
        for line in diagnostic(error).lines() {
            out.push_str(&format!("  {line}\n"));
        }
        out.push_str(&paint(DIM, "  what ran before keeps running; save a file that loads to go on"));
        out.push('\n');
    }
    if !project.services.is_empty() {
        out.push_str(&services(&project.services, now));
    }
    out
}

fn services(services: &[ServiceStatus], now: Timestamp) -> String {
    let mut table = Table::default();
    let header = ["SERVICE", "STATE", "RESTARTS", "PORTS", "CHANGED", "TESTS"];
    table.row(header.map(|title| cell(DIM, title)));
    for service in services {
        let (state_text, style) = state(service, now);
        let restarts =
            if service.restarts == 0 { cell(DIM, "-") } else { cell(PLAIN, service.restarts.to_string()) };
        let changed = service
            .last_change
            .as_ref()
            .map(|change| format!("{} {}", change.path, time::ago(&change.at, now)).trim_end().to_owned());
        table.row([
            cell(PLAIN, service.name.as_str()),
            cell(style, state_text),
            restarts,
            or_dash(mappings(&service.ports)),
            or_dash(changed.unwrap_or_default()),
            tests(service, now),
        ]);
        trouble(&mut table, service, now);
    }
    table.render(2)
}

fn or_dash(text: String) -> Cell {
    if text.is_empty() { cell(DIM, "-") } else { cell(PLAIN, text) }
}

fn state(service: &ServiceStatus, now: Timestamp) -> (String, Style) {
    let mut text = state_word(service.state).to_owned();
    let mut style = state_style(service.state);
    if let Some(since) = &service.since {
        let age = time::age(since, now);
        if !age.is_empty() {
            text.push_str(&format!(" {age}"));
        }
    }
    if !service.replicas.is_empty() {
        let there = service.replicas.iter().filter(|replica| replica.state == ServiceState::Running).count();
        text.push_str(&format!(" {there}/{}", service.replicas.len()));
    }
    match service.health {
        Health::None | Health::Unknown => {}
        Health::Starting => text.push_str(" (health: starting)"),
        Health::Healthy => text.push_str(" (healthy)"),
        Health::Unhealthy => {
            text.push_str(" (unhealthy)");
            style = BAD;
        }
    }
    (text, style)
}

pub(crate) fn state_word(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Pending => "pending",
        ServiceState::Building => "building",
        ServiceState::Starting => "starting",
        ServiceState::Running => "running",
        ServiceState::Restarting => "restarting",
        ServiceState::Backoff => "backoff",
        ServiceState::Stopped => "stopped",
        ServiceState::Completed => "completed",
        ServiceState::Failed => "failed",
        ServiceState::Unknown => "unknown",
    }
}

pub(crate) fn state_style(state: ServiceState) -> Style {
    match state {
        ServiceState::Pending
        | ServiceState::Building
        | ServiceState::Starting
        | ServiceState::Restarting => BUSY,
        ServiceState::Running | ServiceState::Completed => GOOD,
        ServiceState::Stopped => DIM,
        ServiceState::Backoff | ServiceState::Failed => BAD,
        ServiceState::Unknown => WARN,
    }
}

fn tests(service: &ServiceStatus, now: Timestamp) -> Cell {
    let tests = &service.tests;
    let (mut text, mut style) = runs::verdict(
        tests.state,
        runs::Counts { passed: tests.passed, failed: tests.failed, skipped: tests.skipped },
    );
    match tests.state {
        TestsState::None => return cell(DIM, "-"),
        TestsState::Running => {
            if let Some(started) = &tests.started_at {
                text.push_str(&format!(" {}", time::age(started, now)));
            }
            return cell(style, text);
        }
        TestsState::Queued => return cell(style, text),
        TestsState::Passed
        | TestsState::Failed
        | TestsState::Error
        | TestsState::Cancelled
        | TestsState::Unknown => {}
    }
    if tests.current {
        if let Some(duration) = tests.duration_ms {
            text.push_str(&format!(" ({})", time::duration(duration)));
        }
    } else {
        text.push_str(", stale");
        style = if tests.state == TestsState::Passed { WARN } else { style.dimmed() };
    }
    // The next run begins at once.
    if tests.warm > 0 {
        text.push_str(&format!(", warm: {}", tests.warm));
    }
    cell(style, text)
}

/// The lines under a service that is not as it should be, or that waits.
fn trouble(table: &mut Table, service: &ServiceStatus, now: Timestamp) {
    let style = if is_bad(service) { BAD } else { DIM };
    if let Some(reason) = &service.reason {
        let (first, output) = parts(reason);
        table.note(style, first);
        for line in output {
            table.note(DIM, format!("| {line}"));
        }
    }
    if is_bad(service)
        && let Some(exit) = &service.last_exit
    {
        if !tells_code(service, exit.code) {
            table.note(style, format!("exit code {} {}", exit.code, time::ago(&exit.at, now)).trim_end());
        }
        for line in last(&exit.output) {
            table.note(DIM, format!("| {line}"));
        }
    }
    if let Some(reason) = &service.tests.reason {
        let (first, output) = parts(reason);
        table.note(if tests_are_bad(service) { BAD } else { DIM }, format!("tests: {first}"));
        for line in output {
            table.note(DIM, format!("| {line}"));
        }
    }
    if tests_are_bad(service) && service.tests.state == TestsState::Failed {
        table.note(DIM, format!("devd logs --run last-failed {}", service.name));
    }
}

/// A reason's first line, and the last lines of the output that may be behind it.
pub(crate) fn parts(reason: &str) -> (&str, Vec<&str>) {
    let (first, output) = reason.split_once('\n').unwrap_or((reason, ""));
    let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    (first.trim_end(), lines[lines.len().saturating_sub(REASON_LINES)..].to_vec())
}

/// Whether the reason says with which code it ended.
pub(crate) fn tells_code(service: &ServiceStatus, code: i64) -> bool {
    let said = format!("with code {code}");
    let rest = service.reason.as_deref().and_then(|reason| reason.split_once(&said));
    rest.is_some_and(|(_, rest)| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

pub(crate) fn last(output: &[String]) -> &[String] {
    &output[output.len().saturating_sub(OUTPUT_LINES)..]
}

/// Whether the service itself is in trouble; its tests are another matter.
pub(crate) fn is_bad(service: &ServiceStatus) -> bool {
    matches!(service.state, ServiceState::Failed | ServiceState::Backoff)
        || service.health == Health::Unhealthy
}

/// Whether what is on disk now fails its tests.
pub(crate) fn tests_are_bad(service: &ServiceStatus) -> bool {
    service.tests.current && matches!(service.tests.state, TestsState::Failed | TestsState::Error)
}

#[cfg(test)]
#[path = "status_tests.rs"]
pub(crate) mod test;
