//! The real binary: alone, and against a daemon whose every word is written down in the test.

#![expect(clippy::unwrap_used, reason = "also in the helpers: a test that cannot go on has failed")]

mod scripted;
mod support;
mod upkeep;
mod with_scripted_daemon;
mod without_daemon;
