//! What happens to devd: made from a seed, short enough to read, and nothing is left to chance once it is made.

use crate::files::{Edit, PROJECTS, buildable, services, suites};
use devd_logic::Reaction;
use fastrand::Rng;
use std::fmt;

/// What becomes of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luck {
    /// It is done.
    Well,
    /// Nothing is done, and that is said.
    Refused,
    /// It is done, and reported as refused.
    DoneButRefused,
    /// Nothing is done, and the engine does not answer.
    Unreachable,
    /// It is done, and the answer is lost.
    DoneButUnreachable,
}

/// What becomes of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It comes as it should.
    InTime,
    /// It comes so many milliseconds later, and what comes after may come before it.
    Late(u32),
    /// It comes twice.
    Doubled,
}

/// One thing that happens. Projects are numbered, services are named.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Time goes by.
    Wait(u32),
    /// Somebody saves files of a service.
    Save {
        project: usize,
        service: &'static str,
        reaction: Reaction,
        files: usize,
        pushed: bool,
        tests: bool,
    },
    /// A service's process ends with this code.
    Dies { project: usize, service: &'static str, code: i64 },
    /// From now on a service ends with this code whenever it starts.
    KeepsDying { project: usize, service: &'static str, code: i64 },
    /// From now on each operation on a service is refused.
    Jinxed { project: usize, service: &'static str },
    /// What kept a service from working is mended.
    Mended { project: usize, service: &'static str },
    /// `docker rm -f`.
    Removed { project: usize, service: &'static str },
    /// `docker stop`.
    StoppedOutside { project: usize, service: &'static str },
    /// `docker start`.
    StartedOutside { project: usize, service: &'static str },
    /// `docker pause`, or its opposite.
    Paused { project: usize, service: &'static str, paused: bool },
    /// Somebody removes the project's networks.
    NetworksRemoved(usize),
    /// `devd up`.
    Up { project: usize, services: Vec<&'static str>, build: bool },
    /// `devd start`.
    Start { project: usize, service: &'static str },
    /// `devd stop`.
    Stop { project: usize, service: &'static str },
    /// `devd restart`.
    Restart { project: usize, service: &'static str },
    /// `devd rebuild`.
    Rebuild { project: usize, service: &'static str },
    /// `devd test`; perhaps only some of the tests.
    Test { project: usize, service: &'static str, some: bool },
    /// Somebody calls off a run.
    Cancel { project: usize, which: usize },
    /// `devd down`.
    Down { project: usize, volumes: bool },
    /// The compose file is edited.
    Edited { project: usize, edit: Edit },
    /// The engine is not reached any more, or again.
    Engine { gone: bool },
    /// The engine ends, with every container, and is there again after so many milliseconds.
    EngineRestarts(u32),
    /// The engine's events are not heard any more, or again.
    Deaf(bool),
    /// The engine does not answer the next looks, so many, and nothing says so.
    Unanswered(u32),
    /// The system loses file events from now on.
    Overflow,
    /// The watcher looks at all files again.
    Rescan,
    /// devd ends at once and is there again after so many milliseconds; what it had asked the engine for is done or not.
    Crash { dead: u32, lands: bool },
    /// devd crashes in the midst of what it does after so many events and effects.
    CrashSoon { after: u32, dead: u32, lands: bool },
    /// devd ends in order and is there again after so many milliseconds.
    Ends(u32),
    /// devd gets no time for so many milliseconds; what comes waits.
    Stalled(u32),
    /// The machine sleeps: so many milliseconds later everything is due at once.
    Sleeps(u32),
    /// What becomes of the next operations, in turn.
    Luck(Vec<Luck>),
    /// What becomes of the next events.
    Fates(Vec<Fate>),
    /// How many milliseconds the next things take.
    Delays(Vec<u32>),
}

/// A story.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// Test runs of one project at the same time.
    pub runs: usize,
    /// What happens.
    pub steps: Vec<Step>,
}

impl Story {
    /// The story of this seed.
    pub fn of(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let runs = rng.usize(1..3);
        // Each story has its own temper: one is about deaths, another about files, and most have some of everything.
        let temper: Vec<u32> = (0..KINDS.len()).map(|_| [0, 1, 1, 2, 4][rng.usize(0..5)]).collect();
        let weights: Vec<u32> =
            KINDS.iter().zip(temper).map(|((weight, _), temper)| weight * temper).collect();
        let total: u32 = weights.iter().sum();
        let mut steps = vec![Step::Up { project: 0, services: Vec::new(), build: false }];
        if rng.bool() {
            steps.push(Step::Up { project: 1, services: Vec::new(), build: false });
        }
        if rng.u32(0..4) > 0 {
            steps.push(Step::Wait(3000));
        }
        for _ in 0..rng.usize(3..36) {
            let mut at = rng.u32(0..total.max(1));
            let kind = weights.iter().position(|weight| match at.checked_sub(*weight) {
                Some(rest) => {
                    at = rest;
                    false
                }
                None => true,
            });
            steps.push(KINDS[kind.unwrap_or(0)].1(rng));
        }
        Self { runs, steps }
    }
}

type Kind = (u32, fn(&mut Rng) -> Step);

/// How likely each kind of thing is, and how one is made.
const KINDS: &[Kind] = &[
    (40, |rng| Step::Wait(if rng.u8(0..4) == 0 { rng.u32(0..15_000) } else { rng.u32(0..600) })),
    (36, |rng| {
        let (project, service) = one(rng, buildable);
        let reaction = pick(
            rng,
            &[Reaction::None, Reaction::Act, Reaction::Restart, Reaction::Restart, Reaction::Rebuild],
        );
        let files = if rng.u8(0..4) == 0 { rng.usize(1..200) } else { 1 };
        Step::Save { project, service, reaction, files, pushed: rng.bool(), tests: rng.u8(0..5) > 0 }
    }),
    (8, |rng| {
        let (project, service) = one(rng, services);
        Step::Dies { project, service, code: pick(rng, &[0, 1, 137]) }
    }),
    (3, |rng| {
        let (project, service) = one(rng, services);
        Step::KeepsDying { project, service, code: pick(rng, &[1, 1, 0]) }
    }),
    (3, |rng| {
        let (project, service) = one(rng, services);
        Step::Jinxed { project, service }
    }),
    (4, |rng| {
        let (project, service) = one(rng, services);
        Step::Mended { project, service }
    }),
    (6, |rng| {
        let (project, service) = one(rng, services);
        Step::Removed { project, service }
    }),
    (5, |rng| {
        let (project, service) = one(rng, services);
        Step::StoppedOutside { project, service }
    }),
    (5, |rng| {
        let (project, service) = one(rng, services);
        Step::StartedOutside { project, service }
    }),
    (4, |rng| {
        let (project, service) = one(rng, services);
        Step::Paused { project, service, paused: rng.bool() }
    }),
    (2, |rng| Step::NetworksRemoved(rng.usize(0..PROJECTS.len()))),
    (8, |rng| {
        let (project, service) = one(rng, services);
        let all = rng.bool();
        Step::Up { project, services: if all { Vec::new() } else { vec![service] }, build: rng.u8(0..4) == 0 }
    }),
    (7, |rng| {
        let (project, service) = one(rng, services);
        Step::Start { project, service }
    }),
    (9, |rng| {
        let (project, service) = one(rng, services);
        Step::Stop { project, service }
    }),
    (7, |rng| {
        let (project, service) = one(rng, services);
        Step::Restart { project, service }
    }),
    (6, |rng| {
        let (project, service) = one(rng, buildable);
        Step::Rebuild { project, service }
    }),
    (9, |rng| {
        let (project, service) = one(rng, suites);
        Step::Test { project, service, some: rng.u8(0..4) == 0 }
    }),
    (5, |rng| Step::Cancel { project: rng.usize(0..PROJECTS.len()), which: rng.usize(0..3) }),
    (5, |rng| Step::Down { project: rng.usize(0..PROJECTS.len()), volumes: rng.bool() }),
    (12, |rng| {
        let project = rng.usize(0..PROJECTS.len());
        Step::Edited { project, edit: Edit::any(rng, project) }
    }),
    (8, |rng| Step::Engine { gone: rng.bool() }),
    (4, |rng| Step::EngineRestarts(rng.u32(0..2000))),
    (7, |rng| Step::Deaf(rng.bool())),
    (4, |rng| Step::Unanswered(rng.u32(1..4))),
    (4, |_| Step::Overflow),
    (5, |_| Step::Rescan),
    (9, |rng| Step::Crash { dead: rng.u32(0..1500), lands: rng.bool() }),
    (9, |rng| Step::CrashSoon { after: rng.u32(1..40), dead: rng.u32(0..1500), lands: rng.bool() }),
    (4, |rng| Step::Ends(rng.u32(0..1500))),
    (5, |rng| Step::Stalled(rng.u32(1..1500))),
    (3, |rng| Step::Sleeps(rng.u32(1000..100_000))),
    (14, |rng| {
        let luck = [
            Luck::Well,
            Luck::Well,
            Luck::Refused,
            Luck::DoneButRefused,
            Luck::Unreachable,
            Luck::DoneButUnreachable,
        ];
        Step::Luck((0..rng.usize(1..4)).map(|_| pick(rng, &luck)).collect())
    }),
    (12, |rng| {
        let fate = |rng: &mut Rng| match rng.u8(0..3) {
            0 => Fate::InTime,
            1 => Fate::Late(rng.u32(1..800)),
            _ => Fate::Doubled,
        };
        Step::Fates((0..rng.usize(1..5)).map(|_| fate(rng)).collect())
    }),
    (14, |rng| Step::Delays((0..rng.usize(1..8)).map(|_| rng.u32(0..600)).collect())),
];

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(0..of.len())]
}

fn one(rng: &mut Rng, of: fn(usize) -> &'static [&'static str]) -> (usize, &'static str) {
    let project = rng.usize(0..PROJECTS.len());
    (project, pick(rng, of(project)))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = |project: &usize| PROJECTS[*project];
        match self {
            Self::Wait(ms) => write!(f, "{ms} ms go by"),
            Self::Save { project, service, reaction, files, pushed, tests } => {
                let by = if *pushed { "an editor saves and says so" } else { "somebody saves" };
                let seen = if *tests { "" } else { ", which its tests do not see" };
                write!(f, "{by}: {files} file(s) of {}/{service} ({reaction:?}){seen}", p(project))
            }
            Self::Dies { project, service, code } => write!(f, "{}/{service} dies with {code}", p(project)),
            Self::KeepsDying { project, service, code } => {
                write!(f, "{}/{service} ends with {code} whenever it starts, from now on", p(project))
            }
            Self::Jinxed { project, service } => {
                write!(f, "the engine refuses whatever is done to {}/{service}, from now on", p(project))
            }
            Self::Mended { project, service } => write!(f, "{}/{service} is mended", p(project)),
            Self::Removed { project, service } => write!(f, "docker rm -f {}-{service}", p(project)),
            Self::StoppedOutside { project, service } => write!(f, "docker stop {}-{service}", p(project)),
            Self::StartedOutside { project, service } => write!(f, "docker start {}-{service}", p(project)),
            Self::Paused { project, service, paused } => {
                write!(f, "docker {} {}-{service}", if *paused { "pause" } else { "unpause" }, p(project))
            }
            Self::NetworksRemoved(project) => write!(f, "the networks of {} are removed", p(project)),
            Self::Up { project, services, build } => {
                let build = if *build { " --build" } else { "" };
                write!(f, "devd -p {} up{build} {}", p(project), services.join(" "))
            }
            Self::Start { project, service } => write!(f, "devd -p {} start {service}", p(project)),
            Self::Stop { project, service } => write!(f, "devd -p {} stop {service}", p(project)),
            Self::Restart { project, service } => write!(f, "devd -p {} restart {service}", p(project)),
            Self::Rebuild { project, service } => write!(f, "devd -p {} rebuild {service}", p(project)),
            Self::Test { project, service, some } => {
                write!(f, "devd -p {} test {service}{}", p(project), if *some { " -- -k some" } else { "" })
            }
            Self::Cancel { project, which } => {
                write!(f, "run number {which} of {} is called off", p(project))
            }
            Self::Down { project, volumes } => {
                write!(f, "devd -p {} down{}", p(project), if *volumes { " --volumes" } else { "" })
            }
            Self::Edited { project, edit } => write!(f, "the compose file of {}: {edit}", p(project)),
            Self::Engine { gone: true } => write!(f, "the engine is gone"),
            Self::Engine { gone: false } => write!(f, "the engine is there again"),
            Self::EngineRestarts(ms) => write!(f, "the engine restarts, and takes {ms} ms"),
            Self::Deaf(true) => write!(f, "the engine's events break off"),
            Self::Deaf(false) => write!(f, "the engine's events are heard again"),
            Self::Unanswered(looks) => write!(f, "the next {looks} look(s) get no answer"),
            Self::Overflow => write!(f, "file events are lost from now on"),
            Self::Rescan => write!(f, "the watcher looks at everything again"),
            Self::Crash { dead, lands } => {
                let lands = if *lands { "is done all the same" } else { "is not done" };
                write!(f, "devd crashes, for {dead} ms; what it had asked for {lands}")
            }
            Self::CrashSoon { after, dead, lands } => {
                let lands = if *lands { "is done all the same" } else { "is not done" };
                write!(
                    f,
                    "devd will crash {after} events from now, for {dead} ms; what it had asked for {lands}"
                )
            }
            Self::Ends(ms) => write!(f, "devd ends in order, for {ms} ms"),
            Self::Stalled(ms) => write!(f, "devd gets no time for {ms} ms"),
            Self::Sleeps(ms) => write!(f, "the machine sleeps for {ms} ms"),
            Self::Luck(luck) => write!(f, "the next operations: {luck:?}"),
            Self::Fates(fates) => write!(f, "the next events: {fates:?}"),
            Self::Delays(delays) => write!(f, "the next things take {delays:?} ms"),
        }
    }
}
