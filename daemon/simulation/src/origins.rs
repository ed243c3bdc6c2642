//! What each process and each image was made from, as far as devd has written it down: the world's own copy of what the
//! daemon does around the logic.

use crate::due::Due;
use crate::files::PROJECTS;
use crate::project::Project;
use crate::world::{World, ms};
use devd_logic::{Change, ContainerState, Event, Observed, Op, OpId, Reaction, replica};
use devd_proto::ServiceName;
use std::collections::{BTreeMap, BTreeSet};

/// How long it takes until something is on disk.
pub(crate) const WRITING: u32 = 3;

/// Something that was made from files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Made {
    /// What runs in a container.
    Process(String),
    /// The image that a service builds.
    Image(ServiceName),
}

/// The last saves of a service that each part of it has to take up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saves {
    acted: u32,
    process: u32,
    image: u32,
}

/// Where something comes from, as devd knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was made from this.
    Of(Saves),
    /// An operation on it is under way, or was cut off.
    Doubtful,
    /// It has what was on disk when the files were read, if nothing changed since.
    Unread,
}

#[derive(Debug)]
struct UnderWay {
    made: Made,
    saves: Option<Saves>,
    before: Option<Origin>,
    acts: bool,
}

/// What one life of devd knows.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    pub(crate) known: BTreeMap<Made, Origin>,
    under_way: BTreeMap<OpId, UnderWay>,
    /// What was written down in an earlier life, and not compared with what is on disk.
    inherited: BTreeSet<Made>,
    looked: bool,
    /// What is made from files and of use, with its service, as the last look showed it.
    alive: Vec<(ServiceName, Made)>,
}

impl Origins {
    /// With what an earlier life wrote down.
    pub(crate) fn new(written: &BTreeMap<Made, Origin>) -> Self {
        let inherited = written.keys().cloned().collect();
        Self { known: written.clone(), inherited, ..Self::default() }
    }

    fn is_under_way(&self, made: &Made) -> bool {
        self.under_way.values().any(|it| it.made == *made)
    }
}

impl Saves {
    pub(crate) fn note(&mut self, reaction: Reaction, content: u32) {
        match reaction {
            Reaction::None => {}
            Reaction::Act => self.acted = content,
            Reaction::Restart => self.process = content,
            Reaction::Rebuild => self.image = content,
        }
    }

    /// What a process or an image takes up.
    fn of(self, made: &Made) -> Self {
        match made {
            Made::Process(_) => Self { image: 0, ..self },
            Made::Image(_) => Self { image: self.image, ..Self::default() },
        }
    }
}

impl Project {
    /// What the watcher has read of a service's files.
    fn summed(&self, service: &ServiceName) -> Option<Saves> {
        let known = self.life.as_ref().is_some_and(|life| life.has_read(service));
        known.then(|| self.indexed.get(service).copied().unwrap_or_default())
    }
}

impl World {
    /// An operation begins.
    pub(crate) fn origin_begins(&mut self, project: usize, id: OpId, op: &Op) {
        let (made, service) = match op {
            Op::Start(name, container) | Op::Restart(name, container) | Op::Act(name, container) => {
                (Made::Process(container.clone()), replica::service(name))
            }
            Op::Build(name) => (Made::Image(name.clone()), name.clone()),
            _ => return,
        };
        let saves = self.projects[project].summed(&service);
        if let Op::Start(..) = op {
            let origin = saves.map_or(Origin::Doubtful, Origin::Of);
            self.set_origin(project, made.clone(), origin);
            if saves.is_none() {
                self.set_origin(project, made, Origin::Unread);
            }
            return;
        }
        let Some(life) = &mut self.projects[project].life else { return };
        let before = life.origins.known.get(&made).copied();
        let acts = matches!(op, Op::Act(..));
        let under_way = UnderWay { made: made.clone(), saves, before, acts };
        life.origins.under_way.insert(id, under_way);
        self.set_origin(project, made, Origin::Doubtful);
    }

    /// An operation ended.
    pub(crate) fn origin_ends(&mut self, project: usize, id: OpId, done: bool) {
        let Some(life) = &mut self.projects[project].life else { return };
        let Some(UnderWay { made, saves, before, acts }) = life.origins.under_way.remove(&id) else {
            return;
        };
        if !done {
            return;
        }
        let now = match (saves, before) {
            (None, _) => Origin::Unread,
            (Some(now), Some(Origin::Of(before))) if acts => {
                Origin::Of(Saves { process: before.process, ..now })
            }
            (Some(_), before) if acts => before.unwrap_or(Origin::Unread),
            (Some(now), _) => Origin::Of(now),
        };
        self.set_origin(project, made, now);
    }

    /// The engine's answer has come.
    pub(crate) fn origins_seen(&mut self, project: usize, observed: &Observed) {
        let Some(life) = &mut self.projects[project].life else { return };
        let mut doubted = Vec::new();
        let (alive, dead): (Vec<_>, Vec<_>) = observed.containers.iter().partition(|it| {
            matches!(it.state, ContainerState::Running | ContainerState::Paused | ContainerState::Restarting)
        });
        // The start of what has no row was cut off before there was one, if there are rows at all.
        let first = !std::mem::replace(&mut life.origins.looked, true);
        for it in alive.iter().filter(|_| first && !life.origins.known.is_empty()) {
            let made = Made::Process(it.id.clone());
            if !life.origins.known.contains_key(&made) {
                doubted.push(made);
            }
        }
        for made in doubted {
            life.origins.known.insert(made.clone(), Origin::Doubtful);
            life.origins.inherited.insert(made);
        }
        let (known, unwatched) = (life.files_known, &life.unwatched);
        for it in dead.into_iter().filter(|it| known && !unwatched.contains(&replica::service(&it.service))) {
            life.origins.inherited.remove(&Made::Process(it.id.clone()));
        }
        let alive = alive.into_iter().map(|it| (replica::service(&it.service), Made::Process(it.id.clone())));
        let services = life.desired.services.iter();
        let built = services.filter(|(_, it)| it.build.is_some() && observed.images.contains_key(&it.image));
        let built = built.map(|(name, _)| (name.clone(), Made::Image(name.clone())));
        life.origins.alive = alive.chain(built).collect();
        self.compare_origins(project);
    }

    /// Every file was read.
    pub(crate) fn origins_summed(&mut self, project: usize) {
        // What was not watched before was read just now.
        let it = &mut self.projects[project];
        it.indexed.clone_from(&it.own);
        self.compare_origins(project);
    }

    /// Finds out which services do not run what is on disk, once in each life.
    pub(crate) fn compare_origins(&mut self, project: usize) {
        let it = &mut self.projects[project];
        let Some(life) = &mut it.life else { return };
        let origins = &mut life.origins;
        let services: BTreeSet<ServiceName> = life.desired.services.keys().map(replica::service).collect();
        let mut differ: BTreeMap<ServiceName, Reaction> = BTreeMap::new();
        for (service, made) in &origins.alive {
            let origin = *origins.known.entry(made.clone()).or_insert(Origin::Unread);
            if !services.contains(service) {
                origins.inherited.insert(made.clone());
                continue;
            }
            if !life.files_known || life.unwatched.contains(service) || !origins.inherited.remove(made) {
                continue;
            }
            let now = it.indexed.get(service).copied().unwrap_or_default().of(made);
            let lacks = match origin {
                Origin::Unread => continue,
                Origin::Doubtful => now,
                Origin::Of(of) => Saves {
                    acted: u32::from(of.acted != now.acted),
                    process: u32::from(of.process != now.process),
                    image: u32::from(of.image != now.image),
                },
            };
            let reaction = match lacks {
                Saves { image: 1.., .. } => Reaction::Rebuild,
                Saves { process: 1.., .. } => Reaction::Restart,
                Saves { acted: 1.., .. } => Reaction::Act,
                Saves { .. } => continue,
            };
            let strongest = differ.entry(service.clone()).or_default();
            *strongest = reaction.max(*strongest);
        }
        let alive = origins.alive.clone();
        for (service, reaction) in differ {
            // It may have crashed on the one before.
            if self.projects[project].life.is_some() {
                self.make_up_for(project, service, reaction);
            }
        }
        for (service, made) in alive {
            let Some(life) = &self.projects[project].life else { return };
            let origins = &life.origins;
            let unread = match origins.known.get(&made) {
                Some(Origin::Unread) => true,
                Some(Origin::Doubtful) => false,
                Some(Origin::Of(_)) | None => continue,
            };
            if origins.is_under_way(&made) || origins.inherited.contains(&made) {
                continue;
            }
            if self.is_behind(project, &service) {
                if unread {
                    self.set_origin(project, made, Origin::Doubtful);
                }
            } else if let Some(saves) = self.projects[project].summed(&service) {
                self.set_origin(project, made, Origin::Of(saves));
            }
        }
    }

    /// Whether devd was told, or is about to be told, of saves that it has not acted on.
    fn is_behind(&self, project: usize, service: &ServiceName) -> bool {
        let life = self.projects[project].life.as_ref();
        life.is_some_and(|life| life.state.is_behind(service)) || self.is_to_hear(project, service)
    }

    /// Whether devd is about to be told of saves.
    pub(crate) fn is_to_hear(&self, project: usize, service: &ServiceName) -> bool {
        let told = |due: &Due| {
            matches!(due, Due::Tell(of, Event::Changed(change), _)
            if *of == project && change.service == *service)
        };
        self.projects[project].unseen.iter().any(|(change, _)| change.service == *service)
            || self.queue.values().chain(&self.waiting).any(told)
    }

    fn make_up_for(&mut self, project: usize, service: ServiceName, reaction: Reaction) {
        self.say(|| format!("{} of {} is not what is on disk", service, PROJECTS[project]));
        let it = &mut self.projects[project];
        let boxes = &self.engine.stacks[project].boxes;
        let code = it.code.get(&service).copied().unwrap_or_default();
        let image = it.image.get(&service).copied().unwrap_or_default();
        let boxes = boxes.iter().filter(|it| replica::service(&it.name) == service);
        let boxes: Vec<_> = boxes.filter(|it| it.state == ContainerState::Running).collect();
        let built = it.desired.services.get(&service).and_then(|it| self.engine.images.get(&it.image));
        // What is gone by now cannot be disturbed.
        let lacks = boxes.is_empty()
            || boxes.iter().any(|it| it.content < code)
            || built.is_some_and(|built| built.content < image);
        if !lacks && !it.doubtful.contains(&service) {
            return self.breaks("nothing that runs is disturbed without a cause", || {
                format!("{service} is said to lack something")
            });
        }
        it.doubtful.remove(&service);
        let (path, content) = (format!("{service}, while devd was not running"), it.content(&service));
        let (action, tests, pushed, more, files) = ("as asked", false, false, false, 1);
        let change = Change { service, path, files, reaction, action, tests, pushed, more };
        self.tell(project, Event::Changed(change), content);
    }

    fn set_origin(&mut self, project: usize, made: Made, origin: Origin) {
        let origin = match origin {
            Origin::Of(saves) => Origin::Of(saves.of(&made)),
            other => other,
        };
        let Some(life) = &mut self.projects[project].life else { return };
        life.origins.inherited.remove(&made);
        let before = life.origins.known.insert(made.clone(), origin);
        if before != Some(origin) && origin != Origin::Unread {
            self.later(ms(WRITING), Due::Noted(project, made, origin));
        }
    }

    /// devd is about to die: of these services nobody will know for sure what they run.
    pub(crate) fn doubt(&mut self, project: usize) {
        let mut doubtful: BTreeSet<ServiceName> = BTreeSet::new();
        let boxes = &self.engine.stacks[project].boxes;
        let service_of = |made: &Made| match made {
            Made::Image(service) => Some(service.clone()),
            Made::Process(id) => boxes.iter().find(|it| it.id == *id).map(|it| replica::service(&it.name)),
        };
        for due in self.queue.values().chain(&self.waiting) {
            if let Due::Noted(of, made, _) = due
                && *of == project
            {
                doubtful.extend(service_of(made));
            }
        }
        let it = &self.projects[project];
        for flight in it.ledger.flying.values() {
            if let Op::Start(name, _) = &flight.op {
                doubtful.insert(replica::service(name));
            }
        }
        let Some(life) = &it.life else { return };
        doubtful.extend(life.wished.iter().cloned());
        let unsure = life.origins.known.iter().filter(|(_, origin)| !matches!(origin, Origin::Of(_)));
        doubtful.extend(unsure.filter_map(|(made, _)| service_of(made)));
        let services: BTreeSet<ServiceName> = life.desired.services.keys().map(replica::service).collect();
        let behind = services.into_iter().filter(|service| self.is_behind(project, service));
        doubtful.extend(behind.collect::<Vec<_>>());
        self.projects[project].doubtful.extend(doubtful);
    }
}
