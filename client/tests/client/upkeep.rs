//! Clean-up, upgrades and bug reports, against answers written by hand.

use crate::scripted::{Asked, Reply, json, listen, problem};
use crate::support::World;
use serde_json::{Value, json};
use std::fs;
use std::io::Read as _;

fn world(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> World {
    let world = World::new();
    world.make_socket_folder();
    drop(listen(&world.socket(), answer));
    world
}

fn version() -> Value {
    json!({"version": env!("CARGO_PKG_VERSION"), "api": "v1", "pid": 1, "started_at": "2026-05-01T12:00:00.000Z"})
}

fn unexpected(asked: &Asked) -> Reply {
    problem(&json!({"title": format!("unexpected: {}", asked.line), "status": 500, "code": "internal"}))
}

fn leftover(name: &str, removed: bool) -> Value {
    json!({"kind": "network", "id": format!("id-{name}"), "name": name, "project": "shop", "role": "tests",
           "reason": "shop is not registered", "removed": removed})
}

fn clean(asked: &Asked) -> Reply {
    match asked.line.as_str() {
        "GET /v1/leftovers?volumes=false" => json(
            &json!({"leftovers": [leftover("a", false), leftover("b", false)], "kept": [leftover("c", false)]}),
        ),
        "GET /v1/leftovers?volumes=true" => json(&json!({"leftovers": [], "kept": []})),
        "POST /v1/leftovers" if asked.body == r#"{"ids":["id-a","id-b"],"volumes":false}"# => {
            let mut stuck = leftover("b", false);
            stuck["error"] = "it is in use".into();
            json(&json!({"leftovers": [leftover("a", true), stuck], "kept": []}))
        }
        _ => unexpected(asked),
    }
}

#[test]
fn clean_shows_what_is_left_over_and_removes_nothing_by_itself() {
    let world = world(|asked| match asked.line.as_str() {
        "POST /v1/leftovers" => panic!("nobody said yes"),
        _ => clean(asked),
    });
    let shown = world.run(&["doctor", "--clean"]);
    assert_eq!(shown.code, 1, "{}{}", shown.out, shown.err);
    assert_eq!(
        shown.out,
        "network   a   shop is not registered\nnetwork   b   shop is not registered\n\
         nothing was removed; 1 other thing of devd stays (--json says why); `--yes` removes what is listed\n"
    );
    let shown = world.run(&["doctor", "--clean", "--json"]);
    let value: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!((shown.code, value["kept"][0]["name"].as_str()), (1, Some("c")));
    let none = world.run(&["doctor", "--clean", "--volumes"]);
    assert_eq!((none.code, none.out.as_str()), (0, "nothing is left over\n"));
    for wrong in [&["doctor", "--yes"][..], &["doctor", "--volumes"], &["doctor", "--clean", "--bundle"]] {
        assert_eq!(world.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn clean_can_be_kept_to_one_project() {
    let world = world(|asked| match asked.line.as_str() {
        "GET /v1/leftovers?volumes=false" => {
            let mut other = leftover("b", false);
            other["project"] = "blog".into();
            json(&json!({"leftovers": [leftover("a", false), other], "kept": []}))
        }
        "POST /v1/leftovers" if asked.body == r#"{"ids":["id-a"],"volumes":false}"# => {
            json(&json!({"leftovers": [leftover("a", true)], "kept": []}))
        }
        _ => unexpected(asked),
    });
    let removed = world.run(&["doctor", "--clean", "--yes", "-p", "shop"]);
    assert_eq!((removed.code, removed.err.as_str()), (0, ""));
    assert!(removed.out.ends_with("✓ removed network a\n") && !removed.out.contains('b'), "{}", removed.out);
}

#[test]
fn clean_removes_what_it_has_shown_and_says_what_stayed() {
    let world = world(clean);
    let removed = world.run(&["doctor", "--clean", "--yes"]);
    assert_eq!(removed.code, 1, "{}{}", removed.out, removed.err);
    assert!(removed.out.ends_with("✓ removed network a\n✗ network b: it is in use\n"), "{}", removed.out);
}

/// A daemon of another version, which does not know of leftovers.
fn other(version: &'static str) -> impl Fn(&Asked) -> Reply {
    move |asked| {
        let reply = match asked.line.as_str() {
            "GET /v1/status" => json(&json!({
                "daemon": {"version": version, "pid": 1, "uptime_ms": 1000, "mood": "good", "replaced": true,
                    "engine": {"state": "connected", "kind": "docker", "version": "1", "endpoint": "unix:///x"}},
                "projects": [{"name": "shop", "root": "/p", "state": "haunted", "error": null, "revision": 1,
                    "settled": true, "services": []}]})),
            "POST /v1/resolve" => json(&json!({"project": "shop", "root": "/p", "registered": true})),
            _ => problem(
                &json!({"title": "no such route", "status": 404, "code": "not_found", "help": "see there"}),
            ),
        };
        Reply::Of(version, Box::new(reply))
    }
}

#[test]
fn a_daemon_of_another_version_is_told_of_once_and_used_all_the_same() {
    for version in ["0.0.1", "99.0.0"] {
        let world = world(other(version));
        let status = world.run(&["status"]);
        assert!(
            status.out.contains("shop") && status.out.contains("unknown"),
            "{}{}",
            status.out,
            status.err
        );
        let own = env!("CARGO_PKG_VERSION");
        assert_eq!(
            status.err,
            format!(
                "note: devd is {own}, and the daemon that runs is {version}: `devd daemon restart` brings them \
                 together (services keep running)\n"
            )
        );
        let saved = world.run(&["saved", "x"]);
        assert_eq!((saved.code, saved.out.as_str(), saved.err.as_str()), (0, "", ""), "an editor calls it");
        let unknown = world.run(&["doctor", "--clean"]);
        assert_eq!(unknown.code, 1);
        assert!(
            unknown.err.contains("help: devd is ") && unknown.err.contains("devd daemon restart"),
            "{}",
            unknown.err
        );
        let status = world.run(&["daemon", "status"]);
        assert!(
            status.out.contains("its program was replaced since it started: devd daemon restart"),
            "{}",
            status.out
        );
    }
}

#[test]
fn nothing_is_said_of_a_daemon_of_the_same_version() {
    let world = world(other(env!("CARGO_PKG_VERSION")));
    assert_eq!(world.run(&["status"]).err, "");
    let unknown = world.run(&["doctor", "--clean"]);
    assert!(unknown.err.contains("help: see there"), "{}", unknown.err);
}

#[test]
fn a_bundle_has_what_a_bug_report_needs_and_no_secret() {
    let world = world(|asked| match asked.line.as_str() {
        "GET /v1/version" => json(&version()),
        "GET /v1/doctor" => json(&json!({"findings": [
            {"check": "state", "state": "ok", "message": "/home/eve/.local/state can be written"}]})),
        "GET /v1/leftovers" => json(&json!({"leftovers": [], "kept": []})),
        "GET /metrics" => Reply::Body(200, "text/plain", "devd_projects 1\n".to_owned()),
        "GET /v1/status" => json(&json!({
            "daemon": {"version": "0.1.0", "pid": 1, "uptime_ms": 1000,
                "engine": {"state": "connected", "kind": "docker", "version": "1", "endpoint": "tcp://me:pw@far:1"}},
            "projects": [{"name": "shop", "root": "/home/eve/shop", "state": "running", "revision": 1, "settled": true,
                "error": {"severity": "error", "code": "x", "message": "bad", "rendered": "  3 | PASSWORD: sesame"},
                "services": [{"name": "api", "state": "running", "health": "none", "reason": null,
                    "container": null, "ports": [], "since": null, "restarts": 0, "last_change": null,
                    "last_exit": {"code": 1, "at": "x", "output": ["it wrote swordfish"]},
                    "tests": {"state": "none", "current": false, "run": null, "started_at": null,
                        "duration_ms": null, "passed": null, "failed": null, "skipped": null}}]}]})),
        _ => unexpected(asked),
    });
    fs::create_dir_all(world.path("state")).unwrap();
    let log = format!(
        "INFO reads {}/shop with top-secret-value\nDB_PASSWORD=opensesame\n",
        world.path("home").display()
    );
    fs::write(world.path("state/devdd.log"), log).unwrap();
    let file = world.path("home/out.tar");
    let mut command = world.command(&["doctor", "--bundle", "out.tar"]);
    command.env("API_TOKEN", "top-secret-value").env("DOCKER_HOST", "tcp://me:pw@far:1");
    let bundle = crate::support::run(&mut command);
    assert_eq!(bundle.code, 0, "{}{}", bundle.out, bundle.err);
    let names = [
        "versions.txt",
        "doctor.json",
        "status.json",
        "leftovers.json",
        "metrics.txt",
        "log.txt",
        "config.toml",
    ];
    assert!(names.iter().all(|name| bundle.out.contains(name)), "{}", bundle.out);

    let mut archive = tar::Archive::new(fs::File::open(&file).unwrap());
    let mut found = Vec::new();
    let mut all = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        found.push(entry.path().unwrap().display().to_string());
        entry.read_to_string(&mut all).unwrap();
    }
    assert_eq!(found, names.map(|name| format!("devd-bundle/{name}")));
    let home = world.path("home").display().to_string();
    for secret in ["top-secret-value", "opensesame", "sesame", "swordfish", "me:pw", "/home/eve", &home] {
        assert!(!all.contains(secret), "{secret} is in\n{all}");
    }
    for useful in [
        "INFO reads ~/shop with [API_TOKEN]",
        "/home/…/shop",
        "devd_projects 1",
        "DOCKER_HOST",
        "1 lines left out",
    ] {
        assert!(all.contains(useful), "{useful} is not in\n{all}");
    }
}

#[test]
fn a_bundle_is_written_without_a_daemon_too() {
    let world = World::new();
    let bundle = world.run(&["doctor", "--bundle", "--json"]);
    assert_eq!(bundle.code, 0, "{}{}", bundle.out, bundle.err);
    let value: Value = serde_json::from_str(&bundle.out).unwrap();
    let contents = value["contents"].as_array().unwrap();
    assert!(contents.contains(&"daemon.txt".into()) && contents.contains(&"doctor.json".into()), "{value}");
    assert!(world.path("home").join(value["file"].as_str().unwrap()).exists());
}

#[test]
fn daemon_logs_goes_back_over_a_rotation() {
    let world = World::new();
    fs::create_dir_all(world.path("state")).unwrap();
    fs::write(world.path("state/devdd.log.1"), "one\ntwo\n").unwrap();
    fs::write(world.path("state/devdd.log"), "three\n").unwrap();
    let logs = world.run(&["daemon", "logs", "-n", "2"]);
    assert_eq!((logs.code, logs.out.as_str()), (0, "two\nthree\n"), "{}", logs.err);
}
