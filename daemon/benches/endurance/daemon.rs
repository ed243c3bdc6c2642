//! The daemon that is put to the test: started, killed, frozen, and asked.

use crate::engine::text;
use crate::http::{self, Answer};
use crate::process;
use anyhow::Context as _;
use rustix::process::Signal;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The programs, as they are installed.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) devd: PathBuf,
    pub(crate) devdd: PathBuf,
}

impl Programs {
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let of = |name: &str| {
            let path = folder.join(name);
            path.canonicalize().with_context(|| path.display().to_string())
        };
        Ok(Self { devd: of("devd")?, devdd: of("devdd")? })
    }
}

/// A run that the daemon said has ended: its id and how.
pub(crate) type Finished = (String, String);

/// What else there is to a start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// More for its environment.
    pub(crate) env: Vec<(&'static str, String)>,
    /// How many inotify watches it may have.
    pub(crate) watches: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) folder: PathBuf,
    programs: Programs,
    child: Option<Child>,
    finished: Arc<Mutex<Vec<Finished>>>,
}

impl Daemon {
    /// One that does not run yet.
    pub(crate) fn new(folder: &Path, programs: &Programs) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder.join("home"))?;
        std::fs::create_dir_all(folder.join("state"))?;
        Ok(Self {
            folder: folder.to_owned(),
            programs: programs.clone(),
            child: None,
            finished: Arc::default(),
        })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("run/devd.sock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Starts it and waits until it says that it is ready; how long that took. An error is what it said before it ended.
    pub(crate) fn start(&mut self, manner: &Manner) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let notify = self.folder.join("ready");
        _ = std::fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify)?;
        ready.set_read_timeout(Some(Duration::from_millis(20)))?;
        let path = self.folder.join("devdd.log");
        let log = File::options().create(true).append(true).open(&path)?;
        let before = log.metadata()?.len();
        // The limit that a shell and a service manager give.
        let usual = "ulimit -S -n 1024";
        let (mut command, script) = match manner.watches {
            None => (Command::new("sh"), format!("{usual}; exec \"$0\"")),
            Some(watches) => {
                // The limit of a namespace of its own: nobody else's is touched.
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-root-user", "sh"]);
                let limit = format!("echo {watches} > /proc/sys/user/max_inotify_watches");
                (command, format!("{usual}; {limit}; exec \"$0\""))
            }
        };
        command.args(["-c", &script]).arg(&self.programs.devdd);
        apart(&mut command, &self.folder);
        command.env("NOTIFY_SOCKET", &notify).envs(manner.env.iter().map(|(name, value)| (*name, value)));
        let level = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
        command.env("RUST_LOG", level).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = self.child.insert(command.spawn().context("devdd")?);
        while ready.recv(&mut [0; 256]).is_err() {
            if child.try_wait()?.is_some() {
                self.child = None;
                let said = std::fs::read(&path)?.split_off(usize::try_from(before)?);
                anyhow::bail!("devdd ended: {}", String::from_utf8_lossy(&said).trim());
            }
            anyhow::ensure!(began.elapsed() < Duration::from_secs(60), "devdd does not become ready");
        }
        self.follow();
        Ok(began.elapsed())
    }

    /// Hears of runs that end, for as long as this life of it lasts.
    fn follow(&self) {
        let (socket, finished) = (self.socket(), Arc::clone(&self.finished));
        std::thread::spawn(move || {
            let Ok(mut stream) = UnixStream::connect(socket) else { return };
            let request = b"GET /v1/events HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n";
            if stream.write_all(request).is_err() {
                return;
            }
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let Some(data) = line.strip_prefix("data:").filter(|it| it.contains("\"run_finished\""))
                else {
                    continue;
                };
                let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
                let run = &event["run"];
                if let (Some(id), Some(state)) = (run["id"].as_str(), run["state"].as_str()) {
                    let mut finished = finished.lock().unwrap_or_else(PoisonError::into_inner);
                    finished.push((id.to_owned(), state.to_owned()));
                }
            }
        });
    }

    /// The runs that it said have ended since this was asked last.
    pub(crate) fn finished(&self) -> Vec<Finished> {
        std::mem::take(&mut *self.finished.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL, as the out-of-memory killer does.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            process::signal(child.id(), Signal::TERM);
            let status = child.wait()?;
            anyhow::ensure!(status.success(), "devdd ended badly: {status}");
        }
        Ok(())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            process::signal(pid, signal);
        }
    }

    pub(crate) fn ask(
        &self,
        request: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> anyhow::Result<Answer> {
        http::ask(&self.socket(), request, body, patience)
    }

    /// The client, in a project's folder; whatever it says, and its exit code.
    pub(crate) fn client(&self, root: &Path, args: &[&str]) -> anyhow::Result<(i32, String)> {
        let mut command = Command::new(&self.programs.devd);
        apart(&mut command, &self.folder);
        let output = command.current_dir(root).args(args).stdin(Stdio::null()).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
    }

    /// The client, which has to succeed.
    pub(crate) fn run(&self, root: &Path, args: &[&str]) -> anyhow::Result<String> {
        let (code, said) = self.client(root, args)?;
        anyhow::ensure!(code == 0, "devd {args:?}: {code}: {said}");
        Ok(said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.kill();
    }
}

/// Nothing of the user's own devd is seen or touched.
fn apart(command: &mut Command, folder: &Path) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COMPOSE_")) {
        command.env_remove(name);
    }
    command
        // What lies there is told apart by process ids, and those are others in this namespace.
        .env("TMPDIR", text(&folder.join("home")))
        .env("HOME", text(&folder.join("home")))
        .env("DEVD_SOCKET", folder.join("run/devd.sock"))
        .env("DEVD_STATE_DIR", folder.join("state"))
        .env("DEVD_CONFIG", folder.join("config.toml"))
        .env("NO_COLOR", "1")
        .env_remove("NOTIFY_SOCKET");
}
