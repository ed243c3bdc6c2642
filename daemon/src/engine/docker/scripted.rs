//! For tests: an engine that answers what a test says.

use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// Goes away when it is dropped, with its socket and every connection.
pub(super) struct Scripted {
    folder: TempDir,
    _serving: JoinSet<()>,
}

impl Scripted {
    /// Answers to each path, without its parameters, and with the method before it unless that is GET; where the answer is
    /// nothing, there is no such thing. It has no events.
    pub(super) fn new(script: impl Fn(&str) -> Option<Value> + Send + Sync + 'static) -> Self {
        let (folder, script) = (tempfile::tempdir().unwrap(), Arc::new(script));
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let script = Arc::clone(&script);
                open.spawn(async move { answer(stream, &*script).await });
            }
        });
        Self { folder, _serving: serving }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }
}

async fn answer(mut stream: UnixStream, script: &(dyn Fn(&str) -> Option<Value> + Sync)) -> io::Result<()> {
    let mut head = BufReader::new(&mut stream).lines();
    let request = head.next_line().await?.unwrap_or_default();
    while head.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    let mut words = request.split([' ', '?']);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if path.ends_with("/events") {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        return std::future::pending().await;
    }
    let asked = if method == "GET" { path.to_owned() } else { format!("{method} {path}") };
    let (status, body) = match path {
        "/version" => (200, json!({ "ApiVersion": "1.41", "Version": "20.10.0" })),
        _ => script(&asked).map_or_else(|| (404, json!({ "message": "no such thing" })), |it| (200, it)),
    };
    let (body, kind) = (body.to_string(), "content-type: application/json\r\nconnection: close");
    let head = format!("HTTP/1.1 {status} So\r\n{kind}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await
}
