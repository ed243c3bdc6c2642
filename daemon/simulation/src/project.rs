//! One project: its files, what is on disk of it, and what devd knows of it.

use crate::files::Files;
use crate::ledger::Ledger;
use crate::life::Life;
use crate::origins::{Made, Origin, Saves};
use devd_logic::{Change, Desired, Memory, replica};
use devd_proto::{RunId, ServiceName};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A run under way.
#[derive(Clone, Debug)]
pub(crate) struct LiveRun {
    pub(crate) service: ServiceName,
    pub(crate) tested: Tested,
    pub(crate) cancelled: bool,
    pub(crate) some: bool,
}

/// What a run tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tested {
    pub(crate) content: u32,
    pub(crate) definition: String,
}

/// A run in the history.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) service: ServiceName,
    pub(crate) tested: Tested,
    pub(crate) some: bool,
    /// None while it is under way, as far as is known.
    pub(crate) verdict: Option<bool>,
}

/// A project.
#[derive(Debug, Default)]
pub(crate) struct Project {
    pub(crate) files: Files,
    /// What the files say, as far as they load.
    pub(crate) desired: Rc<Desired>,
    /// Registered with this.
    pub(crate) registered: Option<Memory>,
    pub(crate) history: BTreeMap<RunId, Record>,
    /// The runs of the history in their order.
    pub(crate) order: Vec<RunId>,
    pub(crate) next_run: u64,
    /// How often each service's files were saved.
    pub(crate) disk: BTreeMap<ServiceName, u32>,
    /// The last of these saves that its tests see.
    pub(crate) tests_disk: BTreeMap<ServiceName, u32>,
    /// The last saves that each service itself has to take up, on disk and as far as the watcher knows.
    pub(crate) own: BTreeMap<ServiceName, Saves>,
    pub(crate) indexed: BTreeMap<ServiceName, Saves>,
    /// What devd has written down of what was made from which save.
    pub(crate) origins: BTreeMap<Made, Origin>,
    /// Services that devd has reason to take for old, though they may not be: it was cut off, or others started them.
    pub(crate) doubtful: BTreeSet<ServiceName>,
    /// The save that its process has to run, and the one that its image has to hold.
    pub(crate) code: BTreeMap<ServiceName, u32>,
    pub(crate) image: BTreeMap<ServiceName, u32>,
    /// The save that its tests see and that devd was told of.
    pub(crate) told: BTreeMap<ServiceName, u32>,
    /// The save that its tests see and that the watcher knows of.
    pub(crate) watched: BTreeMap<ServiceName, u32>,
    /// Saves that the system lost the events of.
    pub(crate) unseen: Vec<(Change, u32)>,
    /// An edit of the compose file that nobody saw.
    pub(crate) unread: bool,
    pub(crate) runs: BTreeMap<RunId, LiveRun>,
    /// What was last tested to its end, by suite.
    pub(crate) tested: BTreeMap<ServiceName, Tested>,
    pub(crate) ledger: Ledger,
    pub(crate) life: Option<Life>,
    /// What could not be removed when the project went: nobody sees to it any more.
    pub(crate) given_up: bool,
    /// Services each operation on which is refused.
    pub(crate) jinxed: Vec<&'static str>,
}

impl Project {
    pub(crate) fn content(&self, service: &ServiceName) -> u32 {
        self.disk.get(&replica::service(service)).copied().unwrap_or_default()
    }

    pub(crate) fn seen_by_tests(&self, service: &ServiceName) -> u32 {
        self.tests_disk.get(service).copied().unwrap_or_default()
    }
}
