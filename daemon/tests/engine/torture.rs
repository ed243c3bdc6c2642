//! The most telling of the faults of `scripts/torture`, once each, beside other users of the engine.

use crate::support::{PATIENCE, World, docker, service as service_of};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A service with tests that need a database, one that nobody touches, and one that ends by itself.
fn world() -> World {
    let mut world = World::empty();
    let compose = "services:\n  app:\n    image: busybox:1\n    command: sleep 100000\n    stop_signal: KILL\n    \
                   volumes: ['./app/src:/app']\n    x-devd: {tests: {file: app/tests.yaml}}\n  \
                   still:\n    image: busybox:1\n    command: sleep 100000\n    stop_signal: KILL\n  \
                   once:\n    image: busybox:1\n    command: 'true'\n";
    world.write("compose.yaml", compose);
    let tests = "services:\n  tests:\n    image: busybox:1\n    command: sh /app/check.sh\n    \
                 volumes: ['./src:/app']\n    depends_on: [db]\n  db:\n    image: redis:7\n";
    world.write("app/tests.yaml", tests);
    let check = "printf 'PING\\r\\n' | nc -w 5 db 6379 | grep -q PONG || { echo no database; exit 7; }\ncat /app/value\n";
    world.write("app/src/check.sh", check);
    world.write("app/src/value", "first\n");
    world.start();
    world.expect(0, &["up"]);
    world.until_tested("app", "passed", &Value::Null);
    world.until_tidy(1);
    world
}

/// Which process stands for each service that nobody touches.
fn untouched(world: &World) -> Vec<String> {
    let format = "{{.Id}} {{.State.StartedAt}}";
    ["still", "once"].map(|name| docker(&["inspect", "--format", format, &world.container(name)])).to_vec()
}

/// Saves, and waits for a verdict that can only come from a run in a whole environment.
fn save_and_pass(world: &World, value: &str) {
    let before = world.service("app")["tests"]["run"].clone();
    world.write("app/src/value", value);
    world.until_tested("app", "passed", &before);
}

/// Ids of the test environments of which anything is there.
fn environments(world: &World) -> BTreeSet<String> {
    let filter = format!("label=dev.devd.project={}", world.project);
    let found = docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Label \"dev.devd.environment\"}}"]);
    found.lines().filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// Waits for what no event of devd's tells.
fn eventually(world: &World, what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "never {what}: {:#}\n--- log\n{}", world.status(), world.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn end(world: World) {
    world.expect(0, &["down", "--volumes"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_database_that_is_killed_in_an_environment_that_stands_ready_fails_no_run() {
    let world = world();
    for round in 0..3 {
        let old = world.until_tidy(1);
        let (filter, of_db) =
            (format!("label=dev.devd.project={}", world.project), "label=com.docker.compose.service=db");
        let database = docker(&["ps", "-q", "--filter", &filter, "--filter", of_db]);
        docker(&["kill", &database]);
        // It is made anew without a run to ask for it.
        eventually(&world, "another environment", || {
            let now = environments(&world);
            now.len() == 1 && now.is_disjoint(&old) && world.service("app")["tests"]["warm"] == 1
        });
        save_and_pass(&world, &format!("{round}\n"));
    }
    end(world);
}

#[test]
fn a_stop_by_hand_amid_tests_is_no_verdict_though_what_is_stopped_ends_well() {
    let world = world();
    let check = "n=0\nwhile [ $n -lt 50 ]; do\n  printf 'PING\\r\\n' | nc -w 1 db 6379 | grep -q PONG || exit 7\n  sleep 0.1\n  \
                 n=$((n + 1))\ndone\n";
    for service in ["db", "tests"] {
        let before = world.service("app")["tests"]["run"].clone();
        world.write("app/src/check.sh", &format!("# {service} is stopped\n{check}"));
        world.until("tested", |status| service_of(status, "app")["tests"]["state"] == "running");
        let filter = format!("label=dev.devd.project={}", world.project);
        let of_service = format!("label=com.docker.compose.service={service}");
        let ids = docker(&["ps", "-q", "--filter", &filter, "--filter", &of_service]);
        // Redis ends with 0 when it is told to.
        for id in ids.lines() {
            // Of the environment that stands ready it may be gone by then.
            let _ = std::process::Command::new("docker").args(["stop", id]).output().unwrap();
        }
        world.until_tested("app", "passed", &before);
        let runs = world.json(&["runs", "app"])["runs"].clone();
        let first = &runs[1];
        assert_eq!(runs[0]["cause"], "repeat", "{runs:#}");
        assert_eq!(first["state"], "cancelled", "{runs:#}");
        let reason = first["reason"].as_str().unwrap();
        assert_eq!(reason, format!("somebody ended {service} while the tests ran; they are repeated"));
    }
    end(world);
}

#[test]
fn a_network_that_is_removed_under_a_stack_comes_back_with_its_services_on_it() {
    let world = world();
    let network = format!("{}_default", world.project);
    let on_it = || docker(&["ps", "-q", "--filter", &format!("network={network}")]).lines().count();
    assert_eq!(on_it(), 2);
    for name in ["app", "still"] {
        docker(&["network", "disconnect", "--force", &network, &world.container(name)]);
    }
    // Somebody wants to see what happens without a network: that is theirs.
    save_and_pass(&world, "without\n");
    assert_eq!(on_it(), 0);
    docker(&["network", "rm", &network]);
    eventually(&world, "on it again", || {
        let back = docker(&["network", "ls", "-q", "--filter", &format!("name={network}")]);
        !back.is_empty() && on_it() == 2
    });
    save_and_pass(&world, "with\n");
    end(world);
}

#[test]
fn a_history_that_was_cut_or_lost_costs_no_service_its_process() {
    let mut world = world();
    let database = world.dir.path().join("state/history.db");
    let before = untouched(&world);
    // A daemon that was just killed: nothing at all may follow from that.
    world.kill_daemon();
    world.start();
    world.until("as it was", |status| status["settled"] == true);
    assert_eq!(untouched(&world), before);
    world.kill_daemon();
    for side in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{side}", database.display()));
    }
    world.start();
    assert_eq!(world.status(), Value::Null, "nothing is registered any more");
    world.expect(0, &["up"]);
    world.until("up", |status| status["settled"] == true);
    assert_eq!(untouched(&world)[0], before[0], "a service was restarted for it");
    save_and_pass(&world, "again\n");
    end(world);
}

#[test]
fn clients_that_are_many_and_do_not_read_hold_up_nobody() {
    let world = world();
    let socket = world.dir.path().join("run/devd.sock");
    let descriptors = || {
        let pid = world.json(&["status"])["daemon"]["pid"].to_string();
        std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    };
    let usual = descriptors();
    let requests: [&[u8]; 3] = [
        b"GET /v1/events HTTP/1.1\r\nHost: devd\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: devd\r\n\r\n",
        b"GET /v1/st",
    ];
    let mut clients = Vec::new();
    for number in 0..300 {
        let mut client = UnixStream::connect(&socket).unwrap();
        client.write_all(requests[number % 3]).unwrap();
        if number % 3 == 0 {
            client.read_exact(&mut [0; 12]).unwrap();
        }
        clients.push(client);
    }
    for value in 1..=5 {
        save_and_pass(&world, &format!("{value}\n"));
    }
    drop(clients);
    // The daemon learns of their end by and by.
    eventually(&world, "as usual", || descriptors() <= usual + 8);
    end(world);
}
