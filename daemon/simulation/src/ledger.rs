//! What devd was given reason for, and what it did: kept by the world, to judge devd by.

use devd_logic::{EnvironmentId, Moment, Op, Subject, replica};
use devd_proto::ServiceName;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Why a running process may be disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its files changed, so many of them.
    Change(usize),
    /// Somebody asked.
    Request,
    /// The files say otherwise what it is.
    Definition,
    /// Its image is another one.
    Image,
    /// What it shares something of was replaced.
    Owner,
    /// There are more of it than there should be, or it should not be there.
    Surplus,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    order: u64,
    at: Moment,
    cause: Cause,
}

/// An operation under way.
#[derive(Clone, Debug)]
pub struct Flight {
    /// Which.
    pub op: Op,
    /// How many events devd had been told when it asked for it.
    pub order: u64,
    /// When.
    pub at: Moment,
}

/// One project's.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    causes: BTreeMap<ServiceName, Vec<Given>>,
    /// Services that the user stopped, with when devd was told.
    pub stopped: BTreeMap<ServiceName, Moment>,
    /// When devd was told to take the project down.
    pub downed: Option<Moment>,
    /// And this very life of devd was told so.
    pub going_down: bool,
    /// What was to run when the last life ended.
    pub wanted: BTreeSet<ServiceName>,
    /// Services that were to run until the files needed them no longer: what runs of them may go on.
    pub unasked: BTreeSet<ServiceName>,
    /// Suites whose last run the user called off.
    pub called_off: BTreeSet<ServiceName>,
    /// Operations under way in this life, by number.
    pub flying: BTreeMap<u64, Flight>,
    /// When each subject was worked on lately.
    lately: BTreeMap<Subject, VecDeque<Moment>>,
    /// Starts of late that nothing but a death gave reason for.
    starts: BTreeMap<ServiceName, VecDeque<Moment>>,
    /// Looks of late.
    looks: VecDeque<Moment>,
    /// Environments in use, as far as devd was told.
    pub held: BTreeSet<EnvironmentId>,
}

/// Nothing is done more often in a second.
const OFTEN: usize = 25;
const LOOKS: usize = 400;
const STARTS: usize = 7;

/// When files have settled for certain, by how many there are.
fn settles(files: usize) -> Moment {
    if files <= 4 { Moment::from_millis(250) } else { Moment::from_millis(5500) }
}

fn is_often(times: &mut VecDeque<Moment>, now: Moment, most: usize) -> bool {
    times.push_back(now);
    while times.front().is_some_and(|at| *at + Moment::from_secs(1) < now) {
        times.pop_front();
    }
    times.len() > most
}

impl Ledger {
    /// A reason to disturb what runs of a service, or of one container of it.
    pub fn give(&mut self, name: &ServiceName, cause: Cause, order: u64, at: Moment) {
        let causes = self.causes.entry(replica::service(name)).or_default();
        // A long list says no more than a short one.
        if causes.len() > 30 {
            causes.remove(0);
        }
        causes.push(Given { order, at, cause });
    }

    /// Whether there is one. Replicas go by what is given for their service.
    pub fn has_cause(&self, name: &ServiceName) -> bool {
        self.causes.get(&replica::service(name)).is_some_and(|causes| !causes.is_empty())
    }

    /// An operation that answers all that was given before it is done.
    pub fn answered(&mut self, name: &ServiceName, flight: &Flight, replicas: usize) {
        // Of several containers each has to answer; that is left to the last look.
        if replicas > 1 {
            return;
        }
        let Some(causes) = self.causes.get_mut(&replica::service(name)) else { return };
        let files: usize =
            causes.iter().map(|it| if let Cause::Change(files) = it.cause { files } else { 0 }).sum();
        causes.retain(|it| {
            let unsettled = matches!(it.cause, Cause::Change(_)) && it.at + settles(files) > flight.at;
            it.order >= flight.order || unsettled
        });
    }

    /// Whether something is done far too often.
    pub fn storms(&mut self, subject: Subject, now: Moment) -> bool {
        is_often(self.lately.entry(subject).or_default(), now, OFTEN)
    }

    /// Something happened that deserves another chance.
    pub fn forgive(&mut self) {
        self.starts.clear();
    }

    /// Whether what keeps dying is started far too often.
    pub fn revives(&mut self, name: &ServiceName, now: Moment) -> bool {
        is_often(self.starts.entry(name.clone()).or_default(), now, STARTS)
    }

    /// Whether devd looks far too often.
    pub fn stares(&mut self, now: Moment) -> bool {
        is_often(&mut self.looks, now, LOOKS)
    }

    /// devd crashed: what it was told and had not done is forgotten, and so is what it had not written down.
    ///
    /// `unwritten` says from when what is still on its way to the disk is: a machine that slept has not written meanwhile.
    pub fn crashed(&mut self, now: Moment, unwritten: &BTreeSet<Moment>) {
        let unwritten = |at: Moment| at + Moment::from_millis(20) > now || unwritten.contains(&at);
        for causes in self.causes.values_mut() {
            causes.retain(|it| !matches!(it.cause, Cause::Change(_) | Cause::Request));
        }
        self.stopped.retain(|_, at| !unwritten(*at));
        self.downed = self.downed.filter(|at| !unwritten(*at));
        self.going_down = false;
        self.forgive();
        self.flying.clear();
        self.held.clear();
        self.called_off.clear();
    }
}
