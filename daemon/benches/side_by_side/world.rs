//! A daemon of the bench's own, its client, and folders with projects in them.

use crate::events::Events;
use crate::guard::{self, Process};
use crate::marks::Marks;
use anyhow::Context as _;
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The programs that are measured.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) devd: PathBuf,
    pub(crate) devdd: PathBuf,
}

impl Programs {
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let of = |name: &str| {
            let path = folder.join(name);
            path.canonicalize().with_context(|| format!("{} is not there: scripts/bench", path.display()))
        };
        Ok(Self { devd: of("devd")?, devdd: of("devdd")? })
    }
}

/// A daemon with a state of its own, in a folder of its own.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) folder: PathBuf,
    pub(crate) pid: u32,
    pub(crate) events: Events,
    programs: Programs,
    socket: PathBuf,
    daemon: Option<Process>,
}

impl World {
    /// Starts a daemon that has never known anything.
    pub(crate) fn new(programs: &Programs) -> anyhow::Result<Self> {
        let folder = guard::folder()?;
        std::fs::create_dir_all(folder.join("home"))?;
        let socket = folder.join("run/devd.sock");
        let notify = folder.join("ready");
        let ready = std::os::unix::net::UnixDatagram::bind(&notify)?;
        ready.set_read_timeout(Some(Duration::from_secs(30)))?;
        let log = File::create(folder.join("log"))?;
        let level = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
        let mut command = Command::new(&programs.devdd);
        apart(&mut command, &folder);
        command.env("NOTIFY_SOCKET", &notify).env("RUST_LOG", level);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let daemon = guard::start(&mut command)?;
        ready.recv(&mut [0; 256]).with_context(|| {
            format!("the daemon: {}", std::fs::read_to_string(folder.join("log")).unwrap_or_default())
        })?;
        let events = Events::open(&socket)?;
        let (pid, programs) = (daemon.child.id(), programs.clone());
        Ok(Self { folder, pid, events, programs, socket, daemon: Some(daemon) })
    }

    /// A folder for a project, and the project's name.
    pub(crate) fn project(&self, suffix: &str) -> anyhow::Result<(PathBuf, String)> {
        let name = guard::name(suffix);
        // In a folder of their own: the one above a project is watched as well, and the daemon's log is not to wake it.
        let root = self.folder.join("projects").join(&name);
        std::fs::create_dir_all(&root)?;
        Ok((root, name))
    }

    /// Marks that this world's containers make.
    pub(crate) fn marks(&self, suffix: &str) -> anyhow::Result<Marks> {
        Marks::new(&self.folder.join(format!("marks{suffix}")), suffix)
    }

    /// The client, in a project's folder.
    pub(crate) fn devd(&self, root: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.programs.devd);
        apart(&mut command, &self.folder);
        command.env("DEVD_SOCKET", &self.socket).current_dir(root).stdin(Stdio::null()).args(args);
        command
    }

    pub(crate) fn run(&self, root: &Path, args: &[&str]) -> anyhow::Result<String> {
        guard::run(&mut self.devd(root, args))
            .with_context(|| std::fs::read_to_string(self.folder.join("log")).unwrap_or_default())
    }

    /// How a project is now.
    pub(crate) fn status(&self, root: &Path) -> anyhow::Result<Value> {
        let mut command = self.devd(root, &["status", "-C", ".", "--json"]);
        // Its exit code says how the tests are, which is not what is asked here.
        let output = command.output()?;
        let mut status: Value = serde_json::from_slice(&output.stdout)?;
        Ok(status["projects"][0].take())
    }

    /// All about these runs.
    pub(crate) fn runs(&self, root: &Path, ids: &[String]) -> anyhow::Result<Vec<Value>> {
        let show = |id: &String| {
            let text = self.run(root, &["runs", "show", id, "--json"])?;
            Ok(serde_json::from_str(&text)?)
        };
        ids.iter().map(show).collect()
    }

    /// Waits until a project's services run, and nothing of its tests does; `warm` environments of each of these stand
    /// ready.
    pub(crate) fn until_quiet(&self, project: &str, tested: &[&str], warm: u64) -> anyhow::Result<()> {
        self.events.until_status("quiet", project, |status| {
            status["settled"] == true
                && tested.iter().all(|name| {
                    let tests = &crate::events::service(status, name)["tests"];
                    let done = tests["state"] != "queued" && tests["state"] != "running";
                    done && tests["current"] == true && tests["warm"].as_u64() >= Some(warm)
                })
        })?;
        Ok(())
    }

    /// Ends the daemon; what it keeps running goes on.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        match self.daemon.take() {
            Some(daemon) => daemon.terminate().map(drop),
            None => Ok(()),
        }
    }

    /// Waits for a line of the daemon's log.
    pub(crate) fn until_logged(&self, is: impl Fn(&str) -> bool) -> anyhow::Result<Instant> {
        let deadline = Instant::now() + crate::events::PATIENCE;
        loop {
            let log = std::fs::read_to_string(self.folder.join("log"))?;
            let at = Instant::now();
            if log.lines().any(&is) {
                return Ok(at);
            }
            anyhow::ensure!(at < deadline, "the daemon never wrote what was waited for:\n{log}");
            // A file has no event, but those that would wake the daemon too.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What is left is the guard's.
        _ = self.stop();
    }
}

/// Nothing of the user's own devd is seen or touched.
fn apart(command: &mut Command, folder: &Path) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COMPOSE_")) {
        command.env_remove(name);
    }
    command
        .env("HOME", folder.join("home"))
        .env("DEVD_SOCKET", folder.join("run/devd.sock"))
        .env("DEVD_STATE_DIR", folder.join("state"))
        .env("DEVD_CONFIG", folder.join("config.toml"))
        .env("NO_COLOR", "1")
        .env_remove("NOTIFY_SOCKET");
}

pub(crate) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// Copies a folder, without what interpreters leave in it.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "__pycache__" {
                copy(&entry.path(), &target)?;
            }
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
