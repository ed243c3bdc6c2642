//! Which content of the files each process began with, and each image was built from.
//!
//! Within one life of the daemon every change is told and acted on. What was saved while there was no daemon, or was told
//! and not acted on before it died, shows as a difference between what is on disk and what was written down here. What is
//! written down is never more than what a process has read: it was on disk before the process began.

use super::run::{Loop, Remembrance};
use crate::engine::Engine;
use crate::history::{self, Made};
use crate::watch::{Contents, Part};
use devd_compose::model::OnChange;
use devd_logic::{Change, Container, ContainerState, Event, Op, OpId, Reaction, replica};
use devd_proto::{ServiceName, What};
use std::collections::{BTreeMap, BTreeSet};

/// How contents are written down. What another devd wrote in another way says nothing to this one.
const SCHEME: &str = "1";

/// What people read where a change names its file.
const WHILE_AWAY: &str = "files (while devd was not running)";

/// What is known of where something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It was made from this. Of a process only what it reads counts, of an image only what goes into it.
    Of(Contents),
    /// An operation on it is under way, or was cut off.
    Doubtful,
    /// It has what was on disk when the files were read, if nothing changed since.
    Unread,
}

/// An operation that makes something from files.
#[derive(Debug)]
struct UnderWay {
    service: ServiceName,
    made: Made,
    /// What is on disk at its beginning, as far as it was read.
    contents: Option<Contents>,
    before: Option<Origin>,
    /// The process goes on, and takes up only what it is told of.
    acts: bool,
}

/// What is known of all that a project made.
#[derive(Debug, Default)]
pub(super) struct Origins {
    known: BTreeMap<Made, Origin>,
    under_way: BTreeMap<OpId, UnderWay>,
    /// What was written down in an earlier life, and not compared with what is on disk.
    inherited: BTreeSet<Made>,
    /// An earlier life wrote something down, and this one has not looked at the engine yet.
    resumes: bool,
}

impl Origins {
    /// With what an earlier life wrote down.
    pub(super) fn new(written: history::Origins) -> Self {
        let read = |made: &Made, content: Option<String>| match content {
            Some(text) => of_text(made, &text).map_or(Origin::Unread, Origin::Of),
            None => Origin::Doubtful,
        };
        let known = written.into_iter().map(|(made, content)| (made.clone(), read(&made, content)));
        let known: BTreeMap<Made, Origin> = known.collect();
        let (inherited, resumes) = (known.keys().cloned().collect(), !known.is_empty());
        Self { known, inherited, resumes, ..Self::default() }
    }

    fn is_under_way(&self, made: &Made) -> bool {
        self.under_way.values().any(|it| it.made == *made)
    }
}

impl<E: Engine> Loop<E> {
    /// An operation begins.
    pub(super) fn origin_begins(&mut self, id: OpId, op: &Op) {
        let (made, service) = match op {
            Op::Start(name, container) | Op::Restart(name, container) | Op::Act(name, container) => {
                (Made::Process(container.clone()), replica::service(name))
            }
            Op::Build(name) => (Made::Image(name.clone()), name.clone()),
            _ => return,
        };
        let contents = self.on_disk(&service);
        if let Op::Start(..) = op {
            // Nothing runs there: whatever runs there later has begun after this, whatever is heard of it.
            return match contents {
                Some(contents) => self.set_origin(made, Origin::Of(contents)),
                None => {
                    self.set_origin(made.clone(), Origin::Doubtful);
                    self.origins.known.insert(made, Origin::Unread);
                }
            };
        }
        let before = self.origins.known.get(&made).copied();
        let acts = matches!(op, Op::Act(..));
        self.origins.under_way.insert(id, UnderWay { service, made: made.clone(), contents, before, acts });
        self.set_origin(made, Origin::Doubtful);
    }

    /// An operation ended.
    pub(super) fn origin_ends(&mut self, id: OpId, done: bool) {
        let Some(UnderWay { made, contents, before, acts, .. }) = self.origins.under_way.remove(&id) else {
            return;
        };
        if !done {
            return;
        }
        let now = match (contents, before) {
            (None, _) => Origin::Unread,
            (Some(now), Some(Origin::Of(before))) if acts => {
                Origin::Of(Contents { process: before.process, ..now })
            }
            (Some(_), before) if acts => before.unwrap_or(Origin::Unread),
            (Some(now), _) => Origin::Of(now),
        };
        if let Made::Image(base) = &made {
            // They are built anew as well, and must be should this life end before.
            let services = self.state.desired().services.iter();
            let others = services.filter(|(_, service)| service.bases.contains(base));
            for other in others.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
                self.set_origin(Made::Image(other), Origin::Doubtful);
            }
        }
        self.set_origin(made, now);
    }

    /// The engine was looked at.
    pub(super) fn origins_seen(&mut self) {
        let there: BTreeSet<&String> = self.look.observed.containers.iter().map(|it| &it.id).collect();
        let gone = self.origins.known.keys().filter(|made| match made {
            Made::Process(container) => !there.contains(container),
            Made::Image(_) => false,
        });
        for made in gone.cloned().collect::<Vec<_>>() {
            self.origins.known.remove(&made);
            // Fails only when the runtime is going down, and then nothing changes any more; so below.
            let _ = self.registration.send(Remembrance::Unmade(made));
        }
        if std::mem::take(&mut self.origins.resumes) {
            // The daemon that started it died before it could write that down.
            let own = self.look.observed.containers.iter().filter(|it| runs(it) && it.definition.is_some());
            for made in own.map(|it| Made::Process(it.id.clone())) {
                if !self.origins.known.contains_key(&made) {
                    self.origins.known.insert(made.clone(), Origin::Doubtful);
                    self.origins.inherited.insert(made);
                }
            }
        }
        // What does not run will begin with what is on disk then. Until that is watched, the start of an earlier life may
        // still be under way in the engine, and be followed by a save that nobody tells of.
        let dead = self.look.observed.containers.iter().filter(|it| !runs(it));
        let dead = dead.filter(|it| self.on_disk(&replica::service(&it.service)).is_some());
        for made in dead.map(|it| Made::Process(it.id.clone())).collect::<Vec<_>>() {
            self.origins.inherited.remove(&made);
        }
        self.compare_origins();
    }

    /// Every file was read. Under other rules than before the same files sum up to something else.
    pub(super) fn origins_summed(&mut self) {
        self.compare_origins();
        let under_way = self.origins.under_way.iter().map(|(id, it)| (*id, it.service.clone()));
        for (id, service) in under_way.collect::<Vec<_>>() {
            if !self.state.is_behind(&service)
                && let contents @ Some(_) = self.on_disk(&service)
                && let Some(it) = self.origins.under_way.get_mut(&id)
            {
                it.contents = contents;
            }
        }
        for (service, made) in self.alive() {
            if let Some(Origin::Of(_)) = self.origins.known.get(&made) {
                self.write_origin(&service, made);
            }
        }
    }

    /// Finds out which services do not run, or are not built from, what is on disk, as soon as that can be known; and
    /// writes down what there is no word of yet.
    pub(super) fn compare_origins(&mut self) {
        let alive = self.alive();
        let mut differ: BTreeMap<ServiceName, Part> = BTreeMap::new();
        for (service, made) in &alive {
            let origin = *self.origins.known.entry(made.clone()).or_insert(Origin::Unread);
            if self.blueprint.service(service).is_none() {
                // Should it come back, it was not watched meanwhile.
                self.origins.inherited.insert(made.clone());
            } else if let Some(contents) = self.on_disk(service)
                && self.origins.inherited.remove(made)
                && let Some(part) = differs(made, origin, contents)
            {
                let strongest = differ.entry(service.clone()).or_insert(part);
                *strongest = part.max(*strongest);
            }
        }
        for (service, part) in differ {
            self.make_up_for(service, part);
        }
        for (service, made) in alive {
            if let Some(Origin::Unread | Origin::Doubtful) = self.origins.known.get(&made) {
                self.write_origin(&service, made);
            }
        }
    }

    /// What was made from files, and is of use now.
    fn alive(&self) -> Vec<(ServiceName, Made)> {
        let processes = self.look.observed.containers.iter().filter(|it| runs(it));
        let processes = processes.map(|it| (replica::service(&it.service), Made::Process(it.id.clone())));
        let built = self
            .state
            .desired()
            .services
            .iter()
            .filter(|(_, it)| it.build.is_some() && self.look.observed.images.contains_key(&it.image));
        processes.chain(built.map(|(name, _)| (name.clone(), Made::Image(name.clone())))).collect()
    }

    /// Writes down that something is as it is on disk, if so, or that it may not be.
    fn write_origin(&mut self, service: &ServiceName, made: Made) {
        if self.origins.is_under_way(&made) || self.origins.inherited.contains(&made) {
            return;
        }
        if self.state.is_behind(service) {
            // This life knows what to do, and should it end before, the next one has to.
            if self.origins.known.get(&made) == Some(&Origin::Unread) {
                self.set_origin(made, Origin::Doubtful);
            }
        } else if let Some(contents) = self.on_disk(service) {
            self.set_origin(made, Origin::Of(contents));
        }
    }

    fn on_disk(&self, service: &ServiceName) -> Option<Contents> {
        self.surroundings.watcher.contents(&self.blueprint.name, service)
    }

    /// Has a service do what it would have done, had anybody told it.
    fn make_up_for(&mut self, service: ServiceName, part: Part) {
        let on_change = self.blueprint.service(&service).and_then(|it| it.x_devd.on_change.as_ref());
        let (reaction, action) = match (part, on_change) {
            (Part::Image, _) => (Reaction::Rebuild, "rebuild"),
            (Part::Process, _) => (Reaction::Restart, "restart"),
            (Part::Acted, Some(OnChange::Signal(_))) => (Reaction::Act, "signal"),
            (Part::Acted, Some(OnChange::Exec(_))) => (Reaction::Act, "exec"),
            (Part::Acted, _) => (Reaction::Act, "sync"),
        };
        if part != Part::Image {
            self.pending.note_all(&self.blueprint, &service);
        }
        let path = WHILE_AWAY.to_owned();
        let what =
            What::Changed { service: service.clone(), paths: vec![path.clone()], action: action.to_owned() };
        self.surroundings.hub.tell(&self.blueprint.name, what);
        // Its tests go by their verdicts.
        let (tests, pushed, more, files) = (false, false, false, 1);
        self.step(Event::Changed(Change { service, path, files, reaction, action, tests, pushed, more }));
    }

    fn set_origin(&mut self, made: Made, origin: Origin) {
        let origin = match (&made, origin) {
            // Only what it reads, so that the same is known to be the same.
            (Made::Process(_), Origin::Of(of)) => Origin::Of(Contents { image: 0, ..of }),
            (Made::Image(_), Origin::Of(of)) => {
                Origin::Of(Contents { image: of.image, ..Contents::default() })
            }
            (_, other) => other,
        };
        let content = match (&made, origin) {
            (Made::Process(_), Origin::Of(Contents { acted, process, .. })) => {
                Some(format!("{SCHEME} {acted:032x} {process:032x}"))
            }
            (Made::Image(_), Origin::Of(Contents { image, .. })) => Some(format!("{SCHEME} {image:032x}")),
            (_, Origin::Doubtful) => None,
            (_, Origin::Unread) => {
                self.origins.inherited.remove(&made);
                self.origins.known.insert(made, origin);
                return;
            }
        };
        self.origins.inherited.remove(&made);
        if self.origins.known.insert(made.clone(), origin) != Some(origin) {
            let _ = self.registration.send(Remembrance::Made(made, content));
        }
    }
}

fn runs(container: &Container) -> bool {
    match container.state {
        ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => true,
        ContainerState::Created | ContainerState::Exited(_) | ContainerState::Removing => false,
    }
}

/// What of a service has to be made anew, when its files hold this.
fn differs(made: &Made, origin: Origin, now: Contents) -> Option<Part> {
    let of = match origin {
        Origin::Of(contents) => Some(contents),
        Origin::Doubtful => None,
        Origin::Unread => return None,
    };
    let other = |part: fn(&Contents) -> u128| match &of {
        Some(of) => part(of) != part(&now),
        // What has no files cannot lack any.
        None => part(&now) != 0,
    };
    match made {
        Made::Image(_) => other(|it| it.image).then_some(Part::Image),
        Made::Process(_) if other(|it| it.process) => Some(Part::Process),
        Made::Process(_) => other(|it| it.acted).then_some(Part::Acted),
    }
}

fn of_text(made: &Made, text: &str) -> Option<Contents> {
    let numbers = text.strip_prefix(SCHEME)?.strip_prefix(' ')?.split(' ');
    let numbers =
        numbers.map(|number| u128::from_str_radix(number, 16)).collect::<Result<Vec<_>, _>>().ok()?;
    match (made, &numbers[..]) {
        (Made::Process(_), [acted, process]) => {
            Some(Contents { acted: *acted, process: *process, ..Contents::default() })
        }
        (Made::Image(_), [image]) => Some(Contents { image: *image, ..Contents::default() }),
        (Made::Process(_) | Made::Image(_), _) => None,
    }
}
