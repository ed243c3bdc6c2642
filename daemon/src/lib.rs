//! The daemon of devd.
//!
//! Compose files say what should be, the engine says what is, file events say what changed. One loop per project
//! ([`project`]) owns one state of `devd-logic`; the edges ([`engine`], [`watch`], [`history`], [`api`]) never import
//! each other and meet in [`registry`].

pub mod api;
pub mod blueprint;
pub mod clock;
pub mod commands;
mod dockerignore;
pub mod engine;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod history;
pub mod hub;
pub mod park;
pub mod problem;
pub mod project;
pub mod registry;
pub mod report;
pub mod settings;
pub mod system;
pub mod warm;
pub mod watch;

use engine::Engine;
use engine::any::AnyEngine;
use engine::counted::Counted;
use history::History;
use hub::Hub;
use project::run::Surroundings;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use system::socket::Bound;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use warm::machine::Machine;
use watch::{Notice, Watcher};

/// How a daemon is to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// Test runs of one project at the same time.
    pub runs: usize,
    /// What the user set.
    pub settings: settings::Settings,
    /// Connections of clients at the same time.
    pub clients: usize,
    /// It serves one command: files are not followed, and its projects go with it.
    pub once: bool,
}

/// What is on disk is read once, and stays so for this daemon.
fn only_ready(mut notices: mpsc::UnboundedReceiver<Notice>) -> mpsc::UnboundedReceiver<Notice> {
    // One a project.
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(notice) = notices.recv().await {
            if matches!(notice, Notice::Ready { .. }) && sender.send(notice).is_err() {
                return;
            }
        }
    });
    receiver
}

/// How long ending test runs may take before the daemon goes all the same; the next start removes what is left.
const FAREWELL: Duration = Duration::from_secs(8);

/// How long clients may take to read what is left for them. One that was stopped by Ctrl-Z never does.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves on a socket until `shutdown`. `ready` is called when requests are answered.
pub async fn run(
    config: Config,
    engine: AnyEngine,
    bound: Bound,
    shutdown: CancellationToken,
    ready: impl FnOnce(),
) -> anyhow::Result<()> {
    system::paths::private_folder(&config.state_dir)?;
    let history = History::open(&config.state_dir)?;
    // One for each settling of a project's files; it is emptied by a task that waits for nothing.
    let (notices, received) = mpsc::unbounded_channel();
    let watcher = Watcher::new(notices)?;
    let received = if config.once { only_ready(received) } else { received };
    let limits = devd_logic::Limits { runs: config.runs };
    let pool = &config.settings.pool;
    let machine = Arc::new(Machine::new(pool.memory.bytes(), pool.idle, config.runs));
    let metrics = system::metrics::Metrics::new();
    let engine = Counted::new(engine, metrics.clone());
    let (hub, traces) = (Hub::default(), system::traces::Traces::begin());
    let surroundings = Surroundings { engine, watcher, history, hub, limits, metrics, traces, machine };
    let registry = registry::Registry::new(surroundings, received);
    registry.restore().await;
    let streams = CancellationToken::new();
    let app = api::router(api::App::new(registry.clone(), config.state_dir, streams.clone()));
    let listener = UnixListener::from_std(bound.listener.try_clone()?)?;
    let metrics = registry.surroundings().metrics.clone();
    let serving = api::serve(listener, app, config.clients, metrics, shutdown.clone());
    ready();
    let farewell = async {
        shutdown.cancelled().await;
        let removed = if config.once { remove_all(&registry).await } else { Ok(()) };
        if tokio::time::timeout(FAREWELL, registry.close()).await.is_err() {
            tracing::warn!("test runs did not end in time; the next start removes what is left of them");
        }
        // Streams go on until here, so that their readers see the runs end.
        streams.cancel();
        // Registrations and verdicts on their way to the disk.
        registry.surroundings().history.close().await;
        registry.surroundings().traces.close().await;
        removed
    };
    let patience = async {
        streams.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    let serving = async {
        tokio::select! {
            () = serving => {}
            () = patience => tracing::warn!("clients that do not read are left without their last words"),
        }
    };
    let ((), removed) = tokio::join!(serving, farewell);
    drop(bound);
    removed
}

/// Takes every project down, with all that was made for it.
async fn remove_all(registry: &registry::Registry<impl Engine>) -> anyhow::Result<()> {
    for project in registry.all() {
        let also = project::Also { volumes: true, images: true };
        let removed = registry.remove(&project.name, also).await;
        removed.map_err(|problem| anyhow::anyhow!("{} was not removed: {}", project.name, problem.title))?;
    }
    Ok(())
}
