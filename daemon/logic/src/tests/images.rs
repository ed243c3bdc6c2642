//! Images that are built from the images of other services.

use super::world::{World, name, shop};
use crate::*;

/// The shop whose web is built from the image of api.
fn built_on() -> World {
    let mut desired = shop();
    desired.suites.clear();
    let web = desired.services.get_mut(&name("web")).unwrap();
    web.needs.clear();
    web.bases.insert(name("api"));
    let mut world = World::new();
    world.tell(Event::Loaded(Box::new(desired)));
    world
}

fn builds(world: &World) -> Vec<&str> {
    let lines = world.log.iter().filter_map(|line| line.split_once("ms ")).map(|(_, line)| line);
    lines.filter(|line| line.starts_with("build") || line.starts_with("failed")).collect()
}

#[test]
fn the_base_comes_first_and_what_is_built_from_it_follows_it() {
    let mut world = built_on();
    world.settle();
    world.check_converged();
    assert_eq!(
        builds(&world),
        ["build api  # its image is not there", "build web  # its image is not there"]
    );
    world.log.clear();
    world.save("api", "Dockerfile", 1, Reaction::Rebuild, false);
    world.settle();
    world.check_converged();
    assert_eq!(builds(&world), ["build api  # Dockerfile changed", "build web  # how it is built changed"]);
}

#[test]
fn a_base_that_nobody_runs_is_built_all_the_same() {
    let mut world = built_on();
    world.tell(Event::StopRequested(name("api")));
    world.settle();
    world.check_converged();
    assert_eq!(builds(&world).len(), 2);
}
