//! A daemon on the world in memory, and a client that speaks HTTP by hand.

use devdd::engine::any::AnyEngine;
use devdd::engine::fake::Fake;
use devdd::system::socket;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

/// So many connections may be open.
pub(crate) const CLIENTS: usize = 8;

pub(crate) struct Daemon {
    pub(crate) dir: TempDir,
    socket: PathBuf,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Daemon {
    pub(crate) async fn start(fake: Fake) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), fake).await
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
        let ready = move || ready.send(()).unwrap_or_default();
        let run = devdd::run(config, AnyEngine::Fake(fake), bound, shutdown.clone(), ready);
        let task = tokio::spawn(run);
        is_ready.await.unwrap();
        Self { dir, socket, shutdown, task }
    }

    pub(crate) async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = self.connect().await;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: devd\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}",
            body.len()
        );
        // A daemon that refuses answers before it has read everything.
        let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await;
        let mut text = Vec::new();
        // It closes what it has not read all of, which breaks the connection off behind the answer.
        let _ = stream.read_to_end(&mut text).await;
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        assert!(!chunked, "{head}");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let answer = self.ask("GET", path, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// A project with a service and its tests, registered and up.
    pub(crate) async fn up(&self) {
        let root = self.dir.path().canonicalize().unwrap().join("shop");
        std::fs::create_dir_all(root.join("api")).unwrap();
        std::fs::write(root.join("api/Dockerfile"), "FROM scratch\n").unwrap();
        std::fs::write(root.join("api/main.py"), "print(1)\n").unwrap();
        let compose = "services:\n  api:\n    build: ./api\n    volumes: ['./api:/app']\n";
        std::fs::write(root.join("compose.yaml"), compose).unwrap();
        let tests =
            "services:\n  tests:\n    build: .\n    command: python -m unittest\n    volumes: ['.:/app']\n";
        std::fs::write(root.join("api/compose.yaml"), tests).unwrap();
        let body = serde_json::json!({ "dir": root.display().to_string() }).to_string();
        let answer = self.ask("POST", "/v1/projects", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(crate) async fn until(&self, path: &str, test: impl Fn(&Answer) -> bool) -> Answer {
        // Each answer is complete when it comes; the pause only keeps the machine free.
        for _ in 0..3000 {
            let answer = self.ask("GET", path, "").await;
            if answer.status == 200 && test(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} never became so: {:#?}", self.ask("GET", path, "").await);
    }

    /// Stops, and leaves what another one finds.
    pub(crate) async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        // The limit is for a test that fails.
        tokio::time::timeout(Duration::from_secs(60), self.task).await.unwrap().unwrap().unwrap();
        self.dir
    }
}
