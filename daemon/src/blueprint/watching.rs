//! Which files matter to which service, and what a change of them does.

use super::{Blueprint, preparation};
use crate::watch::{
    Action, DevelopRule, Place, Root, RootKind, ServiceWatch, TestsEffect, WatchSet, WatchedFile,
};
use devd_compose::Suite;
use devd_compose::model::{Build, Mount, OnChange, Service, Span, WatchAction};
use devd_proto::ServiceName;
use std::path::{Path, PathBuf};

impl Blueprint {
    /// What the watcher is to watch for this project.
    pub fn watch_set(&self) -> WatchSet {
        WatchSet {
            project: self.name.clone(),
            root: self.project.dir.clone(),
            services: self.project.services.values().map(|service| self.service_watch(service)).collect(),
            inputs: self.inputs.clone(),
        }
    }

    /// Whether a save can mean a restart of this service's process.
    pub fn is_watched(&self, name: &ServiceName) -> bool {
        let service = self.service(name);
        service
            .is_some_and(|service| service.build.is_some() || !self.service_watch(service).roots.is_empty())
    }

    fn service_watch(&self, service: &Service) -> ServiceWatch {
        let name = ServiceName::from(service.name.as_str());
        let mut watch = ServiceWatch {
            service: name.clone(),
            roots: Vec::new(),
            files: Vec::new(),
            rules: develop_rules(service),
            ignore: service.x_devd.ignore.clone(),
            ignore_place: Some(place(&service.span)),
        };
        let suite = self.suites.get(&name);
        let mounted = match &service.x_devd.on_change {
            Some(OnChange::Rebuild) => Action::Rebuild,
            Some(OnChange::None) => Action::None,
            Some(OnChange::Signal(_)) => Action::Signal,
            Some(OnChange::Exec(_)) => Action::Exec,
            Some(OnChange::Restart) | None => Action::Restart,
        };
        let built = if mounted == Action::None { Action::None } else { Action::Rebuild };
        for (source, mount) in
            service.binds().filter(|(source, mount)| self.is_source(service, source, mount))
        {
            watch.roots.push(Root {
                path: source.to_owned(),
                kind: RootKind::Mounted,
                action: Some(mounted),
                tests: TestsEffect::None,
                why: format!("mounted into the container at {}", mount.target),
                place: Some(place(&mount.span)),
            });
        }
        if let Some(build) = &service.build {
            let at = service.build_span.as_ref().map(place);
            add_context(&mut watch, build, Some(built), TestsEffect::None, "the build context", at);
        }
        for path in &service.x_devd.watch {
            watch.roots.push(Root {
                path: path.clone(),
                kind: RootKind::Extra,
                action: Some(mounted),
                tests: if suite.is_some() { TestsEffect::Rerun } else { TestsEffect::None },
                why: "listed under x-devd.watch".to_owned(),
                place: Some(place(&service.span)),
            });
        }
        let prepare = suite.and_then(|suite| suite.settings.prepare.as_ref());
        for path in prepare.iter().flat_map(|prepare| &prepare.files) {
            watch.roots.push(Root {
                path: path.clone(),
                kind: RootKind::Extra,
                action: None,
                tests: TestsEffect::Rerun,
                why: "listed under x-devd.tests.prepare".to_owned(),
                place: Some(place(&service.span)),
            });
        }
        for part in suite.into_iter().flat_map(parts) {
            let (whose, context) = match suite.is_some_and(|suite| suite.service == part.name) {
                true => ("the tests' container".to_owned(), "the build context of the tests".to_owned()),
                false => (
                    format!("{}, which the tests need,", part.name),
                    format!("the build context of {}, which the tests need", part.name),
                ),
            };
            for (source, mount) in part.binds().filter(|(source, mount)| self.is_source(part, source, mount))
            {
                watch.roots.push(Root {
                    path: source.to_owned(),
                    kind: RootKind::Mounted,
                    action: None,
                    tests: TestsEffect::Rerun,
                    why: format!("mounted into {whose} at {}", mount.target),
                    place: Some(place(&mount.span)),
                });
            }
            if let Some(build) = &part.build {
                let at = part.build_span.as_ref().map(place);
                add_context(&mut watch, build, None, TestsEffect::Rebuild, &context, at);
            }
        }
        watch
    }

    /// Whether a file is mounted into something that a service's tests need, or decides how that is prepared: what was
    /// started with it is out of date.
    pub fn feeds_dependency(&self, service: &ServiceName, path: &Path) -> bool {
        let Some(suite) = self.suites.get(service) else { return false };
        let mut dependencies =
            parts(suite).filter(|part| part.name != suite.service).flat_map(Service::binds);
        dependencies.any(|(source, _)| path.starts_with(source)) || preparation::is_input(suite, path)
    }

    /// Whether a mounted folder holds what people write, and not what the container writes.
    ///
    /// A database's folder changes with every query: reacting to that would restart it for ever. Data folders have
    /// well-known places in the container; what is mounted read-only can't be written by it at all.
    fn is_source(&self, service: &Service, source: &Path, mount: &Mount) -> bool {
        if !source.starts_with(self.repository()) || source.parent().is_none() {
            return false;
        }
        if mount.read_only || service.build.is_some() || source.is_file() {
            return true;
        }
        const DATA: [&str; 9] = [
            "/var/lib",
            "/var/log",
            "/var/cache",
            "/var/opt",
            "/data",
            "/bitnami",
            "/tmp",
            "/run",
            "/root/.",
        ];
        !DATA.iter().any(|data| mount.target.starts_with(data))
    }

    /// The folder that people's own files are under: that of the git repository, else the project's.
    fn repository(&self) -> PathBuf {
        let dir = &self.project.dir;
        dir.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(dir).to_owned()
    }
}

/// The tests, and everything that they need.
fn parts(suite: &Suite) -> impl Iterator<Item = &Service> {
    let mut names = suite.project.closure(&suite.service);
    names.insert(suite.service.clone());
    names.into_iter().filter_map(|name| suite.project.services.get(&name))
}

fn add_context(
    watch: &mut ServiceWatch,
    build: &Build,
    action: Option<Action>,
    tests: TestsEffect,
    why: &str,
    place: Option<Place>,
) {
    let mut add_root = |path: &Path, dockerfile: Option<PathBuf>, why: String| {
        let (kind, place) = (RootKind::Context { dockerfile }, place.clone());
        watch.roots.push(Root { path: path.to_owned(), kind, action, tests, why, place });
    };
    // Others are URLs and images.
    let folders = build.additional_contexts.iter().filter(|(_, at)| Path::new(at).is_absolute());
    for (name, path) in folders {
        add_root(Path::new(path), None, format!("in `{name}`, which is added to {why}"));
    }
    if build.remote {
        return;
    }
    let dockerfile = build.dockerfile.as_ref().map(|file| build.context.join(file));
    add_root(&build.context, dockerfile.clone(), format!("in {why}"));
    let files = dockerfile.into_iter().chain([build.context.join(".dockerignore")]);
    for path in files {
        watch.files.push(WatchedFile {
            path,
            action,
            tests,
            why: format!("decides over {why}"),
            place: place.clone(),
        });
    }
}

fn develop_rules(service: &Service) -> Vec<DevelopRule> {
    let rules = service.develop.iter().flat_map(|develop| &develop.watch);
    rules
        .map(|rule| DevelopRule {
            path: rule.path.clone(),
            action: match rule.action {
                WatchAction::Sync => Action::Sync,
                WatchAction::Rebuild => Action::Rebuild,
                WatchAction::Restart => Action::Restart,
                WatchAction::SyncRestart => Action::SyncRestart,
                WatchAction::SyncExec => Action::SyncExec,
            },
            include: rule.include.clone(),
            ignore: rule.ignore.clone(),
            place: Some(place(&rule.span)),
        })
        .collect()
}

fn place(span: &Span) -> Place {
    Place::new(&span.file, span.line)
}
