//! `/v1/leftovers`: what devd has made on the engine and nobody needs any more.

use crate::ProjectName;
use serde::{Deserialize, Serialize};

/// What there is. After a removal: what was to go, with what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Leftovers {
    /// What is left over, in the order in which it can be removed.
    pub leftovers: Vec<Leftover>,
    /// What is not; after a removal only what was asked for and stays.
    pub kept: Vec<Leftover>,
}

/// One thing on the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Leftover {
    /// `container`, `network`, `volume` or `image`.
    pub kind: String,
    /// By which the engine finds it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The project that it was made for.
    pub project: ProjectName,
    /// What it is a part of: `service`, `tests` or `snapshot`.
    pub role: String,
    /// Why it is left over, or is not; for people.
    pub reason: String,
    /// It was removed.
    #[serde(default)]
    pub removed: bool,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `POST /v1/leftovers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CleanRequest {
    /// The ids of what is to go.
    pub ids: Vec<String>,
    /// Volumes with data may be among them.
    #[serde(default)]
    pub volumes: bool,
}
