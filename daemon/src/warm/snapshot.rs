//! Ready-made dependencies: databases that have been set up once and start from there.
//!
//! What a dependency wrote until it was ready is kept as an image, under a key of everything that made it; later
//! environments start it from that. No two runs ever share one: each container has a layer of its own over the image.

mod kept;
mod key;

use super::environment::{Environment, not_run};
use super::held::Held;
use super::{Job, RunError};
use crate::blueprint::Stack;
use crate::engine::spec::{Act, ContainerSpec, Newest, SnapshotSpec, label};
use crate::engine::{Engine, Progress};
use kept::{Kept, is_private};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::sync::CancellationToken;

pub(super) use kept::completes;

/// Others of the same suite that stay: whoever goes back to another branch finds them.
const OTHERS: usize = 2;

/// The repository under which they are kept.
const REPOSITORY: &str = "devd-snapshot";

/// What is kept of a suite's dependencies, or could be.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    key: String,
    /// References of images by service.
    images: BTreeMap<String, String>,
    /// What has to be there for them to become what is kept.
    needed: BTreeSet<String>,
}

impl Snapshot {
    /// Of the dependencies as they are now: their definitions, files and images. None when nothing can be kept.
    pub(super) async fn of(job: &Job, images: &BTreeMap<String, String>) -> Option<Self> {
        let kept = Kept::of(&job.suite);
        if kept.is_empty() {
            return None;
        }
        let (job, images) = (job.clone(), images.clone());
        let found = tokio::task::spawn_blocking(move || {
            let key = key::key(&job, &kept, &images)?;
            let images = kept.services.iter().map(|name| (name.clone(), reference(&key, name))).collect();
            Some(Self { key, images, needed: kept.needed })
        });
        // It fails only when the daemon ends.
        found.await.ok().flatten()
    }

    /// Whether all of it is there.
    pub(super) async fn is_there<E: Engine>(&self, engine: &E, stack: &Stack<'_>) -> Result<bool, RunError> {
        let names: Vec<String> = self.images.values().cloned().collect();
        let look = engine.observe(stack.name(), &names).await.map_err(|error| not_run("snapshots", error))?;
        Ok(names.iter().all(|name| look.observed.images.contains_key(name)))
    }

    /// Has a container start from what is kept of its service, if anything is.
    pub(super) fn apply(&self, job: &Job, spec: &mut ContainerSpec) {
        let Some(image) = self.images.get(&spec.service.name) else { return };
        spec.image.clone_from(image);
        spec.service.volumes.retain(|mount| !is_private(&job.suite, mount));
    }

    /// Services of which anything is kept.
    pub(super) fn services(&self) -> impl Iterator<Item = &String> {
        self.images.keys()
    }
}

/// An image's reference. Names of services may hold what a reference may not.
fn reference(key: &str, service: &str) -> String {
    let name = Sha256::digest(service);
    let name: String = name.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{REPOSITORY}:{key}-{name}")
}

/// Keeps what the dependencies of a suite hold once they are ready, and `prepare` has run: makes an environment for
/// that alone, stops them, and has images made of them. What is older goes.
pub(super) async fn make<E: Engine>(
    engine: &E,
    job: &Job,
    held: Held,
    cancel: &CancellationToken,
) -> Result<(), RunError> {
    let environment = Environment::new(engine, job, &held, cancel);
    let closure = job.suite.project.closure(&job.suite.service);
    let ids = environment.images(&closure, &Progress::none()).await?;
    let Some(snapshot) = Snapshot::of(job, &ids).await else { return Ok(()) };
    if environment.has(&snapshot).await? {
        return Ok(());
    }
    let timeout = job.suite.settings.timeout;
    let ready = ready(&environment, &snapshot);
    let containers =
        tokio::time::timeout(timeout, ready).await.map_err(|_| RunError::TimedOut(timeout))??;
    // Whatever the containers wrote into mounted folders belongs to the key, and so does what was saved meanwhile.
    let now = Snapshot::of(job, &ids).await;
    if now.is_none_or(|now| now.key != snapshot.key) {
        tracing::debug!(project = %job.project, service = %job.service, "files changed while a snapshot was made");
        return Ok(());
    }
    for (service, image) in &snapshot.images {
        let Some(container) = containers.get(service) else { continue };
        let own = [
            (label::PROJECT, job.project.as_str()),
            (label::TESTS_OF, job.service.as_str()),
            (label::SNAPSHOT, &snapshot.key),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let scaffold = [(label::PROJECT, job.project.as_str()), (label::ENVIRONMENT, held.id.as_str())];
        let scaffold = scaffold.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let spec = SnapshotSpec {
            container: container.clone(),
            image: image.clone(),
            labels: own.into(),
            scaffold: scaffold.into(),
            flat: false,
        };
        environment.short(service, Act::Snapshot(Box::new(spec))).await?;
    }
    tracing::info!(project = %job.project, service = %job.service, key = snapshot.key, "dependencies of tests are kept ready-made");
    let newest = Newest { tests_of: job.service.to_string(), key: snapshot.key, others: OTHERS };
    let act = Act::RemoveSnapshots { project: job.project.to_string(), beyond: Some(newest) };
    environment.short("old snapshots", act).await.map(drop)
}

/// Brings the dependencies into the state to keep, and stops them: whoever uses others first. Their containers.
async fn ready<E: Engine>(
    environment: &Environment<'_, E>,
    snapshot: &Snapshot,
) -> Result<BTreeMap<String, String>, RunError> {
    environment.resources().await?;
    let mut containers = BTreeMap::new();
    for name in environment.owners_first(&snapshot.needed) {
        containers.extend(environment.create_dependency(name, None).await?);
    }
    environment.start_dependencies(&snapshot.needed, &containers).await?;
    environment.prepare().await?;
    for wave in environment.waves(&snapshot.needed).iter().rev() {
        let stops = wave
            .iter()
            .filter_map(|name| Some(environment.short(name, Act::Stop(containers.get(*name)?.clone()))));
        futures_util::future::try_join_all(stops).await?;
    }
    Ok(containers)
}
