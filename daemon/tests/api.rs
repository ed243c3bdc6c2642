//! The API over a real socket, with the real watcher and history, on the world in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use devd_proto::frame::{self, Kind};
use devdd::engine::any::AnyEngine;
use devdd::engine::fake::{Fake, TestsBehaviour};
use devdd::system::socket;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixDatagram, UnixStream};
use tokio_util::sync::CancellationToken;

/// So many connections may be open.
const CLIENTS: usize = 32;

struct Daemon {
    dir: TempDir,
    socket: PathBuf,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Daemon {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Fake::default()).await
    }

    async fn start_in(dir: TempDir, fake: Fake) -> Self {
        let socket = dir.path().join("run/devd.sock");
        let bound = socket::bind(&socket).unwrap();
        let shutdown = CancellationToken::new();
        let config = devdd::Config {
            once: false,
            clients: CLIENTS,
            state_dir: dir.path().join("state"),
            runs: 2,
            settings: devdd::settings::Settings::default(),
        };
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let engine = AnyEngine::Fake(fake);
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

    async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Response<Incoming> {
        request(&self.socket, method, path, body).await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Bytes) {
        let response = self.request(method, path, body).await;
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    /// The next event after the one with an id, or from now on.
    async fn event(&self, after: Option<u64>) -> Value {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let mut lines = BufReader::new(stream);
        let resume = after.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let head = format!("GET /v1/events HTTP/1.1\r\nHost: devd\r\n{resume}\r\n");
        lines.get_mut().write_all(head.as_bytes()).await.unwrap();
        loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).await.unwrap() > 0, "the stream ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
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
        self.go().await;
    }

    /// Stops, and leaves what another one finds.
    async fn go(self) -> TempDir {
        self.shutdown.cancel();
        // The limit is for a test that fails.
        tokio::time::timeout(Duration::from_secs(60), self.task).await.unwrap().unwrap().unwrap();
        assert!(!self.socket.exists());
        self.dir
    }
}

async fn request(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Response<Incoming>, hyper::Error> {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let mut request = Request::builder().method(method).uri(path).header("host", "devd");
    if path.ends_with("/exec") {
        request = request.header("connection", "upgrade").header("upgrade", "devd-exec");
    }
    let request =
        request.header("content-type", "application/json").body(Full::new(Bytes::from(body))).unwrap();
    sender.send_request(request).await
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

/// A followed log, by lines.
struct Log(BufReader<UnixStream>);

impl Log {
    async fn follow(daemon: &Daemon, query: &str) -> Self {
        let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
        let path = format!("/v1/projects/shop/services/api/logs?follow{query}");
        // HTTP/1.0 has no chunks: the body is what follows the head.
        let head = format!("GET {path} HTTP/1.0\r\nHost: devd\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut log = Self(BufReader::new(stream));
        assert_eq!(log.line().await.as_deref(), Some("HTTP/1.0 200 OK\r"));
        while log.line().await.unwrap() != "\r" {}
        log
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.0.read_line(&mut line));
        let read = read.await.expect("no more lines, and no end").unwrap();
        (read > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    async fn expect(&mut self, lines: &[&str]) {
        for expected in lines {
            assert_eq!(self.line().await.as_deref(), Some(*expected));
        }
    }
}

const SHOP: &str = "/v1/projects/shop";
const HELLO: &str = "shop-api-1 says hello";

impl Daemon {
    /// A daemon whose project runs.
    async fn with_project(fake: Fake) -> Self {
        let daemon = Self::start_in(tempfile::tempdir().unwrap(), fake).await;
        let root = daemon.project();
        daemon.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
        daemon.until(SHOP, |it| it["settled"] == true).await;
        daemon
    }

    async fn api(&self, verb: &str) {
        let (status, body) = self.send(Method::POST, &format!("{SHOP}/services/api/{verb}"), None).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        self.until(SHOP, |it| it["settled"] == true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_goes_on_over_whatever_becomes_of_the_containers_until_the_project_is_gone() {
    let fake = Fake::default();
    let daemon = Daemon::with_project(fake.clone()).await;
    let mut log = Log::follow(&daemon, "").await;
    log.expect(&[HELLO]).await;
    let say = |lines: &[&str]| lines.iter().for_each(|line| fake.says("shop-api-1", line));
    say(&["a", "b", "b"]);
    // Killed right behind them, so that the log is read again from the moment at which they were written.
    fake.kill("shop-api-1");
    log.expect(&["a", "b", "b", HELLO]).await;
    say(&["c", "c"]);
    daemon.api("restart").await;
    log.expect(&["c", "c", HELLO]).await;
    daemon.api("stop").await;
    daemon.api("start").await;
    log.expect(&[HELLO]).await;
    say(&["last words"]);
    daemon.api("rebuild").await;
    log.expect(&["last words", HELLO]).await;
    fake.set_gone(true);
    say(&["unheard"]);
    fake.set_gone(false);
    log.expect(&["unheard"]).await;
    say(&["d"]);
    log.expect(&["d"]).await;
    let (status, _) = daemon.send(Method::DELETE, SHOP, None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(log.line().await, None);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_picks_up_a_service_that_has_no_container_yet_and_ends_with_the_daemon() {
    let fake = Fake::default();
    fake.refuse_next("create shop-api-1", "no room");
    let daemon = Daemon::with_project(fake.clone()).await;
    assert_eq!(daemon.get(SHOP).await["services"][0]["container"], Value::Null);
    let mut log = Log::follow(&daemon, "&tail=0").await;
    daemon.api("start").await;
    // All that it writes is new.
    log.expect(&[HELLO]).await;
    daemon.stop().await;
    assert_eq!(log.line().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_log_is_its_end_once() {
    let fake = Fake::default();
    let daemon = Daemon::with_project(fake.clone()).await;
    let say = |line: &str| fake.says("shop-api-1", line);
    say("a");
    say("b");
    let before = fake.logs_opened();
    let mut none = Log::follow(&daemon, "&tail=0").await;
    // Where the end is takes two looks, and nothing is heard of them.
    while fake.logs_opened() < before + 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Of two lines with one time it could not be told later which of them was asked for.
    tokio::time::sleep(Duration::from_millis(2)).await;
    say("e");
    none.expect(&["e"]).await;
    let mut one = Log::follow(&daemon, "&tail=1").await;
    one.expect(&["e"]).await;
    daemon.api("restart").await;
    one.expect(&[HELLO]).await;
    none.expect(&[HELLO]).await;
    for _ in 0..2 {
        say("c");
        say("d");
        daemon.api("rebuild").await;
        none.expect(&["c", "d", HELLO]).await;
        one.expect(&["c", "d", HELLO]).await;
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_keeps_dying_does_not_make_its_followers_spin() {
    let fake = Fake::default();
    let daemon = Daemon::with_project(fake.clone()).await;
    let mut log = Log::follow(&daemon, "").await;
    log.expect(&[HELLO]).await;
    fake.dies("shop-api-1", Some(3));
    fake.kill("shop-api-1");
    log.expect(&[HELLO, HELLO]).await;
    daemon.until(SHOP, |it| it["services"][0]["state"] == "backoff").await;
    let starts = fake.journal().iter().filter(|it| *it == "start shop-api-1").count();
    // Each death is read by the follower, and for the status.
    let opened = fake.logs_opened();
    assert!(opened <= 2 * starts as u64 + 2, "{opened} logs were opened for {starts} starts");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_nobody_is_refused() {
    let daemon = Daemon::with_project(Fake::default()).await;
    for follow in ["", "?follow"] {
        let (status, body) =
            daemon.send(Method::GET, &format!("{SHOP}/services/apo/logs{follow}"), None).await;
        let body = String::from_utf8_lossy(&body);
        assert!(status == StatusCode::NOT_FOUND && body.contains("api"), "{status} {body}");
    }
    daemon.stop().await;
}
