//! Files that `develop.watch` wants copied into a container: remembered until it was done.

use crate::blueprint::Blueprint;
use crate::watch::{Action, Change};
use devd_compose::model::WatchExec;
use devd_proto::ServiceName;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What one operation on a service has to bring with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Paths on the host and in the container.
    pub files: BTreeMap<PathBuf, String>,
    /// The rules of `develop.watch` whose command is to run afterwards.
    exec_rules: BTreeSet<usize>,
    /// The change asked for more than copying: what the service's `on_change` says.
    pub on_change: bool,
}

/// What is still to be copied, by service.
#[derive(Debug, Default)]
pub struct Pending {
    waiting: BTreeMap<ServiceName, Load>,
    under_way: BTreeMap<ServiceName, Load>,
}

impl Load {
    /// The commands to run after the files are there.
    pub fn commands<'a>(
        &'a self,
        blueprint: &'a Blueprint,
        service: &ServiceName,
    ) -> impl Iterator<Item = &'a WatchExec> {
        let rules = blueprint
            .service(service)
            .and_then(|service| service.develop.as_ref())
            .map(|it| it.watch.as_slice());
        let rules = rules.unwrap_or_default();
        self.exec_rules.iter().filter_map(|index| rules.get(*index)?.exec.as_ref())
    }

    fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        self.exec_rules.extend(other.exec_rules);
        self.on_change |= other.on_change;
    }
}

impl Pending {
    /// Takes note of a change.
    pub fn note(&mut self, blueprint: &Blueprint, change: &Change) {
        match change.action {
            Some(Action::Signal | Action::Exec) => {
                self.waiting.entry(change.service.clone()).or_default().on_change = true;
            }
            Some(Action::Sync | Action::SyncExec | Action::SyncRestart) => self.note_sync(blueprint, change),
            Some(Action::None | Action::Restart | Action::Rebuild) | None => {}
        }
    }

    fn note_sync(&mut self, blueprint: &Blueprint, change: &Change) {
        let Some(service) = blueprint.service(&change.service) else { return };
        let rules = service.develop.as_ref().map(|develop| develop.watch.as_slice()).unwrap_or_default();
        let Some((index, rule)) = change.develop.and_then(|index| Some((index, rules.get(index)?))) else {
            return;
        };
        let load = self.waiting.entry(change.service.clone()).or_default();
        if change.action == Some(Action::SyncExec) {
            load.exec_rules.insert(index);
        }
        let Some(target) = &rule.target else { return };
        let Ok(inside) = change.path.strip_prefix(&rule.path) else { return };
        let target = match inside.to_string_lossy() {
            inside if inside.is_empty() => target.clone(),
            inside => format!("{}/{inside}", target.trim_end_matches('/')),
        };
        // What is mounted there is there already.
        let mounted = service.binds().any(|(source, mount)| {
            change.path.starts_with(source) && std::path::Path::new(&target).starts_with(&mount.target)
        });
        if !mounted {
            load.files.insert(change.path.clone(), target);
        }
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
