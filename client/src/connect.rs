//! The way to the daemon: a socket that nobody else could have put there.

use crate::error::Error;
use crate::http::Client;
use crate::{launch, paths};
use devd_proto::private::Private;
use std::io;
use std::path::Path;
use tokio::net::UnixStream;

/// Connects to the daemon that runs; never starts one.
pub(crate) async fn running() -> Result<Client, Error> {
    let socket = paths::socket()?;
    match open(&socket).await? {
        Some(stream) => Ok(Client::new(socket, stream)),
        None => Err(Error::NotRunning),
    }
}

/// Connects to the daemon, and starts it when none runs.
pub(crate) async fn started() -> Result<Client, Error> {
    let socket = paths::socket()?;
    if let Some(stream) = open(&socket).await? {
        return Ok(Client::new(socket, stream));
    }
    let stream = launch::daemon(&socket).await?;
    Ok(Client::new(socket, stream))
}

/// A connection, or none when nobody listens.
pub(crate) async fn open(socket: &Path) -> Result<Option<UnixStream>, Error> {
    let folder = paths::folder_of(socket);
    if !check_folder(folder)? {
        return Ok(None);
    }
    match UnixStream::connect(socket).await {
        Ok(stream) => check_listener(socket, &stream).map(|()| Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(Error::unreachable(format!("cannot connect to {}: {error}", socket.display()))
            .help("devd doctor")),
    }
}

/// Whether the folder is there. That it is ours and closed to others is what makes the socket trustworthy.
pub(crate) fn check_folder(folder: &Path) -> Result<bool, Error> {
    Private::socket(paths::uid()).look(folder).map_err(Error::untrusted)
}

/// Refuses whoever is not us: the folder may have been open to others for a while, and theirs be the one who listens.
fn check_listener(socket: &Path, stream: &UnixStream) -> Result<(), Error> {
    let listener = stream.peer_cred().map_err(|error| {
        Error::unreachable(format!("cannot see who listens on {}: {error}", socket.display()))
    })?;
    if listener.uid() == paths::uid() {
        return Ok(());
    }
    let (shown, uid) = (socket.display(), listener.uid());
    Err(Error::unreachable(format!("another user (uid {uid}) listens on {shown}, who is not trusted"))
        .help(format!("rm '{shown}', and `devd daemon start`")))
}
