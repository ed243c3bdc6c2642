//! What processes and images were made from: which content of the files. The engine knows that they are there, and not this.
//!
//! What a content is, is no business of the history's: it keeps a text, and gives it back.

use super::HistoryError;
use super::store::Store;
use devd_proto::{ProjectName, ServiceName};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// Something that was made from files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// What runs in a container, by its id.
    Process(String),
    /// The image that a service builds.
    Image(ServiceName),
}

impl Made {
    fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Process(container) => ("process", container),
            Self::Image(service) => ("image", service.as_str()),
        }
    }
}

/// What is known of all that a project made; `None` where something was under way, and nobody knows what came of it.
pub type Origins = BTreeMap<Made, Option<String>>;

pub(super) fn save(
    store: &Store,
    project: &ProjectName,
    made: &Made,
    content: Option<&str>,
) -> Result<(), HistoryError> {
    let sql = "INSERT INTO origins (project, kind, name, content) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (project, kind, name) DO UPDATE SET content = ?4";
    let (kind, name) = made.columns();
    store.connection.prepare_cached(sql)?.execute(params![project.as_str(), kind, name, content])?;
    Ok(())
}

pub(super) fn remove(store: &Store, project: &ProjectName, made: &Made) -> Result<(), HistoryError> {
    let sql = "DELETE FROM origins WHERE project = ?1 AND kind = ?2 AND name = ?3";
    let (kind, name) = made.columns();
    store.connection.prepare_cached(sql)?.execute(params![project.as_str(), kind, name])?;
    Ok(())
}

pub(super) fn all(connection: &Connection, project: &ProjectName) -> Result<Origins, HistoryError> {
    let sql = "SELECT kind, name, content FROM origins WHERE project = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([project.as_str()])?;
    let mut origins = Origins::new();
    while let Some(row) = rows.next()? {
        let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
        let made = match kind.as_str() {
            "process" => Made::Process(name),
            "image" => Made::Image(name.into()),
            _ => {
                let problem = format!("{kind:?} is nothing that devd makes");
                return Err(HistoryError::Content { what: "what something was made from", problem });
            }
        };
        origins.insert(made, row.get(2)?);
    }
    Ok(origins)
}
