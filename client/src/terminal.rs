//! The terminal itself: its size, and raw mode that never outlives its guard.

use crate::error::Error;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io;
use std::os::fd::AsFd;

/// Columns and rows; none where there is no terminal.
pub(crate) fn size(fd: impl AsFd) -> Option<(u16, u16)> {
    let size = tcgetwinsize(fd).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Raw mode on standard input until it is dropped: at the end, on an error, and while a panic unwinds.
pub(crate) struct RawMode {
    before: Termios,
}

impl RawMode {
    pub(crate) fn enter() -> Result<Self, Error> {
        let set_up = || -> rustix::io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
            Ok(Self { before })
        };
        set_up().map_err(|error| Error::local(format!("cannot set up the terminal: {error}")))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that has gone needs no order.
        _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}
