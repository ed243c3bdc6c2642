//! What crosses the socket, as JSON in `golden/`: a file `NAME.NUMBER.json` for each format that a released devd spoke. The
//! newest is what this one writes; all of them must be understood. A change of the format is a new file, so that a client
//! of today still reads a daemon of yesterday.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use devd_proto::{
    ContainerRef, DaemonStatus, Diagnostic, EngineState, EngineStatus, Event, Health, LastChange, LastExit,
    Leftover, Leftovers, Port, Problem, ProjectState, ProjectStatus, ReplicaStatus, Run, Runs, ServiceState,
    ServiceStatus, Severity, Stage, Status, TestFailure, TestsState, TestsStatus, Version, What,
};
use expect_test::expect_file;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The files of a format by their numbers.
fn files(name: &str) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(u32, PathBuf)> = entries
        .filter_map(|path| {
            let number = path.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('.')?;
            Some((number.strip_suffix(".json")?.parse().ok()?, path))
        })
        .collect();
    files.sort();
    files
}

fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, sample: &T) {
    let text = format!("{}\n", serde_json::to_string_pretty(sample).unwrap());
    let files = files(name);
    let newest =
        files.last().map_or_else(|| golden().join(format!("{name}.1.json")), |(_, path)| path.clone());
    expect_file![newest.clone()].assert_eq(&text);
    for (number, path) in &files {
        let read: T = serde_json::from_str(&std::fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{name}.{number}.json is not understood any more: {error}"));
        if *path == newest {
            assert_eq!(read, *sample);
        }
    }
}

fn service(name: &str) -> ServiceStatus {
    let container = Some(ContainerRef { id: "0123".into(), name: format!("shop-{name}-1") });
    let port = Port { host_ip: "0.0.0.0".into(), host: 8001, container: 8000, protocol: "tcp".into() };
    ServiceStatus {
        name: name.into(),
        state: ServiceState::Backoff,
        health: Health::Unhealthy,
        reason: Some("waiting for db (healthy)".into()),
        container: container.clone(),
        ports: vec![port.clone()],
        since: Some("2026-01-02T03:04:05.678Z".into()),
        restarts: 3,
        last_exit: Some(LastExit {
            code: 137,
            at: "2026-01-02T03:04:05.678Z".into(),
            output: vec!["oops".into()],
        }),
        last_change: Some(LastChange {
            path: "api/main.py".into(),
            at: "2026-01-02T03:04:05.678Z".into(),
            action: "restart".into(),
        }),
        tests: TestsStatus {
            state: TestsState::Failed,
            current: true,
            run: Some("shop-7".into()),
            started_at: Some("2026-01-02T03:04:05.678Z".into()),
            duration_ms: Some(412),
            passed: Some(4),
            failed: Some(1),
            skipped: Some(0),
            reason: Some("1 of 5 failed".into()),
            warm: 1,
        },
        replicas: vec![ReplicaStatus {
            index: 1,
            state: ServiceState::Running,
            health: Health::Healthy,
            reason: None,
            container,
            ports: vec![port],
        }],
    }
}

fn project() -> ProjectStatus {
    ProjectStatus {
        name: "shop".into(),
        root: "/p/shop".into(),
        state: ProjectState::Degraded,
        error: Some(Diagnostic {
            severity: Severity::Error,
            code: "unknown_key".into(),
            message: "unknown key `imagee`".into(),
            file: Some("/p/shop/compose.yaml".into()),
            line: Some(3),
            column: Some(5),
            help: Some("did you mean `image`?".into()),
            rendered: "error: unknown key `imagee`\n".into(),
        }),
        revision: 17,
        settled: true,
        services: vec![service("api")],
    }
}

fn run() -> Run {
    Run {
        id: "shop-7".into(),
        project: "shop".into(),
        service: "api".into(),
        state: TestsState::Failed,
        cause: "save".into(),
        paths: vec!["api/main.py".into()],
        content: "abc".into(),
        command: vec!["python3".into(), "-m".into(), "unittest".into()],
        partial: true,
        exit_code: Some(1),
        reason: Some("it was too slow".into()),
        started_at: "2026-01-02T03:04:05.678Z".into(),
        finished_at: Some("2026-01-02T03:04:06.678Z".into()),
        duration_ms: Some(1000),
        passed: Some(4),
        failed: Some(1),
        skipped: Some(0),
        failures: vec![TestFailure {
            name: "test_a".into(),
            file: Some("/p/shop/api/test_a.py".into()),
            line: Some(7),
            message: "1 != 2".into(),
        }],
        stages: vec![Stage { name: "done".into(), at_us: 17 }],
    }
}

fn event(id: u64, what: What) -> Event {
    Event { id, at: "2026-01-02T03:04:05.678Z".into(), project: "shop".into(), what }
}

#[test]
fn status() {
    let engine = EngineStatus {
        state: EngineState::Connected,
        kind: "docker".into(),
        version: "28.0.1".into(),
        endpoint: "unix:///var/run/docker.sock".into(),
        error: Some("no answer".into()),
    };
    let daemon = DaemonStatus { version: "0.1.0".into(), pid: 4242, uptime_ms: 1000, replaced: true, engine };
    check("status", &Status { daemon, projects: vec![project()] });
}

#[test]
fn events() {
    let events = vec![
        event(1, What::Status { status: Box::new(project()) }),
        event(
            2,
            What::Service {
                service: "api".into(),
                from: ServiceState::Starting,
                to: ServiceState::Running,
                reason: Some("the file changed".into()),
            },
        ),
        event(
            3,
            What::Changed {
                service: "api".into(),
                paths: vec!["api/main.py".into()],
                action: "restart".into(),
            },
        ),
        event(4, What::RunStarted { run: Box::new(run()) }),
        event(5, What::RunFinished { run: Box::new(run()) }),
        event(6, What::Removed),
        event(6, What::Lost { count: 3 }),
    ];
    check("events", &events);
}

#[test]
fn runs() {
    check("runs", &Runs { runs: vec![run()], next: Some("shop-6".into()) });
}

#[test]
fn version() {
    let (version, api) = ("0.1.0".into(), "v1".into());
    check("version", &Version { version, api, pid: 4242, started_at: "2026-01-02T03:04:05.678Z".into() });
}

#[test]
fn leftovers() {
    let leftover = Leftover {
        kind: "network".into(),
        id: "0123".into(),
        name: "shop-devd-1_default".into(),
        project: "shop".into(),
        role: "tests".into(),
        reason: "nobody needs it".into(),
        removed: true,
        error: Some("it is in use".into()),
    };
    check("leftovers", &Leftovers { leftovers: vec![leftover.clone()], kept: vec![leftover] });
}

#[test]
fn problem() {
    let mut problem = Problem::new(devd_proto::Code::NoTests, "api has no tests").help("write some");
    problem.diagnostics.push(Diagnostic { message: "none".into(), ..Diagnostic::default() });
    check("problem", &problem);
}

/// A daemon of tomorrow has words and fields that nobody knows today.
#[test]
fn a_word_that_only_a_newer_daemon_knows_does_not_hide_the_rest() {
    let text = std::fs::read_to_string(golden().join("status.1.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["daemon"]["engine"]["state"] = "asleep".into();
    value["daemon"]["mood"] = "good".into();
    let project = &mut value["projects"][0];
    project["state"] = "haunted".into();
    project["error"]["severity"] = "hint".into();
    let service = &mut project["services"][0];
    service["state"] = "dreaming".into();
    service["health"] = "glowing".into();
    service["tests"]["state"] = "flaky".into();
    let status: Status = serde_json::from_value(value).unwrap();
    let project = &status.projects[0];
    let service = &project.services[0];
    assert_eq!(status.daemon.engine.state, EngineState::Unknown);
    assert_eq!((project.state, service.state), (ProjectState::Unknown, ServiceState::Unknown));
    assert_eq!((service.health, service.tests.state), (Health::Unknown, TestsState::Unknown));
    assert_eq!(project.error.as_ref().map(|error| error.severity), Some(Severity::Unknown));
    assert_eq!(service.name.as_str(), "api");
}
