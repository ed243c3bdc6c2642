//! What keeps the daemon well over weeks, over a real socket on the world in memory: clean-up, bounds, upgrades, numbers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bounds;
mod clean;
mod formats;
mod numbers;
mod support;
