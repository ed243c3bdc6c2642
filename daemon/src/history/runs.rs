//! Test runs in the database.

use super::HistoryError;
use super::logs;
use super::projects::{decode, encode};
use super::store::Store;
use devd_proto::{ProjectName, Run, RunId, Runs, ServiceName, TestFailure, TestsState};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Row, ToSql, Transaction, params, params_from_iter,
};

/// Runs in an answer that does not say how many it wants.
pub const DEFAULT_LIMIT: usize = 50;
/// Runs in one answer at most.
pub const MAX_LIMIT: usize = 500;
/// Failed tests of one run that are kept.
const MAX_FAILURES: usize = 200;
/// The reason of runs that the end of the daemon ended.
const INTERRUPTED: &str = "devd was stopped while it ran";

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only this project's.
    pub project: Option<ProjectName>,
    /// Only this service's.
    pub service: Option<ServiceName>,
    /// How many, [`DEFAULT_LIMIT`] if nothing is said, [`MAX_LIMIT`] at most.
    pub limit: Option<usize>,
    /// Only runs that began before this one.
    pub before: Option<RunId>,
}

const COLUMNS: &str = "id, project, service, state, cause, paths, content, command, exit_code, reason, started_at, \
    finished_at, duration_ms, passed, failed, skipped, stages, started_ms, partial";
const VALUES: &str = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19";

pub(super) fn begin(store: &mut Store, run: &Run) -> Result<(), HistoryError> {
    logs::check_id(&run.id)?;
    let transaction = store.connection.transaction()?;
    let sql = format!("INSERT INTO runs ({COLUMNS}) VALUES ({VALUES})");
    if let Err(error) = write(&transaction, &sql, run, TestsState::Running) {
        return Err(if is_taken(&error) { HistoryError::AlreadyRecorded(run.id.to_string()) } else { error });
    }
    raise_number(&transaction, run)?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn finish(store: &mut Store, run: &Run) -> Result<(), HistoryError> {
    logs::check_id(&run.id)?;
    let transaction = store.connection.transaction()?;
    // A run whose beginning could not be recorded is recorded now. One that has ended is never changed again.
    let sql = format!(
        "INSERT INTO runs ({COLUMNS}) VALUES ({VALUES}) ON CONFLICT (id) DO UPDATE SET state = excluded.state,
         cause = excluded.cause, paths = excluded.paths, content = excluded.content, command = excluded.command,
         exit_code = excluded.exit_code, reason = excluded.reason, started_at = excluded.started_at,
         started_ms = excluded.started_ms, finished_at = excluded.finished_at, duration_ms = excluded.duration_ms,
         passed = excluded.passed, failed = excluded.failed, skipped = excluded.skipped, stages = excluded.stages
         WHERE runs.state = 'running'"
    );
    if write(&transaction, &sql, run, run.state)? == 0 {
        return Err(HistoryError::AlreadyRecorded(run.id.to_string()));
    }
    let sql = "SELECT seq FROM runs WHERE id = ?1";
    let seq: i64 = transaction.query_row(sql, [run.id.as_str()], |row| row.get(0))?;
    transaction.execute("DELETE FROM failures WHERE run = ?1", [seq])?;
    write_failures(&transaction, seq, &run.failures)?;
    raise_number(&transaction, run)?;
    transaction.commit()?;
    store.run_finished();
    Ok(())
}

fn write(connection: &Connection, sql: &str, run: &Run, state: TestsState) -> Result<usize, HistoryError> {
    let started: jiff::Timestamp = run.started_at.parse().unwrap_or_else(|_| jiff::Timestamp::now());
    let duration = run.duration_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
    Ok(connection.prepare_cached(sql)?.execute(params![
        run.id.as_str(),
        run.project.as_str(),
        run.service.as_str(),
        state.as_str(),
        run.cause,
        encode("the paths of a run", &run.paths)?,
        run.content,
        encode("the command of a run", &run.command)?,
        run.exit_code,
        run.reason,
        run.started_at,
        run.finished_at,
        duration,
        run.passed,
        run.failed,
        run.skipped,
        encode("the stages of a run", &run.stages)?,
        started.as_millisecond(),
        run.partial,
    ])?)
}

fn write_failures(
    transaction: &Transaction<'_>,
    seq: i64,
    failures: &[TestFailure],
) -> Result<(), HistoryError> {
    let sql =
        "INSERT INTO failures (run, position, name, file, line, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut statement = transaction.prepare_cached(sql)?;
    for (position, failure) in (0_i64..).zip(failures.iter().take(MAX_FAILURES)) {
        let TestFailure { name, file, line, message } = failure;
        statement.execute(params![seq, position, name, file, line, message])?;
    }
    Ok(())
}

fn is_taken(error: &HistoryError) -> bool {
    let HistoryError::Database(error) = error else { return false };
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

fn raise_number(connection: &Connection, run: &Run) -> Result<(), HistoryError> {
    match number_in(run.id.as_str(), run.project.as_str()) {
        Some(number) => raise_to(connection, run.project.as_str(), number),
        None => Ok(()),
    }
}

/// Remembers that a project has used a number.
fn raise_to(connection: &Connection, project: &str, number: u64) -> Result<(), HistoryError> {
    let next = i64::try_from(number.saturating_add(1)).unwrap_or(i64::MAX);
    let sql = "INSERT INTO numbers (project, next) VALUES (?1, ?2)
        ON CONFLICT (project) DO UPDATE SET next = max(next, excluded.next)";
    connection.prepare_cached(sql)?.execute(params![project, next])?;
    Ok(())
}

fn number_in(id: &str, project: &str) -> Option<u64> {
    id.strip_prefix(project)?.strip_prefix('-')?.parse().ok()
}

pub(super) fn next_number(store: &mut Store, project: &ProjectName) -> Result<u64, HistoryError> {
    let sql = "SELECT next FROM numbers WHERE project = ?1";
    let next: Option<i64> =
        store.connection.query_row(sql, [project.as_str()], |row| row.get(0)).optional()?;
    let next = next.map_or(1, |next| u64::try_from(next).unwrap_or(1));
    let of_logs = store.numbers.get(project.as_str()).map_or(1, |number| number.saturating_add(1));
    Ok(next.max(of_logs))
}

pub(super) fn get(store: &mut Store, id: &RunId) -> Result<Option<Run>, HistoryError> {
    if let Some(run) = store.owed(id) {
        return Ok(Some(run.clone()));
    }
    let found = select(&store.connection, "WHERE id = ?1", &[&id.as_str()])?;
    Ok(found.into_iter().next())
}

pub(super) fn newest(
    store: &mut Store,
    project: &ProjectName,
    service: &ServiceName,
) -> Result<Option<Run>, HistoryError> {
    let rest = "WHERE project = ?1 AND service = ?2 AND NOT partial AND state IN ('passed', 'failed', 'error') \
                ORDER BY seq DESC LIMIT 1";
    let found = select(&store.connection, rest, &[&project.as_str(), &service.as_str()])?;
    Ok(found.into_iter().next())
}

pub(super) fn list(store: &mut Store, filter: &RunFilter) -> Result<Runs, HistoryError> {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let mut rest = String::from("WHERE 1");
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    if let Some(project) = &filter.project {
        values.push(Box::new(project.as_str()));
        rest.push_str(&format!(" AND project = ?{}", values.len()));
    }
    if let Some(service) = &filter.service {
        values.push(Box::new(service.as_str()));
        rest.push_str(&format!(" AND service = ?{}", values.len()));
    }
    if let Some(before) = &filter.before {
        let sql = "SELECT seq FROM runs WHERE id = ?1";
        let seq: Option<i64> =
            store.connection.query_row(sql, [before.as_str()], |row| row.get(0)).optional()?;
        values.push(Box::new(seq.ok_or_else(|| HistoryError::UnknownRun(before.to_string()))?));
        rest.push_str(&format!(" AND seq < ?{}", values.len()));
    }
    // One more than asked for tells whether there is a next page.
    rest.push_str(&format!(" ORDER BY seq DESC LIMIT {}", limit + 1));
    let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    let mut runs = select(&store.connection, &rest, &values)?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    for run in &mut runs {
        if let Some(ended) = store.owed(&run.id) {
            run.clone_from(ended);
        }
    }
    let next = runs.last().filter(|_| more).map(|run| run.id.clone());
    Ok(Runs { runs, next })
}

/// Runs that an earlier life of the daemon left under way.
pub(super) fn under_way(connection: &Connection) -> Result<Vec<String>, HistoryError> {
    let mut statement = connection.prepare("SELECT id FROM runs WHERE state = 'running'")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// They are cancelled: nobody knows how they ended, or when.
pub(super) fn interrupted(connection: &Connection, ids: &[String]) -> Result<(), HistoryError> {
    let sql = "UPDATE runs SET state = 'cancelled', reason = ?1 WHERE id = ?2 AND state = 'running'";
    let mut statement = connection.prepare(sql)?;
    for id in ids {
        statement.execute([INTERRUPTED, id])?;
    }
    Ok(())
}

fn select(connection: &Connection, rest: &str, values: &[&dyn ToSql]) -> Result<Vec<Run>, HistoryError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS}, seq FROM runs {rest}"))?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        let mut run = read(row)?;
        run.failures = read_failures(connection, row.get(19)?)?;
        runs.push(run);
    }
    Ok(runs)
}

fn read(row: &Row<'_>) -> Result<Run, HistoryError> {
    let (paths, command, stages): (String, String, String) = (row.get(5)?, row.get(7)?, row.get(16)?);
    let duration: Option<i64> = row.get(12)?;
    Ok(Run {
        id: row.get::<_, String>(0)?.into(),
        project: row.get::<_, String>(1)?.into(),
        service: row.get::<_, String>(2)?.into(),
        state: read_state(&row.get::<_, String>(3)?)?,
        cause: row.get(4)?,
        paths: decode("the paths of a run", &paths)?,
        content: row.get(6)?,
        command: decode("the command of a run", &command)?,
        partial: row.get(18)?,
        exit_code: row.get(8)?,
        reason: row.get(9)?,
        started_at: row.get(10)?,
        finished_at: row.get(11)?,
        duration_ms: duration.and_then(|ms| u64::try_from(ms).ok()),
        passed: row.get(13)?,
        failed: row.get(14)?,
        skipped: row.get(15)?,
        failures: Vec::new(),
        stages: decode("the stages of a run", &stages)?,
    })
}

fn read_failures(connection: &Connection, seq: i64) -> Result<Vec<TestFailure>, HistoryError> {
    let sql = "SELECT name, file, line, message FROM failures WHERE run = ?1 ORDER BY position";
    let mut statement = connection.prepare_cached(sql)?;
    let failures = statement.query_map([seq], |row| {
        Ok(TestFailure { name: row.get(0)?, file: row.get(1)?, line: row.get(2)?, message: row.get(3)? })
    })?;
    Ok(failures.collect::<Result<_, _>>()?)
}

fn read_state(text: &str) -> Result<TestsState, HistoryError> {
    use TestsState::{Cancelled, Error, Failed, None, Passed, Queued, Running};
    let states = [None, Queued, Running, Passed, Failed, Error, Cancelled];
    let found = states.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| HistoryError::Content { what: "the state of a run", problem: format!("{text:?}") })
}
