//! Starting the daemon, and knowing when it is ready without asking again and again.

use crate::error::Error;
use crate::service::systemd;
use crate::{connect, paths};
use devd_proto::private::Private;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::net::{UnixDatagram, UnixStream};
use tokio::process::{Child, Command};

/// A daemon that lives and has not said that it is ready by then never will. It may read many projects and wait for its
/// engine first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the daemon for this socket and connects to it.
pub(crate) async fn daemon(socket: &Path) -> Result<UnixStream, Error> {
    let folder = paths::folder_of(socket);
    Private::socket(paths::uid()).make(folder).map_err(Error::untrusted)?;
    // Two clients may come here at once. The second waits for the first, and finds what it started.
    let _lock = lock(folder.join("start.lock")).await?;
    if let Some(stream) = connect::open(socket).await? {
        return Ok(stream);
    }
    if systemd::starts_socket(socket).await
        && let Some(stream) = connect::open(socket).await?
    {
        return Ok(stream);
    }
    spawn(socket, folder).await?;
    connect::open(socket).await?.ok_or_else(|| {
        Error::unreachable(format!("devdd says that it is ready, but nobody listens on {}", socket.display()))
    })
}

async fn spawn(socket: &Path, folder: &Path) -> Result<(), Error> {
    let program = find()?;
    let state = paths::state()?;
    let private = Private::state(paths::uid());
    private.make(&state).map_err(Error::untrusted)?;
    let path = state.join("devdd-start.log");
    let log = private.open(&path, OpenOptions::new().read(true).write(true));
    let mut log = log.map_err(Error::untrusted)?;
    log.set_len(0).map_err(|error| cannot("write", &path, &error))?;
    let stderr = log.try_clone().map_err(|error| Error::local(format!("cannot start devdd: {error}")))?;
    let mut command = Command::new(&program);
    command
        .arg("--background")
        .arg("--socket")
        .arg(socket)
        // By the folder that this command is in, which the daemon leaves.
        .env("DEVD_STATE_DIR", &state)
        .envs(paths::variables(&["DEVD_SOCKET", "DEVD_CONFIG", "DOCKER_CONFIG", "DOCKER_CERT_PATH"])?)
        // In this command's process group until it begins a session of its own, which the leader of a group cannot.
        .stderr(stderr);
    let begun = begin(&program, command, folder, &mut log).await;
    begun.map(drop).map_err(|error| error.help("devd daemon logs"))
}

/// Starts the daemon, and waits until it is ready. What it writes until then is in `log`.
pub(crate) async fn begin(
    program: &Path,
    mut command: Command,
    folder: &Path,
    log: &mut File,
) -> Result<Child, Error> {
    let ready = Readiness::listen(folder)?;
    let started = command
        .env("NOTIFY_SOCKET", &ready.path)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let mut child = started
        .map_err(|error| Error::unreachable(format!("cannot start {}: {error}", program.display())))?;
    match begun(ready.wait(), child.wait()).await {
        Some(Begun::Ready(outcome)) => outcome.map(|()| child),
        Some(Begun::Ended(status)) => Err(died(program, "did not start", &status, log)),
        None => Err(Error::unreachable(format!(
            "{} was started, but is not ready after {} s{}",
            program.display(),
            PATIENCE.as_secs(),
            last_lines(log)
        ))),
    }
}

/// What became of a start.
#[derive(Debug, PartialEq, Eq)]
enum Begun<R, E> {
    Ready(R),
    Ended(E),
}

/// Waits for as long as the daemon lives; none when patience is at its end.
async fn begun<R, E>(ready: impl Future<Output = R>, end: impl Future<Output = E>) -> Option<Begun<R, E>> {
    tokio::select! {
        // What it said before its end counts.
        biased;
        outcome = ready => Some(Begun::Ready(outcome)),
        end = end => Some(Begun::Ended(end)),
        () = tokio::time::sleep(PATIENCE) => None,
    }
}

pub(crate) fn died(program: &Path, what: &str, status: &io::Result<ExitStatus>, log: &mut File) -> Error {
    let how = status.as_ref().map_or_else(ToString::to_string, ToString::to_string);
    Error::unreachable(format!("{} {what} ({how}){}", program.display(), last_lines(log)))
}

/// The end of what the daemon wrote, as the lines under an error.
fn last_lines(log: &mut File) -> String {
    let mut text = Vec::new();
    let read = log.seek(SeekFrom::Start(0)).and_then(|_| log.read_to_end(&mut text));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(10)..].iter().map(|line| format!("\n  {line}")).collect()
}

/// `devdd` beside this program, else on PATH.
pub(crate) fn find() -> Result<PathBuf, Error> {
    let own = env::current_exe().and_then(fs::canonicalize).ok();
    let beside = own.as_deref().and_then(Path::parent).map(|folder| folder.join("devdd"));
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join("devdd"));
    beside.iter().cloned().chain(on_path).find(|file| is_program(file)).ok_or_else(|| {
        let place = beside.map_or_else(String::new, |file| format!("as {} nor ", file.display()));
        Error::unreachable(format!("devdd is not there, neither {place}on PATH"))
            .help("install devdd next to devd: both come from the same build")
    })
}

fn is_program(file: &Path) -> bool {
    use rustix::fs::{Access, access};
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

async fn lock(path: PathBuf) -> Result<File, Error> {
    let shown = path.clone();
    let locked = tokio::task::spawn_blocking(move || {
        let file = Private::socket(paths::uid()).open(&path, OpenOptions::new().write(true));
        let file = file.map_err(Error::untrusted)?;
        file.lock().map_err(|error| cannot("lock", &path, &error))?;
        Ok(file)
    });
    match tokio::time::timeout(2 * PATIENCE, locked).await {
        Ok(Ok(locked)) => locked,
        Ok(Err(_)) | Err(_) => Err(Error::unreachable("another devd command is starting the daemon")
            .help(format!("wait for it; who holds it: fuser '{}'", shown.display()))),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::unreachable(format!("cannot {what} {}: {error}", path.display()))
}

/// The socket on which the daemon says `READY=1`, as sd_notify does. It is gone with the value.
struct Readiness {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Readiness {
    fn listen(folder: &Path) -> Result<Self, Error> {
        let name = format!("notify-{}.sock", std::process::id());
        let mut path = folder.join(&name);
        if path.as_os_str().len() > paths::SOCKET_PATH_MAX {
            path = env::temp_dir().join(format!("devd-{name}"));
        }
        // Of an earlier process with our id that was killed.
        _ = fs::remove_file(&path);
        match UnixDatagram::bind(&path) {
            Ok(socket) => Ok(Self { socket, path }),
            Err(error) => Err(cannot("bind", &path, &error)),
        }
    }

    async fn wait(&self) -> Result<(), Error> {
        let mut message = [0; 4096];
        loop {
            let length =
                self.socket.recv(&mut message).await.map_err(|error| cannot("read", &self.path, &error))?;
            if message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                return Ok(());
            }
        }
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        // It is only litter, and the next run removes it too.
        _ = fs::remove_file(&self.path);
    }
}

/// A program and its arguments, run to its end with nothing on its streams; whether it succeeded.
pub(crate) async fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[tokio::test(flavor = "current_thread")]
    async fn ready_is_a_line_of_a_datagram_and_the_socket_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let ready = Readiness::listen(folder.path()).unwrap();
        let path = ready.path.clone();
        let daemon = std::os::unix::net::UnixDatagram::unbound().unwrap();
        daemon.send_to(b"STATUS=READY=1 soon", &path).unwrap();
        daemon.send_to(b"MAINPID=7\nREADY=1\nSTATUS=x", &path).unwrap();
        ready.wait().await.unwrap();
        assert!(path.exists());
        drop(ready);
        assert!(!path.exists());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_folder_too_deep_for_the_readiness_socket_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(100));
        fs::create_dir(&deep).unwrap();
        let ready = Readiness::listen(&deep).unwrap();
        assert!(ready.path.starts_with(env::temp_dir()));
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_daemon_that_lives_is_waited_for_a_minute_and_one_that_ends_is_not() {
        use std::future::pending;
        let after = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        assert_eq!(begun(after(45), pending::<()>()).await, Some(Begun::Ready(())));
        assert_eq!(begun(pending::<()>(), after(2)).await, Some(Begun::Ended(())));
        assert_eq!(begun(after(0), after(0)).await, Some(Begun::Ready(())));
        assert_eq!(begun(pending::<()>(), pending::<()>()).await, None);
    }

    #[test]
    fn the_last_ten_lines_are_shown() {
        let mut log = tempfile::tempfile().unwrap();
        for line in 0..15 {
            writeln!(log, "line {line}\n").unwrap();
        }
        let shown = last_lines(&mut log);
        assert!(shown.starts_with("\n  line 5\n") && shown.ends_with("\n  line 14"), "{shown}");
    }
}
