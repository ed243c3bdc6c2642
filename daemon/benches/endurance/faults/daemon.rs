//! What happens to the daemon's own process.

use super::{Done, a_while};
use crate::daemon::Manner;
use crate::engine::text;
use crate::world::World;
use anyhow::Context as _;
use rustix::process::Signal;
use std::path::Path;
use std::time::Duration;

/// Kills in one round.
const KILLS: u32 = 6;

/// SIGKILL, again and again, from right after a start to when all is done.
pub(super) fn killed(world: &mut World) -> anyhow::Result<Done> {
    for _ in 0..KILLS {
        a_while(world, 0, 1500);
        world.daemon.kill()?;
        a_while(world, 0, 100);
        world.daemon.start(&Manner::default())?;
    }
    Ok(Done { injected: KILLS, ..Done::now() })
}

/// SIGTERM, as at the end of a session.
pub(super) fn stopped(world: &mut World) -> anyhow::Result<Done> {
    a_while(world, 0, 1500);
    world.daemon.stop()?;
    let environments = world.engine.containers()?.into_iter().filter(|it| it.environment.is_some()).count();
    let problem = (environments > 0).then(|| format!("{environments} containers of tests without a daemon"));
    world.daemon.start(&Manner::default())?;
    Ok(Done::now().but(problem))
}

/// SIGSTOP: a laptop that sleeps, while the containers and the disk go on.
pub(super) fn frozen(world: &mut World) -> anyhow::Result<Done> {
    let sleeps = world.chance.millis(500, 4000);
    frozen_for(world, sleeps)
}

pub(super) fn frozen_for_a_minute(world: &mut World) -> anyhow::Result<Done> {
    frozen_for(world, Duration::from_secs(60))
}

fn frozen_for(world: &mut World, sleeps: Duration) -> anyhow::Result<Done> {
    a_while(world, 0, 800);
    world.daemon.signal(Signal::STOP);
    std::thread::sleep(sleeps);
    world.daemon.signal(Signal::CONT);
    Ok(Done::now())
}

const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The wall clock goes back by an hour under a running daemon, and forward again when it is started anew. The clock that
/// counts from the machine's start is not touched: no machine sets that back.
pub(super) fn clock_set_back(world: &mut World) -> anyhow::Result<Done> {
    anyhow::ensure!(
        Path::new(FAKETIME).exists(),
        "libfaketime is not installed: apt-get install libfaketime"
    );
    let clock = world.daemon.folder.join("clock");
    std::fs::write(&clock, "+0\n")?;
    let env = vec![
        ("LD_PRELOAD", FAKETIME.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", text(&clock)),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ];
    world.daemon.kill()?;
    world.daemon.start(&Manner { env, ..Manner::default() }).context("with libfaketime")?;
    a_while(world, 0, 1500);
    std::fs::write(&clock, "-3600\n")?;
    a_while(world, 500, 2500);
    world.daemon.kill()?;
    world.daemon.start(&Manner::default())?;
    Ok(Done::now())
}
