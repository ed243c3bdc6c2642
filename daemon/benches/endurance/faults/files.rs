//! What is hard on the watcher.

use super::{Done, a_while, answers_soon};
use crate::daemon::Manner;
use crate::world::World;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

pub(super) fn one_watch(world: &mut World) -> anyhow::Result<Done> {
    limited(world, 1)
}

pub(super) fn hundred_watches(world: &mut World) -> anyhow::Result<Done> {
    limited(world, 100)
}

/// The system allows fewer watches than there are folders: everything has to be noticed all the same.
fn limited(world: &mut World, watches: u32) -> anyhow::Result<Done> {
    let folders = world.shop.root.join("one/app/folders");
    for number in 0..120 {
        std::fs::create_dir_all(folders.join(number.to_string()))?;
    }
    world.daemon.kill()?;
    world.daemon.start(&Manner { watches: Some(watches), ..Manner::default() })?;
    world.load.go();
    a_while(world, 500, 3000);
    world.load.pause();
    let mut problems = match world.calm(Instant::now()) {
        Ok(_) => world.wrong_runs(false)?,
        Err(error) => vec![format!("with {watches} watches: {error:#}")],
    };
    std::fs::remove_dir_all(&folders)?;
    world.daemon.kill()?;
    world.daemon.start(&Manner::default())?;
    let mut done = Done::now();
    done.problems.append(&mut problems);
    Ok(done)
}

/// How many in a second.
const RATE: u32 = 10_000;
const FILES: usize = 64;

pub(super) fn events(world: &mut World) -> anyhow::Result<Done> {
    flood(world, Duration::from_secs(3))
}

pub(super) fn events_for_a_minute(world: &mut World) -> anyhow::Result<Done> {
    flood(world, Duration::from_secs(60))
}

fn flood(world: &mut World, lasts: Duration) -> anyhow::Result<Done> {
    let folder = world.shop.root.join("two/app/noise");
    std::fs::create_dir_all(&folder)?;
    let open = |number: usize| File::create(folder.join(format!("{number}.txt")));
    let files = (0..FILES).map(open).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let (mut written, mut problem) = (0_u32, None);
    while began.elapsed() < lasts {
        for file in &files {
            // One event each: the kernel puts only equal ones together that follow each other.
            file.write_all_at(&written.to_le_bytes(), 0)?;
            written += 1;
        }
        let due = began + Duration::from_secs(1) * written / RATE;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if problem.is_none() && written.is_multiple_of(RATE / 2) {
            problem = answers_soon(world, "a flood of events");
        }
    }
    let rate = f64::from(written) / began.elapsed().as_secs_f64();
    if rate < f64::from(RATE) * 0.9 {
        problem = problem.or(Some(format!("only {rate:.0} events a second could be made")));
    }
    drop(files);
    std::fs::remove_dir_all(&folder)?;
    Ok(Done::now().but(problem))
}
