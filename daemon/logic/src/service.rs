//! What is remembered of one service, and how facts change it.

use crate::backoff::{AGAIN, AT_ONCE, DEATHS, WELL, pause};
use crate::outside::Outside;
use crate::settle::Burst;
use crate::{Change, Container, ContainerState, Moment, Reaction};

/// One service's own state. Whether it is desired at all, the state of the project says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceState {
    /// The user stopped it.
    pub(crate) stopped: bool,
    /// What others do to it.
    pub(crate) outside: Outside,
    /// Changes that it has not reacted to.
    pub(crate) burst: Option<Burst>,
    /// Its image is to be pulled although it is there.
    pub(crate) pulls: bool,
    /// What it owes them.
    pub(crate) due: Reaction,
    /// The user asked for a restart or a rebuild: there is nothing to settle.
    pub(crate) asked: Reaction,
    /// The start that ended by itself with 0.
    pub(crate) completed: Option<String>,
    /// The start that was last seen running, and in which epoch.
    pub(crate) seen: Option<(String, u64, Moment)>,
    /// The epoch in which devd itself last started it.
    pub(crate) launched: Option<u64>,
    /// That was a start of what did not run, and no restart of what did.
    pub(crate) fresh: bool,
    /// The start that is being probed.
    pub(crate) probing: Option<String>,
    /// The start whose probe ended, and how.
    pub(crate) probed: Option<(String, bool)>,
    /// Deaths in a row.
    pub(crate) deaths: u32,
    /// The death that was counted last: the start that ended.
    pub(crate) died: Option<String>,
    /// When it may be started again after a death.
    pub(crate) again: Option<Moment>,
    /// Restarts by devd.
    pub(crate) restarts: u32,
    /// The last change, and what it asks for.
    pub(crate) last_change: Option<(String, Moment, &'static str)>,
    pub(crate) rounds: Rounds,
}

/// Reactions in a row that each followed a change of the same path right after the one before: a service that writes into
/// its own watched folder looks like that, and a person hardly ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    path: String,
    count: u32,
    acted: Option<Moment>,
    /// The last change.
    seen: Option<Moment>,
    pub(crate) until: Option<Moment>,
}

impl Rounds {
    const PATIENCE: u32 = 12;
    /// What writes into its own folder does so while it starts or runs; a person takes a look first.
    const SOON: Moment = Moment::from_millis(1500);

    /// Files changed. `acting`: while it reacts to the change before.
    pub(crate) fn changed(&mut self, now: Moment, change: &Change, acting: bool) {
        // One that writes all the time does so also while it is held.
        let just = |at: Option<Moment>| at.is_some_and(|at| now < at + Self::SOON);
        let soon = acting || just(self.acted) || just(self.seen);
        self.seen = Some(now);
        if change.pushed || !soon || change.path != self.path {
            self.count = 0;
            self.until = None;
        }
        self.path.clone_from(&change.path);
    }

    /// It reacted.
    pub(crate) fn acted(&mut self, now: Moment) {
        self.acted = Some(now);
        self.count += 1;
        if self.count >= Self::PATIENCE {
            // Longer each time, yet never for ever: were it a person after all, the save is late and not lost.
            let over = self.count - Self::PATIENCE;
            self.until = Some(now + Moment::from_secs(5 << over.min(6)));
        }
    }

    /// What it did took until now.
    pub(crate) fn ended(&mut self, now: Moment) {
        self.acted = Some(now);
    }

    pub(crate) fn lift(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn hold(&self, now: Moment) -> Option<(&str, Moment)> {
        let until = self.until.filter(|until| now < *until)?;
        Some((&self.path, until))
    }
}

impl ServiceState {
    /// Files changed.
    pub(crate) fn changed(&mut self, now: Moment, change: &Change) {
        self.last_change = Some((change.path.clone(), now, change.action));
        if change.reaction == Reaction::None {
            return;
        }
        Burst::note(&mut self.burst, now, change);
        self.due = self.due.max(change.reaction);
        self.rounds.changed(now, change, false);
        // New code deserves a new chance at once.
        self.forgive();
    }

    /// The files say otherwise how its image is built.
    pub(crate) fn build_changed(&mut self, now: Moment) {
        match &mut self.burst {
            Some(burst) => burst.add(now, "how it is built", 1, true),
            None => self.burst = Some(Burst::new(now, "how it is built", 1, true)),
        }
        self.due = Reaction::Rebuild;
    }

    /// An editor says so: there is nothing to wait for any more, and it is a person who writes.
    pub(crate) fn save_complete(&mut self) {
        self.rounds.lift();
        if let Some(burst) = &mut self.burst {
            burst.complete();
        }
    }

    /// Forgets the deaths so far.
    pub(crate) fn forgive(&mut self) {
        self.deaths = 0;
        self.again = None;
        self.completed = None;
        // The death that led here was counted already; what comes next is a new one.
    }

    /// What it owes, as far as the files have settled.
    pub(crate) fn reaction(&self, now: Moment) -> Reaction {
        let settled = self.burst.as_ref().is_none_or(|burst| burst.settles() <= now);
        if settled { self.due.max(self.asked) } else { self.asked }
    }

    /// A look showed its container.
    pub(crate) fn observed(&mut self, now: Moment, epoch: u64, container: Option<&Container>, keeps: bool) {
        let Some(container) = container else {
            self.seen = None;
            return;
        };
        match container.state {
            ContainerState::Running => {
                let since = match &self.seen {
                    Some((start, _, since)) if *start == container.started => *since,
                    _ => now,
                };
                if self.deaths > 0 && now >= since + WELL {
                    self.deaths = 0;
                }
                self.seen = Some((container.started.clone(), epoch, since));
                self.completed = None;
                self.again = None;
            }
            ContainerState::Exited(code) => self.exited(now, epoch, container, code, keeps),
            ContainerState::Created
            | ContainerState::Paused
            | ContainerState::Restarting
            | ContainerState::Removing => {}
        }
    }

    fn exited(&mut self, now: Moment, epoch: u64, container: &Container, code: i64, one_shot: bool) {
        if self.died.as_deref() == Some(&container.started) {
            return;
        }
        self.died = Some(container.started.clone());
        // Stopping it is how it ended then.
        if self.stopped || self.completed.as_deref() == Some(&container.started) {
            return;
        }

        if !one_shot && let Some(again) = self.outside.wait_for_word(now) {
            self.again = Some(again);
            return;
        }
        // An exit that happened while nobody looked may be the engine's or the machine's going down.
        let seen =
            self.seen.as_ref().filter(|(start, seen, _)| *start == container.started && *seen == epoch);
        let witnessed = seen.is_some() || self.launched == Some(epoch);
        if code == 0 {
            if one_shot || witnessed {
                self.completed = Some(container.started.clone());
            }
            return;
        }
        if !witnessed {
            return;
        }
        if seen.is_some_and(|(_, _, since)| now >= *since + WELL) {
            self.deaths = 0;
        }
        self.deaths += 1;
        self.again = (self.deaths < DEATHS).then(|| now + pause(self.deaths));
    }

    /// Its process starts now: it runs what is on disk.
    pub(crate) fn starting(&mut self, now: Moment, epoch: u64) {
        self.launched = Some(epoch);
        self.fresh = false;
        if self.burst.as_ref().is_none_or(|burst| burst.settles() <= now) {
            if self.due != Reaction::None {
                self.rounds.acted(now);
            }
            self.burst = None;
            self.due = Reaction::None;
        }
        self.asked = Reaction::None;
        self.again = None;
        self.completed = None;
    }

    /// Its image is built now from what is on disk. What runs still has to be replaced or restarted.
    pub(crate) fn building(&mut self, now: Moment) {
        let settled = self.burst.as_ref().is_none_or(|burst| burst.settles() <= now);
        if self.due == Reaction::Rebuild && settled {
            self.due = Reaction::Restart;
        }
        if self.asked == Reaction::Rebuild {
            self.asked = Reaction::Restart;
        }
    }

    /// What it began was not done, or nobody knows: it is still owed.
    pub(crate) fn owes(&mut self, reaction: Reaction) {
        self.due = self.due.max(reaction);
    }

    /// From when on a process that is seen running, and says nothing of its health, is taken to stay. One that devd
    /// restarts ran before: nobody waits for that.
    pub(crate) fn stays_from(&self) -> Option<Moment> {
        let (_, _, since) = self.seen.as_ref()?;
        let patience = if self.deaths > 0 { AGAIN } else { AT_ONCE };
        (self.deaths > 0 || self.fresh).then(|| *since + patience)
    }

    /// Whether it died so often that it is not on its way up any more, though it is tried again.
    pub(crate) fn keeps_dying(&self) -> bool {
        self.deaths >= 3
    }

    /// Whether it is held after too many deaths, until something changes.
    pub(crate) fn given_up(&self) -> bool {
        self.deaths >= DEATHS
    }
}
