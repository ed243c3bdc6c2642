//! The thread that owns the database.
//!
//! SQLite blocks, so no task of the runtime touches it: what is to be done with it is sent here and done in order.

use super::logs::Logs;
use super::{HistoryError, projects, retention, runs, schema};
use devd_proto::{Run, RunId};
use rusqlite::Connection;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How soon what could not be written is tried again, when nobody writes anything before.
const AGAIN: Duration = Duration::from_secs(1);

/// So much is remembered of what could not be written. A disk that stays full must not fill the memory too.
const MOST_OWED: usize = 1000;

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

/// A change of the database that can be tried again.
type Change = Box<dyn Fn(&mut Store) -> Result<(), HistoryError> + Send>;

/// Something that must get into the database, now or later.
pub(super) struct Write {
    /// How a run ended, if it is that: to be shown until then.
    pub(super) run: Option<Run>,
    pub(super) change: Change,
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write").field("run", &self.run).finish_non_exhaustive()
    }
}

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) logs: Logs,
    folder: PathBuf,
    /// The highest numbers of runs that have a log, by project: the database may not know of them.
    pub(super) numbers: BTreeMap<String, u64>,
    /// What could not be written, because the disk was full or somebody else had the database; oldest first.
    owed: VecDeque<Write>,
    finished: u32,
    /// Dropped after the connection, and heard by whoever closes the history.
    closed: Option<oneshot::Sender<()>>,
}

impl Store {
    pub(super) fn new(connection: Connection, logs: Logs, folder: &Path) -> Result<Self, HistoryError> {
        let (folder, numbers) = (folder.to_owned(), retention::numbers_of(&logs)?);
        Ok(Self { connection, logs, folder, numbers, owed: VecDeque::new(), finished: 0, closed: None })
    }

    /// Writes something after all that is owed, or owes it too. An error says that it is not on disk yet.
    pub(super) fn write(&mut self, write: Write) -> Result<(), HistoryError> {
        self.pay();
        let failed = match self.owed.len() {
            0 => self.attempt(&write),
            _ => Err(HistoryError::Owed("what came before it could not be written yet".to_owned())),
        };
        match failed {
            Err(error) if error.may_pass() => {
                if self.owed.len() == MOST_OWED {
                    tracing::error!(
                        "the history cannot be written for too long: the oldest of it is given up"
                    );
                    self.owed.pop_front();
                }
                self.note(&write);
                self.owed.push_back(write);
                Err(HistoryError::Owed(error.to_string()))
            }
            result => result,
        }
    }

    /// Notes beside its log how a run ended that is not in the database yet: this daemon may be killed before it is.
    fn note(&self, write: &Write) {
        if let Some(run) = &write.run
            && let Err(error) = self.logs.note(run)
        {
            tracing::warn!(run = %run.id, %error, "how it ended is only remembered");
        }
    }

    /// Writes what an earlier daemon could only note.
    pub(super) fn write_notes(&mut self) {
        for run in self.logs.notes() {
            let (id, known) = (run.id.clone(), Some(run.clone()));
            let change = Box::new(move |store: &mut Self| runs::finish(store, &run));
            match self.write(Write { run: known, change }) {
                Ok(()) | Err(HistoryError::AlreadyRecorded(_)) => self.logs.forget_note(&id),
                Err(error) => tracing::error!(run = %id, %error, "how it ended could not be recorded"),
            }
        }
    }

    /// Writes what is owed, as far as that is possible now.
    fn pay(&mut self) {
        while let Some(write) = self.owed.pop_front() {
            match self.attempt(&write) {
                Err(error) if error.may_pass() => return self.owed.push_front(write),
                Err(error) => tracing::error!(%error, "something is missing in the history"),
                Ok(()) => {}
            }
            if let Some(run) = &write.run {
                self.logs.forget_note(&run.id);
            }
        }
    }

    /// Writes, also when the database turns out to be broken: then into a new one.
    fn attempt(&mut self, write: &Write) -> Result<(), HistoryError> {
        match (write.change)(self) {
            Err(HistoryError::Database(error)) if schema::is_beyond(&error) => {
                self.begin_anew()?;
                (write.change)(self)
            }
            result => result,
        }
    }

    /// Puts a broken database aside and begins a new one with what can still be read of it.
    fn begin_anew(&mut self) -> Result<(), HistoryError> {
        // Its pages are a thing of the past, too: no connection must write them back.
        self.connection = Connection::open_in_memory()?;
        let opened = schema::begin_anew(&self.folder, "it broke while it was in use")?;
        self.connection = opened.connection;
        self.numbers = retention::numbers_of(&self.logs)?;
        opened.salvaged.iter().try_for_each(|registration| projects::save(self, registration))
    }

    /// How a run ended that is not in the database yet.
    pub(super) fn owed(&self, id: &RunId) -> Option<&Run> {
        self.owed.iter().filter_map(|write| write.run.as_ref()).find(|run| run.id == *id)
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
    // When what is owed is tried again. Those who only read must not put it off.
    let mut again: Option<Instant> = None;
    loop {
        let job = if store.owed.is_empty() {
            again = None;
            jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            let again = again.get_or_insert_with(|| Instant::now() + AGAIN);
            match again.saturating_duration_since(Instant::now()) {
                Duration::ZERO => Err(RecvTimeoutError::Timeout),
                patience => jobs.recv_timeout(patience),
            }
        };
        let job = match job {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                again = None;
                Box::new(Store::pay)
            }
            Err(RecvTimeoutError::Disconnected) => return store.pay(),
        };
        // One bad row must not cost every later run its place in the history; a transaction under way rolls back.
        if catch_unwind(AssertUnwindSafe(|| job(&mut store))).is_err() {
            tracing::error!("a request to the history panicked");
        }
        if store.closed.is_some() {
            return store.pay();
        }
    }
}
