//! `GET /v1/events`: what happens, as it happens.

use crate::{ProjectName, ProjectStatus, Run, ServiceName, ServiceState};
use serde::{Deserialize, Serialize};

/// One event. As a server-sent event its `id:` is `id`, its `event:` the `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Rises with every event, also over a restart of the daemon; send it as `Last-Event-ID` to resume.
    pub id: u64,
    /// When it happened.
    pub at: String,
    /// The project it is about.
    pub project: ProjectName,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// The project's status is new. Only the newest matters: a slow reader gets fewer of them.
    Status {
        /// The whole of it.
        status: Box<ProjectStatus>,
    },
    /// A service went from one state to another.
    Service {
        /// The service.
        service: ServiceName,
        /// Its state before.
        from: ServiceState,
        /// Its state now.
        to: ServiceState,
        /// Why.
        reason: Option<String>,
    },
    /// Watched files changed.
    Changed {
        /// The service whose files they are.
        service: ServiceName,
        /// The files, relative to the project's folder; at most 20.
        paths: Vec<String>,
        /// What the service does about it.
        action: String,
    },
    /// A test run started.
    RunStarted {
        /// The run.
        run: Box<Run>,
    },
    /// A test run ended.
    RunFinished {
        /// The run.
        run: Box<Run>,
    },
    /// The project was forgotten.
    Removed,
    /// Events before this one were dropped, because the reader was too slow or resumed too late, or they were an earlier
    /// daemon's. Its id is that of the event before it.
    Lost {
        /// How many at most; 0 if only an earlier daemon knew.
        count: u64,
    },
}
