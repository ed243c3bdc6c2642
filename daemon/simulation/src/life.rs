//! The lives of devd: what it is told, and what becomes of what it wishes for.

use crate::due::Due;
use crate::engine::Work;
use crate::files::PROJECTS;
use crate::ledger::{Flight, Ledger};
use crate::origins::{Origins, WRITING};
use crate::story::{Luck, Step};
use crate::world::{World, ms};
use devd_logic::{
    Desired, Effect, Event, Limits, Memory, Moment, Op, OpError, OpId, State, Subject, replica,
};
use devd_proto::ServiceName;
use std::collections::BTreeSet;
use std::rc::Rc;

/// How long most things take.
const LATENCY: u32 = 20;

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
    pub(crate) files_known: bool,
    /// Services that the files name anew, whose folders are not read yet.
    pub(crate) unwatched: BTreeSet<ServiceName>,
    pub(crate) origins: Origins,
    /// The services of operations that the logic has wished for and that are not all begun.
    pub(crate) wished: BTreeSet<ServiceName>,
}

impl Life {
    /// When it wakes by itself.
    pub(crate) fn wakes(&self) -> Option<Moment> {
        self.wake
    }

    /// Whether it knows what is on disk of a service.
    pub(crate) fn has_read(&self, service: &ServiceName) -> bool {
        self.files_known && !self.unwatched.contains(service)
    }

    /// Now, as it counts.
    pub(crate) fn moment(&self, now: Moment) -> Moment {
        now.saturating_sub(self.born)
    }

    /// What is to run, as far as its files and the wishes of its user are known to it.
    pub(crate) fn wanted(&self) -> BTreeSet<ServiceName> {
        let services = self.desired.services.keys();
        services.filter(|name| self.state.wanted(name)).cloned().collect()
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
            unwatched: BTreeSet::new(),
            origins: Origins::new(&it.origins),
            wished: BTreeSet::new(),
        });
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
        for project in 0..PROJECTS.len() {
            self.doubt(project);
        }
        let now = self.now;
        for (number, project) in self.projects.iter_mut().enumerate() {
            project.note_wanted();
            project.life = None;
            let written =
                self.queue.iter().filter(|(_, due)| matches!(due, Due::Written(of, _) if *of == number));
            let unwritten = written.map(|((at, _), _)| at.saturating_sub(ms(WRITING))).collect();
            project.ledger.crashed(now, &unwritten);
            if project.origins.is_empty() {
                // Not even the first operation was written down: what is there is taken as it is.
                project.code.clear();
                project.image.clear();
            }
            project.runs.clear();
            project.unseen.clear();
            // The lease of tests ends with whoever holds it.
            self.engine.stacks[number].environments.values_mut().for_each(|lives| *lives = false);
        }
        self.forget_life();
        self.forget_work(!lands);
        self.later(ms(dead), Due::Rise);
    }

    /// devd ends in order.
    pub(crate) fn ends(&mut self, dead: u32) {
        if !self.alive {
            return;
        }
        let due: Vec<_> = self
            .queue
            .iter()
            .filter(|(_, due)| matches!(due, Due::Written(..) | Due::Noted(..)))
            .map(|(at, _)| *at)
            .collect();
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
                let seen = observed.clone();
                self.tell(project, Event::Observed(observed), 0);
                self.origins_seen(project, &seen);
            }
            Due::Reads(project) => {
                self.read_files(project);
                self.compare_origins(project);
            }
            Due::NoAnswer(project) => self.tell(project, Event::LookFailed, 0),
            Due::Ends(project, id, result) => {
                self.origin_ends(project, id, result.is_ok());
                self.tell(project, Event::OpFinished { id, result }, 0);
            }
            Due::RunBegins(project, run) => self.run_begins(project, run),
            Due::RunEnds(project, run) => self.run_ends(project, run),
            Due::RunTold(project, run, outcome) => self.tell(project, Event::RunEnded { run, outcome }, 0),
            Due::FilesKnown(project) => self.files_known(project),
            Due::Written(project, memory) => {
                let it = &mut self.projects[project];
                (it.registered, it.given_up) = (Some(*memory), false);
            }
            Due::Noted(project, made, origin) => _ = self.projects[project].origins.insert(made, origin),
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
        let called_off = match &event {
            Event::CancelRequested { run } => Some(run.clone()),
            _ => None,
        };
        let (now, order) = (self.now, self.order);
        let Some(life) = &mut self.projects[project].life else { return };
        if matches!(event, Event::OpFinished { .. } | Event::EngineChanged | Event::EngineBack) {
            life.spoiled = order;
        }
        let loaded = matches!(event, Event::Loaded(_)).then(|| life.wanted());
        let effects = life.state.step(life.moment(now), event);
        life.wished = effects.iter().filter_map(operated).collect();
        self.projects[project].note_unasked(loaded);
        for effect in effects {
            self.carry_out(project, effect);
            if self.broken.is_some() || self.crashes_now() {
                return;
            }
        }
        let Some(life) = &mut self.projects[project].life else { return };
        life.wished.clear();
        let again = life.state.step(life.moment(now), Event::Tick);
        life.wake = life.state.next_deadline().map(|at| at + life.born);
        if !again.is_empty() {
            return self.breaks("planning twice plans nothing new", || format!("{again:?}"));
        }
        if verdicts {
            self.check_verdicts(project);
        }
        let runs = &self.projects[project].runs;
        if let Some(run) = called_off
            && runs.get(&run).is_some_and(|live| !live.cancelled)
        {
            return self.breaks("what is called off is ended", || run.to_string());
        }
        self.crashes_now();
    }

    fn carry_out(&mut self, project: usize, effect: Effect) {
        match effect {
            Effect::Look => {
                if self.projects[project].ledger.stares(self.now) {
                    return self.breaks("devd does not look all the time", || PROJECTS[project].to_owned());
                }
                let Some(life) = &self.projects[project].life else { return };
                let unanswered = self.unanswered > 0;
                self.unanswered = self.unanswered.saturating_sub(1);
                let answer = if self.engine.gone || unanswered {
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
                // What could not be removed is nobody's now, and whoever asks for something else leaves it alone.
                let left = self.engine.stacks[project].boxes.iter().map(|it| it.name.clone());
                it.ledger = Ledger::default();
                it.ledger.unasked.extend(left);
                it.registered = None;
                it.unseen.clear();
                it.code.clear();
                it.image.clear();
                it.origins.clear();
                it.doubtful.clear();
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
            | Due::Noted(project, ..)
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
        self.origin_begins(project, id, &op);
        let flight = Flight { op: op.clone(), order: self.order, at: self.now };
        self.projects[project].ledger.flying.insert(id.0, flight);
        let service = service_of(&op);
        let jinxed =
            service.as_ref().is_some_and(|name| self.projects[project].jinxed.contains(&name.as_str()));
        let (half, rest) = (self.delay(LATENCY), self.delay(1));
        // No engine does anything sooner than a row is written.
        let half = half.max(ms(WRITING + 1));
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
}

/// The service whose container or image an operation is on.
fn service_of(op: &Op) -> Option<ServiceName> {
    match op.subject() {
        Subject::Service(name) => Some(replica::service(&name)),
        Subject::Network(_) | Subject::Volume(_) | Subject::Environment(_) => None,
    }
}

fn operated(effect: &Effect) -> Option<ServiceName> {
    match effect {
        Effect::Op { op, .. } => service_of(op),
        _ => None,
    }
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
