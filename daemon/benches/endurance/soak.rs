//! An hour of work: many services, a save a second, and what the daemon needs meanwhile.

use crate::chance::Chance;
use crate::daemon::{Daemon, Manner, Programs};
use crate::engine::Engine;
use crate::table::{self, quantile};
use crate::world::Place;
use crate::{Flags, process, say};
use anyhow::Context as _;
use std::path::Path;
use std::time::{Duration, Instant};

const SERVICES: usize = 50;
/// Every so many of them has tests.
const TESTED: usize = 5;
const SAVE: Duration = Duration::from_secs(1);
const SAMPLE: Duration = Duration::from_secs(2);
const PROJECT: &str = "soak";

/// What is looked at: its name, its unit, and how much more the last quarter's median may be than the first one's: a
/// part of it, and a number on top.
const MEASURES: [(&str, f64, f64); 4] = [
    ("resident memory, MiB", 0.05, 1.0),
    ("file descriptors", 0.0, 4.0),
    ("threads", 0.0, 2.0),
    ("tasks", 0.05, 8.0),
];

pub(crate) type Sample = [f64; MEASURES.len()];

/// Whether everything stayed flat.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<bool> {
    let place = Place::of_environment()?;
    let engine = Engine::new(&place.folder, &place.engine, &place.cgroup, &place.images)?;
    let mut daemon = Daemon::new(&place.folder, &Programs::of(&place.programs)?)?;
    let root = place.folder.join("projects").join(PROJECT);
    write(&root)?;
    daemon.start(&Manner::default())?;
    say(&format!("{SERVICES} services come up"));
    daemon.run(&root, &["up"])?;
    let images = engine.images()?;
    let mut chance = Chance::of(flags.seed);
    let (mut samples, mut saves) = (Vec::new(), 0_u32);
    let began = Instant::now();
    let mut next = began;
    while began.elapsed() < flags.lasts {
        let due = began + SAVE * saves;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let service = chance.below(SERVICES as u64);
        // Two files in turn: one that changes after each run looks like tests that write it.
        let file = root.join(format!("s{service}/app/{}.txt", chance.below(4)));
        std::fs::write(file, format!("{saves}\n"))?;
        saves += 1;
        if Instant::now() >= next {
            samples.push(sample(&daemon)?);
            next += SAMPLE;
        }
    }
    let runs = daemon.finished();
    let passed = runs.iter().filter(|(_, state)| state == "passed").count();
    let cancelled = runs.iter().filter(|(_, state)| state == "cancelled").count();
    let last = daemon.ask("GET /v1/status", None, Duration::from_secs(10))?;
    daemon.run(&root, &["down", "--volumes"])?;
    let left = engine.containers()?.len() + engine.networks()?.len() + engine.unused_volumes()?.len();
    let left = left + engine.images()?.saturating_sub(images);
    let (text, flat) = show(&samples);
    println!("\n{}", crate::heading("soak", flags)?);
    println!("{SERVICES} services, {} of them tested\n\n{text}", SERVICES / TESTED);
    let other = runs.len() - passed - cancelled;
    println!(
        "{saves} saves, {} runs: {passed} passed, {cancelled} superseded, {other} of another kind; \
         {left} things left on the engine after `devd down --volumes`",
        runs.len()
    );
    anyhow::ensure!(last.is_ok(), "status {}", last.code);
    Ok(flat && left == 0 && other == 0)
}

fn write(root: &Path) -> anyhow::Result<()> {
    let mut compose = "services:\n".to_owned();
    for number in 0..SERVICES {
        let folder = root.join(format!("s{number}/app"));
        std::fs::create_dir_all(&folder)?;
        for file in 0..4 {
            std::fs::write(folder.join(format!("{file}.txt")), "0\n")?;
        }
        compose += &format!(
            "  s{number}:\n    image: busybox:1\n    command: sleep 1000000\n    stop_signal: KILL\n    \
             volumes: ['./s{number}/app:/app']\n"
        );
        if number % TESTED == 0 {
            compose += &format!("    x-devd: {{tests: {{file: s{number}/tests.yaml}}}}\n");
            let tests = "services:\n  tests:\n    image: busybox:1\n    command: sh -c 'cat /app/*; sleep 0.1'\n    \
                         volumes: ['./app:/app']\n";
            std::fs::write(root.join(format!("s{number}/tests.yaml")), tests)?;
        }
    }
    std::fs::write(root.join("compose.yaml"), compose)?;
    Ok(())
}

fn sample(daemon: &Daemon) -> anyhow::Result<Sample> {
    let used = process::used(daemon.pid().context("there is no daemon")?)?;
    let metrics = daemon.ask("GET /metrics", None, Duration::from_secs(10))?;
    let tasks = metrics.body.lines().find_map(|line| line.strip_prefix("devd_tasks "));
    let tasks = tasks.context("devd_tasks in /metrics")?.trim().parse()?;
    Ok([used.rss_kib as f64 / 1024.0, used.descriptors as f64, used.threads as f64, tasks])
}

/// Medians of the quarters, and whether the last is like the first.
pub(crate) fn show(samples: &[Sample]) -> (String, bool) {
    let heads = ["", "1st quarter", "2nd", "3rd", "4th", "highest", "may be", "verdict"];
    let mut lines = vec![heads.map(str::to_owned).to_vec()];
    let mut flat = samples.len() >= 8;
    for (place, (name, part, more)) in MEASURES.into_iter().enumerate() {
        let of = |samples: &[Sample]| samples.iter().map(|sample| sample[place]).collect::<Vec<f64>>();
        let quarter = samples.len().div_ceil(4).max(1);
        let medians: Vec<f64> =
            samples.chunks(quarter).map(|quarter| quantile(&of(quarter), 0.5).unwrap_or(f64::NAN)).collect();
        let (first, last) = (medians.first().copied(), medians.last().copied());
        let bound = first.map(|first| first * (1.0 + part) + more);
        let holds = last.zip(bound).is_some_and(|(last, bound)| last <= bound);
        flat &= holds;
        let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let mut line = vec![name.to_owned()];
        line.extend((0..4).map(|quarter| figure(medians.get(quarter).copied())));
        line.extend([figure(quantile(&of(samples), 1.0)), figure(bound)]);
        line.push(if holds { "flat" } else { "NOT FLAT" }.to_owned());
        lines.push(line);
    }
    (table::text(&lines), flat)
}
