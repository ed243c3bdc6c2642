//! What happens when: the queue of all that is due, and the steps of a story.

use crate::due::Due;
use crate::engine::{Engine, Work};
use crate::files::PROJECTS;
use crate::ledger::Cause;
use crate::project::Project;
use crate::story::{Fate, Luck, Step, Story};
use crate::{Broken, Told};
use devd_logic::{Change, ContainerState, Event, Moment, Op, Reaction, replica};
use devd_proto::ServiceName;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// When the engine's own health check has passed.
pub(crate) const CHECKED: Moment = ms(5000);

/// The world.
#[derive(Debug)]
pub struct World {
    pub(crate) runs: usize,
    pub(crate) now: Moment,
    pub(crate) queue: BTreeMap<(Moment, u32), Due>,
    sequence: u32,
    pub(crate) engine: Engine,
    pub(crate) projects: [Project; PROJECTS.len()],
    pub(crate) alive: bool,
    /// How long devd gets no time, and what waits for it.
    stalled: bool,
    pub(crate) waiting: VecDeque<Due>,
    /// After how many more events and effects it crashes, and then for how long, and whether what it asked for is done.
    pub(crate) crash_in: Option<(u32, u32, bool)>,
    pub(crate) deaf: bool,
    overflow: bool,
    /// So many looks get no answer.
    pub(crate) unanswered: u32,
    pub(crate) luck: VecDeque<Luck>,
    fates: VecDeque<Fate>,
    delays: VecDeque<u32>,
    /// Events that devd was told, in all its lives.
    pub(crate) order: u64,
    /// Ticks in a row that came at the same time.
    pub(crate) ticks: u32,
    pub(crate) crashes: u64,
    telling: bool,
    pub(crate) log: Vec<String>,
    pub(crate) broken: Option<Broken>,
}

pub(crate) const fn ms(n: u32) -> Moment {
    Moment::from_millis(n as u64)
}

impl World {
    /// As it is before a story begins: devd runs and knows of nothing.
    pub fn new(story: &Story, telling: bool) -> Self {
        let mut projects: [Project; PROJECTS.len()] = Default::default();
        for (number, project) in projects.iter_mut().enumerate() {
            project.desired = Rc::new(project.files.desired(number));
            project.next_run = 1;
        }
        Self {
            runs: story.runs,
            now: ms(0),
            queue: BTreeMap::new(),
            sequence: 0,
            engine: Engine::default(),
            projects,
            alive: true,
            stalled: false,
            waiting: VecDeque::new(),
            crash_in: None,
            deaf: false,
            overflow: false,
            unanswered: 0,
            luck: VecDeque::new(),
            fates: VecDeque::new(),
            delays: VecDeque::new(),
            order: 0,
            ticks: 0,
            crashes: 0,
            telling,
            log: Vec::new(),
            broken: None,
        }
    }

    /// Plays a story, and what comes after it when the world is kind.
    pub fn play(mut self, story: &Story) -> Told {
        for step in &story.steps {
            if self.broken.is_some() {
                break;
            }
            self.say(|| format!("-- {step}"));
            self.happens(step);
        }
        self.end();
        Told { log: self.log, events: self.order, crashes: self.crashes, broken: self.broken }
    }

    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.telling {
            self.log.push(format!("{:>7} ms  {}", self.now.as_millis(), line()));
        }
    }

    pub(crate) fn breaks(&mut self, promise: &'static str, how: impl FnOnce() -> String) {
        if self.broken.is_none() {
            let how = how();
            self.say(|| format!("!! {promise}: {how}"));
            self.broken = Some(Broken { promise, how });
        }
    }

    pub(crate) fn delay(&mut self, usual: u32) -> Moment {
        ms(self.delays.pop_front().unwrap_or(usual))
    }

    pub(crate) fn later(&mut self, after: Moment, due: Due) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), due);
    }

    /// Sends devd an event by a way on which events can be late, or come twice.
    fn send(&mut self, usual: u32, project: usize, event: Event, content: u32) {
        match self.fates.pop_front().unwrap_or(Fate::InTime) {
            Fate::InTime => self.later(ms(usual), Due::Tell(project, event, content)),
            Fate::Late(late) => self.later(ms(usual + late), Due::Tell(project, event, content)),
            Fate::Doubled => {
                self.later(ms(usual), Due::Tell(project, event.clone(), content));
                self.later(ms(usual), Due::Tell(project, event, content));
            }
        }
    }

    /// Something happened to a project on the engine: devd is told to look, if that reaches it.
    pub(crate) fn hint(&mut self, project: usize) {
        self.hear(project, Event::EngineChanged);
    }

    fn hear(&mut self, project: usize, event: Event) {
        if !self.deaf && !self.engine.gone && self.alive {
            self.send(0, project, event, 0);
        }
    }

    /// The engine's events are there again: everything may be different.
    fn heard_again(&mut self) {
        for project in 0..PROJECTS.len() {
            self.later(ms(0), Due::Tell(project, Event::EngineBack, 0));
        }
    }

    fn broken_off(&mut self) {
        for project in 0..PROJECTS.len() {
            self.later(ms(0), Due::Tell(project, Event::EngineChanged, 0));
        }
    }

    /// One thing of a story.
    fn happens(&mut self, step: &Step) {
        match step {
            Step::Wait(time) => return self.wait(ms(*time)),
            Step::Save { project, service, reaction, files, pushed, tests } => {
                self.save(*project, service, *reaction, *files, *pushed, *tests);
            }
            Step::Dies { project, service, code } => self.dies(*project, service, *code),
            Step::KeepsDying { project, service, code } => {
                self.engine.dies.insert((*project, (*service).into()), *code);
            }
            Step::Jinxed { project, service } => self.projects[*project].jinxed.push(service),
            Step::Mended { project, service } => {
                self.engine.dies.remove(&(*project, (*service).into()));
                self.projects[*project].jinxed.retain(|it| it != service);
            }
            Step::Removed { project, service } => {
                self.engine.stacks[*project]
                    .boxes
                    .retain(|it| replica::service(&it.name).as_str() != *service);
                self.replaced(*project, &(*service).into());
                self.hint(*project);
            }
            Step::StoppedOutside { project, service } => {
                self.hear(*project, Event::ToldToEnd((*service).into()));
                self.dies(*project, service, 143);
                self.wait(ms(30));
                self.give(*project, &(*service).into(), Cause::Request);
                self.hear(*project, Event::StoppedOutside((*service).into()));
            }
            Step::StartedOutside { project, service } => self.start_outside(*project, service),
            Step::Paused { project, service, paused } => {
                let (from, to) = (ContainerState::Running, ContainerState::Paused);
                let (from, to) = if *paused { (from, to) } else { (to, from) };
                let mut changed = Vec::new();
                for it in self.engine.of(*project, service).filter(|it| it.state == from) {
                    it.state = to;
                    changed.push(it.id.clone());
                }
                // What ends by itself goes on to do so.
                for id in changed.into_iter().filter(|_| !paused) {
                    self.started(*project, &id);
                }
                self.hint(*project);
            }
            Step::NetworksRemoved(project) => {
                self.engine.stacks[*project].networks.clear();
                self.hint(*project);
            }
            Step::Up { .. }
            | Step::Start { .. }
            | Step::Stop { .. }
            | Step::Restart { .. }
            | Step::Rebuild { .. }
            | Step::Test { .. }
            | Step::Cancel { .. }
            | Step::Down { .. } => self.ask(step),
            Step::Edited { project, edit } => {
                let it = &mut self.projects[*project];
                it.files.edit(edit);
                it.desired = Rc::new(it.files.desired(*project));
                if self.alive && !self.overflow {
                    let delay = self.delay(5);
                    self.later(delay, Due::Reads(*project));
                } else {
                    it.unread = true;
                }
            }
            Step::Engine { gone } if *gone != self.engine.gone => {
                self.engine.gone = *gone;
                if *gone { self.broken_off() } else { self.heard_again() }
            }
            Step::Engine { .. } => {}
            Step::EngineRestarts(time) => {
                self.engine.gone = true;
                self.broken_off();
                self.engine.restart();
                self.later(ms(*time), Due::EngineBack);
            }
            Step::Deaf(deaf) => {
                if std::mem::replace(&mut self.deaf, *deaf) != *deaf && !self.engine.gone {
                    if *deaf { self.broken_off() } else { self.heard_again() }
                }
            }
            Step::Unanswered(looks) => self.unanswered += looks,
            Step::Overflow => self.overflow = true,
            Step::Rescan => self.rescan(),
            Step::Crash { dead, lands } => self.crash(*dead, *lands),
            Step::CrashSoon { after, dead, lands } => self.crash_in = Some((*after, *dead, *lands)),
            Step::Ends(time) => self.ends(*time),
            Step::Stalled(time) => {
                if self.alive && !std::mem::replace(&mut self.stalled, true) {
                    self.later(ms(*time), Due::Awake);
                }
            }
            // What is due meanwhile comes late, all at once.
            Step::Sleeps(time) => self.now += ms(*time),
            Step::Luck(luck) => self.luck.extend(luck),
            Step::Fates(fates) => self.fates.extend(fates),
            Step::Delays(delays) => self.delays.extend(delays),
        }
        self.wait(ms(0));
    }

    fn save(
        &mut self,
        project: usize,
        service: &str,
        reaction: Reaction,
        files: usize,
        pushed: bool,
        tests: bool,
    ) {
        let name = ServiceName::from(service);
        // Of a project whose files did not load when devd began, and of a service that is not in them, nothing is watched.
        let life = self.projects[project].life.as_ref();
        let known = self.alive && life.is_some_and(|life| life.desired.services.contains_key(&name));
        let it = &mut self.projects[project];
        let content = it.content(&name) + 1;
        it.disk.insert(name.clone(), content);
        if tests {
            it.tests_disk.insert(name.clone(), content);
        }
        it.own.entry(name.clone()).or_default().note(reaction, content);
        // Of a project that devd does not keep nothing is promised, nor of one whose very first operation was cut off before
        // a word of it was written down.
        if it.life.is_some() || (it.registered.is_some() && !it.origins.is_empty()) {
            if reaction != Reaction::None {
                it.code.insert(name.clone(), content);
            }
            if reaction == Reaction::Rebuild {
                it.image.insert(name.clone(), content);
            }
        }
        if !known {
            return;
        }
        let path = format!("{service}/{content}");
        let change =
            Change { service: name, path, files, reaction, action: "as asked", tests, pushed, more: false };
        if self.overflow && !pushed {
            it.unseen.push((change, content));
        } else {
            if let Some(own) = it.own.get(&change.service) {
                it.indexed.insert(change.service.clone(), *own);
            }
            it.watched.insert(
                change.service.clone(),
                it.tests_disk.get(&change.service).copied().unwrap_or_default(),
            );
            self.send(if pushed { 0 } else { 2 }, project, Event::Changed(change), content);
        }
    }

    fn rescan(&mut self) {
        self.overflow = false;
        if !self.alive {
            return;
        }
        for project in 0..PROJECTS.len() {
            let it = &mut self.projects[project];
            it.watched.clone_from(&it.tests_disk);
            it.indexed.clone_from(&it.own);
            for (mut change, content) in std::mem::take(&mut it.unseen) {
                change.pushed = false;
                self.later(ms(5), Due::Tell(project, Event::Changed(change), content));
            }
            if std::mem::take(&mut self.projects[project].unread) {
                self.later(ms(5), Due::Reads(project));
            }
        }
    }

    fn dies(&mut self, project: usize, service: &str, code: i64) {
        for it in self.engine.of(project, service).filter(|it| it.state == ContainerState::Running) {
            it.state = ContainerState::Exited(code);
        }
        self.hint(project);
    }

    fn start_outside(&mut self, project: usize, service: &str) {
        let name = ServiceName::from(service);
        let content = self.projects[project].content(&name);
        let ids: Vec<String> = self.engine.of(project, service).map(|it| it.id.clone()).collect();
        for id in ids {
            if self.engine.start(project, &id, content, self.now) {
                self.started(project, &id);
            }
        }
        // Whoever starts it wants it, and devd may not.
        self.projects[project].ledger.stopped.remove(&name);
        self.projects[project].doubtful.insert(name.clone());
        self.give(project, &name, Cause::Surplus);
        self.hint(project);
    }

    /// A process began; some end by themselves.
    pub(crate) fn started(&mut self, project: usize, id: &str) {
        if let Some(start) = self.engine.ends_soon(project, id) {
            self.later(ms(30), Due::Exits(project, id.to_owned(), start));
        }
        self.later(CHECKED, Due::Checked(project));
    }

    /// A container is another one, or gone: whoever shares something of it is no use any more.
    pub(crate) fn replaced(&mut self, project: usize, name: &ServiceName) {
        let sharing = self.projects[project].desired.services.iter();
        let sharing = sharing.filter(|(_, service)| service.shares.contains(name));
        for name in sharing.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.give(project, &name, Cause::Owner);
        }
    }

    pub(crate) fn give(&mut self, project: usize, name: &ServiceName, cause: Cause) {
        let (order, now) = (self.order, self.now);
        self.projects[project].ledger.give(name, cause, order, now);
    }

    /// Lets time go by.
    pub(crate) fn wait(&mut self, time: Moment) {
        let until = self.now + time;
        while self.broken.is_none() && self.advance(until) {}
        self.now = self.now.max(until);
    }

    /// Lets time go by until nothing is left to happen.
    pub(crate) fn settle(&mut self) {
        let until = self.now + Moment::from_secs(3600);
        let mut steps = 0;
        while self.broken.is_none() && self.advance(until) {
            steps += 1;
            if steps > 6000 {
                return self.breaks("it comes to rest", || "it never does".to_owned());
            }
        }
    }

    /// Lets the next thing happen, be it only time. Whether anything did.
    fn advance(&mut self, until: Moment) -> bool {
        let queued = self.queue.keys().next().map(|(at, _)| *at);
        let tick = self.next_tick();
        let first = match (queued, tick) {
            (Some(queued), Some((at, _))) => queued.min(at),
            (Some(at), None) | (None, Some((at, _))) => at,
            (None, None) => return false,
        };
        if first > until {
            return false;
        }
        if first > self.now {
            self.now = first;
            self.ticks = 0;
        }
        if let Some((at, project)) = tick
            && queued.is_none_or(|queued| queued > at.max(self.now))
        {
            self.ticks += 1;
            if self.ticks > 50 {
                self.breaks("devd does not spin", || format!("{} wakes again and again", PROJECTS[project]));
            }
            self.tell(project, Event::Tick, 0);
            return true;
        }
        if let Some((_, due)) = self.queue.pop_first() {
            if self.stalled
                && due.is_of_this_life()
                && !matches!(due, Due::Awake | Due::Written(..) | Due::Noted(..))
            {
                self.waiting.push_back(due);
            } else {
                self.comes(due);
            }
        }
        true
    }

    /// When devd wakes by itself, and for which project.
    fn next_tick(&self) -> Option<(Moment, usize)> {
        if self.stalled {
            return None;
        }
        let ticks = self.projects.iter().enumerate();
        ticks.filter_map(|(number, project)| Some((project.life.as_ref()?.wakes()?, number))).min()
    }

    fn comes(&mut self, due: Due) {
        match due {
            Due::Works(project, work) => self.works(project, &work),
            Due::Exits(project, id, start) => {
                if self.engine.ends(project, &id, start, 0) {
                    self.hint(project);
                }
            }
            Due::Checked(project) => self.hint(project),
            Due::EngineBack => {
                if std::mem::take(&mut self.engine.gone) {
                    self.heard_again();
                }
            }
            Due::Rise => self.rise(),
            Due::Awake => {
                self.stalled = false;
                while let Some(due) = self.waiting.pop_front() {
                    if self.broken.is_some() {
                        return;
                    }
                    self.comes(due);
                }
            }
            Due::Tell(..)
            | Due::Reads(_)
            | Due::Answer(..)
            | Due::NoAnswer(_)
            | Due::Ends(..)
            | Due::RunBegins(..)
            | Due::RunEnds(..)
            | Due::RunTold(..)
            | Due::FilesKnown(_)
            | Due::Noted(..)
            | Due::Written(..) => self.of_life(due),
        }
    }

    fn works(&mut self, project: usize, work: &Work) {
        let name = match &work.op {
            Op::Create(name) | Op::Start(name, _) | Op::Restart(name, _) => Some(name.clone()),
            _ => None,
        };
        let content = name.map(|name| self.projects[project].content(&name)).unwrap_or(work.content);
        let led = self.engine.work(project, work, content, self.now);
        for id in led.started {
            self.started(project, &id);
        }
        if let Some(name) = led.replaced {
            self.replaced(project, &name);
        }
        if let Some(image) = led.image {
            for project in 0..PROJECTS.len() {
                let services = self.projects[project].desired.services.iter();
                let same = services.filter(|(_, service)| service.image == image);
                for name in same.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
                    self.give(project, &name, Cause::Image);
                }
            }
        }
        self.hint(project);
    }

    /// What was to become of devd is over: everything that is due to it goes.
    pub(crate) fn forget_life(&mut self) {
        self.queue.retain(|_, due| !due.is_of_this_life());
        self.waiting.clear();
        self.stalled = false;
        self.crash_in = None;
    }

    /// What devd asked the engine for is not done after all: nothing of it, or only what an engine gives up when whoever
    /// asked for it is gone (Engine API, `/build` and `/images/create`).
    pub(crate) fn forget_work(&mut self, all: bool) {
        let given_up = |work: &Work| matches!(work.op, Op::Build(_) | Op::Pull(_));
        self.queue.retain(|_, due| !matches!(due, Due::Works(_, work) if all || given_up(work)));
    }

    /// The world becomes kind.
    pub(crate) fn be_kind(&mut self) {
        self.luck.clear();
        self.delays.clear();
        self.fates.clear();
        self.engine.dies.clear();
        self.crash_in = None;
        for project in &mut self.projects {
            project.jinxed.clear();
        }
        for project in 0..PROJECTS.len() {
            for service in crate::files::services(project) {
                self.happens(&Step::Paused { project, service, paused: false });
            }
        }
        let cut_off = std::mem::take(&mut self.engine.gone) | std::mem::take(&mut self.deaf);
        for project in 0..PROJECTS.len() {
            self.hint(project);
        }
        if cut_off {
            self.heard_again();
        }
        self.rescan();
    }
}
