use super::*;
use devd_proto::{ContainerRef, Diagnostic, EngineStatus, LastChange, LastExit, Port, TestsStatus};
use expect_test::{Expect, expect};

pub(crate) fn service(name: &str, state: ServiceState) -> ServiceStatus {
    ServiceStatus {
        name: name.into(),
        state,
        health: Health::None,
        reason: None,
        container: Some(ContainerRef { id: "c0ffee".to_owned(), name: format!("shop-{name}-1") }),
        ports: Vec::new(),
        since: Some("2026-05-01T11:58:20.000Z".to_owned()),
        restarts: 0,
        last_exit: None,
        last_change: None,
        tests: TestsStatus {
            state: TestsState::None,
            current: false,
            run: None,
            started_at: None,
            duration_ms: None,
            passed: None,
            failed: None,
            skipped: None,
            reason: None,
            warm: 0,
        },
        replicas: Vec::new(),
    }
}

pub(crate) fn project(services: Vec<ServiceStatus>) -> ProjectStatus {
    ProjectStatus {
        name: "shop".into(),
        root: "/home/ann/shop".to_owned(),
        state: ProjectState::Running,
        error: None,
        revision: 7,
        settled: true,
        services,
    }
}

fn tested(mut service: ServiceStatus, state: TestsState, current: bool) -> ServiceStatus {
    service.tests = TestsStatus {
        state,
        current,
        started_at: Some("2026-05-01T11:59:58.000Z".to_owned()),
        duration_ms: Some(412),
        warm: 1,
        passed: Some(5),
        failed: Some(if state == TestsState::Failed { 2 } else { 0 }),
        skipped: Some(0),
        ..service.tests
    };
    service
}

fn check(project: &ProjectStatus, expected: &Expect) {
    let now = "2026-05-01T12:00:00Z".parse().unwrap();
    let text = projects([project], now);
    expected.assert_eq(&anstream::adapter::strip_str(&text).to_string());
}

#[test]
fn a_project_in_order() {
    let mut db = service("db", ServiceState::Running);
    db.health = Health::Healthy;
    let mut web = tested(service("service1", ServiceState::Running), TestsState::Passed, true);
    web.ports =
        vec![Port { host_ip: "0.0.0.0".to_owned(), host: 8001, container: 8000, protocol: "tcp".to_owned() }];
    web.restarts = 3;
    web.last_change = Some(LastChange {
        path: "Service 1/main.py".to_owned(),
        at: "2026-05-01T11:59:57.000Z".to_owned(),
        action: "restart".to_owned(),
    });
    let stale = tested(service("service2", ServiceState::Restarting), TestsState::Passed, false);
    let running = tested(service("service3", ServiceState::Running), TestsState::Running, true);
    check(
        &project(vec![db, web, stale, running]),
        &expect![[r#"
            shop  running  /home/ann/shop
              SERVICE    STATE                  RESTARTS   PORTS        CHANGED                    TESTS
              db         running 1m (healthy)   -          -            -                          -
              service1   running 1m             3          8001->8000   Service 1/main.py 3s ago   passed 5 (0.4s), warm: 1
              service2   restarting 1m          -          -            -                          passed 5, stale, warm: 1
              service3   running 1m             -          -            -                          running 2s
        "#]],
    );
}

#[test]
fn what_is_wrong_is_under_the_service() {
    let mut broken = tested(service("service1", ServiceState::Backoff), TestsState::Failed, true);
    broken.reason = Some("exited 3 times; next try in 4s".to_owned());
    broken.last_exit = Some(LastExit {
        code: 1,
        at: "2026-05-01T11:59:50.000Z".to_owned(),
        output: vec!["Traceback (most recent call last):".to_owned(), "NameError: x".to_owned()],
    });
    let mut waiting = service("service2", ServiceState::Pending);
    waiting.reason = Some("waiting for service1".to_owned());
    let mut status = project(vec![broken, waiting]);
    status.state = ProjectState::Degraded;
    check(
        &status,
        &expect![[r#"
            shop  degraded  /home/ann/shop
              SERVICE    STATE        RESTARTS   PORTS   CHANGED   TESTS
              service1   backoff 1m   -          -       -         failed 2 of 7 (0.4s), warm: 1
                  exited 3 times; next try in 4s
                  exit code 1 10s ago
                  | Traceback (most recent call last):
                  | NameError: x
                  devd logs --run last-failed service1
              service2   pending 1m   -          -       -         -
                  waiting for service1
        "#]],
    );
}

#[test]
fn files_that_do_not_load_are_shown_with_their_place() {
    let mut status = project(vec![service("db", ServiceState::Running)]);
    status.state = ProjectState::Invalid;
    status.error = Some(Diagnostic {
        message: "unknown key".to_owned(),
        rendered: "error: unknown key `imagee`\n --> compose.yaml:3:5\n  |\n3 |     imagee: redis\n"
            .to_owned(),
        ..Diagnostic::default()
    });
    check(
        &status,
        &expect![[r#"
        shop  invalid  /home/ann/shop
          error: unknown key `imagee`
           --> compose.yaml:3:5
            |
          3 |     imagee: redis
          what ran before keeps running; save a file that loads to go on
          SERVICE   STATE        RESTARTS   PORTS   CHANGED   TESTS
          db        running 1m   -          -       -         -
    "#]],
    );
}

#[test]
fn an_engine_that_is_away_is_said_first() {
    let daemon = DaemonStatus {
        version: "0.1.0".to_owned(),
        pid: 1,
        uptime_ms: 1,
        replaced: false,
        engine: EngineStatus {
            state: EngineState::Disconnected,
            kind: "docker".to_owned(),
            version: String::new(),
            endpoint: "unix:///var/run/docker.sock".to_owned(),
            error: Some("connection refused".to_owned()),
        },
    };
    let said = engine(&daemon).unwrap();
    assert_eq!(
        anstream::adapter::strip_str(&said).to_string(),
        "the engine at unix:///var/run/docker.sock cannot be reached: connection refused\n"
    );
}

#[test]
fn the_end_of_a_failed_build_is_under_its_reason() {
    let mut broken = service("web", ServiceState::Failed);
    let steps: String = (1..=12).map(|step| format!("\nStep {step}/12 : RUN make")).collect();
    broken.reason = Some(format!("the build failed at step 12{steps}\n\n"));
    check(
        &project(vec![broken]),
        &expect![[r#"
        shop  running  /home/ann/shop
          SERVICE   STATE       RESTARTS   PORTS   CHANGED   TESTS
          web       failed 1m   -          -       -         -
              the build failed at step 12
              | Step 8/12 : RUN make
              | Step 9/12 : RUN make
              | Step 10/12 : RUN make
              | Step 11/12 : RUN make
              | Step 12/12 : RUN make
    "#]],
    );
}

#[test]
fn how_it_ended_is_said_once() {
    let mut broken = service("web", ServiceState::Backoff);
    let exit = |code| Some(LastExit { code, at: "2026-05-01T11:59:50.000Z".to_owned(), output: Vec::new() });
    broken.reason = Some("exited with code 1, starting again soon".to_owned());
    broken.last_exit = exit(1);
    let mut other = service("worker", ServiceState::Backoff);
    other.reason = Some("exited with code 12, starting again soon".to_owned());
    other.last_exit = exit(1);
    check(
        &project(vec![broken, other]),
        &expect![[r#"
        shop  running  /home/ann/shop
          SERVICE   STATE        RESTARTS   PORTS   CHANGED   TESTS
          web       backoff 1m   -          -       -         -
              exited with code 1, starting again soon
          worker    backoff 1m   -          -       -         -
              exited with code 12, starting again soon
              exit code 1 10s ago
    "#]],
    );
}
