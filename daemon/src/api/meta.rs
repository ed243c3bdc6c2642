//! The daemon itself.

use super::App;
use super::extract::Answer;
use crate::engine::Engine as _;
use crate::system;
use axum::Json;
use axum::extract::State;
use devd_proto::{DaemonStatus, Doctor, Status, Version};

/// The daemon's version, process and start.
#[utoipa::path(get, path = "/v1/version", tag = "daemon", responses((status = 200, body = Version)))]
pub(super) async fn version(State(app): State<App>) -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: devd_proto::API_VERSION.to_owned(),
        pid: std::process::id(),
        started_at: app.started_at.to_string(),
    })
}

/// Everything the daemon knows.
#[utoipa::path(get, path = "/v1/status", tag = "daemon", responses((status = 200, body = Status)))]
pub(super) async fn status(State(app): State<App>) -> Json<Status> {
    app.registry.up_to_date().await;
    let projects = app.registry.all();
    Json(Status {
        daemon: DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: app.started.elapsed().as_millis() as u64,
            replaced: app.program.as_ref().is_some_and(|program| program.is_replaced()),
            engine: app.registry.surroundings().engine.status(),
        },
        projects: projects.iter().map(|project| (*project.status()).clone()).collect(),
    })
}

/// What is wrong with the machine, and how to mend it.
#[utoipa::path(get, path = "/v1/doctor", tag = "daemon", responses((status = 200, body = Doctor)))]
pub(super) async fn doctor(State(app): State<App>) -> Answer<Doctor> {
    let engine = app.registry.surroundings().engine.status();
    let (state_dir, program) = (app.state_dir.to_path_buf(), app.program.clone());
    let examine = move || system::doctor::examine(&engine, &state_dir, program.as_deref());
    let findings = tokio::task::spawn_blocking(examine).await;
    let findings = findings.unwrap_or_default();
    Ok(Json(Doctor { findings }))
}

/// Counters and gauges as Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "daemon", responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn metrics(State(app): State<App>) -> String {
    let engine = app.registry.surroundings().engine.status();
    let projects: Vec<_> = app.registry.all().iter().map(|project| project.status()).collect();
    let surroundings = app.registry.surroundings();
    let (watched, kept) = (surroundings.watcher.numbers(), surroundings.history.numbers());
    let counts = system::metrics::Counts {
        uptime: app.started.elapsed(),
        environments: surroundings.machine.environments(),
        folders: watched.folders,
        events_waiting: watched.waiting,
        events_dropped: watched.dropped,
        history_waiting: kept.waiting,
        output_left_out: kept.left_out,
    };
    surroundings.metrics.text(&engine, &projects, &counts)
}
