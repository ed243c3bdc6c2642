//! Plays the stories of many seeds, and tells those that break a promise as short as they can be.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use devd_simulation::shrink::shrink;
use devd_simulation::story::Story;
use devd_simulation::{Told, play};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const USAGE: &str = "usage: simulate [--seeds N] [--from SEED] [--threads N] | --seed SEED";

struct Options {
    from: u64,
    seeds: u64,
    threads: u64,
    /// Tells the story whatever comes of it.
    one: bool,
}

/// What came of many stories.
#[derive(Default)]
struct Sum {
    events: u64,
    crashes: u64,
    /// By promise: how many broke it, and the first seed of them.
    broken: BTreeMap<&'static str, (u64, u64)>,
}

fn options() -> Option<Options> {
    let mut options = Options { from: 0, seeds: 1000, threads: 1, one: false };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let number = args.next()?.parse().ok()?;
        match arg.as_str() {
            "--seeds" => options.seeds = number,
            "--from" => options.from = number,
            "--threads" => options.threads = number.max(1),
            "--seed" => (options.from, options.seeds, options.one) = (number, 1, true),
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    if options.one {
        return tell(options.from);
    }
    let began = Instant::now();
    let next = AtomicU64::new(options.from);
    let sums: Vec<Sum> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads).map(|_| scope.spawn(|| work(&options, &next))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut all = Sum::default();
    for sum in sums {
        all.events += sum.events;
        all.crashes += sum.crashes;
        for (promise, (count, first)) in sum.broken {
            let entry = all.broken.entry(promise).or_insert((0, first));
            *entry = (entry.0 + count, entry.1.min(first));
        }
    }
    let took = began.elapsed();
    let each = took.as_secs_f64() * 1000.0 / options.seeds.max(1) as f64;
    println!(
        "{} seeds from {}: {} events, {} crashes of devd, {:.1} s, {each:.3} ms a seed",
        options.seeds,
        options.from,
        all.events,
        all.crashes,
        took.as_secs_f64()
    );
    if all.broken.is_empty() {
        println!("every promise was kept");
        return ExitCode::SUCCESS;
    }
    for (promise, (count, first)) in all.broken {
        println!("\nBROKEN by {count} of them: {promise}. The first, made short, is seed {first}:\n");
        told(&shrink(Story::of(first), promise));
    }
    ExitCode::FAILURE
}

fn work(options: &Options, next: &AtomicU64) -> Sum {
    let mut sum = Sum::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let done = seed - options.from;
        if done >= options.seeds {
            return sum;
        }
        if done > 0 && done.is_multiple_of(100_000) {
            println!("{done} seeds …");
        }
        let Told { events, crashes, broken, .. } = play(&Story::of(seed), false);
        sum.events += events;
        sum.crashes += crashes;
        if let Some(broken) = broken {
            let entry = sum.broken.entry(broken.promise).or_insert((0, seed));
            *entry = (entry.0 + 1, entry.1.min(seed));
        }
    }
}

fn tell(seed: u64) -> ExitCode {
    let story = Story::of(seed);
    match play(&story, false).broken {
        None => {
            told(&story);
            ExitCode::SUCCESS
        }
        Some(broken) => {
            told(&shrink(story, broken.promise));
            ExitCode::FAILURE
        }
    }
}

fn told(story: &Story) {
    let told = play(story, true);
    let mut text = format!("({} run(s) at a time)\n{}\n", story.runs, told.log.join("\n"));
    if let Some(broken) = told.broken {
        text.push_str(&format!("\n{}: {}\n", broken.promise, broken.how));
    }
    // Whoever has read enough has left.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
