//! What happens to the daemon: made from a seed.

use super::house::{House, PROJECTS, SERVICES, VERSIONS};
use super::play::play;
use devdd::engine::fake::Befalls;
use devdd::project::Verb;
use devdd::watch::Action;
use fastrand::Rng;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// So many milliseconds go by.
    Wait(u64),
    /// So many tasks of the daemon get a turn.
    Turns(u32),
    /// A file of the project's main service is saved.
    Save {
        project: usize,
        action: Action,
        pushed: bool,
    },
    /// A container dies.
    Kill {
        project: usize,
        service: usize,
    },
    /// A container of tests dies.
    KillTests,
    /// From now on the service ends with 1 whenever it starts, or does not any more.
    Dies {
        project: usize,
        service: usize,
        dies: bool,
    },
    /// The engine is gone, or there again.
    Engine {
        gone: bool,
    },
    /// The engine's events are not heard, or heard again.
    Deaf(bool),
    /// Every event of the engine comes twice from now on, or once.
    Doubled(bool),
    Up(usize),
    Service {
        project: usize,
        service: usize,
        verb: Verb,
    },
    Test {
        project: usize,
        some: bool,
    },
    Cancel(usize),
    Down(usize),
    /// The compose file is another one.
    Files {
        project: usize,
        version: usize,
    },
    /// How long tests take from now on, and how they end.
    Tests {
        takes: u64,
        exit: i64,
    },
    /// What befalls the next requests to the engine.
    Luck(Vec<Befalls>),
    /// How long the next requests take.
    Delays(Vec<u64>),
    /// The daemon is gone at once, these projects' main services are saved, and another one begins.
    Crash(Vec<(usize, Action)>),
    /// The daemon ends in order; else the same.
    End(Vec<(usize, Action)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Story(pub(crate) Vec<Step>);

impl Story {
    pub(crate) fn of(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let mut steps = vec![Step::Up(0)];
        if rng.bool() {
            steps.push(Step::Up(1));
        }
        steps.push(Step::Wait(rng.u64(0..2000)));
        steps.extend((0..rng.usize(2..26)).map(|_| step(rng)));
        Self(steps)
    }
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(0..of.len())]
}

fn step(rng: &mut Rng) -> Step {
    let (project, service) = (rng.usize(0..PROJECTS.len()), rng.usize(0..SERVICES[0].len()));
    match rng.u8(0..64) {
        0..=11 => Step::Wait(rng.u64(0..700)),
        12 => Step::Wait(rng.u64(0..40_000)),
        13..=15 => Step::Turns(rng.u32(1..30)),
        16..=25 => {
            let action = pick(rng, &[Action::None, Action::Restart, Action::Restart, Action::Rebuild]);
            Step::Save { project, action, pushed: rng.bool() }
        }
        26..=27 => Step::Kill { project, service },
        28 => Step::KillTests,
        29..=30 => Step::Dies { project, service, dies: rng.bool() },
        31..=33 => Step::Engine { gone: rng.bool() },
        34..=35 => Step::Deaf(rng.bool()),
        36 => Step::Doubled(rng.bool()),
        37..=38 => Step::Up(project),
        39..=43 => {
            let verb = pick(rng, &[Verb::Start, Verb::Stop, Verb::Stop, Verb::Restart]);
            Step::Service { project, service, verb }
        }
        44 => Step::Service { project, service: 0, verb: Verb::Rebuild },
        45..=46 => Step::Test { project, some: rng.u8(0..3) == 0 },
        47 => Step::Cancel(project),
        48 => Step::Down(project),
        49..=50 => Step::Files { project, version: rng.usize(0..VERSIONS) },
        51 => Step::Tests { takes: rng.u64(1..3000), exit: pick(rng, &[0, 0, 1]) },
        52..=54 => {
            use Befalls::{DoneButRefused, DoneButUnreachable, Refused, Unreachable, Well};
            let luck = [Well, Well, Refused, DoneButRefused, Unreachable, DoneButUnreachable];
            Step::Luck((0..rng.usize(1..5)).map(|_| pick(rng, &luck)).collect())
        }
        55..=57 => Step::Delays((0..rng.usize(1..6)).map(|_| rng.u64(0..500)).collect()),
        58..=61 => Step::Crash(saved(rng)),
        _ => Step::End(saved(rng)),
    }
}

fn saved(rng: &mut Rng) -> Vec<(usize, Action)> {
    let one = |rng: &mut Rng| {
        (rng.usize(0..PROJECTS.len()), pick(rng, &[Action::None, Action::Restart, Action::Rebuild]))
    };
    (0..rng.usize(0..3)).map(|_| one(rng)).collect()
}

/// The shortest part of a story that breaks the same promise.
pub(crate) fn shrunk(house: &House, mut story: Story, promise: &str) -> Story {
    let breaks = |story: &Story| play(house, story).outcome.is_err_and(|broken| broken.promise == promise);
    let mut size = story.0.len().max(1);
    while size > 0 {
        let mut at = 0;
        while at < story.0.len() {
            let mut shorter = story.clone();
            shorter.0.drain(at..(at + size).min(story.0.len()));
            if breaks(&shorter) {
                story = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    story
}
