//! The blog's application, in both forms of compose files.

use crate::support::{World, docker, get, service};
use serde_json::Value;

/// The folder of service 1 in each form.
const FORMS: [(&str, &str, &str); 2] = [("blog", "Service 1", "Service 2"), ("shop", "service1", "service2")];

fn run_of(world: &World, name: &str) -> Value {
    world.service(name)["tests"]["run"].clone()
}

fn lives(form: usize) {
    let (example, one, two) = FORMS[form];
    let mut world = World::example(example);
    world.start();
    let (out, _) = world.expect(0, &["up"]);
    assert!(out.contains(&world.ports[0].to_string()), "the table of addresses lacks a port:\n{out}");

    // Both services answer, in dev mode, and reach each other and the db by name.
    for (port, name) in [(world.ports[0], "service1"), (world.ports[1], "service2")] {
        let health = world.until_served(port, "/health", |answer| answer.contains("\"db\": true"));
        assert!(health.contains(&format!("\"service\": \"{name}\"")), "{health}");
        assert!(health.contains("\"mode\": \"dev\""), "{health}");
    }
    world.until_served(world.ports[0], "/links", |answer| {
        answer.contains("service2") && answer.contains("\"db\": true")
    });

    // Both are tested, beside databases of their own that are gone afterwards; the next ones stand ready.
    let first = world.until_tested("service1", "passed", &Value::Null);
    let other = world.until_tested("service2", "passed", &Value::Null);
    assert_eq!(first["tests"]["failed"], 0, "{first:#}");
    assert!(first["tests"]["passed"].as_u64().unwrap() >= 4, "{first:#}");
    let ready = world.until_tidy(2);

    // An edit is served without any command, and reruns that service's tests and no other's.
    let before = first["container"]["id"].clone();
    world.replace(&format!("{one}/main.py"), "Hello from service 1", "Good evening from service 1");
    world.until_served(world.ports[0], "/", |answer| answer.contains("Good evening"));
    let again = world.until_tested("service1", "passed", &first["tests"]["run"]);
    let run = again["tests"]["run"].as_str().unwrap();
    let stages = world.json(&["runs", "show", run])["stages"].clone();
    assert!(stages.as_array().unwrap().iter().any(|stage| stage["name"] == "warm"), "{stages:#}");
    let now = world.until_tidy(2);
    assert_eq!(
        ready.intersection(&now).count(),
        1,
        "an environment was used twice, or two were used: {now:?}"
    );
    assert_eq!(again["container"]["id"], before, "the container was replaced");
    assert_eq!(again["restarts"], 1, "{again:#}");
    assert_eq!(again["last_change"]["path"], format!("{one}/main.py"));
    assert_eq!(run_of(&world, "service2"), other["tests"]["run"], "the other service was tested too");

    // A test that breaks is seen, with its name; mended, it passes.
    let file = format!("{two}/counters.py");
    let good = world.read(&file);
    world.write(&file, &format!("{good}\nraise RuntimeError('broken on purpose')\n"));
    let broken = world.until_tested("service2", "failed", &other["tests"]["run"]);
    assert!(broken["tests"]["failed"].as_u64().unwrap() >= 1, "{broken:#}");
    let (_, _) = world.expect(1, &["status"]);
    let (log, _) = world.expect(0, &["logs", "--run", "last-failed"]);
    assert!(log.contains("broken on purpose"), "{log}");
    world.write(&file, &good);
    world.until_tested("service2", "passed", &broken["tests"]["run"]);

    // Compose's own view of the stack. The tests may be through before the restart is.
    world.until("settled", |status| status["settled"] == true);
    let filter = format!("label=com.docker.compose.project={}", world.project);
    let names = docker(&["ps", "--filter", &filter, "--format", "{{.Names}}"]);
    for service in ["service1", "service2", "db"] {
        assert!(names.lines().any(|name| name == world.container(service)), "{names}");
    }

    assert_eq!(world.control_folders().len(), 2);
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "", "something is left");
    assert!(world.control_folders().is_empty(), "{:?}", world.control_folders());
    assert!(get(world.ports[0], "/health").is_none());
    world.stop_daemon();
}

#[test]
fn the_application_in_the_legacy_form_lives() {
    lives(0);
}

#[test]
fn the_application_in_the_specification_form_lives() {
    lives(1);
}

#[test]
fn the_commands_of_a_day_work_on_it() {
    let mut world = World::example("shop");
    world.start();
    world.expect(0, &["up"]);
    world.until_tested("service1", "passed", &Value::Null);

    let (out, _) = world.expect(0, &["exec", "service1", "sh", "-c", "echo $ENV; cat main.py | head -1"]);
    assert!(out.starts_with("dev\n"), "{out}");
    world.expect(7, &["exec", "service1", "sh", "-c", "exit 7"]);

    world.until_served(world.ports[0], "/health", |_| true);
    let (out, _) = world.expect(0, &["logs", "service1", "--tail", "20"]);
    assert!(out.contains("GET /health"), "{out}");

    let (out, _) = world.expect(0, &["test", "service1"]);
    assert!(out.contains("OK"), "{out}");
    let runs = world.json(&["runs", "service1"]);
    assert_eq!(runs["runs"][0]["cause"], "request", "{runs:#}");
    let id = runs["runs"][0]["id"].as_str().unwrap().to_owned();
    let (out, _) = world.expect(0, &["runs", "show", &id]);
    assert!(out.contains(&id), "{out}");

    world.expect(0, &["restart", "service1"]);
    assert_eq!(world.service("service1")["restarts"], 1);
    world.expect(0, &["rebuild", "service2"]);
    world.expect(0, &["config"]);
    let (out, _) = world.expect(0, &["why", "service1/main.py"]);
    assert!(out.contains("restart"), "{out}");
    world.expect(0, &["doctor"]);

    let image = format!("{}-production", world.project);
    world.expect(0, &["build", "service1", "--tag", &image]);
    let env = docker(&["inspect", "--format", "{{.Config.Env}}", &image]);
    assert!(!env.contains("ENV=dev"), "{env}");

    let (_, err) = world.expect(2, &["restart", "servcie1"]);
    assert!(err.contains("service1"), "the nearest name is not offered: {err}");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
    world.stop_daemon();
}

#[test]
fn two_projects_live_in_one_daemon() {
    let mut world = World::example("shop");
    world.start();
    world.expect(0, &["up"]);
    let second = World::example("blog");
    let mut up = second.command(&["up"]);
    for name in ["DEVD_SOCKET", "DEVD_STATE_DIR"] {
        let value = if name == "DEVD_SOCKET" { "run/devd.sock" } else { "state" };
        up.env(name, world.dir.path().join(value));
    }
    assert!(up.status().unwrap().success());
    let status = world.json(&["status"]);
    let names: Vec<&str> =
        status["projects"].as_array().unwrap().iter().filter_map(|it| it["name"].as_str()).collect();
    assert!(names.contains(&world.project.as_str()) && names.contains(&second.project.as_str()), "{names:?}");
    let mut down = second.command(&["down"]);
    down.env("DEVD_SOCKET", world.dir.path().join("run/devd.sock"));
    assert!(down.status().unwrap().success());
    assert_eq!(second.leftovers(), "");
    assert_eq!(service(&world.status(), "service1")["state"], "running");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
