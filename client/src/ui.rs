//! Standard output and standard error. Colour is stripped where it does not belong.

use crate::error::Error;
use crate::exit::Exit;
use crate::render::style;
use crate::terminal;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};

/// The way out for everything a command says.
pub(crate) struct Ui {
    /// `--json`: facts for programs.
    pub(crate) json: bool,
}

impl Ui {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Standard output can be drawn over.
    pub(crate) fn is_live(&self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Standard error can be drawn over.
    pub(crate) fn is_live_on_stderr(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Columns and rows of the terminal, or what programs without one are used to.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (columns, rows) =
            terminal::size(io::stdout()).or_else(|| terminal::size(io::stderr())).unwrap_or((100, 40));
        (columns.into(), rows.into())
    }

    /// Text to standard output as it is, colours aside.
    pub(crate) fn print(&self, text: &str) -> Result<(), Error> {
        let mut out = anstream::stdout();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// A line to standard output.
    pub(crate) fn line(&self, text: &str) -> Result<(), Error> {
        self.print(&format!("{text}\n"))
    }

    /// Bytes of someone else's to standard output, not touched at all.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// One JSON value on a line of its own.
    pub(crate) fn value(&self, value: &impl Serialize) -> Result<(), Error> {
        let mut text = serde_json::to_vec(value)
            .map_err(|error| Error::local(format!("cannot write the answer as JSON: {error}")))?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// A line to standard error.
    pub(crate) fn note(&self, text: &str) {
        self.draw(&format!("{text}\n"));
    }

    /// Text to standard error. There is nobody to tell when nobody listens there.
    pub(crate) fn draw(&self, text: &str) {
        let mut err = anstream::stderr();
        _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// Says what went wrong, and how the process is to end.
    pub(crate) fn report(&self, error: &Error) -> Exit {
        if !error.is_silent() {
            if self.json {
                // The pipe may be what is broken; the exit code says the rest.
                _ = self.value(&error.to_json());
            } else {
                self.draw(&style::error(error));
            }
        }
        error.exit()
    }
}
