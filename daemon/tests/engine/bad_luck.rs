//! Bad input and bad luck: clear words, an exit code, and nothing lost.

use crate::support::{World, docker, free_port, service};
use serde_json::Value;
use std::net::TcpListener;

#[test]
fn a_port_that_is_taken_is_named_with_its_service_and_comes_up_when_it_is_free() {
    let mut world = World::example("shop");
    let holder = TcpListener::bind(("0.0.0.0", world.ports[0])).unwrap();
    world.start();
    let (_, err) = world.expect(1, &["up"]);
    let port = world.ports[0].to_string();
    assert!(err.contains("service1") && err.contains(&port), "{err}");
    assert_eq!(world.service("service2")["state"], "running");
    drop(holder);
    world.until("up", |status| service(status, "service1")["state"] == "running");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn an_image_that_is_not_there_is_named() {
    let mut world = World::empty();
    world.write("compose.yaml", "services:\n  web:\n    image: devd.invalid/nothing/here:1\n");
    world.start();
    let (_, err) = world.expect(1, &["up"]);
    assert!(err.contains("devd.invalid/nothing/here:1"), "{err}");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_dockerfile_that_fails_shows_the_end_of_its_output_and_a_save_mends_it() {
    let mut world = World::empty();
    world.write(
        "compose.yaml",
        "services:\n  web:\n    build: ./web\n    command: sleep 1000\n    stop_signal: KILL\n",
    );
    let bad = "FROM busybox:1\nRUN i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; echo the reason; exit 3\n";
    world.write("web/Dockerfile", bad);
    world.start();
    let (_, err) = world.expect(1, &["up"]);
    assert!(err.contains("the reason") && !err.contains("line 7\n"), "{err}");
    world.write("web/Dockerfile", "FROM busybox:1\n");
    world.until("running", |status| service(status, "web")["state"] == "running");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_service_that_exits_at_once_backs_off_with_its_last_lines() {
    let mut world = World::empty();
    let compose =
        "services:\n  web:\n    image: busybox:1\n    command: sh -c 'echo no config found; exit 4'\n";
    world.write("compose.yaml", compose);
    world.start();
    let (_, err) = world.expect(1, &["up"]);
    assert!(err.contains("no config found"), "{err}");
    let web = world.service("web");
    assert_eq!(web["last_exit"]["code"], 4, "{web:#}");
    assert_eq!(web["last_exit"]["output"][0], "no config found");
    let (out, _) = world.expect(1, &["status"]);
    assert!(out.contains("no config found"), "{out}");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn the_last_lines_are_those_of_the_life_that_ended() {
    let mut world = World::empty();
    world.write(
        "compose.yaml",
        "services:\n  web:\n    image: busybox:1\n    command: sh -c 'echo >> /lives; echo life $$(wc -l < /lives); exit 4'\n",
    );
    world.start();
    // How that ends depends on how long it lives, and is not the subject here.
    world.run(&["up"]);
    world.until("the third", |status| {
        let output = &service(status, "web")["last_exit"]["output"];
        assert!(output.as_array().is_none_or(|lines| lines.len() <= 1), "{output}");
        output[0] == "life 3"
    });
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn tests_that_hang_are_ended_and_tests_that_cannot_run_say_why() {
    let mut world = World::empty();
    let service_ = |name: &str, extra: &str| {
        format!("  {name}:\n    build: ./{name}\n    command: sleep 1000\n    stop_signal: KILL\n{extra}")
    };
    let timeout = "    x-devd:\n      tests:\n        timeout: 2s\n";
    world.write("compose.yaml", &format!("services:\n{}{}", service_("slow", timeout), service_("odd", "")));
    for name in ["slow", "odd"] {
        world.write(&format!("{name}/Dockerfile"), "FROM busybox:1\n");
    }
    let tests = "services:\n  tests:\n    image: busybox:1\n    volumes: ['.:/app']\n    command: ";
    world.write("slow/compose.yaml", &format!("{tests} sleep 1000\n"));
    world.write("odd/compose.yaml", &format!("{tests} ['/no/such/program']\n"));
    world.start();
    world.expect(0, &["up"]);
    let slow = world.until_tested("slow", "failed", &Value::Null);
    assert!(slow["tests"]["reason"].as_str().unwrap().contains("timed out after 2s"), "{slow:#}");
    let odd = world.until_tested("odd", "error", &Value::Null);
    assert!(odd["tests"]["reason"].as_str().unwrap().contains("/no/such/program"), "{odd:#}");
    world.until_tidy(1);
    world.expect(1, &["test", "odd"]);
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn files_that_do_not_load_are_refused_with_their_place() {
    let mut world = World::empty();
    world.write("compose.yaml", "services:\n  web:\n    image: busybox:1\n    comand: sleep 1\n");
    world.start();
    let (_, err) = world.expect(2, &["up"]);
    assert!(err.contains("compose.yaml:4:5") && err.contains("command"), "{err}");
    let error = world.json(&["up"]);
    assert_eq!(error["error"]["line"], 4, "{error:#}");
    world.expect(0, &["status"]);
}

#[test]
fn without_an_engine_the_exit_code_says_so_and_it_is_found_when_it_comes() {
    let mut world = World::empty();
    world.write(
        "compose.yaml",
        "services:\n  web:\n    image: busybox:1\n    command: sleep 1000\n    stop_signal: KILL\n",
    );
    let link = world.dir.path().join("docker.sock");
    world.env("DOCKER_HOST", &format!("unix://{}", link.display()));
    world.start();
    let (_, err) = world.expect(4, &["up"]);
    assert!(err.contains("docker.sock"), "{err}");
    std::os::unix::fs::symlink("/var/run/docker.sock", &link).unwrap();
    // The daemon tries on by itself.
    for _ in 0..500 {
        if world.json(&["status"])["daemon"]["engine"]["state"] == "connected" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    world.expect(0, &["up"]);
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_second_daemon_on_the_socket_names_the_first() {
    let mut world = World::empty();
    world.start();
    let socket = world.dir.path().join("run/devd.sock");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_devdd"))
        .env("DEVD_STATE_DIR", world.dir.path().join("state"))
        .args(["--socket", &socket.display().to_string()])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let err = String::from_utf8_lossy(&output.stderr);
    let pid = world.json(&["status"])["daemon"]["pid"].to_string();
    assert!(err.contains(&format!("pid {pid}")), "{err}");
    world.expect(0, &["status"]);
}

#[test]
fn a_database_without_a_health_check_is_waited_for_before_tests() {
    let mut world = World::empty();
    let port = free_port();
    world.write(
        "compose.yaml",
        &format!("services:\n  web:\n    build: ./web\n    command: sleep 1000\n    stop_signal: KILL\n    ports: ['{port}:80']\n"),
    );
    world.write("web/Dockerfile", "FROM python:3-slim\nWORKDIR /app\n");
    world.write(
        "web/compose.yaml",
        "services:\n  tests:\n    build: .\n    command: python -m unittest\n    volumes: ['.:/app']\n    links: [db]\n  db:\n    image: postgres:15\n    environment:\n      POSTGRES_PASSWORD: secret\n",
    );
    world.write(
        "web/test_db.py",
        "import psycopg2, unittest\n\nclass Db(unittest.TestCase):\n    def test_it_listens(self):\n        psycopg2.connect(host='db', user='postgres', password='secret').close()\n",
    );
    world.start();
    world.expect(0, &["up"]);
    let web = world.until_tested("web", "passed", &Value::Null);
    assert_eq!(web["tests"]["passed"], 1);
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
    assert_eq!(
        docker(&[
            "volume",
            "ls",
            "-q",
            "--filter",
            "dangling=true",
            "--filter",
            &format!("name={}", world.project)
        ]),
        ""
    );
}
