//! `GET /v1/status`: how everything is.

use crate::{Diagnostic, ProjectName, RunId, ServiceName};
use serde::{Deserialize, Serialize};

/// Everything the daemon knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// The daemon itself.
    pub daemon: DaemonStatus,
    /// The registered projects, by name.
    pub projects: Vec<ProjectStatus>,
}

/// The daemon itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// How long it has run.
    pub uptime_ms: u64,
    /// Another program lies in its place by now: a restart would bring that one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// The engine it works with.
    pub engine: EngineStatus,
}

/// The container engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EngineStatus {
    /// Whether it answers.
    pub state: EngineState,
    /// `docker`, `podman`, … as far as it tells.
    pub kind: String,
    /// The engine's version; empty until it has answered once.
    pub version: String,
    /// Where it is reached, e.g. `unix:///var/run/docker.sock`.
    pub endpoint: String,
    /// Why it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether the engine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// It answers.
    Connected,
    /// It does not answer; devd tries on.
    Disconnected,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

/// One project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectStatus {
    /// Its name.
    pub name: ProjectName,
    /// Its folder, absolute.
    pub root: String,
    /// How it is as a whole.
    pub state: ProjectState,
    /// Why its files do not load; what ran before keeps running.
    pub error: Option<Diagnostic>,
    /// Rises with every change of this status.
    pub revision: u64,
    /// Nothing is under way and nothing is waited for, tests apart.
    pub settled: bool,
    /// Its services, by name.
    pub services: Vec<ServiceStatus>,
}

/// How a project is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProjectState {
    /// Something is on its way up.
    Starting,
    /// Every service that should run does.
    Running,
    /// Some service is not as it should be.
    Degraded,
    /// No service is meant to run.
    Stopped,
    /// Its files do not load.
    Invalid,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceStatus {
    /// Its name.
    pub name: ServiceName,
    /// What it does.
    pub state: ServiceState,
    /// What its health check says.
    pub health: Health,
    /// Why it waits or failed, e.g. `waiting for db (healthy)`; for people.
    pub reason: Option<String>,
    /// Its container, when there is one.
    pub container: Option<ContainerRef>,
    /// Its published ports.
    pub ports: Vec<Port>,
    /// Since when it is in this state.
    pub since: Option<String>,
    /// How often devd restarted it since it was registered.
    pub restarts: u32,
    /// How its process last ended.
    pub last_exit: Option<LastExit>,
    /// The last file change that made it do something.
    pub last_change: Option<LastChange>,
    /// Its tests.
    pub tests: TestsStatus,
    /// Its containers, where it is several (`scale`, `deploy.replicas`); what stands above is about them all, and
    /// `container` is the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<ReplicaStatus>,
}

/// One of several containers of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplicaStatus {
    /// Which of them, from 1.
    pub index: u32,
    /// What it does.
    pub state: ServiceState,
    /// What its health check says.
    pub health: Health,
    /// Why it waits or failed; for people.
    pub reason: Option<String>,
    /// The container, when there is one.
    pub container: Option<ContainerRef>,
    /// Its published ports.
    pub ports: Vec<Port>,
}

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// It waits: for the engine, an image, or something it depends on.
    Pending,
    /// Its image is being built or pulled.
    Building,
    /// Its container starts, or is not healthy yet.
    Starting,
    /// It runs, and is healthy if it can tell.
    Running,
    /// It is being restarted.
    Restarting,
    /// It died and is started again after a pause.
    Backoff,
    /// It is meant to be stopped.
    Stopped,
    /// It ended by itself with exit code 0.
    Completed,
    /// It cannot be run, or is unhealthy; `reason` says why.
    Failed,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

/// What a health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// There is no health check.
    None,
    /// It has not passed yet.
    Starting,
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

/// A container by id and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContainerRef {
    /// The engine's id.
    pub id: String,
    /// The container's name.
    pub name: String,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Port {
    /// The address it is bound to on the host.
    pub host_ip: String,
    /// The port on the host.
    pub host: u16,
    /// The port in the container.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastExit {
    /// Its exit code; 128 + n for a death by signal n.
    pub code: i64,
    /// When.
    pub at: String,
    /// The last lines it wrote.
    pub output: Vec<String>,
}

/// A file change and what it led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastChange {
    /// The file, relative to the project's folder where it is inside.
    pub path: String,
    /// When devd learned of it.
    pub at: String,
    /// What the service did: `restart`, `rebuild`, `none`, …
    pub action: String,
}

/// How a service's tests are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestsStatus {
    /// How they are.
    pub state: TestsState,
    /// True only when no watched file of the service has changed since the run started.
    pub current: bool,
    /// The run this is about.
    pub run: Option<RunId>,
    /// When that run started.
    pub started_at: Option<String>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Tests that passed, where the output tells.
    pub passed: Option<u32>,
    /// Tests that failed, where the output tells.
    pub failed: Option<u32>,
    /// Tests that were skipped, where the output tells.
    pub skipped: Option<u32>,
    /// Why they could not be run, or what is wrong with them, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Environments that stand ready for the next run.
    #[serde(default)]
    pub warm: u32,
}

/// How tests are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TestsState {
    /// There are none, or they never ran.
    None,
    /// A run is due.
    Queued,
    /// A run is under way.
    Running,
    /// The last run passed.
    Passed,
    /// The last run failed.
    Failed,
    /// The last run could not be run.
    Error,
    /// The last run was cancelled.
    Cancelled,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

impl TestsState {
    /// Its word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}
