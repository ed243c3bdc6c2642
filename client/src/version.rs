//! What to say when the daemon is of another version than this program. Both do what both know.

use crate::error::Error;
use crate::ui::Ui;
use devd_proto::{Code, VERSION_HEADER};
use hyper::HeaderMap;
use std::sync::atomic::{AtomicBool, Ordering};

const OWN: &str = env!("CARGO_PKG_VERSION");

/// It was said, or is nobody's to say.
static SAID: AtomicBool = AtomicBool::new(false);

/// For commands that say nothing, or say it themselves.
pub(crate) fn say_nothing() {
    SAID.store(true, Ordering::Relaxed);
}

/// The daemon's version by the headers of its answer, when it is another one than this program's.
pub(crate) fn other(headers: &HeaderMap) -> Option<String> {
    let theirs = headers.get(VERSION_HEADER)?.to_str().ok()?;
    (theirs != OWN).then(|| theirs.to_owned())
}

/// Says so, once a command.
pub(crate) fn note(theirs: &str) {
    if !SAID.swap(true, Ordering::Relaxed) {
        Ui::new(false).note(&format!("note: {}", mend(theirs)));
    }
}

/// The same error, with that as its help where one of the two does not know a word of the other's.
pub(crate) fn explain(error: Error, theirs: &str) -> Error {
    let not_known = [Code::NotFound, Code::MethodNotAllowed, Code::BadRequest];
    if not_known.into_iter().any(|code| error.is(code)) { error.help(mend(theirs)) } else { error }
}

fn mend(theirs: &str) -> String {
    format!(
        "devd is {OWN}, and the daemon that runs is {theirs}: `devd daemon restart` brings them together (services keep running)"
    )
}
