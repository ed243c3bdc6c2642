//! Requests whose answer streams: each on a connection of its own, closed by dropping what came back.

use super::error::{from_status, with_sources};
use crate::engine::EngineError;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{fmt::Write, io, path::PathBuf, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// How long an engine may take to accept a connection, and to begin an answer that it gives at once.
const PROMPT: Duration = Duration::from_secs(60);

/// How much is read at once.
const CHUNK: usize = 32 << 10;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A socket file.
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// What is sent along.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request to be.
pub(super) struct Call {
    method: Method,
    target: String,
    headers: Vec<(header::HeaderName, String)>,
    body: Body,
    patient: bool,
}

impl Call {
    /// `GET` of a path.
    pub(super) fn get(path: impl Into<String>) -> Self {
        let body = Full::default().map_err(|never| match never {}).boxed_unsync();
        Self { method: Method::GET, target: path.into(), headers: Vec::new(), body, patient: false }
    }

    /// `POST` to a path.
    pub(super) fn post(path: impl Into<String>) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    /// Adds parameters.
    pub(super) fn query(mut self, pairs: &[(&str, String)]) -> Self {
        for (name, value) in pairs {
            self.target.push(if self.target.contains('?') { '&' } else { '?' });
            self.target.push_str(name);
            self.target.push('=');
            encode(value, &mut self.target);
        }
        self
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: header::HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sends JSON along.
    pub(super) fn json(mut self, value: &Value) -> Self {
        self.body = Full::from(value.to_string()).map_err(|never| match never {}).boxed_unsync();
        self.header(header::CONTENT_TYPE, "application/json".to_owned())
    }

    /// Sends a tar archive along.
    pub(super) fn tar(mut self, chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        self.body = StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync();
        self.header(header::CONTENT_TYPE, "application/x-tar".to_owned())
    }

    /// Waits for the answer as long as it takes.
    pub(super) fn patient(mut self) -> Self {
        self.patient = true;
        self
    }

    /// Sends it, and returns when the answer begins.
    pub(super) async fn send(self, address: &Address) -> Result<Response<Incoming>, EngineError> {
        let patient = self.patient;
        let exchange = self.exchange(address);
        let response = if patient {
            exchange.await?
        } else {
            let timeout = tokio::time::timeout(PROMPT, exchange).await;
            timeout.map_err(|_| EngineError::Unreachable("it does not answer".to_owned()))??
        };
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let body = response.into_body().collect().await.map_err(unreachable)?.to_bytes();
        let message = match serde_json::from_slice::<Value>(&body) {
            Ok(value) => value.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            Err(_) => String::from_utf8_lossy(&body).into_owned(),
        };
        Err(from_status(status.as_u16(), &message))
    }

    /// Sends it, and takes the connection over for raw bytes in both directions.
    pub(super) async fn upgrade(self, address: &Address) -> Result<TokioIo<Upgraded>, EngineError> {
        let call =
            self.header(header::CONNECTION, "Upgrade".to_owned()).header(header::UPGRADE, "tcp".to_owned());
        let response = call.send(address).await?;
        Ok(TokioIo::new(hyper::upgrade::on(response).await.map_err(unreachable)?))
    }

    async fn exchange(self, address: &Address) -> Result<Response<Incoming>, EngineError> {
        match address {
            Address::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(unreachable)?;
                self.exchange_over(stream, "localhost").await
            }
            Address::Tcp(host) => {
                let stream = tokio::net::TcpStream::connect(host.as_str()).await.map_err(unreachable)?;
                self.exchange_over(stream, host).await
            }
        }
    }

    async fn exchange_over<S>(self, stream: S, host: &str) -> Result<Response<Incoming>, EngineError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
        // It ends with the answer, or when the answer is dropped. Its errors come out at the answer, too.
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        let mut request = Request::builder().method(self.method).uri(&self.target).header(header::HOST, host);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(self.body).map_err(|error| EngineError::Refused(error.to_string()))?;
        sender.send_request(request).await.map_err(unreachable)
    }
}

/// The value of an answer that is one JSON document.
pub(super) async fn json_of(response: Response<Incoming>) -> Result<Value, EngineError> {
    let body = response.into_body().collect().await.map_err(unreachable)?;
    serde_json::from_slice(&body.to_bytes()).map_err(not_understood)
}

/// The values of an answer that is a sequence of JSON documents, a line each.
pub(super) fn json_lines<T>(response: Response<Incoming>) -> BoxStream<'static, Result<T, EngineError>>
where
    T: DeserializeOwned + Send + 'static,
{
    let state = (response.into_body(), BytesMut::new(), false);
    let lines = stream::try_unfold(state, |(mut body, mut buffer, mut ended)| async move {
        loop {
            let line = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) => buffer.split_to(end + 1),
                None if ended && buffer.is_empty() => return Ok(None),
                None if ended => buffer.split(),
                None => {
                    match body.frame().await {
                        Some(frame) => {
                            let frame = frame.map_err(unreachable)?;
                            buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                        }
                        None => ended = true,
                    }
                    continue;
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let value = serde_json::from_slice(&line).map_err(not_understood)?;
            return Ok(Some((value, (body, buffer, ended))));
        }
    });
    lines.boxed()
}

/// The bytes of an answer.
pub(super) fn chunks(
    response: Response<Incoming>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
    response.into_body().into_data_stream().map(|chunk| chunk.map_err(io::Error::other))
}

/// The bytes of one direction of a connection that was taken over.
pub(super) fn chunks_of<R>(reader: R) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let chunks = stream::try_unfold(reader, |mut reader| async move {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        let read = reader.read_buf(&mut buffer).await?;
        Ok((read > 0).then(|| (buffer.freeze(), reader)))
    });
    chunks.boxed()
}

/// A failed exchange as an error.
pub(super) fn unreachable(error: impl std::error::Error) -> EngineError {
    EngineError::Unreachable(with_sources(&error))
}

fn not_understood(error: serde_json::Error) -> EngineError {
    EngineError::Refused(format!("the engine's answer is not understood: {error}"))
}

/// Percent-encodes all but what never has a meaning in a query.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                into.push(char::from(byte))
            }
            _ => {
                // Writing into a string cannot fail.
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded() {
        let call = Call::post("/build").query(&[("t", "a b:1".to_owned()), ("t", "ä&=".to_owned())]);
        assert_eq!(call.target, "/build?t=a%20b%3A1&t=%C3%A4%26%3D");
    }
}
