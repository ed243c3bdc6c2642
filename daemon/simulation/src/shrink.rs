//! The shortest story that breaks the same promise.

use crate::play;
use crate::story::{Fate, Luck, Step, Story};

/// How often a story may be played while it is made shorter.
const PLAYS: u32 = 5_000;

/// Makes a story that breaks `promise` shorter, and simpler.
pub fn shrink(story: Story, promise: &str) -> Story {
    let mut plays = 0;
    let mut breaks = |story: &Story| {
        plays += 1;
        plays <= PLAYS && play(story, false).broken.is_some_and(|broken| broken.promise == promise)
    };
    let mut story = story;
    loop {
        let before = story.clone();
        let mut size = story.steps.len().max(1);
        while size > 0 {
            let mut at = 0;
            while at < story.steps.len() {
                let mut shorter = story.clone();
                shorter.steps.drain(at..(at + size).min(story.steps.len()));
                if breaks(&shorter) {
                    story = shorter;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        for at in 0..story.steps.len() {
            let mut tries = simpler(&story.steps[at]);
            while let Some(step) = tries.pop() {
                let mut other = story.clone();
                other.steps[at] = step;
                if breaks(&other) {
                    tries = simpler(&other.steps[at]);
                    story = other;
                }
            }
        }
        if story == before {
            return story;
        }
    }
}

/// Steps that are like this one and say less, the simplest last.
fn simpler(step: &Step) -> Vec<Step> {
    let less = |n: u32| [n - n / 4, n / 2, 0].into_iter().filter(move |less| *less < n);
    match step {
        Step::Wait(n) => less(*n).map(Step::Wait).collect(),
        Step::Ends(n) => less(*n).map(Step::Ends).collect(),
        Step::Stalled(n) => less(*n).map(Step::Stalled).collect(),
        Step::Sleeps(n) => less(*n).map(Step::Sleeps).collect(),
        Step::EngineRestarts(n) => less(*n).map(Step::EngineRestarts).collect(),
        Step::Crash { dead, lands } => less(*dead).map(|dead| Step::Crash { dead, lands: *lands }).collect(),
        Step::CrashSoon { after, dead, lands } => {
            let mut crashes: Vec<_> =
                less(*dead).map(|dead| Step::CrashSoon { after: *after, dead, lands: *lands }).collect();
            crashes.push(Step::Crash { dead: *dead, lands: *lands });
            crashes
        }
        Step::Luck(luck) => without_one(luck, Luck::Well).into_iter().map(Step::Luck).collect(),
        Step::Fates(fates) => without_one(fates, Fate::InTime).into_iter().map(Step::Fates).collect(),
        Step::Delays(delays) => {
            let shorter = (0..delays.len()).map(|at| {
                let mut delays = delays.clone();
                delays.remove(at);
                Step::Delays(delays)
            });
            let quicker = (0..delays.len()).filter(|at| delays[*at] > 0).map(|at| {
                let mut delays = delays.clone();
                delays[at] /= 2;
                Step::Delays(delays)
            });
            quicker.chain(shorter).collect()
        }
        Step::Save { project, service, reaction, files, pushed, tests } if *files > 1 => {
            vec![Step::Save {
                project: *project,
                service,
                reaction: *reaction,
                files: 1,
                pushed: *pushed,
                tests: *tests,
            }]
        }
        Step::Up { project, services, build } if !services.is_empty() || *build => {
            vec![Step::Up { project: *project, services: Vec::new(), build: false }]
        }
        _ => Vec::new(),
    }
}

/// All lists with one element less, or with one that is `plain` instead.
fn without_one<T: Copy + PartialEq>(list: &[T], plain: T) -> Vec<Vec<T>> {
    let at = |at: usize, instead: Option<T>| {
        let mut list = list.to_vec();
        match instead {
            Some(plain) => list[at] = plain,
            None => _ = list.remove(at),
        }
        list
    };
    let plainer = (0..list.len()).filter(|it| list[*it] != plain).map(|it| at(it, Some(plain)));
    plainer.chain((0..list.len()).map(|it| at(it, None))).collect()
}
