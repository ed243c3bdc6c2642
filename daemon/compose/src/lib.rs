//! Reads compose files: from YAML to a [`Project`], with errors that name file, line and column.

mod assemble;
mod check;
mod circles;
mod context;
mod diagnostic;
mod discover;
mod dotenv;
mod emit;
mod env;
mod extends;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hash;
mod interpolate;
mod legacy;
mod load;
mod merge;
pub mod model;
mod node;
mod options;
mod parse;
mod paths;
mod read;
mod relocate;
mod substitute;
mod suites;

pub use diagnostic::{Diagnostic, LoadError, Severity};
pub use discover::project_name_from_dir;
pub use emit::{service_hash_input, to_json, to_yaml};
pub use hash::{config_hash, printed_config_hash};
pub use load::load;
pub use model::{Project, Service};
pub use options::{Loaded, Options};
pub use suites::{Suite, find_suite, suite_services};
