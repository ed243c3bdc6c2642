//! The API over a real socket, with the real watcher and history, on the world in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod daemon;
mod logs;

use daemon::{Daemon, request};
use devd_proto::frame::{self, Kind};
use devdd::engine::fake::{Fake, TestsBehaviour};
use http_body_util::BodyExt as _;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixDatagram;

#[tokio::test(flavor = "multi_thread")]
async fn a_project_goes_up_is_retested_after_a_save_and_goes_down() {
    let daemon = Daemon::start().await;
    let root = daemon.project();
    let (status, body) = daemon.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    let shop = "/v1/projects/shop";
    let first =
        daemon.until(shop, |it| it["settled"] == true && it["services"][0]["tests"]["current"] == true).await;
    assert_eq!(first["state"], "running");
    assert_eq!(first["services"][0]["tests"]["passed"], 5);

    std::fs::write(format!("{root}/api/main.py"), "print(2)\n").unwrap();
    let saved = json!({ "paths": [format!("{root}/api/main.py")] });
    let (status, body) = daemon.send(Method::POST, "/v1/saved", Some(saved)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["scheduled"][0]["action"], "restart");
    assert_eq!(answer["scheduled"][0]["tests"], true);
    let second = daemon
        .until(shop, |it| {
            it["services"][0]["tests"]["current"] == true
                && it["services"][0]["tests"]["run"] != first["services"][0]["tests"]["run"]
        })
        .await;
    assert_eq!(second["services"][0]["restarts"], 1);

    let runs = daemon.get("/v1/runs?project=shop").await;
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    assert_eq!(runs["runs"][0]["cause"], "save");
    assert_eq!(runs["runs"][0]["paths"][0], "api/main.py");
    let id = runs["runs"][0]["id"].as_str().unwrap();
    for follow in ["", "?follow", "?follow=", "?follow=true", "?follow=false"] {
        let (_, log) = daemon.send(Method::GET, &format!("/v1/runs/{id}/log{follow}"), None).await;
        assert!(String::from_utf8_lossy(&log).contains("Ran 5 tests"), "{follow}");
    }
    let (status, log) = daemon.send(Method::GET, &format!("{shop}/services/api/logs?timestamps"), None).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&log));

    let (_, metrics) = daemon.send(Method::GET, "/metrics", None).await;
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    for line in [
        "devd_runs_total{verdict=\"passed\"} 2",
        "devd_run_stage_seconds_count{stage=\"released\"} 2",
        "devd_restart_stage_seconds_count{stage=\"done\"} 1",
        "devd_service_restarts{project=\"shop\",service=\"api\"} 1",
        "devd_engine_connected 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in\n{metrics}");
    }

    let (status, body) = daemon.send(Method::DELETE, shop, None).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    assert_eq!(daemon.get("/v1/status").await["projects"], json!([]));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_changes_no_byte_schedules_nothing() {
    let daemon = Daemon::start().await;
    let root = daemon.project();
    daemon.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
    daemon.until("/v1/projects/shop", |it| it["services"][0]["tests"]["current"] == true).await;
    std::fs::write(format!("{root}/api/main.py"), "print(1)\n").unwrap();
    let saved = json!({ "paths": [format!("{root}/api/main.py")] });
    let (_, body) = daemon.send(Method::POST, "/v1/saved", Some(saved)).await;
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["scheduled"], json!([]));
    let status = daemon.get("/v1/projects/shop").await;
    assert_eq!(status["services"][0]["restarts"], 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_yaml_keeps_the_old_world_and_is_shown_with_its_place() {
    let daemon = Daemon::start().await;
    let root = daemon.project();
    daemon.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
    daemon.until("/v1/projects/shop", |it| it["state"] == "running").await;
    let good = std::fs::read_to_string(format!("{root}/compose.yaml")).unwrap();
    std::fs::write(format!("{root}/compose.yaml"), format!("{good}    banana: 1\n")).unwrap();
    let invalid = daemon.until("/v1/projects/shop", |it| it["state"] == "invalid").await;
    assert_eq!(invalid["error"]["line"], 5, "{invalid:#}");
    assert_eq!(invalid["services"][0]["state"], "running");
    std::fs::write(format!("{root}/compose.yaml"), good).unwrap();
    let mended = daemon.until("/v1/projects/shop", |it| it["state"] == "running").await;
    assert_eq!(mended["error"], Value::Null);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_refused_with_a_code() {
    let daemon = Daemon::start().await;
    let refused = async |method, path: &str, body| {
        let response = daemon.request(method, path, body).await;
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["status"], status.as_u16());
        problem
    };
    let problem = refused(Method::POST, "/v1/projects", Some(json!({ "dir": "/", "colour": "red" }))).await;
    assert_eq!(problem["code"], "bad_request");
    assert!(problem["title"].as_str().unwrap().contains("colour"), "{problem}");
    assert_eq!(refused(Method::GET, "/v1/projects/nope", None).await["code"], "unknown_project");
    assert_eq!(refused(Method::GET, "/v1/runs/nope-1", None).await["code"], "unknown_run");
    assert_eq!(refused(Method::GET, "/v1/nothing", None).await["code"], "not_found");
    assert_eq!(refused(Method::GET, "/v1/why?path=relative", None).await["code"], "bad_request");
    assert_eq!(refused(Method::GET, "/v1/runs?colour=red", None).await["code"], "bad_request");
    assert_eq!(refused(Method::GET, "/v1/projects/%ff", None).await["code"], "bad_request");
    assert_eq!(refused(Method::GET, "/v1/projects/a/services/%ff/logs", None).await["code"], "bad_request");
    assert_eq!(refused(Method::GET, "/v1/runs/x-1/log?follow=maybe", None).await["code"], "bad_request");
    assert_eq!(refused(Method::POST, "/v1/openapi.json", None).await["code"], "method_not_allowed");
    assert_eq!(refused(Method::PUT, "/v1/projects", None).await["code"], "method_not_allowed");
    let allowed = daemon.request(Method::PATCH, "/v1/projects/shop", None).await;
    assert_eq!(
        (allowed.status().as_u16(), &allowed.headers()["allow"]),
        (405, &"GET,HEAD,DELETE".parse().unwrap())
    );
    let empty = daemon.dir.path().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let problem =
        refused(Method::POST, "/v1/projects", Some(json!({ "dir": empty.display().to_string() }))).await;
    assert_eq!(problem["code"], "no_compose_file", "{problem}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_copy_of_a_project_is_not_it() {
    let daemon = Daemon::start().await;
    let root = daemon.project();
    daemon.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
    let copy = daemon.dir.path().join("copy/shop");
    std::fs::create_dir_all(copy.join("api")).unwrap();
    std::fs::copy(Path::new(&root).join("compose.yaml"), copy.join("compose.yaml")).unwrap();
    let (status, body) = daemon.send(Method::POST, "/v1/resolve", Some(json!({ "dir": copy }))).await;
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("name_taken")), "{problem}");
    assert!(problem["title"].as_str().unwrap().contains(&root), "{problem}");
    let named = json!({ "dir": copy, "project_name": "other" });
    let (status, body) = daemon.send(Method::POST, "/v1/resolve", Some(named)).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_and_env_files_given_later_count_from_then_on() {
    let daemon = Daemon::start().await;
    let root = daemon.project();
    let compose = Path::new(&root).join("compose.yaml");
    let debug = "  debug:\n    image: redis:7\n    profiles: [debug]\n    command: redis-server ${FLAGS}\n";
    std::fs::write(&compose, std::fs::read_to_string(&compose).unwrap() + debug).unwrap();
    std::fs::write(Path::new(&root).join("api/debug.env"), "FLAGS=--verbose\n").unwrap();
    let register = async |request: Value| daemon.send(Method::POST, "/v1/projects", Some(request)).await;
    register(json!({ "dir": root })).await;
    let services = async || {
        let services = daemon.get("/v1/projects/shop").await["services"].clone();
        services.as_array().unwrap().len()
    };
    let before = services().await;
    let below = Path::new(&root).join("api");
    let (status, body) = register(json!({ "dir": below, "env_files": ["gone.env"] })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{}", String::from_utf8_lossy(&body));
    register(json!({ "dir": below, "profiles": ["debug"], "env_files": ["debug.env"] })).await;
    assert_eq!(services().await, before + 1);
    // Said once, it stays so.
    register(json!({ "dir": root })).await;
    assert_eq!(services().await, before + 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_daemon_knows_its_projects_and_verdicts() {
    let first = Daemon::start().await;
    let root = first.project();
    first.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
    let before = first.until("/v1/projects/shop", |it| it["services"][0]["tests"]["current"] == true).await;
    let second = Daemon::start_in(first.go().await, Fake::default()).await;
    let after = second.until("/v1/projects/shop", |it| it["services"][0]["tests"]["current"] == true).await;
    assert_eq!(
        after["services"][0]["tests"]["run"], before["services"][0]["tests"]["run"],
        "tested again for nothing"
    );
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_restarted_daemon_come_after_those_of_the_earlier_one() {
    let first = Daemon::start().await;
    let root = first.project();
    first.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
    first.until("/v1/projects/shop", |it| it["services"][0]["tests"]["current"] == true).await;
    let last = first.event(Some(0)).await["id"].as_u64().unwrap();
    let second = Daemon::start_in(first.go().await, Fake::default()).await;
    second.until("/v1/projects/shop", |it| it["settled"] == true).await;
    // What the earlier one said last is not known: this is a gap, and all that the new one said comes after it.
    let gap = second.event(Some(last)).await;
    assert_eq!((&gap["kind"], &gap["count"]), (&json!("lost"), &json!(0)), "{gap}");
    let after = gap["id"].as_u64().unwrap();
    assert!(after > last, "{after} is not after {last}");
    let event = second.event(Some(after)).await;
    assert!(event["id"].as_u64().unwrap() > after && event["kind"] != "lost", "{event}");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_a_run_that_has_not_begun_holds_up_no_daemon() {
    let fake = Fake::default();
    let forever = TestsBehaviour { takes: Duration::from_secs(3600), ..TestsBehaviour::default() };
    fake.tests_behave(forever);
    let daemon = Daemon::start_in(tempfile::tempdir().unwrap(), fake).await;
    let root = daemon.project();
    daemon.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
    daemon.until("/v1/projects/shop", |it| it["services"][0]["tests"]["state"] == "running").await;
    // Each in an environment of its own, as many as may run at once and one more.
    let mut runs = Vec::new();
    for args in ["a", "b", "c"] {
        let asked = json!({ "project": "shop", "services": ["api"], "args": [args] });
        let (status, body) = daemon.send(Method::POST, "/v1/runs", Some(asked)).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        let started: Value = serde_json::from_slice(&body).unwrap();
        runs.push(started["runs"][0]["id"].as_str().unwrap().to_owned());
    }
    let followers: Vec<_> = runs
        .iter()
        .map(|run| {
            let (socket, path) = (daemon.socket.clone(), format!("/v1/runs/{run}/log?follow"));
            tokio::spawn(
                async move { request(&socket, Method::GET, &path, None).await.map(|it| it.status()) },
            )
        })
        .collect();
    // Enough for the followers to be where they wait; too short a time would only prove less.
    tokio::time::sleep(Duration::from_millis(300)).await;
    daemon.stop().await;
    for follower in followers {
        let answer = follower.await.unwrap();
        let known = answer.as_ref().is_ok_and(|status| [200, 404, 503].contains(&status.as_u16()));
        assert!(known, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_spoken_with_in_frames_and_ends_with_nonsense() {
    let daemon = Daemon::start().await;
    let root = daemon.project();
    daemon.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
    daemon.until("/v1/projects/shop", |it| it["state"] == "running").await;
    let exec = async || {
        let path = "/v1/projects/shop/services/api/exec";
        let response = daemon.request(Method::POST, path, Some(json!({ "cmd": ["cat"] }))).await;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        TokioIo::new(hyper::upgrade::on(response).await.unwrap())
    };
    let mut connection = exec().await;
    let said = [frame::encode(Kind::Stdin, b"hello"), frame::encode(Kind::StdinEnd, b"")].concat();
    connection.write_all(&said).await.unwrap();
    let mut heard = Vec::new();
    connection.read_to_end(&mut heard).await.unwrap();
    let mut payloads = Vec::new();
    while let Some((_, payload)) = frame::decode(&mut heard).unwrap() {
        payloads.push(payload);
    }
    assert_eq!(payloads[1..], [b"hello".to_vec(), vec![0; 4]]);

    let mut connection = exec().await;
    connection.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    // Closed with or without its having been read.
    let ended = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut heard)).await;
    assert!(ended.is_ok(), "the connection stays open");
    daemon.stop().await;
}

#[tokio::test]
async fn a_daemon_in_the_background_has_a_session_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let notify = UnixDatagram::bind(dir.path().join("notify.sock")).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_devdd"))
        .args(["--background", "--engine", "fake", "--socket"])
        .arg(dir.path().join("run/devd.sock"))
        .env("DEVD_STATE_DIR", dir.path().join("state"))
        .env("NOTIFY_SOCKET", dir.path().join("notify.sock"))
        .spawn()
        .unwrap();
    notify.recv(&mut [0; 64]).await.unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed());
    assert_eq!(rustix::process::getsid(pid).ok(), pid);
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_documents_itself() {
    let daemon = Daemon::start().await;
    let document = daemon.get("/v1/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    for path in ["/v1/status", "/v1/projects", "/v1/saved", "/v1/runs/{id}/log", "/v1/events", "/v1/why"] {
        assert!(paths.contains_key(path), "{path} is not documented");
    }
    assert!(document["components"]["schemas"]["ServiceStatus"].is_object());
    daemon.stop().await;
}
