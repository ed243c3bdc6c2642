//! The words that cross devd's socket.
//!
//! Shapes only: what a field means, its unit, and which values it can take. Times are RFC 3339 in UTC with
//! milliseconds, durations are integer milliseconds with the suffix `_ms`, ids are opaque strings. The types here
//! belong to the clients: the daemon's own state is free to look different. And the way to the socket: [`paths`], and
//! [`private`], which says whether it can be trusted.

pub mod event;
pub mod frame;
pub mod id;
pub mod leftovers;
pub mod paths;
pub mod private;
pub mod problem;
pub mod project;
pub mod run;
pub mod status;

pub use event::*;
pub use id::*;
pub use leftovers::*;
pub use problem::*;
pub use project::*;
pub use run::*;
pub use status::*;

/// The version of the HTTP API, in the path of every route.
pub const API_VERSION: &str = "v1";

/// The header of every answer that says which version of devd the daemon is.
pub const VERSION_HEADER: &str = "devd-version";
