//! `devd daemon`

pub(super) mod logs;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::time;
use crate::service::systemd;
use crate::{connect, paths, version};
use clap::{Args, Subcommand};
use devd_proto::{EngineState, Status, Version};
use rustix::process::{Pid, Signal};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

/// Start, stop and look at the daemon itself
#[derive(Args, Debug)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
`devd up` and most other commands start it by themselves; status, logs, runs and saved do not. \
Stopping it stops no service: the next one takes them over."
)]
pub(crate) struct Daemon {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start it
    Start,
    /// Stop it; services keep running
    Stop,
    /// Stop it and start it again; services keep running
    Restart,
    /// Say whether it runs, since when, and with which engine
    Status,
    /// Print its log
    Logs {
        /// Go on with what comes, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
        /// Only the last N lines
        #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
        tail: u32,
        /// A compose file instead of a search for one; means nothing here
        #[arg(id = "file", long = "file", value_name = "FILE", hide = true)]
        // The same id as the global flag; only the short name is `--follow`'s here.
        _file: Vec<PathBuf>,
    },
}

/// A daemon takes leave of its engine connections and its history; that is a matter of moments.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(context: &Context, daemon: Daemon) -> Result<Exit, Error> {
    if matches!(daemon.action, Action::Stop | Action::Restart) {
        // Of a version that goes, nothing needs to be said.
        version::say_nothing();
    }
    match daemon.action {
        Action::Start => start(context).await,
        Action::Stop => stop(context).await,
        Action::Restart => restart(context).await,
        Action::Status => status(context).await,
        Action::Logs { follow, tail, _file: _ } => logs::run(follow, tail).await,
    }
}

async fn start(context: &Context) -> Result<Exit, Error> {
    let was_there = connect::open(&paths::socket()?).await?.is_some();
    let client = context.started().await?;
    let version: Version = client.get("/v1/version").await?;
    if context.ui.json {
        context.ui.value(&version)?;
    } else {
        let runs = if was_there { "runs already" } else { "runs" };
        context.ui.line(&format!("devdd {} {runs} (pid {})", version.version, version.pid))?;
    }
    Ok(Exit::OK)
}

async fn stop(context: &Context) -> Result<Exit, Error> {
    let socket = paths::socket()?;
    let pid = if systemd::keeps(&socket).await {
        // Its socket would start it again at the next word.
        if !systemd::control(&["stop", systemd::SOCKET, systemd::SERVICE]).await {
            return Err(Error::local("systemd did not stop devd")
                .help(format!("systemctl --user status {}", systemd::SERVICE)));
        }
        None
    } else {
        match terminate().await {
            Ok(pid) => Some(pid),
            Err(Error::NotRunning) => {
                if context.ui.json {
                    context.ui.value(&json!({ "stopped": null }))?;
                } else {
                    context.ui.line("nothing to do: devd is not running")?;
                }
                return Ok(Exit::OK);
            }
            Err(error) => return Err(error),
        }
    };
    if context.ui.json {
        context.ui.value(&json!({ "stopped": { "pid": pid } }))?;
    } else {
        let which = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        context.ui.line(&format!("devd stopped{which}; services keep running"))?;
    }
    Ok(Exit::OK)
}

async fn restart(context: &Context) -> Result<Exit, Error> {
    if systemd::keeps(&paths::socket()?).await {
        if !systemd::control(&["restart", systemd::SERVICE]).await {
            return Err(Error::local("systemd did not restart devd")
                .help(format!("systemctl --user status {}", systemd::SERVICE)));
        }
    } else {
        match terminate().await {
            Ok(_) | Err(Error::NotRunning) => {}
            Err(error) => return Err(error),
        }
    }
    let version: Version = context.started().await?.get("/v1/version").await?;
    if context.ui.json {
        context.ui.value(&version)?;
    } else {
        context.ui.line(&format!("devdd {} runs (pid {})", version.version, version.pid))?;
    }
    Ok(Exit::OK)
}

async fn status(context: &Context) -> Result<Exit, Error> {
    let client = context.running().await?;
    let status: Status = client.get("/v1/status").await?;
    let daemon = &status.daemon;
    if context.ui.json {
        context.ui.value(&json!({ "socket": client.socket(), "daemon": daemon }))?;
        return Ok(Exit::OK);
    }
    let engine = &daemon.engine;
    let reached = match (engine.state, &engine.error) {
        (EngineState::Connected, _) => format!("{} {} at {}", engine.kind, engine.version, engine.endpoint),
        (EngineState::Disconnected | EngineState::Unknown, Some(error)) => {
            format!("{} cannot be reached: {error}", engine.endpoint)
        }
        (EngineState::Disconnected | EngineState::Unknown, None) => {
            format!("{} cannot be reached", engine.endpoint)
        }
    };
    context.ui.print(&format!(
        "devdd {} runs for {} (pid {})\nsocket: {}\nengine: {reached}\nprojects: {}\n",
        daemon.version,
        time::duration(daemon.uptime_ms),
        daemon.pid,
        client.socket().display(),
        status.projects.len()
    ))?;
    if daemon.replaced {
        context
            .ui
            .line("its program was replaced since it started: devd daemon restart (services keep running)")?;
    }
    Ok(Exit::OK)
}

/// Stops the daemon on this socket and returns its pid when it is gone.
pub(crate) async fn terminate() -> Result<u32, Error> {
    let client = connect::running().await?;
    let version: Version = client.get("/v1/version").await?;
    let pid = i32::try_from(version.pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| Error::unreachable("the daemon does not say who it is"))?;
    let gone = Departure::of(pid, client.socket()).await?;
    rustix::process::kill_process(pid, Signal::TERM)
        .map_err(|error| Error::local(format!("cannot stop devdd (pid {}): {error}", version.pid)))?;
    match timeout(PATIENCE, gone.wait()).await {
        Ok(()) => Ok(version.pid),
        Err(_) => Err(Error::local(format!(
            "devdd (pid {}) still runs after {} s",
            version.pid,
            PATIENCE.as_secs()
        ))
        .help(format!("devd daemon logs; the last resort is kill -9 {}", version.pid))),
    }
}

/// What tells when a process that is not our child has gone.
enum Departure {
    #[cfg(target_os = "linux")]
    Process(std::os::fd::OwnedFd),
    /// Its end of an open connection closes with it.
    Connection(tokio::net::UnixStream),
    Already,
}

impl Departure {
    async fn of(pid: Pid, socket: &Path) -> Result<Self, Error> {
        #[cfg(target_os = "linux")]
        if let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
            return Ok(Self::Process(process));
        }
        Ok(connect::open(socket).await?.map_or(Self::Already, Self::Connection))
    }

    async fn wait(self) {
        // An error is as good as the end: there is nothing left to wait for.
        match self {
            #[cfg(target_os = "linux")]
            Self::Process(process) => {
                use rustix::event::{PollFd, PollFlags, poll};
                let gone = move || poll(&mut [PollFd::new(&process, PollFlags::IN)], None);
                _ = tokio::task::spawn_blocking(gone).await;
            }
            Self::Connection(mut stream) => _ = stream.read(&mut [0]).await,
            Self::Already => {}
        }
    }
}
