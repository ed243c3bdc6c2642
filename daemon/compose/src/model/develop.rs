use std::path::PathBuf;

use serde::Serialize;

use super::{Hook, Span, is_false};

/// The compose specification's own way to say what a change on the disk does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Develop {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<WatchRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WatchRule {
    /// A file or folder, absolute. It need not exist.
    pub path: PathBuf,
    pub action: WatchAction,
    /// Where a synced file goes in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Patterns relative to `path`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Patterns relative to `path`; when there are any, nothing else counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<WatchExec>,
    #[serde(skip_serializing_if = "is_false")]
    pub initial_sync: bool,
    #[serde(skip)]
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum WatchAction {
    #[serde(rename = "sync")]
    Sync,
    #[serde(rename = "rebuild")]
    Rebuild,
    #[serde(rename = "restart")]
    Restart,
    #[serde(rename = "sync+restart")]
    SyncRestart,
    #[serde(rename = "sync+exec")]
    SyncExec,
}

/// What `sync+exec` runs in the container after the files are there.
pub type WatchExec = Hook;
