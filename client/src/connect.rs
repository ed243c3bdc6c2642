//! The way to the daemon: a socket that nobody else could have put there.

use crate::error::Error;
use crate::http::Client;
use crate::{launch, paths};
use std::io;
use std::os::unix::fs::MetadataExt;
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
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(Error::unreachable(format!("cannot connect to {}: {error}", socket.display()))
            .help("devd doctor")),
    }
}

/// Whether the folder is there. That it is ours and closed to others is what makes the socket trustworthy.
pub(crate) fn check_folder(folder: &Path) -> Result<bool, Error> {
    // In a folder that anyone may write to, anyone may have put a link of that name.
    let metadata = if folder.parent() == Some(Path::new("/tmp")) {
        folder.symlink_metadata()
    } else {
        folder.metadata()
    };
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => {
            return Err(Error::unreachable(format!("cannot look at {}: {error}", folder.display())));
        }
    };
    let shown = folder.display();
    if !metadata.is_dir() {
        return Err(Error::unreachable(format!("{shown} is not a folder, and devd's socket belongs there"))
            .help("remove it, or set DEVD_SOCKET to another place"));
    }
    if metadata.uid() != paths::uid() {
        return Err(Error::unreachable(format!(
            "{shown} belongs to another user (uid {}): whoever listens there is not trusted",
            metadata.uid()
        ))
        .help("set DEVD_SOCKET to a path in a folder of your own"));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::unreachable(format!(
            "{shown} is open to other users (mode {mode:03o}): whoever listens there is not trusted"
        ))
        .help(format!("chmod 700 '{shown}', or set DEVD_SOCKET to a path in a folder of its own")));
    }
    Ok(true)
}
