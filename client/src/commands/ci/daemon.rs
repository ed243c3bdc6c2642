//! A daemon for one command only.

use crate::error::Error;
use crate::http::Client;
use crate::signal::Signals;
use crate::{connect, launch, paths};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
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
        let place = std::env::temp_dir();
        let place = std::path::absolute(&place).unwrap_or(place);
        // A name that nobody can take before us.
        let folder = tempfile::Builder::new()
            .prefix("devd-ci-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&place)
            .map_err(|error| Error::local(format!("cannot make a folder in {}: {error}", place.display())))?;
        let daemon = Self::start_in(folder.path()).await?;
        // It goes with the daemon, which outlives this process if that is killed.
        _ = folder.keep();
        Ok(daemon)
    }

    async fn start_in(folder: &Path) -> Result<Self, Error> {
        let cannot_write = |error| Error::local(format!("cannot write into {}: {error}", folder.display()));
        connect::check_folder(folder)?;
        let socket = folder.join("devd.sock");
        if socket.as_os_str().len() > paths::SOCKET_PATH_MAX {
            let message = format!("{} is too long for a socket", socket.display());
            return Err(Error::local(message).help("set TMPDIR to a shorter folder"));
        }
        // Nothing is made ahead that nobody will use.
        fs::write(folder.join("config.toml"), "[pool]\nmemory = \"0B\"\n").map_err(cannot_write)?;
        let mut options = OpenOptions::new();
        let log = options.create_new(true).mode(0o600).read(true).write(true).open(folder.join("devdd.log"));
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
