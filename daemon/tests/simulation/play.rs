//! Plays a story: one life of the daemon after the other, each in a runtime of its own, so that a crash is the end of
//! every task at whatever it waited for.

mod check;

use super::house::{House, PROJECTS, SERVICES};
use super::story::{Step, Story};
use devd_logic::{Event, Limits, Memory};
use devd_proto::{ProjectStatus, Run, RunId, ServiceName, TestsState, What};
use devdd::engine::fake::{Befalls, Fake, Fault, TestsBehaviour};
use devdd::engine::{Engine as _, EngineChange};
use devdd::history::{History, RunFilter};
use devdd::hub::Hub;
use devdd::project::run::{self, Surroundings};
use devdd::project::{Also, Handle, Message, Request, Verb};
use devdd::system::metrics::Metrics;
use devdd::system::traces::Traces;
use devdd::warm::machine::Machine;
use devdd::watch::{Action, Change, ChangeKind, Contents, Part, TestsEffect};
use futures_util::StreamExt as _;
use regex::{Captures, Regex};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// A promise that was broken.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) promise: &'static str,
    pub(crate) how: String,
}

pub(crate) struct Told {
    pub(crate) log: Vec<String>,
    pub(crate) outcome: Result<(), Broken>,
}

/// What is shared with those who decide on bad luck and pass on events.
#[derive(Default)]
struct Weather {
    luck: VecDeque<Befalls>,
    delays: VecDeque<u64>,
    deaf: bool,
    doubled: bool,
}

/// What outlives the daemon.
struct World<'a> {
    house: &'a House,
    fake: Fake,
    history: History,
    weather: Arc<Mutex<Weather>>,
    /// Runs that clients were told to have ended.
    ended: Arc<Mutex<BTreeMap<RunId, TestsState>>>,
    versions: [usize; 2],
    /// Services that the user stopped, for so long that it is written down.
    stopped: BTreeSet<(usize, usize)>,
    /// What is on disk for each project's main service: how often each part of it was saved, and all of it.
    disk: [(Contents, u128); 2],
    /// What must have been made after which line of the journal, by project: its process, its image.
    owed: [[usize; 2]; 2],
    log: Vec<String>,
    engine_gone: bool,
}

/// One life of the daemon.
struct Life {
    surroundings: Surroundings<Fake>,
    handles: Arc<Mutex<BTreeMap<usize, Handle>>>,
}

/// How long a broken world may take to come to rest, on its own clock.
const PATIENCE: Duration = Duration::from_secs(900);

pub(crate) fn play(house: &House, story: &Story) -> Told {
    let weather = Arc::<Mutex<Weather>>::default();
    let fake = Fake::default();
    let decides = Arc::clone(&weather);
    fake.decide(move |line| {
        let mut weather = decides.lock().unwrap();
        let usual = if line.starts_with("observe") { 0 } else { 5 };
        let before = Duration::from_millis(weather.delays.pop_front().unwrap_or(usual));
        let after = Duration::from_millis(weather.delays.pop_front().unwrap_or(0));
        let befalls = weather.luck.pop_front().unwrap_or_default();
        Fault { before, after, befalls }
    });
    let mut world = World {
        house,
        fake,
        history: History::in_memory(house.state.path()).unwrap(),
        weather,
        ended: Arc::default(),
        versions: [0; 2],
        stopped: BTreeSet::new(),
        // Files that are not there are no content.
        disk: [(Contents { acted: 0, process: 1, image: 1 }, 2); 2],
        owed: [[0; 2]; 2],
        log: Vec::new(),
        engine_gone: false,
    };
    let outcome = world.lives(story);
    let journal: Vec<String> = world.fake.journal();
    world.log.extend(numbered(&journal).into_iter().map(|line| format!("  {line}")));
    Told { log: world.log, outcome }
}

/// The journal with environments numbered as they come: their ids say when and by how many others they were preceded.
fn numbered(journal: &[String]) -> Vec<String> {
    let id = Regex::new(r"[0-9a-f]{8}-[0-9]+").unwrap();
    let mut seen: Vec<String> = Vec::new();
    let mut number = |found: &Captures<'_>| {
        let found = found[0].to_owned();
        let place = seen.iter().position(|it| *it == found).unwrap_or_else(|| {
            seen.push(found);
            seen.len() - 1
        });
        format!("environment{place}")
    };
    journal.iter().map(|line| id.replace_all(line, &mut number).into_owned()).collect()
}

fn broken(promise: &'static str, how: impl Into<String>) -> Result<(), Broken> {
    Err(Broken { promise, how: how.into() })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

impl World<'_> {
    fn lives(&mut self, story: &Story) -> Result<(), Broken> {
        let mut steps = story.0.iter();
        let mut done = false;
        while !done {
            done = runtime().block_on(async {
                let life = self.begin().await;
                for step in steps.by_ref() {
                    self.log.push(format!("-- {step:?}"));
                    match step {
                        Step::Crash(saved) | Step::End(saved) => {
                            if let Step::End(_) = step {
                                life.close().await;
                            }
                            let kept = self.history.projects().await.unwrap();
                            for (project, action) in saved {
                                let is_kept = kept.iter().any(|it| it.name.as_str() == PROJECTS[*project]);
                                // Where there is no word of what anything was made from, it is taken as it is.
                                let origins = self.history.origins(&PROJECTS[*project].into()).await;
                                self.write(*project, *action, is_kept && !origins.unwrap().is_empty());
                            }
                            return Ok(false);
                        }
                        _ => self.happens(&life, step).await?,
                    }
                }
                Ok(true)
            })?;
            self.dead()?;
        }
        self.log.push("-- from here on the world is kind".to_owned());
        self.be_kind();
        runtime().block_on(async {
            let life = self.begin().await;
            self.comes_to_rest(&life).await?;
            self.check_stopped()?;
            self.bring_up(&life).await;
            self.comes_to_rest(&life).await?;
            self.check_converged(&life).await
        })?;
        self.dead()?;
        // A life that has nothing to mend touches nothing that runs.
        let before = self.fake.journal().len();
        self.log.push("-- another life".to_owned());
        runtime().block_on(async {
            let life = self.begin().await;
            self.comes_to_rest(&life).await?;
            self.check_converged(&life).await?;
            self.check_untouched(before)?;
            life.close().await;
            let left = self.fake.environments();
            if left.is_empty() {
                Ok(())
            } else {
                broken("an end in order leaves no environment", format!("{left:?}"))
            }
        })
    }

    /// A daemon begins, with the projects that an earlier one wrote down.
    async fn begin(&mut self) -> Life {
        self.history.interrupt_runs().await.unwrap();
        let hub = Hub::default();
        let (mut events, ended) = (hub.subscribe(None), Arc::clone(&self.ended));
        tokio::spawn(async move {
            while let Ok(event) = events.live.recv().await {
                if let What::RunFinished { run } = &event.what {
                    ended.lock().unwrap().insert(run.id.clone(), run.state);
                }
            }
        });
        let surroundings = Surroundings {
            engine: self.fake.clone(),
            watcher: self.house.watcher.clone(),
            history: self.history.clone(),
            hub,
            limits: Limits { runs: 2 },
            metrics: Metrics::new(),
            traces: Traces::default(),
            machine: Arc::new(Machine::new(1 << 30, Duration::from_secs(900), 2)),
        };
        (0..PROJECTS.len()).for_each(|project| self.read(project));
        let handles = Arc::<Mutex<BTreeMap<usize, Handle>>>::default();
        let (weather, listening) = (Arc::clone(&self.weather), Arc::clone(&handles));
        let mut changes = self.fake.changes();
        tokio::spawn(async move {
            while let Some(change) = changes.next().await {
                let (deaf, doubled) = {
                    let weather = weather.lock().unwrap();
                    (weather.deaf, weather.doubled)
                };
                if deaf {
                    continue;
                }
                for _ in 0..=usize::from(doubled) {
                    for (project, handle) in listening.lock().unwrap().iter() {
                        let event = match &change {
                            EngineChange::Project(name) if *name != PROJECTS[*project] => continue,
                            EngineChange::Connected => Event::EngineBack,
                            _ => Event::EngineChanged,
                        };
                        handle.tell(Message::Event(event));
                    }
                }
            }
        });
        let life = Life { surroundings, handles };
        for registration in self.history.projects().await.unwrap() {
            let project = PROJECTS.iter().position(|name| *name == registration.name.as_str()).unwrap();
            let memory = Memory {
                stopped: registration.stopped,
                selected: registration.selected,
                completed: registration.completed,
            };
            self.launch(&life, project, memory).await;
        }
        self.log.push(format!("a daemon begins: {:?}", life.handles.lock().unwrap().keys()));
        life
    }

    async fn launch(&self, life: &Life, project: usize, memory: Memory) {
        let blueprint = Arc::clone(&self.house.blueprints[project][self.versions[project]]);
        let source = self.house.sources[project].clone();
        let handle = run::start(life.surroundings.clone(), blueprint, source, memory, || {}).await;
        handle.tell(Message::FilesKnown);
        if !self.engine_gone {
            handle.tell(Message::Event(Event::EngineBack));
        }
        life.handles.lock().unwrap().insert(project, handle);
    }

    /// The daemon is dead: no tests live.
    fn dead(&mut self) -> Result<(), Broken> {
        let tests =
            self.fake.running().into_iter().filter(|name| name.contains("-devd-") && name.contains("tests"));
        let tests: Vec<String> = tests.collect();
        self.log.push("the daemon is dead".to_owned());
        if tests.is_empty() {
            Ok(())
        } else {
            broken("no tests live without the daemon", format!("{tests:?}"))
        }
    }

    /// The watcher has read what is on disk.
    fn read(&self, project: usize) {
        let [main, other] = SERVICES[project].map(ServiceName::from);
        let name = PROJECTS[project].into();
        let (own, all) = self.disk[project];
        self.house.watcher.pretend(&name, &main, all, own);
        self.house.watcher.pretend(&name, &other, 0, Contents::default());
    }

    /// A file of a project's main service is another one. Only of a project that devd keeps anything is promised.
    fn write(&mut self, project: usize, action: Action, kept: bool) {
        let now = if kept { self.fake.journal().len() } else { 0 };
        let (own, all) = &mut self.disk[project];
        *all += 1;
        match action.part() {
            None => {}
            Some(Part::Acted) => own.acted += 1,
            Some(Part::Process) => {
                own.process += 1;
                self.owed[project][0] = now;
            }
            Some(Part::Image) => {
                own.image += 1;
                self.owed[project] = [now; 2];
            }
        }
    }

    async fn happens(&mut self, life: &Life, step: &Step) -> Result<(), Broken> {
        match step {
            Step::Wait(time) => tokio::time::sleep(Duration::from_millis(*time)).await,
            Step::Turns(turns) => {
                for _ in 0..*turns {
                    tokio::task::yield_now().await;
                }
            }
            Step::Save { project, action, pushed } => {
                self.write(*project, *action, life.handle(*project).is_some());
                self.read(*project);
                return self.save(life, *project, *action, *pushed).await;
            }
            Step::Kill { project, service } => self.fake.kill(&container(*project, *service)),
            Step::KillTests => {
                let tests = self.fake.running().into_iter().find(|name| name.contains("-devd-"));
                tests.iter().for_each(|name| self.fake.kill(name));
            }
            Step::Dies { project, service, dies } => {
                self.fake.dies(&container(*project, *service), dies.then_some(1));
            }
            Step::Engine { gone } => {
                self.engine_gone = *gone;
                self.fake.set_gone(*gone);
            }
            Step::Deaf(deaf) => self.hears(life, !deaf),
            Step::Doubled(doubled) => self.weather.lock().unwrap().doubled = *doubled,
            Step::Up(project) => self.up(life, *project).await,
            Step::Service { project, service, verb } => {
                let Some(handle) = life.handle(*project) else { return Ok(()) };
                let name = ServiceName::from(SERVICES[*project][*service]);
                let asked = handle.ask(|reply| Request::Service { service: name, verb: *verb, reply }).await;
                if asked.is_some_and(|answer| answer.is_ok()) {
                    self.asked(*project, *service, *verb);
                }
            }
            Step::Test { project, some } => {
                let Some(handle) = life.handle(*project) else { return Ok(()) };
                let args = if *some { vec!["-k".to_owned()] } else { Vec::new() };
                let services = vec![ServiceName::from(SERVICES[*project][0])];
                handle.ask(|reply| Request::Test { services, args, failed: false, reply }).await;
            }
            Step::Cancel(project) => {
                let Some(handle) = life.handle(*project) else { return Ok(()) };
                let run = tests(&handle.status(), *project).and_then(|tests| tests.0);
                let Some(run) = run else { return Ok(()) };
                handle.ask(|reply| Request::Cancel { run, reply }).await;
            }
            Step::Down(project) => return self.down(life, *project).await,
            Step::Files { project, version } => {
                self.versions[*project] = *version;
                let Some(handle) = life.handle(*project) else { return Ok(()) };
                handle.tell(Message::Loaded(Arc::clone(&self.house.blueprints[*project][*version])));
            }
            Step::Tests { takes, exit } => {
                let takes = Duration::from_millis(*takes);
                self.fake.tests_behave(TestsBehaviour { takes, exit: *exit, ..TestsBehaviour::default() });
            }
            Step::Luck(luck) => self.weather.lock().unwrap().luck.extend(luck),
            Step::Delays(delays) => self.weather.lock().unwrap().delays.extend(delays),
            Step::Crash(_) | Step::End(_) => {}
        }
        Ok(())
    }

    fn hears(&self, life: &Life, hears: bool) {
        let was_deaf = std::mem::replace(&mut self.weather.lock().unwrap().deaf, !hears);
        if hears && was_deaf {
            for handle in life.handles.lock().unwrap().values() {
                handle.tell(Message::Event(Event::EngineBack));
            }
        }
    }

    /// From the moment on at which the daemon knows of a save, the verdict before it is an old one.
    async fn save(&self, life: &Life, project: usize, action: Action, pushed: bool) -> Result<(), Broken> {
        let Some(handle) = life.handle(project) else { return Ok(()) };
        let change = Change {
            path: self.house.file(project, "main.py"),
            kind: ChangeKind::Modified,
            service: ServiceName::from(SERVICES[project][0]),
            action: Some(action),
            develop: None,
            tests: TestsEffect::Rerun,
            pushed,
            more: false,
            repeated: false,
        };
        handle.tell(Message::Changed(vec![change]));
        if handle.ask(|reply| Request::Flush { reply }).await.is_none() {
            return Ok(());
        }
        let current = tests(&handle.status(), project).is_some_and(|tests| tests.2);
        if current { broken("an old verdict is never shown as today's", PROJECTS[project]) } else { Ok(()) }
    }

    async fn up(&mut self, life: &Life, project: usize) {
        if life.handle(project).is_none() {
            // Images that were left behind are taken as they are.
            self.owed[project] = [0; 2];
            let memory = Memory { selected: Some(BTreeSet::new()), ..Memory::default() };
            self.launch(life, project, memory).await;
        }
        if let Some(handle) = life.handle(project) {
            handle.ask(|reply| Request::Up { services: Vec::new(), build: false, reply }).await;
        }
        self.stopped.retain(|(of, _)| *of != project);
    }

    fn asked(&mut self, project: usize, service: usize, verb: Verb) {
        match verb {
            Verb::Stop => _ = self.stopped.insert((project, service)),
            // With what it needs.
            Verb::Start | Verb::Restart | Verb::Rebuild => {
                self.stopped.retain(|(of, it)| *of != project || (*it != service && *it != 1));
            }
        }
    }

    async fn down(&mut self, life: &Life, project: usize) -> Result<(), Broken> {
        let Some(handle) = life.handle(project) else { return Ok(()) };
        let also = Also { volumes: true, images: false };
        let answer = handle.ask(|reply| Request::Down { also, reply });
        // While the engine is away it does not end.
        let answer = tokio::time::timeout(Duration::from_secs(300), answer).await;
        if let Ok(Some(Ok(_))) = answer {
            self.stopped.retain(|(of, _)| *of != project);
            let left = self.fake.containers().into_iter().filter(|name| name.starts_with(PROJECTS[project]));
            let left: Vec<String> = left.collect();
            if !left.is_empty() {
                return broken("down leaves nothing", format!("{left:?}"));
            }
        } else if answer.is_err() && !self.engine_gone && !self.weather.lock().unwrap().deaf {
            return broken("down ends", PROJECTS[project]);
        }
        Ok(())
    }

    fn be_kind(&mut self) {
        *self.weather.lock().unwrap() = Weather::default();
        for (project, services) in SERVICES.iter().enumerate() {
            for service in 0..services.len() {
                self.fake.dies(&container(project, service), None);
            }
        }
        self.engine_gone = false;
        self.fake.set_gone(false);
    }

    async fn bring_up(&mut self, life: &Life) {
        for project in 0..PROJECTS.len() {
            if life.handle(project).is_some() {
                self.up(life, project).await;
            }
        }
    }

    async fn comes_to_rest(&mut self, life: &Life) -> Result<(), Broken> {
        let until = Instant::now() + PATIENCE;
        loop {
            let handles: Vec<(usize, Handle)> = life
                .handles
                .lock()
                .unwrap()
                .iter()
                .map(|(project, handle)| (*project, handle.clone()))
                .collect();
            let mut restless = None;
            for (project, handle) in handles.iter().filter(|(_, handle)| handle.is_alive()) {
                handle.ask(|reply| Request::Flush { reply }).await;
                let status = handle.status();
                let tested = tests(&status, *project).is_some_and(|(run, state, current)| {
                    run.is_none_or(|_| !matches!(state, TestsState::Running | TestsState::Queued))
                        && (current || state == TestsState::Cancelled)
                });
                if !status.settled || !tested {
                    restless = Some(status);
                }
            }
            let Some(status) = restless else { return Ok(()) };
            if Instant::now() > until {
                return broken("it comes to rest", format!("{status:#?}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Life {
    /// A project's loop, if it runs.
    fn handle(&self, project: usize) -> Option<Handle> {
        self.handles.lock().unwrap().get(&project).filter(|handle| handle.is_alive()).cloned()
    }

    /// Ends all loops as the registry does.
    async fn close(&self) {
        for project in 0..PROJECTS.len() {
            if let Some(handle) = self.handle(project) {
                handle.ask(|reply| Request::Close { reply }).await;
            }
        }
    }
}

fn container(project: usize, service: usize) -> String {
    format!("{}-{}-1", PROJECTS[project], SERVICES[project][service])
}

/// The run under way or the last one, the state, and whether that is for what is on disk.
fn tests(status: &ProjectStatus, project: usize) -> Option<(Option<RunId>, TestsState, bool)> {
    let main = status.services.iter().find(|service| service.name.as_str() == SERVICES[project][0])?;
    Some((main.tests.run.clone(), main.tests.state, main.tests.current))
}
