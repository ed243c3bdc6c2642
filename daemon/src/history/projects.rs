//! The projects that devd keeps, and what their users want of them.

use super::HistoryError;
use super::store::Store;
use devd_proto::{ProjectName, ProjectSource, ServiceName};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// A registered project: what must outlive the daemon, because the engine can't tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its name.
    pub name: ProjectName,
    /// Where its files are, and the environment they are read with.
    pub source: ProjectSource,
    /// Services the user asked for; `None` means all.
    pub selected: Option<BTreeSet<ServiceName>>,
    /// Services the user stopped.
    pub stopped: BTreeSet<ServiceName>,
    /// Services that ended by themselves with 0, with the start that ended so.
    pub completed: BTreeMap<ServiceName, String>,
}

const SAVE: &str =
    "INSERT INTO projects (name, source, selected, stopped, completed) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (name) DO UPDATE SET source = ?2, selected = ?3, stopped = ?4, completed = ?5";

pub(super) fn save(store: &mut Store, registration: &Registration) -> Result<(), HistoryError> {
    let Registration { name, source, selected, stopped, completed } = registration;
    let selected = selected.as_ref().map(|selected| encode("a project's selection", selected)).transpose()?;
    store.connection.prepare_cached(SAVE)?.execute(params![
        name.as_str(),
        encode("a project's source", source)?,
        selected,
        encode("a project's stopped services", stopped)?,
        encode("a project's completed services", completed)?,
    ])?;
    Ok(())
}

pub(super) fn remove(store: &mut Store, name: &ProjectName) -> Result<(), HistoryError> {
    let transaction = store.connection.transaction()?;
    transaction.execute("DELETE FROM projects WHERE name = ?1", [name.as_str()])?;
    transaction.execute("DELETE FROM origins WHERE project = ?1", [name.as_str()])?;
    transaction.commit()?;
    Ok(())
}

/// All of them by name. One that cannot be read is left out: the others shall not fall with it.
pub(super) fn all(connection: &Connection) -> Result<Vec<Registration>, HistoryError> {
    let sql = "SELECT name, source, selected, stopped, completed FROM projects ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut registrations = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let (source, selected): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let (stopped, completed): (String, String) = (row.get(3)?, row.get(4)?);
        match read(&name, &source, selected.as_deref(), &stopped, &completed) {
            Ok(registration) => registrations.push(registration),
            Err(error) => tracing::warn!(project = name, %error, "a registered project cannot be read"),
        }
    }
    Ok(registrations)
}

fn read(
    name: &str,
    source: &str,
    selected: Option<&str>,
    stopped: &str,
    completed: &str,
) -> Result<Registration, HistoryError> {
    Ok(Registration {
        name: name.into(),
        source: decode("a project's source", source)?,
        selected: selected.map(|selected| decode("a project's selection", selected)).transpose()?,
        stopped: decode("a project's stopped services", stopped)?,
        completed: decode("a project's completed services", completed)?,
    })
}

pub(super) fn encode(what: &'static str, value: &impl Serialize) -> Result<String, HistoryError> {
    serde_json::to_string(value).map_err(|error| HistoryError::Content { what, problem: error.to_string() })
}

pub(super) fn decode<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, HistoryError> {
    // The error's own text may quote the value, and the value may be secret: only its place and kind are told.
    serde_json::from_str(text).map_err(|error| HistoryError::Content {
        what,
        problem: format!("{:?} error at column {}", error.classify(), error.column()),
    })
}
