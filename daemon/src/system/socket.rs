//! The socket: handed over by the service manager, or made here under a lock.

use super::paths::owner;
use devd_proto::private::{Private, Untrusted};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A listening socket, and what keeps others from taking it.
#[derive(Debug)]
pub struct Bound {
    /// Listens, non-blocking.
    pub listener: UnixListener,
    /// Let go before the socket's own lock: whoever gets that one next finds this one free.
    state: Option<File>,
    /// Held for the life of the daemon.
    lock: Option<(File, PathBuf)>,
}

impl Bound {
    /// Holds the state folder as well. Another socket does not make another state: two daemons on one would end each
    /// other's test runs.
    pub fn with_state(mut self, dir: &Path) -> Result<Self, SocketError> {
        self.state = Some(lock(Private::state(owner()), &dir.join("lock"), dir)?);
        Ok(self)
    }
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon has it.
    #[error("another devdd (pid {pid}) has {}", what.display())]
    Taken {
        /// Its process id, or `unknown`.
        pid: String,
        /// The socket or the state folder.
        what: PathBuf,
    },
    /// The path does not fit into a socket address.
    #[error("the socket's path is too long ({length} bytes, {MAX} is the limit): {}", socket.display())]
    TooLong {
        /// Its length.
        length: usize,
        /// The path.
        socket: PathBuf,
    },
    /// There is something else in its place, which is not for us to remove.
    #[error("{} is there and is no socket: remove it, or set DEVD_SOCKET to another path", socket.display())]
    NoSocket {
        /// The path.
        socket: PathBuf,
    },
    /// Its folder or its lock is not ours alone.
    #[error("{untrusted}{}", untrusted.help().map_or_else(String::new, |help| format!("\nhelp: {help}")))]
    Untrusted {
        /// What is wrong.
        untrusted: Untrusted,
    },
    /// Something of the system's.
    #[error("{}: {error}", path.display())]
    Io {
        /// With what.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl From<Untrusted> for SocketError {
    fn from(untrusted: Untrusted) -> Self {
        Self::Untrusted { untrusted }
    }
}

/// `sun_path` has 108 bytes on Linux and 104 on macOS, one of them for the end.
const MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// Binds the socket. A stale one is replaced only under the lock, and after a connection to it was refused.
pub fn bind(socket: &Path) -> Result<Bound, SocketError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| SocketError::Io { path, error }
    };
    let length = socket.as_os_str().len();
    if length > MAX {
        return Err(SocketError::TooLong { length, socket: socket.to_owned() });
    }
    let private = Private::socket(owner());
    if let Some(dir) = socket.parent() {
        private.make(dir)?;
    }
    let lock_path = socket.with_extension("lock");
    let lock = lock(private, &lock_path, socket)?;
    // To connect to a file is refused as well, and a file is nothing to remove.
    if socket.symlink_metadata().is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(SocketError::NoSocket { socket: socket.to_owned() });
    }
    match UnixStream::connect(socket) {
        // The service manager listens there, or a daemon whose lock file was removed.
        Ok(_) => return Err(SocketError::Taken { pid: "unknown".to_owned(), what: socket.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(socket).map_err(io(socket))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(SocketError::Io { path: socket.to_owned(), error }),
    }
    let listener = UnixListener::bind(socket).map_err(io(socket))?;
    std::fs::set_permissions(socket, Permissions::from_mode(0o600)).map_err(io(socket))?;
    listener.set_nonblocking(true).map_err(io(socket))?;
    Ok(Bound { listener, state: None, lock: Some((lock, socket.to_owned())) })
}

/// Takes a lock that is held for as long as the file is open, and writes this process's id into it.
///
/// `what` is what it guards, for the error.
fn lock(private: Private, path: &Path, what: &Path) -> Result<File, SocketError> {
    let mut lock = private.open(path, OpenOptions::new().read(true).write(true))?;
    if lock.try_lock().is_err() {
        let mut pid = String::new();
        // Whoever holds the lock has written its pid; if not, it is just starting.
        let _ = lock.read_to_string(&mut pid);
        let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
        return Err(SocketError::Taken { pid, what: what.to_owned() });
    }
    // The lock is what counts: on a full disk whoever comes second does not learn who has it, and nothing else is lost.
    let _ =
        lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| write!(lock, "{}", std::process::id()));
    Ok(lock)
}

/// Takes the socket that the service manager listens on, if it handed one over.
pub fn handed_over() -> io::Result<Option<Bound>> {
    let Some(listener) = listenfd::ListenFd::from_env().take_unix_listener(0)? else { return Ok(None) };
    listener.set_nonblocking(true)?;
    Ok(Some(Bound { listener, state: None, lock: None }))
}

/// Every connection is an open file, and so is much else. Systems give a process few of them unless it asks for more.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        tracing::warn!(%error, wanted, "the limit of open files stays as it is");
    }
}

/// Open files.
const ENOUGH: u64 = 65_536;

impl Drop for Bound {
    fn drop(&mut self) {
        // Removed while the lock is still held: nobody can have made a new one in between.
        if let Some((_, socket)) = &self.lock {
            let _ = std::fs::remove_file(socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_has_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/devd.sock");
        let first = bind(&path).unwrap();
        let error = bind(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        drop(first);
        assert!(!path.exists());
        bind(&path).unwrap();
    }

    #[test]
    fn a_second_daemon_on_the_same_state_is_refused_and_leaves_no_socket() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("a/devd.sock"), dir.path().join("b/devd.sock"));
        let first = bind(&one).unwrap().with_state(dir.path()).unwrap();
        let error = bind(&other).unwrap().with_state(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        assert!(!other.exists());
        drop(first);
        bind(&other).unwrap().with_state(dir.path()).unwrap();
    }

    /// A place for a socket, in a folder as it should be.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        Private::socket(owner()).make(&folder).unwrap();
        (dir, folder.join("devd.sock"))
    }

    /// A connection to a plain file is refused like one to a stale socket.
    #[test]
    fn a_file_in_the_place_of_the_socket_is_not_removed() {
        let (_dir, path) = place();
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(SocketError::NoSocket { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert!(matches!(bind(&path), Err(SocketError::NoSocket { .. })));
    }

    /// The lock is emptied and written to.
    #[test]
    fn a_lock_that_is_a_link_overwrites_nothing() {
        let (dir, path) = place();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, path.with_extension("lock")).unwrap();
        assert!(bind(&path).unwrap_err().to_string().contains("is not a plain file"));
        std::os::unix::fs::symlink(&victim, dir.path().join("run/lock")).unwrap();
        std::fs::remove_file(path.with_extension("lock")).unwrap();
        let error = bind(&path).unwrap().with_state(&dir.path().join("run")).unwrap_err().to_string();
        assert!(error.contains("is not a plain file"), "{error}");
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn a_folder_that_is_open_to_others_is_refused_with_what_to_do() {
        let (dir, path) = place();
        std::fs::set_permissions(dir.path().join("run"), Permissions::from_mode(0o755)).unwrap();
        let error = bind(&path).unwrap_err().to_string();
        assert!(error.contains("(mode 755)") && error.contains("\nhelp: chmod 700"), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let (_dir, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        bind(&path).unwrap();
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused_with_its_length() {
        let path = PathBuf::from(format!("/tmp/{}/devd.sock", "x".repeat(120)));
        assert!(bind(&path).unwrap_err().to_string().contains("too long"));
    }
}
