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
use devd_proto::{
    Code, Problem, ProjectName, ProjectSource, Removed, Run, RunId, ServiceName, TestsState, What,
};
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
    let (registration, registrations) = mpsc::unbounded_channel();
    tokio::spawn(save(surroundings.history.clone(), name.clone(), registrations));
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
        queued: BTreeMap::new(),
        pending: Pending::default(),
        images_owed: blueprint.suites.keys().cloned().collect(),
        paths: BTreeMap::new(),
        files_known: false,
        recalled: BTreeSet::new(),
        removed: Removed::default(),
        farewells: Vec::new(),
        gone: false,
    };
    let handle = Handle { name: name.clone(), sender, status: handle_status, blueprint: handle_blueprint };
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
    clock: Clock,
    pub(super) state: State,
    pub(super) blueprint: Arc<Blueprint>,
    blueprints: watch::Sender<Arc<Blueprint>>,
    source: ProjectSource,
    executor: Executor<E>,
    registration: mpsc::UnboundedSender<Remembrance>,
    pub(super) publisher: Publisher,
    look: Look,
    pub(super) live: BTreeMap<RunId, Live>,
    /// Runs that were asked for and have not begun.
    pub(super) queued: BTreeMap<RunId, Run>,
    pending: Pending,
    /// Suites whose images must be built before their next run.
    images_owed: BTreeSet<ServiceName>,
    /// Changed files since each suite's last run.
    paths: BTreeMap<ServiceName, BTreeSet<String>>,
    files_known: bool,
    /// Suites whose newest verdict of an earlier life is known, if there is one.
    recalled: BTreeSet<ServiceName>,
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
                        // Whoever asks after the end gets no answer, which says so.
                        if !self.gone {
                            self.handle(message);
                        }
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

    /// Fetches these suites' verdicts of an earlier life.
    fn recall(&self, services: BTreeSet<ServiceName>) {
        let (history, sender) = (self.surroundings.history.clone(), self.executor.sender());
        let project = self.blueprint.name.clone();
        tokio::spawn(async move {
            let mut runs = Vec::new();
            for service in services {
                let run = history.last(&project, &service).await.unwrap_or_else(|error| {
                    tracing::warn!(%project, %service, %error, "no verdict can be recalled");
                    None
                });
                runs.push((service, run));
            }
            // The loop may have ended in the meantime.
            let _ = sender.send(Message::Recalled(runs));
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
            Message::Recalled(runs) => {
                for (service, run) in runs {
                    if let Some(run) = run {
                        self.publisher.last_runs.entry(service.clone()).or_insert(run);
                    }
                    self.recalled.insert(service);
                }
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
        self.drop_queued();
    }

    /// Queued runs that will never begin, because they were called off or their tests are gone from the files, have
    /// ended: whoever waits for them is told.
    fn drop_queued(&mut self) {
        let dropped: Vec<RunId> =
            self.queued.keys().filter(|run| !self.state.is_waiting(run)).cloned().collect();
        for id in dropped {
            let Some(mut run) = self.queued.remove(&id) else { continue };
            run.state = TestsState::Cancelled;
            run.finished_at = Some(clock::now_text());
            let (history, hub) = (self.surroundings.history.clone(), self.surroundings.hub.clone());
            tokio::spawn(async move {
                if let Err(error) = history.finish(&run).await {
                    tracing::error!(run = %run.id, %error, "a run could not be recorded");
                }
                hub.tell(&run.project.clone(), What::RunFinished { run: Box::new(run) });
            });
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
        // Fails only when the runtime is going down, and then nothing changes any more.
        let _ = self.registration.send(Remembrance::Keep(Box::new(registration)));
    }

    fn loaded(&mut self, mut blueprint: Arc<Blueprint>) {
        self.publisher.error = None;
        // Tests whose file does not load stay as they were; the status says what is wrong with it.
        let broken = blueprint.broken_suites.keys();
        let kept: Vec<_> = broken
            .filter_map(|name| Some((name.clone(), self.blueprint.suites.get(name)?.clone())))
            .collect();
        if !kept.is_empty() {
            Arc::make_mut(&mut blueprint).suites.extend(kept);
        }
        let desired = blueprint.desired();
        for (name, suite) in &desired.suites {
            if self.state.desired().suites.get(name) != Some(suite) {
                self.images_owed.insert(name.clone());
            }
        }
        let unknown = blueprint.suites.keys().filter(|name| !self.recalled.contains(*name));
        self.recall(unknown.cloned().collect());
        self.blueprint = Arc::clone(&blueprint);
        self.step(Event::Loaded(Box::new(desired)));
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
        if !self.files_known {
            return;
        }
        let services = self.blueprint.suites.keys().filter(|name| self.recalled.contains(*name));
        let verdicts: Vec<_> = services
            .map(|service| {
                let content = self.content(service);
                let last = self.publisher.last_runs.get(service);
                let same = last.filter(|run| content.is_some_and(|content| content == run.content));
                (service.clone(), same.and_then(outcome_of))
            })
            .collect();
        for (service, verdict) in verdicts {
            self.step(Event::Baseline { service, verdict });
        }
    }

    /// What a run of these tests would test: the watched files and the definition of the tests.
    fn content(&self, service: &ServiceName) -> Option<String> {
        let files = self.surroundings.watcher.digest(&self.blueprint.name, service)?;
        let definition = &self.state.desired().suites.get(service)?.definition;
        Some(format!("{files}-{}", definition.get(..16).unwrap_or(definition)))
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
        let Some(mut job) = self.job(&id, &service, args) else {
            // The files lost it in this very step; the logic learns that nothing came of it.
            self.step(Event::RunEnded { run: id, outcome: devd_logic::Outcome::Lost });
            return;
        };
        job.build = self.images_owed.remove(&service);
        let now = self.clock.now();
        let age = now.saturating_sub(event);
        let mut run = self.run_record(id.clone(), service.clone(), &job);
        run.state = TestsState::Running;
        run.cause = cause_word(cause).to_owned();
        run.stages = vec![runs::stage_at("event", std::time::Duration::ZERO), runs::stage_at("decided", age)];
        if let RunCause::Changed(_) = cause {
            run.paths = self.paths.remove(&service).unwrap_or_default().into_iter().collect();
        }
        self.queued.remove(&id);
        self.surroundings.hub.tell(&job.project, What::RunStarted { run: Box::new(run.clone()) });
        let cancel = CancellationToken::new();

        self.publisher.running.insert(service, run.clone());
        let (engine, history) = (self.surroundings.engine.clone(), self.surroundings.history.clone());
        let work =
            runs::execute(engine, history, job, run.clone(), age, cancel.clone(), self.executor.sender());
        self.live.insert(id, Live { run, cancel, task: tokio::spawn(work) });
    }

    pub(super) fn job(&self, run: &RunId, service: &ServiceName, args: Vec<String>) -> Option<Job> {
        Some(Job {
            run: run.clone(),
            project: self.blueprint.name.clone(),
            service: service.clone(),
            suite: Arc::new(self.blueprint.suites.get(service)?.clone()),
            args,
            build: false,
        })
    }

    /// A run that has not begun.
    pub(super) fn run_record(&self, id: RunId, service: ServiceName, job: &Job) -> Run {
        Run {
            id,
            project: job.project.clone(),
            content: self.content(&service).unwrap_or_default(),
            service,
            state: TestsState::Queued,
            cause: cause_word(&RunCause::Requested).to_owned(),
            paths: Vec::new(),
            command: job.command().unwrap_or_default(),
            partial: !job.args.is_empty(),
            exit_code: None,
            reason: None,
            started_at: clock::now_text(),
            finished_at: None,
            duration_ms: None,
            passed: None,
            failed: None,
            skipped: None,
            failures: Vec::new(),
            stages: Vec::new(),
        }
    }

    fn run_done(&mut self, done: runs::Done) {
        let service = done.run.service.clone();
        self.live.remove(&done.run.id);
        self.publisher.running.remove(&service);
        if done.build_owed {
            self.images_owed.insert(service.clone());
        }
        // Some of the tests say nothing of the whole.
        if done.run.state != TestsState::Cancelled && !done.run.partial {
            self.publisher.last_runs.insert(service, done.run.clone());
        }
        self.surroundings
            .hub
            .tell(&self.blueprint.name, What::RunFinished { run: Box::new(done.run.clone()) });
        self.step(Event::RunEnded { run: done.run.id, outcome: done.outcome });
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
        let _ = self.registration.send(Remembrance::Forget { farewells, answer });
        self.surroundings.hub.tell(&self.blueprint.name, What::Removed);
    }
}

/// What is to be remembered of a project.
enum Remembrance {
    /// This.
    Keep(Box<Registration>),
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
        RunCause::Redefined => "definition",
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
