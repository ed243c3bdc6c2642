//! A world in which devd lives through bad luck, all of it from one number.
//!
//! A [`story`] is what people, programs, the engine and the machine do to two projects and to devd itself; a seed makes
//! one. The [`world`] plays it: the [`engine`] works late, wrongly or not at all, [`files`] change, and each [`life`] of
//! devd ends with a crash and begins again with what it had written down. What must never be is checked at each step, and
//! where it all must end is checked once the world has become kind: [`check`]. A story that breaks a promise is made as
//! short as it can be ([`shrink`]) and told.
//!
//! Here the logic is real and all else is the world's. The loop, the executor and the pool are simulated with the engine
//! in memory, in the daemon's own tests.

pub mod check;
mod due;
pub mod engine;
pub mod files;
pub mod ledger;
pub mod life;
mod origins;
mod project;
mod reasons;
mod runs;
pub mod shrink;
pub mod story;
pub mod world;

use story::Story;
use world::World;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which, in a few words that are the same for every story that breaks it.
    pub promise: &'static str,
    /// How.
    pub how: String,
}

/// What came of a story.
#[derive(Debug)]
pub struct Told {
    /// Everything that happened, for people; empty unless it was to be told.
    pub log: Vec<String>,
    /// Events that the logic was told.
    pub events: u64,
    /// How often devd crashed.
    pub crashes: u64,
    /// The promise that was broken first.
    pub broken: Option<Broken>,
}

/// Plays a story; with `telling`, so that people can read what happened.
pub fn play(story: &Story, telling: bool) -> Told {
    let played = std::panic::catch_unwind(|| World::new(story, telling).play(story));
    played.unwrap_or_else(|_| Told {
        log: Vec::new(),
        events: 0,
        crashes: 0,
        broken: Some(Broken { promise: "no panic", how: "it panicked; see above".to_owned() }),
    })
}
