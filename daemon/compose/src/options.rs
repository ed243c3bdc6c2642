//! What a caller says before loading, and what it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
use crate::model::Project;

/// What `-C`, `-f`, `--profile`, `--project-name` and `--env-file` say, and the environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Where to start looking for a compose file, and where relative paths of the other options start. Absolute.
    pub dir: PathBuf,
    /// Named files, merged in this order. Empty: `COMPOSE_FILE`, or else the usual names in `dir` and its parents.
    pub files: Vec<PathBuf>,
    /// Empty: `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
    pub project_name: Option<String>,
    /// Read instead of `.env`. Empty: `COMPOSE_ENV_FILES`.
    pub env_files: Vec<PathBuf>,
    /// The environment to interpolate from, with the `COMPOSE_*` variables.
    pub env: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    pub project: Project,
    pub warnings: Vec<Diagnostic>,
    /// Every file that was read, and every file whose appearance would change the result.
    pub inputs: BTreeSet<PathBuf>,
    /// The entries of [`Options::env`] that mattered: with these alone the same files load to the same project.
    pub env_used: BTreeMap<String, String>,
    /// What variables of the files are replaced by: [`Options::env`] over what `.env` sets, and the project's name.
    pub environment: BTreeMap<String, String>,
}
