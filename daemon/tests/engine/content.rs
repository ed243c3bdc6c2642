//! What is saved while there is no daemon reaches the containers when there is one again, and nothing else does.

use crate::support::{World, docker, free_port, service};
use serde_json::Value;

const SERVICES: [&str; 4] = ["mounted", "built", "synced", "still"];

/// Each service's container, and when its process began.
fn started(world: &World) -> Vec<String> {
    let inspect = |name: &&str| {
        docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", &world.container(name)])
    };
    SERVICES.iter().map(inspect).collect()
}

/// How often this life of the daemon restarted each service, also in a container that goes on.
fn restarts(status: &Value) -> Vec<u64> {
    SERVICES.iter().map(|name| service(status, name)["restarts"].as_u64().unwrap()).collect()
}

/// The files were compared with what the containers run, and what came of it is done.
fn compared(status: &Value) -> bool {
    status["settled"] == true
        && SERVICES.iter().all(|name| service(status, name)["state"] == "running")
        && service(status, "built")["tests"]["current"] == true
}

/// A process that answers with what it read when it began, one with what its image holds, one with what was copied to it.
fn world(ports: &[u16; 4]) -> World {
    let world = World::empty();
    let [mounted, built, synced, still] = ports;
    let read_at_start = "sh -c 'rm -rf /tmp/code; cp -r /code /tmp/code; exec httpd -f -h /tmp/code'";
    let mount = |name: &str, port: &u16| {
        format!(
            "  {name}:\n    image: busybox:1\n    command: {read_at_start}\n    stop_signal: KILL\n    \
             ports: ['{port}:80']\n    volumes: ['./{name}:/code']\n"
        )
    };
    let build = |name: &str, port: &u16, more: &str| {
        format!("  {name}:\n    build: ./{name}\n    stop_signal: KILL\n    ports: ['{port}:80']\n{more}")
    };
    let rule = "    develop: { watch: [{ path: ./synced/www, action: sync, target: /www }] }\n";
    let services = [
        mount("mounted", mounted),
        build("built", built, ""),
        build("synced", synced, rule),
        mount("still", still),
    ];
    world.write("compose.yaml", &format!("services:\n{}", services.concat()));
    for name in SERVICES {
        world.write(&format!("{name}/www/index.html"), "first");
        if name == "built" || name == "synced" {
            let dockerfile = "FROM busybox:1\nCOPY www /www\nCMD [\"httpd\", \"-f\", \"-h\", \"/www\"]\n";
            world.write(&format!("{name}/Dockerfile"), dockerfile);
        }
    }
    let tests =
        "services:\n  tests:\n    image: busybox:1\n    command: 'true'\n    volumes: ['./www:/www']\n";
    world.write("built/compose.yaml", tests);
    world
}

#[test]
fn what_is_saved_while_there_is_no_daemon_runs_after_its_next_start_and_nothing_else_is_touched() {
    let ports = [free_port(), free_port(), free_port(), free_port()];
    let mut world = world(&ports);
    let pages = ["/www/index.html", "/index.html", "/index.html", "/www/index.html"];
    world.start();
    world.expect(0, &["up"]);
    world.until("up", compared);
    for (port, page) in ports.iter().zip(pages) {
        world.until_served(*port, page, |answer| answer.ends_with("first"));
    }
    let first = started(&world);

    world.kill_daemon();
    world.start();
    let status = world.until("as it was", compared);
    assert_eq!((started(&world), restarts(&status)), (first.clone(), vec![0; 4]), "nothing was saved");

    world.kill_daemon();
    for name in ["mounted", "built", "synced"] {
        world.write(&format!("{name}/www/index.html"), "second");
    }
    world.start();
    for (port, page) in ports.iter().zip(pages).take(3) {
        world.until_served(*port, page, |answer| answer.ends_with("second"));
    }
    let status = world.until("as the files are", compared);
    let second = started(&world);
    let id = |start: &str| start.split(' ').next().unwrap().to_owned();
    assert_eq!(id(&second[0]), id(&first[0]), "it is the process that is another one");
    let counts = restarts(&status);
    assert_eq!((counts[0], counts[2], counts[3]), (1, 0, 0), "{status:#}");
    assert_eq!(
        service(&status, "mounted")["last_change"]["path"],
        "files (while devd was not running)",
        "{status:#}"
    );
    assert_ne!(id(&second[1]), id(&first[1]), "its image is another one");
    assert_eq!(second[2], first[2], "its files were copied");
    assert_eq!(second[3], first[3], "nothing of it was saved");

    world.kill_daemon();
    world.start();
    let status = world.until("as it was", compared);
    assert_eq!((started(&world), restarts(&status)), (second, vec![0; 4]), "the life before did all");

    // What the user stopped stays so; it begins with what is on disk when it is started.
    world.expect(0, &["stop", "mounted"]);
    world.kill_daemon();
    world.write("mounted/www/index.html", "third");
    world.start();
    world.until_tested("built", "passed", &Value::Null);
    assert_eq!(world.service("mounted")["state"], "stopped");
    world.expect(0, &["start", "mounted"]);
    world.until_served(ports[0], pages[0], |answer| answer.ends_with("third"));
    assert_eq!(world.service("mounted")["restarts"], 0);
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
