//! A daemon for one command only.

use crate::error::Error;
use crate::http::Client;
use crate::signal::Signals;
use crate::{connect, launch, paths};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use tokio::process::{Child, Command};

pub(super) struct Daemon {
    pub(super) client: Client,
    child: Child,
    program: PathBuf,
    log: File,
}

impl Daemon {
    pub(super) async fn start() -> Result<Self, Error> {
        let folder = std::env::temp_dir().join(format!("devd-ci-{}", std::process::id()));
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        // Of an earlier process with our number, perhaps. A folder that is not ours cannot be removed so.
        _ = fs::remove_dir_all(&folder);
        launch::create_private(&folder)?;
        connect::check_folder(&folder)?;
        let started = Self::start_in(&folder).await;
        if started.is_err() {
            // A daemon that had begun has done it.
            _ = fs::remove_dir_all(&folder);
        }
        started
    }

    async fn start_in(folder: &Path) -> Result<Self, Error> {
        let cannot_write = |error| Error::local(format!("cannot write into {}: {error}", folder.display()));
        let socket = folder.join("devd.sock");
        if socket.as_os_str().len() > paths::SOCKET_PATH_MAX {
            let message = format!("{} is too long for a socket", socket.display());
            return Err(Error::local(message).help("set TMPDIR to a shorter folder"));
        }
        // Nothing is made ahead that nobody will use.
        fs::write(folder.join("config.toml"), "[pool]\nmemory = \"0B\"\n").map_err(cannot_write)?;
        let mut options = OpenOptions::new();
        let log = options.create(true).truncate(true).read(true).write(true).open(folder.join("devdd.log"));
        let mut log = log.map_err(cannot_write)?;
        let stderr = log.try_clone().map_err(cannot_write)?;
        let program = launch::find()?;
        let mut command = Command::new(&program);
        command
            // Its socket, its state and its log are there.
            .arg("--ci")
            .arg(folder)
            .arg("--socket")
            .arg(&socket)
            .env("DEVD_STATE_DIR", folder.join("state"))
            .env("DEVD_CONFIG", folder.join("config.toml"))
            .envs(paths::variables(&["DOCKER_CONFIG", "DOCKER_CERT_PATH"])?)
            .stderr(stderr)
            // Ctrl-C is this command's to handle.
            .process_group(0);
        let child = launch::begin(&program, command, folder, &mut log).await?;
        let stream = connect::open(&socket).await?;
        let gone = || Error::unreachable(format!("nobody listens on {}", socket.display()));
        let client = Client::new(socket.clone(), stream.ok_or_else(gone)?);
        Ok(Self { client, child, program, log })
    }

    /// Has it remove everything that it made, and end. A signal says that nobody wants to wait for that.
    pub(super) async fn end(mut self, signals: &mut Signals) -> Result<(), Error> {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // It may have died.
            _ = kill_process(pid, Signal::TERM);
        }
        let ended = tokio::select! {
            ended = self.child.wait() => ended,
            number = signals.next() => return Err(Error::Interrupted(number)),
        };
        match ended {
            Ok(status) if status.success() => Ok(()),
            ended => Err(launch::died(&self.program, "left something", &ended, &mut self.log)),
        }
    }
}
