//! Errors: RFC 9457 problem documents, and the object `devd --json` prints.

use serde::{Deserialize, Serialize};

/// The media type of [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Stable words for programs. `message` is for people and may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is malformed: an unknown field, a wrong type, a bad value.
    BadRequest,
    /// The compose files do not load.
    InvalidProject,
    /// No compose file in the folder or above it.
    NoComposeFile,
    /// The project's name is taken by a project in another folder.
    NameTaken,
    /// No project of that name is registered.
    UnknownProject,
    /// The project has no such service.
    UnknownService,
    /// No run has this id.
    UnknownRun,
    /// The run is known, and its output is not kept any more.
    OutputGone,
    /// No such route.
    NotFound,
    /// The route has no such method.
    MethodNotAllowed,
    /// The request's body is too long.
    TooLarge,
    /// The request's body took too long to come.
    TooSlow,
    /// The service has no tests.
    NoTests,
    /// The service has no running container.
    NotRunning,
    /// The service has no build section.
    NoBuild,
    /// The build failed.
    BuildFailed,
    /// The engine cannot be reached.
    EngineUnreachable,
    /// The engine refused an operation.
    EngineRefused,
    /// The caller is not the owner of the daemon.
    Forbidden,
    /// There is too much of it already: connections, or runs that wait.
    Busy,
    /// The daemon is going down.
    ShuttingDown,
    /// A defect in devd.
    Internal,
}

impl Code {
    /// The HTTP status that goes with the code.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::UnknownProject | Self::UnknownService | Self::UnknownRun | Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TooSlow => 408,
            Self::NameTaken | Self::NotRunning => 409,
            Self::OutputGone => 410,
            Self::TooLarge => 413,
            Self::InvalidProject
            | Self::NoComposeFile
            | Self::NoTests
            | Self::NoBuild
            | Self::BuildFailed => 422,
            Self::Internal => 500,
            Self::EngineRefused => 502,
            Self::EngineUnreachable | Self::ShuttingDown | Self::Busy => 503,
        }
    }
}

/// What went wrong, as an RFC 9457 problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Always `about:blank`: `code` says which kind.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// What went wrong, in one line.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The kind, for programs.
    pub code: Code,
    /// Each thing that is wrong with its place; empty when `title` says all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem without a place.
    pub fn new(code: Code, title: impl Into<String>) -> Self {
        Self {
            kind: about_blank(),
            title: title.into(),
            status: code.status(),
            code,
            diagnostics: Vec::new(),
            help: None,
        }
    }

    /// The same with a line on how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One finding in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diagnostic {
    /// `error` or `warning`.
    pub severity: Severity,
    /// A stable word for programs, e.g. `unknown_key`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// The file, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The finding as text for people: message, place, source line and help, without colour.
    #[serde(default)]
    pub rendered: String,
}

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The project does not load.
    #[default]
    Error,
    /// The project loads; the writer may want to know.
    Warning,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}
