//! Effects into tasks, and what became of them back into messages. It makes no choices.

use super::Message;
use super::sync::{self, Load};
use crate::blueprint::Blueprint;
use crate::commands::{after_start, before_stop, exec_spec, run_in};
use crate::engine::spec::{Act, ExecSpec, LogQuery, Park};
use crate::engine::{Applied, Engine, EngineError, Progress};
use crate::watch::Watcher;
use devd_compose::model::{OnChange, PullPolicy};
use devd_logic::{Event, Op, OpError, OpId, replica};
use devd_proto::{ProjectName, ServiceName};
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Carries out what the logic of one project wishes for.
#[derive(Debug)]
pub struct Executor<E> {
    project: ProjectName,
    engine: E,
    watcher: Watcher,
    sender: mpsc::UnboundedSender<Message>,
}

/// How long a process may take to stop when it is restarted and its file sets no `stop_grace_period`. Many ignore TERM as
/// process 1, Python among them, and nobody who has just saved wants to wait the engine's ten seconds for them.
const RESTART_GRACE: Duration = Duration::from_secs(1);

/// Lines of a dead container's log that `devd status` shows.
const LAST_LINES: u64 = 10;

/// How long before the start that the engine notes a process may have written: it notes the start when that has succeeded,
/// and stamps lines as they come. To make a container ready for another start takes longer than this.
const HEAD_START: SignedDuration = SignedDuration::from_millis(100);

impl<E: Engine> Executor<E> {
    /// Reports to `sender`.
    pub fn new(
        project: ProjectName,
        engine: E,
        watcher: Watcher,
        sender: mpsc::UnboundedSender<Message>,
    ) -> Self {
        Self { project, engine, watcher, sender }
    }

    /// Where it reports to.
    pub fn sender(&self) -> mpsc::UnboundedSender<Message> {
        self.sender.clone()
    }

    /// Looks at the engine.
    pub fn look(&self, images: Vec<String>) {
        let (engine, project, sender) = (self.engine.clone(), self.project.clone(), self.sender.clone());
        tokio::spawn(async move {
            let message = match engine.observe(project.as_str(), &images).await {
                Ok(look) => Message::Looked(Box::new(look)),
                Err(error) => {
                    tracing::debug!(%project, %error, "no answer to a look");
                    Message::Event(Event::LookFailed)
                }
            };
            // A loop that has ended needs no answer; so below.
            let _ = sender.send(message);
        });
    }

    /// Performs an operation, and brings files with it.
    pub fn perform(&self, id: OpId, op: Op, blueprint: &Arc<Blueprint>, load: Load) {
        let (engine, sender, blueprint) = (self.engine.clone(), self.sender.clone(), Arc::clone(blueprint));
        let (project, watcher) = (self.project.clone(), self.watcher.clone());
        tokio::spawn(async move {
            let progress = match &op {
                Op::Build(service) | Op::Pull(service) => progress(service, &sender),
                _ => Progress::none(),
            };
            let work = async {
                let load = whole(&watcher, &blueprint, &op, load).await?;
                bring(&engine, &op, &load, false).await?;
                if let Op::Stop(name, id) | Op::Restart(name, id) | Op::Remove(name, id) = &op
                    && let Some(service) = blueprint.service(name)
                {
                    before_stop(&engine, service, id).await;
                }
                let made = perform(&engine, &project, &op, &blueprint, &load, &progress).await?;
                if let (Op::Create(name), Some(container)) = (&op, made.id) {
                    let furnished = furnish(&engine, &watcher, &blueprint, name, &container, load).await;
                    if furnished.is_err() {
                        // Started as it is it would run old code.
                        engine.apply(&Act::Kill(container), &progress).await?;
                    }
                    return furnished;
                }
                bring(&engine, &op, &load, true).await?;
                match &op {
                    Op::Start(name, id) | Op::Restart(name, id) => match blueprint.service(name) {
                        Some(service) => after_start(&engine, service, id).await,
                        None => Ok(()),
                    },
                    _ => Ok(()),
                }
            };
            let result = work.await;
            if let Err(error) = &result {
                tracing::info!(%project, %op, %error, "failed");
            }
            let result = result.map_err(|error| match error {
                EngineError::Unreachable(_) => OpError::Unreachable,
                EngineError::BuildFailed { message, output } => {
                    let output: String = output.iter().map(|line| format!("\n{line}")).collect();
                    OpError::Refused(format!("{message}{output}"))
                }
                EngineError::NotFound(reason) | EngineError::Refused(reason) => OpError::Refused(reason),
            });
            let _ = sender.send(Message::Event(Event::OpFinished { id, result }));
        });
    }

    /// Runs a health check.
    pub fn probe(&self, service: ServiceName, container: String, started: String) {
        let (engine, sender) = (self.engine.clone(), self.sender.clone());
        tokio::spawn(async move {
            // A container that can't be probed is one that the engine's own health check must judge.
            let healthy = engine.probe(&container).await.unwrap_or(false);
            let _ = sender.send(Message::Event(Event::Probed { service, started, healthy }));
        });
    }

    /// Reads the last lines of a container that ended, of those that it wrote since its last start, at `started_at`.
    pub fn last_output(&self, service: ServiceName, container: &str, started: String, started_at: &str) {
        let since = started_at.parse::<Timestamp>().ok();
        let since = since.and_then(|at| at.checked_sub(HEAD_START).ok());
        let query = LogQuery { follow: false, tail: Some(LAST_LINES), since };
        let mut log = self.engine.logs(container, query);
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let mut lines = Vec::new();
            while let Some(Ok(line)) = log.next().await {
                lines.push(line.line);
            }
            let _ = sender.send(Message::LastOutput { service, started, lines });
        });
    }
}

fn progress(service: &ServiceName, sender: &mpsc::UnboundedSender<Message>) -> Progress {
    let (lines, mut receiver) = mpsc::channel(256);
    let (service, sender) = (service.clone(), sender.clone());
    let room = Arc::new(Semaphore::new(1));
    tokio::spawn(async move {
        while let Some(mut line) = receiver.recv().await {
            // One at a time is on its way to the loop, however fast a build writes.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            // Only the newest is shown.
            while let Ok(newer) = receiver.try_recv() {
                line = newer;
            }
            let _ = sender.send(Message::Progress(service.clone(), line, permit));
        }
    });
    Progress::to(lines)
}

async fn perform<E: Engine>(
    engine: &E,
    project: &ProjectName,
    op: &Op,
    blueprint: &Blueprint,
    load: &Load,
    progress: &Progress,
) -> Result<Applied, EngineError> {
    let stack = blueprint.stack();
    let gone = |what: &str| EngineError::NotFound(format!("{what} is not in the files any more"));
    let service = |name: &ServiceName| blueprint.service(name).ok_or_else(|| gone(name.as_str()));
    let act = match op {
        Op::CreateNetwork(name) => {
            let network = stack.networks().find(|network| network.name == *name);
            Act::CreateNetwork(network.ok_or_else(|| gone(name))?)
        }
        Op::CreateVolume(name) => {
            let volume = stack.volumes().find(|volume| volume.name == *name);
            Act::CreateVolume(volume.ok_or_else(|| gone(name))?)
        }
        Op::Build(name) => {
            let build = stack.build(name.as_str()).ok_or_else(|| gone(name.as_str()))?;
            Act::Build(Box::new(build))
        }
        Op::Pull(name) => {
            let service = service(name)?;
            let unless_since = match &service.pull_policy {
                Some(PullPolicy::Every { age, .. }) => Some(*age),
                _ => None,
            };
            Act::Pull { image: stack.image(service), platform: service.platform.clone(), unless_since }
        }
        Op::Create(name) => {
            let (service, number) = replica::parse(name);
            let mut spec = stack.container(service.as_str(), number).ok_or_else(|| gone(name.as_str()))?;
            // Only what devd restarts on a save; a database stays as its image has it.
            let supervised = blueprint.is_watched(&service) && spec.service.x_devd.supervise;
            spec.park = supervised.then_some(Park::Serve);
            let mut desired = blueprint.desired();
            let desired = desired.services.remove(name).ok_or_else(|| gone(name.as_str()))?;
            spec.labels.insert(crate::engine::spec::compose::CONFIG_HASH.to_owned(), desired.config_hash);
            spec.labels.insert(crate::engine::spec::label::DEFINITION.to_owned(), desired.definition);
            Act::Create(Box::new(spec))
        }
        Op::Start(_, id) => Act::Start(id.clone()),
        Op::Stop(_, id) => Act::Stop(id.clone()),
        Op::Restart(name, id) => {
            let own = service(name)?.stop_grace_period.is_some();
            Act::Restart { container: id.clone(), grace: (!own).then_some(RESTART_GRACE) }
        }
        Op::Act(name, id) => {
            for exec in load.commands(blueprint, name) {
                run_in(engine, id, exec_spec(exec)).await?;
            }
            let on_change = service(name)?.x_devd.on_change.as_ref().filter(|_| load.on_change);
            react(engine, on_change, id).await?;
            return Ok(Applied::default());
        }
        Op::Remove(_, id) => Act::Remove(id.clone()),
        Op::RemoveNetwork(name) => Act::RemoveNetwork(name.clone()),
        Op::RemoveVolume(name) => Act::RemoveVolume(name.clone()),
        Op::RemoveEnvironment(id) => {
            Act::RemoveEnvironment { project: project.to_string(), environment: id.to_string() }
        }
    };
    engine.apply(&act, progress).await
}

/// Copies into a new container what its image lacks: what was copied into the one before, and what `initial_sync` says.
async fn furnish<E: Engine>(
    engine: &E,
    watcher: &Watcher,
    blueprint: &Blueprint,
    name: &ServiceName,
    container: &str,
    load: Load,
) -> Result<(), EngineError> {
    let Some(service) = blueprint.service(name) else { return Ok(()) };
    let mut files = load.files;
    if service.develop.iter().flat_map(|develop| &develop.watch).any(sync::syncs_first) {
        let developed = watcher.developed(&blueprint.name, &replica::service(name)).await;
        let developed = developed.map_err(|error| EngineError::Refused(error.to_string()))?;
        files.extend(sync::at_first(service, developed));
    }
    // What is gone by now was never in this one, or is the image's.
    files.retain(|_, source| source.symlink_metadata().is_ok());
    if files.is_empty() {
        return Ok(());
    }
    let files = files.into_iter().map(|(target, source)| (source, target)).collect();
    let act = Act::Sync { container: container.to_owned(), files };
    engine.apply(&act, &Progress::none()).await.map(drop)
}

/// Does in a container what the user configured for a change.
async fn react<E: Engine>(
    engine: &E,
    on_change: Option<&OnChange>,
    container: &str,
) -> Result<(), EngineError> {
    match on_change {
        Some(OnChange::Signal(signal)) => {
            let act = Act::Signal(container.to_owned(), signal.clone());
            engine.apply(&act, &Progress::none()).await.map(drop)
        }
        Some(OnChange::Exec(cmd)) => {
            run_in(engine, container, ExecSpec { cmd: cmd.clone(), ..ExecSpec::default() }).await
        }
        Some(OnChange::Restart | OnChange::Rebuild | OnChange::None) | None => Ok(()),
    }
}

/// What an operation brings, also where that is every file that is copied on a change.
async fn whole(
    watcher: &Watcher,
    blueprint: &Blueprint,
    op: &Op,
    mut load: Load,
) -> Result<Load, EngineError> {
    if let Op::Start(name, _) | Op::Restart(name, _) | Op::Act(name, _) = op
        && load.all
        && let Some(service) = blueprint.service(name)
    {
        let developed = watcher.developed(&blueprint.name, &replica::service(name)).await;
        let developed = developed.map_err(|error| EngineError::Refused(error.to_string()))?;
        load.files.extend(sync::copied(service, developed));
    }
    Ok(load)
}

/// Copies the files that an operation brings with it, before it; or removes in the container what is gone on the host,
/// after it, because that takes a running container.
async fn bring<E: Engine>(engine: &E, op: &Op, load: &Load, gone: bool) -> Result<(), EngineError> {
    let (Op::Start(_, id) | Op::Restart(_, id) | Op::Act(_, id)) = op else { return Ok(()) };
    let files = load.files.iter().filter(|(_, source)| source.symlink_metadata().is_err() == gone);
    let files: Vec<_> = files.map(|(target, source)| (source.clone(), target.clone())).collect();
    if files.is_empty() {
        return Ok(());
    }
    let act = Act::Sync { container: id.clone(), files };
    engine.apply(&act, &Progress::none()).await.map(drop)
}
