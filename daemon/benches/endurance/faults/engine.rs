//! What happens to the engine.

use super::{Done, a_while};
use crate::process;
use crate::world::World;
use std::time::{Duration, Instant};

/// SIGKILL of dockerd and its containerd; the next dockerd ends the containers that it finds running, as it does by
/// default.
pub(super) fn killed(world: &mut World) -> anyhow::Result<Done> {
    Ok(restart(world, false)?.harmful())
}

/// The same with `live-restore`: containers live on, and nobody has a reason to touch them.
pub(super) fn killed_alone(world: &mut World) -> anyhow::Result<Done> {
    restart(world, true)
}

fn restart(world: &mut World, live_restore: bool) -> anyhow::Result<Done> {
    a_while(world, 0, 1200);
    world.engine.kill()?;
    a_while(world, 0, 1500);
    let healed = world.engine.start(live_restore)?;
    // An engine that had to forget its networks costs every container.
    let anew = world.engine.forgetful;
    Ok(Done { healed, anew, spares: !anew, ..Done::now() })
}

/// SIGKILL of containerd; dockerd starts another one.
pub(super) fn containerd_killed(world: &mut World) -> anyhow::Result<Done> {
    a_while(world, 0, 1200);
    if let Some(pid) = world.engine.containerd() {
        process::kill(pid);
        process::until_gone(pid);
        let began = Instant::now();
        while world.engine.containerd().is_none_or(|now| now == pid) {
            anyhow::ensure!(began.elapsed() < Duration::from_secs(30), "no other containerd came");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(Done::now())
}

/// The stack's network, or that of a test environment, is taken from under its containers.
pub(super) fn network_removed(world: &mut World) -> anyhow::Result<Done> {
    a_while(world, 0, 1200);
    let networks = world.engine.networks()?;
    if let Some(network) = world.chance.pick(&networks) {
        // One that is made anew meanwhile may have been found half-way.
        world.engine.remove_network(&network.id)?;
    }
    Ok(Done::now().harmful())
}
