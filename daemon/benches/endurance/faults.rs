//! The faults, each with what it does and what may follow from it.

mod clients;
mod containers;
mod daemon;
mod database;
mod disk;
mod engine;
mod files;
mod floods;

use crate::world::World;
use std::time::{Duration, Instant};

/// One kind of fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// How often it comes in a cycle through all of them; 0 for once in a long run's, because it takes a minute.
    pub(crate) times: u32,
    /// Does it, at a random moment under load, and takes it back.
    pub(crate) inject: fn(&mut World) -> anyhow::Result<Done>,
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Done {
    /// How often.
    pub(crate) injected: u32,
    /// When all was as it should be, devd apart.
    pub(crate) healed: Instant,
    /// Every container has to be made anew, which takes longer than to start it.
    pub(crate) anew: bool,
    /// Services that nobody touches have to be as they were.
    pub(crate) spares: bool,
    /// Runs of before may be forgotten.
    pub(crate) forgets: bool,
    /// A run may be left whose beginning could not be recorded: its log goes with time.
    pub(crate) strays: bool,
    /// Tests were hit, and say so until the next save.
    pub(crate) hits_tests: bool,
    /// What was wrong already while it lasted.
    pub(crate) problems: Vec<String>,
}

impl Done {
    /// Once, just now, and nothing else is affected.
    fn now() -> Self {
        Self {
            injected: 1,
            healed: Instant::now(),
            anew: false,
            spares: true,
            forgets: false,
            strays: false,
            hits_tests: false,
            problems: Vec::new(),
        }
    }

    /// Services may have been restarted for it.
    fn harmful(self) -> Self {
        Self { spares: false, ..self }
    }

    fn forgetful(self) -> Self {
        Self { forgets: true, strays: true, ..self }
    }

    fn but(mut self, problem: Option<String>) -> Self {
        self.problems.extend(problem);
        self
    }
}

pub(crate) const ALL: &[Fault] = &[
    Fault { name: "devdd killed", times: 3, inject: daemon::killed },
    Fault { name: "devdd stopped", times: 1, inject: daemon::stopped },
    Fault { name: "devdd frozen", times: 1, inject: daemon::frozen },
    Fault { name: "devdd frozen for a minute", times: 0, inject: daemon::frozen_for_a_minute },
    Fault { name: "clock set back", times: 1, inject: daemon::clock_set_back },
    Fault { name: "dockerd killed", times: 1, inject: engine::killed },
    Fault { name: "dockerd killed, containers live on", times: 1, inject: engine::killed_alone },
    Fault { name: "containerd killed", times: 1, inject: engine::containerd_killed },
    Fault { name: "network removed", times: 1, inject: engine::network_removed },
    Fault { name: "container killed", times: 1, inject: containers::killed },
    Fault { name: "container removed", times: 1, inject: containers::removed },
    Fault { name: "container stopped", times: 1, inject: containers::stopped },
    Fault { name: "container paused", times: 1, inject: containers::paused },
    Fault { name: "disk full: state", times: 1, inject: disk::state },
    Fault { name: "disk full: logs of runs", times: 1, inject: disk::logs },
    Fault { name: "disk full: engine", times: 1, inject: disk::engine },
    Fault { name: "database truncated", times: 1, inject: database::truncated },
    Fault { name: "database truncated in use", times: 1, inject: database::truncated_in_use },
    Fault { name: "database locked", times: 1, inject: database::locked },
    Fault { name: "database of an older devd", times: 1, inject: database::older },
    Fault { name: "database of a newer devd", times: 1, inject: database::newer },
    Fault { name: "1 inotify watch", times: 1, inject: files::one_watch },
    Fault { name: "100 inotify watches", times: 1, inject: files::hundred_watches },
    Fault { name: "10,000 file events a second", times: 1, inject: files::events },
    Fault { name: "the same for a minute", times: 0, inject: files::events_for_a_minute },
    Fault { name: "source rewritten in a loop", times: 1, inject: floods::rewriter },
    Fault { name: "logs of 100 MB/s", times: 1, inject: floods::logs },
    Fault { name: "clients that do not read", times: 1, inject: clients::slow },
    Fault { name: "1,000 clients", times: 1, inject: clients::many },
];

/// Lets the load go on for a random while.
fn a_while(world: &mut World, from: u64, to: u64) {
    std::thread::sleep(world.chance.millis(from, to));
}

/// How long a question takes; an error when it takes longer than anybody waits.
fn answers_soon(world: &World, during: &str) -> Option<String> {
    let asked = Instant::now();
    let answer = world.daemon.ask("GET /v1/status", None, Duration::from_secs(5));
    match answer {
        Ok(answer) if answer.is_ok() => None,
        Ok(answer) => Some(format!("{during}: status {}", answer.code)),
        Err(error) => {
            Some(format!("{during}: no status after {} ms: {error:#}", asked.elapsed().as_millis()))
        }
    }
}
