//! The thread that owns the database.
//!
//! SQLite blocks, so no task of the runtime touches it: what is to be done with it is sent here and done in order.

use super::HistoryError;
use super::logs::Logs;
use super::retention;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::oneshot;

/// Something to do with the database.
pub(super) type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// Where what is to be done goes.
#[derive(Clone, Debug)]
pub(super) enum Jobs {
    /// To the thread.
    Thread(mpsc::Sender<Job>),
    /// It is done at once by whoever asks: where a clock stands still nobody can wait for a thread.
    Here(Arc<Mutex<Store>>),
}

impl Jobs {
    /// Has something done.
    pub(super) fn send(&self, job: Job) -> Result<(), HistoryError> {
        match self {
            Self::Thread(sender) => sender.send(job).map_err(|_| HistoryError::Stopped),
            Self::Here(store) => {
                job(&mut store.lock().unwrap_or_else(PoisonError::into_inner));
                Ok(())
            }
        }
    }
}

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) logs: Logs,
    finished: u32,
    /// Dropped after the connection, and heard by whoever closes the history.
    closed: Option<oneshot::Sender<()>>,
}

impl Store {
    pub(super) fn new(connection: Connection, logs: Logs) -> Self {
        Self { connection, logs, finished: 0, closed: None }
    }

    /// Counts an ended run; old ones go every so often.
    pub(super) fn run_finished(&mut self) {
        self.finished += 1;
        if self.finished.is_multiple_of(retention::EVERY) {
            self.tidy();
        }
    }

    /// Makes the current request the last.
    pub(super) fn close(&mut self, closed: oneshot::Sender<()>) {
        self.closed = Some(closed);
    }

    /// Removes what is too old or too much. That it fails is no reason to fail what caused it.
    pub(super) fn tidy(&mut self) {
        if let Err(error) = retention::apply(&mut self.connection, &self.logs) {
            tracing::warn!(%error, "old runs could not be removed");
        }
    }
}

/// Starts the thread. It ends when it is told to, or when the last sender is gone and everything sent was done.
pub(super) fn start(store: Store, folder: &Path) -> Result<Jobs, HistoryError> {
    let (sender, jobs) = mpsc::channel::<Job>();
    std::thread::Builder::new()
        .name("history".to_owned())
        .spawn(move || work(store, &jobs))
        .map_err(HistoryError::file(folder))?;
    Ok(Jobs::Thread(sender))
}

fn work(mut store: Store, jobs: &mpsc::Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        // One bad row must not cost every later run its place in the history; a transaction under way rolls back.
        if catch_unwind(AssertUnwindSafe(|| job(&mut store))).is_err() {
            tracing::error!("a request to the history panicked");
        }
        if store.closed.is_some() {
            return;
        }
    }
}
