//! Faults under load, one after the other, and after each of them a look at everything.

use crate::faults::{ALL, Done, Fault};
use crate::table::{self, quantile, seconds};
use crate::world::{Place, World};
use crate::{Flags, say};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What came of one kind of fault.
#[derive(Debug, Default)]
struct Tally {
    injected: u32,
    leftovers: u32,
    lost: u32,
    wrong: u32,
    restarted: u32,
    stuck: u32,
    other: u32,
    up: Vec<f64>,
    all: Vec<f64>,
}

/// When these are over there is an engine again, and no container of it runs or all do.
const ENGINES: [&str; 2] = ["dockerd killed", "dockerd killed, containers live on"];

/// Beyond what starting the services takes, how long after that they may come up.
const SOON: f64 = 2.0;

/// Shown of the problems at the end.
const SHOWN: usize = 60;

/// Whether all held.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<bool> {
    let deadline = Instant::now() + flags.lasts;
    let place = Place::of_environment()?;
    let mut world = World::new(&place, flags.seed)?;
    say("all is up");
    let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut rounds = deck(flags, &mut world);
    while Instant::now() < deadline {
        let Some(fault) = rounds.pop() else {
            let injected: u32 = tallies.values().map(|tally| tally.injected).sum();
            say(&format!("{injected} faults, {} problems so far", problems.len()));
            rounds = deck(flags, &mut world);
            continue;
        };
        let tally = tallies.entry(fault.name).or_default();
        let found = round(&mut world, fault, tally);
        let found = found.unwrap_or_else(|error| vec![("stuck", format!("{error:#}"))]);
        for (kind, problem) in &found {
            match *kind {
                "leftover" => tally.leftovers += 1,
                "lost run" => tally.lost += 1,
                "wrong verdict" => tally.wrong += 1,
                "restarted" => tally.restarted += 1,
                "stuck" => tally.stuck += 1,
                _ => tally.other += 1,
            }
            let problem = format!("{}: {kind}: {problem}", fault.name);
            say(&problem);
            problems.push(problem);
        }
        if !found.is_empty() {
            world.reset()?;
            world.load.wrong();
            world.daemon.finished();
        }
    }
    world.load.pause();
    let own = world.own_need()?.as_secs_f64();
    for name in ENGINES {
        let ups = tallies.get(name).map(|tally| tally.up.as_slice()).unwrap_or_default();
        let late = ups.iter().filter(|up| **up > own + SOON).count();
        if late > 0 {
            problems.push(format!(
                "{name}: {late} times services were not up {SOON} s beyond their own {own:.2} s"
            ));
        }
    }
    world.daemon.run(&world.shop.root, &["start", crate::shop::OFF])?;
    world.daemon.run(&world.shop.root, &["down", "--volumes"])?;
    let (containers, networks, volumes) =
        (world.engine.containers()?, world.engine.networks()?, world.engine.unused_volumes()?);
    let left = containers.len() + networks.len() + volumes.len();
    println!("\n{}", crate::heading("torture", flags)?);
    print!("{}", show(&tallies));
    println!(
        "\n{} saves, {} looks at the verdicts; the engine alone starts the services in {own:.2} s; {left} things left on the engine after `devd down --volumes`",
        world.load.saves(),
        world.load.looks()
    );
    for problem in problems.iter().take(SHOWN) {
        println!("- {}", problem.chars().take(1500).collect::<String>());
    }
    Ok(problems.is_empty() && left == 0)
}

/// All faults in an order by chance, as often as each comes.
fn deck(flags: &Flags, world: &mut World) -> Vec<Fault> {
    let long = flags.lasts >= Duration::from_secs(1800);
    let wanted = |fault: &&Fault| match &flags.fault {
        Some(name) => fault.name.contains(name.as_str()),
        None => long || fault.times > 0,
    };
    let mut deck: Vec<Fault> = Vec::new();
    for fault in ALL.iter().filter(wanted) {
        for _ in 0..fault.times.max(1) {
            deck.push(*fault);
        }
    }
    world.chance.shuffle(&mut deck);
    deck
}

/// One fault, and what was wrong afterwards.
fn round(world: &mut World, fault: Fault, tally: &mut Tally) -> anyhow::Result<Vec<(&'static str, String)>> {
    let identities = world.identities()?;
    world.load.go();
    let done = (fault.inject)(world);
    world.load.pause();
    let Done { injected, healed, anew, spares, forgets, strays, hits_tests, problems } = done?;
    tally.injected += injected;
    let mut found: Vec<_> = problems.into_iter().map(|problem| ("other", problem)).collect();
    // Sometimes there is one more save, and sometimes what was saved meanwhile is all there is.
    if hits_tests || world.chance.coin() {
        for service in crate::shop::TESTED {
            let passes = world.chance.coin();
            world.shop.save(service, passes, false)?;
        }
    }
    let calm = match world.calm(healed) {
        Ok(calm) => calm,
        Err(error) => {
            found.push(("stuck", format!("{error:#}")));
            found.extend(world.load.wrong().into_iter().map(|wrong| ("wrong verdict", wrong)));
            return Ok(found);
        }
    };
    if !anew {
        tally.up.push((calm.up - healed).as_secs_f64());
    }
    tally.all.push((calm.all - healed).as_secs_f64());
    if strays {
        world.remove_strays()?;
    }
    found.extend(world.leftovers()?.into_iter().map(|left| ("leftover", left)));
    let lost = world.lost_runs()?;
    if !forgets {
        found.extend(lost.into_iter().map(|lost| ("lost run", lost)));
    }
    found.extend(world.wrong_runs(strays)?.into_iter().map(|wrong| ("wrong verdict", wrong)));
    found.extend(world.load.wrong().into_iter().map(|wrong| ("wrong verdict", wrong)));
    let now = world.identities()?;
    for (service, before) in identities {
        // Whoever is forgotten has not ended by itself as far as anybody knows.
        let spared = if service == crate::shop::ONCE { !forgets } else { spares };
        if spared && now.get(service) != Some(&before) {
            found.push(("restarted", format!("{service}: {before}, now {:?}", now.get(service))));
        }
    }
    Ok(found)
}

fn show(tallies: &BTreeMap<&'static str, Tally>) -> String {
    let heads = [
        "fault",
        "injected",
        "left over",
        "lost runs",
        "wrong verdicts",
        "restarts without cause",
        "not recovered",
        "other",
        "services up: median",
        "p95",
        "max",
        "all right again: median",
        "p95",
        "max",
    ];
    let mut lines = vec![heads.map(str::to_owned).to_vec()];
    for fault in ALL {
        let Some(tally) = tallies.get(fault.name) else { continue };
        let counts = [
            tally.injected,
            tally.leftovers,
            tally.lost,
            tally.wrong,
            tally.restarted,
            tally.stuck,
            tally.other,
        ];
        let times = [&tally.up, &tally.all]
            .into_iter()
            .flat_map(|samples| [0.5, 0.95, 1.0].map(|part| seconds(quantile(samples, part))));
        let line = std::iter::once(fault.name.to_owned());
        lines.push(line.chain(counts.map(|count| count.to_string())).chain(times).collect());
    }
    table::text(&lines)
}
