//! Test runs.

use crate::{ProjectName, RunId, ServiceName, TestsState};
use serde::{Deserialize, Serialize};

/// `POST /v1/runs`: run tests now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The project.
    pub project: ProjectName,
    /// Services whose tests to run; empty means every service that has tests.
    #[serde(default)]
    pub services: Vec<ServiceName>,
    /// Replaces the arguments of the tests' command.
    #[serde(default)]
    pub args: Vec<String>,
    /// Only services whose last run failed.
    #[serde(default)]
    pub failed: bool,
}

/// The runs that were started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunsStarted {
    /// One entry a service.
    pub runs: Vec<RunStarted>,
}

/// One run that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunStarted {
    /// Its id.
    pub id: RunId,
    /// Whose tests.
    pub service: ServiceName,
}

/// A page of `GET /v1/runs`, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Runs {
    /// The runs.
    pub runs: Vec<Run>,
    /// Pass it as `before` for the next page; none on the last.
    pub next: Option<RunId>,
}

/// One test run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// Its id. Nothing follows from its text.
    pub id: RunId,
    /// The project.
    pub project: ProjectName,
    /// Whose tests.
    pub service: ServiceName,
    /// `running`, `passed`, `failed`, `error` or `cancelled`; `queued` before it starts.
    pub state: TestsState,
    /// Why it started, for people: `save`, `request`, `first`, `definition`, or `repeat` when nothing was learned of the one
    /// before.
    pub cause: String,
    /// The changed files that caused it, relative to the project's folder; at most 20.
    pub paths: Vec<String>,
    /// A digest of what it tests: the watched files, and how the tests are defined.
    pub content: String,
    /// Its command line.
    pub command: Vec<String>,
    /// Arguments were given that pick some of the tests: it says nothing of the whole.
    #[serde(default)]
    pub partial: bool,
    /// The exit code of the tests.
    pub exit_code: Option<i64>,
    /// Why it could not be run or was ended, in one line.
    pub reason: Option<String>,
    /// When it started.
    pub started_at: String,
    /// When it ended.
    pub finished_at: Option<String>,
    /// From start to end.
    pub duration_ms: Option<u64>,
    /// Tests that passed, where the output tells.
    pub passed: Option<u32>,
    /// Tests that failed, where the output tells.
    pub failed: Option<u32>,
    /// Tests that were skipped, where the output tells.
    pub skipped: Option<u32>,
    /// The tests that failed, where the output tells; at most 200.
    #[serde(default)]
    pub failures: Vec<TestFailure>,
    /// How long each stage took.
    #[serde(default)]
    pub stages: Vec<Stage>,
}

/// One failed test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestFailure {
    /// Its name as its runner says it.
    pub name: String,
    /// The file it failed in, on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What it says.
    pub message: String,
}

/// A stage of a run: `event`, `decided`, `warm` (an environment that was made ahead is taken; after `awaited` if it was
/// still in the making) or `cold` (one is made: `images`, `ready`), `released` (its process begins), `first_output`, `done`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Microseconds since the event that caused the run.
    pub at_us: u64,
}
