//! What others do through the engine, and what compose made.

use super::world::{Luck, World, ms, name, shop};
use crate::*;
use devd_proto::{ProjectState, ServiceState};

fn up() -> World {
    let mut world = World::new();
    world.settle();
    world.log.clear();
    world
}

fn state(world: &World, service: &str) -> (ServiceState, Option<String>) {
    let view = &world.state.status(world.now).services[&name(service)];
    (view.state, view.reason.clone())
}

fn operations(world: &World) -> Vec<&str> {
    let lines = world.log.iter().map(|line| line.split_once("ms ").map_or(line.as_str(), |(_, rest)| rest));
    lines.filter(|line| line.contains('#')).collect()
}

#[test]
fn what_somebody_stops_stays_stopped_until_somebody_wants_it() {
    for code in [0, 143, 137] {
        let mut world = up();
        world.stop_outside("web", code);
        world.settle();
        assert_eq!(operations(&world), [""; 0], "it was fought against");
        let (word, reason) = state(&world, "web");
        assert_eq!(word, ServiceState::Stopped);
        assert!(reason.unwrap().starts_with("stopped by somebody else"));
        assert_eq!(world.state.memory().stopped, [name("web")].into(), "it is forgotten with the daemon");
        world.tell(Event::StartRequested(name("web")));
        world.settle();
        assert_eq!(state(&world, "web"), (ServiceState::Running, None));
    }
}

#[test]
fn what_somebody_starts_again_is_kept_running_again() {
    let mut world = up();
    world.stop_outside("web", 143);
    world.settle();
    world.start_outside("web");
    world.settle();
    assert_eq!(operations(&world), [""; 0]);
    assert_eq!(state(&world, "web").0, ServiceState::Running);
    world.kill("web", 1);
    world.settle();
    assert_eq!(operations(&world), ["start web  # it died"]);
    world.check_converged();
}

#[test]
fn a_restart_by_somebody_else_is_theirs() {
    let mut world = up();
    world.tell(Event::ToldToEnd(name("web")));
    world.kill("web", 143);
    world.wait(ms(400));
    world.start_outside("web");
    world.tell(Event::StoppedOutside(name("web")));
    world.settle();
    assert_eq!(operations(&world), [""; 0]);
    assert_eq!(state(&world, "web").0, ServiceState::Running);
}

#[test]
fn a_signal_alone_is_no_stop() {
    let mut world = up();
    world.tell(Event::ToldToEnd(name("web")));
    world.kill("web", 143);
    world.settle();
    assert_eq!(operations(&world), ["start web  # it does not run"]);
    world.check_converged();
}

#[test]
fn a_project_that_somebody_takes_down_is_not_brought_back() {
    let mut world = up();
    for service in ["web", "api", "db"] {
        world.stop_outside(service, 143);
    }
    for service in ["web", "api", "db"] {
        world.remove_container(service);
    }
    world.remove_networks();
    world.settle();
    assert_eq!(operations(&world), [""; 0]);
    assert_eq!(world.state.status(world.now).state, ProjectState::Stopped);
    world.tell(Event::UpRequested { services: [].into(), build: false });
    world.settle();
    world.check_converged();
}

#[test]
fn what_devd_restarts_itself_was_stopped_by_nobody_else() {
    let mut world = up();
    world.save("web", "web/main.py", 1, Reaction::Restart, true);
    world.wait(ms(5));
    // The engine tells of that restart as of any other, also when it is over.
    world.tell(Event::ToldToEnd(name("web")));
    world.tell(Event::StoppedOutside(name("web")));
    world.wait(ms(300));
    world.tell(Event::StoppedOutside(name("web")));
    world.settle();
    assert_eq!(state(&world, "web").0, ServiceState::Running);
    world.check_converged();
}

#[test]
fn a_stop_by_hand_amid_a_restart_of_devds_own_is_a_stop() {
    let mut world = up();
    // The container ends, and nothing is restarted in it.
    world.luck.push_back(Luck::Refused);
    world.save("web", "web/main.py", 1, Reaction::Restart, true);
    world.wait(ms(5));
    world.tell(Event::ToldToEnd(name("web")));
    world.kill("web", 143);
    world.tell(Event::StoppedOutside(name("web")));
    world.settle();
    let mut of_web = operations(&world);
    of_web.retain(|line| line.contains("start web "));
    assert_eq!(of_web, ["restart web  # web/main.py changed"]);
    let (word, reason) = state(&world, "web");
    assert_eq!(word, ServiceState::Stopped);
    assert!(reason.unwrap().starts_with("stopped by somebody else"));
}

#[test]
fn what_the_user_stops_was_stopped_by_nobody_else_however_late_the_engine_tells_it() {
    let mut world = up();
    world.tell(Event::StopRequested(name("web")));
    world.settle();
    world.tell(Event::ToldToEnd(name("web")));
    world.tell(Event::StoppedOutside(name("web")));
    world.settle();
    assert_eq!(state(&world, "web"), (ServiceState::Stopped, None));
}

#[test]
fn a_stack_that_compose_made_from_these_files_is_taken_over_as_it_is() {
    let mut world = up();
    world.foreign(true);
    world.settle();
    assert_eq!(operations(&world), [""; 0]);
    let desired = shop();
    assert!(desired.services.keys().all(|name| state(&world, name.as_str()).0 == ServiceState::Running));
}

#[test]
fn a_stack_that_compose_made_from_other_files_is_made_anew() {
    let mut world = up();
    world.foreign(false);
    world.settle();
    let made = operations(&world);
    for service in ["api", "db", "web"] {
        assert!(
            made.contains(&format!("remove {service}  # it was not made from these files").as_str()),
            "{made:?}"
        );
    }
    world.check_converged();
}
