//! One question and its answer over a unix socket: to the daemon and to the engine.

use anyhow::Context as _;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("{}: {}", self.code, self.body))
    }

    pub(crate) fn is_ok(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

/// Asks, and waits no longer than this for each part of the answer.
pub(crate) fn ask(
    socket: &Path,
    request: &str,
    body: Option<&Value>,
    patience: Duration,
) -> anyhow::Result<Answer> {
    let mut stream = UnixStream::connect(socket).context("connect")?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    // By the older version of HTTP an answer has no framing but its end.
    write!(
        stream,
        "{request} HTTP/1.0\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    Ok(Answer { code, body: body.to_owned() })
}
