//! The machine around the daemon: its socket and folders, what is wrong with them, and numbers about it all.

pub mod doctor;
pub mod metrics;
pub mod paths;
pub mod socket;
