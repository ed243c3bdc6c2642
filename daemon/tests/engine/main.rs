//! The whole of devd against a real engine. Without an engine these tests fail; they are never skipped.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bad_luck;
mod bases;
mod branch_switch;
mod ci;
mod citizen;
mod content;
mod example;
mod follow;
mod hooks;
mod pool;
mod pull;
mod ready_made;
mod registry;
mod replicas;
mod report;
mod same;
mod support;
mod survival;
mod sync;
mod torture;
mod upkeep;
