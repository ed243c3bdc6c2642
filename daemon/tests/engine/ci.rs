//! `devd ci`: a verdict and nothing else, beside a stack that runs.

use crate::support::{World, docker, lines};
use crate::survival::started;
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Everything on the engine that is of a `devd ci` of this project: its own name begins with the project's.
fn leftovers(world: &World) -> Vec<String> {
    let prefix = format!("{}-ci-", world.project);
    let listed = [
        docker(&["ps", "-a", "--format", "{{.Names}}"]),
        docker(&["network", "ls", "--format", "{{.Name}}"]),
        docker(&["volume", "ls", "--format", "{{.Name}}"]),
        docker(&["images", "--format", "{{.Repository}}"]),
    ];
    let names = listed.iter().flat_map(|text| text.lines());
    names.filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect()
}

/// Folders of daemons that live for one command.
fn folders(world: &World) -> usize {
    let temporary = std::fs::read_dir(world.dir.path().join("tmp")).unwrap();
    temporary
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("devd-ci-"))
        .count()
}

fn world() -> World {
    let mut world = World::example("shop");
    let temporary = world.dir.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    world.env("TMPDIR", &temporary.display().to_string());
    world
}

/// `devd ci` of a project whose tests never end, once they run.
fn endless(world: &World) -> Child {
    world.replace("service1/compose.yaml", "python -m unittest", "sh -c 'echo here; sleep 3600'");
    let mut child = world.command(&["ci", "service1"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = lines(child.stdout.take().unwrap());
    while lines.recv_timeout(Duration::from_secs(120)).unwrap() != "here" {}
    child
}

#[test]
fn ci_reports_what_failed_and_leaves_a_stack_that_runs_as_it_is() {
    let mut world = world();
    world.start();
    world.expect(0, &["up"]);
    let before = started(&world);
    world.replace("service2/test_counters.py", "\"apples\"), 1)", "\"apples\"), 7)");
    let file = world.root.join("service2/test_counters.py").display().to_string();
    let (out, _) = world.expect(1, &["ci", "--junit", "report.xml", "--format", "github"]);
    let place = "::error file=service2/test_counters.py,line=";
    assert!(out.lines().any(|line| line.starts_with(place)), "{out}");
    assert!(out.contains("service1: passed 6"), "{out}");
    assert!(out.contains("service2: failed 2 of 5"), "{out}");
    let report = world.read("report.xml");
    assert!(report.contains("<testsuite name=\"service1\" tests=\"6\" failures=\"0\""), "{report}");
    assert!(report.contains("<testsuite name=\"service2\" tests=\"5\" failures=\"2\""), "{report}");
    assert!(report.contains(&format!("file=\"{file}\"")), "{report}");
    assert_eq!((leftovers(&world), folders(&world)), (vec![], 0));
    assert_eq!(started(&world), before, "a service was touched");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn ci_needs_no_daemon_and_says_what_is_wrong_with_the_files() {
    let world = world();
    let (_, err) = world.expect(2, &["ci", "service3"]);
    assert!(err.contains("service3"), "{err}");
    world.replace("service1/compose.yaml", "command:", "comand:");
    let (_, err) = world.expect(2, &["ci"]);
    assert!(err.contains("comand"), "{err}");
    world.write("compose.yaml", "services:\n  web:\n    imge: redis\n");
    let (_, err) = world.expect(2, &["ci"]);
    assert!(err.contains("compose.yaml:3:5"), "{err}");
    assert_eq!((leftovers(&world), folders(&world)), (vec![], 0));
    assert!(!world.dir.path().join("run/devd.sock").exists(), "it began a daemon that stays");
}

#[test]
fn ctrl_c_ends_ci_and_leaves_nothing() {
    let world = world();
    let mut child = endless(&world);
    assert_ne!(leftovers(&world), Vec::<String>::new());
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((leftovers(&world), folders(&world)), (vec![], 0));
}

#[test]
fn a_ci_that_is_killed_leaves_nothing() {
    let world = world();
    let mut child = endless(&world);
    child.kill().unwrap();
    child.wait().unwrap();
    // The daemon hears of it from the kernel; of its end nobody is told.
    let deadline = Instant::now() + Duration::from_secs(60);
    while (leftovers(&world), folders(&world)) != (vec![], 0) {
        assert!(Instant::now() < deadline, "{:?}", leftovers(&world));
        std::thread::sleep(Duration::from_millis(50));
    }
}
