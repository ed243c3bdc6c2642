//! HTTP/1.1 over the unix socket: one connection a request.

use crate::connect;
use crate::error::Error;
use crate::sse::{Message, Parser};
use crate::version;
use bytes::Bytes;
use devd_proto::{Code, Event, Problem};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// A daemon that answered the first time it was called.
pub(crate) struct Client {
    socket: PathBuf,
    /// The connection that showed that it is there, for the first request.
    first: Cell<Option<UnixStream>>,
}

const JSON: &str = "application/json";
pub(crate) const NDJSON: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";
pub(crate) const TEXT: &str = "text/plain";

impl Client {
    pub(crate) fn new(socket: PathBuf, first: UnixStream) -> Self {
        Self { socket, first: Cell::new(Some(first)) }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.ask(Method::POST, path, json(body)?).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    /// `DELETE` where the answer says no more than that it is done.
    pub(crate) async fn cancel(&self, path: &str) -> Result<(), Error> {
        self.send(Method::DELETE, path, Bytes::new(), JSON).await.map(drop)
    }

    /// An answer that goes on, as it comes.
    pub(crate) async fn stream(&self, path: &str, accept: &'static str) -> Result<Chunks, Error> {
        Ok(Chunks(self.send(Method::GET, path, Bytes::new(), accept).await?.into_body()))
    }

    /// The same for a request with a body; each line of the answer is a JSON value.
    pub(crate) async fn post_lines(&self, path: &str, body: &impl Serialize) -> Result<Lines, Error> {
        let answer = self.send(Method::POST, path, json(body)?, NDJSON).await?;
        Ok(Lines::new(Chunks(answer.into_body())))
    }

    /// The events from now on, of one project or of all.
    pub(crate) async fn events(&self, project: Option<&str>) -> Result<Events, Error> {
        let filter = project.map_or_else(String::new, |name| format!("?project={}", encode(name)));
        let chunks = self.stream(&format!("/v1/events{filter}"), EVENTS).await?;
        Ok(Events { chunks, parser: Parser::default(), queue: VecDeque::new() })
    }

    /// A connection that becomes a byte stream in both directions.
    pub(crate) async fn upgrade(
        &self,
        path: &str,
        body: &impl Serialize,
        protocol: &'static str,
    ) -> Result<TokioIo<Upgraded>, Error> {
        let mut request = build(Method::POST, path, json(body)?, JSON)?;
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(UPGRADE, HeaderValue::from_static(protocol));
        let response = good(self.exchange(request).await?).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::unreachable(format!(
                "devdd answered {} where `101 Switching Protocols` was expected",
                response.status()
            )));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|_| Error::lost())?;
        Ok(TokioIo::new(upgraded))
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, Error> {
        let response = self.send(method, path, body, JSON).await?;
        let body = response.into_body().collect().await.map_err(|_| Error::lost())?.to_bytes();
        decode(&body)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        accept: &'static str,
    ) -> Result<Response<Incoming>, Error> {
        good(self.exchange(build(method, path, body, accept)?).await?).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let stream = match self.first.take() {
            Some(stream) => stream,
            None => connect::open(&self.socket).await?.ok_or_else(Error::lost)?,
        };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_| Error::lost())?;
        // Its errors also reach whoever waits for the answer.
        tokio::spawn(async move { _ = connection.with_upgrades().await });
        let response = sender.send_request(request).await.map_err(|_| Error::lost())?;
        if let Some(theirs) = version::other(response.headers()) {
            version::note(&theirs);
        }
        Ok(response)
    }
}

fn build(
    method: Method,
    path: &str,
    body: Bytes,
    accept: &'static str,
) -> Result<Request<Full<Bytes>>, Error> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Full::new(body.clone()))
        .map_err(|error| Error::local(format!("cannot ask for {path}: {error}")))?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("devd"));
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    Ok(request)
}

/// The answer, unless it is a refusal.
async fn good(response: Response<Incoming>) -> Result<Response<Incoming>, Error> {
    let status = response.status();
    if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    let theirs = version::other(response.headers());
    let body = response.into_body().collect().await.map_err(|_| Error::lost())?.to_bytes();
    let error = refusal(status.as_u16(), &body);
    Err(match theirs {
        Some(theirs) => version::explain(error, &theirs),
        None => error,
    })
}

/// A problem document as an error. A code from a newer daemon must not hide what it says.
pub(crate) fn refusal(status: u16, body: &[u8]) -> Error {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return problem.into();
    }
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let title = match value["title"].as_str() {
        Some(title) => title.to_owned(),
        None => format!("devdd answered {status}: {}", String::from_utf8_lossy(body).trim()),
    };
    let problem = Problem::new(Code::Internal, title);
    match value["help"].as_str() {
        Some(help) => problem.help(help),
        None => problem,
    }
    .into()
}

fn json(body: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| Error::local(format!("cannot write the request: {error}")))
}

pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        Error::unreachable(format!("the daemon's answer is not understood: {error}"))
            .help("devd and devdd are of different versions: `devd daemon restart` brings them together")
    })
}

/// Percent-encodes one segment of a path, or one value of a query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The bytes of an answer as they come.
pub(crate) struct Chunks(Incoming);

impl Chunks {
    /// The next bytes; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.0.frame().await {
                None => return Ok(None),
                Some(Err(_)) => return Err(Error::lost()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// The lines of an answer as they come.
pub(crate) struct Lines {
    chunks: Chunks,
    buffer: Vec<u8>,
    ready: VecDeque<Vec<u8>>,
}

impl Lines {
    pub(crate) fn new(chunks: Chunks) -> Self {
        Self { chunks, buffer: Vec::new(), ready: VecDeque::new() }
    }

    /// The next line without its end; what follows the last line end counts as a line.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            match self.chunks.next().await? {
                Some(bytes) => split(&mut self.buffer, &bytes, &mut self.ready),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Ok(Some(std::mem::take(&mut self.buffer))),
            }
        }
    }

    /// The next line that is not empty, as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        while let Some(line) = self.next().await? {
            if !line.iter().all(u8::is_ascii_whitespace) {
                return decode(&line).map(Some);
            }
        }
        Ok(None)
    }
}

fn split(buffer: &mut Vec<u8>, bytes: &[u8], ready: &mut VecDeque<Vec<u8>>) {
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        buffer.extend_from_slice(&rest[..end]);
        ready.push_back(std::mem::take(buffer));
        rest = &rest[end + 1..];
    }
    buffer.extend_from_slice(rest);
}

/// `GET /v1/events`.
pub(crate) struct Events {
    chunks: Chunks,
    parser: Parser,
    queue: VecDeque<Message>,
}

impl Events {
    /// The next message as it was sent. The stream has no end: when it ends, the daemon has gone.
    pub(crate) async fn message(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Ok(message);
            }
            let bytes = self.chunks.next().await?.ok_or_else(Error::lost)?;
            self.queue.extend(self.parser.push(&bytes));
        }
    }

    /// The next event. Kinds that only a newer client knows are passed over.
    pub(crate) async fn next(&mut self) -> Result<Event, Error> {
        loop {
            let message = self.message().await?;
            if let Ok(event) = serde_json::from_str(&message.data) {
                return Ok(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_encoded_byte_by_byte() {
        assert_eq!(encode("a b/ü?&=+%~"), "a%20b%2F%C3%BC%3F%26%3D%2B%25~");
    }

    #[test]
    fn lines_are_put_together_over_chunks() {
        let (mut buffer, mut ready) = (Vec::new(), VecDeque::new());
        for chunk in ["a", "b\n\nc", "\nd"] {
            split(&mut buffer, chunk.as_bytes(), &mut ready);
        }
        assert_eq!(ready, [b"ab".to_vec(), b"".to_vec(), b"c".to_vec()]);
        assert_eq!(buffer, b"d");
    }

    #[test]
    fn a_refusal_of_a_newer_daemon_is_still_told() {
        let error = refusal(418, br#"{"title":"no coffee","code":"teapot","status":418,"help":"tea"}"#);
        assert_eq!((error.to_string().as_str(), error.help_text()), ("no coffee", Some("tea")));
        assert_eq!(refusal(500, b"oops\n").to_string(), "devdd answered 500: oops");
    }

    #[test]
    fn unknown_fields_in_an_answer_are_no_obstacle() {
        let version: devd_proto::Version = decode(
            br#"{"version":"9.0.0","api":"v1","pid":1,"started_at":"2026-01-01T00:00:00.000Z","new":{}}"#,
        )
        .unwrap();
        assert_eq!(version.version, "9.0.0");
    }
}
