//! What goes, so that the history does not grow for ever.
//!
//! Of each service the newest [`RUNS_PER_SERVICE`] runs stay, and of those only the newest [`RUNS_KEPT_ANYWAY`] once they
//! are older than [`MAX_AGE`]. Of all services together the newest [`RUNS_IN_ALL`] stay, and no more than fit into
//! [`MAX_DATABASE_BYTES`]. A run takes its log along. All logs together stay under [`MAX_LOGS_BYTES`]: the oldest
//! go first, those of failed runs only when no others are left. A run that is under way keeps everything.

use super::HistoryError;
use super::logs::{EXTENSION, Logs};
use devd_proto::RunId;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Runs of one service that are kept.
pub const RUNS_PER_SERVICE: u32 = 200;
/// Runs of one service that are kept however old they are.
pub const RUNS_KEPT_ANYWAY: u32 = 20;
/// Runs of all services together that are kept.
pub const RUNS_IN_ALL: u32 = 20_000;
/// Bytes of the database that are in use.
pub const MAX_DATABASE_BYTES: u64 = 256 * 1024 * 1024;
/// Runs that go at once while it is larger.
const STEP: u32 = 100;
/// The age at which other runs go, and logs that belong to no run.
pub const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Bytes of all logs together.
pub const MAX_LOGS_BYTES: u64 = 512 * 1024 * 1024;
/// It is looked after once in so many finished runs, and at the start.
pub(super) const EVERY: u32 = 16;

/// What stays of everything together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) runs: u32,
    pub(super) log_bytes: u64,
    pub(super) database_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { runs: RUNS_IN_ALL, log_bytes: MAX_LOGS_BYTES, database_bytes: MAX_DATABASE_BYTES }
    }
}

pub(super) fn apply(connection: &mut Connection, logs: &Logs) -> Result<(), HistoryError> {
    apply_with(connection, logs, jiff::Timestamp::now().as_millisecond(), Limits::default())
}

pub(super) fn apply_with(
    connection: &mut Connection,
    logs: &Logs,
    now_ms: i64,
    limits: Limits,
) -> Result<(), HistoryError> {
    let mut gone = remove_runs(connection, now_ms, limits.runs)?;
    while size(connection)? > limits.database_bytes {
        let oldest = remove_oldest(connection)?;
        if oldest.is_empty() {
            break;
        }
        gone.extend(oldest);
    }
    for id in gone {
        // An id that is no file name never had a log.
        if let Ok(path) = logs.path(&id) {
            remove(&path);
        }
    }
    let mut files = log_files(logs)?;
    let failed = failed_of(connection)?;
    let oldest = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
    let oldest = oldest.checked_sub(MAX_AGE).unwrap_or(SystemTime::UNIX_EPOCH);
    files.retain(|log| {
        let stray = !failed.contains_key(&log.id) && !logs.is_live(&log.id) && log.modified < oldest;
        if stray {
            remove(&log.path);
        }
        !stray
    });
    let mut total: u64 = files.iter().map(|log| log.bytes).sum();
    files.sort_by_key(|log| (failed.get(&log.id).copied().unwrap_or(false), log.modified));
    for log in files {
        if total <= limits.log_bytes {
            break;
        }
        if !logs.is_live(&log.id) {
            remove(&log.path);
            total -= log.bytes;
        }
    }
    Ok(())
}

/// Forgets the runs whose time has come, and says which. Their logs go afterwards: a crash in between leaves strays,
/// never a run that promises a log.
fn remove_runs(connection: &mut Connection, now_ms: i64, most: u32) -> Result<Vec<RunId>, HistoryError> {
    let sql = "DELETE FROM runs WHERE seq IN (
        SELECT seq FROM (
            SELECT seq, state, started_ms,
                row_number() OVER (PARTITION BY project, service ORDER BY seq DESC) AS place,
                row_number() OVER (ORDER BY seq DESC) AS in_all
            FROM runs)
        WHERE state <> 'running'
            AND (place > ?1 OR in_all > ?4 OR (place > ?2 AND started_ms < ?3)))
        RETURNING id";
    let oldest = now_ms.saturating_sub(i64::try_from(MAX_AGE.as_millis()).unwrap_or(i64::MAX));
    let transaction = connection.transaction()?;
    let mut ids = Vec::new();
    {
        let mut statement = transaction.prepare_cached(sql)?;
        let mut rows = statement.query(params![RUNS_PER_SERVICE, RUNS_KEPT_ANYWAY, oldest, most])?;
        while let Some(row) = rows.next()? {
            ids.push(RunId::new(row.get::<_, String>(0)?));
        }
    }
    transaction.commit()?;
    Ok(ids)
}

/// Bytes of the database that something is in. What was removed leaves room for what comes.
fn size(connection: &Connection) -> Result<u64, HistoryError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, free) = (number("page_count")?, number("freelist_count")?);
    Ok(u64::try_from((pages - free).saturating_mul(number("page_size")?)).unwrap_or_default())
}

/// Forgets the oldest of all runs, and says which.
fn remove_oldest(connection: &Connection) -> Result<Vec<RunId>, HistoryError> {
    let sql =
        "DELETE FROM runs WHERE seq IN (SELECT seq FROM runs WHERE state <> 'running' ORDER BY seq LIMIT ?1)
        RETURNING id";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([STEP], |row| Ok(RunId::new(row.get::<_, String>(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The known runs, and whether they failed.
fn failed_of(connection: &Connection) -> Result<BTreeMap<String, bool>, HistoryError> {
    let mut statement = connection.prepare_cached("SELECT id, state IN ('failed', 'error') FROM runs")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

struct LogFile {
    id: String,
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

fn log_files(logs: &Logs) -> Result<Vec<LogFile>, HistoryError> {
    let folder = logs.folder();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(HistoryError::file(folder))? {
        let entry = entry.map_err(HistoryError::file(folder))?;
        let path = entry.path();
        let id = path.file_stem().and_then(|stem| stem.to_str());
        let (Some(id), Ok(meta)) = (id, entry.metadata()) else { continue };
        if meta.is_file() && path.extension().is_some_and(|extension| extension == EXTENSION) {
            let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.push(LogFile { id: id.to_owned(), path, bytes: meta.len(), modified });
        }
    }
    Ok(files)
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(log = %path.display(), %error, "an old log could not be removed");
        }
        _ => {}
    }
}

/// Logs may lie there of runs that the database does not know: those of an earlier one, or of runs whose beginning could
/// not be recorded. Their ids are not used again.
pub(super) fn numbers_of(logs: &Logs) -> Result<BTreeMap<String, u64>, HistoryError> {
    let mut highest = BTreeMap::new();
    for log in log_files(logs)? {
        if let Some((project, number)) = log.id.rsplit_once('-')
            && let Ok(number) = number.parse::<u64>()
        {
            let highest = highest.entry(project.to_owned()).or_insert(number);
            *highest = number.max(*highest);
        }
    }
    Ok(highest)
}
