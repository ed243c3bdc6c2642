//! Traces of saves, for OpenTelemetry: what came of each, and when. They are made after the fact, from the moments that the
//! metrics and the history have.
//!
//! Without the feature `otlp` both types are empty, and nothing else of it is there.

#[cfg(feature = "otlp")]
mod http;
#[cfg(not(feature = "otlp"))]
mod none;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(not(feature = "otlp"))]
pub use none::{Trace, Traces};
#[cfg(feature = "otlp")]
pub use otlp::{Trace, Traces};
