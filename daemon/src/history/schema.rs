//! The database file: its place, its modes, its version, and what happens when it is broken.

use super::HistoryError;
use super::projects::{self, Registration};
use crate::system;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The database's file in the state folder.
pub(super) const FILE: &str = "history.db";

/// Each takes the schema from the version of its index to the next.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    // Runs of some of the tests, picked by arguments, say nothing of the whole.
    "ALTER TABLE runs ADD COLUMN partial INTEGER NOT NULL DEFAULT 0",
    // Which content of the files a process began with, and an image was built from.
    include_str!("origins.sql"),
];

/// Copies of earlier versions that are kept, and as many broken ones.
const COPIES: usize = 2;

/// How long the start waits for another process that has the database, say `sqlite3` in somebody's terminal.
const BUSY: Duration = Duration::from_secs(5);

/// How long a statement does so later: runs wait for it, and what cannot be written is tried again.
const BUSY_IN_USE: Duration = Duration::from_millis(500);

/// An open database.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Registered projects of the one before, which was broken.
    pub(super) salvaged: Vec<Registration>,
}

/// Makes a folder that only its owner can enter, or checks that it is one.
pub(super) fn private_folder(path: &Path) -> Result<(), HistoryError> {
    system::paths::private_folder(path).map_err(HistoryError::file(path))
}

/// Opens the database in `folder`, brings it up to date, or begins a new one when it is broken.
pub(super) fn open(folder: &Path) -> Result<Opened, HistoryError> {
    let path = folder.join(FILE);
    match try_open(&path) {
        Err(Broken::Beyond(what)) => begin_anew(folder, &what),
        Err(Broken::Error(error)) => Err(error),
        Ok(opened) => Ok(opened),
    }
}

/// Moves a broken database aside and begins a new one. What is registered can often still be read: it is a few rows, and
/// a user who has to register every project again has lost more than old runs.
pub(super) fn begin_anew(folder: &Path, what: &str) -> Result<Opened, HistoryError> {
    let path = folder.join(FILE);
    let salvaged = salvage(&path).unwrap_or_default();
    let aside = move_aside(&path)?;
    tracing::warn!(
        database = %path.display(), moved_to = %aside.display(), %what, projects = salvaged.len(),
        "the history is broken: it was moved aside and a new one is begun"
    );
    match try_open(&path) {
        Ok(opened) => Ok(Opened { salvaged, ..opened }),
        Err(Broken::Error(error)) => Err(error),
        Err(Broken::Beyond(problem)) => Err(HistoryError::Content { what: "a new database", problem }),
    }
}

fn salvage(path: &Path) -> Result<Vec<Registration>, HistoryError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Without this SQLite reads nothing of a file that is shorter than its header says.
    connection.pragma_update(None, "writable_schema", true)?;
    projects::all(&connection)
}

/// Whether nothing but a new file helps.
pub(super) fn is_beyond(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

enum Broken {
    /// Not a database any more.
    Beyond(String),
    /// Anything that a new file would not mend.
    Error(HistoryError),
}

impl From<HistoryError> for Broken {
    fn from(error: HistoryError) -> Self {
        Self::Error(error)
    }
}

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Self {
        if is_beyond(&error) { Self::Beyond(error.to_string()) } else { Self::Error(error.into()) }
    }
}

fn try_open(path: &Path) -> Result<Opened, Broken> {
    // SQLite gives its side files the mode of the database, so that one is made before SQLite would make it.
    let file = system::paths::private_file(path, OpenOptions::new().append(true));
    drop(file.map_err(HistoryError::file(path))?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    if version > known {
        let path = path.to_owned();
        return Err(HistoryError::Newer { path, found: version, known }.into());
    }
    // Where files cannot be mapped (network file systems) SQLite stays with its journal, which is slower and as safe.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // In KiB. SQLite would keep 2 MiB of what is read once, such as by the check that follows.
    connection.pragma_update(None, "cache_size", -256)?;
    let check: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if check != "ok" {
        return Err(Broken::Beyond(check));
    }
    if (1..known).contains(&version) {
        keep_copy(&connection, path, version)?;
    }
    migrate(&mut connection, version)?;
    connection.busy_timeout(BUSY_IN_USE)?;
    Ok(Opened { connection, salvaged: Vec::new() })
}

/// A database that is nowhere on disk.
pub(super) fn in_memory() -> Result<Connection, HistoryError> {
    let mut connection = Connection::open_in_memory()?;
    connection.pragma_update(None, "foreign_keys", true)?;
    migrate(&mut connection, 0)?;
    Ok(connection)
}

/// Copies the database as an earlier devd has it, for whoever wants to go back to that one.
fn keep_copy(connection: &Connection, path: &Path, version: i64) -> Result<(), HistoryError> {
    let time = jiff::Timestamp::now().as_millisecond();
    let copy = PathBuf::from(format!("{}.v{version}-{time}", path.display()));
    connection.execute("VACUUM INTO ?1", [copy.display().to_string()])?;
    fs::set_permissions(&copy, Permissions::from_mode(0o600)).map_err(HistoryError::file(&copy))?;
    tracing::info!(copy = %copy.display(), version, "the history is brought up to date; a copy of it as it was stays");
    prune(path, ".v");
    Ok(())
}

/// Removes all but the newest files that were put beside the database for this reason.
fn prune(path: &Path, reason: &str) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let begin = format!("{}{reason}", name.to_string_lossy());
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut beside: Vec<(Option<i64>, PathBuf)> = found
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name.strip_prefix(&begin)?.trim_end_matches("-wal").trim_end_matches("-shm");
            Some((rest.rsplit('-').next()?.parse().ok(), entry.path()))
        })
        .collect();
    beside.sort();
    let mut times: Vec<_> = beside.iter().map(|(time, _)| *time).collect();
    times.dedup();
    let stay = times.split_off(times.len().saturating_sub(COPIES));
    for (_, file) in beside.into_iter().filter(|(time, _)| !stay.contains(time)) {
        if let Err(error) = fs::remove_file(&file) {
            tracing::warn!(file = %file.display(), %error, "an old copy of the history could not be removed");
        }
    }
}

fn migrate(connection: &mut Connection, version: i64) -> Result<(), rusqlite::Error> {
    let done = usize::try_from(version).unwrap_or(0);
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Renames the database and its side files, which belong to it and to no other.
fn move_aside(path: &Path) -> Result<PathBuf, HistoryError> {
    let time = jiff::Timestamp::now().as_millisecond();
    let with = |suffix: &str, time: &str| PathBuf::from(format!("{}{time}{suffix}", path.display()));
    let broken = format!(".broken-{time}");
    for suffix in ["-wal", "-shm", ""] {
        let from = with(suffix, "");
        match fs::rename(&from, with(suffix, &broken)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(HistoryError::file(from)(error));
            }
            _ => {}
        }
    }
    prune(path, ".broken-");
    Ok(with("", &broken))
}
