//! Some thousands of seeds, each time; `scripts/simulate` plays more.

use devd_simulation::play;
use devd_simulation::shrink::shrink;
use devd_simulation::story::Story;

#[test]
fn every_promise_is_kept() {
    for seed in 0..4000 {
        let story = Story::of(seed);
        let Some(broken) = play(&story, false).broken else { continue };
        let told = play(&shrink(story, broken.promise), true);
        panic!("seed {seed}: {}: {}\n{}", broken.promise, broken.how, told.log.join("\n"));
    }
}

#[test]
fn a_seed_is_one_story_and_it_is_played_the_same_each_time() {
    for seed in 0..200 {
        assert_eq!(Story::of(seed), Story::of(seed));
        assert_eq!(play(&Story::of(seed), true).log, play(&Story::of(seed), true).log, "seed {seed}");
    }
}
