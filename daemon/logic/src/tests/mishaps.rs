//! Stories of what comes at the wrong moment: checked for where they end, not for each step.

use super::world::{Luck, World, ms, name, shop};
use crate::*;

fn up() -> World {
    let mut world = World::new();
    world.settle();
    world.log.clear();
    world
}

fn count(world: &World, what: &str) -> usize {
    world.log.iter().filter(|line| line.contains(what)).count()
}

#[test]
fn a_save_during_a_build_that_fails_is_built() {
    let mut world = up();
    world.luck.push_back(Luck::Refused);
    world.save("api", "api/Dockerfile", 1, Reaction::Rebuild, true);
    world.wait(ms(5));
    world.save("api", "api/Dockerfile", 1, Reaction::Rebuild, true);
    world.settle();
    world.check_converged();
    assert_eq!(count(&world, "build api"), 2);
}

#[test]
fn a_build_that_failed_does_not_keep_a_project_from_going_down() {
    let mut world = up();
    world.luck.push_back(Luck::Refused);
    world.tell(Event::RebuildRequested(name("api")));
    world.wait(ms(10));
    world.tell(Event::DownRequested { volumes: false });
    world.settle();
    world.check_converged();
}

#[test]
fn a_refused_stop_is_tried_again_with_pauses() {
    let mut world = up();
    world.luck.extend([Luck::Refused; 200]);
    world.tell(Event::StopRequested(name("web")));
    world.wait(ms(1000));
    assert!(count(&world, "stop web") <= 4, "{}", world.log.join("\n"));
}

#[test]
fn files_that_do_not_load_at_the_start_cost_nothing() {
    let mut before = up();
    before.tell(Event::StopRequested(name("web")));
    before.settle();
    let memory = before.state.memory();
    let seen = before.look();

    let mut state = State::new("shop".into(), Limits::default(), memory.clone(), 1);
    let mut effects = state.step(ms(0), Event::Invalid);
    effects.extend(state.step(ms(5), Event::Observed(Box::new(seen))));
    assert_eq!(effects, [Effect::Look]);
    assert_eq!(state.memory(), memory, "what was stopped by hand is forgotten");
    assert_eq!(state.status(ms(5)).state, devd_proto::ProjectState::Invalid);
}

#[test]
fn what_ended_by_itself_is_not_run_again_by_the_next_daemon() {
    let mut before = up();
    before.kill("web", 0);
    before.settle();
    let (memory, seen) = (before.state.memory(), before.look());
    assert!(memory.completed.contains_key(&name("web")));

    let mut state = State::new("shop".into(), Limits::default(), memory.clone(), 1);
    state.step(ms(0), Event::Loaded(Box::new(shop())));
    let effects = state.step(ms(5), Event::Observed(Box::new(seen)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Op { .. })), "{effects:?}");
    assert_eq!(state.memory(), memory);
}

/// The next daemon's state of a project that runs, and what its engine shows.
fn next_daemon() -> (State, Observed) {
    let before = up();
    (State::new("shop".into(), Limits::default(), before.state.memory(), 1), before.look())
}

#[test]
fn an_engine_that_answers_and_loses_every_run_is_not_asked_as_fast_as_it_can_lose() {
    let (mut state, seen) = next_daemon();
    let baseline = Event::Baseline { service: name("api"), verdict: None };
    let mut events = std::collections::VecDeque::from([Event::Loaded(Box::new(shop())), baseline]);
    let (mut now, mut runs) = (ms(0), 0);
    while now < ms(60_000) {
        let event = events.pop_front().unwrap_or(Event::Tick);
        for effect in state.step(now, event) {
            match effect {
                Effect::Look => events.push_back(Event::Observed(Box::new(seen.clone()))),
                Effect::StartRun { run, .. } => {
                    runs += 1;
                    events.push_back(Event::RunEnded { run, outcome: Outcome::Lost });
                }
                Effect::Probe { service, started } => {
                    events.push_back(Event::Probed { service, started, healthy: true });
                }
                Effect::Op { .. } | Effect::CancelRun { .. } | Effect::Remember(_) | Effect::Gone { .. } => {}
            }
        }
        now += ms(20);
    }
    assert!((4..=8).contains(&runs), "{runs} runs in a minute");
}

#[test]
fn a_service_whose_network_was_made_anew_without_it_is_made_anew() {
    let (mut state, mut seen) = next_daemon();
    state.step(ms(0), Event::Loaded(Box::new(shop())));
    for container in seen.containers.iter_mut().filter(|it| it.service == name("web")) {
        container.lost_network = Some("shop_default".to_owned());
    }
    let effects = state.step(ms(5), Event::Observed(Box::new(seen)));
    let mut operations = Vec::new();
    for effect in effects {
        if let Effect::Op { op, cause, .. } = effect {
            operations.push(format!("{op}: {cause}"));
        }
    }
    assert_eq!(operations, ["remove web: its network shop_default was removed and made anew"]);
}

#[test]
fn what_ended_by_itself_is_not_made_anew_for_a_network() {
    let mut before = up();
    before.kill("web", 0);
    before.settle();
    let (memory, mut seen) = (before.state.memory(), before.look());
    let mut state = State::new("shop".into(), Limits::default(), memory, 1);
    state.step(ms(0), Event::Loaded(Box::new(shop())));
    for container in seen.containers.iter_mut().filter(|it| it.service == name("web")) {
        container.lost_network = Some("shop_default".to_owned());
    }
    let effects = state.step(ms(5), Event::Observed(Box::new(seen)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Op { .. })), "{effects:?}");
}

#[test]
fn a_stack_whose_registration_was_lost_is_not_stopped_when_it_is_registered_again() {
    let seen = up().look();
    let nothing_asked_for_yet = Memory { selected: Some([].into()), ..Memory::default() };
    let mut state = State::new("shop".into(), Limits::default(), nothing_asked_for_yet, 1);
    state.step(ms(0), Event::Loaded(Box::new(shop())));
    let mut effects = state.step(ms(5), Event::Observed(Box::new(seen.clone())));
    effects.extend(state.step(ms(10), Event::UpRequested { services: [].into(), build: false }));
    effects.extend(state.step(ms(15), Event::Observed(Box::new(seen))));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Op { .. })), "{effects:?}");
}

#[test]
fn one_look_without_an_answer_is_repeated() {
    let mut world = up();
    world.engine_gone = true;
    world.tell(Event::EngineChanged);
    world.wait(ms(6));
    // The link never dropped: no event says that all is well.
    world.engine_gone = false;
    world.save("api", "api/main.py", 1, Reaction::Restart, false);
    world.settle();
    world.check_converged();
}

#[test]
fn another_definition_of_the_tests_makes_the_verdict_old_and_runs_them() {
    let mut world = up();
    let mut desired = shop();
    desired.suites.insert(name("api"), Suite { definition: "v2".to_owned(), on_change: true });
    world.forget_tested("api");
    world.tell(Event::Loaded(Box::new(desired)));
    assert!(!world.state.status(world.now).services[&name("api")].tests.current);
    world.settle();
    world.check_converged();
    assert_eq!(count(&world, "run api"), 1);
    assert_eq!(count(&world, "run web"), 0);
}

#[test]
fn another_way_to_build_is_built() {
    let mut world = up();
    let mut desired = shop();
    if let Some(api) = desired.services.get_mut(&name("api")) {
        api.build = Some("build-v2".to_owned());
    }
    world.tell(Event::Loaded(Box::new(desired)));
    world.settle();
    world.check_converged();
    assert_eq!(count(&world, "build api"), 1);
    assert_eq!(count(&world, "build web"), 0);
}

#[test]
fn requests_with_other_arguments_wait_their_turn() {
    let mut world = up();
    let mut runs = Vec::new();
    for args in [vec!["-k".to_owned(), "one".to_owned()], vec!["-k".to_owned(), "two".to_owned()], vec![]] {
        let run = world.state.reserve_run();
        world.tell(Event::TestRequested { service: name("api"), run: run.clone(), args });
        runs.push(run);
    }
    assert!(!world.state.is_waiting(&runs[0]) && world.state.is_waiting(&runs[1]));
    world.settle();
    for run in runs {
        assert_eq!(count(&world, &format!("run api as {run}")), 1, "{}", world.log.join("\n"));
    }
}

#[test]
fn tests_that_write_what_they_watch_at_their_end_are_held() {
    let mut world = up();
    let mut written = 0;
    world.save("api", "api/main.py", 1, Reaction::None, false);
    for _ in 0..1000 {
        world.wait(ms(300));
        let ended = count(&world, "passed");
        if ended > written {
            written = ended;
            world.save("api", "api/coverage.xml", 1, Reaction::None, false);
        }
    }
    assert!(written < 20, "{written} runs");
}

#[test]
fn a_service_that_writes_its_source_all_the_time_is_held_also_while_it_goes_on_writing() {
    let mut world = up();
    for _ in 0..3000 {
        world.save("web", "web/main.py", 1, Reaction::Restart, false);
        world.wait(ms(20));
    }
    let restarts = count(&world, "restart web");
    assert!((12..=18).contains(&restarts), "{restarts} restarts in a minute");
}

#[test]
fn a_run_asked_for_amid_a_save_leaves_nothing_of_that_save() {
    let mut world = up();
    world.save("api", "api/a.py", 1, Reaction::None, false);
    let run = world.state.reserve_run();
    world.tell(Event::TestRequested { service: name("api"), run, args: vec![] });
    world.settle();
    world.wait(ms(60_000));
    world.log.clear();
    let start = world.now;
    world.save("api", "api/b.py", 1, Reaction::None, false);
    world.settle();
    let at = format!("{:>5}ms run api", (start + ms(10)).as_millis());
    assert_eq!(count(&world, &at), 1, "it did not settle\n{}", world.log.join("\n"));
}

#[test]
fn a_project_that_goes_down_does_not_come_up_again_after_a_crash() {
    let mut world = up();
    world.tell(Event::DownRequested { volumes: false });
    let memory = world.state.memory();
    let seen = world.look();
    let mut state = State::new("shop".into(), Limits::default(), memory, 1);
    state.step(ms(0), Event::Loaded(Box::new(shop())));
    for effect in state.step(ms(5), Event::Observed(Box::new(seen))) {
        assert!(matches!(effect, Effect::Op { op: Op::Stop(..), .. }), "{effect:?}");
    }
    assert!(!state.wanted(&name("api")));
}

#[test]
fn a_container_that_cannot_be_removed_does_not_keep_others_from_going_down() {
    let mut world = up();
    // Each attempt at the one that others wait for.
    world.luck.extend([Luck::Refused; 3]);
    world.tell(Event::DownRequested { volumes: false });
    world.settle();
    assert_eq!(count(&world, "remove web"), 3);
    assert_eq!(count(&world, "remove api"), 1, "{}", world.log.join("\n"));
    assert_eq!(count(&world, "remove db"), 1);
    assert_eq!(count(&world, "gone"), 1);
}

#[test]
fn to_call_off_some_of_the_tests_calls_off_no_more() {
    let mut world = up();
    world.save("api", "api/main.py", 200, Reaction::None, false);
    let run = world.state.reserve_run();
    let args = vec!["-k".to_owned(), "one".to_owned()];
    world.tell(Event::TestRequested { service: name("api"), run: run.clone(), args });
    world.wait(ms(10));
    world.tell(Event::CancelRequested { run });
    world.settle();
    assert_eq!(count(&world, "run api"), 2, "{}", world.log.join("\n"));
    assert!(world.state.status(world.now).services[&name("api")].tests.current);
}

#[test]
fn up_runs_what_was_called_off_also_when_an_older_verdict_is_there_or_the_run_is_still_ending() {
    for ended in [true, false] {
        let mut world = up();
        world.save("api", "api/main.py", 1, Reaction::None, true);
        let run = world.state.status(world.now).services[&name("api")].tests.run.clone();
        world.tell(Event::CancelRequested { run: run.expect("a run under way") });
        if ended {
            world.settle();
            assert_eq!(count(&world, "run api"), 1, "it was called off");
        }
        world.tell(Event::UpRequested { services: [].into(), build: false });
        world.settle();
        assert_eq!(count(&world, "run api"), 2, "{}", world.log.join("\n"));
        world.check_converged();
    }
}

#[test]
fn down_ends_runs_also_while_the_engine_does_not_answer() {
    let mut world = up();
    world.save("api", "api/main.py", 1, Reaction::None, true);
    world.engine(true);
    world.wait(ms(50));
    world.tell(Event::DownRequested { volumes: false });
    assert_eq!(count(&world, "cancel shop-"), 1, "{}", world.log.join("\n"));
}

#[test]
fn tests_asked_for_after_a_run_was_called_off_are_repeated_when_they_are_lost() {
    let mut world = up();
    world.save("api", "api/main.py", 1, Reaction::None, true);
    let run = world.state.status(world.now).services[&name("api")].tests.run.clone();
    world.tell(Event::CancelRequested { run: run.expect("a run under way") });
    let run = world.state.reserve_run();
    world.tell(Event::TestRequested { service: name("api"), run, args: vec![] });
    world.wait(ms(100));
    world.engine(true);
    world.wait(ms(1000));
    world.engine(false);
    world.settle();
    world.check_converged();
}

#[test]
fn what_is_seen_alive_for_a_moment_is_not_called_up() {
    let mut world = World::new();
    let word = |world: &World| {
        let status = world.state.status(world.now);
        (status.services[&name("web")].state, status.settled)
    };
    let until_running = |world: &mut World| {
        while word(world).0 != devd_proto::ServiceState::Running {
            world.wait(ms(1));
        }
        word(world).1
    };
    // Its first start, one after it died, and a restart of what had run.
    assert!(!until_running(&mut world));
    world.settle();
    assert!(word(&world).1);
    world.kill("web", 1);
    world.wait(ms(50));
    assert_eq!(word(&world).0, devd_proto::ServiceState::Backoff);
    assert!(!until_running(&mut world));
    world.wait(ms(990));
    assert!(!word(&world).1);
    world.wait(ms(100));
    assert!(word(&world).1);
    world.wait(ms(60_000));
    let began = world.now;
    world.tell(Event::RestartRequested(name("api")));
    while world.state.status(world.now).services[&name("api")].restarts == 0 || !word(&world).1 {
        world.wait(ms(1));
    }
    let took = world.now - began;
    assert!(took < ms(100), "{took:?}");
}

#[test]
fn what_is_taken_down_while_its_files_do_not_load_does_not_stay_up_after_a_crash() {
    let before = up();
    let memory = before.state.memory();
    // The next daemon cannot read the files, is told to take the project down, and crashes before it has looked at it.
    let mut state = State::new("shop".into(), Limits::default(), memory, 1);
    state.step(ms(0), Event::Invalid);
    state.step(ms(1), Event::DownRequested { volumes: false });
    let memory = state.memory();

    let mut state = State::new("shop".into(), Limits::default(), memory.clone(), 1);
    state.step(ms(0), Event::Invalid);
    assert_eq!(state.memory(), memory, "nothing was learned");
    state.step(ms(1), Event::Loaded(Box::new(shop())));
    // The first look began before that.
    assert_eq!(state.step(ms(2), Event::Observed(Box::new(before.look()))), [Effect::Look]);
    let effects = state.step(ms(3), Event::Observed(Box::new(before.look())));
    let stops = |name: &str| {
        let of = |effect: &&Effect| matches!(effect, Effect::Op { op: Op::Stop(it, _), .. } if it.as_str() == name);
        effects.iter().filter(of).count()
    };
    assert_eq!(["api", "db", "web"].map(stops), [1; 3]);
    state.step(ms(4), Event::UpRequested { services: BTreeSet::new(), build: false });
    assert!(state.memory().stopped.is_empty());
}

#[test]
fn an_engine_that_drops_a_request_and_answers_looks_is_not_asked_as_fast_as_it_can_drop() {
    let mut world = up();
    world.luck.extend([Luck::Unreachable; 200]);
    world.kill("web", 1);
    world.wait(ms(2000));
    let asked = count(&world, "start web");
    assert!((2..=5).contains(&asked), "{}", world.log.join("\n"));
    world.luck.clear();
    world.settle();
    world.check_converged();
}

#[test]
fn tests_that_are_defined_anew_while_their_last_run_still_ends_are_run() {
    let mut world = up();
    let mut without = shop();
    let suite = without.suites.remove(&name("web")).unwrap();
    world.save("web", "web/a", 1, Reaction::Restart, true);
    world.wait(ms(50));
    assert_eq!(count(&world, "run web"), 1);
    world.tell(Event::Loaded(Box::new(without)));
    let mut with = shop();
    with.suites.insert(name("web"), Suite { definition: "v2".to_owned(), ..suite });
    world.tell(Event::Loaded(Box::new(with)));
    world.settle();
    assert_eq!(count(&world, "run web"), 2, "{}", world.log.join("\n"));
}

#[test]
fn a_service_that_is_stopped_during_a_build_that_fails_is_stopped() {
    let mut world = up();
    world.luck.push_back(Luck::Refused);
    world.tell(Event::RebuildRequested(name("web")));
    world.wait(ms(5));
    world.tell(Event::StopRequested(name("web")));
    world.settle();
    assert_eq!(count(&world, "stop web"), 1, "{}", world.log.join("\n"));
    world.check_converged();
}
