//! What devd bears: faults of every kind on a real engine (`scripts/torture`), and an hour of work (`scripts/soak`).
//!
//! `torture [--minutes N] [--fault NAME] [--seed N]`, `soak [--minutes N] [--simulated]`. It is started by `scripts/endurance`, which
//! makes namespaces for it: the engine that it starts and kills is its own.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is for people")]

mod chance;
mod daemon;
mod day;
mod engine;
mod faults;
mod http;
mod load;
mod process;
mod shop;
mod soak;
mod table;
mod torture;
mod world;

use anyhow::Context as _;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Flags {
    lasts: Duration,
    /// Only faults whose name has this in it.
    fault: Option<String>,
    seed: u64,
    /// On the engine in memory.
    simulated: bool,
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts it too.
    if arguments.iter().all(|argument| argument != "--bench") {
        println!("nothing is done without --bench: scripts/torture, scripts/soak");
        return ExitCode::SUCCESS;
    }
    arguments.retain(|argument| argument != "--bench");
    let what = if arguments.is_empty() { String::new() } else { arguments.remove(0) };
    let done = flags(arguments).and_then(|flags| {
        // A thousand clients are a thousand descriptors.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let more = rustix::process::Rlimit { current: limit.maximum, ..limit };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, more)?;
        match what.as_str() {
            "torture" => torture::run(&flags),
            "soak" if flags.simulated => day::run(flags),
            "soak" => soak::run(&flags),
            other => anyhow::bail!("{other:?} is neither torture nor soak"),
        }
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn flags(arguments: Vec<String>) -> anyhow::Result<Flags> {
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let mut flags = Flags { lasts: Duration::from_secs(3600), fault: None, seed, simulated: false };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} takes a value"));
        match argument.as_str() {
            "--minutes" => flags.lasts = Duration::from_secs(60) * value()?.parse()?,
            "--fault" => {
                let name = value()?;
                let names: Vec<_> = faults::ALL.iter().map(|fault| fault.name).collect();
                let known = names.iter().any(|known| known.contains(name.as_str()));
                anyhow::ensure!(known, "no fault is called {name:?}; there are: {}", names.join("; "));
                flags.fault = Some(name);
            }
            "--simulated" => flags.simulated = true,
            "--seed" => flags.seed = value()?.parse()?,
            other => anyhow::bail!("{other} is not known: --minutes N, --fault NAME, --seed N, --simulated"),
        }
    }
    Ok(flags)
}

/// What is done now, for who waits for it.
pub(crate) fn say(what: &str) {
    eprintln!("-- {} {what}", jiff::Timestamp::now().strftime("%H:%M:%S"));
}

/// When, where and with what.
pub(crate) fn heading(what: &str, flags: &Flags) -> anyhow::Result<String> {
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let memory = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let engine = engine::command("docker", &["version", "--format", "{{.Server.Version}}"])?;
    Ok(format!(
        "{what}, {}, {} minutes, seed {}: {} cores, {} MiB, Linux {}, load {} at the end; devd {}, Docker {}\n",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        flags.lasts.as_secs() / 60,
        flags.seed,
        std::thread::available_parallelism()?,
        memory / 1024,
        std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
        load.split(' ').next().unwrap_or_default(),
        env!("CARGO_PKG_VERSION"),
        engine.trim(),
    ))
}
