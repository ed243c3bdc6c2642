//! The machine around the daemon: its socket and folders, what is wrong with them, and numbers about it all.

pub mod doctor;
pub mod log;
pub mod metrics;
pub mod paths;
pub mod program;
pub mod rotating;
pub mod socket;
