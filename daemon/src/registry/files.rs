//! Reading the files of projects, and following them.

use super::{Entry, Registry};
use crate::blueprint::{self, Blueprint};
use crate::engine::Engine;
use crate::problem;
use crate::project::{Handle, Message, Request, run};
use crate::watch::{WatchError, WatchSet};
use devd_compose::{LoadError, Loaded};
use devd_logic::Memory;
use devd_proto::{Code, Diagnostic, Problem, ProjectName, ProjectSource};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a project's files do not load, and the files whose change may mend it.
#[derive(Debug)]
struct NotLoaded {
    problem: Problem,
    inputs: BTreeSet<PathBuf>,
}

impl From<LoadError> for NotLoaded {
    fn from(error: LoadError) -> Self {
        Self { problem: problem::load_error(&error), inputs: error.inputs }
    }
}

/// What a project's files say, the services that only serve as tests among it, and what devd does not do yet.
pub async fn load_files(source: ProjectSource) -> Result<Loaded, Problem> {
    let options = blueprint::options(&source);
    match tokio::task::spawn_blocking(move || devd_compose::load(&options)).await {
        Ok(loaded) => loaded.map_err(|error| problem::load_error(&error)),
        Err(error) => Err(Problem::new(Code::Internal, format!("reading the compose files failed: {error}"))),
    }
}

/// Reads a project's files without holding up the loop that everything runs on.
pub async fn load(source: ProjectSource) -> Result<Blueprint, Problem> {
    read(source).await.map_err(|error| error.problem)
}

async fn read(source: ProjectSource) -> Result<Blueprint, NotLoaded> {
    match tokio::task::spawn_blocking(move || Blueprint::load(&source)).await {
        Ok(loaded) => Ok(loaded?),
        Err(error) => {
            let problem = Problem::new(Code::Internal, format!("reading the compose files failed: {error}"));
            Err(NotLoaded { problem, inputs: BTreeSet::new() })
        }
    }
}

impl<E: Engine> Registry<E> {
    /// Starts a project that was registered in an earlier life.
    pub(super) async fn open(&self, name: &ProjectName, source: ProjectSource, memory: Memory) {
        match read(source.clone()).await {
            Ok(blueprint) => {
                self.launch(Arc::new(blueprint), source, memory).await;
            }
            // Its files may load again after the next save: it is kept, and shown as it is.
            Err(error) => {
                tracing::warn!(project = %name, problem = %error.problem.title, "a registered project does not load");
                let mut blueprint = Blueprint::empty(name.clone(), PathBuf::from(&source.dir));
                blueprint.inputs = error.inputs;
                let handle = self.start(&Arc::new(blueprint), source, memory).await;
                handle.tell(failed(error.problem));
                self.place(&handle, handle.blueprint().watch_set()).await;
            }
        }
    }

    /// Starts a project, and follows its files.
    pub(super) async fn launch(
        &self,
        blueprint: Arc<Blueprint>,
        source: ProjectSource,
        memory: Memory,
    ) -> Handle {
        let handle = self.start(&blueprint, source.clone(), memory).await;
        self.follow(&handle, blueprint, source).await;
        handle
    }

    async fn start(&self, blueprint: &Arc<Blueprint>, source: ProjectSource, memory: Memory) -> Handle {
        let name = blueprint.name.clone();
        let (registry, ended) = (self.clone(), name.clone());
        let on_end = move || {
            registry.inner.projects.remove(&ended);
            registry.surroundings().watcher.remove(&ended);
        };
        let handle =
            run::start(self.surroundings().clone(), Arc::clone(blueprint), source.clone(), memory, on_end)
                .await;
        self.inner.projects.insert(name, Entry { handle: handle.clone(), source });
        handle
    }

    /// Watches what a project's files say and has it done, until what they say is what is watched: nobody else sees
    /// a file that is written between the reading and the watching.
    pub(super) async fn follow(&self, handle: &Handle, mut blueprint: Arc<Blueprint>, source: ProjectSource) {
        if !blueprint.broken_suites.is_empty() {
            Arc::make_mut(&mut blueprint).keep_broken_suites(&*told(handle).await);
        }
        loop {
            self.place(handle, blueprint.watch_set()).await;
            // It started with this very one, perhaps.
            if !Arc::ptr_eq(&blueprint, &handle.blueprint()) {
                handle.tell(Message::Loaded(Arc::clone(&blueprint)));
            }
            match read(source.clone()).await {
                Ok(again) if again.name != blueprint.name => {
                    return handle.tell(renamed(&blueprint.name, &again.name));
                }
                Ok(mut again) => {
                    again.keep_broken_suites(&blueprint);
                    if again == *blueprint {
                        return;
                    }
                    blueprint = Arc::new(again);
                }
                Err(error) => return self.invalid(handle, &blueprint, error).await,
            }
        }
    }

    /// What runs keeps running. The files that are missing or wrong are watched as well.
    async fn invalid(&self, handle: &Handle, before: &Blueprint, error: NotLoaded) {
        handle.tell(failed(error.problem));
        let mut watched = before.watch_set();
        watched.inputs.extend(error.inputs);
        self.place(handle, watched).await;
    }

    async fn place(&self, handle: &Handle, watched: WatchSet) {
        match self.surroundings().watcher.set(watched).await {
            Ok(placed) => tracing::info!(
                project = %handle.name,
                folders = placed.folders,
                files = placed.files,
                "watching"
            ),
            Err(WatchError::Stopped) => tracing::error!(project = %handle.name, "the watcher has stopped"),
            Err(error) => tracing::error!(project = %handle.name, %error, "cannot watch"),
        }
    }

    /// Reads a project's files again, because one of them changed.
    pub(super) async fn reload(&self, project: &ProjectName) {
        let _one_at_a_time = self.inner.registering.lock().await;
        let Some(entry) = self.inner.projects.get(project).map(|entry| entry.clone()) else { return };
        match read(entry.source.clone()).await {
            Ok(blueprint) if blueprint.name != *project => {
                entry.handle.tell(renamed(project, &blueprint.name));
            }
            Ok(blueprint) => {
                self.follow(&entry.handle, Arc::new(blueprint), entry.source).await;
            }
            Err(error) => self.invalid(&entry.handle, &*told(&entry.handle).await, error).await,
        }
    }
}

/// What a project was told last that its files say.
async fn told(handle: &Handle) -> Arc<Blueprint> {
    // It may have heard of it and not have come to it.
    handle.ask(|reply| Request::Flush { reply }).await;
    handle.blueprint()
}

fn failed(problem: Problem) -> Message {
    let first = problem.diagnostics.into_iter().next();
    Message::LoadFailed(
        first.unwrap_or_else(|| Diagnostic { message: problem.title, ..Diagnostic::default() }),
    )
}

fn renamed(before: &ProjectName, now: &ProjectName) -> Message {
    let title = format!("the project is named {now} now");
    let help = format!("`devd -p {before} down`, then `devd up`");
    Message::LoadFailed(Diagnostic {
        code: "renamed".to_owned(),
        rendered: format!("error: {title}\nhelp: {help}"),
        message: title,
        help: Some(help),
        ..Diagnostic::default()
    })
}
