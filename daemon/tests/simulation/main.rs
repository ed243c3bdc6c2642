//! The loop, the executor and the pool live through bad luck on the engine in memory, with a clock that stands still while
//! there is anything to do: all from one seed, crashes of the daemon included.
//!
//! `DEVD_SEEDS` and `DEVD_FROM` say which seeds; `scripts/simulate --loop` sets them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod house;
mod play;
mod story;

use house::House;
use play::play;
use story::{Story, shrunk};

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn every_promise_is_kept() {
    let house = House::new();
    let from = number("DEVD_FROM", 0);
    for seed in from..from + number("DEVD_SEEDS", 250) {
        let story = Story::of(seed);
        let Err(broken) = play(&house, &story).outcome else { continue };
        let story = shrunk(&house, story, broken.promise);
        let told = play(&house, &story);
        panic!("seed {seed}: {}: {}\n{}", broken.promise, broken.how, told.log.join("\n"));
    }
}

#[test]
fn a_seed_is_played_the_same_each_time() {
    let house = House::new();
    for seed in 0..10 {
        let story = Story::of(seed);
        assert_eq!(play(&house, &story).log, play(&house, &story).log, "seed {seed}");
    }
}
