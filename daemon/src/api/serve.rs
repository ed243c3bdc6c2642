//! Connections: who gets one, how many there are, and how long each may take to say what it wants.
//!
//! The socket gives the power of Docker, so only its owner may talk to it. The folder's and the socket's modes say so
//! already; this holds when they were changed, and on systems that ignore a socket's mode.

use super::extract::Failure;
use crate::system::metrics::Metrics;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use devd_proto::{Code, PROBLEM_JSON, Problem};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the head of a request may take, and how long a connection may stay without one.
const HEAD: Duration = Duration::from_secs(30);

/// Connections that are told at the same time why they are refused. Beyond that they are only closed.
const REFUSALS: usize = 16;

/// How long one that is told so may take to hear it.
const HEARING: Duration = Duration::from_secs(5);

/// How long to wait when the system has no file to spare for a connection.
const RESPITE: Duration = Duration::from_millis(100);

/// Answers requests of so many clients at a time until `shutdown`, and then until those under way are answered.
pub async fn serve(
    listener: UnixListener,
    app: Router,
    most: usize,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    serve_for(rustix::process::geteuid().as_raw(), listener, app, most, metrics, shutdown).await;
}

async fn serve_for(
    owner: u32,
    listener: UnixListener,
    app: Router,
    most: usize,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    // Each may follow a log for ever, so nothing else bounds them.
    let (room, refusals) = (Arc::new(Semaphore::new(most)), Arc::new(Semaphore::new(REFUSALS)));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) if !is(owner, &stream) => refuse(stream, not_the_owner(), &refusals),
            Ok((stream, _)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(place) => {
                    let (talk, open) = (talk(stream, app.clone(), shutdown.clone()), metrics.client());
                    connections.spawn(async move {
                        talk.await;
                        drop((place, open));
                    });
                }
                Err(_) => {
                    metrics.client_refused();
                    tracing::warn!(most, "refused a client: there are too many connections");
                    refuse(stream, too_many(most), &refusals);
                }
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(RESPITE).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

/// Whether the user at the other end is this one; not, when the system does not tell.
fn is(owner: u32, stream: &UnixStream) -> bool {
    let peer = stream.peer_cred().map(|credentials| credentials.uid());
    match peer {
        Ok(user) if user == owner => true,
        Ok(user) => {
            tracing::warn!(user, "refused a connection of another user");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "refused a connection of an unknown user");
            false
        }
    }
}

fn not_the_owner() -> Problem {
    Problem::new(Code::Forbidden, "this devd belongs to another user")
        .help("each user has a devd of their own: set DEVD_SOCKET back, or leave it unset")
}

fn too_many(most: usize) -> Problem {
    Problem::new(Code::Busy, format!("devd has {most} connections already"))
        .help("end some of the commands that follow logs or events")
}

/// Tells who gets no connection why, whatever they ask.
fn refuse(stream: UnixStream, problem: Problem, refusals: &Arc<Semaphore>) {
    let Ok(place) = Arc::clone(refusals).try_acquire_owned() else { return };
    tokio::spawn(async move {
        // Whoever does not listen has missed it.
        let _ = tokio::time::timeout(HEARING, tell(stream, problem)).await;
        drop(place);
    });
}

/// Answers, and waits until that was taken: a connection that is closed with a request unread is broken off, and its
/// answer may be lost.
async fn tell(mut stream: UnixStream, problem: Problem) -> io::Result<()> {
    let Failure(problem) = problem.into();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::FORBIDDEN);
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let head =
        format!("{CONTENT_TYPE}: {PROBLEM_JSON}\r\ncontent-length: {}\r\nconnection: close", body.len());
    stream.write_all(format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{body}").as_bytes()).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut (&mut stream).take(1 << 20), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Serves one connection to its end.
async fn talk(stream: UnixStream, app: Router, shutdown: CancellationToken) {
    let service = TowerToHyperService::new(app);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection.with_upgrades());
    tokio::select! {
        // How a client leaves is its own affair.
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::super::extract::Body;
    use super::*;

    /// What a client hears that says this, and then nothing more; up to the end of the connection.
    async fn heard(owner: u32, said: &[u8]) -> String {
        heard_of(owner, 2, said).await
    }

    /// The same where there is room for so many clients.
    async fn heard_of(owner: u32, most: usize, said: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let (listener, shutdown) = (UnixListener::bind(&path).unwrap(), CancellationToken::new());
        let take = |Body(body): Body<bool>| async move { body.to_string() };
        let app = Router::new().route("/", axum::routing::get(|| async { "hello" }).post(take));
        let serving = tokio::spawn(serve_for(owner, listener, app, most, Metrics::new(), shutdown.clone()));
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(said).await.unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        shutdown.cancel();
        serving.await.unwrap();
        heard
    }

    fn us() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[tokio::test]
    async fn another_user_is_told_so_and_heard_no_further() {
        let heard = heard(us() + 1, b"").await;
        assert!(heard.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{heard}");
        assert!(heard.contains("\r\ncontent-type: application/problem+json\r\n"), "{heard}");
        let (_, body) = heard.split_once("\r\n\r\n").unwrap();
        let problem: Problem = serde_json::from_str(body).unwrap();
        assert_eq!(problem.code, Code::Forbidden);
        assert!(heard.contains(&format!("content-length: {}\r\n", body.len())), "{heard}");
    }

    #[tokio::test]
    async fn who_is_one_too_many_is_told_so() {
        let heard = heard_of(us(), 0, b"").await;
        assert!(heard.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{heard}");
        assert!(heard.contains("\"code\":\"busy\""), "{heard}");
    }

    /// The clock is paused: half a minute passes when nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn who_does_not_say_what_they_want_is_cut_off() {
        for said in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: devd\r\nX: "] {
            assert_eq!(heard(us(), said.as_bytes()).await, "", "{said}");
        }
        // The same between two requests.
        let answered = heard(us(), b"GET / HTTP/1.1\r\nHost: devd\r\n\r\n").await;
        assert!(answered.starts_with("HTTP/1.1 200 OK\r\n") && answered.ends_with("hello"), "{answered}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let post = |body: &str| format!("POST / HTTP/1.1\r\nHost: devd\r\nContent-Length: 4\r\n\r\n{body}");
        let late = heard(us(), post("tru").as_bytes()).await;
        assert!(late.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{late}");
        assert!(late.contains("\"code\":\"too_slow\""), "{late}");
        let there = heard(us(), post("true").as_bytes()).await;
        assert!(there.starts_with("HTTP/1.1 200 OK\r\n") && there.ends_with("true"), "{there}");
    }
}
