//! Projects beside the one that is watched, which write without end.

use super::{Done, a_while, answers_soon};
use crate::load;
use crate::world::World;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the daemon may need while it is flooded.
const RSS_KIB: u64 = 200 * 1024;
/// Restarts within a few seconds by which a service that restarts itself has to be found out: it is held after twelve, and
/// tried again after pauses that grow.
const ROUNDS: u64 = 16;

/// A service that changes its own code as fast as it can.
const REWRITER: &str = "services:
  rewriter:
    image: busybox:1
    command: sh /app/main.sh
    stop_signal: KILL
    volumes: ['./app:/app']
";
const REWRITES: &str = "while :; do echo \"# $(cat /proc/uptime)\" >> /app/other.sh; usleep 20000; done\n";

/// A service and tests that write as fast as they can.
const FLOOD: &str = "services:
  flood:
    image: busybox:1
    command: yes this is a line of a log that is as long as lines of logs are, more or less
    stop_signal: KILL
    volumes: ['./app:/app']
    logging: {driver: json-file, options: {max-size: 20m}}
    x-devd: {tests: {file: tests.yaml, timeout: 5s}}
";
const FLOOD_TESTS: &str = "services:
  tests:
    image: busybox:1
    command: sh -c 'yes this is a line of a test | head -c 300000000'
    volumes: ['./app:/app']
    logging: {driver: json-file, options: {max-size: 20m}}
";

fn project(world: &World, name: &str, files: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    let root = world.daemon.folder.join("projects").join(name);
    std::fs::create_dir_all(root.join("app"))?;
    for (path, text) in files {
        std::fs::write(root.join(path), text)?;
    }
    Ok(root)
}

pub(super) fn rewriter(world: &mut World) -> anyhow::Result<Done> {
    let files = [("compose.yaml", REWRITER), ("app/main.sh", REWRITES), ("app/other.sh", "")];
    let root = project(world, "rewriter", &files)?;
    world.daemon.client(&root, &["up", "--no-wait"])?;
    a_while(world, 3000, 6000);
    let mut problem = answers_soon(world, "a service rewrites itself");
    let status = world.daemon.ask("GET /v1/status", None, Duration::from_secs(5))?.json()?;
    let rewriter = load::service(load::project(&status, "rewriter"), "rewriter");
    if rewriter["restarts"].as_u64().is_none_or(|restarts| restarts > ROUNDS) {
        problem = problem
            .or(Some(format!("a service that rewrites itself was restarted and restarted: {rewriter}")));
    }
    world.daemon.run(&root, &["down"])?;
    std::fs::remove_dir_all(&root)?;
    Ok(Done::now().but(problem))
}

pub(super) fn logs(world: &mut World) -> anyhow::Result<Done> {
    let files = [("compose.yaml", FLOOD), ("tests.yaml", FLOOD_TESTS), ("app/main.sh", "")];
    let root = project(world, "flood", &files)?;
    world.daemon.client(&root, &["up", "--no-wait"])?;
    // One who follows the log and does not read.
    let mut follower = UnixStream::connect(world.daemon.socket())?;
    follower.write_all(b"GET /v1/projects/flood/services/flood/logs?follow=true HTTP/1.0\r\n\r\n")?;
    let began = Instant::now();
    let lasts = world.chance.millis(3000, 6000);
    let (mut most, mut problem) = (0, None);
    while began.elapsed() < lasts {
        most = most.max(world.used()?.rss_kib);
        problem = problem.or_else(|| answers_soon(world, "a flood of logs"));
        std::thread::sleep(Duration::from_millis(100));
    }
    if most > RSS_KIB {
        problem = problem.or(Some(format!("the daemon needed {} MiB while logs flooded", most / 1024)));
    }
    drop(follower);
    world.daemon.run(&root, &["down"])?;
    std::fs::remove_dir_all(&root)?;
    Ok(Done::now().but(problem))
}
