//! The loop of one project: takes what comes, steps the logic, has its wishes carried out, and publishes how things
//! stand. It awaits nothing but its inputs.

use super::executor::Executor;
use super::origins::Origins;
use super::publish::Publisher;
use super::runs::Live;
use super::saves::Saves;
use super::sync::{Load, Pending};
use super::{Also, Handle, Message};
use crate::blueprint::Blueprint;
use crate::clock::{self, Clock};
use crate::engine::spec::Act;
use crate::engine::{Engine, Look, Progress};
use crate::history::{self, History, Made, Registration};
use crate::hub::Hub;
use crate::system::metrics::Metrics;
use crate::system::traces::Traces;
use crate::warm::Job;
use crate::warm::machine::Machine;
use crate::warm::pool::Pool;
use crate::watch::{Action, Change, Part, Watcher};
use devd_logic::{Effect, Event, Limits, Memory, Op, OpId, Reaction, State};
use devd_proto::{Code, Problem, ProjectName, ProjectSource, Removed, Run, RunId, ServiceName, What};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// What a loop works with.
#[derive(Clone, Debug)]
pub struct Surroundings<E> {
    /// The engine.
    pub engine: E,
    /// The watcher, for digests.
    pub watcher: Watcher,
    /// Runs and registrations.
    pub history: History,
    /// Events for clients.
    pub hub: Hub,
    /// Limits of the machine.
    pub limits: Limits,
    /// Numbers about all this.
    pub metrics: Metrics,
    /// Where traces of saves go.
    pub traces: Traces,
    /// What environments that stand ready may take of it.
    pub machine: Arc<Machine>,
}

/// Starts a project's loop. `ended` is told when the project is gone.
pub async fn start<E: Engine>(
    surroundings: Surroundings<E>,
    blueprint: Arc<Blueprint>,
    source: ProjectSource,
    memory: Memory,
    ended: impl FnOnce() + Send + 'static,
) -> Handle {
    // Without a bound, because the loop must not wait for those who wait for it. What can be in it is bounded: a request by
    // each client, a look and an answer to each operation under way, a line of each build, changes once for each settling
    // of files, and hints of the engine, of which it takes thousands a second.
    let (sender, receiver) = mpsc::unbounded_channel();
    let name = blueprint.name.clone();
    let next_run = match surroundings.history.next_number(&name).await {
        Ok(next) => next,
        Err(error) => {
            tracing::error!(project = %name, %error, "the history does not say which run comes next");
            1
        }
    };
    let origins = surroundings.history.origins(&name).await.unwrap_or_else(|error| {
        tracing::error!(project = %name, %error, "what changed while devd was not running cannot be known");
        history::Origins::new()
    });
    let clock = Clock::start();
    let publisher = Publisher::new(clock, &blueprint, surroundings.hub.clone());
    let handle_status = publisher.subscribe();
    let handle_starts = publisher.subscribe_to_starts();
    let (blueprints, handle_blueprint) = watch::channel(Arc::clone(&blueprint));
    // One for each thing that its user does.
    let (registration, registrations) = mpsc::unbounded_channel();
    tokio::spawn(save(surroundings.history.clone(), name.clone(), registrations));
    let mut this = Loop {
        state: State::new(name.clone(), surroundings.limits, memory, next_run),
        executor: Executor::new(
            name.clone(),
            surroundings.engine.clone(),
            surroundings.watcher.clone(),
            sender.clone(),
        ),
        pool: Pool::new(surroundings.engine.clone(), sender.clone(), Arc::clone(&surroundings.machine)),
        saves: Saves::new(name.clone(), clock, surroundings.metrics.clone(), surroundings.traces.clone()),
        surroundings,
        clock,
        blueprint: Arc::clone(&blueprint),
        blueprints,
        source,
        registration,
        publisher,
        look: Look::default(),
        live: BTreeMap::new(),
        queued: BTreeMap::new(),
        pending: Pending::default(),
        origins: Origins::new(origins),
        put_away: VecDeque::new(),
        images_owed: blueprint.suites.keys().cloned().collect(),
        paths: BTreeMap::new(),
        files_known: false,
        touched: false,
        recalled: BTreeSet::new(),
        removed: Removed::default(),
        farewells: Vec::new(),
        gone: false,
        also: Also::default(),
    };
    let handle = Handle {
        name: name.clone(),
        sender,
        status: handle_status,
        starts: handle_starts,
        blueprint: handle_blueprint,
    };
    this.recall(blueprint.suites.keys().cloned().collect());
    this.remember(this.state.memory());
    tokio::spawn(async move {
        if blueprint.loaded {
            this.handle(Message::Loaded(blueprint));
        } else {
            this.step(Event::Invalid);
        }
        this.publish();
        this.run(receiver).await;
        ended();
    });
    handle
}

/// One project's loop. Its fields are for its own files only: this one and `requests`.
pub(super) struct Loop<E> {
    pub(super) surroundings: Surroundings<E>,
    pub(super) clock: Clock,
    pub(super) state: State,
    pub(super) blueprint: Arc<Blueprint>,
    blueprints: watch::Sender<Arc<Blueprint>>,
    source: ProjectSource,
    pub(super) executor: Executor<E>,
    pub(super) pool: Pool<E>,
    pub(super) registration: mpsc::UnboundedSender<Remembrance>,
    pub(super) publisher: Publisher,
    pub(super) look: Look,
    pub(super) live: BTreeMap<RunId, Live>,
    /// Runs that were asked for and have not begun.
    pub(super) queued: BTreeMap<RunId, Run>,
    pub(super) pending: Pending,
    pub(super) origins: Origins,
    /// The containers that were removed last.
    put_away: VecDeque<String>,
    pub(super) saves: Saves,
    /// Suites whose images must be built before their next run.
    pub(super) images_owed: BTreeSet<ServiceName>,
    /// Changed files since each suite's last run.
    pub(super) paths: BTreeMap<ServiceName, BTreeSet<String>>,
    pub(super) files_known: bool,
    /// Somebody has worked on the project since this loop began.
    pub(super) touched: bool,
    /// Suites whose newest verdict of an earlier life is known, if there is one.
    pub(super) recalled: BTreeSet<ServiceName>,
    pub(super) removed: Removed,
    pub(super) farewells: Vec<oneshot::Sender<Result<Removed, Problem>>>,
    pub(super) gone: bool,
    /// What goes with the project.
    pub(super) also: Also,
}

/// Messages handled before the status is published again.
const BATCH: usize = 64;

/// Containers that were removed and may still be told of.
const PUT_AWAY: usize = 64;

/// Changed files of a run that are remembered.
const PATHS: usize = 20;

impl<E: Engine> Loop<E> {
    async fn run(&mut self, mut receiver: mpsc::UnboundedReceiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        while !self.gone {
            let deadline = self.state.next_deadline();
            let sleep = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(self.clock.instant(deadline)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                count = receiver.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    for message in batch.drain(..) {
                        // Whoever asks after the end gets no answer, which says so.
                        if !self.gone {
                            self.handle(message);
                        }
                    }
                }
                () = sleep => self.step(Event::Tick),
            }
            self.saves.settle(&self.state);
            self.publish();
        }
    }

    /// Publishes how things stand.
    pub(super) fn publish(&mut self) {
        let view = self.state.status(self.clock.now());
        self.publisher.publish(&view, &self.state, &self.blueprint, &self.look);
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Event(event) => self.event(event),
            // A busy engine tells of a stop when the removal that it was a part of is long over.
            Message::Outside { container, .. } if self.put_away.contains(&container) => {}
            Message::Outside { event, .. } => self.event(event),
            Message::Looked(mut look) => {
                look.observed.name_replicas(self.state.desired());
                self.note_exits(&look);
                let observed = look.observed.clone();
                self.look = *look;
                self.publisher.publish_starts(&observed);
                self.step(Event::Observed(Box::new(observed)));
                self.origins_seen();
            }
            Message::Loaded(blueprint) => self.loaded(blueprint),
            Message::Source(source) => {
                self.source = source;
                self.remember(self.state.memory());
            }
            Message::LoadFailed(diagnostic) => {
                self.publisher.error = Some(diagnostic);
                self.step(Event::Invalid);
            }
            Message::Changed(changes) => self.changed(changes),
            Message::FilesKnown => {
                self.files_known = true;
                self.origins_summed();
                self.compare();
            }
            Message::Recalled(runs) => {
                for (service, run) in runs {
                    if let Some(run) = run {
                        self.publisher.last_runs.entry(service.clone()).or_insert(run);
                    }
                    self.recalled.insert(service);
                }
                self.compare();
            }
            Message::Progress(service, line, _next) => {
                self.publisher.progress.insert(service, line);
            }
            Message::LastOutput { service, started, lines } => {
                self.publisher.note_output(&service, &started, lines);
            }
            Message::Warm(service, count) => {
                self.publisher.warm.insert(service, count);
            }
            Message::EnvironmentBroken(environment) => self.pool.broken(&environment),
            Message::RunDone(done) => self.run_done(*done),
            Message::Request(request) => self.request(request),
        }
    }

    fn event(&mut self, event: Event) {
        match &event {
            Event::EngineBack => {
                self.publisher.engine_back();
                self.pool.look_over();
            }
            Event::OpFinished { id, result } => self.finished(*id, result.is_ok()),
            _ => {}
        }
        self.step(event);
    }

    /// An operation ended; the logic does not know it yet.
    fn finished(&mut self, id: OpId, done: bool) {
        self.saves.ended(self.clock.now(), id, self.state.operation(id), done);
        match self.state.operation(id) {
            Some(Op::Start(service, _) | Op::Restart(service, _) | Op::Act(service, _)) => {
                self.pending.ended(service, done);
            }
            Some(Op::Build(service) | Op::Pull(service)) if done => {
                self.publisher.progress.remove(service);
            }
            Some(Op::Remove(_, _)) if done => self.removed.containers += 1,
            Some(Op::RemoveNetwork(_)) if done => self.removed.networks += 1,
            Some(Op::RemoveVolume(_)) if done => self.removed.volumes += 1,
            _ => {}
        }
        self.origin_ends(id, done);
    }

    /// Tells the logic, and begins what it wishes for.
    pub(super) fn step(&mut self, event: Event) {
        let now = self.clock.now();
        for effect in self.state.step(now, event) {
            self.carry_out(effect);
        }
        self.drop_queued();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Look => {
                let services = self.state.desired().services.values();
                let images: BTreeSet<String> = services.map(|service| service.image.clone()).collect();
                self.executor.look(images.into_iter().collect());
            }
            Effect::Op { id, op, cause } => {
                tracing::info!(project = %self.blueprint.name, %cause, "{op}");
                self.saves.begins(self.clock.now(), id, &op);
                if let Op::Remove(_, container) = &op {
                    self.put_away.truncate(PUT_AWAY - 1);
                    self.put_away.push_front(container.clone());
                }
                let load = match &op {
                    Op::Start(service, _) | Op::Restart(service, _) | Op::Act(service, _) => {
                        self.pending.take(service)
                    }
                    Op::Create(service) => self.pending.of_new_container(service),
                    Op::Build(service) => {
                        self.pending.building(service);
                        Load::default()
                    }
                    _ => Load::default(),
                };
                self.origin_begins(id, &op);
                self.executor.perform(id, op, &self.blueprint, load);
            }
            Effect::Probe { service, started } => {
                let container = self.look.observed.main(&service).map(|container| container.id.clone());
                self.executor.probe(service, container.unwrap_or_default(), started);
            }
            Effect::StartRun { run, service, args, cause, event } => {
                self.start_run(run, service, args, &cause, event);
            }
            Effect::CancelRun { run } => {
                if let Some(live) = self.live.get(&run) {
                    live.cancel.cancel();
                }
            }
            Effect::Remember(memory) => self.remember(memory),
            Effect::Gone { problems } => self.say_farewell(problems),
        }
    }

    fn remember(&self, memory: Memory) {
        let registration = Registration {
            name: self.blueprint.name.clone(),
            source: self.source.clone(),
            selected: memory.selected,
            stopped: memory.stopped,
            completed: memory.completed,
        };
        // Fails only when the runtime is going down, and then nothing changes any more.
        let _ = self.registration.send(Remembrance::Keep(Box::new(registration)));
    }

    fn loaded(&mut self, blueprint: Arc<Blueprint>) {
        self.publisher.error = None;
        let desired = blueprint.desired();
        for (name, suite) in &desired.suites {
            if self.state.desired().suites.get(name) != Some(suite) {
                self.images_owed.insert(name.clone());
            }
        }
        let defined = |job: &Job| desired.suites.get(&job.service).map(|suite| &suite.definition);
        self.pool.retain(|job| defined(job) == Some(&job.definition));
        let suites = self.blueprint.suites.iter();
        let set_anew = suites.filter(|(name, suite)| {
            blueprint.suites.get(*name).is_some_and(|new| new.settings != suite.settings)
        });
        let set_anew: Vec<ServiceName> = set_anew.map(|(name, _)| name.clone()).collect();
        let unknown = blueprint.suites.keys().filter(|name| !self.recalled.contains(*name));
        self.recall(unknown.cloned().collect());
        self.blueprint = Arc::clone(&blueprint);
        self.step(Event::Loaded(Box::new(desired)));
        self.blueprints.send_replace(blueprint);
        // Others of the same kind, but not as many, or prepared in another way.
        for service in set_anew {
            self.pool.discard(&service);
            self.keep_ready(&service);
        }
        self.compare_origins();
        self.compare();
    }

    fn changed(&mut self, changes: Vec<Change>) {
        self.touch();
        let root = self.blueprint.project.dir.clone();
        let mut by_service: BTreeMap<ServiceName, devd_logic::Change> = BTreeMap::new();
        let mut told: BTreeMap<ServiceName, (BTreeSet<String>, Action)> = BTreeMap::new();
        for change in changes {
            if change.repeated {
                // Told before: if it still waits for more, it need not.
                self.step(Event::SaveComplete(change.service));
                continue;
            }
            self.pending.note(&self.blueprint, &change);
            let path = relative(&root, &change.path);
            let action = change.action.unwrap_or(Action::None);
            if change.tests.rebuilds() {
                self.images_owed.insert(change.service.clone());
                self.pool.discard(&change.service);
            }
            if change.tests.runs() {
                if self.blueprint.feeds_dependency(&change.service, &change.path) {
                    self.pool.discard(&change.service);
                }
                let paths = self.paths.entry(change.service.clone()).or_default();
                if paths.len() < PATHS {
                    paths.insert(path.clone());
                }
            }
            let (paths, strongest) =
                told.entry(change.service.clone()).or_insert_with(|| (BTreeSet::new(), Action::None));
            paths.insert(path.clone());
            *strongest = action.max(*strongest);
            let fact = by_service.entry(change.service.clone()).or_insert_with(|| devd_logic::Change {
                service: change.service.clone(),
                path: path.clone(),
                files: 0,
                reaction: Reaction::None,
                action: Action::None.as_str(),
                tests: false,
                pushed: true,
                more: false,
            });
            fact.files += 1;
            if reaction(action) > fact.reaction {
                (fact.path, fact.reaction, fact.action) = (path, reaction(action), action.as_str());
            }
            fact.tests |= change.tests.runs();
            fact.pushed &= change.pushed;
            fact.more |= change.more;
        }
        for (service, (paths, action)) in told {
            let paths = paths.into_iter().take(PATHS).collect();
            let what = What::Changed { service, paths, action: action.as_str().to_owned() };
            self.surroundings.hub.tell(&self.blueprint.name, what);
        }
        let now = self.clock.now();
        for change in by_service.into_values() {
            self.saves.changed(now, &change);
            self.step(Event::Changed(change));
        }
    }

    fn note_exits(&mut self, look: &Look) {
        for container in &look.observed.containers {
            let devd_logic::ContainerState::Exited(code) = container.state else { continue };
            let details = look.details.get(&container.id);
            let at = details.map(|details| clock::normalise(&details.finished_at)).unwrap_or_default();
            if self.publisher.note_exit(&container.service, &container.started, code, at) && code != 0 {
                let started_at = details.map(|details| details.started_at.as_str()).unwrap_or_default();
                self.executor.last_output(
                    container.service.clone(),
                    &container.id,
                    container.started.clone(),
                    started_at,
                );
            }
        }
    }

    fn say_farewell(&mut self, problems: Vec<String>) {
        self.gone = true;
        let answer = if problems.is_empty() {
            Ok(self.removed.clone())
        } else {
            let title = format!("not everything could be removed: {}", problems.join("; "));
            Err(Problem::new(Code::EngineRefused, title))
        };
        let farewells = std::mem::take(&mut self.farewells);
        let forget = Remembrance::Forget { farewells, answer };
        let (registration, engine) = (self.registration.clone(), self.surroundings.engine.clone());
        let project = self.blueprint.name.to_string();
        // Snapshots hold what volumes held.
        let snapshots = Act::RemoveSnapshots { project: project.clone(), beyond: None };
        let snapshots = self.also.volumes.then_some(snapshots);
        let images = self.also.images.then_some(Act::RemoveImages { project });
        tokio::spawn(async move {
            for act in [snapshots, images].into_iter().flatten() {
                if let Err(error) = engine.apply(&act, &Progress::none()).await {
                    tracing::warn!(?act, %error, "images stay");
                }
            }
            let _ = registration.send(forget);
        });
        self.surroundings.hub.tell(&self.blueprint.name, What::Removed);
    }
}

/// What is to be remembered of a project.
pub(super) enum Remembrance {
    /// This.
    Keep(Box<Registration>),
    /// What something was made from; `None` while nobody knows.
    Made(Made, Option<String>),
    /// Something that was made is gone.
    Unmade(Made),
    /// What was said before: this is answered when it is on disk.
    Written(oneshot::Sender<()>),
    /// Nothing. Whoever took it down is answered when that is so on disk: nobody else sees to it, for a client may be
    /// gone by then.
    Forget { farewells: Vec<oneshot::Sender<Result<Removed, Problem>>>, answer: Result<Removed, Problem> },
}

/// Saves what is to be remembered, one after the other: were they tasks of their own, an older one could come last.
async fn save(
    history: History,
    project: ProjectName,
    mut remembrances: mpsc::UnboundedReceiver<Remembrance>,
) {
    while let Some(remembrance) = remembrances.recv().await {
        match remembrance {
            Remembrance::Keep(registration) => {
                if let Err(error) = history.save_project(&registration).await {
                    tracing::error!(%project, %error, "the project could not be remembered");
                }
            }
            Remembrance::Made(made, content) => {
                if let Err(error) = history.save_origin(&project, made, content).await {
                    tracing::warn!(%project, %error, "what a process began with could not be remembered");
                }
            }
            Remembrance::Unmade(made) => {
                if let Err(error) = history.remove_origin(&project, made).await {
                    tracing::warn!(%project, %error, "what is gone could not be forgotten");
                }
            }
            Remembrance::Written(reply) => {
                // Whoever asked may have lost patience.
                let _ = reply.send(());
            }
            Remembrance::Forget { farewells, answer } => {
                if let Err(error) = history.remove_project(&project).await {
                    tracing::error!(%project, %error, "the project could not be forgotten");
                }
                for reply in farewells {
                    // A client that went away needs no answer.
                    let _ = reply.send(answer.clone());
                }
            }
        }
    }
}

/// A path as people of this project know it.
fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn reaction(action: Action) -> Reaction {
    match action.part() {
        None => Reaction::None,
        Some(Part::Acted) => Reaction::Act,
        Some(Part::Process) => Reaction::Restart,
        Some(Part::Image) => Reaction::Rebuild,
    }
}
