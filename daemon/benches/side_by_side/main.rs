//! What devd takes beside what others take, in one run on one machine: `scripts/bench`.
//!
//! `-- --quick` for few rounds and small sizes, `-- --case N` for one case, `-- FILE` for where the JSON goes.
//! The programs that are measured are those in `$DEVD_BENCH_BIN`, as they are installed; this one only waits.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is for people")]

mod bursts;
mod commands;
mod databases;
mod events;
mod guard;
mod idle;
mod marks;
mod peers;
mod restarts;
mod saves;
mod table;
mod world;

use anyhow::Context as _;
use peers::Peers;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use table::{Row, Table};
use world::{Programs, World};

/// How many rounds, and how large.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    saves: u32,
    restarts: u32,
    commands: u32,
    /// Rounds of peers that take about a second each.
    peers: u32,
    /// Rounds of peers that take ten.
    slow: u32,
    cold: u32,
    idle: Duration,
    calm: Duration,
    files: usize,
    branch: usize,
    switches: u32,
    flurry: u32,
    /// Pairs of saves.
    pairs: u32,
}

const FULL: Sizes = Sizes {
    saves: 50,
    restarts: 30,
    commands: 200,
    peers: 20,
    slow: 3,
    cold: 5,
    idle: Duration::from_secs(60),
    calm: Duration::from_secs(10),
    files: 100_000,
    branch: 5_000,
    switches: 4,
    flurry: 20,
    pairs: 10,
};

const QUICK: Sizes = Sizes {
    saves: 8,
    restarts: 5,
    commands: 20,
    peers: 4,
    slow: 1,
    cold: 2,
    idle: Duration::from_secs(10),
    calm: Duration::from_secs(5),
    files: 10_000,
    branch: 500,
    switches: 2,
    flurry: 10,
    pairs: 3,
};

#[derive(Debug)]
struct Flags {
    sizes: Sizes,
    quick: bool,
    case: Option<u32>,
    json: PathBuf,
    programs: PathBuf,
}

const CASES: std::ops::RangeInclusive<u32> = 1..=10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts it too.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing is measured without --bench: scripts/bench");
        return ExitCode::SUCCESS;
    }
    match flags(arguments).and_then(|flags| measure(&flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn flags(arguments: Vec<String>) -> anyhow::Result<Flags> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    let programs = std::env::var_os("DEVD_BENCH_BIN").map_or_else(|| target.join("bin"), PathBuf::from);
    let (json, quick) = (target.join("results.json"), false);
    let mut flags = Flags { sizes: FULL, quick, case: None, json, programs };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--quick" => (flags.sizes, flags.quick) = (QUICK, true),
            "--case" => {
                let case = arguments.next().and_then(|number| number.parse().ok());
                let case = case.filter(|case| CASES.contains(case));
                flags.case = Some(case.context("--case takes a number from 1 to 10")?);
            }
            flag if flag.starts_with('-') => {
                anyhow::bail!("{flag} is not known: --quick, --case N, or a file")
            }
            file => flags.json = PathBuf::from(file),
        }
    }
    Ok(flags)
}

/// What the bench does now, for who waits for it.
pub(crate) fn say(what: &str) {
    eprintln!("-- {what}");
}

fn measure(flags: &Flags) -> anyhow::Result<()> {
    let programs = Programs::of(&flags.programs)?;
    let peers = Peers::find();
    let _guard = guard::Guard::new()?;
    let conditions = conditions(flags, &programs, &peers)?;
    let mut table = Table::default();
    // What could be measured is shown, also when something fails later.
    let result = all(flags, &programs, &peers, &mut table);
    println!("\n{}", heading(&conditions));
    print!("{}", table.text());
    for missing in peers.missing() {
        println!("missing: {missing}");
    }
    if let Err(error) = &result {
        println!("not complete: {error:#}");
    }
    let complete = result.is_ok();
    let results = json!({ "conditions": conditions, "complete": complete, "missing": peers.missing(), "rows": table.json() });
    world::write(&flags.json, &format!("{results:#}\n"))?;
    println!("{}", flags.json.canonicalize()?.display());
    result
}

fn all(flags: &Flags, programs: &Programs, peers: &Peers, table: &mut Table) -> anyhow::Result<()> {
    let sizes = &flags.sizes;
    let wanted = |cases: &[u32]| flags.case.is_none_or(|case| cases.contains(&case));
    let mut group = |cases: &[u32], rows: &dyn Fn() -> anyhow::Result<Vec<Row>>| {
        if !wanted(cases) {
            return Ok(());
        }
        let rows = rows().with_context(|| format!("case {}", cases[0]))?;
        table.extend(rows.into_iter().filter(|row| wanted(&[row.case])).collect());
        anyhow::Ok(())
    };
    group(&[1, 2], &|| saves::rows(&World::new(programs)?, sizes, peers))?;
    group(&[3], &|| restarts::rows(&World::new(programs)?, sizes, peers))?;
    group(&[4, 5, 6], &|| commands::rows(&World::new(programs)?, sizes, peers))?;
    group(&[7], &|| idle::rows(programs, sizes))?;
    group(&[8], &|| bursts::branches(&World::new(programs)?, sizes))?;
    group(&[9], &|| bursts::many(&World::new(programs)?, sizes))?;
    group(&[10], &|| databases::rows(&World::new(programs)?, sizes, peers))
}

/// When, where and with what.
fn conditions(flags: &Flags, programs: &Programs, peers: &Peers) -> anyhow::Result<Value> {
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let memory = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load = load.split_whitespace().next().and_then(|it| it.parse::<f64>().ok()).unwrap_or_default();
    let devd = guard::run(std::process::Command::new(&programs.devd).arg("--version"))?;
    let engine = guard::docker(&["version", "--format", "{{.Server.Version}}"])?;
    Ok(json!({
        "date": jiff::Timestamp::now().to_string(),
        "quick": flags.quick,
        "machine": {
            "cores": std::thread::available_parallelism()?.get(),
            "memory_mib": memory / 1024,
            "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
            "load_before": load,
        },
        "versions": {
            "devd": devd.trim().trim_start_matches("devd "),
            "engine": engine,
            "peers": peers.json(),
        },
    }))
}

fn heading(conditions: &Value) -> String {
    let (machine, versions) = (&conditions["machine"], &conditions["versions"]);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let peers = versions["peers"].as_object().into_iter().flatten();
    let peers = peers
        .filter(|(_, version)| version.is_string())
        .map(|(name, version)| format!("{name} {}", text(version)));
    format!(
        "{}{}: {} cores, {} MiB, Linux {}, load {} before; devd {}, engine {}{}\n",
        text(&conditions["date"]),
        if conditions["quick"] == true { ", quick" } else { "" },
        machine["cores"],
        machine["memory_mib"],
        text(&machine["kernel"]),
        machine["load_before"],
        text(&versions["devd"]),
        text(&versions["engine"]),
        peers.map(|peer| format!(", {peer}")).collect::<String>(),
    )
}
