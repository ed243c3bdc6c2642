//! What devd is told gives it reason for what it does: written down before it hears of it.

use crate::due::Due;
use crate::ledger::Cause;
use crate::project::Project;
use crate::world::{World, ms};
use devd_logic::{Desired, Event, Memory, Op, Pull, Reaction, replica};
use devd_proto::ServiceName;
use std::collections::BTreeSet;
use std::rc::Rc;

impl World {
    /// Writes down what an event gives devd reason for.
    pub(crate) fn note(&mut self, project: usize, event: &Event, content: u32) {
        let now = self.now;
        let it = &mut self.projects[project];
        let Some(life) = &mut it.life else { return };
        let ledger = &mut it.ledger;
        let order = self.order;
        if matches!(
            event,
            Event::Changed(_)
                | Event::Loaded(_)
                | Event::EngineBack
                | Event::UpRequested { .. }
                | Event::StartRequested(_)
                | Event::RestartRequested(_)
                | Event::RebuildRequested(_)
        ) {
            ledger.forgive();
        }
        match event {
            Event::Changed(change) => {
                if change.tests {
                    let told = it.told.entry(change.service.clone()).or_default();
                    *told = content.max(*told);
                    ledger.called_off.remove(&change.service);
                }
                if change.reaction != Reaction::None {
                    ledger.give(&change.service, Cause::Change(change.files), order, now);
                }
            }
            Event::Loaded(desired) => {
                // What the files say at the start of a life is no change: a container either fits it or does not.
                let first = life.desired.services.is_empty();
                for (name, service) in desired.services.iter().filter(|_| !first) {
                    if life.desired.services.get(name) != Some(service) {
                        ledger.give(name, Cause::Definition, order, now);
                    }
                }
                for (name, suite) in &desired.suites {
                    let before = life.desired.suites.get(name).map(|suite| &suite.definition);
                    if before != Some(&suite.definition) {
                        ledger.called_off.remove(name);
                    }
                }
                ledger.stopped.retain(|name, _| desired.services.contains_key(name));
                let known = &life.desired.services;
                let named = desired.services.keys().map(replica::service);
                life.unwatched.extend(named.filter(|name| !known.contains_key(name)));
                life.desired = Rc::new((**desired).clone());
                if life.files_known {
                    self.later(ms(1), Due::FilesKnown(project));
                }
            }
            Event::OpFinished { id, result } => {
                let Some(flight) = ledger.flying.remove(&id.0) else { return };
                if result.is_ok()
                    && let Op::Start(name, _) | Op::Restart(name, _) | Op::Act(name, _) = &flight.op
                {
                    let replicas = life.desired.replicas(&replica::service(name)).count();
                    ledger.answered(name, &flight, replicas);
                }
            }
            Event::StopRequested(name) => {
                ledger.stopped.insert(name.clone(), now);
                ledger.give(name, Cause::Request, order, now);
            }
            Event::StoppedOutside(name) => ledger.give(name, Cause::Request, order, now),
            Event::StartRequested(name) | Event::RestartRequested(name) | Event::RebuildRequested(name) => {
                for needed in closure(&life.desired, name) {
                    ledger.stopped.remove(&needed);
                }
                if !matches!(event, Event::StartRequested(_)) {
                    ledger.give(name, Cause::Request, order, now);
                }
                // A project on its way down goes on down; one that a crash has kept from it is wanted again.
                if !ledger.going_down {
                    ledger.downed = None;
                }
            }
            Event::UpRequested { services, build } => {
                (ledger.downed, ledger.going_down) = (None, false);
                ledger.called_off.clear();
                if services.is_empty() {
                    ledger.stopped.clear();
                }
                let named: BTreeSet<ServiceName> = if services.is_empty() {
                    life.desired.services.keys().map(replica::service).collect()
                } else {
                    services.iter().flat_map(|name| closure(&life.desired, name)).collect()
                };
                for name in named {
                    ledger.stopped.remove(&name);
                    let service = life.desired.services.get(&name);
                    if *build || service.is_some_and(|service| service.pull == Pull::Again) {
                        ledger.give(&name, Cause::Request, order, now);
                    }
                }
            }
            Event::DownRequested { .. } => (ledger.downed, ledger.going_down) = (Some(now), true),
            Event::TestRequested { service, args, .. } if args.is_empty() => {
                ledger.called_off.remove(service);
            }
            Event::CancelRequested { run } => {
                if let Some(live) = it.runs.get(run).filter(|live| !live.some) {
                    ledger.called_off.insert(live.service.clone());
                }
            }
            Event::EnvironmentHeld(id) => _ = ledger.held.insert(id.clone()),
            Event::EnvironmentLeft(id) => _ = ledger.held.remove(id),
            Event::Invalid
            | Event::SaveComplete(_)
            | Event::EngineChanged
            | Event::ToldToEnd(_)
            | Event::EngineBack
            | Event::Observed(_)
            | Event::LookFailed
            | Event::Probed { .. }
            | Event::Baseline { .. }
            | Event::TestRequested { .. }
            | Event::RunEnded { .. }
            | Event::Tick => {}
        }
    }
}

impl Project {
    /// devd is about to die: what was to run, as it knew, and as it had written down.
    pub(crate) fn note_wanted(&mut self) {
        let Some(life) = &self.life else { return };
        self.ledger.wanted.extend(life.wanted());
        if let Some(Memory { selected: Some(selected), .. }) = &self.registered {
            self.ledger.wanted.extend(life.desired.closure(selected));
        }
    }

    /// Writes down which services nobody asks for any more: by the files alone, if they were told just now, and what was
    /// wanted until then is given. devd lets them run, as it lets everything run that nobody has asked it for.
    pub(crate) fn note_unasked(&mut self, before_loaded: Option<BTreeSet<ServiceName>>) {
        let Some(life) = &self.life else { return };
        let ledger = &mut self.ledger;
        if let Some(before) = before_loaded {
            ledger.unasked.extend(before);
            ledger.unasked.append(&mut ledger.wanted);
        }
        ledger.unasked.retain(|name| !life.state.wanted(name) && !ledger.stopped.contains_key(name));
    }
}

/// A service with all that it needs.
fn closure(desired: &Desired, name: &ServiceName) -> BTreeSet<ServiceName> {
    let (mut found, mut open) = (BTreeSet::new(), vec![name.clone()]);
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            let needs =
                desired.services.get(&name).map(|service| service.needs.as_slice()).unwrap_or_default();
            open.extend(needs.iter().map(|need| replica::service(&need.service)));
        }
    }
    found
}
