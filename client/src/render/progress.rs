//! What a project is on its way to, while one waits for it.

use super::status::{parts, state_style, state_word, tells_code};
use super::style::{BAD, DIM, HEADER, paint};
use super::time;
use devd_proto::{ProjectStatus, ServiceState, ServiceStatus};
use jiff::Timestamp;

/// The picture on a terminal: a line a service, none wider than the terminal, no more than fit.
pub(crate) fn picture(status: &ProjectStatus, now: Timestamp, columns: usize, rows: usize) -> Vec<String> {
    let width = status.services.iter().map(|s| s.name.as_str().chars().count()).max().unwrap_or(0);
    let mut services: Vec<&ServiceStatus> = status.services.iter().collect();
    let room = rows.saturating_sub(2).max(1);
    if services.len() > room {
        // What is done is the least interesting.
        services.sort_by_key(|service| is_done(service.state));
    }
    let hidden = services.len().saturating_sub(room);
    let shown = if hidden > 0 { &services[..room - 1] } else { &services[..] };
    let mut lines: Vec<String> = shown.iter().map(|s| picture_line(s, width, now, columns)).collect();
    if hidden > 0 {
        lines.push(paint(DIM, &format!("and {} more", hidden + 1)));
    }
    lines
}

fn picture_line(service: &ServiceStatus, width: usize, now: Timestamp, columns: usize) -> String {
    let age = match &service.since {
        Some(since) if !is_done(service.state) => time::age(since, now),
        Some(_) | None => String::new(),
    };
    let word = state_word(service.state);
    let state = state_style(service.state);
    let head = format!("{:width$}  ", service.name);
    let room = columns.saturating_sub(head.chars().count() + WORD + 3);
    let reason = service.reason.as_deref().map_or("", |reason| parts(reason).0);
    let tail = format!("{age:>4}  {reason}");
    let tail: String = tail.trim_end().chars().take(room).collect();
    if tail.is_empty() {
        return format!("{head}{}", paint(state, word));
    }
    format!("{head}{}  {}", paint(state, &format!("{word:<WORD$}")), paint(DIM, &tail))
}

/// The longest word for a state, `restarting`.
const WORD: usize = 10;

fn is_done(state: ServiceState) -> bool {
    match state {
        ServiceState::Running | ServiceState::Stopped | ServiceState::Completed => true,
        ServiceState::Pending
        | ServiceState::Building
        | ServiceState::Starting
        | ServiceState::Restarting
        | ServiceState::Backoff
        | ServiceState::Failed
        | ServiceState::Unknown => false,
    }
}

/// Whether a state is one on the way to another.
fn is_passing(state: ServiceState) -> bool {
    matches!(state, ServiceState::Building | ServiceState::Starting | ServiceState::Restarting)
}

/// Where nothing can be drawn over: a line for each service whose state or reason is another than before.
pub(crate) fn changes(before: Option<&ProjectStatus>, after: &ProjectStatus) -> Vec<String> {
    let previous = |service: &ServiceStatus| {
        before.and_then(|status| status.services.iter().find(|old| old.name == service.name))
    };
    after
        .services
        .iter()
        .filter(|service| match previous(service) {
            // What a build or a start is at is for a terminal that can draw over it.
            Some(old) if is_passing(service.state) => old.state != service.state,
            Some(old) => (old.state, &old.reason) != (service.state, &service.reason),
            None => service.state != ServiceState::Stopped,
        })
        .map(|service| {
            let state = paint(state_style(service.state), state_word(service.state));
            let reason = service.reason.as_ref().filter(|_| !is_passing(service.state));
            let reason = reason.map_or_else(String::new, |reason| format!(" ({})", parts(reason).0));
            format!("{}: {state}{reason}", service.name)
        })
        .collect()
}

/// Without the services that are on their way somewhere.
pub(crate) fn at_rest(status: &ProjectStatus) -> ProjectStatus {
    let mut status = status.clone();
    status.services.retain(|service| is_done(service.state));
    status
}

/// Why a service is not as it should be: its reason, how it ended, and its last words.
pub(crate) fn trouble(service: &ServiceStatus) -> String {
    let (reason, output) = parts(service.reason.as_deref().unwrap_or(state_word(service.state)));
    let mut out = format!("{} {}\n", paint(HEADER, &format!("{}:", service.name)), paint(BAD, reason));
    for line in output {
        out.push_str(&format!("  {} {line}\n", paint(DIM, "|")));
    }
    if let Some(exit) = &service.last_exit {
        if !tells_code(service, exit.code) {
            out.push_str(&format!("  exit code {}\n", exit.code));
        }
        for line in super::status::last(&exit.output) {
            out.push_str(&format!("  {} {line}\n", paint(DIM, "|")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::status::test::{project, service};
    use super::*;
    use expect_test::expect;

    fn plain(lines: &[String]) -> String {
        lines.iter().map(|line| format!("{}\n", anstream::adapter::strip_str(line))).collect()
    }

    fn shop() -> ProjectStatus {
        let mut web = service("service1", ServiceState::Pending);
        web.reason = Some("waiting for db (healthy)".to_owned());
        project(vec![service("db", ServiceState::Running), web])
    }

    #[test]
    fn the_picture_has_a_line_a_service_and_fits() {
        let now = "2026-05-01T12:00:00Z".parse().unwrap();
        expect![[r#"
            db        running
            service1  pending       1m  waiting for db (healthy)
        "#]]
        .assert_eq(&plain(&picture(&shop(), now, 80, 24)));
        expect![[r#"
            db        running
            service1  pending       1m  waiting
        "#]]
        .assert_eq(&plain(&picture(&shop(), now, 36, 24)));
        expect![[r#"
              and 2 more
        "#]]
        .assert_eq(&plain(&picture(&shop(), now, 80, 3)));
    }

    #[test]
    fn the_output_of_a_failed_build_stays_out_of_the_picture() {
        let now = "2026-05-01T12:00:00Z".parse().unwrap();
        let mut web = service("web", ServiceState::Failed);
        web.reason = Some("RUN make failed\nStep 1/2 : FROM x\nStep 2/2 : RUN make".to_owned());
        let status = project(vec![web]);
        assert_eq!(plain(&picture(&status, now, 80, 24)), "web  failed        1m  RUN make failed\n");
        assert_eq!(plain(&changes(None, &status)), "web: failed (RUN make failed)\n");
        let told = "web: RUN make failed\n  | Step 1/2 : FROM x\n  | Step 2/2 : RUN make\n\n";
        assert_eq!(plain(&[trouble(&status.services[0])]), told);
    }

    #[test]
    fn only_what_changed_is_a_line() {
        let before = shop();
        let mut after = shop();
        after.services[1] = service("service1", ServiceState::Starting);
        expect![[r"
            db: running
            service1: pending (waiting for db (healthy))
        "]]
        .assert_eq(&plain(&changes(None, &before)));
        expect![[r"
            service1: starting
        "]]
        .assert_eq(&plain(&changes(Some(&before), &after)));
    }
}
