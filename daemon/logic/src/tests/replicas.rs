//! Services of several containers.

use super::world::{World, ms, name, shop};
use crate::*;
use devd_proto::ServiceState;

/// The shop with so many containers of these services.
fn scaled(counts: &[(&str, u32)]) -> Desired {
    let mut desired = shop();
    desired.suites.clear();
    for (service, count) in counts {
        desired.scale(&name(service), *count);
    }
    desired
}

fn up(counts: &[(&str, u32)]) -> World {
    let mut world = World::new();
    world.tell(Event::Loaded(Box::new(scaled(counts))));
    world.settle();
    world.check_converged();
    world
}

/// What is done from now on, without its times and causes.
fn done(world: &mut World, story: impl FnOnce(&mut World)) -> Vec<String> {
    world.log.clear();
    story(world);
    world.settle();
    world.check_converged();
    let lines = world.log.iter().filter_map(|line| line.split_once("ms ")?.1.split_once("  # "));
    lines.map(|(line, _)| line.to_owned()).collect()
}

#[test]
fn each_container_is_made_of_one_image_and_whoever_needs_them_waits_for_all() {
    let mut world = World::new();
    let made =
        done(&mut world, |world| world.tell(Event::Loaded(Box::new(scaled(&[("db", 2), ("web", 3)])))));
    let count = |word: &str| made.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!((count("build web"), count("pull db"), count("create web"), count("create db")), (1, 1, 3, 2));
    let at = |line: &str| made.iter().position(|it| it.starts_with(line)).unwrap();
    assert!(at("start db/2") < at("start api"), "{made:#?}");
}

#[test]
fn a_save_and_a_wish_reach_each_of_them() {
    let mut world = up(&[("web", 3)]);
    let restarted = |lines: &[String]| lines.iter().filter(|line| line.starts_with("restart web")).count();
    let saved = done(&mut world, |world| world.save("web", "main.py", 1, Reaction::Restart, false));
    assert_eq!((restarted(&saved), saved.len()), (3, 3), "{saved:#?}");
    let asked = done(&mut world, |world| world.tell(Event::RestartRequested(name("web"))));
    assert_eq!((restarted(&asked), asked.len()), (3, 3), "{asked:#?}");
    let stopped = done(&mut world, |world| world.tell(Event::StopRequested(name("web"))));
    assert_eq!(stopped.iter().filter(|line| line.starts_with("stop web")).count(), 3, "{stopped:#?}");
    assert_eq!(world.state.status(world.now).services[&name("web")].state, ServiceState::Stopped);
    // What is added to something stopped is stopped, too.
    let more = done(&mut world, |world| world.tell(Event::Loaded(Box::new(scaled(&[("web", 4)])))));
    assert_eq!(more, [""; 0]);
    let started = done(&mut world, |world| world.tell(Event::StartRequested(name("web"))));
    assert_eq!(started.iter().filter(|line| line.starts_with("start web")).count(), 4, "{started:#?}");
}

#[test]
fn an_image_is_built_once_and_replaces_them_all() {
    let mut world = up(&[("web", 2)]);
    let lines = done(&mut world, |world| world.save("web", "requirements.txt", 1, Reaction::Rebuild, false));
    let of = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!(
        (of("build"), of("remove web"), of("create web"), of("start web")),
        (1, 2, 2, 2),
        "{lines:#?}"
    );
}

#[test]
fn only_the_difference_is_made_or_removed() {
    let mut world = up(&[("web", 2)]);
    let mut scale = |count| {
        let desired = scaled(&[("web", count)]);
        done(&mut world, |world| world.tell(Event::Loaded(Box::new(desired))))
    };
    assert_eq!(scale(3), ["create web/3", "start web/3"]);
    assert_eq!(scale(1).iter().filter(|line| line.starts_with("remove web")).count(), 2);
    assert_eq!(scale(0).iter().filter(|line| line.starts_with("remove web")).count(), 1);
    assert_eq!(scale(1), ["create web", "start web"]);
}

#[test]
fn one_that_is_in_trouble_is_told_of_and_mended_alone() {
    let mut world = up(&[("web", 2)]);
    world.wait(ms(20_000));
    let mended = done(&mut world, |world| {
        world.kill("web/2", 1);
        let view = &world.state.status(world.now);
        assert_eq!(view.replicas[&name("web")].len(), 2);
        assert!(!view.services.contains_key(&name("web/2")));
    });
    assert_eq!(mended, ["start web/2"]);
    world.dies("web/2", Some(1));
    world.kill("web/2", 1);
    world.settle();
    let view = world.state.status(world.now);
    let web = &view.services[&name("web")];
    assert_eq!(web.state, ServiceState::Failed);
    assert!(web.reason.as_ref().is_some_and(|reason| reason.starts_with("web/2: ")), "{web:?}");
    assert_eq!(view.replicas[&name("web")][0].state, ServiceState::Running);
}

#[test]
fn numbers_that_others_left_with_gaps_are_taken_as_they_are() {
    let container = |number: u32| Container {
        lost_network: None,
        id: format!("c{number}"),
        name: String::new(),
        service: name("web"),
        definition: None,
        config_hash: None,
        image: String::new(),
        state: ContainerState::Running,
        health: Health::None,
        started: String::new(),
        shares: std::collections::BTreeSet::new(),
        number,
    };
    let named = |numbers: &[u32]| {
        let containers = numbers.iter().map(|number| container(*number)).collect();
        let mut observed = Observed { containers, ..Observed::default() };
        let desired = scaled(&[("web", 2)]);
        observed.name_replicas(&desired);
        let first = observed.clone();
        observed.name_replicas(&desired);
        assert_eq!(first, observed, "twice is another thing than once");
        let each = observed.containers.iter().map(|it| format!("{}={}", it.id, it.service));
        each.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(named(&[1, 2]), "c1=web c2=web/2");
    assert_eq!(named(&[2, 3]), "c2=web/2 c3=web");
    assert_eq!(named(&[7, 4, 5]), "c7=web c4=web c5=web/2");
    assert_eq!(named(&[1, 1]), "c1=web c1=web/2");
}
