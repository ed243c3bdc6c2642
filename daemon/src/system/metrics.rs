//! Numbers about the daemon as Prometheus text.

use devd_proto::{EngineState, EngineStatus, ProjectStatus};
use std::fmt::Write as _;
use std::time::Duration;

/// Renders the gauges that the statuses hold. The text format is a handful of lines, so no library stands between.
pub fn text(engine: &EngineStatus, projects: &[std::sync::Arc<ProjectStatus>], uptime: Duration) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, samples: &[(String, u64)]| {
        // Writing to a string cannot fail; so below.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let connected = u64::from(engine.state == EngineState::Connected);
    gauge("devd_uptime_seconds", "How long the daemon has run.", &[(String::new(), uptime.as_secs())]);
    gauge("devd_engine_connected", "Whether the container engine answers.", &[(String::new(), connected)]);
    gauge("devd_projects", "Registered projects.", &[(String::new(), projects.len() as u64)]);
    let services =
        || projects.iter().flat_map(|project| project.services.iter().map(move |it| (project, it)));
    let restarts: Vec<_> = services()
        .map(|(project, it)| {
            (format!("{{project=\"{}\",service=\"{}\"}}", project.name, it.name), u64::from(it.restarts))
        })
        .collect();
    gauge("devd_service_restarts", "Restarts by devd since the project was registered.", &restarts);
    let running: Vec<_> = services()
        .map(|(project, it)| {
            let up = it.state == devd_proto::ServiceState::Running;
            (format!("{{project=\"{}\",service=\"{}\"}}", project.name, it.name), u64::from(up))
        })
        .collect();
    gauge("devd_service_running", "Whether the service runs.", &running);
    out
}
