//! The projects by name, and what survives a restart of devd.

use crate::engine::{Engine, EngineChange};
use crate::problem;
use crate::project::run::Surroundings;
use crate::project::{Also, Handle, Message, Request};
use crate::watch::{Action, Notice};
use dashmap::DashMap;
use devd_logic::{Event, Memory};
use devd_proto::{
    Code, EngineState, Problem, ProjectName, ProjectSource, RegisterRequest, Registered, Removed, Resolved,
    Saved, Scheduled, ServiceName,
};
use futures_util::StreamExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

mod files;
mod sweep;

pub use files::{load, load_files};

/// All projects of the daemon. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry<E> {
    inner: Arc<Inner<E>>,
}

#[derive(Debug)]
struct Inner<E> {
    surroundings: Surroundings<E>,
    projects: DashMap<ProjectName, Entry>,
    /// Registering reads files and places watches; two at once for the same project would each think it is the first.
    registering: Mutex<()>,
    /// Answered when every notice that the watcher has sent so far was passed on.
    barriers: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// The projects of an earlier life are known.
    restored: AtomicBool,
}

#[derive(Clone, Debug)]
struct Entry {
    handle: Handle,
    source: ProjectSource,
}

impl<E: Engine> Registry<E> {
    /// A registry without projects that listens to the engine and to the watcher's `notices`.
    pub fn new(surroundings: Surroundings<E>, notices: mpsc::UnboundedReceiver<Notice>) -> Self {
        // Each is a client that waits.
        let (barriers, passing) = mpsc::unbounded_channel();
        let (projects, registering, restored) = (DashMap::new(), Mutex::new(()), AtomicBool::new(false));
        let inner = Inner { surroundings, projects, registering, barriers, restored };
        let this = Self { inner: Arc::new(inner) };
        tokio::spawn(this.clone().pass_on_notices(notices, passing));
        tokio::spawn(this.clone().pass_on_changes());
        this
    }

    /// What projects work with.
    pub fn surroundings(&self) -> &Surroundings<E> {
        &self.inner.surroundings
    }

    /// The projects that were registered in an earlier life.
    pub async fn restore(&self) {
        let registrations = match self.surroundings().history.projects().await {
            Ok(registrations) => registrations,
            Err(error) => return tracing::error!(%error, "the registered projects could not be read"),
        };
        for registration in registrations {
            let name = registration.name.clone();
            let memory = Memory {
                stopped: registration.stopped,
                selected: registration.selected,
                completed: registration.completed,
            };
            self.open(&name, registration.source, memory).await;
        }
        self.inner.restored.store(true, Ordering::Release);
        tokio::spawn(self.clone().swept());
    }

    async fn swept(self) {
        self.sweep().await;
    }

    /// Registers a project, or brings a registered one up to date.
    pub async fn register(&self, request: RegisterRequest) -> Result<Registered, Problem> {
        to_the_end(self.clone().enter(request)).await
    }

    async fn enter(self, request: RegisterRequest) -> Result<Registered, Problem> {
        if request.start {
            self.engine_answers()?;
        }
        let _one_at_a_time = self.inner.registering.lock().await;
        let (start, build, services) = (request.start, request.build, request.services.clone());
        let mut source = ProjectSource::from(request);
        if let Some(entry) = self.covering(&source, true) {
            source = renewed(entry.source, source);
        }
        let blueprint = Arc::new(load(source.clone()).await?);
        for service in &services {
            if blueprint.service(service).is_none() {
                let known = blueprint.project.services.keys().map(String::as_str);
                return Err(problem::unknown_service(&blueprint.name, service, known));
            }
        }
        source.env.clone_from(&blueprint.env_used);
        if source.files.is_empty() && !source.env.contains_key("COMPOSE_FILE") {
            // Found by searching upward, perhaps from a folder that may be gone one day.
            source.dir = blueprint.project.dir.display().to_string();
        }
        let warnings = blueprint.warnings.iter().map(problem::diagnostic).collect();
        let name = blueprint.name.clone();
        let existing = self.inner.projects.get(&name).map(|entry| entry.clone());
        let handle = match existing.filter(|entry| entry.handle.is_alive()) {
            Some(entry) => {
                let other = entry.handle.blueprint();
                if other.loaded && other.project.dir != blueprint.project.dir {
                    return Err(name_taken(&name, &other.project.dir));
                }
                self.inner
                    .projects
                    .insert(name.clone(), Entry { handle: entry.handle.clone(), source: source.clone() });
                entry.handle.tell(Message::Source(source.clone()));
                self.follow(&entry.handle, blueprint, source).await;
                entry.handle
            }
            None => {
                let memory = Memory { selected: Some(BTreeSet::new()), ..Memory::default() };
                self.launch(blueprint, source, memory).await
            }
        };
        let revision = if start {
            handle.ask(|reply| Request::Up { services, build, reply }).await.ok_or_else(|| unknown(&name))?
        } else {
            handle.status().revision
        };
        Ok(Registered { project: name, revision, warnings })
    }

    fn engine_answers(&self) -> Result<(), Problem> {
        let engine = self.surroundings().engine.status();
        if engine.state != EngineState::Disconnected {
            return Ok(());
        }
        let reason = engine.error.unwrap_or_else(|| "it does not answer".to_owned());
        let problem = Problem::new(Code::EngineUnreachable, format!("no container engine: {reason}"));
        Err(problem
            .help("start Docker, or say where it is by DOCKER_HOST; `devd doctor` says what was tried"))
    }

    /// Takes a project down and forgets it.
    pub async fn remove(&self, name: &ProjectName, also: Also) -> Result<Removed, Problem> {
        let handle = self.get(name)?;
        self.engine_answers()?;
        let removed = handle.ask(|reply| Request::Down { also, reply }).await;
        self.sweep().await;
        removed.unwrap_or_else(|| Err(unknown(name)))
    }

    /// A registered project.
    pub fn get(&self, name: &ProjectName) -> Result<Handle, Problem> {
        let entry = self.inner.projects.get(name);
        entry.map(|entry| entry.handle.clone()).ok_or_else(|| unknown(name))
    }

    /// All registered projects, by name.
    pub fn all(&self) -> Vec<Handle> {
        let handles = self.inner.projects.iter().map(|entry| (entry.key().clone(), entry.handle.clone()));
        handles.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// Which project a folder and options mean.
    pub async fn resolve(&self, source: &ProjectSource) -> Result<Resolved, Problem> {
        if let Some(entry) = self.covering(source, false) {
            let root = entry.handle.blueprint().project.dir.display().to_string();
            return Ok(Resolved { project: entry.handle.name, root, registered: true });
        }
        // What devd does not do yet is nothing to who only asks for the project.
        let project = load_files(source.clone()).await?.project;
        let name = ProjectName::new(project.name.clone());
        let other = self.inner.projects.get(&name).map(|entry| entry.handle.blueprint());
        if let Some(other) = &other
            && other.project.dir != project.dir
        {
            // Whoever stands in one copy of a project does not mean the other.
            return Err(name_taken(&name, &other.project.dir));
        }
        Ok(Resolved { project: name, root: project.dir.display().to_string(), registered: other.is_some() })
    }

    /// The registered project that a folder belongs to, when nothing else is said.
    ///
    /// A service's folder has a compose file of its own for its tests: there the registered project around it is meant.
    fn covering(&self, source: &ProjectSource, registering: bool) -> Option<Entry> {
        if let Some(name) = &source.project_name {
            // A name says it all, but one that is registered elsewhere must not swallow another project.
            let entry = self.inner.projects.get(name.as_str())?;
            let same = entry.source.dir == source.dir && source.files.is_empty();
            return Some(entry.clone()).filter(|_| same || !registering);
        }
        if !source.files.is_empty() || source.env.contains_key("COMPOSE_FILE") {
            return None;
        }
        Path::new(&source.dir).ancestors().find_map(|dir| {
            let mut entries = self.inner.projects.iter();
            entries.find(|entry| entry.handle.blueprint().project.dir == dir).map(|entry| entry.clone())
        })
    }

    /// Waits until every change on disk up to now is in the statuses.
    pub async fn up_to_date(&self) {
        // A watcher that has stopped knows of no change.
        let _ = self.surroundings().watcher.sync().await;
        // Its notices are on their way: this follows them.
        let (reply, passed) = oneshot::channel();
        if self.inner.barriers.send(reply).is_ok() {
            let _ = passed.await;
        }
        let flushes = self
            .all()
            .into_iter()
            .map(|handle| async move { handle.ask(|reply| Request::Flush { reply }).await });
        futures_util::future::join_all(flushes).await;
    }

    /// Ends all loops and their test runs. Services are left as they are.
    pub async fn close(&self) {
        let closes = self
            .all()
            .into_iter()
            .map(|handle| async move { handle.ask(|reply| Request::Close { reply }).await });
        futures_util::future::join_all(closes).await;
    }

    /// An editor says that files changed.
    pub async fn saved(&self, paths: Vec<PathBuf>) -> Result<Saved, Problem> {
        to_the_end(self.clone().pushed(paths)).await
    }

    async fn pushed(self, paths: Vec<PathBuf>) -> Result<Saved, Problem> {
        let changes = self
            .surroundings()
            .watcher
            .saved(paths)
            .await
            .map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        let mut by_project: BTreeMap<ProjectName, Vec<_>> = BTreeMap::new();
        for (project, change) in changes {
            by_project.entry(project).or_default().push(change);
        }
        let mut scheduled = Vec::new();
        for (project, changes) in by_project {
            let mut services: BTreeMap<_, Scheduled> = BTreeMap::new();
            let mut strongest: BTreeMap<_, Action> = BTreeMap::new();
            for change in &changes {
                let entry = services.entry(change.service.clone()).or_insert_with(|| Scheduled {
                    project: project.clone(),
                    service: change.service.clone(),
                    action: "none".to_owned(),
                    tests: false,
                });
                let action = change.action.unwrap_or(Action::None);
                let strongest = strongest.entry(change.service.clone()).or_insert(action);
                *strongest = action.max(*strongest);
                entry.action = strongest.as_str().to_owned();
                entry.tests |= change.tests.runs();
            }
            scheduled.extend(services.into_values());
            if let Ok(handle) = self.get(&project) {
                handle.tell(Message::Changed(changes));
            }
        }
        Ok(Saved { scheduled })
    }

    async fn pass_on_notices(
        self,
        mut notices: mpsc::UnboundedReceiver<Notice>,
        mut barriers: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    ) {
        let mut reloads: Vec<CancellationToken> = Vec::new();
        loop {
            tokio::select! {
                // Notices first: a barrier comes after those that were there before it.
                biased;
                notice = notices.recv() => match notice {
                    Some(notice) => {
                        // Nobody may ask for a barrier for days.
                        reloads.retain(|done| !done.is_cancelled());
                        reloads.extend(self.pass_on(notice));
                    }
                    None => return,
                },
                Some(reply) = barriers.recv() => {
                    reloads.retain(|done| !done.is_cancelled());
                    let reloads = reloads.clone();
                    tokio::spawn(async move {
                        for done in reloads {
                            done.cancelled().await;
                        }
                        let _ = reply.send(());
                    });
                }
            }
        }
    }

    /// Passes a notice on. What takes time is done apart, so that one project's files do not hold up another's saves;
    /// it says when it is done.
    fn pass_on(&self, notice: Notice) -> Option<CancellationToken> {
        match notice {
            Notice::Changed { project, changes } => self.tell(&project, Message::Changed(changes)),
            Notice::Ready { project } => self.tell(&project, Message::FilesKnown),
            Notice::Reload { project, paths } => {
                tracing::info!(%project, ?paths, "reading the project's files again");
                let (this, done) = (self.clone(), CancellationToken::new());
                let guard = done.clone().drop_guard();
                tokio::spawn(async move {
                    this.reload(&project).await;
                    drop(guard);
                });
                return Some(done);
            }
            Notice::Rescanned { project } => {
                tracing::info!(%project, "events were lost; looked at everything");
            }
            Notice::Degraded { project, root, reason, help } => {
                tracing::warn!(%project, root = %root.display(), %reason, %help, "polling");
            }
        }
        None
    }

    fn tell(&self, project: &ProjectName, message: Message) {
        if let Some(entry) = self.inner.projects.get(project) {
            entry.handle.tell(message);
        }
    }

    async fn pass_on_changes(self) {
        let mut changes = self.surroundings().engine.changes();
        while let Some(change) = changes.next().await {
            match change {
                EngineChange::Project(project) => {
                    self.tell(&ProjectName::new(project), Message::Event(Event::EngineChanged));
                }
                EngineChange::ToldToEnd { project, service, container } => {
                    let event = Event::ToldToEnd(ServiceName::new(service));
                    self.tell(&ProjectName::new(project), Message::Outside { container, event });
                }
                EngineChange::Stopped { project, service, container } => {
                    let event = Event::StoppedOutside(ServiceName::new(service));
                    self.tell(&ProjectName::new(project), Message::Outside { container, event });
                }
                EngineChange::Environment { project, environment } => {
                    self.tell(&ProjectName::new(project), Message::EnvironmentBroken(environment));
                }
                EngineChange::Connected => {
                    self.tell_all(&Event::EngineBack);
                    tokio::spawn(self.clone().swept());
                }
                EngineChange::Disconnected => self.tell_all(&Event::EngineChanged),
            }
        }
    }

    fn tell_all(&self, event: &Event) {
        for entry in &self.inner.projects {
            entry.handle.tell(Message::Event(event.clone()));
        }
    }
}

/// Does something to its end, also when whoever asked for it hangs up: the future of a request goes with its connection.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|error| Err(Problem::new(Code::Internal, error.to_string())))
}

/// How a project is registered after it was asked for again: its files, with what the caller says anew.
fn renewed(registered: ProjectSource, asked: ProjectSource) -> ProjectSource {
    let ProjectSource { dir, env, profiles, env_files, files: _, project_name: _ } = asked;
    // Relative to where the caller stands, which may be a folder below.
    let absolute = |file: String| Path::new(&dir).join(file).display().to_string();
    let said = |new: Vec<String>, old: Vec<String>| if new.is_empty() { old } else { new };
    ProjectSource {
        env,
        profiles: said(profiles, registered.profiles),
        env_files: said(env_files.into_iter().map(absolute).collect(), registered.env_files),
        ..registered
    }
}

fn name_taken(name: &ProjectName, dir: &Path) -> Problem {
    let title = format!("a project named {name} is registered already, from {}", dir.display());
    let help = format!(
        "give this one another name with --project-name, or take that one down with `devd --project-name {name} down`"
    );
    Problem::new(Code::NameTaken, title).help(help)
}

fn unknown(name: &ProjectName) -> Problem {
    let problem = Problem::new(Code::UnknownProject, format!("no project named {name} is registered"));
    problem.help("`devd up` in its folder registers it; `devd status` lists those that are")
}
