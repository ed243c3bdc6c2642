//! Whatever dies, services live on and nothing is left over.

use crate::support::{World, docker, service};
use serde_json::Value;

pub(crate) fn started(world: &World) -> Vec<String> {
    let names = ["service1", "service2", "db"].map(|name| world.container(name));
    names.iter().map(|name| docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name])).collect()
}

#[test]
fn a_killed_container_comes_back_and_a_stopped_service_stays_stopped() {
    let mut world = World::example("shop");
    world.start();
    world.expect(0, &["up"]);
    docker(&["kill", &world.container("service2")]);
    world.until("noticed", |status| service(status, "service2")["last_exit"]["code"] == 137);
    world.until("back", |status| service(status, "service2")["state"] == "running");
    world.until_served(world.ports[1], "/health", |_| true);

    world.expect(0, &["stop", "service2"]);
    assert_eq!(world.service("service2")["state"], "stopped");
    world.replace("service2/main.py", "import", "import  ");
    world.until_tested("service2", "passed", &Value::Null);
    assert_eq!(world.service("service2")["state"], "stopped");
    let state = docker(&["inspect", "--format", "{{.State.Running}}", &world.container("service2")]);
    assert_eq!(state, "false");

    docker(&["rm", "-f", &world.container("service1")]);
    world.until("made anew", |status| {
        service(status, "service1")["state"] == "running" && status["settled"] == true
    });
    world.until_served(world.ports[0], "/health", |_| true);
    world.expect(0, &["start", "service2"]);
    world.until_served(world.ports[1], "/health", |_| true);
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_daemon_that_is_killed_finds_everything_as_it_was() {
    let mut world = World::example("shop");
    world.start();
    world.expect(0, &["up"]);
    world.expect(0, &["stop", "service2"]);
    world.expect(0, &["start", "service2"]);
    let first = world.until_tested("service1", "passed", &Value::Null);
    world.until_tested("service2", "passed", &Value::Null);
    let before = started(&world);

    world.kill_daemon();
    assert_eq!(started(&world), before);
    world.start();
    let status = world.until("as it was", |status| {
        status["settled"] == true && service(status, "service1")["tests"]["current"] == true
    });
    assert_eq!(
        service(&status, "service1")["tests"]["run"],
        first["tests"]["run"],
        "tested again for nothing"
    );
    assert_eq!(started(&world), before, "a container was restarted");

    // What was edited while it was dead is tested when it is back.
    world.kill_daemon();
    world.replace("service1/main.py", "Hello", "Hullo");
    world.start();
    world.until_tested("service1", "passed", &first["tests"]["run"]);
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_daemon_that_is_killed_amid_tests_leaves_no_test_container_after_its_next_start() {
    let mut world = World::example("shop");
    world.replace("service1/compose.yaml", "python -m unittest", "sleep 3600");
    world.start();
    world.expect(0, &["up"]);
    world.until("testing", |status| service(status, "service1")["tests"]["state"] == "running");
    world.until("in containers", |_| world.environments().lines().count() >= 2);
    world.kill_daemon();
    assert_ne!(world.environments(), "");
    world.write("service1/compose.yaml", &world.read("service2/compose.yaml"));
    world.start();
    world.until_tested("service1", "passed", &Value::Null);
    // Nothing was saved for service 2, and nobody has touched it since the start.
    world.until_tidy(1);
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_daemon_that_is_stopped_amid_tests_leaves_no_test_container() {
    let mut world = World::example("shop");
    world.replace("service1/compose.yaml", "python -m unittest", "sleep 3600");
    world.start();
    world.expect(0, &["up"]);
    world.until("testing", |_| world.environments().lines().count() >= 2);
    let before = started(&world);
    world.stop_daemon();
    assert_eq!(world.environments(), "");
    assert_eq!(started(&world), before, "a service was touched");
    world.start();
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
