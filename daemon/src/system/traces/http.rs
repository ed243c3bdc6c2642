//! How traces are sent: HTTP/1.1 without TLS, as to a collector on this machine or beside it. The library's own clients
//! bring a TLS stack or HTTP/2 with them.

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// As OpenTelemetry has it where nothing is set.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer: it says how many spans were refused.
const ANSWER: usize = 64 * 1024;

/// Opens a connection for each request: there is one every few seconds at most.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Handle,
    /// The last request failed: that is said once.
    failing: AtomicBool,
}

impl Client {
    pub(super) fn new(runtime: Handle) -> Self {
        Self { runtime, failing: AtomicBool::new(false) }
    }

    fn note(&self, result: &Result<Response<Bytes>, HttpError>) {
        let error = match result {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(answer.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let known = self.failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if known => tracing::debug!(error, "traces are still not taken"),
            Some(error) => tracing::warn!(error, "traces are not taken; it is tried on"),
            None => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // Whoever asks is a thread without a runtime.
        let sending = self.runtime.spawn(async { tokio::time::timeout(PATIENCE, exchange(request)).await });
        let result = match sending.await {
            Ok(Ok(result)) => result,
            Ok(Err(late)) => Err(late.into()),
            Err(lost) => Err(lost.into()),
        };
        self.note(&result);
        result
    }
}

async fn exchange(mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri();
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err("the endpoint must be one of http://, as of a collector near by".into());
    };
    let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).parse::<Uri>()?;
    let stream = TcpStream::connect(&address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer. Its errors come out there, too.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    request.headers_mut().insert(HOST, HeaderValue::from_str(&address)?);
    *request.uri_mut() = target;
    let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}
