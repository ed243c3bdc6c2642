//! What devd remembers: test runs, what they wrote, and the registered projects.
//!
//! Runs and projects are rows of `history.db` (SQLite), owned by one thread which does what the handles send it, in
//! order; output lies in `runs/<run id>.log`. Everything is readable by its owner only, because the environment that a
//! project is registered with may hold secrets.

mod error;
mod follow;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod log_tests;
mod logs;
mod origins;
mod projects;
mod retention;
mod runs;
mod schema;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble_tests;

pub use error::HistoryError;
pub use follow::LogReader;
pub use logs::{LogWriter, MAX_LOG_BYTES};
pub use origins::{Made, Origins};
pub use projects::Registration;
pub use retention::{
    MAX_AGE, MAX_DATABASE_BYTES, MAX_LOGS_BYTES, RUNS_IN_ALL, RUNS_KEPT_ANYWAY, RUNS_PER_SERVICE,
};
pub use runs::{DEFAULT_LIMIT, MAX_LIMIT, RunFilter};

use devd_proto::{ProjectName, Run, RunId, Runs, ServiceName};
use logs::Logs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use store::{Job, Jobs, Store, Write};
use tokio::sync::oneshot;

/// The history. Cheap to clone; every clone speaks to the same database.
#[derive(Clone, Debug)]
pub struct History {
    // Each job is waited for by whoever asks, so that there are no more of them than requests and runs.
    jobs: Jobs,
    waiting: Arc<AtomicUsize>,
    logs: Logs,
}

/// How much there is to do and was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Requests that wait.
    pub waiting: usize,
    /// Bytes that runs wrote beyond what is kept of one.
    pub left_out: u64,
}

impl History {
    /// Opens the history in the state folder `dir`, or begins one. Runs that an earlier life of the daemon left under way
    /// become `cancelled`. Blocks for as long as the disk takes.
    pub fn open(dir: &Path) -> Result<Self, HistoryError> {
        schema::private_folder(dir)?;
        let logs = Logs::open(dir)?;
        let opened = schema::open(dir)?;
        let mut store = Store::new(opened.connection, logs.clone(), dir)?;
        for registration in &opened.salvaged {
            projects::save(&mut store, registration)?;
        }
        store.write_notes();
        let noted = |id: &String| store.owed(&id.as_str().into()).is_some();
        let mut cut_off = runs::under_way(&store.connection)?;
        cut_off.retain(|id| !noted(id));
        if !cut_off.is_empty() {
            tracing::info!(runs = cut_off.len(), "test runs were cut off when devd stopped");
            let change = Box::new(move |store: &mut Store| runs::interrupted(&store.connection, &cut_off));
            // A disk that is full is no reason not to run services.
            if let Err(error) = store.write(Write { run: None, change }) {
                tracing::error!(%error, "how those runs ended could not be recorded");
            }
        }
        let jobs = store::start(store, dir)?;
        let history = Self { jobs, waiting: Arc::default(), logs };
        history.send(Box::new(Store::tidy))?;
        Ok(history)
    }

    /// A history in memory, for simulations: what is asked of it is done at once, in nobody's thread but the caller's. Only
    /// what runs write goes to files in `dir`.
    pub fn in_memory(dir: &Path) -> Result<Self, HistoryError> {
        let logs = Logs::open(dir)?;
        let store = Store::new(schema::in_memory()?, logs.clone(), dir)?;
        Ok(Self { jobs: Jobs::Here(Arc::new(Mutex::new(store))), waiting: Arc::default(), logs })
    }

    /// What [`History::open`] does for the runs that an earlier life of the daemon left under way. How many there were.
    pub async fn interrupt_runs(&self) -> Result<usize, HistoryError> {
        self.call(|store| {
            let cut_off = runs::under_way(&store.connection)?;
            runs::interrupted(&store.connection, &cut_off)?;
            Ok(cut_off.len())
        })
        .await
    }

    /// Records that a run begins. Its state is `running` from now on, whatever `run` says.
    pub async fn begin(&self, run: &Run) -> Result<(), HistoryError> {
        let run = run.clone();
        self.call(move |store| runs::begin(store, &run)).await
    }

    /// Records how a run ended, also one whose beginning was not recorded. Once this has returned, no crash loses it;
    /// while the disk is full or somebody else has the database, it is an error that it is only remembered.
    pub async fn finish(&self, run: &Run) -> Result<(), HistoryError> {
        let (run, known) = (run.clone(), Some(run.clone()));
        let result = self.write(known, move |store| runs::finish(store, &run)).await;
        self.logs.run_ended();
        result
    }

    /// One run.
    pub async fn get(&self, id: &RunId) -> Result<Option<Run>, HistoryError> {
        let id = id.clone();
        self.call(move |store| runs::get(store, &id)).await
    }

    /// A page of runs, newest first. Fails with [`HistoryError::UnknownRun`] if there is no run `before`.
    pub async fn list(&self, filter: RunFilter) -> Result<Runs, HistoryError> {
        self.call(move |store| runs::list(store, &filter)).await
    }

    /// The newest run with a verdict: `passed`, `failed` or `error`.
    pub async fn last(
        &self,
        project: &ProjectName,
        service: &ServiceName,
    ) -> Result<Option<Run>, HistoryError> {
        let (project, service) = (project.clone(), service.clone());
        self.call(move |store| runs::newest(store, &project, &service)).await
    }

    /// The number of a project's next run, whose id is `<project>-<number>`. Rises when that run begins, and never falls:
    /// a number is not used again after its run was removed.
    pub async fn next_number(&self, project: &ProjectName) -> Result<u64, HistoryError> {
        let project = project.clone();
        self.call(move |store| runs::next_number(store, &project)).await
    }

    /// Registers a project, or replaces what is known of it.
    pub async fn save_project(&self, registration: &Registration) -> Result<(), HistoryError> {
        let registration = registration.clone();
        self.write(None, move |store| projects::save(store, &registration)).await
    }

    /// Forgets a project. Its runs stay until their time has come.
    pub async fn remove_project(&self, name: &ProjectName) -> Result<(), HistoryError> {
        let name = name.clone();
        self.write(None, move |store| projects::remove(store, &name)).await
    }

    /// What a registered project's processes and images were made from.
    pub async fn origins(&self, project: &ProjectName) -> Result<Origins, HistoryError> {
        let project = project.clone();
        self.call(move |store| origins::all(&store.connection, &project)).await
    }

    /// Keeps what something was made from; `None` while that is being decided.
    pub async fn save_origin(
        &self,
        project: &ProjectName,
        made: Made,
        content: Option<String>,
    ) -> Result<(), HistoryError> {
        let project = project.clone();
        self.write(None, move |store| origins::save(store, &project, &made, content.as_deref())).await
    }

    /// Forgets what something was made from that is gone.
    pub async fn remove_origin(&self, project: &ProjectName, made: Made) -> Result<(), HistoryError> {
        let project = project.clone();
        self.write(None, move |store| origins::remove(store, &project, &made)).await
    }

    /// The registered projects by name.
    pub async fn projects(&self) -> Result<Vec<Registration>, HistoryError> {
        self.call(|store| projects::all(&store.connection)).await
    }

    /// Begins the log of a run. From now on readers of that run follow it.
    pub fn log_writer(&self, id: &RunId) -> Result<LogWriter, HistoryError> {
        self.logs.writer(id)
    }

    /// Opens the log of a run, live or ended. With `follow` it is read until the run has ended, and a run that was begun
    /// but has written nothing yet is waited for.
    pub async fn log(&self, id: &RunId, follow: bool) -> Result<LogReader, HistoryError> {
        LogReader::open(self.clone(), id.clone(), follow).await
    }

    /// Does what was asked for before, closes the database, and answers every later request with
    /// [`HistoryError::Stopped`]: the last thing before the daemon ends.
    pub async fn close(&self) {
        let (closed, waiting) = oneshot::channel();
        // A thread that is gone has closed it already.
        let _ = self.send(Box::new(|store| store.close(closed)));
        // The sender goes without a word, after the connection.
        let _ = waiting.await;
    }

    /// How much there is to do and was left out.
    pub fn numbers(&self) -> Numbers {
        Numbers { waiting: self.waiting.load(Ordering::Relaxed), left_out: self.logs.left_out() }
    }

    fn logs(&self) -> &Logs {
        &self.logs
    }

    async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |store| {
            // Whoever asked may have gone; it is done all the same.
            let _ = reply.send(job(store));
        }))?;
        answer.await.map_err(|_| HistoryError::Stopped)?
    }

    /// Has something written that must not be lost: now, or as soon as it can be.
    async fn write(
        &self,
        run: Option<Run>,
        change: impl Fn(&mut Store) -> Result<(), HistoryError> + Send + 'static,
    ) -> Result<(), HistoryError> {
        let write = Write { run, change: Box::new(change) };
        self.call(move |store| store.write(write)).await
    }

    fn send(&self, job: Job) -> Result<(), HistoryError> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Arc::clone(&self.waiting);
        let counted: Job = Box::new(move |store| {
            waiting.fetch_sub(1, Ordering::Relaxed);
            job(store);
        });
        self.jobs.send(counted).inspect_err(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        })
    }
}
