//! Small stories, with what was done about them as text.

use super::world::{World, ms, name, shop};
use crate::*;
use expect_test::{Expect, expect};

fn check(story: impl FnOnce(&mut World), expected: Expect) {
    let mut world = World::new();
    world.settle();
    world.log.clear();
    world.now = ms(100_000);
    let start = world.now;
    story(&mut world);
    expected.assert_eq(&told(&world, start));
}

/// What happened, with the time since `start`. No line begins with a blank: snapshots lose indentation.
fn told(world: &World, start: Moment) -> String {
    let lines = world.log.iter().map(|line| {
        let (at, rest) = line.trim_start().split_once("ms ").unwrap_or(("0", line));
        let at: u128 = at.parse().unwrap_or_default();
        format!("{}ms {rest}\n", at - start.as_millis())
    });
    lines.collect()
}

fn holds(world: &World) -> String {
    let services = world.state.holds(world.now).into_iter().map(|(name, hold)| format!("{name}: {hold}\n"));
    let suites =
        world.state.suite_holds(world.now).into_iter().map(|(name, hold)| format!("{name} tests: {hold}\n"));
    services.chain(suites).collect()
}

#[test]
fn a_project_comes_up_in_the_order_of_its_needs_and_is_tested_then() {
    let mut world = World::new();
    world.settle();
    world.check_converged();
    expect![[r#"
        5ms create network shop_default  # not there yet
        5ms build api  # its image is not there
        5ms pull db  # its image is not there
        5ms build web  # its image is not there
        35ms create api  # it has no container
        35ms create db  # it has no container
        35ms create web  # it has no container
        65ms start db  # it does not run
        120ms start api  # it does not run
        150ms start web  # it does not run
        180ms run api as shop-1  # not tested yet
        180ms run web as shop-2  # not tested yet
        580ms shop-1 passed
        580ms shop-2 passed
        590ms remove environment shop-1  # nobody needs it any more
        590ms remove environment shop-2  # nobody needs it any more
    "#]]
    .assert_eq(&told(&world, ms(0)));
}

#[test]
fn who_shares_something_is_made_after_and_anew_with_its_owner() {
    let mut sharing = shop();
    sharing.suites.clear();
    let web = sharing.services.get_mut(&name("web")).unwrap();
    web.shares = [name("api"), name("db")].into();
    let mut world = World::new();
    world.tell(Event::Loaded(Box::new(sharing.clone())));
    world.settle();
    world.check_converged();
    let made: Vec<&str> =
        world.log.iter().filter_map(|line| line.split_once("ms create ")).map(|(_, it)| it).collect();
    assert_eq!(made.last(), Some(&"web  # it has no container"), "{made:?}");

    world.log.clear();
    let start = world.now;
    sharing.services.get_mut(&name("api")).unwrap().definition = "api-v2".to_owned();
    world.tell(Event::Loaded(Box::new(sharing)));
    world.settle();
    world.check_converged();
    expect![[r#"
        5ms remove api  # its definition changed
        35ms create api  # it has no container
        35ms remove web  # it shares something of a container of api that is gone
        65ms start api  # it does not run
        65ms create web  # it has no container
        95ms start web  # it does not run
    "#]]
    .assert_eq(&told(&world, start));
}

#[test]
fn a_save_restarts_the_service_and_reruns_its_tests_side_by_side() {
    check(
        |world| {
            world.save("api", "api/main.py", 1, Reaction::Restart, false);
            world.settle();
        },
        expect![[r#"
            10ms restart api  # api/main.py changed
            10ms run api as shop-3  # api/main.py changed
            410ms shop-3 passed
            420ms remove environment shop-3  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_pushed_save_waits_for_nothing() {
    check(
        |world| {
            world.save("api", "api/main.py", 1, Reaction::Restart, true);
            world.settle();
        },
        expect![[r#"
            0ms restart api  # api/main.py changed
            0ms run api as shop-3  # api/main.py changed
            400ms shop-3 passed
            410ms remove environment shop-3  # nobody needs it any more
        "#]],
    );
}

#[test]
fn an_editor_that_speaks_after_the_event_ends_the_wait() {
    check(
        |world| {
            world.save("api", "api/main.py", 1, Reaction::Restart, false);
            world.wait(ms(3));
            world.tell(Event::SaveComplete(name("api")));
            world.settle();
            world.tell(Event::SaveComplete(name("api")));
            world.settle();
        },
        expect![[r#"
            3ms restart api  # api/main.py changed
            3ms run api as shop-3  # api/main.py changed
            403ms shop-3 passed
            413ms remove environment shop-3  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_branch_switch_is_one_restart_and_one_run() {
    check(
        |world| {
            for batch in 0..20 {
                world.save("api", &format!("api/{batch}.py"), 100, Reaction::Restart, false);
                world.wait(ms(100));
            }
            world.settle();
        },
        expect![[r#"
            2150ms restart api  # api/19.py changed
            2150ms run api as shop-3  # api/19.py changed
            2550ms shop-3 passed
            2560ms remove environment shop-3  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_newer_save_supersedes_a_run_but_not_for_ever() {
    check(
        |world| {
            for n in 0..5 {
                world.save("web", &format!("web/{n}.js"), 1, Reaction::None, false);
                world.wait(ms(150));
            }
            world.settle();
        },
        expect![[r#"
            10ms run web as shop-3  # web/0.js changed
            150ms cancel shop-3
            170ms shop-3 cancelled
            170ms run web as shop-4  # web/1.js changed
            180ms remove environment shop-3  # nobody needs it any more
            300ms cancel shop-4
            320ms shop-4 cancelled
            320ms run web as shop-5  # web/2.js changed
            330ms remove environment shop-4  # nobody needs it any more
            720ms shop-5 passed
            720ms run web as shop-6  # web/4.js changed
            730ms remove environment shop-5  # nobody needs it any more
            1120ms shop-6 passed
            1130ms remove environment shop-6  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_killed_service_comes_back() {
    check(
        |world| {
            world.kill("api", 137);
            world.settle();
        },
        expect![[r#"
            105ms start api  # it died
        "#]],
    );
}

#[test]
fn a_service_that_keeps_dying_backs_off_and_a_save_gives_it_a_new_chance() {
    check(
        |world| {
            world.dies("api", Some(1));
            world.save("api", "api/main.py", 1, Reaction::Restart, true);
            world.wait(ms(3000));
            world.say_holds();
            world.dies("api", None);
            world.save("api", "api/main.py", 1, Reaction::Restart, true);
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            0ms restart api  # api/main.py changed
            0ms run api as shop-3  # api/main.py changed
            125ms start api  # it died
            400ms shop-3 passed
            410ms remove environment shop-3  # nobody needs it any more
            650ms start api  # it died
            1675ms start api  # it died
            3000ms (api: exited with code 1, starting again soon)
            3000ms start api  # api/main.py changed
            3000ms run api as shop-4  # api/main.py changed
            3400ms shop-4 passed
            3410ms remove environment shop-4  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_stopped_service_stays_stopped_and_a_save_does_not_start_it() {
    check(
        |world| {
            world.tell(Event::StopRequested(name("web")));
            world.settle();
            world.save("web", "web/app.js", 1, Reaction::Restart, true);
            world.settle();
            world.tell(Event::StartRequested(name("web")));
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            0ms stop web  # it is meant to be stopped
            0ms remember stopped: ["web"]
            30ms run web as shop-3  # web/app.js changed
            430ms shop-3 passed
            440ms remove environment shop-3  # nobody needs it any more
            470ms remember stopped: []
            475ms start web  # web/app.js changed
        "#]],
    );
}

#[test]
fn a_changed_dockerfile_builds_and_replaces() {
    check(
        |world| {
            world.save("api", "api/Dockerfile", 1, Reaction::Rebuild, false);
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            10ms build api  # api/Dockerfile changed
            10ms run api as shop-3  # api/Dockerfile changed
            40ms remove api  # its image changed
            70ms create api  # it has no container
            100ms start api  # api/Dockerfile changed
            410ms shop-3 passed
            420ms remove environment shop-3  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_build_that_fails_waits_for_a_change_and_leaves_what_runs() {
    check(
        |world| {
            world.luck.push_back(Luck::Refused);
            world.save("api", "api/Dockerfile", 1, Reaction::Rebuild, false);
            world.wait(ms(60_000));
            world.say_holds();
            world.save("api", "api/Dockerfile", 1, Reaction::Rebuild, false);
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            10ms build api  # api/Dockerfile changed
            10ms run api as shop-3  # api/Dockerfile changed
            30ms failed: Refused("refused")
            410ms shop-3 passed
            420ms remove environment shop-3  # nobody needs it any more
            60000ms (api: refused)
            60000ms build api  # api/Dockerfile changed
            60010ms run api as shop-4  # api/Dockerfile changed
            60030ms remove api  # its image changed
            60060ms create api  # it has no container
            60090ms start api  # api/Dockerfile changed
            60410ms shop-4 passed
            60420ms remove environment shop-4  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_changed_definition_replaces_only_that_service() {
    check(
        |world| {
            let mut desired = shop();
            if let Some(web) = desired.services.get_mut(&name("web")) {
                web.definition = "web-v2".to_owned();
            }
            world.tell(Event::Loaded(Box::new(desired)));
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            5ms remove web  # its definition changed
            35ms create web  # it has no container
            65ms start web  # it does not run
        "#]],
    );
}

#[test]
fn the_engine_goes_and_comes_back() {
    check(
        |world| {
            world.engine(true);
            world.wait(ms(50));
            world.save("api", "api/main.py", 1, Reaction::Restart, false);
            world.wait(ms(5000));
            world.say_holds();
            world.kill("db", 0);
            world.engine(false);
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            5050ms (api: waiting for the engine)
            5050ms (db: waiting for the engine)
            5050ms (web: waiting for the engine)
            5050ms (api tests: waiting for the engine)
            5060ms restart api  # api/main.py changed
            5060ms start db  # it does not run
            5060ms run api as shop-3  # api/main.py changed
            5460ms shop-3 passed
            5470ms remove environment shop-3  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_requested_run_is_joined_and_not_superseded() {
    check(
        |world| {
            let run = world.state.reserve_run();
            world.tell(Event::TestRequested { service: name("api"), run: run.clone(), args: vec![] });
            assert_eq!(world.state.joinable_run(&name("api"), &[]), Some(run));
            assert_eq!(world.state.joinable_run(&name("api"), &["-k".to_owned()]), None);
            world.wait(ms(50));
            world.save("api", "api/main.py", 1, Reaction::None, false);
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            0ms run api as shop-3  # requested
            400ms shop-3 passed
            400ms run api as shop-4  # api/main.py changed
            410ms remove environment shop-3  # nobody needs it any more
            800ms shop-4 passed
            810ms remove environment shop-4  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_request_does_not_join_a_run_that_is_being_called_off() {
    check(
        |world| {
            let run = world.state.reserve_run();
            world.tell(Event::TestRequested { service: name("api"), run: run.clone(), args: vec![] });
            world.wait(ms(50));
            world.tell(Event::CancelRequested { run });
            assert_eq!(world.state.joinable_run(&name("api"), &[]), None);
            let next = world.state.reserve_run();
            world.tell(Event::TestRequested { service: name("api"), run: next, args: vec![] });
            world.settle();
        },
        expect![[r#"
            0ms run api as shop-3  # requested
            50ms cancel shop-3
            70ms shop-3 cancelled
            70ms run api as shop-4  # requested
            80ms remove environment shop-3  # nobody needs it any more
            470ms shop-4 passed
            480ms remove environment shop-4  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_verdict_is_not_current_from_the_save_until_its_run_has_ended() {
    check(
        |world| {
            let current = |world: &World| world.state.status(world.now).services[&name("api")].tests.current;
            assert!(current(world));
            world.save("api", "api/main.py", 1, Reaction::None, false);
            assert!(!current(world), "right after the save");
            world.wait(ms(100));
            assert!(!current(world), "while the run is under way");
            world.settle();
            assert!(current(world), "after it");
        },
        expect![[r#"
            10ms run api as shop-3  # api/main.py changed
            410ms shop-3 passed
            420ms remove environment shop-3  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_probe_of_an_earlier_start_says_nothing_of_this_one() {
    check(
        |world| {
            let earlier = world.started("db");
            world.probes_say = false;
            world.tell(Event::StopRequested(name("api")));
            world.kill("db", 1);
            world.wait(ms(500));
            world.tell(Event::StartRequested(name("api")));
            world.wait(ms(500));
            // The answer about the start before comes late.
            world.tell(Event::Probed { service: name("db"), started: earlier, healthy: true });
            world.wait(ms(500));
            assert_eq!(holds(world), "api: waiting for db (healthy), which has failed\n");
        },
        expect![[r#"
            0ms stop api  # it is meant to be stopped
            0ms remember stopped: ["api"]
            105ms start db  # it died
            500ms remember stopped: []
        "#]],
    );
}

#[test]
fn an_editor_that_says_so_after_the_event_is_a_person_all_the_same() {
    check(
        |world| {
            for _ in 0..20 {
                world.save("api", "api/main.py", 1, Reaction::Restart, false);
                world.tell(Event::SaveComplete(name("api")));
                world.wait(ms(600));
            }
            let restarts = world.log.iter().filter(|line| line.contains("restart api")).count();
            assert_eq!(restarts, 20);
            world.log.clear();
            world.say_holds();
            world.settle();
            world.check_converged();
        },
        expect![[""]],
    );
}

#[test]
fn a_branch_switch_with_long_pauses_is_one_change() {
    check(
        |world| {
            world.more = true;
            for _ in 0..40 {
                world.save("api", "api/main.py", 1, Reaction::Restart, false);
                world.wait(ms(200));
            }
            world.more = false;
            world.save("api", "api/main.py", 1, Reaction::Restart, false);
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            8250ms restart api  # api/main.py changed
            8250ms run api as shop-3  # api/main.py changed
            8650ms shop-3 passed
            8660ms remove environment shop-3  # nobody needs it any more
        "#]],
    );
}

#[test]
fn a_service_that_writes_into_its_own_folder_is_held_and_named() {
    check(
        |world| {
            for _ in 0..14 {
                world.save("api", "api/generated.py", 1, Reaction::Restart, false);
                world.wait(ms(600));
            }
            let restarts = world.log.iter().filter(|line| line.contains("restart api")).count();
            assert!(restarts < 14, "{restarts} restarts");
            world.log.clear();
            world.say_holds();
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            8400ms (api: held: it seems to write api/generated.py, which it watches)
            8400ms (api tests: held: it seems to write api/generated.py, which it watches)
            11610ms restart api  # api/generated.py changed
            11610ms run api as shop-15  # api/generated.py changed
            12010ms shop-15 passed
            12020ms remove environment shop-15  # nobody needs it any more
        "#]],
    );
}

#[test]
fn down_removes_everything_in_reverse_order() {
    check(
        |world| {
            world.tell(Event::DownRequested { volumes: false });
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            0ms remember stopped: ["api", "db", "web"]
            5ms remove web  # the project goes down
            35ms remove api  # the project goes down
            65ms remove db  # the project goes down
            95ms remove network shop_default  # the project goes down
            125ms gone []
        "#]],
    );
}

#[test]
fn a_port_that_is_taken_is_tried_again_and_said() {
    check(
        |world| {
            world.remove_container("web");
            world.luck.extend([Luck::Well, Luck::Refused, Luck::Refused]);
            world.wait(ms(1000));
            world.say_holds();
            world.settle();
            world.check_converged();
        },
        expect![[r#"
            5ms create web  # it has no container
            35ms start web  # it does not run
            55ms failed: Refused("refused")
            155ms start web  # it does not run
            175ms failed: Refused("refused")
            675ms start web  # it does not run
        "#]],
    );
}

use super::world::Luck;

impl World {
    fn say_holds(&mut self) {
        for line in holds(self).lines() {
            let line = format!("{:>5}ms ({line})", self.now.as_millis());
            self.log.push(line);
        }
    }
}
