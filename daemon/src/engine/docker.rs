//! The real engine: Docker, or Podman speaking Docker's words.
//!
//! Single questions and answers go through bollard. What streams (events, attach, exec, wait, logs, build, pull, push)
//! goes through [`wire`], a connection of its own each: bollard does not tell when an answer has begun, so one could
//! not know that a subscription stands before starting what it is about; it guesses at terminal output; and it leaves
//! out some parameters of a build.

mod api;
mod apply;
mod auth;
mod body;
mod build;
mod buildx;
mod candidates;
mod clean;
mod contents;
mod context;
mod create;
mod damage;
mod ending;
mod endpoint;
mod environment;
mod error;
mod events;
mod exec;
mod fetch;
mod frames;
mod host;
mod ignored;
mod images;
mod inventory;
mod lease;
mod link;
mod logs;
mod memory;
mod mounts;
mod observe;
mod park;
mod ports;
mod probe;
mod registry;
mod run;
#[cfg(test)]
mod scripted;
mod shares;
mod signals;
mod snapshot;
mod sync;
mod volumeless;
mod wire;

pub use candidates::{Surroundings, candidates};
#[cfg(feature = "fuzzing")]
pub use frames::fuzz_frames;

use super::spec::{Act, ExecSpec, LogQuery};
use super::{Applied, Attached, Engine, EngineChange, EngineError, Exec, LogLine, Look, Output, Progress};
use devd_logic::sweep::Thing;
use devd_proto::{EngineState, EngineStatus};
use futures_util::stream::{self, BoxStream, StreamExt};
use link::{Connection, Link};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{broadcast, watch};

/// How many hints a slow subscriber may fall behind before it is told to look at everything.
const HINTS: usize = 1024;

/// How long a call waits for the first attempt to reach an engine.
const FIRST_ATTEMPT: Duration = Duration::from_secs(10);

/// A container engine that speaks Docker's API. Cheap to clone; the connection ends with the last clone.
#[derive(Clone)]
pub struct Docker {
    shared: Arc<Shared>,
}

struct Shared {
    link: watch::Receiver<Link>,
    changes: broadcast::Sender<EngineChange>,
    owners: Owners,
    /// Where registry logins are kept.
    config_dir: Option<PathBuf>,
    buildx: buildx::Buildx,
    parking: park::Parking,
    task: tokio::task::AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Docker {
    /// Looks for an engine, and keeps in touch with it from now on. Must be called inside a tokio runtime.
    ///
    /// The program that runs in containers is kept in `state_dir`; without one, nothing runs under it. What is made is
    /// known again by that folder's lease.
    pub fn connect(surroundings: Surroundings, state_dir: Option<&Path>) -> Self {
        let (changes, _) = broadcast::channel(HINTS);
        let (link_sender, link) = watch::channel(Link::default());
        let owners = Owners::default();
        let config_dir = surroundings.config_dir();
        let buildkit = surroundings.vars.get("DOCKER_BUILDKIT").map(String::as_str);
        let buildx = buildx::Buildx::new(buildkit, config_dir.clone());
        let lease = Arc::new(lease::Lease::of(state_dir));
        let keeper = link::Keeper::new(surroundings, link_sender, changes.clone(), owners.clone(), lease);
        let task = tokio::spawn(keeper.keep()).abort_handle();
        Self {
            shared: Arc::new(Shared {
                link,
                changes,
                owners,
                config_dir,
                buildx,
                parking: park::Parking::new(state_dir),
                task,
            }),
        }
    }

    /// Waits until an engine has been looked for once, whatever came of it.
    pub async fn tried(&self) {
        let mut link = self.shared.link.clone();
        // It ends early only with the keeper, and that ends with the last clone of this.
        let _ = link.wait_for(|link| link.tried).await;
    }

    /// The engine, or why there is none.
    async fn connection(&self) -> Result<Arc<Connection>, EngineError> {
        let mut link = self.shared.link.clone();
        if !link.borrow_and_update().tried {
            // A socket that accepts and never answers must not hold up the caller for ever.
            let _ = tokio::time::timeout(FIRST_ATTEMPT, link.wait_for(|link| link.tried)).await;
        }
        let link = link.borrow();
        let reason = || link.status.error.clone().unwrap_or_else(|| "it has not answered yet".to_owned());
        link.connection.clone().ok_or_else(|| EngineError::Unreachable(reason()))
    }
}

impl Engine for Docker {
    fn status(&self) -> EngineStatus {
        self.shared.link.borrow().status.clone()
    }

    async fn observe(&self, project: &str, images: &[String]) -> Result<Look, EngineError> {
        let connection = self.connection().await?;
        let look = observe::observe(&connection, project, images).await?;
        self.shared.owners.learn(project, look.observed.networks.iter().chain(&look.observed.volumes));
        Ok(look)
    }

    async fn inventory(&self) -> Result<Vec<Thing>, EngineError> {
        inventory::inventory(&*self.connection().await?).await
    }

    async fn apply(&self, act: &Act, progress: &Progress) -> Result<Applied, EngineError> {
        let connection = self.connection().await?;
        let shared = &self.shared;
        if let Act::Build(spec) = act
            && shared.buildx.serves(&connection).await
        {
            let id = shared.buildx.build(&connection, spec, progress).await?;
            return Ok(Applied { id: Some(id), parked: None });
        }
        apply::apply(&connection, shared.config_dir.as_deref(), &shared.parking, act, progress).await
    }

    async fn run(&self, container: &str, output: Output) -> Result<i64, EngineError> {
        run::run(&*self.connection().await?, container, output).await
    }

    async fn attach(&self, container: &str) -> Result<Attached, EngineError> {
        let connection = self.connection().await?;
        let attached = run::attach(&connection, container).await;
        if let Err(EngineError::Refused(message)) = &attached
            && self.shared.parking.is_about_it(message)
        {
            self.shared.parking.give_up(message);
        }
        attached
    }

    async fn memory(&self, containers: &[String]) -> Result<u64, EngineError> {
        memory::memory(&*self.connection().await?, containers).await
    }

    async fn fetch(&self, container: &str, path: &str) -> Result<Vec<Vec<u8>>, EngineError> {
        fetch::fetch(&*self.connection().await?, container, path).await
    }

    async fn keeps_data(&self, containers: &[String]) -> Result<bool, EngineError> {
        snapshot::keeps_data(&*self.connection().await?, containers).await
    }

    async fn damage(
        &self,
        needed: &[String],
        tests: &str,
        lasted: Duration,
    ) -> Result<Option<String>, EngineError> {
        damage::damage(&*self.connection().await?, needed, tests, lasted).await
    }

    async fn probe(&self, container: &str) -> Result<bool, EngineError> {
        probe::probe(&*self.connection().await?, container).await
    }

    async fn exec(&self, container: &str, spec: ExecSpec) -> Result<Exec, EngineError> {
        exec::exec(self.connection().await?, container, spec).await
    }

    fn logs(&self, container: &str, query: LogQuery) -> BoxStream<'static, Result<LogLine, EngineError>> {
        let engine = self.clone();
        let container = container.to_owned();
        let opened = async move {
            let opened = match engine.connection().await {
                Ok(connection) => logs::open(&connection, &container, &query).await,
                Err(error) => Err(error),
            };
            opened.unwrap_or_else(|error| stream::once(async { Err(error) }).boxed())
        };
        stream::once(opened).flatten().boxed()
    }

    fn changes(&self) -> BoxStream<'static, EngineChange> {
        let receiver = self.shared.changes.subscribe();
        // Whoever subscribes late hears first where things stand.
        let first = {
            let link = self.shared.link.borrow();
            link.tried.then(|| match link.status.state {
                EngineState::Connected => EngineChange::Connected,
                EngineState::Disconnected | EngineState::Unknown => EngineChange::Disconnected,
            })
        };
        let later = stream::unfold((receiver, self.clone()), |(mut receiver, engine)| async move {
            let change = match receiver.recv().await {
                Ok(change) => change,
                // What was missed is unknown, so everything may be different.
                Err(broadcast::error::RecvError::Lagged(_)) => EngineChange::Connected,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((change, (receiver, engine)))
        });
        stream::iter(first).chain(later).boxed()
    }
}

/// Which project a network or volume belongs to, as far as looks have told: their events carry no labels.
#[derive(Clone, Default)]
struct Owners(Arc<Mutex<BTreeMap<String, String>>>);

impl Owners {
    fn learn<'a>(&self, project: &str, names: impl Iterator<Item = &'a String>) {
        // Nothing panics while holding it, and a stale name costs one look at most.
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|_, owner| owner != project);
        owners.extend(names.map(|name| (name.clone(), project.to_owned())));
    }

    fn of(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}
