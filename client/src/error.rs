//! What can go wrong, by what the caller can do about it.

use crate::exit::Exit;
use devd_proto::private::Untrusted;
use devd_proto::{Code, Diagnostic, Problem, Severity};
use serde_json::{Value, json};
use std::io;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody listens on the socket.
    #[error("devd is not running")]
    NotRunning,
    /// The daemon cannot be reached, could not be started, or went away.
    #[error("{message}")]
    Unreachable { message: String, help: Option<String> },
    /// The daemon understood and refused.
    #[error("{}", .0.title)]
    Refused(Box<Problem>),
    /// The command line asks for something that is not there.
    #[error("{message}")]
    Usage { message: String, help: Option<String> },
    /// Something on this side of the socket failed.
    #[error("{message}")]
    Local { message: String, help: Option<String> },
    /// A signal ended a wait; its number.
    #[error("interrupted")]
    Interrupted(i32),
    /// Whoever read standard output has gone.
    #[error("broken pipe")]
    BrokenPipe,
}

impl Error {
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::Unreachable { message: message.into(), help: None }
    }

    /// A folder or file that is not ours alone.
    pub(crate) fn untrusted(untrusted: Untrusted) -> Self {
        let error = Self::unreachable(untrusted.to_string());
        match untrusted.help() {
            Some(help) => error.help(help),
            None => error,
        }
    }

    /// The connection broke in the middle of an answer.
    pub(crate) fn lost() -> Self {
        Self::unreachable("the connection to devd was lost").help("devd daemon status")
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: None }
    }

    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self::Local { message: message.into(), help: None }
    }

    /// The same with a line on how to mend it.
    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        match &mut self {
            Self::Unreachable { help, .. } | Self::Usage { help, .. } | Self::Local { help, .. } => {
                *help = Some(text.into());
            }
            Self::Refused(problem) => problem.help = Some(text.into()),
            Self::NotRunning | Self::Interrupted(_) | Self::BrokenPipe => {}
        }
        self
    }

    /// Whether the daemon refused with this code.
    pub(crate) fn is(&self, code: Code) -> bool {
        matches!(self, Self::Refused(problem) if problem.code == code)
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NotRunning | Self::Unreachable { .. } => Exit::NO_DAEMON,
            Self::Refused(problem) => exit_of(problem.code),
            Self::Usage { .. } => Exit::USAGE,
            Self::Local { .. } => Exit::BAD,
            Self::Interrupted(signal) => Exit::signal(*signal),
            Self::BrokenPipe => Exit::BROKEN_PIPE,
        }
    }

    /// A stable word for programs.
    fn code(&self) -> String {
        match self {
            Self::NotRunning => "not_running".to_owned(),
            Self::Unreachable { .. } => "daemon_unreachable".to_owned(),
            Self::Refused(problem) => word(problem.code),
            Self::Usage { .. } => "usage".to_owned(),
            Self::Local { .. } => "failed".to_owned(),
            Self::Interrupted(_) => "interrupted".to_owned(),
            Self::BrokenPipe => "broken_pipe".to_owned(),
        }
    }

    pub(crate) fn help_text(&self) -> Option<&str> {
        match self {
            Self::NotRunning => Some("start it with `devd up`, or with `devd daemon start`"),
            Self::Unreachable { help, .. } | Self::Usage { help, .. } | Self::Local { help, .. } => {
                help.as_deref()
            }
            Self::Refused(problem) => problem.help.as_deref(),
            Self::Interrupted(_) | Self::BrokenPipe => None,
        }
    }

    /// The findings in files behind the error.
    pub(crate) fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Refused(problem) => &problem.diagnostics,
            Self::NotRunning
            | Self::Unreachable { .. }
            | Self::Usage { .. }
            | Self::Local { .. }
            | Self::Interrupted(_)
            | Self::BrokenPipe => &[],
        }
    }

    /// Nothing is said about it: the person knows.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Self::Interrupted(_) | Self::BrokenPipe)
    }

    /// The object that `--json` prints.
    pub(crate) fn to_json(&self) -> Value {
        let place = self.diagnostics().iter().find(|d| d.severity == Severity::Error);
        json!({ "error": {
            "code": self.code(),
            "message": place.map_or_else(|| self.to_string(), |d| d.message.clone()),
            "file": place.and_then(|d| d.file.as_deref()),
            "line": place.and_then(|d| d.line),
            "column": place.and_then(|d| d.column),
            "help": place.and_then(|d| d.help.as_deref()).or(self.help_text()),
        }})
    }
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::BadRequest
        | Code::InvalidProject
        | Code::NoComposeFile
        | Code::NameTaken
        | Code::UnknownProject
        | Code::UnknownService
        | Code::UnknownRun
        | Code::OutputGone
        | Code::TooLarge
        | Code::NoTests
        | Code::NoBuild => Exit::USAGE,
        Code::ShuttingDown | Code::Busy => Exit::NO_DAEMON,
        Code::EngineUnreachable => Exit::NO_ENGINE,
        Code::NotFound
        | Code::MethodNotAllowed
        | Code::TooSlow
        | Code::NotRunning
        | Code::BuildFailed
        | Code::EngineRefused
        | Code::Forbidden
        | Code::Internal => Exit::BAD,
    }
}

fn word(code: Code) -> String {
    serde_json::to_value(code).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Output is all that `?` turns an `io::Error` into an `Error` for; everything else says what it was doing.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::local(format!("cannot write the output: {error}"))
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_object_names_the_place() {
        let mut problem = Problem::new(Code::InvalidProject, "1 error in compose.yaml");
        problem.diagnostics.push(Diagnostic {
            message: "unknown key `imagee`".to_owned(),
            file: Some("/p/compose.yaml".to_owned()),
            line: Some(3),
            column: Some(5),
            help: Some("did you mean `image`?".to_owned()),
            ..Diagnostic::default()
        });
        let error = Error::from(problem);
        assert_eq!(error.exit(), Exit::USAGE);
        expect_test::expect![[r#"{"error":{"code":"invalid_project","column":5,"file":"/p/compose.yaml","help":"did you mean `image`?","line":3,"message":"unknown key `imagee`"}}"#]]
            .assert_eq(&error.to_json().to_string());
    }

    #[test]
    fn each_kind_has_the_exit_code_that_is_promised() {
        assert_eq!(Error::NotRunning.exit(), Exit::NO_DAEMON);
        assert_eq!(Error::from(Problem::new(Code::EngineUnreachable, "no")).exit(), Exit::NO_ENGINE);
        assert_eq!(Error::from(Problem::new(Code::BuildFailed, "no")).exit(), Exit::BAD);
        assert_eq!(Error::usage("no").exit(), Exit::USAGE);
        assert_eq!(Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit(), Exit::BROKEN_PIPE);
    }
}
