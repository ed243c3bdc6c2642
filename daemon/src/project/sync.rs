//! Files that `develop.watch` wants copied into a container: remembered until it was done.

use crate::blueprint::Blueprint;
use crate::watch::{Action, Change};
use devd_compose::model::{OnChange, Service, WatchAction, WatchExec, WatchRule};
use devd_logic::replica;
use devd_proto::ServiceName;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What one operation on a service has to bring with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Places in the container, each with the file of the host that belongs there.
    pub files: BTreeMap<String, PathBuf>,
    /// The rules of `develop.watch` whose command is to run afterwards.
    exec_rules: BTreeSet<usize>,
    /// The change asked for more than copying: what the service's `on_change` says.
    pub on_change: bool,
    /// Nobody knows which files changed: every one that is copied on a change.
    pub all: bool,
}

/// What is still to be copied, by container, as [`replica`] names them.
#[derive(Debug, Default)]
pub struct Pending {
    waiting: BTreeMap<ServiceName, Load>,
    under_way: BTreeMap<ServiceName, Load>,
    /// By service: what was copied, or was to be, since its image was built: the next container has to be given it too.
    since_build: BTreeMap<ServiceName, BTreeMap<String, PathBuf>>,
}

fn replicas(blueprint: &Blueprint, service: &ServiceName) -> impl Iterator<Item = ServiceName> {
    let count = blueprint.service(service).map_or(1, Service::replicas);
    (1..=count).map(|number| replica::name(service, number))
}

/// Where a rule has a file of the host in the container; none when it is there already, because it is mounted.
fn target(service: &Service, rule: &WatchRule, path: &Path) -> Option<String> {
    let target = rule.target.as_ref()?;
    let target = match path.strip_prefix(&rule.path).ok()?.to_string_lossy() {
        inside if inside.is_empty() => target.clone(),
        inside => format!("{}/{inside}", target.trim_end_matches('/')),
    };
    let mounted = service
        .binds()
        .any(|(source, mount)| path.starts_with(source) && Path::new(&target).starts_with(&mount.target));
    (!mounted).then_some(target)
}

/// Of these files, each with its rule, those that a new container is given at once, with where they belong.
pub fn at_first(service: &Service, files: Vec<(usize, PathBuf)>) -> BTreeMap<String, PathBuf> {
    let wanted = files.into_iter().filter_map(|(index, path)| {
        let rule = rules(service).get(index).filter(|rule| syncs_first(rule))?;
        Some((target(service, rule, &path)?, path))
    });
    wanted.collect()
}

/// Of these files, each with its rule, those that are copied when they change, with where they belong.
pub fn copied(service: &Service, files: Vec<(usize, PathBuf)>) -> BTreeMap<String, PathBuf> {
    let wanted = files.into_iter().filter_map(|(index, path)| {
        let rule = rules(service).get(index).filter(|rule| syncs(rule))?;
        Some((target(service, rule, &path)?, path))
    });
    wanted.collect()
}

/// Whether a rule has files copied before anything changes.
pub fn syncs_first(rule: &WatchRule) -> bool {
    rule.initial_sync && syncs(rule)
}

fn syncs(rule: &WatchRule) -> bool {
    matches!(rule.action, WatchAction::Sync | WatchAction::SyncRestart | WatchAction::SyncExec)
}

fn rules(service: &Service) -> &[WatchRule] {
    service.develop.as_ref().map(|develop| develop.watch.as_slice()).unwrap_or_default()
}

impl Load {
    /// The commands to run after the files are there.
    pub fn commands<'a>(
        &'a self,
        blueprint: &'a Blueprint,
        service: &ServiceName,
    ) -> impl Iterator<Item = &'a WatchExec> {
        let rules = blueprint.service(service).map(rules).unwrap_or_default();
        self.exec_rules.iter().filter_map(|index| rules.get(*index)?.exec.as_ref())
    }

    fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        self.exec_rules.extend(other.exec_rules);
        self.on_change |= other.on_change;
        self.all |= other.all;
    }
}

impl Pending {
    /// Takes note of a change.
    pub fn note(&mut self, blueprint: &Blueprint, change: &Change) {
        match change.action {
            Some(Action::Signal | Action::Exec) => {
                for name in replicas(blueprint, &change.service) {
                    self.waiting.entry(name).or_default().on_change = true;
                }
            }
            Some(Action::Sync | Action::SyncExec | Action::SyncRestart) => self.note_sync(blueprint, change),
            Some(Action::None | Action::Restart | Action::Rebuild) | None => {}
        }
    }

    /// Takes note that some files changed while nobody was there to see which.
    pub fn note_all(&mut self, blueprint: &Blueprint, name: &ServiceName) {
        let Some(service) = blueprint.service(name) else { return };
        let rules = rules(service);
        let executes = rules.iter().enumerate().filter(|(_, rule)| rule.action == WatchAction::SyncExec);
        let load = Load {
            files: BTreeMap::new(),
            exec_rules: executes.map(|(index, _)| index).collect(),
            on_change: matches!(service.x_devd.on_change, Some(OnChange::Signal(_) | OnChange::Exec(_))),
            all: rules.iter().any(syncs),
        };
        for name in replicas(blueprint, name) {
            self.waiting.entry(name).or_default().merge(load.clone());
        }
    }

    fn note_sync(&mut self, blueprint: &Blueprint, change: &Change) {
        let Some(service) = blueprint.service(&change.service) else { return };
        let Some((index, rule)) = change.develop.and_then(|index| Some((index, rules(service).get(index)?)))
        else {
            return;
        };
        let target = target(service, rule, &change.path);
        for name in replicas(blueprint, &change.service) {
            let load = self.waiting.entry(name).or_default();
            if change.action == Some(Action::SyncExec) {
                load.exec_rules.insert(index);
            }
            load.files.extend(target.clone().map(|target| (target, change.path.clone())));
        }
        if let Some(target) = target {
            self.since_build.entry(change.service.clone()).or_default().insert(target, change.path.clone());
        }
    }

    /// What a new container has to be given, because it is made from an image that is older than that.
    pub fn of_new_container(&self, service: &ServiceName) -> Load {
        Load {
            files: self.since_build.get(&replica::service(service)).cloned().unwrap_or_default(),
            ..Load::default()
        }
    }

    /// An image is being built from what is on disk now.
    pub fn building(&mut self, service: &ServiceName) {
        self.since_build.remove(service);
    }

    /// Takes what an operation that begins now brings with it.
    pub fn take(&mut self, service: &ServiceName) -> Load {
        let load = self.waiting.remove(service).unwrap_or_default();
        self.under_way.insert(service.clone(), load.clone());
        load
    }

    /// The operation ended: what it brought is done, or still to be brought.
    pub fn ended(&mut self, service: &ServiceName, done: bool) {
        let Some(mut load) = self.under_way.remove(service) else { return };
        if !done {
            let newer = self.waiting.remove(service).unwrap_or_default();
            load.merge(newer);
            self.waiting.insert(service.clone(), load);
        }
    }
}
