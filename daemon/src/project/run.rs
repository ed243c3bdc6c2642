//! The loop of one project: takes what comes, steps the logic, has its wishes carried out, and publishes how things
//! stand. It awaits nothing but its inputs.

use super::executor::Executor;
use super::publish::Publisher;
use super::runs::{self, Live};
use super::sync::{Load, Pending};
use super::{Handle, Message};
use crate::blueprint::Blueprint;
use crate::clock::{self, Clock};
use crate::engine::{Engine, Look};

use crate::history::{History, Registration};
use crate::hub::Hub;
use crate::warm::Job;
use crate::watch::{Action, Change, Watcher};
use devd_logic::{Effect, Event, Limits, Memory, Op, Reaction, RunCause, State};
use devd_proto::{Code, Problem, ProjectSource, Removed, Run, RunId, ServiceName, TestsState, What};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

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
}

/// Starts a project's loop. `ended` is told when the project is gone.
pub async fn start<E: Engine>(
    surroundings: Surroundings<E>,
    blueprint: Arc<Blueprint>,
    source: ProjectSource,
    memory: Memory,
    ended: impl FnOnce() + Send + 'static,
) -> Handle {
    let (sender, receiver) = mpsc::unbounded_channel();
    let name = blueprint.name.clone();
    let next_run = match surroundings.history.next_number(&name).await {
        Ok(next) => next,
        Err(error) => {
            tracing::error!(project = %name, %error, "the history does not say which run comes next");
            1
        }
    };
    let clock = Clock::start();
    let publisher = Publisher::new(clock, &blueprint, surroundings.hub.clone());
    let handle_status = publisher.subscribe();
    let (blueprints, handle_blueprint) = watch::channel(Arc::clone(&blueprint));
    let (registration, registrations) = watch::channel(None);
    tokio::spawn(save(surroundings.history.clone(), registrations));
    let mut this = Loop {
        state: State::new(name.clone(), surroundings.limits, memory, next_run),
        executor: Executor::new(name.clone(), surroundings.engine.clone(), sender.clone()),
        surroundings,
        clock,
        blueprint: Arc::clone(&blueprint),
        blueprints,
        source,
        registration,
        publisher,
        look: Look::default(),
        live: BTreeMap::new(),
        pending: Pending::default(),
        images_owed: blueprint.suites.keys().cloned().collect(),
        paths: BTreeMap::new(),
        files_known: false,
        history: None,
        removed: Removed::default(),
        farewells: Vec::new(),
        gone: false,
    };
    let handle = Handle { name: name.clone(), sender, status: handle_status, blueprint: handle_blueprint };
    this.recall();
    this.remember(this.state.memory());
    tokio::spawn(async move {
        this.handle(Message::Loaded(blueprint));
        this.publish();
        this.run(receiver).await;
        ended();
    });
    handle
}

/// One project's loop. Its fields are for its own files only: this one and `requests`.
pub(super) struct Loop<E> {
    pub(super) surroundings: Surroundings<E>,
    clock: Clock,
    pub(super) state: State,
    pub(super) blueprint: Arc<Blueprint>,
    blueprints: watch::Sender<Arc<Blueprint>>,
    source: ProjectSource,
    executor: Executor<E>,
    /// What is to be remembered; the newest wins.
    registration: watch::Sender<Option<Registration>>,
    pub(super) publisher: Publisher,
    look: Look,
    pub(super) live: BTreeMap<RunId, Live>,
    pending: Pending,
    /// Suites whose images must be built before their next run.
    images_owed: BTreeSet<ServiceName>,
    /// Changed files since each suite's last run.
    paths: BTreeMap<ServiceName, BTreeSet<String>>,
    files_known: bool,
    /// The newest verdicts of an earlier life, until they were compared with what is on disk.
    history: Option<Vec<Run>>,
    removed: Removed,
    pub(super) farewells: Vec<oneshot::Sender<Result<Removed, Problem>>>,
    pub(super) gone: bool,
}

/// Messages handled before the status is published again.
const BATCH: usize = 64;

/// Changed files of a run that are remembered.
const PATHS: usize = 20;

impl<E: Engine> Loop<E> {
    async fn run(&mut self, mut receiver: mpsc::UnboundedReceiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        while !self.gone {
            let now = self.clock.now();
            let deadline = self.state.next_deadline(now);
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
                        self.handle(message);
                    }
                }
                () = sleep => self.step(Event::Tick),
            }
            self.publish();
        }
    }

    /// Publishes how things stand.
    pub(super) fn publish(&mut self) {
        let view = self.state.status(self.clock.now());
        self.publisher.publish(&view, &self.state, &self.blueprint, &self.look);
    }

    /// Fetches the verdicts of an earlier life.
    fn recall(&self) {
        let (history, sender) = (self.surroundings.history.clone(), self.executor.sender());
        let (project, services) = (self.blueprint.name.clone(), self.blueprint.suites.keys().cloned());
        let services: Vec<ServiceName> = services.collect();
        tokio::spawn(async move {
            let mut runs = Vec::new();
            for service in services {
                match history.last(&project, &service).await {
                    Ok(run) => runs.extend(run),
                    Err(error) => tracing::warn!(%project, %service, %error, "no verdict can be recalled"),
                }
            }
            // The loop may have ended in the meantime.
            let _ = sender.send(Message::History(runs));
        });
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Event(event) => self.event(event),
            Message::Looked(look) => {
                self.note_exits(&look);
                let observed = look.observed.clone();
                self.look = *look;
                self.step(Event::Observed(Box::new(observed)));
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
                self.compare();
            }
            Message::History(runs) => {
                for run in &runs {
                    self.publisher.last_runs.entry(run.service.clone()).or_insert_with(|| run.clone());
                }
                self.history = Some(runs);
                self.compare();
            }
            Message::Progress(service, line) => {
                self.publisher.progress.insert(service, line);
            }
            Message::LastOutput { service, started, lines } => {
                self.publisher.note_output(&service, &started, lines);
            }
            Message::RunDone(done) => self.run_done(*done),
            Message::Request(request) => self.request(request),
        }
    }

    fn event(&mut self, event: Event) {
        if let Event::OpFinished { result, id } = &event
            && let Some(Op::Start(service, _) | Op::Restart(service, _) | Op::Act(service, _)) =
                self.state.operation(*id)
        {
            self.pending.ended(service, result.is_ok());
        }
        if let Event::OpFinished { result: Ok(()), id } = &event
            && let Some(op) = self.state.operation(*id)
        {
            match op {
                Op::Remove(_, _) => self.removed.containers += 1,
                Op::RemoveNetwork(_) => self.removed.networks += 1,
                Op::RemoveVolume(_) => self.removed.volumes += 1,
                Op::Build(service) | Op::Pull(service) => {
                    self.publisher.progress.remove(service);
                }
                Op::CreateNetwork(_)
                | Op::CreateVolume(_)
                | Op::Create(_)
                | Op::Start(_, _)
                | Op::Stop(_, _)
                | Op::Restart(_, _)
                | Op::Act(_, _)
                | Op::RemoveEnvironment(_) => {}
            }
        }
        self.step(event);
    }

    /// Tells the logic, and begins what it wishes for.
    pub(super) fn step(&mut self, event: Event) {
        let now = self.clock.now();
        for effect in self.state.step(now, event) {
            self.carry_out(effect);
        }
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
                let load = match &op {
                    Op::Start(service, _) | Op::Restart(service, _) | Op::Act(service, _) => {
                        self.pending.take(service)
                    }
                    _ => Load::default(),
                };
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
        self.registration.send_replace(Some(registration));
    }

    fn loaded(&mut self, blueprint: Arc<Blueprint>) {
        self.publisher.error = None;
        let new = blueprint.suites.keys().filter(|name| !self.blueprint.suites.contains_key(*name));
        self.images_owed.extend(new.cloned());
        self.blueprint = Arc::clone(&blueprint);
        self.step(Event::Loaded(Box::new(blueprint.desired())));
        self.blueprints.send_replace(blueprint);
        self.compare();
    }

    fn changed(&mut self, changes: Vec<Change>) {
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
            }
            if change.tests.runs() {
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
            });
            fact.files += 1;
            if reaction(action) > fact.reaction {
                (fact.path, fact.reaction, fact.action) = (path, reaction(action), action.as_str());
            }
            fact.tests |= change.tests.runs();
            fact.pushed &= change.pushed;
        }
        for (service, (paths, action)) in told {
            let paths = paths.into_iter().take(PATHS).collect();
            let what = What::Changed { service, paths, action: action.as_str().to_owned() };
            self.surroundings.hub.tell(&self.blueprint.name, what);
        }
        for change in by_service.into_values() {
            self.step(Event::Changed(change));
        }
    }

    /// Tells the logic which verdicts of an earlier life hold for what is on disk, once both are known.
    fn compare(&mut self) {
        let (true, Some(runs)) = (self.files_known, &self.history) else { return };
        let services: Vec<ServiceName> = self.blueprint.suites.keys().cloned().collect();
        let verdicts: Vec<_> = services
            .into_iter()
            .map(|service| {
                let digest = self.surroundings.watcher.digest(&self.blueprint.name, &service);
                let run = runs.iter().find(|run| run.service == service);
                let same = run.filter(|run| digest.is_some_and(|digest| digest == run.content));
                let verdict = same.and_then(outcome_of);
                (service, verdict)
            })
            .collect();
        for (service, verdict) in verdicts {
            self.step(Event::Baseline { service, verdict });
        }
    }

    fn note_exits(&mut self, look: &Look) {
        for container in &look.observed.containers {
            let devd_logic::ContainerState::Exited(code) = container.state else { continue };
            let details = look.details.get(&container.id);
            let at = details.map(|details| clock::normalise(&details.finished_at)).unwrap_or_default();
            if self.publisher.note_exit(&container.service, &container.started, code, at) && code != 0 {
                self.executor.last_output(
                    container.service.clone(),
                    &container.id,
                    container.started.clone(),
                );
            }
        }
    }

    fn start_run(
        &mut self,
        id: RunId,
        service: ServiceName,
        args: Vec<String>,
        cause: &RunCause,
        event: devd_logic::Moment,
    ) {
        let Some(suite) = self.blueprint.suites.get(&service) else {
            // The files lost it in this very step; the logic learns that nothing came of it.
            self.step(Event::RunEnded { run: id, outcome: devd_logic::Outcome::Lost });
            return;
        };
        let job = Job {
            run: id.clone(),
            project: self.blueprint.name.clone(),
            service: service.clone(),
            suite: Arc::new(suite.clone()),
            args,
            build: self.images_owed.remove(&service),
        };
        let now = self.clock.now();
        let age = now.saturating_sub(event);
        let paths = match cause {
            RunCause::Changed(_) => self.paths.remove(&service).unwrap_or_default(),
            RunCause::Untested | RunCause::Requested => BTreeSet::new(),
        };
        let run = Run {
            id: id.clone(),
            project: job.project.clone(),
            service: service.clone(),
            state: TestsState::Running,
            cause: cause_word(cause).to_owned(),
            paths: paths.into_iter().collect(),
            content: self.surroundings.watcher.digest(&job.project, &service).unwrap_or_default(),
            command: job.command().unwrap_or_default(),
            exit_code: None,
            reason: None,
            started_at: clock::now_text(),
            finished_at: None,
            duration_ms: None,
            passed: None,
            failed: None,
            skipped: None,
            failures: Vec::new(),
            stages: vec![runs::stage_at("event", std::time::Duration::ZERO), runs::stage_at("decided", age)],
        };
        self.surroundings.hub.tell(&job.project, What::RunStarted { run: Box::new(run.clone()) });
        let cancel = CancellationToken::new();

        self.publisher.running.insert(service, run.clone());
        let (engine, history) = (self.surroundings.engine.clone(), self.surroundings.history.clone());
        let work =
            runs::execute(engine, history, job, run.clone(), age, cancel.clone(), self.executor.sender());
        self.live.insert(id, Live { run, cancel, task: tokio::spawn(work) });
    }

    fn run_done(&mut self, done: runs::Done) {
        let service = done.run.service.clone();
        self.live.remove(&done.run.id);
        self.publisher.running.remove(&service);
        if done.build_owed {
            self.images_owed.insert(service.clone());
        }
        if done.run.state != TestsState::Cancelled {
            self.publisher.last_runs.insert(service, done.run.clone());
        }
        self.surroundings
            .hub
            .tell(&self.blueprint.name, What::RunFinished { run: Box::new(done.run.clone()) });
        self.step(Event::RunEnded { run: done.run.id, outcome: done.outcome });
    }

    fn say_farewell(&mut self, problems: Vec<String>) {
        self.gone = true;
        // Forgotten: nothing of it may be saved after its removal.
        self.registration.send_replace(None);
        for reply in self.farewells.drain(..) {
            let answer = if problems.is_empty() {
                Ok(self.removed.clone())
            } else {
                let title = format!("not everything could be removed: {}", problems.join("; "));
                Err(Problem::new(Code::EngineRefused, title))
            };
            let _ = reply.send(answer);
        }
        self.surroundings.hub.tell(&self.blueprint.name, What::Removed);
    }
}

/// Saves what is to be remembered, one after the other: were they tasks of their own, an older one could come last.
async fn save(history: History, mut registrations: watch::Receiver<Option<Registration>>) {
    while registrations.changed().await.is_ok() {
        let registration = registrations.borrow_and_update().clone();
        let Some(registration) = registration else { continue };
        if let Err(error) = history.save_project(&registration).await {
            tracing::error!(project = %registration.name, %error, "the project could not be remembered");
        }
    }
}

/// A path as people of this project know it.
fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn reaction(action: Action) -> Reaction {
    match action {
        Action::None => Reaction::None,
        Action::Signal | Action::Exec | Action::Sync | Action::SyncExec => Reaction::Act,
        Action::SyncRestart | Action::Restart => Reaction::Restart,
        Action::Rebuild => Reaction::Rebuild,
    }
}

fn cause_word(cause: &RunCause) -> &'static str {
    match cause {
        RunCause::Untested => "first",
        RunCause::Changed(_) => "save",
        RunCause::Requested => "request",
    }
}

fn outcome_of(run: &Run) -> Option<devd_logic::Outcome> {
    let took = std::time::Duration::from_millis(run.duration_ms.unwrap_or_default());
    match run.state {
        TestsState::Passed => Some(devd_logic::Outcome::Passed { took }),
        TestsState::Failed => Some(devd_logic::Outcome::Failed { took }),
        // What could not be run may be possible now.
        TestsState::Error
        | TestsState::None
        | TestsState::Queued
        | TestsState::Running
        | TestsState::Cancelled => None,
    }
}
