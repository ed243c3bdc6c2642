//! Cases 4, 5 and 6: what a person types, on the example application.

use crate::guard;
use crate::peers::Peers;
use crate::table::{DEVD, Row};
use crate::world::{World, copy, free_port, write};
use crate::{Sizes, say};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FILE: &str = "compose.yaml";
const TESTED: [&str; 2] = ["service1", "service2"];

/// A copy of the example with ports of its own, in a form that every compose reads.
pub(crate) fn example(root: &Path) -> anyhow::Result<()> {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop"), root)?;
    write(&root.join(".env"), &format!("SERVICE1_PORT={}\nSERVICE2_PORT={}\n", free_port()?, free_port()?))?;
    // Older composes refuse what they do not know.
    let text = std::fs::read_to_string(root.join(FILE))?;
    let mut inside = false;
    let known = text.lines().filter(|line| {
        let depth = line.len() - line.trim_start().len();
        inside = line.trim() == "develop:" || (inside && depth > 4);
        !inside
    });
    write(&root.join(FILE), &known.map(|line| format!("{line}\n")).collect::<String>())
}

/// The example, run by devd; its tests have had their first verdict.
pub(crate) fn up(world: &World, suffix: &str) -> anyhow::Result<(PathBuf, String)> {
    let (root, project) = world.project(suffix)?;
    example(&root)?;
    world.run(&root, &["up"])?;
    world.until_quiet(&project, &TESTED, 1)?;
    Ok((root, project))
}

pub(crate) fn rows(world: &World, sizes: &Sizes, peers: &Peers) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let (root, project) = up(world, "example")?;
    let (status, nothing, cold) =
        ("how everything is", "up, nothing to do", "up of the example, images built, no containers");
    say(&format!("case 4: {} times devd status and devd saved", sizes.commands));
    let times = timed(sizes.commands, || world.devd(&root, &["status"]))?;
    rows.push(Row::times(4, status, DEVD, &times).at_most(5.0).note("devd status"));
    // The bytes are the same, so nothing follows but the answer.
    let times = timed(sizes.commands, || world.devd(&root, &["saved", "service1/main.py"]))?;
    rows.push(Row::times(4, "a save is told", DEVD, &times).at_most(5.0).note("devd saved"));
    let times = timed(sizes.commands, || world.devd(&root, &["--version"]))?;
    rows.push(Row::times(4, "  start and end of the process alone", DEVD, &times).note("devd --version"));
    say(&format!("case 5: {} times devd up", sizes.commands));
    let times = timed(sizes.commands, || world.devd(&root, &["up"]))?;
    rows.push(Row::times(5, nothing, DEVD, &times));
    say(&format!("case 6: {} times devd up, cold", sizes.cold));
    let mut times = Vec::new();
    for _ in 0..sizes.cold {
        world.run(&root, &["down"])?;
        times.extend(timed(1, || world.devd(&root, &["up"]))?);
        world.until_quiet(&project, &TESTED, 0)?;
    }
    rows.push(Row::times(6, cold, DEVD, &times).note("the verdicts are known"));
    world.run(&root, &["down"])?;

    if let Some(compose) = &peers.compose {
        let project = format!("{project}c");
        let command = |args: &[&str]| compose.command(&root, FILE, &project, args);
        guard::run(&mut command(&["up", "-d"]))?;
        say(&format!("cases 4 and 5: {} times {} ps and up -d", sizes.peers, compose.name));
        let times = timed(sizes.peers, || command(&["ps"]))?;
        rows.push(Row::times(4, status, &format!("{} ps", compose.name), &times).at_least_times(20.0));
        let times = timed(sizes.peers, || command(&["up", "-d"]))?;
        let who = format!("{} up -d", compose.name);
        rows.push(Row::times(5, nothing, &who, &times).at_least_times(10.0));
        say(&format!("case 6: {} times {who}, cold", sizes.cold));
        let mut times = Vec::new();
        for _ in 0..sizes.cold {
            guard::run(&mut command(&["down", "-t", "1"]))?;
            times.extend(timed(1, || command(&["up", "-d"]))?);
        }
        rows.push(Row::times(6, cold, &who, &times).note("runs no tests"));
        guard::run(&mut command(&["down", "-t", "1"]))?;
    }
    say("case 4: docker ps");
    let times = timed(sizes.peers, || {
        let mut command = Command::new("docker");
        command.arg("ps");
        command
    })?;
    rows.push(Row::times(4, status, "docker ps", &times));
    guard::remove_from_engine(&guard::name("example"));
    rows.sort_by_key(|row| row.case);
    Ok(rows)
}

/// How long a command takes as a process, from its start to its end.
fn timed(rounds: u32, command: impl Fn() -> Command) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let mut command = command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let status = guard::start(&mut command)?.wait()?;
        times.push(began.elapsed());
        anyhow::ensure!(status.success(), "{command:?}: {status}");
    }
    Ok(times)
}
