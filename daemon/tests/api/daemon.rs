//! A daemon with a project on the world in memory, and how a test speaks with it.

use devdd::engine::any::AnyEngine;
use devdd::engine::fake::Fake;
use devdd::system::socket;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

pub(crate) const SHOP: &str = "/v1/projects/shop";

/// So many connections may be open.
const CLIENTS: usize = 32;

pub(crate) struct Daemon {
    pub(crate) dir: TempDir,
    pub(crate) socket: PathBuf,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Daemon {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Fake::default()).await
    }

    pub(crate) async fn start_in(dir: TempDir, fake: Fake) -> Self {
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

    /// A daemon whose project runs.
    pub(crate) async fn with_project(fake: Fake) -> Self {
        let daemon = Self::start_in(tempfile::tempdir().unwrap(), fake).await;
        let root = daemon.project();
        daemon.send(Method::POST, "/v1/projects", Some(json!({ "dir": root }))).await;
        daemon.until(SHOP, |it| it["settled"] == true).await;
        daemon
    }

    pub(crate) fn project(&self) -> String {
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

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response<Incoming> {
        request(&self.socket, method, path, body).await.unwrap()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Bytes) {
        let response = self.request(method, path, body).await;
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    /// The next event after the one with an id, or from now on.
    pub(crate) async fn event(&self, after: Option<u64>) -> Value {
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

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    pub(crate) async fn until(&self, path: &str, test: impl Fn(&Value) -> bool) -> Value {
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

    pub(crate) async fn api(&self, verb: &str) {
        let (status, body) = self.send(Method::POST, &format!("{SHOP}/services/api/{verb}"), None).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        self.until(SHOP, |it| it["settled"] == true).await;
    }

    pub(crate) async fn stop(self) {
        self.go().await;
    }

    /// Stops, and leaves what another one finds.
    pub(crate) async fn go(self) -> TempDir {
        self.shutdown.cancel();
        // The limit is for a test that fails.
        tokio::time::timeout(Duration::from_secs(60), self.task).await.unwrap().unwrap().unwrap();
        assert!(!self.socket.exists());
        self.dir
    }
}

pub(crate) async fn request(
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
