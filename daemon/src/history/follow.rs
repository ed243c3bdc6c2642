//! Reading the log of a run, also while it is written.

use super::logs::{Found, Live};
use super::{History, HistoryError};
use bytes::Bytes;
use devd_proto::{RunId, TestsState};
use futures_util::Stream;
use std::io;
use std::sync::atomic::Ordering;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Reads the log of one run from its first byte.
#[derive(Debug)]
pub struct LogReader {
    history: History,
    id: RunId,
    follow: bool,
    source: Source,
    /// Subscribed before the first look, so that nothing is missed between a look and a wait.
    news: watch::Receiver<()>,
}

#[derive(Debug)]
enum Source {
    /// The run has not begun to write.
    Waiting,
    /// The file, and the log's end if it is being written.
    File { file: File, ended: Option<watch::Receiver<bool>> },
    /// Nothing more.
    End,
}

impl LogReader {
    /// Opens the log of a run, with `follow` until the run has ended.
    pub(super) async fn open(history: History, id: RunId, follow: bool) -> Result<Self, HistoryError> {
        let news = history.logs().news();
        let mut reader = Self { history, id, follow, source: Source::Waiting, news };
        if reader.look().await? || reader.under_way().await? {
            return Ok(reader);
        }
        // It may have begun, written and ended between the two questions.
        match reader.look().await? {
            true => Ok(reader),
            false => Err(HistoryError::LogGone(reader.id.to_string())),
        }
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match &mut self.source {
                Source::End => return Ok(None),
                Source::Waiting if !self.follow => self.source = Source::End,
                Source::Waiting => self.wait().await?,
                Source::File { file, ended } => {
                    // Before the read: what is written after it wakes the wait below.
                    let complete = ended.as_mut().is_none_or(|ended| *ended.borrow_and_update());
                    let mut buffer = Vec::with_capacity(CHUNK);
                    if file.read_buf(&mut buffer).await? > 0 {
                        return Ok(Some(buffer.into()));
                    }
                    match ended {
                        // A writer that is gone without a word has ended as well.
                        Some(ended) if !complete => {
                            if ended.changed().await.is_err() {
                                self.source = Source::End;
                            }
                        }
                        _ => self.source = Source::End,
                    }
                }
            }
        }
    }

    /// The bytes as a stream. After an error it ends.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        futures_util::stream::unfold(Some(self), |reader| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(reader))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// Waits until the log is there, or never will be.
    async fn wait(&mut self) -> io::Result<()> {
        self.news.borrow_and_update();
        if self.look().await.map_err(io::Error::other)? {
            return Ok(());
        }
        if !self.under_way().await.map_err(io::Error::other)? {
            if !self.look().await.map_err(io::Error::other)? {
                self.source = Source::End;
            }
            return Ok(());
        }
        if self.news.changed().await.is_err() {
            self.source = Source::End;
        }
        Ok(())
    }

    /// Opens the log if it is there.
    async fn look(&mut self) -> Result<bool, HistoryError> {
        let logs = self.history.logs();
        let live = match logs.find(&self.id)? {
            Found::Live(live) => Some(live),
            Found::Complete => None,
            Found::Missing => return Ok(false),
        };
        let path = logs.path(&self.id)?;
        let file = match File::open(&path).await {
            Ok(file) => file,
            // Retention was here.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(HistoryError::file(path)(error)),
        };
        // Who does not follow still gets all of a run that has written everything.
        let wanted = |live: &Live| self.follow || live.closing.load(Ordering::Acquire);
        let ended = live.filter(wanted).map(|live| live.ended);
        self.source = Source::File { file, ended };
        Ok(true)
    }

    /// Whether the run is under way by what the history knows.
    async fn under_way(&self) -> Result<bool, HistoryError> {
        let run = self.history.get(&self.id).await?;
        let run = run.ok_or_else(|| HistoryError::UnknownRun(self.id.to_string()))?;
        Ok(matches!(run.state, TestsState::Queued | TestsState::Running))
    }
}
