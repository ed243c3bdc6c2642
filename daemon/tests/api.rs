//! The API over a real socket, with the real watcher and history, on the world in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use devdd::engine::any::AnyEngine;
use devdd::engine::fake::Fake;
use devdd::system::socket;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

struct Daemon {
    dir: TempDir,
    socket: PathBuf,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Daemon {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("run/devd.sock");
        let bound = socket::bind(&socket).unwrap();
        let shutdown = CancellationToken::new();
        let config = devdd::Config { state_dir: dir.path().join("state"), runs: 2 };
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let engine = AnyEngine::Fake(Fake::default());
        let run =
            devdd::run(config, engine, bound, shutdown.clone(), move || ready.send(()).unwrap_or_default());
        let task = tokio::spawn(run);
        is_ready.await.unwrap();
        Self { dir, socket, shutdown, task }
    }

    fn project(&self) -> String {
        let root = self.dir.path().canonicalize().unwrap().join("shop");
        std::fs::create_dir_all(root.join("api")).unwrap();
        std::fs::write(root.join("api/Dockerfile"), "FROM scratch\n").unwrap();
        std::fs::write(root.join("api/main.py"), "print(1)\n").unwrap();
        let compose = "services:\n  api:\n    build: ./api\n    volumes: ['./api:/app']\n";
        std::fs::write(root.join("compose.yaml"), compose).unwrap();
        let tests =
            "services:\n  tests:\n    build: .\n    command: python -m unittest\n    volumes: ['.:/app']\n";
        std::fs::write(root.join("api/compose.yaml"), tests).unwrap();
        root.display().to_string()
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Bytes) {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "devd")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    async fn until(&self, path: &str, test: impl Fn(&Value) -> bool) -> Value {
        // Each answer is complete when it comes; the pause only keeps the machine free.
        for _ in 0..3000 {
            let value = self.get(path).await;
            if test(&value) {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} never became so: {:#}", self.get(path).await);
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        assert!(!self.socket.exists());
    }
}

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
    let (_, log) = daemon.send(Method::GET, &format!("/v1/runs/{id}/log?follow=true"), None).await;
    assert!(String::from_utf8_lossy(&log).contains("Ran 5 tests"));

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
        let (status, body) = daemon.send(method, path, body).await;
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
    let empty = daemon.dir.path().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let problem =
        refused(Method::POST, "/v1/projects", Some(json!({ "dir": empty.display().to_string() }))).await;
    assert_eq!(problem["code"], "no_compose_file", "{problem}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_daemon_knows_its_projects_and_verdicts() {
    let first = Daemon::start().await;
    let root = first.project();
    first.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
    let before = first.until("/v1/projects/shop", |it| it["services"][0]["tests"]["current"] == true).await;
    let Daemon { dir, socket, shutdown, task } = first;
    shutdown.cancel();
    task.await.unwrap().unwrap();

    let bound = socket::bind(&socket).unwrap();
    let shutdown = CancellationToken::new();
    let config = devdd::Config { state_dir: dir.path().join("state"), runs: 2 };
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let engine = AnyEngine::Fake(Fake::default());
    let task = tokio::spawn(devdd::run(config, engine, bound, shutdown.clone(), move || {
        ready.send(()).unwrap_or_default()
    }));
    is_ready.await.unwrap();
    let second = Daemon { dir, socket, shutdown, task };
    let after = second.until("/v1/projects/shop", |it| it["services"][0]["tests"]["current"] == true).await;
    assert_eq!(
        after["services"][0]["tests"]["run"], before["services"][0]["tests"]["run"],
        "tested again for nothing"
    );
    second.stop().await;
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
