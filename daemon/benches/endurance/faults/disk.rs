//! File systems that are full for a while.

use super::{Done, a_while, answers_soon};
use crate::daemon::Manner;
use crate::world::World;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The state folder, with the history in it; by chance the daemon is killed meanwhile.
pub(super) fn state(world: &mut World) -> anyhow::Result<Done> {
    full(world, world.daemon.state())
}

/// The folder of the runs' logs.
pub(super) fn logs(world: &mut World) -> anyhow::Result<Done> {
    full(world, world.daemon.state().join("runs"))
}

/// What the engine writes to.
pub(super) fn engine(world: &mut World) -> anyhow::Result<Done> {
    // A service that needs an engine that can write may be started anew. Tests that could not be run for want of room say so
    // until the next save.
    let done = full(world, world.engine.disk().to_owned())?;
    Ok(Done { hits_tests: true, ..done }.harmful())
}

fn full(world: &mut World, folder: PathBuf) -> anyhow::Result<Done> {
    a_while(world, 0, 1000);
    let ballast = folder.join("ballast");
    fill(&ballast)?;
    a_while(world, 500, 2500);
    let mut problem = answers_soon(world, "the disk is full");
    if world.chance.coin() {
        world.daemon.kill()?;
        // It may refuse to start; then it has to say why.
        if let Err(error) = world.daemon.start(&Manner::default()) {
            let said = format!("{error:#}");
            let clear = said.contains("full") || said.contains("No space");
            problem = problem.or((!clear).then_some(said));
        }
        a_while(world, 300, 1500);
    }
    std::fs::remove_file(&ballast)?;
    if !world.daemon.is_alive() {
        world.daemon.start(&Manner::default())?;
    }
    Ok(Done { strays: true, ..Done::now() }.but(problem))
}

/// Writes until there is no room.
fn fill(path: &Path) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    for size in [1 << 20, 4096, 1] {
        let chunk = vec![0; size];
        while file.write_all(&chunk).is_ok() {}
    }
    Ok(())
}
