//! What can go wrong with the history.

use rusqlite::ErrorCode;
use std::io;
use std::path::PathBuf;

/// Why the history could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file or folder of the state cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database was written by a newer devd.
    #[error(
        "{} was written by a newer devd (its version is {found}, this devd knows up to {known}); \
         start the newer devd, or move the file away",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version this devd knows.
        known: i64,
    },
    /// SQLite refused.
    #[error("the history database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A stored value cannot be read, or one cannot be stored.
    #[error("{what} in the history is not as devd writes it: {problem}")]
    Content {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Not an id that devd gives to runs.
    #[error("{0:?} is not the id of a run")]
    InvalidRunId(String),
    /// There is no such run.
    #[error("there is no run {0}")]
    UnknownRun(String),
    /// A second run with the same id, or a run that has ended already.
    #[error("run {0} is already recorded")]
    AlreadyRecorded(String),
    /// The run is known, its output is not kept any more.
    #[error("the output of run {0} is not kept any more")]
    LogGone(String),
    /// It cannot be written now, and is as soon as it can be.
    #[error("{0}; it is tried again")]
    Owed(String),
    /// The thread of the database has ended.
    #[error("the history has stopped")]
    Stopped,
}

impl HistoryError {
    /// Whether the same may succeed later: the disk is full, or somebody else has the database.
    pub(super) fn may_pass(&self) -> bool {
        let Self::Database(error) = self else { return matches!(self, Self::Owed(_) | Self::File { .. }) };
        let code = error.sqlite_error_code();
        matches!(
            code,
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
            )
        )
    }

    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
