//! The machine around the daemon: its socket and folders, what is wrong with them, and numbers and traces of
//! it all.

pub mod doctor;
pub mod log;
pub mod metrics;
pub mod paths;
pub mod program;
pub mod rotating;
pub mod socket;
pub mod traces;
