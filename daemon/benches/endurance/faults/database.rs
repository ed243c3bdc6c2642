//! What happens to the history's file.

use super::{Done, a_while, answers_soon};
use crate::daemon::Manner;
use crate::load;
use crate::world::World;
use anyhow::Context as _;
use rusqlite::Connection;
use std::fs::File;
use std::path::PathBuf;

fn path(world: &World) -> PathBuf {
    world.daemon.state().join("history.db")
}

fn open(world: &World) -> anyhow::Result<Connection> {
    let connection = Connection::open(path(world))?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

/// Cuts it somewhere.
fn cut(world: &mut World) -> anyhow::Result<()> {
    let file = File::options().write(true).open(path(world))?;
    let length = file.metadata()?.len();
    file.set_len(world.chance.below(length))?;
    Ok(())
}

/// While there is no daemon.
pub(super) fn truncated(world: &mut World) -> anyhow::Result<Done> {
    a_while(world, 0, 800);
    world.daemon.kill()?;
    cut(world)?;
    world.daemon.start(&Manner::default())?;
    register_again(world)?;
    Ok(Done::now().forgetful())
}

/// Under a daemon that has it open, which is killed some time later.
pub(super) fn truncated_in_use(world: &mut World) -> anyhow::Result<Done> {
    a_while(world, 0, 800);
    cut(world)?;
    a_while(world, 500, 2000);
    let problem = answers_soon(world, "the database was cut");
    world.daemon.kill()?;
    world.daemon.start(&Manner::default())?;
    register_again(world)?;
    Ok(Done::now().forgetful().but(problem))
}

/// A database that is broken beyond reading is put aside, and with it what was registered.
fn register_again(world: &mut World) -> anyhow::Result<()> {
    let aside: Vec<_> = std::fs::read_dir(world.daemon.state())?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains(".broken-"))
        .collect();
    for path in &aside {
        std::fs::remove_file(path)?;
    }
    let status = world.daemon.ask("GET /v1/status", None, std::time::Duration::from_secs(5))?.json()?;
    if load::project(&status, &world.shop.name).is_null() {
        anyhow::ensure!(!aside.is_empty(), "the project is forgotten, and no database was put aside");
        world.daemon.run(&world.shop.root, &["up"])?;
    }
    // Whether the cut took the note that it is stopped along.
    world.daemon.run(&world.shop.root, &["stop", crate::shop::OFF])?;
    Ok(())
}

/// Somebody else has it, for longer than the daemon waits for that.
pub(super) fn locked(world: &mut World) -> anyhow::Result<Done> {
    a_while(world, 0, 800);
    let other = open(world)?;
    other.execute_batch("BEGIN EXCLUSIVE")?;
    a_while(world, 300, 7000);
    let mut problem = answers_soon(world, "the database is locked");
    if world.chance.coin() {
        world.daemon.kill()?;
        if let Err(error) = world.daemon.start(&Manner::default()) {
            let said = format!("{error:#}");
            problem = problem.or((!said.contains("locked")).then_some(said));
        }
    }
    other.execute_batch("ROLLBACK")?;
    drop(other);
    if !world.daemon.is_alive() {
        world.daemon.start(&Manner::default())?;
    }
    Ok(Done { strays: true, ..Done::now() }.but(problem))
}

/// It is brought up to date, and nothing in it is lost.
pub(super) fn older(world: &mut World) -> anyhow::Result<Done> {
    a_while(world, 0, 800);
    world.daemon.kill()?;
    let before = world.runs()?.len();
    open(world)?
        .execute_batch("DROP TABLE origins; ALTER TABLE runs DROP COLUMN partial; PRAGMA user_version = 1")?;
    world.daemon.start(&Manner::default()).context("an older database")?;
    let after = world.runs()?.len();
    // Those that are too many go at a start.
    let problem = (after + 32 < before).then(|| format!("{before} runs before, {after} afterwards"));
    Ok(Done::now().but(problem))
}

/// It is left alone, and that is said.
pub(super) fn newer(world: &mut World) -> anyhow::Result<Done> {
    a_while(world, 0, 800);
    world.daemon.kill()?;
    let version: i64 = open(world)?.pragma_query_value(None, "user_version", |row| row.get(0))?;
    open(world)?.pragma_update(None, "user_version", 99)?;
    let problem = match world.daemon.start(&Manner::default()) {
        Ok(_) => Some("it started with a newer database".to_owned()),
        Err(error) if format!("{error:#}").contains("newer devd") => None,
        Err(error) => Some(format!("{error:#}")),
    };
    world.daemon.kill()?;
    open(world)?.pragma_update(None, "user_version", version)?;
    world.daemon.start(&Manner::default())?;
    Ok(Done::now().but(problem))
}
