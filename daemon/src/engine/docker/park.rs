//! `devd-park` in containers: who gets it, and restarting what runs under it.

use super::link::Connection;
use super::signals;
use crate::engine::EngineError;
use crate::engine::spec::{ContainerSpec, Park, label};
use crate::park;
use crate::system::paths::private_folder;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ImageInspect, Mount, MountType};
use bollard::query_parameters::{InspectContainerOptions, WaitContainerOptions};
use devd_park::protocol::command;
use devd_park::protocol::reply::{self, Reply};
use futures_util::StreamExt as _;
use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// How long the park may take beyond the grace period: it kills then, and starts a process.
const SLACK: Duration = Duration::from_secs(5);

/// How much older than a container's start, as the engine tells it, a file must be to be the one that was mounted: file
/// systems stamp by a clock that stands still for some milliseconds.
const OLDER: Duration = Duration::from_millis(100);

/// What Docker gives a process to stop when nothing is said.
const GRACE: Duration = Duration::from_secs(10);

/// How long the engine may take to notice that a container has ended.
const NOTICES: Duration = Duration::from_secs(1);

/// The park on this machine. Without it, or once it turned out that this engine cannot use it, the engine's own means
/// have to do.
#[derive(Debug)]
pub(super) struct Parking {
    /// Where everything of it is; none when there is no program for this machine.
    folder: Option<PathBuf>,
    useless: AtomicBool,
    /// What is known of running containers, by id. Forgotten when the engine starts one anew.
    known: Mutex<BTreeMap<String, Known>>,
}

/// What restarting in place takes to know.
#[derive(Clone, Debug)]
struct Known {
    control: PathBuf,
    signal: u32,
    grace: Duration,
    /// Mounted files and folders, with the inode that is mounted. A file that was replaced on the host, as editors do
    /// when they save, stays the old one in the container until the engine mounts it again.
    mounts: Vec<(PathBuf, (u64, u64))>,
}

impl Parking {
    /// Puts the program into a folder of the state.
    pub(super) fn new(state_dir: Option<&Path>) -> Self {
        let folder = state_dir.zip(park::PROGRAM).and_then(|(dir, program)| {
            let folder = dir.join("park");
            install(&folder, program)
                .inspect_err(|error| {
                    tracing::warn!(%error, "there is no park: tests start cold, and restarts are the engine's");
                })
                .ok()?;
            Some(folder)
        });
        Self { folder, useless: AtomicBool::new(false), known: Mutex::default() }
    }

    fn folder(&self) -> Option<&Path> {
        self.folder.as_deref().filter(|_| !self.useless.load(Ordering::Relaxed))
    }

    /// This engine cannot use it.
    pub(super) fn give_up(&self, why: &str) {
        if !self.useless.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                why,
                "this engine cannot run the park: tests start cold, and restarts are the engine's"
            );
        }
    }

    /// Makes the park the first process of a container, where that is wanted and possible. If so, returns the entrypoint
    /// that it takes the place of.
    pub(super) fn enter(
        &self,
        spec: &ContainerSpec,
        image: &ImageInspect,
        body: &mut ContainerCreateBody,
    ) -> Result<Option<Vec<String>>, EngineError> {
        let (Some(role), Some(folder)) = (spec.park, self.folder()) else { return Ok(None) };
        let service = &spec.service;
        let config = image.config.as_ref();
        let own = |list: Option<&Vec<String>>| list.cloned().filter(|list| !list.is_empty());
        let entrypoint =
            body.entrypoint.clone().or_else(|| own(config.and_then(|config| config.entrypoint.as_ref())));
        // An entrypoint of the file's own makes the image's command meaningless, as Docker has it.
        let command = body.cmd.clone().or_else(|| {
            service.entrypoint.is_none().then(|| own(config.and_then(|config| config.cmd.as_ref()))).flatten()
        });
        let entrypoint = entrypoint.unwrap_or_default();
        let argv = [entrypoint.as_slice(), &command.unwrap_or_default()].concat();
        let odd =
            service.tty || service.stdin_open || service.init == Some(true) || service.host.pid.is_some();
        let foreign = image.os.as_deref() != Some("linux") || !is_ours(image.architecture.as_deref());
        if argv.is_empty() || odd || foreign {
            return Ok(None);
        }
        let mut mounts = vec![bind(&program(folder), park::PATH, true)];
        let mode = match role {
            Park::Wait { stays } => {
                // Its end is the end of the lease, also when there is no devd any more that would clean up.
                body.host_config.get_or_insert_default().auto_remove = (!stays).then_some(true);
                body.attach_stdin = Some(true);
                body.open_stdin = Some(true);
                // The end of devd's connection is the end of the input.
                body.stdin_once = Some(true);
                "wait"
            }
            Park::Serve => {
                let control = control_folder(folder, &spec.name);
                let refuse =
                    |error| EngineError::Refused(format!("cannot make {}: {error}", control.display()));
                open_folder(&control).map_err(refuse)?;
                mounts.push(bind(&control, park::CONTROL_DIR, false));
                "serve"
            }
        };
        body.entrypoint = Some([park::PATH, mode, "--"].map(str::to_owned).to_vec());
        body.cmd = Some(argv);
        body.labels.get_or_insert_default().insert(label::PARK.to_owned(), park::DIGEST.to_owned());
        body.host_config.get_or_insert_default().mounts.get_or_insert_default().extend(mounts);
        Ok(Some(entrypoint))
    }

    /// Whether an error is about the park, and not about what the file asks for.
    pub(super) fn is_about_it(&self, message: &str) -> bool {
        let host = self.folder.as_ref().map(|folder| folder.display().to_string());
        message.contains(park::PATH) || host.is_some_and(|host| message.contains(&host))
    }

    /// The engine is about to start a container, and mounts what is on the host by then. A file that is replaced while it
    /// does so is found to be another one at the next restart.
    pub(super) async fn about_to_start(&self, connection: &Connection, container: &str) {
        self.forget(container);
        let Some(folder) = self.folder() else { return };
        let found = connection.api.inspect_container(container, None::<InspectContainerOptions>).await;
        // One that cannot be looked at now is looked at when it is restarted.
        if let Some(known) = found.ok().and_then(|found| known(folder, &found)) {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(container.to_owned(), known);
        }
    }

    /// The folder that is mounted into a container for its control socket, to be removed with it.
    pub(super) async fn control_of(&self, connection: &Connection, container: &str) -> Option<PathBuf> {
        let folder = self.folder.as_deref()?;
        let found =
            connection.api.inspect_container(container, None::<InspectContainerOptions>).await.ok()?;
        let control = control_folder(folder, found.name.as_deref()?.trim_start_matches('/'));
        let mounts = found.mounts.iter().flatten().filter_map(|mount| mount.source.as_deref());
        mounts.map(Path::new).any(|source| source == control).then_some(control)
    }

    /// What was known of a container is history.
    pub(super) fn forget(&self, container: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(container);
    }

    /// Restarts what runs in a container without the engine. Whether that was possible.
    pub(super) async fn restart(
        &self,
        connection: &Connection,
        container: &str,
        grace: Option<Duration>,
    ) -> Result<bool, EngineError> {
        let Some(folder) = self.folder() else { return Ok(false) };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(container).cloned();
        let known = match known {
            Some(known) => known,
            None => match learn(connection, folder, container).await? {
                Some(known) => known,
                None => return Ok(false),
            },
        };
        if known.mounts.iter().any(|(path, inode)| inode_of(path) != Some(*inode)) {
            return Ok(false);
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(container.to_owned(), known.clone());
        let grace = grace.unwrap_or(known.grace);
        let asked = tokio::time::timeout(grace + SLACK, ask(&known, grace)).await;
        match asked.map_err(io::Error::other).flatten() {
            Ok(true) => Ok(true),
            // It must not be started again.
            Ok(false) => Err(EngineError::Refused("somebody else stops its container".to_owned())),
            Err(error) => {
                tracing::debug!(container, %error, "not restarted in place");
                self.forget(container);
                if has_ended(connection, container, &known).await { Err(ended()) } else { Ok(false) }
            }
        }
    }
}

/// What there is to know of a container that an earlier devd started; none when it is not under the park, or may have
/// something mounted that was replaced since.
async fn learn(
    connection: &Connection,
    folder: &Path,
    container: &str,
) -> Result<Option<Known>, EngineError> {
    let found = connection.api.inspect_container(container, None::<InspectContainerOptions>).await?;
    if found.state.as_ref().is_some_and(|state| state.running == Some(false)) {
        return Err(ended());
    }
    let state = found.state.as_ref().filter(|state| state.running == Some(true));
    let started = state.and_then(|state| state.started_at.as_deref()?.parse::<jiff::Timestamp>().ok());
    let since_1970 =
        started.and_then(|at| u64::try_from(at.as_millisecond()).ok()).map(Duration::from_millis);
    let Some(started) = since_1970.map(|since| UNIX_EPOCH + since) else { return Ok(None) };
    let is_older = |path: &Path| {
        let meta = path.metadata();
        // Where the file system keeps no time of birth, the last change of anything about it has to do.
        let born = meta.and_then(|meta| {
            let changed =
                u64::try_from(meta.ctime()).map(|since| UNIX_EPOCH + Duration::from_secs(since + 1));
            meta.created().or_else(|_| changed.map_err(io::Error::other))
        });
        born.is_ok_and(|born| born + OLDER < started)
    };
    Ok(known(folder, &found).filter(|known| known.mounts.iter().all(|(path, _)| is_older(path))))
}

/// What there is to know of a container under the park, with what its mounts are on the host at this moment.
fn known(folder: &Path, found: &ContainerInspectResponse) -> Option<Known> {
    let config = found.config.as_ref()?;
    config.labels.as_ref()?.get(label::PARK)?;
    let own = folder.display().to_string();
    let binds = found.mounts.iter().flatten().filter(|mount| mount.typ.as_deref() == Some("bind"));
    let sources =
        binds.filter_map(|mount| mount.source.as_deref()).filter(|source| !source.starts_with(&own));
    let mounts = sources.map(|source| Some((PathBuf::from(source), inode_of(Path::new(source))?)));
    Some(Known {
        control: control_folder(folder, found.name.as_deref()?.trim_start_matches('/')),
        signal: config.stop_signal.as_deref().and_then(signals::number).unwrap_or(signals::TERM),
        grace: config
            .stop_timeout
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(GRACE, Duration::from_secs),
        mounts: mounts.collect::<Option<_>>()?,
    })
}

/// A restart is one of what runs. What does not has been stopped by somebody else, or has died: the engine tells which, and
/// whoever plans decides whether it starts again.
fn ended() -> EngineError {
    EngineError::Refused("its container has ended meanwhile".to_owned())
}

/// Whether the park does not listen because it was the first process of a container that has ended.
async fn has_ended(connection: &Connection, container: &str, known: &Known) -> bool {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if !connect(known).await.is_err_and(refused) {
        return false;
    }
    let options = WaitContainerOptions { condition: "not-running".to_owned() };
    let mut end = connection.api.wait_container(container, Some(options));
    let code = tokio::time::timeout(NOTICES, end.next()).await;
    // Other codes than 0 come as errors.
    matches!(code, Ok(Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. }))))
}

async fn connect(known: &Known) -> io::Result<UnixStream> {
    // By way of an open folder: the path itself may be longer than a socket's address.
    let folder = std::fs::File::open(&known.control)?;
    let address = format!("/proc/self/fd/{}/control", std::os::fd::AsRawFd::as_raw_fd(&folder));
    // The container can put anything there.
    if !std::fs::symlink_metadata(&address)?.file_type().is_socket() {
        return Err(io::Error::other("its control socket is none"));
    }
    UnixStream::connect(address).await
}

/// Whether it was restarted; false if somebody has asked the container to end.
async fn ask(known: &Known, grace: Duration) -> io::Result<bool> {
    let mut stream = connect(known).await?;
    let Reply::Hello(_) = read(&mut stream).await? else { return Err(odd()) };
    let grace = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
    stream.write_all(&command::restart(1, grace, known.signal)).await?;
    match read(&mut stream).await? {
        Reply::Restarted(_) => Ok(true),
        Reply::Done { errno: reply::CANCELED } => Ok(false),
        Reply::Hello(_) | Reply::Done { .. } => Err(odd()),
    }
}

async fn read(stream: &mut UnixStream) -> io::Result<Reply> {
    let mut bytes = [0; reply::LEN];
    stream.read_exact(&mut bytes).await?;
    Reply::decode(&bytes).map(|(_, reply)| reply).map_err(|error| io::Error::other(error.to_string()))
}

fn odd() -> io::Error {
    io::Error::other("the park gives an answer to another question")
}

fn inode_of(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

fn is_ours(architecture: Option<&str>) -> bool {
    let ours = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    architecture == Some(ours)
}

fn bind(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.display().to_string()),
        target: Some(target.to_owned()),
        read_only: read_only.then_some(true),
        ..Default::default()
    }
}

/// Named by its content: containers of an earlier devd go on with theirs.
fn program(folder: &Path) -> PathBuf {
    folder.join(format!("devd-park-{}", park::DIGEST))
}

fn control_folder(folder: &Path, container: &str) -> PathBuf {
    folder.join("run").join(container)
}

/// Removes the folder of a container that is gone. It may hold what a process of another user's left there.
pub(super) fn remove_control(control: &Path) {
    if let Err(error) = std::fs::remove_dir_all(control)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %control.display(), %error, "cannot be removed");
    }
}

fn install(folder: &Path, program: &[u8]) -> io::Result<()> {
    private_folder(folder)?;
    let path = self::program(folder);
    if std::fs::read(&path).is_ok_and(|there| there == program) {
        return Ok(());
    }
    // Renamed into place: a container may start at any moment.
    let half = folder.join(format!(".{}.{}", park::DIGEST, std::process::id()));
    // Of a daemon with our number that was killed. What is made now was not there before, so no link is written through.
    let _ = std::fs::remove_file(&half);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
    file.write_all(program)?;
    file.set_permissions(Permissions::from_mode(0o755))?;
    drop(file);
    std::fs::rename(&half, &path)
}

/// A folder that every user of a container can make a socket in. On the host nobody gets so far: those around it are their
/// owner's.
fn open_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), private_folder)?;
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_containers_have_to_reach_is_behind_folders_that_are_their_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("park");
        install(&folder, b"program").unwrap();
        open_folder(&control_folder(&folder, "shop-api-1")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!([mode(&folder), mode(&folder.join("run"))], [0o700; 2]);
        assert_eq!([mode(&program(&folder)), mode(&control_folder(&folder, "shop-api-1"))], [0o755, 0o777]);
    }

    #[test]
    fn the_program_is_not_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, victim) = (dir.path().join("park"), dir.path().join("victim"));
        private_folder(&folder).unwrap();
        std::fs::write(&victim, "precious").unwrap();
        let half = folder.join(format!(".{}.{}", park::DIGEST, std::process::id()));
        std::os::unix::fs::symlink(&victim, half).unwrap();
        install(&folder, b"program").unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
        assert_eq!(std::fs::read(program(&folder)).unwrap(), b"program");
    }
}
