//! Images out of a registry, and when they are pulled.

use crate::registry::Registry;
use crate::support::{World, docker};

#[test]
fn images_are_pulled_when_their_policy_says_so() {
    let registry = Registry::start();
    let mut world = World::empty();
    let compose = |policy: &str| {
        let image = &registry.image;
        format!(
            "services:\n  web:\n    image: {image}\n    command: sleep 1000\n    stop_signal: KILL\n{policy}"
        )
    };
    let version = |world: &World| {
        let label = "{{.Config.Labels.version}}";
        docker(&["inspect", "--format", label, &world.container("web")])
    };
    registry.offer("one");
    world.write("compose.yaml", &compose(""));
    world.start();
    world.expect(0, &["up"]);
    assert_eq!(version(&world), "one");
    registry.offer("two");
    world.expect(0, &["up"]);
    assert_eq!((version(&world).as_str(), registry.pulls()), ("one", 1), "it was there");

    // It came less than a day ago. Some engines only note the time of tags that are set by hand.
    docker(&["tag", &registry.image, &registry.image]);
    world.write("compose.yaml", &compose("    pull_policy: daily\n"));
    world.expect(0, &["up"]);
    assert_eq!((version(&world).as_str(), registry.pulls()), ("one", 1));
    world.write("compose.yaml", &compose("    pull_policy: every_1ms\n"));
    world.expect(0, &["up"]);
    assert_eq!(version(&world), "two");

    world.write("compose.yaml", &compose("    pull_policy: always\n"));
    world.expect(0, &["up"]);
    let pulled = registry.pulls();
    registry.offer("three");
    world.expect(0, &["up"]);
    assert_eq!((version(&world).as_str(), registry.pulls()), ("three", pulled + 1));
    let made = docker(&["inspect", "--format", "{{.Id}}", &world.container("web")]);
    world.expect(0, &["up"]);
    assert_eq!(registry.pulls(), pulled + 2);
    assert_eq!(
        docker(&["inspect", "--format", "{{.Id}}", &world.container("web")]),
        made,
        "nothing new came"
    );
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
