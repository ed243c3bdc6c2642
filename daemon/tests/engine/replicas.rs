//! Services of several containers.

use crate::support::{World, docker, service};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

const COMPOSE: &str = "
services:
  web:
    build: web
    command: sh -c 'cat /src/main.txt; exec sleep 1000'
    volumes: ['./web:/src']
    ports: ['80']
    scale: 3
    stop_signal: KILL
  once:
    image: busybox:1
    command: 'true'
    depends_on: [web]
";

/// Index, state and container id of each.
fn replicas(status: &Value) -> BTreeMap<u64, (String, String)> {
    let each = service(status, "web")["replicas"].as_array().cloned().unwrap_or_default();
    let each = each.iter().map(|it| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (it["index"].as_u64().unwrap(), (text(&it["state"]), text(&it["container"]["id"])))
    });
    each.collect()
}

fn all_run(status: &Value, count: usize) -> bool {
    let replicas = replicas(status);
    replicas.len() == count && replicas.values().all(|(state, _)| state == "running")
}

#[test]
fn each_container_is_kept_restarted_and_reached_by_itself() {
    let mut world = World::empty();
    world.write("compose.yaml", COMPOSE);
    world.write("web/Dockerfile", "FROM busybox:1\n");
    world.write("web/main.txt", "one\n");
    world.start();
    world.expect(0, &["up"]);
    let status = world.until("up", |status| all_run(status, 3));
    let ports = service(&status, "web")["ports"].as_array().unwrap().len();
    assert_eq!(ports, 3, "{status:#}");
    let names = docker(&["ps", "--format", "{{.Names}}", "--filter", &format!("name={}-web", world.project)]);
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    let wanted: Vec<String> = (1..=3).map(|number| format!("{}-web-{number}", world.project)).collect();
    assert_eq!(names, wanted);
    let (shown, _) = world.expect(0, &["status"]);
    assert!(shown.contains(" 3/3"), "{shown}");

    // A save reaches each of them.
    world.write("web/main.txt", "two\n");
    let wrote = |text: &str| {
        let (logs, _) = world.expect(0, &["logs", "web"]);
        (1..=3).all(|number| logs.contains(&format!("web/{number} | {text}")))
    };
    world.until("restarted", |status| service(status, "web")["restarts"] == 3 && all_run(status, 3));
    world.until("served", |_| wrote("two"));

    // One of them can be meant.
    let second = replicas(&world.status())[&2].1.clone();
    let (host, _) = world.expect(0, &["exec", "--index", "2", "web", "hostname"]);
    assert!(second.starts_with(host.trim()), "{host} is not {second}");
    let (_, error) = world.expect(2, &["exec", "--index", "4", "web", "true"]);
    assert!(error.contains("they go from 1 to 3"), "{error}");

    // What happens to one is no matter of the others.
    let before = replicas(&world.status());
    docker(&["kill", &format!("{}-web-2", world.project)]);
    world.until("back", |status| service(status, "web")["restarts"] == 4 && all_run(status, 3));
    assert_eq!(replicas(&world.status()), before);
    world.replace("compose.yaml", "scale: 3", "scale: 2");
    let status = world.until("fewer", |status| all_run(status, 2) && status["settled"] == true);
    assert!(replicas(&status).iter().all(|(index, it)| before[index] == *it), "{before:?}\n{status:#}");
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={}-web-3", world.project)]), "");

    let compose = |args: &[&str]| {
        let mut command = Command::new("docker");
        command.arg("compose").args(args).current_dir(&world.root).output().unwrap()
    };
    if compose(&["version"]).status.success() {
        assert!(compose(&["up", "-d", "--no-build"]).status.success());
        let status = world.until("settled", |status| all_run(status, 2) && status["settled"] == true);
        assert!(replicas(&status).iter().all(|(index, it)| before[index] == *it), "compose made one anew");
    }

    world.replace("compose.yaml", "scale: 2", "scale: 0");
    let status = world
        .until("none", |status| service(status, "web")["state"] == "stopped" && status["settled"] == true);
    assert_eq!(service(&status, "web")["reason"], "the files ask for none of it");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
