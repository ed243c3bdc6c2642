//! What is remembered of one service's tests, and how facts change it.

use crate::backoff::pause;
use crate::settle::Burst;
use crate::{Change, Effect, Moment, Outcome, RunCause};
use devd_proto::{RunId, ServiceName};
use std::collections::VecDeque;
use std::time::Duration;

/// One suite's own state.
#[derive(Clone, Debug, Default)]
pub(crate) struct SuiteState {
    /// Raised by every relevant change. A result counts only for its own generation.
    pub(crate) generation: u64,
    /// Changes that no run has started from.
    burst: Option<Burst>,
    /// The newest verdict.
    pub(crate) verdict: Option<Verdict>,
    /// The generation that needs no run by itself: tested, or called off by the user.
    done: Option<u64>,
    /// The generation whose run the user called off.
    called_off: Option<u64>,
    /// Whether the files could be compared with those of an earlier verdict.
    pub(crate) baseline: bool,
    pub(crate) running: Option<Running>,
    /// Runs the user asked for, first come first served.
    requested: VecDeque<Requested>,
    /// The files define it otherwise than the run before.
    redefined: bool,
    superseded: u32,
    /// Runs in a row that the engine lost, and when the next one may begin after them.
    lost: u32,
    again: Option<Moment>,
    typical: Option<Duration>,
    rounds: crate::service::Rounds,
}

/// How tests came out, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) generation: u64,
    pub(crate) outcome: Outcome,
}

/// A run under way.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) id: RunId,
    pub(crate) generation: u64,
    pub(crate) since: Moment,
    args: Vec<String>,
    requested: bool,
    pub(crate) cancelling: bool,
    /// The user called it off.
    called_off: bool,
}

#[derive(Clone, Debug)]
struct Requested {
    id: RunId,
    args: Vec<String>,
    at: Moment,
}

/// What a suite is due for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing.
    Nothing,
    /// A run, now.
    Run,
    /// A run, when the files have settled.
    Settling(Moment),
    /// A run, when it is known what was tested.
    Content,
    /// It seems to write into its own watched folder.
    Loop(String, Moment),
}

impl SuiteState {
    pub(crate) fn changed(&mut self, now: Moment, change: &Change) {
        self.generation += 1;
        self.again = None;
        Burst::note(&mut self.burst, now, change);
        self.rounds.changed(now, change, self.running.is_some());
    }

    /// The files define it otherwise now: no verdict says anything about that.
    pub(crate) fn redefined(&mut self) {
        self.generation += 1;
        self.redefined = true;
    }

    /// An editor says so: there is nothing to wait for any more, and it is a person who writes.
    pub(crate) fn save_complete(&mut self) {
        self.rounds.lift();
        if let Some(burst) = &mut self.burst {
            burst.complete();
        }
    }

    /// The files are known: a verdict of an earlier life holds for them, or none does.
    pub(crate) fn compared(&mut self, verdict: Option<Outcome>) {
        self.baseline = true;
        let Some(outcome) = verdict else { return };
        // A change since then, or a run, says more than the past.
        if self.burst.is_none() && self.verdict.is_none() && self.running.is_none() {
            self.verdict = Some(Verdict { generation: self.generation, outcome });
            self.done = Some(self.generation);
        }
    }

    pub(crate) fn request(&mut self, now: Moment, id: RunId, args: Vec<String>) {
        self.rounds.lift();
        self.again = None;
        if args.is_empty() {
            // Were that run lost, they would be due again.
            self.reconsider();
        }
        self.requested.push_back(Requested { id, args, at: now });
    }

    /// The user calls a run off. Whether it is the one under way.
    pub(crate) fn call_off(&mut self, run: &RunId) -> bool {
        self.requested.retain(|requested| requested.id != *run);
        match &mut self.running {
            Some(running) if running.id == *run => {
                running.called_off = true;
                true
            }
            _ => false,
        }
    }

    /// The user wants it all to be as it should: what was called off is due again.
    pub(crate) fn reconsider(&mut self) {
        self.verdict.take_if(|verdict| verdict.outcome == Outcome::Cancelled);
        if self.called_off.take().is_some_and(|generation| self.done == Some(generation)) {
            self.done = None;
        }
        // One that is being ended ends all the same.
        if let Some(running) = &mut self.running {
            running.called_off = false;
        }
    }

    pub(crate) fn joinable(&self, args: &[String]) -> Option<RunId> {
        if let Some(requested) = self.requested.iter().find(|requested| requested.args == args) {
            return Some(requested.id.clone());
        }
        let running = self.running.as_ref()?;
        let same = running.generation == self.generation && running.args == args;
        (same && !running.cancelling && !running.called_off).then(|| running.id.clone())
    }

    /// What it is due for, slots and the engine apart.
    pub(crate) fn due(&self, now: Moment, on_change: bool) -> Due {
        if !self.requested.is_empty() {
            return Due::Run;
        }
        if !on_change || self.done == Some(self.generation) {
            return Due::Nothing;
        }
        if self.running.as_ref().is_some_and(|running| running.generation == self.generation) {
            return Due::Nothing;
        }
        if let Some((path, until)) = self.rounds.hold(now) {
            return Due::Loop(path.to_owned(), until);
        }
        match &self.burst {
            Some(burst) if burst.settles() > now => Due::Settling(burst.settles()),
            Some(_) => Due::Run,
            None if self.baseline || self.verdict.is_some() => Due::Run,
            None => Due::Content,
        }
    }

    /// Whether the run under way should make place for a newer one.
    ///
    /// A newer save supersedes a run, but not one that is nearly done, and not for ever: after two in a row one may end,
    /// or someone who saves all the time would never learn anything.
    pub(crate) fn supersede(&self, now: Moment) -> Option<&RunId> {
        let running = self.running.as_ref().filter(|running| !running.cancelling)?;
        if running.called_off {
            return Some(&running.id);
        }
        if running.requested || running.generation == self.generation || self.superseded >= 2 {
            return None;
        }
        let nearly_done =
            self.typical.is_some_and(|typical| now.saturating_sub(running.since) > typical.mul_f32(0.8));
        (!nearly_done).then_some(&running.id)
    }

    /// Starts what is due. `fresh` gives the run's id unless it was asked for under one.
    pub(crate) fn begin(
        &mut self,
        now: Moment,
        service: &ServiceName,
        fresh: impl FnOnce() -> RunId,
    ) -> Effect {
        let event = self.burst.as_ref().map_or(now, |burst| burst.first);
        let (run, args, cause, event, requested) = match self.requested.pop_front() {
            Some(Requested { id, args, at }) => (id, args, RunCause::Requested, at, true),
            None if self.redefined => (fresh(), Vec::new(), RunCause::Redefined, event, false),
            None => match &self.burst {
                Some(burst) => (fresh(), Vec::new(), RunCause::Changed(burst.path.clone()), event, false),
                None if self.lost > 0 => (fresh(), Vec::new(), RunCause::Repeated, event, false),
                None => (fresh(), Vec::new(), RunCause::Untested, event, false),
            },
        };
        // Arguments pick some tests: such a run says nothing of the whole, and the change is still to be tested.
        let whole = args.is_empty();
        if whole && self.burst.take_if(|burst| burst.settles() <= now).is_some() {
            self.rounds.acted(now);
        }
        self.redefined &= !whole;
        self.running = Some(Running {
            id: run.clone(),
            generation: self.generation,
            since: now,
            args: args.clone(),
            requested,
            cancelling: false,
            called_off: false,
        });
        Effect::StartRun { run, service: service.clone(), args, cause, event }
    }

    pub(crate) fn cancelling(&mut self, run: &RunId) {
        if let Some(running) = &mut self.running
            && running.id == *run
        {
            running.cancelling = true;
        }
    }

    /// A run ended. Whether it was the one under way.
    pub(crate) fn ended(&mut self, now: Moment, run: &RunId, outcome: &Outcome) -> bool {
        let Some(running) = self.running.take_if(|running| running.id == *run) else { return false };
        let partial = !running.args.is_empty();
        self.rounds.ended(now);
        self.lost = if *outcome == Outcome::Lost { self.lost + 1 } else { 0 };
        match outcome {
            Outcome::Passed { took } | Outcome::Failed { took } => {
                self.superseded = 0;
                if !partial {
                    self.typical = Some(*took);
                    // Asked for before the files had settled, it has tested them all the same.
                    self.burst.take_if(|_| running.generation == self.generation);
                    self.verdict = Some(Verdict { generation: running.generation, outcome: outcome.clone() });
                    self.done = Some(running.generation);
                }
            }
            Outcome::Error(_) => {
                self.superseded = 0;
                if !partial {
                    self.verdict = Some(Verdict { generation: running.generation, outcome: outcome.clone() });
                    self.done = Some(running.generation);
                }
            }
            // Who calls off some of the tests says nothing of the whole.
            Outcome::Cancelled if running.called_off && partial => self.superseded = 0,
            Outcome::Cancelled if running.called_off => {
                self.superseded = 0;
                self.done = Some(running.generation);
                self.called_off = self.done;
                if self.verdict.is_none() {
                    self.verdict =
                        Some(Verdict { generation: running.generation, outcome: Outcome::Cancelled });
                }
            }
            Outcome::Cancelled => self.superseded += 1,
            // Nothing was learned: it is due again as soon as the engine is back. One that answers and loses it all the same
            // is not asked again and again as fast as it can lose.
            Outcome::Lost => self.again = Some(now + pause(self.lost)),
        }
        true
    }

    /// When a run may begin again, while it is too soon after the engine has lost one.
    pub(crate) fn too_soon(&self, now: Moment) -> Option<Moment> {
        self.again.filter(|again| now < *again)
    }

    /// Whether the verdict is for what is on disk.
    pub(crate) fn is_current(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| verdict.generation == self.generation)
    }

    pub(crate) fn is_waiting(&self, run: &RunId) -> bool {
        self.requested.iter().any(|requested| requested.id == *run)
    }

    /// Whether somebody asked for a run, or saved a file.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.requested.is_empty() || self.burst.is_some()
    }
}
