//! devd beside `docker compose`: either finds the other's stack, and leaves it as it is.

use crate::support::{World, docker, service};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Output};

/// Projects of different shapes: their compose files and what else they need.
pub(crate) const SHAPES: [(&str, &[(&str, &str)]); 5] = [
    (
        "services:\n  web:\n    image: busybox:1\n    command: [sleep, '1000']\n    stop_signal: KILL\n    env_file: [web.env]\n    \
         environment: {DEBUG: '1', EMPTY: }\n    depends_on: {db: {condition: service_healthy}}\n  \
         db:\n    image: redis:7\n    volumes: ['data:/data', '/scratch']\n    \
         healthcheck: {test: [CMD, redis-cli, ping], interval: 1s, retries: 5}\nvolumes: {data: }\n",
        &[("web.env", "FROM_FILE=yes\nQUOTED=\"a b\"\n")],
    ),
    (
        "services:\n  front:\n    image: busybox:1\n    command: sleep 1000\n    stop_signal: KILL\n    \
         networks: {outer: {aliases: [www]}, inner: }\n    labels: {com.example.who: me}\n    ports: ['0:80', '127.0.0.1:0:81/udp']\n    \
         expose: [90]\n  back:\n    image: busybox:1\n    command: sleep 1000\n    stop_signal: KILL\n    networks: [inner]\n    hostname: back\n    \
         ulimits: {nofile: {soft: 1000, hard: 2000}}\nnetworks:\n  outer: {}\n  inner: {internal: true, labels: {a: b}}\n",
        &[],
    ),
    (
        "services:\n  built:\n    build: {context: ., args: {WHO: me}}\n    environment: {ENV: dev}\n    init: true\n    working_dir: /tmp\n    \
         entrypoint: [sleep]\n    command: ['1000']\n    stop_grace_period: 1s\n    stop_signal: KILL\n    \
         volumes: ['./src:/src:ro', {type: tmpfs, target: /cache, tmpfs: {size: 1m}}]\n",
        &[("Dockerfile", "FROM busybox:1\nARG WHO\nRUN echo $WHO > /who\n"), ("src/main.txt", "one\n")],
    ),
    (
        "x-common: &common\n  image: busybox:1\n  command: sleep 1000\n  stop_signal: KILL\n  restart: unless-stopped\nservices:\n  \
         one:\n    <<: *common\n    deploy: {resources: {limits: {cpus: '0.5', memory: 64M}}}\n    cap_drop: [ALL]\n    cap_add: [NET_BIND_SERVICE]\n    \
         logging: {driver: json-file, options: {max-size: 1m}}\n    extra_hosts: ['db.local:10.0.0.1']\n    sysctls: {net.core.somaxconn: 1024}\n    \
         read_only: true\n    tmpfs: [/run]\n    shm_size: 16m\n  two:\n    <<: *common\n    user: '1000:1000'\n    \
         configs: [{source: settings, target: /settings}]\n    secrets: [token]\nconfigs: {settings: {file: ./settings}}\n\
         secrets: {token: {file: ./token}}\n",
        &[("settings", "a=b\n"), ("token", "hush\n")],
    ),
    (
        "services:\n  a:\n    image: busybox:1\n    command: sleep 1000\n    stop_signal: KILL\n    links: ['b:other']\n  \
         b:\n    image: busybox:1\n    command: ['sh', '-c', 'echo $$HOME; sleep 1000']\n    stop_signal: KILL\n    tty: true\n    stdin_open: true\n  \
         later: {image: busybox:1, profiles: [more]}\n  once:\n    image: busybox:1\n    command: 'true'\n",
        &[],
    ),
];

/// Said by a test that has less to say without it.
pub(crate) const NOT_COMPARED: &str = "docker compose is not installed here: nothing is compared with it";

fn compose(world: &World, args: &[&str]) -> Output {
    let mut command = Command::new("docker");
    command.arg("compose").args(args).current_dir(&world.root);
    command.output().unwrap()
}

/// `docker compose down`, and the volumes without a name that it leaves: nobody would know whose they are.
fn compose_down(world: &World) {
    let ids = compose_ok(world, &["ps", "--all", "--quiet"]);
    let volumes = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}} {{end}}{{end}}";
    let mounted =
        docker(&["inspect", "--format", volumes].into_iter().chain(ids.lines()).collect::<Vec<_>>());
    compose_ok(world, &["down"]);
    let is_nameless = |name: &&str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    for volume in mounted.split_whitespace().filter(is_nameless) {
        docker(&["volume", "rm", volume]);
    }
}

pub(crate) fn compose_ok(world: &World, args: &[&str]) -> String {
    let output = compose(world, args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "docker compose {args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn has_compose(world: &World) -> bool {
    compose(world, &["version"]).status.success()
}

/// Container and start of each service.
fn containers(world: &World) -> BTreeMap<String, String> {
    let filter = format!("label=com.docker.compose.project={}", world.project);
    let ids = docker(&["ps", "-aq", "--filter", &filter]);
    let starts = ids.lines().map(|id| {
        // A service that ends by itself is started again by every `docker compose up`.
        let format = "{{.Name}} {{if eq .State.Status \"running\"}}{{.State.StartedAt}}{{end}}";
        let found = docker(&["inspect", "--format", format, id]);
        (id.to_owned(), found)
    });
    starts.collect()
}

pub(crate) fn world(shape: &(&str, &[(&str, &str)])) -> World {
    let mut world = World::empty();
    world.write("compose.yaml", shape.0);
    for (path, text) in shape.1 {
        world.write(path, text);
    }
    world.start();
    world
}

#[test]
fn either_leaves_alone_what_the_other_has_made() {
    for shape in &SHAPES {
        let world = world(shape);
        if !has_compose(&world) {
            println!("{NOT_COMPARED}");
            return;
        }
        world.expect(0, &["up"]);
        let made = containers(&world);
        let said = compose(&world, &["up", "-d", "--no-build"]);
        assert!(said.status.success(), "{}\n{}", shape.0, String::from_utf8_lossy(&said.stderr));
        assert_eq!(containers(&world), made, "compose made something anew of\n{}", shape.0);
        let listed = compose_ok(&world, &["ps", "-a", "-q"]);
        assert_eq!(listed.lines().count(), made.len(), "{listed}");
        world.expect(0, &["down"]);
        assert_eq!(containers(&world), BTreeMap::new());

        compose_ok(&world, &["up", "-d", "--no-build"]);
        let made = containers(&world);
        world.expect(0, &["up"]);
        world.until("settled", |status| status["settled"] == true);
        assert_eq!(containers(&world), made, "devd made something anew of\n{}", shape.0);
        world.expect(0, &["down", "--volumes"]);
        assert_eq!(containers(&world), BTreeMap::new());
        assert_eq!(world.leftovers(), "");
        compose_ok(&world, &["down", "--volumes"]);
    }
}

#[test]
fn what_changed_in_the_files_is_all_that_is_made_anew_of_a_stack_of_compose() {
    let world = world(&SHAPES[1]);
    if !has_compose(&world) {
        println!("{NOT_COMPARED}");
        return;
    }
    compose_ok(&world, &["up", "-d"]);
    let id = |service: &str| docker(&["inspect", "--format", "{{.Id}}", &world.container(service)]);
    let (front, back) = (id("front"), id("back"));
    world.replace("compose.yaml", "hostname: back", "hostname: rear");
    world.expect(0, &["up"]);
    assert_eq!(id("front"), front);
    assert_ne!(id("back"), back);
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn what_is_taken_down_or_stopped_by_hand_is_not_brought_back() {
    let world = world(&SHAPES[0]);
    world.expect(0, &["up"]);
    let state =
        |status: &Value, name: &str| service(status, name)["state"].as_str().unwrap_or_default().to_owned();
    // A process that minds its signal, and one that is killed for not doing so.
    docker(&["stop", "-t", "5", &world.container("db")]);
    let status =
        world.until("stopped", |status| state(status, "db") == "stopped" && status["settled"] == true);
    let reason = service(&status, "db")["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("stopped by somebody else"), "{reason}");
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &world.container("db")]), "false");
    docker(&["start", &world.container("db")]);
    world.until("running", |status| state(status, "db") == "running" && status["settled"] == true);
    docker(&["kill", &world.container("db")]);
    world.until("back", |status| {
        let db = service(status, "db");
        db["state"] == "running" && db["restarts"] == 1 && status["settled"] == true
    });
    if !has_compose(&world) {
        println!("{NOT_COMPARED}");
        return;
    }
    world.replace("compose.yaml", "    stop_signal: KILL\n", "    init: true\n");
    world.until("settled", |status| {
        status["settled"] == true
            && docker(&["inspect", "--format", "{{.HostConfig.Init}}", &world.container("web")]) == "true"
    });
    compose_down(&world);
    world.until("down", |status| status["state"] == "stopped" && status["settled"] == true);
    assert_eq!(containers(&world), BTreeMap::new());
    world.expect(0, &["up"]);
    assert_eq!(containers(&world).len(), 2);
    world.expect(0, &["down", "--volumes"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn compose_knows_its_way_about_the_application_under_devd() {
    let mut world = World::example("shop");
    if !has_compose(&world) {
        println!("{NOT_COMPARED}");
        return;
    }
    world.start();
    world.expect(0, &["up"]);
    world.until_served(world.ports[0], "/health", |answer| answer.contains("\"db\": true"));
    let made = containers(&world);
    compose_ok(&world, &["up", "-d", "--no-build"]);
    assert_eq!(containers(&world), made, "compose made something anew");
    let listed = compose_ok(&world, &["ps", "--format", "{{.Service}} {{.State}}"]);
    assert!(listed.contains("service1 running") && listed.contains("db running"), "{listed}");
    assert!(!compose_ok(&world, &["logs", "service1"]).is_empty());
    assert_eq!(compose_ok(&world, &["exec", "-T", "service1", "echo", "here"]).trim(), "here");
    compose_down(&world);
    world.until("down", |status| status["state"] == "stopped" && status["settled"] == true);
    assert_eq!(containers(&world), BTreeMap::new());
    world.expect(0, &["down", "--volumes"]);
    assert_eq!(world.leftovers(), "");
}
