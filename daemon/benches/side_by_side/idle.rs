//! Case 7: what the daemon takes while nothing happens, and how soon it watches.

use crate::commands;
use crate::guard;
use crate::table::Row;
use crate::world::{Programs, World, write};
use crate::{Sizes, say};
use anyhow::Context as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const SERVICES: usize = 20;
const IN_A_FOLDER: usize = 10;

pub(crate) fn rows(programs: &Programs, sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let world = World::new(programs)?;
    let mut rows = Vec::new();
    let (root, _) = commands::up(&world, "idle")?;
    rows.extend(idle(&world, sizes, "the example", 15.0)?);
    world.run(&root, &["down"])?;
    guard::remove_from_engine(&guard::name("idle"));
    drop(world);

    let world = World::new(programs)?;
    let (root, project) = world.project("many")?;
    say(&format!("case 7: writing {} files", sizes.files));
    let folders = many(&root, sizes.files)?;
    let what = format!("{SERVICES} services, {} files in {folders} folders", sizes.files);
    say(&format!("case 7: devd up of {what}"));
    let began = Instant::now();
    let up = guard::start(world.devd(&root, &["up"]).stdout(Stdio::null()).stderr(Stdio::null()))?;
    let watching = world.until_logged(|line| line.contains("watching") && line.contains(&project))?;
    let row = Row::number(7, &format!("devd up to watching: {what}"), "ms", millis(watching - began));
    rows.push(row.at_most(1000.0));
    anyhow::ensure!(up.wait()?.success(), "devd up of {what} failed");
    rows.push(Row::number(7, &format!("devd up: {what}"), "ms", millis(began.elapsed())));
    world.until_quiet(&project, &[], 0)?;
    rows.extend(idle(&world, sizes, &what, 40.0)?);
    world.run(&root, &["down"])?;
    guard::remove_from_engine(&project);
    Ok(rows)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Writes a project of so many files; in how many folders.
fn many(root: &Path, files: usize) -> anyhow::Result<usize> {
    let folders = files / SERVICES / IN_A_FOLDER;
    let mut compose = "services:\n".to_owned();
    for service in 0..SERVICES {
        compose += &format!(
            "  s{service}:\n    image: busybox:1\n    command: sleep 1000000\n    volumes: [\"./s{service}:/src\"]\n"
        );
        for folder in 0..folders {
            // Some levels deep, as sources are.
            let folder = root.join(format!("s{service}/{}/{folder}", folder / 25));
            std::fs::create_dir_all(&folder)?;
            for file in 0..IN_A_FOLDER {
                std::fs::write(folder.join(format!("{file}.py")), format!("VALUE = {service} + {file}\n"))?;
            }
        }
    }
    write(&root.join("docker-compose.yml"), &compose)?;
    Ok(folders * SERVICES)
}

/// What one look at the daemon's process shows.
#[derive(Debug)]
struct Used {
    cpu: Duration,
    wakeups: u64,
    rss: u64,
    /// The part of it that is not pages of the program's file.
    anonymous: u64,
    threads: usize,
}

impl Used {
    fn by(pid: u32) -> anyhow::Result<Self> {
        let process = Path::new("/proc").join(pid.to_string());
        let mut used = Self { cpu: Duration::ZERO, wakeups: 0, rss: 0, anonymous: 0, threads: 0 };
        for thread in std::fs::read_dir(process.join("task"))? {
            let thread = thread?.path();
            let time = std::fs::read_to_string(thread.join("schedstat"))?;
            let time = time.split(' ').next().and_then(|it| it.parse().ok()).context("schedstat")?;
            used.cpu += Duration::from_nanos(time);
            used.wakeups += field(&thread.join("status"), "voluntary_ctxt_switches:")?;
            used.threads += 1;
        }
        used.rss = field(&process.join("status"), "VmRSS:")?;
        used.anonymous = field(&process.join("status"), "RssAnon:")?;
        Ok(used)
    }
}

fn field(file: &Path, name: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
    let number = line.split_whitespace().next().unwrap_or_default();
    Ok(number.parse()?)
}

/// What the daemon takes over some time, while nobody does anything.
fn idle(world: &World, sizes: &Sizes, what: &str, rss: f64) -> anyhow::Result<Vec<Row>> {
    say(&format!("case 7: {} s of nothing, {what}", sizes.idle.as_secs()));
    // What a start leaves behind is not idleness: late looks at the engine, environments made ahead.
    std::thread::sleep(sizes.calm);
    let (began, before) = (Instant::now(), Used::by(world.pid)?);
    std::thread::sleep(sizes.idle);
    let (took, after) = (began.elapsed().as_secs_f64(), Used::by(world.pid)?);
    let part = (after.cpu.saturating_sub(before.cpu)).as_secs_f64() / took * 100.0;
    let wakeups = after.wakeups.saturating_sub(before.wakeups) as f64 / took;
    let note = format!("over {took:.0} s, {} threads", after.threads);
    let memory = format!("{} MiB of it are its own, the rest is the program's file", after.anonymous / 1024);
    let row = |name: &str, unit, value| Row::number(7, &format!("idle {name}: {what}"), unit, value);
    Ok(vec![
        row("CPU", "%", part).at_most(0.05).note(note.clone()),
        row("wake-ups", "/s", wakeups).at_most(1.0).note(note.clone()),
        row("RSS", "MiB", after.rss as f64 / 1024.0).at_most(rss).note(memory),
    ])
}
