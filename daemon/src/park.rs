//! The program `devd-park`, as this daemon carries it; `build.rs` compiled it.

/// The file, for Linux on the daemon's own kind of machine. None where the park does not run.
#[cfg(devd_park)]
pub const PROGRAM: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/devd-park")));
/// The file, for Linux on the daemon's own kind of machine. None where the park does not run.
#[cfg(not(devd_park))]
pub const PROGRAM: Option<&[u8]> = None;

/// Differs between any two builds of the program: part of the key of every container that was made with it, and of
/// the name of its file. Empty without a program.
#[cfg(devd_park)]
pub const DIGEST: &str = env!("DEVD_PARK_DIGEST");
/// Differs between any two builds of the program. Empty without a program.
#[cfg(not(devd_park))]
pub const DIGEST: &str = "";

/// Where the program is mounted inside of containers.
pub const PATH: &str = "/.devd/park";

/// Where the folder with the control socket is mounted inside of containers.
pub const CONTROL_DIR: &str = "/.devd/run";
