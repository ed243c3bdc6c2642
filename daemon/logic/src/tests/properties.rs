//! Whatever happens, in whatever order: what must never be, and where it must end.

use super::world::{Luck, World, ms, name, shop};
use crate::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Save { service: &'static str, reaction: Reaction, files: usize, pushed: bool },
    Kill(&'static str, i64),
    RemoveContainer(&'static str),
    StopOutside(&'static str, i64),
    StartOutside(&'static str),
    Stop(&'static str),
    Start(&'static str),
    Restart(&'static str),
    Rebuild(&'static str),
    Test(&'static str),
    Engine(bool),
    Redefine(&'static str, u8),
    Scale(&'static str, u32),
    Luck(Vec<Luck>),
    Delays(Vec<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    let service = || prop_oneof![Just("api"), Just("db"), Just("web")];
    let suite = || prop_oneof![Just("api"), Just("web")];
    let reaction = prop_oneof![Just(Reaction::None), Just(Reaction::Restart), Just(Reaction::Rebuild)];
    let luck = prop_oneof![
        Just(Luck::Well),
        Just(Luck::Well),
        Just(Luck::Refused),
        Just(Luck::DoneButRefused),
        Just(Luck::Unreachable)
    ];
    prop_oneof![
        4 => (0..800u64).prop_map(Step::Wait),
        4 => (suite(), reaction, 1..200usize, any::<bool>())
            .prop_map(|(service, reaction, files, pushed)| Step::Save { service, reaction, files, pushed }),
        1 => (service(), prop_oneof![Just(0i64), Just(1), Just(137)]).prop_map(|(s, code)| Step::Kill(s, code)),
        1 => service().prop_map(Step::RemoveContainer),
        1 => (service(), prop_oneof![Just(0i64), Just(143)]).prop_map(|(s, code)| Step::StopOutside(s, code)),
        1 => service().prop_map(Step::StartOutside),
        1 => service().prop_map(Step::Stop),
        1 => service().prop_map(Step::Start),
        1 => service().prop_map(Step::Restart),
        1 => suite().prop_map(Step::Rebuild),
        1 => suite().prop_map(Step::Test),
        1 => any::<bool>().prop_map(Step::Engine),
        1 => (service(), 1..4u8).prop_map(|(s, n)| Step::Redefine(s, n)),
        1 => (service(), 0..4u32).prop_map(|(s, n)| Step::Scale(s, n)),
        1 => prop::collection::vec(luck, 1..4).prop_map(Step::Luck),
        1 => prop::collection::vec(0..600u64, 1..8).prop_map(Step::Delays),
    ]
}

fn play(runs: usize, steps: Vec<Step>, down: bool) {
    let mut world = World::with_limits(Limits { runs });
    for step in steps {
        world.log.push(format!("      -- {step:?}"));
        match step {
            Step::Wait(n) => world.wait(ms(n)),
            Step::Save { service, reaction, files, pushed } => {
                world.save(service, "main.py", files, reaction, pushed);
            }
            Step::Kill(service, code) => world.kill(service, code),
            Step::RemoveContainer(service) => world.remove_container(service),
            Step::StopOutside(service, code) => world.stop_outside(service, code),
            Step::StartOutside(service) if world.is_left_alone(service) => world.start_outside(service),
            Step::StartOutside(_) => {}
            Step::Stop(service) => world.tell(Event::StopRequested(name(service))),
            Step::Start(service) => world.tell(Event::StartRequested(name(service))),
            Step::Restart(service) => world.tell(Event::RestartRequested(name(service))),
            Step::Rebuild(service) => world.tell(Event::RebuildRequested(name(service))),
            Step::Test(service) => {
                let run = world.state.reserve_run();
                world.tell(Event::TestRequested { service: name(service), run, args: vec![] });
            }
            Step::Engine(gone) if gone != world.engine_gone => world.engine(gone),
            Step::Engine(_) => {}
            Step::Redefine(service, version) => {
                let mut desired = shop();
                if let Some(service) = desired.services.get_mut(&name(service)) {
                    service.definition = format!("v{version}");
                }
                world.tell(Event::Loaded(Box::new(desired)));
            }
            Step::Scale(service, count) => {
                let mut desired = shop();
                desired.scale(&name(service), count);
                world.tell(Event::Loaded(Box::new(desired)));
            }
            Step::Luck(luck) => world.luck.extend(luck),
            Step::Delays(delays) => world.delays.extend(delays),
        }
    }
    // From here on the world is kind.
    world.luck.clear();
    world.delays.clear();
    if world.engine_gone {
        world.engine(false);
    }
    world.settle();
    // What failed for good, or ended by itself, waits for a change or a wish. One of each must be enough.
    for service in [name("db"), name("api"), name("web")] {
        // Of several containers somebody may have stopped the first only.
        if world.state.desired().replicas(&service).any(|it| world.state.wanted(&it)) {
            world.tell(Event::StartRequested(service));
        }
    }
    if down {
        world.tell(Event::DownRequested { volumes: true });
    }
    world.settle();
    world.check_converged();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_world_converges_to_what_the_files_say(
        runs in 1..3usize,
        steps in prop::collection::vec(step(), 0..40),
    ) {
        play(runs, steps, false);
    }

    #[test]
    fn down_leaves_nothing(runs in 1..3usize, steps in prop::collection::vec(step(), 0..20)) {
        play(runs, steps, true);
    }
}
