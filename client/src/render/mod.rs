//! Facts as text for people. Nothing here reads a clock, a terminal or a socket.

pub(crate) mod addresses;
pub(crate) mod progress;
pub(crate) mod runs;
pub(crate) mod status;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod time;
