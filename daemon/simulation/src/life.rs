//! The lives of devd: what it is told, and what becomes of what it wishes for.

use crate::engine::Work;
use crate::files::{PROJECTS, suites};
use crate::ledger::{Cause, Flight, Ledger};
use crate::story::{Luck, Step};
use crate::world::{Due, LiveRun, Record, Tested, World, ms};
use devd_logic::{
    Desired, Effect, EnvironmentId, Event, Limits, Memory, Moment, Op, OpError, OpId, Outcome, Pull,
    Reaction, RunCause, State, Subject, replica,
};
use devd_proto::{RunId, ServiceName};
use std::collections::BTreeSet;
use std::rc::Rc;

/// How long a run takes.
const RUN: u32 = 400;
/// How long most things take.
const LATENCY: u32 = 20;
/// How long it takes until something is on disk.
const WRITING: u32 = 3;

/// What one life of devd knows of one project.
#[derive(Debug)]
pub struct Life {
    pub(crate) state: State,
    born: Moment,
    wake: Option<Moment>,
    /// The number of the last event after which it had to look again, and of the one its last answer is from.
    spoiled: u64,
    seen: u64,
    /// What it was told that the files say.
    pub(crate) desired: Rc<Desired>,
    files_known: bool,
}

impl Life {
    /// When it wakes by itself.
    pub(crate) fn wakes(&self) -> Option<Moment> {
        self.wake
    }

    /// Now, as it counts.
    pub(crate) fn moment(&self, now: Moment) -> Moment {
        now.saturating_sub(self.born)
    }
}

impl World {
    /// A project's loop begins.
    fn begin(&mut self, project: usize, memory: Memory) {
        let now = self.now;
        let it = &mut self.projects[project];
        let limits = Limits { runs: self.runs };
        let state = State::new(PROJECTS[project].into(), limits, memory.clone(), it.next_run);
        it.life = Some(Life {
            state,
            born: now,
            wake: None,
            spoiled: 0,
            seen: 0,
            desired: Rc::default(),
            files_known: false,
        });
        it.given_up = false;
        it.unread = false;
        self.later(ms(WRITING), Due::Written(project, Box::new(memory)));
        self.read_files(project);
        if self.projects[project].life.is_some() {
            let delay = self.delay(10);
            self.later(delay, Due::FilesKnown(project));
        }
    }

    /// What its files say now is told to a project's loop.
    fn read_files(&mut self, project: usize) {
        let it = &self.projects[project];
        let loaded = || Event::Loaded(Box::new((*it.desired).clone()));
        let event = if it.files.broken { Event::Invalid } else { loaded() };
        self.tell(project, event, 0);
    }

    /// devd starts.
    pub(crate) fn rise(&mut self) {
        self.alive = true;
        self.say(|| "devd starts".to_owned());
        for project in 0..PROJECTS.len() {
            if self.alive
                && let Some(memory) = self.projects[project].registered.clone()
            {
                self.begin(project, memory);
                if self.alive && !self.engine.gone && !self.deaf {
                    let delay = self.delay(3);
                    self.later(delay, Due::Tell(project, Event::EngineBack, 0));
                }
            }
        }
    }

    /// devd ends at once.
    pub(crate) fn crash(&mut self, dead: u32, lands: bool) {
        if !self.alive {
            return;
        }
        self.alive = false;
        self.crashes += 1;
        self.say(|| "devd is dead".to_owned());
        let now = self.now;
        for (number, project) in self.projects.iter_mut().enumerate() {
            project.life = None;
            project.ledger.crashed(now);
            project.runs.clear();
            project.unseen.clear();
            // No life knows which content a process runs that an earlier one started.
            project.code.clear();
            project.image.clear();
            // The lease of tests ends with whoever holds it.
            self.engine.stacks[number].environments.values_mut().for_each(|lives| *lives = false);
        }
        self.forget_life();
        if !lands {
            self.forget_work();
        }
        self.later(ms(dead), Due::Rise);
    }

    /// devd ends in order.
    pub(crate) fn ends(&mut self, dead: u32) {
        if !self.alive {
            return;
        }
        let due: Vec<_> =
            self.queue.iter().filter(|(_, due)| matches!(due, Due::Written(..))).map(|(at, _)| *at).collect();
        for at in due {
            if let Some(written) = self.queue.remove(&at) {
                self.of_life(written);
            }
        }
        self.crash(dead, true);
        for number in 0..PROJECTS.len() {
            if !self.engine.gone {
                self.engine.stacks[number].environments.clear();
            }
        }
    }

    /// Counts down to a crash. Whether it has come.
    fn crashes_now(&mut self) -> bool {
        let Some((after, dead, lands)) = self.crash_in.as_mut() else { return false };
        *after -= 1;
        let (after, dead, lands) = (*after, *dead, *lands);
        if after == 0 {
            self.crash(dead, lands);
        }
        after == 0
    }

    /// What a client asks of devd, if it is there.
    pub(crate) fn ask(&mut self, step: &Step) {
        if !self.alive {
            return;
        }
        let (project, event) = match step {
            Step::Up { project, services, build } => {
                if self.projects[*project].files.broken {
                    return;
                }
                if self.projects[*project].life.is_none() {
                    self.begin(*project, Memory { selected: Some(BTreeSet::new()), ..Memory::default() });
                }
                let known = |name: &ServiceName| self.projects[*project].desired.services.contains_key(name);
                let services = services.iter().map(|name| ServiceName::from(*name));
                let services: BTreeSet<ServiceName> = services.filter(known).collect();
                (*project, Event::UpRequested { services, build: *build })
            }
            Step::Start { project, service } => (*project, Event::StartRequested((*service).into())),
            Step::Stop { project, service } => (*project, Event::StopRequested((*service).into())),
            Step::Restart { project, service } => (*project, Event::RestartRequested((*service).into())),
            Step::Rebuild { project, service } => (*project, Event::RebuildRequested((*service).into())),
            Step::Test { project, service, some } => {
                let Some(life) = &mut self.projects[*project].life else { return };
                let (service, args) =
                    (ServiceName::from(*service), if *some { vec!["-k".to_owned()] } else { vec![] });
                if !life.state.desired().suites.contains_key(&service)
                    || life.state.joinable_run(&service, &args).is_some()
                {
                    return;
                }
                let run = life.state.reserve_run();
                (*project, Event::TestRequested { service, run, args })
            }
            Step::Cancel { project, which } => {
                let runs = &self.projects[*project].runs;
                let Some(run) = runs.keys().nth(*which).cloned() else { return };
                (*project, Event::CancelRequested { run })
            }
            Step::Down { project, volumes } => (*project, Event::DownRequested { volumes: *volumes }),
            _ => return,
        };
        // What is not in the files, nobody can ask for.
        if let Event::StartRequested(name)
        | Event::StopRequested(name)
        | Event::RestartRequested(name)
        | Event::RebuildRequested(name) = &event
        {
            let life = self.projects[project].life.as_ref();
            if !life.is_some_and(|life| life.desired.services.contains_key(name)) {
                return;
            }
        }
        self.tell(project, event, 0);
    }

    /// Something that is due to this life of devd.
    pub(crate) fn of_life(&mut self, due: Due) {
        match due {
            Due::Tell(project, event, content) => self.tell(project, event, content),
            Due::Answer(project, observed, order) => {
                if let Some(life) = &mut self.projects[project].life {
                    life.seen = order;
                }
                self.tell(project, Event::Observed(observed), 0);
            }
            Due::Reads(project) => self.read_files(project),
            Due::NoAnswer(project) => self.tell(project, Event::LookFailed, 0),
            Due::Ends(project, id, result) => self.tell(project, Event::OpFinished { id, result }, 0),
            Due::RunBegins(project, run) => self.run_begins(project, run),
            Due::RunEnds(project, run) => self.run_ends(project, run),
            Due::RunTold(project, run, outcome) => self.tell(project, Event::RunEnded { run, outcome }, 0),
            Due::FilesKnown(project) => self.files_known(project),
            Due::Written(project, memory) => self.projects[project].registered = Some(*memory),
            Due::Works(..) | Due::Exits(..) | Due::Checked(_) | Due::Awake | Due::Rise | Due::EngineBack => {}
        }
    }

    /// Gives an event to the logic and begins what it wishes for.
    pub(crate) fn tell(&mut self, project: usize, event: Event, content: u32) {
        if self.broken.is_some() || self.projects[project].life.is_none() {
            return;
        }
        self.order += 1;
        if !matches!(event, Event::Tick | Event::Observed(_) | Event::EngineChanged) {
            self.say(|| format!("{} is told: {}", PROJECTS[project], in_words(&event)));
        }
        let verdicts = matches!(
            event,
            Event::Changed(_) | Event::RunEnded { .. } | Event::Baseline { .. } | Event::Loaded(_)
        );
        self.note(project, &event, content);
        let (now, order) = (self.now, self.order);
        let Some(life) = &mut self.projects[project].life else { return };
        if matches!(event, Event::OpFinished { .. } | Event::EngineChanged | Event::EngineBack) {
            life.spoiled = order;
        }
        let effects = life.state.step(life.moment(now), event);
        for effect in effects {
            self.carry_out(project, effect);
            if self.broken.is_some() || self.crashes_now() {
                return;
            }
        }
        let Some(life) = &mut self.projects[project].life else { return };
        let again = life.state.step(life.moment(now), Event::Tick);
        life.wake = life.state.next_deadline().map(|at| at + life.born);
        if !again.is_empty() {
            return self.breaks("planning twice plans nothing new", || format!("{again:?}"));
        }
        if verdicts {
            self.check_verdicts(project);
        }
        self.crashes_now();
    }

    /// Writes down what an event gives devd reason for.
    fn note(&mut self, project: usize, event: &Event, content: u32) {
        let now = self.now;
        let it = &mut self.projects[project];
        let Some(life) = &mut it.life else { return };
        let ledger = &mut it.ledger;
        let order = self.order;
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
                for (name, service) in &desired.services {
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

    fn carry_out(&mut self, project: usize, effect: Effect) {
        match effect {
            Effect::Look => {
                if self.projects[project].ledger.stares(self.now) {
                    return self.breaks("devd does not look all the time", || PROJECTS[project].to_owned());
                }
                let Some(life) = &self.projects[project].life else { return };
                let answer = if self.engine.gone {
                    Due::NoAnswer(project)
                } else {
                    let observed = self.engine.look(project, &life.desired, self.now);
                    Due::Answer(project, Box::new(observed), self.order)
                };
                let delay = self.delay(5);
                self.later(delay, answer);
            }
            Effect::Op { id, op, cause } => self.operate(project, id, op, &cause),
            Effect::Probe { service, started } => {
                let name = replica::service(&service);
                let healthy = !self.projects[project].jinxed.contains(&name.as_str());
                let delay = self.delay(LATENCY);
                self.later(delay, Due::Tell(project, Event::Probed { service, started, healthy }, 0));
            }
            Effect::StartRun { run, service, cause, args, event: _ } => {
                self.start_run(project, run, service, &args, &cause);
            }
            Effect::CancelRun { run } => {
                self.say(|| format!("  {run} is ended"));
                if let Some(live) = self.projects[project].runs.get_mut(&run) {
                    live.cancelled = true;
                    let delay = self.delay(LATENCY);
                    self.later(delay, Due::RunEnds(project, run));
                }
            }
            Effect::Remember(memory) => {
                self.say(|| format!("  to be remembered: {memory:?}"));
                self.later(ms(WRITING), Due::Written(project, Box::new(memory)));
            }
            Effect::Gone { problems } => {
                self.say(|| format!("  {} is gone {problems:?}", PROJECTS[project]));
                if problems.is_empty() {
                    self.check_gone(project);
                }
                let it = &mut self.projects[project];
                it.given_up = !problems.is_empty();
                it.life = None;
                it.runs.clear();
                it.ledger = Ledger::default();
                it.registered = None;
                it.unseen.clear();
                it.code.clear();
                it.image.clear();
                self.forget_project(project);
            }
        }
    }

    /// What is due to a loop that has ended reaches nobody.
    fn forget_project(&mut self, gone: usize) {
        self.queue.retain(|_, due| match due {
            Due::Tell(project, ..)
            | Due::Reads(project)
            | Due::Answer(project, ..)
            | Due::NoAnswer(project)
            | Due::Ends(project, ..)
            | Due::RunBegins(project, _)
            | Due::RunEnds(project, _)
            | Due::RunTold(project, ..)
            | Due::FilesKnown(project)
            | Due::Written(project, _) => *project != gone,
            Due::Works(..) | Due::Exits(..) | Due::Checked(_) | Due::Awake | Due::Rise | Due::EngineBack => {
                true
            }
        });
    }

    fn operate(&mut self, project: usize, id: OpId, op: Op, cause: &str) {
        self.say(|| format!("  {}: {op}  # {cause}", PROJECTS[project]));
        let Some(life) = &self.projects[project].life else { return };
        let (stale, desired) = (life.seen < life.spoiled, Rc::clone(&life.desired));
        if stale {
            return self.breaks("devd acts only on what it has seen since its last act", || op.to_string());
        }
        self.check_operation(project, &op, &desired);
        let flight = Flight { op: op.clone(), order: self.order, at: self.now };
        self.projects[project].ledger.flying.insert(id.0, flight);
        let service = match op.subject() {
            Subject::Service(name) => Some(replica::service(&name)),
            Subject::Network(_) | Subject::Volume(_) | Subject::Environment(_) => None,
        };
        let jinxed =
            service.as_ref().is_some_and(|name| self.projects[project].jinxed.contains(&name.as_str()));
        let (half, rest) = (self.delay(LATENCY), self.delay(1));
        let refused = |why: &str| Err(OpError::Refused(why.to_owned()));
        let (done, result) = if self.engine.gone {
            (false, Err(OpError::Unreachable))
        } else if jinxed {
            (false, refused("it is jinxed"))
        } else if let Some(why) = self.engine.refuses(project, &op, &desired) {
            (false, refused(why))
        } else {
            match self.luck.pop_front().unwrap_or(Luck::Well) {
                Luck::Well => (true, Ok(())),
                Luck::DoneButRefused => (true, refused("bad luck, though it is done")),
                Luck::Refused => (false, refused("bad luck")),
                Luck::Unreachable => (false, Err(OpError::Unreachable)),
                Luck::DoneButUnreachable => (true, Err(OpError::Unreachable)),
            }
        };
        if done {
            let content = service.map_or(0, |name| self.projects[project].content(&name));
            self.later(half, Due::Works(project, Box::new(Work { op, desired, content })));
        }
        self.later(half + rest, Due::Ends(project, id, result));
    }

    fn start_run(
        &mut self,
        project: usize,
        run: RunId,
        service: ServiceName,
        args: &[String],
        cause: &RunCause,
    ) {
        self.say(|| format!("  run {service} as {run}  # {cause:?}"));
        let it = &mut self.projects[project];
        let Some(life) = &it.life else { return };
        let Some(suite) = life.desired.suites.get(&service) else { return };
        let tested = Tested { content: it.seen_by_tests(&service), definition: suite.definition.clone() };
        let twin = it.runs.values().any(|other| other.service == service);
        let again = it.history.contains_key(&run);
        let live = LiveRun { service, tested, cancelled: false, some: !args.is_empty() };
        it.runs.insert(run.clone(), live);
        let (many, most) = (it.runs.len(), self.runs);
        if twin || many > most {
            return self.breaks("one run of a suite, and no more than the machine bears", || run.to_string());
        }
        if again {
            return self.breaks("no run has the number of another", || run.to_string());
        }
        self.later(ms(0), Due::RunBegins(project, run.clone()));
        let delay = self.delay(RUN);
        self.later(delay, Due::RunEnds(project, run));
    }

    fn run_begins(&mut self, project: usize, run: RunId) {
        let it = &mut self.projects[project];
        let Some(live) = it.runs.get(&run).cloned() else { return };
        let number = run.as_str().rsplit('-').next().and_then(|number| number.parse::<u64>().ok());
        it.next_run = it.next_run.max(number.unwrap_or_default() + 1);
        let LiveRun { service, tested, some, .. } = live;
        it.history.insert(run.clone(), Record { service, tested, some, verdict: None });
        it.order.push(run.clone());
        let id = EnvironmentId::new(run.as_str());
        self.tell(project, Event::EnvironmentHeld(id.clone()), 0);
        if self.alive && !self.engine.gone {
            self.engine.stacks[project].environments.insert(id, true);
        }
    }

    fn run_ends(&mut self, project: usize, run: RunId) {
        let it = &mut self.projects[project];
        let Some(live) = it.runs.remove(&run) else { return };
        let id = EnvironmentId::new(run.as_str());
        let environments = &mut self.engine.stacks[project].environments;
        let killed = environments.get(&id).is_some_and(|lives| !lives);
        if let Some(lives) = environments.get_mut(&id) {
            *lives = false;
        }
        let outcome = if self.engine.gone || killed {
            Outcome::Lost
        } else if live.cancelled {
            Outcome::Cancelled
        } else {
            let passed = live.tested.content.is_multiple_of(2);
            if let Some(record) = it.history.get_mut(&run) {
                record.verdict = Some(passed);
            }
            if !live.some {
                it.tested.insert(live.service, live.tested);
            }
            let took = ms(RUN);
            if passed { Outcome::Passed { took } } else { Outcome::Failed { took } }
        };
        self.tell(project, Event::EnvironmentLeft(id), 0);
        self.later(ms(1), Due::RunTold(project, run, outcome));
    }

    /// The watched files were read: which verdicts of earlier lives hold is known now.
    fn files_known(&mut self, project: usize) {
        let it = &mut self.projects[project];
        let Some(life) = &mut it.life else { return };
        if !std::mem::replace(&mut life.files_known, true) {
            // Everything was read just now.
            it.watched.clone_from(&it.tests_disk);
            it.told.clone_from(&it.tests_disk);
        }
        let mut verdicts = Vec::new();
        for name in suites(project) {
            let service = ServiceName::from(*name);
            let Some(suite) = life.desired.suites.get(&service) else { continue };
            let content = it.watched.get(&service).copied().unwrap_or_default();
            let now = Tested { content, definition: suite.definition.clone() };
            let last = it.order.iter().rev().filter_map(|run| it.history.get(run));
            let last = last.filter(|record| record.service == service && !record.some);
            let last = last.filter_map(|record| Some((record.verdict?, &record.tested))).next();
            let took = ms(RUN);
            let verdict = last
                .filter(|(_, tested)| **tested == now)
                .map(|(passed, _)| if passed { Outcome::Passed { took } } else { Outcome::Failed { took } });
            verdicts.push((service, verdict));
        }
        for (service, verdict) in verdicts {
            self.tell(project, Event::Baseline { service, verdict }, 0);
        }
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

fn in_words(event: &Event) -> String {
    match event {
        Event::Loaded(desired) => {
            let services = desired.services.iter().map(|(name, service)| {
                format!("{name} ({}{})", service.definition, if service.absent { ", none of it" } else { "" })
            });
            format!("its files say {}", services.collect::<Vec<_>>().join(", "))
        }
        Event::Changed(change) => format!("{} changed ({:?})", change.path, change.reaction),
        other => format!("{other:?}"),
    }
}
