//! Case 10: tests with a PostgreSQL beside them, set up for the first time and started from what is kept of it.

use crate::events::service;
use crate::guard;
use crate::peers::{Compose, Peers};
use crate::saves::{POSTGRES, SERVICE, Save, Tested, is_cold};
use crate::table::{DEVD, Row};
use crate::world::World;
use crate::{Sizes, say};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

const ENVIRONMENT: &str = "an environment with PostgreSQL made from nothing ready";
const FIRST: &str = "save to the tests' first act, PostgreSQL started for it";
/// A person's second look at the code.
const BETWEEN: Duration = Duration::from_secs(2);

pub(crate) fn rows(world: &World, sizes: &Sizes, peers: &Peers) -> anyhow::Result<Vec<Row>> {
    say(&format!("case 10: {} databases set up for the first time", sizes.cold));
    let mut first = Vec::new();
    let mut last = None;
    for number in 0..sizes.cold {
        let tested = Tested::with(world, &format!("pg{number}"), "0.1", POSTGRES)?;
        world.run(&tested.root, &["up"])?;
        tested.until_ready(world)?;
        let run = service(&world.status(&tested.root)?, SERVICE)["tests"]["run"].clone();
        let runs = world.runs(&tested.root, &[run.as_str().unwrap_or_default().to_owned()])?;
        first.extend(runs.iter().filter_map(making));
        world.until_logged(|line| line.contains("are kept ready-made") && line.contains(&tested.project))?;
        if let Some(before) = last.replace(tested) {
            gone(world, &before)?;
        }
    }
    let Some(tested) = last else { anyhow::bail!("nothing was measured") };

    say(&format!("case 10: {} databases started from what is kept", sizes.saves));
    tested.pool(0)?;
    world.events.until_status("nothing ready", &tested.project, |status| {
        status["settled"] == true && service(status, SERVICE)["tests"]["warm"] == 0
    })?;
    let (mut acts, mut ids) = (Vec::new(), Vec::new());
    for _ in 0..sizes.saves {
        world.until_quiet(&tested.project, &[SERVICE], 0)?;
        let (save, began, run) = saved(world, &tested)?;
        acts.push(began - save.at);
        ids.push(run);
    }
    let kept: Vec<Duration> = world.runs(&tested.root, &ids)?.iter().filter_map(making).collect();

    say(&format!("case 10: {} pairs of saves", sizes.pairs));
    tested.pool(1)?;
    let mut ids = Vec::new();
    for _ in 0..sizes.pairs {
        tested.until_ready(world)?;
        ids.push(saved(world, &tested)?.2);
        std::thread::sleep(BETWEEN);
        ids.push(saved(world, &tested)?.2);
    }
    let misses = world.runs(&tested.root, &ids)?.iter().filter(|run| is_cold(run)).count();
    gone(world, &tested)?;

    let pairs =
        format!("two saves {} s apart, with PostgreSQL: runs that found nothing ready", BETWEEN.as_secs());
    let mut rows = vec![
        Row::times(10, &format!("{ENVIRONMENT}, for the first time"), DEVD, &first).note("initdb"),
        Row::times(10, ENVIRONMENT, DEVD, &kept).at_most(1500.0).note("from what is kept"),
        Row::number(10, &pairs, "", misses as f64).at_most(0.0).note(format!("of {}", ids.len())),
        Row::times(10, FIRST, DEVD, &acts).note("pool: 0"),
    ];
    if let Some(compose) = &peers.compose {
        say(&format!("case 10: {} times {} run from nothing", sizes.slow, compose.name));
        let times = by_compose(&tested, compose, sizes.slow)?;
        let who = format!("{} run --rm tests", compose.name);
        rows.push(Row::times(10, FIRST, &who, &times).note("nothing was running"));
    }
    guard::remove_from_engine(&tested.project);
    Ok(rows)
}

/// Saves, and waits for the verdict: the moment of the tests' first act, and the run.
fn saved(world: &World, tested: &Tested) -> anyhow::Result<(Save, std::time::Instant, String)> {
    let from = world.events.now();
    let save = tested.save()?;
    let began = tested.marks.until(&save.began())?;
    tested.marks.until(&save.ended())?;
    let (_, event) = world.events.until("a verdict", from, |event| {
        event["kind"] == "run_finished" && event["run"]["service"] == SERVICE
    })?;
    anyhow::ensure!(event["run"]["state"] == "passed", "the tests did not pass: {:#}", event["run"]);
    Ok((save, began, event["run"]["id"].as_str().unwrap_or_default().to_owned()))
}

/// How long a run's environment took to make; none when it was there.
fn making(run: &Value) -> Option<Duration> {
    let stages = run["stages"].as_array()?;
    let at = |name: &str| stages.iter().find(|stage| stage["name"] == name)?["at_us"].as_u64();
    Some(Duration::from_micros(at("ready")?.checked_sub(at("cold")?)?))
}

fn gone(world: &World, tested: &Tested) -> anyhow::Result<()> {
    world.run(&tested.root, &["down", "--volumes"]).map(drop)
}

fn by_compose(tested: &Tested, compose: &Compose, rounds: u32) -> anyhow::Result<Vec<Duration>> {
    let project = format!("{}c", tested.project);
    let (file, folder) = ("docker-compose.yml", tested.root.join("app"));
    let mut times = Vec::new();
    for _ in 0..rounds {
        let save = tested.save()?;
        let mut command = compose.command(&folder, file, &project, &["run", "--rm", "-T", "tests"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = guard::start(&mut command)?;
        times.push(tested.marks.until(&save.began())? - save.at);
        tested.marks.until(&save.ended())?;
        process.wait()?;
        compose.run(&folder, file, &project, &["down", "-v", "-t", "0"])?;
    }
    Ok(times)
}
