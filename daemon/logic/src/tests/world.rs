//! A world in memory that carries out effects as an engine would: later, and not always.
//!
//! A look shows the moment at which it was taken and arrives afterwards; an operation works at some moment between its
//! begin and its end; containers die when they are told to. The world checks what must never happen as it goes.

mod check;
mod hands;

use crate::*;
use devd_proto::{RunId, ServiceName};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the world does with the operations that come, in turn; then all goes well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Luck {
    Well,
    /// Nothing is done, and that is said.
    Refused,
    /// It is done, and reported as refused.
    DoneButRefused,
    /// Nothing is known.
    Unreachable,
}

#[derive(Clone, Debug)]
struct Box_ {
    id: String,
    service: ServiceName,
    definition: String,
    /// Compose made it.
    foreign: bool,
    image: String,
    state: ContainerState,
    start: u32,
    /// The content of the disk that its process runs.
    content: u32,
    healthy_at: Option<Moment>,
    shares: BTreeSet<String>,
}

#[derive(Debug)]
enum Due {
    Works(Op),
    Ends(OpId, Result<(), OpError>),
    Answer(Box<Observed>),
    NoAnswer,
    Probed(ServiceName, String, bool),
    RunBegins(RunId),
    RunEnds(RunId),
}

pub(super) struct World {
    limits: Limits,
    pub(super) state: State,
    pub(super) now: Moment,
    pub(super) log: Vec<String>,
    queue: BTreeMap<(Moment, u32), Due>,
    sequence: u32,
    boxes: Vec<Box_>,
    networks: BTreeSet<String>,
    images: BTreeMap<String, String>,
    environments: BTreeSet<EnvironmentId>,
    runs: BTreeMap<RunId, (ServiceName, u32, bool)>,
    /// git is switching branches.
    pub(super) more: bool,
    /// The content of each service's files.
    disk: BTreeMap<ServiceName, u32>,
    /// The content that each service was last told to react to.
    code: BTreeMap<ServiceName, u32>,
    /// The content each image was built from.
    built: BTreeMap<String, u32>,
    /// The content that was last tested to the end.
    tested: BTreeMap<ServiceName, u32>,
    health_checks: BTreeSet<ServiceName>,
    /// What devd's own probes say.
    pub(super) probes_say: bool,
    dies: BTreeMap<ServiceName, i64>,
    pub(super) luck: VecDeque<Luck>,
    /// How long things take, in turn; then `LATENCY`.
    pub(super) delays: VecDeque<u64>,
    pub(super) engine_gone: bool,
    counter: u32,
    gone: bool,
}

const LATENCY: u64 = 20;
const RUN: u64 = 400;

pub(super) fn name(text: &str) -> ServiceName {
    ServiceName::from(text)
}

pub(super) fn ms(n: u64) -> Moment {
    Moment::from_millis(n)
}

/// `db`, `api` that needs db to be healthy, and `web` that needs api to be started; api and web are built and have tests.
pub(super) fn shop() -> Desired {
    let service = |text: &str, build: bool, needs: Vec<(&str, Condition)>| {
        let needs = needs.into_iter();
        Service {
            definition: format!("{text}-v1"),
            config_hash: format!("{text}-hash"),
            image: format!("shop-{text}"),
            build: build.then(|| "build-v1".to_owned()),
            bases: BTreeSet::new(),
            pull: Pull::Missing,
            needs: needs
                .map(|(service, condition)| Need { service: name(service), condition, required: true })
                .collect(),
            shares: BTreeSet::new(),
            replica_of: None,
            absent: false,
        }
    };
    Desired {
        services: BTreeMap::from([
            (name("api"), service("api", true, vec![("db", Condition::Healthy)])),
            (name("db"), service("db", false, vec![])),
            (name("web"), service("web", true, vec![("api", Condition::Started)])),
        ]),
        suites: BTreeMap::from([
            (name("api"), Suite { definition: "v1".to_owned(), on_change: true }),
            (name("web"), Suite { definition: "v1".to_owned(), on_change: true }),
        ]),
        networks: BTreeSet::from(["shop_default".to_owned()]),
        volumes: BTreeSet::new(),
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(super) fn with_limits(limits: Limits) -> Self {
        let mut world = Self {
            limits,
            state: State::new("shop".into(), limits, Memory::default(), 1),
            now: ms(0),
            log: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            boxes: Vec::new(),
            networks: BTreeSet::new(),
            images: BTreeMap::new(),
            environments: BTreeSet::new(),
            runs: BTreeMap::new(),
            more: false,
            disk: BTreeMap::new(),
            code: BTreeMap::new(),
            built: BTreeMap::new(),
            tested: BTreeMap::new(),
            health_checks: BTreeSet::from([name("db")]),
            probes_say: true,
            dies: BTreeMap::new(),
            luck: VecDeque::new(),
            delays: VecDeque::new(),
            engine_gone: false,
            counter: 0,
            gone: false,
        };
        world.tell(Event::Loaded(Box::new(shop())));
        for suite in ["api", "web"] {
            world.tell(Event::Baseline { service: name(suite), verdict: None });
        }
        world
    }

    fn say(&mut self, line: String) {
        self.log.push(format!("{:>5}ms {line}", self.now.as_millis()));
    }

    fn delay(&mut self, usual: u64) -> Moment {
        ms(self.delays.pop_front().unwrap_or(usual))
    }

    fn later(&mut self, after: Moment, due: Due) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), due);
    }

    /// Gives an event to the logic and begins what it wishes for.
    pub(super) fn tell(&mut self, event: Event) {
        let effects = self.state.step(self.now, event);
        for effect in effects {
            self.carry_out(effect);
        }
        let again = self.state.step(self.now, Event::Tick);
        assert!(again.is_empty(), "planning twice planned something new: {again:?}\n{}", self.log.join("\n"));
        self.check_always();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Look => {
                let answer =
                    if self.engine_gone { Due::NoAnswer } else { Due::Answer(Box::new(self.look())) };
                let delay = self.delay(5);
                self.later(delay, answer);
            }
            Effect::Op { id, op, cause } => {
                self.say(format!("{op}  # {cause}"));
                let subject = op.subject();
                let open = self
                    .queue
                    .values()
                    .filter(|due| matches!(due, Due::Works(other) if other.subject() == subject));
                assert_eq!(open.count(), 0, "two operations on {subject:?}\n{}", self.log.join("\n"));
                let (half, rest) = (self.delay(LATENCY), self.delay(1));
                let luck = if self.engine_gone {
                    Luck::Unreachable
                } else {
                    self.luck.pop_front().unwrap_or(Luck::Well)
                };
                let refused = || Err(OpError::Refused("refused".to_owned()));
                match luck {
                    Luck::Well => {
                        self.later(half, Due::Works(op));
                        self.later(half + rest, Due::Ends(id, Ok(())));
                    }
                    Luck::DoneButRefused => {
                        self.later(half, Due::Works(op));
                        self.later(half + rest, Due::Ends(id, refused()));
                    }
                    Luck::Refused => self.later(half, Due::Ends(id, refused())),
                    Luck::Unreachable => self.later(half, Due::Ends(id, Err(OpError::Unreachable))),
                }
            }
            Effect::Probe { service, started } => {
                let delay = self.delay(LATENCY);
                self.later(delay, Due::Probed(service, started, self.probes_say));
            }
            Effect::StartRun { run, service, cause, args: _, event: _ } => {
                let cause = match cause {
                    RunCause::Untested => "not tested yet".to_owned(),
                    RunCause::Changed(path) => format!("{path} changed"),
                    RunCause::Redefined => "it is defined otherwise".to_owned(),
                    RunCause::Requested => "requested".to_owned(),
                    RunCause::Repeated => "the last one was lost".to_owned(),
                };
                self.say(format!("run {service} as {run}  # {cause}"));
                let twin = self.runs.values().find(|(other, ..)| *other == service);
                assert!(twin.is_none(), "two runs of {service}\n{}", self.log.join("\n"));
                let content = self.disk.get(&service).copied().unwrap_or(0);
                self.runs.insert(run.clone(), (service, content, false));
                self.later(ms(0), Due::RunBegins(run.clone()));
                let delay = self.delay(RUN);
                self.later(delay, Due::RunEnds(run));
            }
            Effect::CancelRun { run } => {
                self.say(format!("cancel {run}"));
                if let Some((_, _, cancelled)) = self.runs.get_mut(&run) {
                    *cancelled = true;
                    let delay = self.delay(LATENCY);
                    self.later(delay, Due::RunEnds(run));
                }
            }
            Effect::Remember(memory) => {
                let stopped: Vec<&str> = memory.stopped.iter().map(ServiceName::as_str).collect();
                self.say(format!("remember stopped: {stopped:?}"));
            }
            Effect::Gone { problems } => {
                self.gone = true;
                self.say(format!("gone {problems:?}"));
            }
        }
    }

    pub(super) fn look(&self) -> Observed {
        let container = |it: &Box_| Container {
            lost_network: None,
            id: it.id.clone(),
            name: format!("shop-{}-{}", replica::service(&it.service), replica::parse(&it.service).1),
            service: replica::service(&it.service),
            definition: (!it.foreign).then(|| it.definition.clone()),
            config_hash: Some(it.definition.replace("-v1", "-hash")),
            image: it.image.clone(),
            state: it.state,
            health: match (it.state, it.healthy_at) {
                (ContainerState::Running, Some(at)) if at <= self.now => Health::Healthy,
                (ContainerState::Running, Some(_)) => Health::Starting,
                _ => Health::None,
            },
            started: format!("{}.{}", it.id, it.start),
            shares: it.shares.clone(),
            number: replica::parse(&it.service).1,
        };
        Observed {
            containers: self.boxes.iter().map(container).collect(),
            networks: self.networks.clone(),
            volumes: BTreeSet::new(),
            images: self.images.clone(),
            environments: self.environments.clone(),
        }
    }

    fn content(&self, service: &ServiceName) -> u32 {
        self.disk.get(&replica::service(service)).copied().unwrap_or(0)
    }

    fn start(&mut self, id: &str) {
        let now = self.now;
        let Some(at) = self.boxes.iter().position(|it| it.id == id) else { return };
        let service = self.boxes[at].service.clone();
        let content = self.content(&service);
        let healthy_at = self.health_checks.contains(&replica::service(&service)).then(|| now + ms(5000));
        let dies = self.dies.get(&service).copied();
        let it = &mut self.boxes[at];
        it.start += 1;
        it.content = content;
        it.healthy_at = healthy_at;
        it.state = dies.map_or(ContainerState::Running, ContainerState::Exited);
    }

    fn work(&mut self, op: &Op) {
        match op {
            Op::CreateNetwork(network) => {
                self.networks.insert(network.clone());
            }
            Op::Build(service) | Op::Pull(service) => {
                let reference = self.state.desired().services[service].image.clone();
                self.counter += 1;
                self.built.insert(reference.clone(), self.content(service));
                self.images.insert(reference, format!("sha256:{}", self.counter));
            }
            Op::Create(service) => {
                if self.boxes.iter().any(|it| it.service == *service) {
                    return;
                }
                let services = &self.state.desired().services;
                // It may be one too many by now.
                let wanted = services.get(service).unwrap_or(&services[&replica::service(service)]).clone();
                self.counter += 1;
                let of = |other: &ServiceName| self.boxes.iter().find(|it| it.service == *other);
                let shares = wanted.shares.iter().map(|other| match of(other) {
                    Some(it) => it.id.clone(),
                    None => panic!("made {service} before {other}\n{}", self.log.join("\n")),
                });
                let shares = shares.collect();
                self.boxes.push(Box_ {
                    id: format!("c{}", self.counter),
                    service: service.clone(),
                    definition: wanted.definition,
                    foreign: false,
                    image: self.images.get(&wanted.image).cloned().unwrap_or_default(),
                    state: ContainerState::Created,
                    start: 0,
                    content: 0,
                    healthy_at: None,
                    shares,
                });
            }
            Op::Start(_, id) => {
                let running = self.boxes.iter().any(|it| it.id == *id && it.state == ContainerState::Running);
                assert!(!running, "started what was running: {id}\n{}", self.log.join("\n"));
                self.start(id);
            }
            Op::Restart(_, id) | Op::Act(_, id) => self.start(id),
            Op::Stop(_, id) => self.set(id, ContainerState::Exited(143)),
            Op::Remove(_, id) => self.boxes.retain(|it| it.id != *id),
            Op::RemoveNetwork(network) => {
                self.networks.remove(network);
            }
            Op::RemoveEnvironment(run) => {
                let live = self.runs.contains_key(&RunId::new(run.as_str()));
                assert!(!live, "removed the environment of a live run {run}");
                self.environments.remove(run);
            }
            Op::CreateVolume(_) | Op::RemoveVolume(_) => {}
        }
    }

    fn set(&mut self, id: &str, state: ContainerState) {
        if let Some(it) = self.boxes.iter_mut().find(|it| it.id == id) {
            it.state = state;
        }
    }

    /// Lets the next thing happen, be it only time. Whether anything did.
    pub(super) fn advance(&mut self, until: Moment) -> bool {
        let queued = self.queue.keys().next().map(|(at, _)| *at);
        let deadline = self.state.next_deadline();
        let next = match (queued, deadline) {
            (Some(a), Some(b)) => a.min(b.max(self.now)),
            (a, b) => match a.or(b) {
                Some(at) => at,
                None => return false,
            },
        };
        if next > until {
            return false;
        }
        self.now = self.now.max(next);
        if queued.is_none_or(|queued| queued > self.now) {
            self.tell(Event::Tick);
            return true;
        }
        let Some((_, due)) = self.queue.pop_first() else { return false };
        match due {
            Due::Works(op) => {
                self.work(&op);
                self.tell(Event::EngineChanged);
            }
            Due::Ends(id, result) => {
                if let Err(error) = &result {
                    self.say(format!("failed: {error:?}"));
                }
                self.tell(Event::OpFinished { id, result });
            }
            Due::Answer(observed) => self.tell(Event::Observed(observed)),
            Due::NoAnswer => self.tell(Event::LookFailed),
            Due::Probed(service, started, healthy) => {
                if healthy
                    && let Some(it) =
                        self.boxes.iter_mut().find(|it| format!("{}.{}", it.id, it.start) == started)
                {
                    it.healthy_at = Some(self.now + ms(30_000));
                }
                self.tell(Event::Probed { service, started, healthy });
            }
            Due::RunBegins(run) => {
                let environment = EnvironmentId::new(run.as_str());
                self.tell(Event::EnvironmentHeld(environment.clone()));
                if self.runs.contains_key(&run) {
                    self.environments.insert(environment);
                }
            }
            Due::RunEnds(run) => {
                let Some((service, content, cancelled)) = self.runs.remove(&run) else { return true };
                self.tell(Event::EnvironmentLeft(EnvironmentId::new(run.as_str())));
                let outcome = if self.engine_gone {
                    Outcome::Lost
                } else if cancelled {
                    Outcome::Cancelled
                } else {
                    self.tested.insert(service, content);
                    Outcome::Passed { took: ms(RUN) }
                };
                let word = match outcome {
                    Outcome::Lost => "lost",
                    Outcome::Cancelled => "cancelled",
                    Outcome::Passed { .. } | Outcome::Failed { .. } | Outcome::Error(_) => "passed",
                };
                self.say(format!("{run} {word}"));
                self.tell(Event::RunEnded { run, outcome });
            }
        }
        true
    }

    /// Lets time go by.
    pub(super) fn wait(&mut self, time: Moment) {
        let until = self.now + time;
        while self.advance(until) {}
        self.now = until;
        self.tell(Event::Tick);
    }

    /// Lets time go by until nothing is left to happen.
    pub(super) fn settle(&mut self) {
        let until = self.now + Moment::from_secs(3600);
        let mut steps = 0;
        while self.advance(until) {
            steps += 1;
            assert!(
                steps < 5000,
                "it never settles\n{}",
                self.log[self.log.len().saturating_sub(60)..].join("\n")
            );
        }
    }
}
