//! An image that is built from the image of another service.

use crate::support::{World, docker};
use std::process::Command;

const COMPOSE: &str = "
services:
  app:
    build: {context: app, additional_contexts: {base: 'service:base'}}
    command: sh -c 'cat /base.txt; exec sleep 1000'
    stop_signal: KILL
  base:
    build: base
    command: sleep 1000
    stop_signal: KILL
";

#[test]
fn it_is_built_after_the_other_and_again_with_it() {
    if !Command::new("docker").args(["buildx", "version"]).output().is_ok_and(|it| it.status.success()) {
        println!("docker buildx is not installed here: no other image can be added to a build");
        return;
    }
    let mut world = World::empty();
    world.write("compose.yaml", COMPOSE);
    world.write("base/Dockerfile", "FROM busybox:1\nCOPY base.txt /\n");
    world.write("base/base.txt", "one\n");
    world.write("app/Dockerfile", "FROM base\n");
    world.start();
    // The base is not asked for, but its image is needed.
    let up = world.run(&["up", "app"]);
    let said = String::from_utf8_lossy(&up.stderr).into_owned();
    if said.contains("`build.additional_contexts` needs a newer engine") {
        println!("this engine is too old for it, and says so");
        assert_eq!(up.status.code(), Some(1));
        world.expect(0, &["down"]);
        assert_eq!(world.leftovers(), "");
        return;
    }
    assert!(up.status.success(), "{said}");
    assert_eq!(world.expect(0, &["logs", "--no-log-prefix", "app"]).0, "one\n");
    let filter = format!("name={}-base", world.project);
    assert_eq!(docker(&["ps", "-aq", "--filter", &filter]), "");
    world.expect(0, &["up"]);
    world.write("base/base.txt", "two\n");
    world.until("built again", |status| {
        status["settled"] == true && world.expect(0, &["logs", "--no-log-prefix", "app"]).0 == "two\n"
    });
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
