//! What all pools share: the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How much of the machine environments may take while they stand ready.
#[derive(Debug)]
pub struct Machine {
    /// Memory of all of them, in bytes.
    budget: u64,
    used: AtomicU64,
    environments: AtomicUsize,
    /// Held while one is made: the rest of the machine is for runs.
    pub(super) making: Semaphore,
    /// Held while dependencies are kept ready-made, which takes as long as making several.
    pub(super) keeping: Semaphore,
    /// How long after the last sign of life they are kept.
    pub idle: Duration,
}

impl Machine {
    /// A machine with so many cores.
    pub fn new(budget: u64, idle: Duration, cores: usize) -> Self {
        Self {
            budget,
            used: AtomicU64::new(0),
            environments: AtomicUsize::new(0),
            making: Semaphore::new((cores / 2).max(1)),
            keeping: Semaphore::new(1),
            idle,
        }
    }

    /// Environments there are: in the making, ready, or in use.
    pub fn environments(&self) -> usize {
        self.environments.load(Ordering::Relaxed)
    }

    /// What is not used.
    pub(super) fn free(&self) -> u64 {
        self.budget.saturating_sub(self.used.load(Ordering::Relaxed))
    }
}

/// One environment, which counts until this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Machine>);

impl Place {
    pub(super) fn take(machine: &Arc<Machine>) -> Self {
        machine.environments.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(machine))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.environments.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A part of the memory, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    machine: Arc<Machine>,
    pub(super) bytes: u64,
}

impl Share {
    pub(super) fn take(machine: &Arc<Machine>, bytes: u64) -> Self {
        machine.used.fetch_add(bytes, Ordering::Relaxed);
        Self { machine: Arc::clone(machine), bytes }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.machine.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
