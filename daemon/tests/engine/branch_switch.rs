//! What is one change, and what is none.

use crate::support::World;
use serde_json::Value;
use std::process::Command;

fn git(world: &World, args: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=devd", "-c", "user.email=devd@example.com", "-c", "init.defaultBranch=main"])
        .args(args)
        .current_dir(&world.root)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn runs(world: &World, service: &str) -> usize {
    world.json(&["runs", service])["runs"].as_array().unwrap().len()
}

#[test]
fn a_branch_switch_of_2000_files_is_one_restart_and_one_run_a_service() {
    let mut world = World::example("shop");
    for n in 0..1000 {
        for service in ["service1", "service2"] {
            world.write(&format!("{service}/data/{}/{n}.py", n % 50), &format!("VALUE = {n}\n"));
        }
    }
    git(&world, &["init", "-q"]);
    git(&world, &["add", "-A"]);
    git(&world, &["commit", "-qm", "one"]);
    git(&world, &["checkout", "-qb", "other"]);
    for n in 0..1000 {
        for service in ["service1", "service2"] {
            world.write(&format!("{service}/data/{}/{n}.py", n % 50), &format!("VALUE = {n} + 1\n"));
        }
    }
    git(&world, &["commit", "-qam", "two"]);
    world.start();
    world.expect(0, &["up"]);
    let one = world.until_tested("service1", "passed", &Value::Null);
    let two = world.until_tested("service2", "passed", &Value::Null);
    git(&world, &["checkout", "-q", "main"]);
    world.until_tested("service1", "passed", &one["tests"]["run"]);
    world.until_tested("service2", "passed", &two["tests"]["run"]);
    for service in ["service1", "service2"] {
        assert_eq!(world.service(service)["restarts"], 1, "{service}\n{}", world.log());
        assert_eq!(runs(&world, service), 2, "{service}");
    }
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_save_without_new_bytes_and_an_edit_of_what_is_ignored_are_nothing() {
    let mut world = World::example("shop");
    git(&world, &["init", "-q"]);
    world.write(".gitignore", "*.log\n");
    world.write("service1/.dockerignore", "__pycache__\nscratch\n");
    world.start();
    world.expect(0, &["up"]);
    world.until_tested("service1", "passed", &Value::Null);
    let same = world.read("service1/main.py");
    world.write("service1/main.py", &same);
    world.write("service1/vendor/.git/HEAD", "ref: refs/heads/none\n");
    world.write(".git/description", "changed\n");
    world.write("service1/__pycache__/main.cpython-311.pyc", "changed\n");
    world.write("service1/scratch/notes.txt", "changed\n");
    world.write("service1/debug.log", "changed\n");
    world.write("service1/.main.py.swp", "changed\n");
    // A save that does count comes after them: were one of them a change, there would be two restarts.
    world.write("service1/main.py", &same.replace("Hello", "Hullo"));
    world.until_served(world.ports[0], "/", |answer| answer.contains("Hullo"));
    let status = world.service("service1");
    assert_eq!(status["restarts"], 1, "{status:#}");
    assert_eq!(status["last_change"]["path"], "service1/main.py");

    for (path, rule) in [
        ("service1/vendor/.git/HEAD", ".git"),
        ("service1/__pycache__/x.pyc", "__pycache__"),
        ("service1/scratch/notes.txt", ".dockerignore:2"),
        ("service1/debug.log", ".gitignore:1"),
    ] {
        let (out, _) = world.expect(0, &["why", path]);
        assert!(out.contains("ignored") && out.contains(rule), "{path}: {out}");
    }
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
