//! What runs write, on disk: one file a run, and who writes to which just now.

use super::HistoryError;
use super::projects::{decode, encode};
use super::schema::private_folder;
use crate::system::paths::private_file;
use devd_proto::{Run, RunId};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use tokio::sync::watch;

/// Bytes of one run's output that are kept.
pub const MAX_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// The logs' folder in the state folder.
const FOLDER: &str = "runs";
/// How the name of a note ends: how a run ended, while the database cannot be written.
const NOTE: &str = "ended";
/// How a log's file name ends.
pub(super) const EXTENSION: &str = "log";
/// Ids become file names, whose length file systems limit to 255 bytes.
const MAX_ID: usize = 200;
/// A busy run must not keep its followers waiting for a pause.
const FLUSH_AFTER: usize = 256 * 1024;

/// All logs. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    live: Mutex<BTreeMap<RunId, Live>>,
    /// Changes when a log is begun or a run has ended.
    news: watch::Sender<()>,
    /// Bytes beyond [`MAX_LOG_BYTES`], of all runs.
    left_out: AtomicU64,
}

/// A log that is being written.
#[derive(Clone, Debug)]
pub(super) struct Live {
    /// Changes when there is more to read; true once nothing more will come.
    pub(super) ended: watch::Receiver<bool>,
    /// Everything was written and only has to reach the file.
    pub(super) closing: Arc<AtomicBool>,
}

/// How a log stands.
#[derive(Debug)]
pub(super) enum Found {
    /// It is being written.
    Live(Live),
    /// It is complete.
    Complete,
    /// There is none.
    Missing,
}

impl Logs {
    pub(super) fn open(state: &Path) -> Result<Self, HistoryError> {
        let folder = state.join(FOLDER);
        private_folder(&folder)?;
        let (live, news, left_out) = (Mutex::default(), watch::Sender::new(()), AtomicU64::new(0));
        let inner = Inner { folder, live, news, left_out };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Bytes that were left out.
    pub(super) fn left_out(&self) -> u64 {
        self.inner.left_out.load(Ordering::Relaxed)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// The file of a run's log.
    pub(super) fn path(&self, id: &RunId) -> Result<PathBuf, HistoryError> {
        check_id(id)?;
        Ok(self.inner.folder.join(format!("{id}.{EXTENSION}")))
    }

    /// How the log of a run stands.
    pub(super) fn find(&self, id: &RunId) -> Result<Found, HistoryError> {
        let path = self.path(id)?;
        // Under the lock, because a new log's file is there a moment before its entry.
        let live = self.live();
        Ok(match live.get(id) {
            Some(live) => Found::Live(live.clone()),
            None if path.symlink_metadata().is_ok_and(|found| found.is_file()) => Found::Complete,
            None => Found::Missing,
        })
    }

    /// Whether a run's log is being written.
    pub(super) fn is_live(&self, id: &str) -> bool {
        self.live().contains_key(id)
    }

    /// Changes when [`Logs::find`] may say something else.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.inner.news.subscribe()
    }

    /// Says that a run has ended, with a log or without.
    pub(super) fn run_ended(&self) {
        self.inner.news.send_replace(());
    }

    /// Begins the log of a run.
    pub(super) fn writer(&self, id: &RunId) -> Result<LogWriter, HistoryError> {
        let path = self.path(id)?;
        let mut live = self.live();
        if live.contains_key(id) {
            return Err(HistoryError::AlreadyRecorded(id.to_string()));
        }
        let file = private_file(&path, OpenOptions::new().append(true)).map_err(HistoryError::file(&path))?;
        let (chunks, queue) = mpsc::channel();
        let (progress, ended) = watch::channel(false);
        let pump = Pump { logs: self.clone(), id: id.clone(), file, progress };
        std::thread::Builder::new()
            .name("run-log".to_owned())
            .spawn(move || pump.run(&queue))
            .map_err(HistoryError::file(&path))?;
        let closing = Arc::new(AtomicBool::new(false));
        live.insert(id.clone(), Live { ended, closing: Arc::clone(&closing) });
        drop(live);
        self.inner.news.send_replace(());
        let logs = self.clone();
        Ok(LogWriter { logs, chunks, room: MAX_LOG_BYTES, dropped: 0, at_line_start: true, closing })
    }

    /// Notes how a run ended.
    pub(super) fn note(&self, run: &Run) -> Result<(), HistoryError> {
        let path = self.path(&run.id)?.with_extension(NOTE);
        let text = encode("a run", run)?;
        // On a disk that is full it could only be spoilt.
        if std::fs::read_to_string(&path).is_ok_and(|noted| noted == text) {
            return Ok(());
        }
        let file = private_file(&path, OpenOptions::new().write(true));
        file.and_then(|mut file| file.set_len(0).and_then(|()| file.write_all(text.as_bytes())))
            .map_err(HistoryError::file(path))
    }

    /// The runs whose ends were noted, and not recorded. A note that is cut off says nothing.
    pub(super) fn notes(&self) -> Vec<Run> {
        let mut notes = Vec::new();
        for entry in std::fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != NOTE) {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(HistoryError::file(&path));
            match text.and_then(|text| decode("a noted run", &text)) {
                Ok(run) => notes.push(run),
                Err(error) => {
                    tracing::warn!(note = %path.display(), %error, "a note is of no use");
                    // It would be of none the next time either.
                    let _ = std::fs::remove_file(path);
                }
            }
        }
        notes
    }

    /// The end of a run is recorded.
    pub(super) fn forget_note(&self, id: &RunId) {
        if let Ok(path) = self.path(id) {
            // Few runs have one.
            let _ = std::fs::remove_file(path.with_extension(NOTE));
        }
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<RunId, Live>> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses what is not an id of devd's, above all what would lead out of the logs' folder.
pub(super) fn check_id(id: &RunId) -> Result<(), HistoryError> {
    let text = id.as_str();
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    if !text.is_empty() && text.len() <= MAX_ID && !text.starts_with('.') && text.bytes().all(plain) {
        return Ok(());
    }
    Err(HistoryError::InvalidRunId(text.chars().take(MAX_ID).collect()))
}

/// Writes the log of one run. Never waits: a thread of its own brings the bytes to the file, and what waits for it is
/// bounded by [`MAX_LOG_BYTES`]. Dropping it ends the log.
#[derive(Debug)]
pub struct LogWriter {
    logs: Logs,
    chunks: mpsc::Sender<Vec<u8>>,
    room: u64,
    dropped: u64,
    at_line_start: bool,
    closing: Arc<AtomicBool>,
}

impl LogWriter {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        let fits = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        let (kept, dropped) = bytes.split_at(fits);
        if !kept.is_empty() {
            self.room -= kept.len() as u64;
            self.at_line_start = kept.last() == Some(&b'\n');
            self.send(kept.to_vec());
        }
        if dropped.is_empty() {
            return;
        }
        if self.dropped == 0 {
            self.say(&format!(
                "[devd] more than {} MiB of output: the rest is left out",
                MAX_LOG_BYTES >> 20
            ));
        }
        self.dropped += dropped.len() as u64;
        self.logs.inner.left_out.fetch_add(dropped.len() as u64, Ordering::Relaxed);
    }

    /// Ends the log.
    pub fn finish(self) {
        drop(self);
    }

    fn say(&mut self, line: &str) {
        let start = if self.at_line_start { "" } else { "\n" };
        self.at_line_start = true;
        self.send(format!("{start}{line}\n").into_bytes());
    }

    fn send(&self, bytes: Vec<u8>) {
        // The thread is there until this sender goes; if it panicked, it said so.
        let _ = self.chunks.send(bytes);
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if self.dropped > 0 {
            self.say(&format!("[devd] {} bytes of output were left out", self.dropped));
        }
        self.closing.store(true, Ordering::Release);
    }
}

/// Brings one log to its file.
struct Pump {
    logs: Logs,
    id: RunId,
    file: File,
    progress: watch::Sender<bool>,
}

impl Pump {
    fn run(self, queue: &mpsc::Receiver<Vec<u8>>) {
        let mut file = BufWriter::with_capacity(64 * 1024, &self.file);
        let mut works = true;
        while let Ok(chunk) = queue.recv() {
            if !works {
                continue;
            }
            if let Err(error) = self.burst(&mut file, chunk, queue) {
                tracing::warn!(run = %self.id, %error, "the output of a run cannot be written any more");
                works = false;
            }
            self.progress.send_replace(false);
        }
    }

    /// Writes until nothing waits, or until followers have waited long enough.
    fn burst(
        &self,
        file: &mut BufWriter<&File>,
        chunk: Vec<u8>,
        queue: &mpsc::Receiver<Vec<u8>>,
    ) -> io::Result<()> {
        let mut written = chunk.len();
        file.write_all(&chunk)?;
        while written < FLUSH_AFTER
            && let Ok(chunk) = queue.try_recv()
        {
            written += chunk.len();
            file.write_all(&chunk)?;
        }
        file.flush()
    }
}

impl Drop for Pump {
    /// Also when the thread panics: nobody shall follow a log that no one writes.
    fn drop(&mut self) {
        self.logs.live().remove(&self.id);
        self.progress.send_replace(true);
        self.logs.run_ended();
    }
}
