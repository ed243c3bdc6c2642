//! Nothing is left over, whoever dies, and nobody's things are taken for leftovers.

use crate::support::{World, docker, lines, service};
use crate::survival::started;
use serde_json::Value;
use std::collections::BTreeSet;

/// Everything of a project that is part of a test environment.
fn parts(world: &World) -> BTreeSet<String> {
    let project = format!("label=dev.devd.project={}", world.project);
    let filters = ["--filter", &project, "--filter", "label=dev.devd.environment"];
    let list = |what: &[&str]| docker(&[what, &filters[..]].concat());
    let all = [
        list(&["ps", "-aq", "--no-trunc"]),
        list(&["network", "ls", "--format", "{{.Name}}"]),
        list(&["volume", "ls", "-q"]),
    ];
    all.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
}

fn listed<'a>(leftovers: &'a Value, list: &str, project: &str) -> BTreeSet<&'a str> {
    let all = leftovers[list].as_array().unwrap().iter();
    all.filter(|it| it["project"] == project).map(|it| it["id"].as_str().unwrap()).collect()
}

#[test]
fn two_daemons_on_one_engine_leave_each_other_alone_and_what_a_killed_one_left_is_found() {
    let mut first = World::example("shop");
    first.replace("service1/compose.yaml", "python -m unittest", "sleep 3600");
    first.start();
    // Only tests: the services themselves would be both daemons'.
    first.expect(0, &["test", "service1", "--no-wait"]);
    first.until("testing", |status| service(status, "service1")["tests"]["state"] == "running");
    first.until_so(|| first.environments().lines().count() >= 2);

    // The same project, as another daemon sees it that has a state folder of its own.
    let mut second = World::empty();
    (second.root, second.project) = (first.root.clone(), first.project.clone());
    second.start();
    second.expect(0, &["test", "service2", "--no-wait"]);
    second.until("tested", |status| service(status, "service2")["tests"]["state"] == "passed");
    let running = first.service("service1");
    assert_eq!(running["tests"]["state"], "running", "the other daemon has swept its environment");
    let leftovers = second.json(&["doctor", "--clean"]);
    assert_eq!(listed(&leftovers, "leftovers", &first.project), BTreeSet::new(), "{leftovers:#}");

    // Now it dies without a word.
    second.stop_daemon();
    let before = parts(&first);
    assert!(!before.is_empty());
    first.kill_daemon();
    second.start();
    second.expect(0, &["test", "service2", "--no-wait"]);
    second.until("tested", |status| service(status, "service2")["tests"]["state"] == "passed");
    let leftovers = second.json(&["doctor", "--clean"]);
    let left = listed(&leftovers, "leftovers", &first.project);
    assert!(!left.is_empty(), "{leftovers:#}");
    let all = parts(&first);
    assert!(left.iter().all(|id| before.contains(*id) && all.contains(*id)), "{leftovers:#}");
    let (said, _) = second.expect(1, &["doctor", "--clean", "-p", &first.project]);
    assert!(
        said.contains("has ended, and its tests with it") && said.contains("nothing was removed"),
        "{said}"
    );
    let (said, _) = second.expect(0, &["doctor", "--clean", "--yes", "-p", &first.project]);
    assert!(said.contains("✓ removed network "), "{said}");
    assert!(parts(&first).is_disjoint(&before), "{leftovers:#}");
    second.expect(0, &["down"]);
    assert_eq!(second.leftovers(), "");
}

#[test]
fn what_is_left_of_a_project_that_nobody_registers_again_goes_with_the_next_start() {
    let mut world = World::example("shop");
    world.replace("service1/compose.yaml", "python -m unittest", "sleep 3600");
    world.start();
    world.expect(0, &["up"]);
    world.until("in containers", |_| world.environments().lines().count() >= 2);
    world.kill_daemon();
    assert!(!parts(&world).is_empty());
    // Its registration is lost with the history; what says whose things are is not.
    for file in ["history.db", "history.db-wal", "history.db-shm"] {
        let _ = std::fs::remove_file(world.dir.path().join("state").join(file));
    }
    world.start();
    world.until_so(|| parts(&world).is_empty());
    // Services are asked for, and volumes asked for twice.
    let stack = started(&world);
    let leftovers = world.json(&["doctor", "--clean"]);
    let left = listed(&leftovers, "leftovers", &world.project);
    let is_in = |container: &String| left.iter().any(|id| container.starts_with(id));
    assert!(stack.iter().all(is_in), "{leftovers:#}");
    world.expect(0, &["doctor", "--clean", "--volumes", "--yes", "-p", &world.project]);
    assert_eq!(world.leftovers(), "");
    assert!(world.control_folders().is_empty(), "{:?}", world.control_folders());
}

#[test]
fn everything_that_is_made_says_whose_it_is_and_what_for() {
    let mut world = World::example("shop");
    // The engine keeps few events: they are read as they come.
    let now = docker(&["info", "--format", "{{.SystemTime}}"]);
    let mut events = std::process::Command::new("docker")
        .args(["events", "--since", &now, "--filter", "type=container", "--filter", "event=create"])
        .args(["--format", "{{json .Actor.Attributes}}"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let made = lines(events.stdout.take().unwrap());
    world.start();
    world.expect(0, &["up"]);
    for name in ["service1", "service2"] {
        world.until_tested(name, "passed", &Value::Null);
    }
    world.until_tidy(2);
    events.kill().unwrap();
    events.wait().unwrap();
    let mut roles = BTreeSet::new();
    for line in made {
        let labels: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
        if ![text("name"), text("image"), text("dev.devd.project")]
            .iter()
            .any(|it| it.contains(&world.project))
        {
            continue;
        }
        for name in ["dev.devd.project", "dev.devd.role", "dev.devd.lease", "dev.devd.state"] {
            assert_ne!(text(name), "", "{name} is not on {labels:#}");
        }
        assert!(text("dev.devd.state").ends_with("/state"), "{labels:#}");
        roles.insert(text("dev.devd.role"));
    }
    assert_eq!(roles, ["service", "tests"].map(str::to_owned).into());
    let project = format!("label=dev.devd.project={}", world.project);
    for (list, inspect) in [("network", ".Labels"), ("volume", ".Labels"), ("image", ".Config.Labels")] {
        let format =
            format!("{{{{index {inspect} \"dev.devd.lease\"}}}} {{{{index {inspect} \"dev.devd.role\"}}}}");
        let ids = docker(&[list, "ls", "-q", "--filter", &project]);
        for id in ids.lines() {
            let marks = docker(&[list, "inspect", "--format", &format, id]);
            assert_eq!(marks.split(' ').filter(|mark| !mark.is_empty()).count(), 2, "{list} {id}: {marks}");
        }
    }
    world.expect(0, &["down", "--volumes"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_restart_of_the_daemon_touches_no_container() {
    let mut world = World::example("shop");
    world.start();
    world.expect(0, &["up"]);
    world.until_tested("service1", "passed", &Value::Null);
    let before = started(&world);
    let pid = world.json(&["daemon", "status"])["daemon"]["pid"].clone();
    world.expect(0, &["daemon", "restart"]);
    world.forget_daemon();
    let status = world.json(&["daemon", "status"]);
    assert_ne!(status["daemon"]["pid"], pid);
    world.until("as it was", |status| status["settled"] == true);
    assert_eq!(started(&world), before, "a container was touched");
    let (log, _) = world.expect(0, &["daemon", "logs"]);
    assert!(log.contains("devdd version="), "{log}");
    world.expect(0, &["down"]);
    world.expect(0, &["daemon", "stop"]);
    assert_eq!(world.leftovers(), "");
}
