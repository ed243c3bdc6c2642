//! Requests about projects, and the answers that are not status.

use crate::{Diagnostic, Problem, ProjectName, ServiceName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which project: what `-C`, `-f`, `--profile`, `--project-name`, `--env-file` and the environment say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProjectSource {
    /// The folder to search from, absolute; its parents are searched as compose does.
    pub dir: String,
    /// Compose files instead of a search, relative to `dir` or absolute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Active profiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// A name instead of the one compose would find.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_name: Option<String>,
    /// Env files instead of `.env`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_files: Vec<String>,
    /// The caller's environment, for interpolation. The daemon keeps only the variables the files ask for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// `POST /v1/projects`: registers a project, or brings a registered one up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// The folder to search from, absolute; its parents are searched as compose does.
    pub dir: String,
    /// Compose files instead of a search, relative to `dir` or absolute.
    #[serde(default)]
    pub files: Vec<String>,
    /// Active profiles.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// A name instead of the one compose would find.
    #[serde(default)]
    pub project_name: Option<String>,
    /// Env files instead of `.env`.
    #[serde(default)]
    pub env_files: Vec<String>,
    /// The caller's environment, for interpolation. The daemon keeps only the variables the files ask for.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Services to start, with what they depend on; empty means all.
    #[serde(default)]
    pub services: Vec<ServiceName>,
    /// Builds images even when they are there.
    #[serde(default)]
    pub build: bool,
    /// False registers for tests only: no service is started that was not started before.
    #[serde(default = "yes")]
    pub start: bool,
}

fn yes() -> bool {
    true
}

impl From<RegisterRequest> for ProjectSource {
    fn from(request: RegisterRequest) -> Self {
        let RegisterRequest {
            dir,
            files,
            profiles,
            project_name,
            env_files,
            env,
            services: _,
            build: _,
            start: _,
        } = request;
        Self { dir, files, profiles, project_name, env_files, env }
    }
}

/// The answer to `POST /v1/resolve` with a [`ProjectSource`]: which project that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Resolved {
    /// Its name.
    pub project: ProjectName,
    /// Its folder, absolute.
    pub root: String,
    /// Whether devd keeps it.
    pub registered: bool,
}

/// The answer to [`RegisterRequest`]: accepted, not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Registered {
    /// The project's name.
    pub project: ProjectName,
    /// The request is in every status whose `revision` is at least this.
    pub revision: u64,
    /// What the files say that their writer may not mean.
    pub warnings: Vec<Diagnostic>,
}

/// The answer to a request that changes a project: accepted, not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Accepted {
    /// The request is in every status whose `revision` is at least this.
    pub revision: u64,
}

/// The answer to `DELETE /v1/projects/{project}`, sent when everything is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Removed {
    /// Containers that were removed.
    pub containers: u32,
    /// Networks that were removed.
    pub networks: u32,
    /// Volumes that were removed.
    pub volumes: u32,
}

/// `POST /v1/saved`: these files changed on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SavedRequest {
    /// Absolute paths.
    pub paths: Vec<String>,
}

/// What a save led to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Saved {
    /// One entry a service whose files changed.
    pub scheduled: Vec<Scheduled>,
}

/// What one service does about a save.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scheduled {
    /// The project.
    pub project: ProjectName,
    /// The service.
    pub service: ServiceName,
    /// What happens to the service: `restart`, `rebuild`, `none`, …
    pub action: String,
    /// Whether its tests run.
    pub tests: bool,
}

/// `POST /v1/config`: the project as devd understands it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Config {
    /// The canonical project, in the shape of `docker compose config --format json`.
    pub config: Value,
    /// The same as YAML.
    pub yaml: String,
    /// What the files say that their writer may not mean.
    pub warnings: Vec<Diagnostic>,
    /// The images that the services run.
    #[serde(default)]
    pub images: BTreeSet<String>,
    /// The profiles that the files name, active or not.
    #[serde(default)]
    pub profiles: BTreeSet<String>,
    /// The config hash of each service, as `docker compose config --hash` prints it.
    #[serde(default)]
    pub hashes: BTreeMap<String, String>,
    /// What variables are replaced by, if that was asked for.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// Any JSON value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = Object))]
pub struct Value(pub serde_json::Value);

/// `POST /v1/build`: production images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BuildRequest {
    /// Which project; it need not be registered.
    pub source: ProjectSource,
    /// Services to build; empty means every service with a `build`.
    #[serde(default)]
    pub services: Vec<ServiceName>,
    /// A tag instead of the service's image name; only with one service.
    #[serde(default)]
    pub tag: Option<String>,
    /// Pushes each image after its build.
    #[serde(default)]
    pub push: bool,
    /// The target platform, `os/arch`.
    #[serde(default)]
    pub platform: Option<String>,
}

/// One line of a build's NDJSON answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BuildLine {
    /// A line of the build's output.
    Output {
        /// The service being built.
        service: ServiceName,
        /// The text, without its line end.
        text: String,
    },
    /// The image is there.
    Built {
        /// The service.
        service: ServiceName,
        /// Its image reference.
        image: String,
        /// Its id.
        id: String,
    },
    /// The build failed; nothing follows.
    Failed {
        /// The service.
        service: ServiceName,
        /// Why.
        problem: Problem,
    },
}

/// `POST …/exec`: a command in a service's running container. The answer is `101`, then [`crate::frame`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExecRequest {
    /// The command and its arguments; empty means the container's shell (bash, else sh).
    pub cmd: Vec<String>,
    /// Allocates a terminal.
    #[serde(default)]
    pub tty: bool,
    /// The terminal's size: columns, rows.
    #[serde(default)]
    pub size: Option<(u16, u16)>,
    /// Extra environment, `NAME=value`.
    #[serde(default)]
    pub env: Vec<String>,
    /// A user instead of the container's.
    #[serde(default)]
    pub user: Option<String>,
    /// A folder instead of the container's working directory.
    #[serde(default)]
    pub workdir: Option<String>,
    /// Which container of a service that is several, from 1; else the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

/// `GET /v1/why`: what a change of a path triggers, and which rule decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Why {
    /// The path that was asked about, absolute.
    pub path: String,
    /// One entry a service that watches the path; empty when no registered project does.
    pub decisions: Vec<Decision>,
    /// Why there is no decision, when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What one service makes of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// The project.
    pub project: ProjectName,
    /// The service; none for a file that the project itself is read from.
    pub service: Option<ServiceName>,
    /// `restart`, `rebuild`, `reload`, `signal`, `exec`, `sync`, `none` or `ignored`.
    pub action: String,
    /// Whether the service's tests run.
    pub tests: bool,
    /// The rule that decided, in words.
    pub rule: String,
    /// The file the rule stands in, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// `GET /v1/doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Doctor {
    /// Each thing that was looked at.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// `engine`, `socket`, `inotify`, …
    pub check: String,
    /// How it is.
    pub state: FindingState,
    /// What was found.
    pub message: String,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// How a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// As it should be.
    Ok,
    /// Works, but could be better.
    Warning,
    /// Does not work.
    Error,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

/// `GET /v1/version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Version {
    /// The daemon's version.
    pub version: String,
    /// The API's version, `v1`.
    pub api: String,
    /// The daemon's process id.
    pub pid: u32,
    /// When it started.
    pub started_at: String,
}

/// One line of a service's log as `application/x-ndjson`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// The service.
    pub service: ServiceName,
    /// Which of its containers, when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// `stdout` or `stderr`.
    pub stream: Stream,
    /// When the engine got it.
    pub time: String,
    /// The line, without its end.
    pub line: String,
}

/// Where output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}
