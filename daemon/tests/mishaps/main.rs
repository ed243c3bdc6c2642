//! What goes wrong at the wrong moment, on the world in memory with the real watcher and history: broken files, daemons
//! that end, clients that leave, saves in between. Nothing here waits for time to pass, only for things to be so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod broken_files;
mod definitions;
mod down;
mod ending;
mod now;
mod runs;
mod support;
mod sync;
mod verdicts;
