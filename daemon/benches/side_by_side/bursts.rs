//! Cases 8 and 9: many files at once, and many saves one after the other.

use crate::events::service;
use crate::guard;
use crate::saves::{SERVICE, Save, Tested, is_cold};
use crate::table::{DEVD, Row};
use crate::world::{World, write};
use crate::{Sizes, say};
use anyhow::Context as _;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const SAVES: u32 = 20;
const WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn branches(world: &World, sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    say(&format!("case 8: {} branch switches of {} files", sizes.switches, sizes.branch));
    let tested = Tested::new(world, "branch", "0.1")?;
    let root = &tested.root;
    git(root, &["init", "-q"])?;
    for (branch, start) in [("one", 0), ("two", 1)] {
        git(root, &["checkout", "-q", "-b", branch])?;
        for number in 0..sizes.branch {
            let path = format!("app/data/{}/{number}.py", number % 100);
            write(&root.join(path), &format!("VALUE = {start} + {number}\n"))?;
        }
        tested.save()?;
        git(root, &["add", "-A"])?;
        git(root, &["commit", "-qm", branch])?;
    }
    tested.up(world)?;
    let mut counts = (Vec::new(), Vec::new());
    let (mut since_start, mut since_end) = (Vec::new(), Vec::new());
    for number in 0..sizes.switches {
        tested.until_ready(world)?;
        let status = world.status(root)?;
        let (before, run) = (restarts(&status), service(&status, SERVICE)["tests"]["run"].clone());
        let from = world.events.now();
        let began = Instant::now();
        git(root, &["checkout", "-q", if number % 2 == 0 { "one" } else { "two" }])?;
        let ended = Instant::now();
        let (known, _) =
            world.events.until_status("a verdict on what is on disk", &tested.project, |status| {
                let tests = &service(status, SERVICE)["tests"];
                tests["state"] == "passed" && tests["current"] == true && tests["run"] != run
            })?;
        // Whatever else would follow from it has had the time to.
        std::thread::sleep(Duration::from_secs(1));
        tested.until_ready(world)?;
        counts.0.push((restarts(&world.status(root)?) - before) as f64);
        counts.1.push(kinds(world, &tested, from, "run_started").len() as f64);
        since_start.push(known - began);
        since_end.push(known.saturating_duration_since(ended));
    }
    let what = format!("branch switch of {} files", sizes.branch);
    let row = |name: &str, samples| Row::new(8, &format!("{what}: {name}"), DEVD, "", samples).at_most(1.0);
    let rows = vec![
        row("restarts", counts.0),
        row("runs", counts.1),
        Row::times(8, &format!("{what}: its end to the right verdict"), DEVD, &since_end)
            .note("the tests take 100 ms of it"),
        Row::times(8, &format!("{what}: its start to the right verdict"), DEVD, &since_start),
    ];
    world.run(root, &["down"])?;
    guard::remove_from_engine(&tested.project);
    Ok(rows)
}

pub(crate) fn many(world: &World, sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (suffix, takes, manner) in [("quick", "0.1", "tests of 0.1 s"), ("slow", "0.7", "tests of 0.7 s")] {
        let within = WITHIN.mul_f64(f64::from(sizes.flurry) / f64::from(SAVES));
        say(&format!("case 9: {} saves in {} s, {manner}", sizes.flurry, within.as_secs_f64()));
        let tested = Tested::new(world, suffix, takes)?;
        tested.up(world)?;
        let from = world.events.now();
        let began = Instant::now();
        let mut last = None;
        for number in 0..sizes.flurry {
            let due = began + within.mul_f64(f64::from(number) / f64::from(sizes.flurry));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // A person who tries things out saves one and the same file.
            last = Some(tested.save_to(0)?);
        }
        let last = last.context("no saves")?;
        let (known, _) = last_verdict(world, &tested, &last)?;
        tested.until_ready(world)?;
        let (started, finished) =
            (kinds(world, &tested, from, "run_started"), kinds(world, &tested, from, "run_finished"));
        let of = |state: &str| finished.iter().filter(|run| run["state"] == state).count();
        let cold = finished.iter().filter(|run| is_cold(run)).count();
        let what = format!("{} saves in {} s, {manner}", sizes.flurry, within.as_secs_f64());
        let row = |name: &str, count: usize| Row::number(9, &format!("{what}: {name}"), "", count as f64);
        rows.extend([
            row("runs started", started.len()),
            row("superseded", of("cancelled")),
            row("finished", of("passed") + of("failed")),
            row("could not be run", of("error")).at_most(0.0),
            row("pool misses", cold),
            Row::times(9, &format!("{what}: last save to its verdict"), DEVD, &[known - last.at]),
        ]);
        world.run(&tested.root, &["down"])?;
        guard::remove_from_engine(&tested.project);
    }
    Ok(rows)
}

/// Waits for the verdict on what was saved last: the script's own last word says that it was that.
fn last_verdict(world: &World, tested: &Tested, last: &Save) -> anyhow::Result<(Instant, Value)> {
    tested.marks.until(&last.ended())?;
    world.events.until_status("the last verdict", &tested.project, |status| {
        let tests = &service(status, SERVICE)["tests"];
        tests["state"] == "passed" && tests["current"] == true
    })
}

/// The runs of events of one kind.
fn kinds(world: &World, tested: &Tested, from: usize, kind: &str) -> Vec<Value> {
    let events = world.events.since(from).into_iter();
    let of = |(_, mut event): (Instant, Value)| {
        let wanted = event["kind"] == kind && event["project"] == tested.project.as_str();
        wanted.then(|| event["run"].take())
    };
    events.filter_map(of).collect()
}

fn restarts(status: &Value) -> u64 {
    service(status, SERVICE)["restarts"].as_u64().unwrap_or_default()
}

fn git(root: &Path, args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=bench", "-c", "user.email=bench@example.com"]);
    // Nobody's own hooks, templates and signing.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    guard::run(command.args(args).current_dir(root)).map(drop)
}
