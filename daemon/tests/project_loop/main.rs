//! The loop, the executor and the registry's words on the world in memory, with the clock paused: hours take no time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bench;
mod life;
mod lives;
mod pool;
