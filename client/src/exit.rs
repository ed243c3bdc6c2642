//! The exit codes that scripts rely on.

use std::process::ExitCode;

/// How the client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    /// Yes.
    pub(crate) const OK: Self = Self(0);
    /// The thing asked about is bad.
    pub(crate) const BAD: Self = Self(1);
    /// Bad usage or bad input.
    pub(crate) const USAGE: Self = Self(2);
    /// No daemon could be reached or started.
    pub(crate) const NO_DAEMON: Self = Self(3);
    /// The engine cannot be reached.
    pub(crate) const NO_ENGINE: Self = Self(4);
    /// The reader of standard output went away; what a shell reports for a death by SIGPIPE.
    pub(crate) const BROKEN_PIPE: Self = Self(141);

    /// `OK` or `BAD`.
    pub(crate) fn good(good: bool) -> Self {
        if good { Self::OK } else { Self::BAD }
    }

    /// What a shell reports for a death by this signal: 130 for Ctrl-C.
    pub(crate) fn signal(number: i32) -> Self {
        Self::of(128 + number)
    }

    /// The exit code of a command that ran elsewhere.
    pub(crate) fn of(code: i32) -> Self {
        // The lowest eight bits are all that any parent ever sees.
        Self((code & 0xff) as u8)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_is_130_and_a_foreign_code_is_kept() {
        assert_eq!(Exit::signal(2), Exit(130));
        assert_eq!(Exit::of(7), Exit(7));
        assert_eq!(Exit::of(-1), Exit(255));
    }
}
