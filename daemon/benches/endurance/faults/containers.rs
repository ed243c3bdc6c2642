//! What somebody does to containers with docker, those of test environments included.

use super::{Done, a_while};
use crate::engine::Listed;
use crate::load;
use crate::shop::STILL;
use crate::world::World;
use std::time::{Duration, Instant};

/// Any container that runs.
fn victim(world: &mut World) -> anyhow::Result<Option<Listed>> {
    a_while(world, 0, 1200);
    let running: Vec<_> = world.engine.containers()?.into_iter().filter(|it| it.state == "running").collect();
    Ok(world.chance.pick(&running).cloned())
}

/// Only who was touched may be restarted.
fn done(victim: &Listed) -> Done {
    let still = victim.environment.is_none() && STILL.contains(&victim.service.as_str());
    let done = Done { hits_tests: victim.environment.is_some(), ..Done::now() };
    if still { done.harmful() } else { done }
}

pub(super) fn killed(world: &mut World) -> anyhow::Result<Done> {
    let Some(victim) = victim(world)? else { return Ok(Done { injected: 0, ..Done::now() }) };
    world.engine.act(&victim.id, "kill")?;
    Ok(done(&victim))
}

pub(super) fn removed(world: &mut World) -> anyhow::Result<Done> {
    let Some(victim) = victim(world)? else { return Ok(Done { injected: 0, ..Done::now() }) };
    world.engine.remove(&victim.id)?;
    Ok(done(&victim))
}

/// What a person stops stays stopped, until that person starts it again.
pub(super) fn stopped(world: &mut World) -> anyhow::Result<Done> {
    let Some(victim) = victim(world)? else { return Ok(Done { injected: 0, ..Done::now() }) };
    let stopped = world.engine.act(&victim.id, "stop?t=1")?;
    if victim.environment.is_some() || !stopped {
        return Ok(done(&victim));
    }
    let began = Instant::now();
    let is_stopped = |world: &World| {
        let status = world.status().unwrap_or_default();
        load::service(&status, &victim.service)["state"] == "stopped"
    };
    while !is_stopped(world) && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    a_while(world, 500, 3000);
    let facts = world.engine.inspect(&victim.id)?;
    let problem = (facts["State"]["Running"] != false || !is_stopped(world))
        .then(|| format!("{} was stopped by hand and did not stay so: {}", victim.service, facts["State"]));
    world.engine.act(&victim.id, "start")?;
    Ok(done(&victim).but(problem))
}

pub(super) fn paused(world: &mut World) -> anyhow::Result<Done> {
    let Some(victim) = victim(world)? else { return Ok(Done { injected: 0, ..Done::now() }) };
    // An engine can hang in pausing what is just being removed: that is its own.
    let paused = world.engine.act(&victim.id, "pause").unwrap_or_default();
    a_while(world, 300, 2500);
    let mut problem = None;
    if paused && victim.environment.is_none() {
        let facts = world.engine.inspect(&victim.id)?;
        problem = (facts["State"]["Paused"] != true).then(|| {
            format!("{} was paused by hand and did not stay so: {}", victim.service, facts["State"])
        });
    }
    _ = world.engine.act(&victim.id, "unpause");
    // A container that was paused and is not is the same as before.
    Ok(Done::now().but(problem))
}
