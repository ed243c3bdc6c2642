//! Who is at the other end of the socket.
//!
//! The socket gives the power of Docker, so only its owner may talk to it. The folder's and the socket's modes say so
//! already; this holds when they were changed, and on systems that ignore a socket's mode.

use super::extract::Failure;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use devd_proto::{Code, Problem};
use tokio::net::UnixListener;

/// The user at the other end; `None` when the system does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|credentials| credentials.uid()))
    }
}

/// Lets only the user through whom the daemon runs as.
pub(super) async fn only_the_owner(
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let owner = rustix::process::geteuid().as_raw();
    if peer.0 == Some(owner) {
        return next.run(request).await;
    }
    tracing::warn!(?peer, "refused a connection of another user");
    Failure(Problem::new(Code::Forbidden, "this devd belongs to another user")).into_response()
}
