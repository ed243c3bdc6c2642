//! A daemon for one command only.

use crate::error::Error;
use crate::http::Client;
use crate::signal::Signals;
use crate::{connect, launch, paths};
use devd_proto::ProjectName;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use tokio::process::{Child, Command};

pub(super) struct Daemon {
    pub(super) client: Client,
    child: Child,
    /// Its socket, its state and its log.
    folder: PathBuf,
}

impl Daemon {
    pub(super) async fn start() -> Result<Self, Error> {
        let folder = std::env::temp_dir().join(format!("devd-ci-{}", std::process::id()));
        let cannot = |what: &str, error: std::io::Error| {
            Error::local(format!("cannot {what} {}: {error}", folder.display()))
        };
        // Of an earlier process with our number, perhaps. A folder that is not ours cannot be removed so.
        _ = fs::remove_dir_all(&folder);
        launch::create_private(&folder)?;
        connect::check_folder(&folder)?;
        let socket = folder.join("devd.sock");
        if socket.as_os_str().len() > paths::SOCKET_PATH_MAX {
            let message = format!("{} is too long for a socket", socket.display());
            return Err(Error::local(message).help("set TMPDIR to a shorter folder"));
        }
        // Nothing is made ahead that nobody will use.
        fs::write(folder.join("config.toml"), "[pool]\nmemory = \"0B\"\n")
            .map_err(|error| cannot("write into", error))?;
        let mut options = OpenOptions::new();
        let log = options.create(true).truncate(true).read(true).write(true).open(folder.join("devdd.log"));
        let mut log = log.map_err(|error| cannot("write into", error))?;
        let stderr = log.try_clone().map_err(|error| cannot("write into", error))?;
        let program = launch::find()?;
        let mut command = Command::new(&program);
        command
            .args(["--ci", "--socket"])
            .arg(&socket)
            .env("DEVD_STATE_DIR", folder.join("state"))
            .env("DEVD_CONFIG", folder.join("config.toml"))
            .envs(paths::variables(&["DOCKER_CONFIG", "DOCKER_CERT_PATH"])?)
            .stderr(stderr)
            // Ctrl-C is this command's to handle.
            .process_group(0);
        let child = launch::begin(&program, command, &folder, &mut log).await?;
        let stream = connect::open(&socket).await?;
        let gone = || Error::unreachable(format!("nobody listens on {}", socket.display()));
        let client = Client::new(socket.clone(), stream.ok_or_else(gone)?);
        Ok(Self { client, child, folder })
    }

    /// Removes everything of the project, and ends it. A signal says that nobody wants to wait for the first part; the daemon
    /// removes what it can while it goes.
    pub(super) async fn end(
        mut self,
        project: Option<&ProjectName>,
        signals: &mut Signals,
    ) -> Result<(), Error> {
        let removed = match project {
            Some(project) => tokio::select! {
                removed = super::super::down::remove(&self.client, project, true, true) => removed.map(drop),
                number = signals.next() => Err(Error::Interrupted(number)),
            },
            None => Ok(()),
        };
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // It may have died.
            _ = kill_process(pid, Signal::TERM);
        }
        _ = self.child.wait().await;
        _ = fs::remove_dir_all(&self.folder);
        match removed {
            // Its files never loaded: there is nothing of it.
            Err(error) if error.is(devd_proto::Code::UnknownProject) => Ok(()),
            removed => removed,
        }
    }
}
