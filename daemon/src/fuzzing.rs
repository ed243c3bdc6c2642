//! What reads bytes from elsewhere, for those who throw odd ones at it. Each must come to an end, without a panic.

pub use crate::api::fuzzing::request;
pub use crate::engine::docker::fuzz_frames as frames;
