//! Which dependencies of a suite can be kept as images. Pure.

use devd_compose::Suite;
use devd_compose::model::{Condition, Mount, MountKind, Service};
use std::collections::BTreeSet;

/// Dependencies that can be kept once they are ready.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Those.
    pub(super) services: BTreeSet<String>,
    /// What has to be there for them to become what is kept. Without the tests.
    pub(super) needed: BTreeSet<String>,
}

impl Kept {
    /// Those of a suite; none when what is kept would not be all that a new environment has.
    ///
    /// Without `prepare`: databases and the like, in the state in which their image's own first start leaves them. So
    /// nobody else may have written into them: neither an application that is built here nor a service that is run to
    /// its end, which does its work in each environment. With it: everything, after all that.
    pub(super) fn of(suite: &Suite) -> Self {
        let needed = suite.project.closure(&suite.service);
        let service = |name: &String| suite.project.services.get(name);
        let lasting: BTreeSet<String> =
            needed.iter().filter(|name| !completes(suite, name)).cloned().collect();
        if suite.settings.prepare.is_some() {
            let all = lasting.iter().filter_map(service).all(|service| is_whole(suite, service));
            return if all && writes_nowhere_else(suite, &lasting) {
                Self { services: lasting, needed }
            } else {
                Self::default()
            };
        }
        let is_ready_made = |name: &String| service(name).is_some_and(|it| it.build.is_none());
        let alone = |name: &String| {
            let around = suite.project.closure(name);
            around.iter().chain([name]).all(|it| lasting.contains(it) && is_ready_made(it))
        };
        let services: BTreeSet<String> = lasting
            .iter()
            .filter(|name| alone(name) && service(name).is_some_and(|service| is_whole(suite, service)))
            .cloned()
            .collect();
        let around: BTreeSet<String> = services.iter().flat_map(|name| suite.project.closure(name)).collect();
        Self { needed: &services | &around, services }
    }

    /// Nothing can be kept.
    pub(super) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }
}

/// Whether somebody in the environment waits for this service to end.
pub(in crate::warm) fn completes(suite: &Suite, name: &str) -> bool {
    let services = suite.project.services.values();
    services
        .filter_map(|service| service.depends_on.get(name))
        .any(|dependency| dependency.condition == Condition::Completed)
}

/// Whether a mount is a volume of the environment's own that only one container has: what is kept takes its place.
pub(super) fn is_private(suite: &Suite, mount: &Mount) -> bool {
    match &mount.kind {
        MountKind::Volume { source: None, .. } => true,
        MountKind::Volume { source: Some(key), .. } => mounting(suite, key).count() == 1,
        MountKind::Bind { .. }
        | MountKind::Tmpfs { .. }
        | MountKind::Image { .. }
        | MountKind::Pipe { .. }
        | MountKind::Cluster { .. } => false,
    }
}

fn mounting<'a>(suite: &'a Suite, key: &'a str) -> impl Iterator<Item = &'a Service> {
    suite.project.services.values().filter(move |service| {
        service
            .mounts()
            .iter()
            .any(|mount| matches!(&mount.kind, MountKind::Volume { source: Some(other), .. } if other == key))
    })
}

/// Whether an image can hold all that a container of this service writes, and another container start from it.
fn is_whole(suite: &Suite, service: &Service) -> bool {
    // What others share of its volumes would not be there any more.
    let shared =
        suite.project.services.values().any(|other| mounts_of(other).any(|name| name == service.name));
    // What is in memory is gone when it stops; without its volumes a read-only one could write nowhere.
    !shared
        && mounts_of(service).next().is_none()
        && service.tmpfs.is_empty()
        && !service.read_only
        && service.mounts().iter().all(|mount| match &mount.kind {
            MountKind::Bind { .. } | MountKind::Image { .. } | MountKind::Pipe { .. } => true,
            MountKind::Tmpfs { .. } | MountKind::Cluster { .. } => false,
            MountKind::Volume { source, nocopy, subpath, labels: _ } => {
                !nocopy && subpath.is_none() && source.as_ref().is_none_or(|key| is_plain(suite, key))
            }
        })
}

/// The services whose volumes it has.
fn mounts_of(service: &Service) -> impl Iterator<Item = &str> {
    let from = service.host.volumes_from.iter();
    from.map(|text| text.split_once(':').map_or(text.as_str(), |(name, _)| name))
}

/// A volume that is a folder on the engine's disk and the environment's own.
fn is_plain(suite: &Suite, key: &str) -> bool {
    suite.project.volumes.get(key).is_none_or(|volume| {
        !volume.external
            && volume.driver_opts.is_empty()
            && matches!(volume.driver.as_deref(), None | Some("local"))
    })
}

/// Whether everything that preparing can write to is kept: the volumes that the tests have are those of dependencies.
fn writes_nowhere_else(suite: &Suite, kept: &BTreeSet<String>) -> bool {
    let Some(tests) = suite.project.services.get(&suite.service) else { return false };
    tests.mounts().iter().all(|mount| match &mount.kind {
        MountKind::Volume { source: Some(key), .. } => {
            !is_plain(suite, key) || mounting(suite, key).any(|service| kept.contains(&service.name))
        }
        MountKind::Volume { source: None, .. }
        | MountKind::Bind { .. }
        | MountKind::Tmpfs { .. }
        | MountKind::Image { .. }
        | MountKind::Pipe { .. }
        | MountKind::Cluster { .. } => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_compose::Options;

    fn kept(prepare: bool, tests: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let prepare = if prepare { "\n    x-devd: {tests: {prepare: make db}}" } else { "" };
        let root = format!("services:\n  app:\n    build: ./app{prepare}\n");
        std::fs::create_dir(dir.path().join("app")).unwrap();
        std::fs::write(dir.path().join("compose.yaml"), root).unwrap();
        std::fs::write(dir.path().join("app/Dockerfile"), "FROM x").unwrap();
        std::fs::write(dir.path().join("app/compose.yaml"), tests).unwrap();
        let options = Options { dir: dir.path().to_owned(), ..Options::default() };
        let project = devd_compose::load(&options).unwrap().project;
        let suite = devd_compose::find_suite(&project, "app", &options).unwrap().unwrap();
        let kept = Kept::of(&suite);
        let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        format!("{} of {}", names(&kept.services), names(&kept.needed))
    }

    const APPLICATION: &str = "
services:
  tests: {build: ., depends_on: [api, cache]}
  api: {build: ., depends_on: [db, queue]}
  queue: {image: q, depends_on: {setup: {condition: service_completed_successfully}}}
  setup: {image: s}
  db: {image: postgres, volumes: ['data:/data']}
  cache: {image: redis}
  other: {image: never}
volumes: {data: }
";

    #[test]
    fn only_what_nobody_else_wrote_into() {
        assert_eq!(kept(false, APPLICATION), "cache db of cache db");
        assert_eq!(kept(true, APPLICATION), "api cache db queue of api cache db queue setup");
    }

    #[test]
    fn what_an_image_cannot_hold() {
        let with = |db: &str, rest: &str| {
            format!(
                "services:\n  tests: {{build: ., depends_on: [db, cache]}}\n  cache: {{image: c}}\n  db: {{image: p, {db}}}\n{rest}"
            )
        };
        for (db, rest) in [
            ("tmpfs: /data", ""),
            ("read_only: true", ""),
            ("volumes: [{type: tmpfs, target: /data}]", ""),
            ("volumes: ['data:/data:nocopy']", "volumes: {data: }"),
            ("volumes: ['data:/data']", "volumes: {data: {external: true}}"),
            ("volumes: ['data:/data']", "volumes: {data: {driver_opts: {type: nfs}}}"),
        ] {
            assert_eq!(kept(false, &with(db, rest)), "cache of cache", "{db}");
            assert_eq!(kept(true, &with(db, rest)), " of ", "{db}");
        }
    }

    #[test]
    fn what_preparing_may_leave_with_the_tests() {
        let with = |db: &str| {
            format!(
                "services:\n  tests: {{build: ., depends_on: [db], volumes: ['files:/files']}}\n  db: {{image: p, {db}}}\nvolumes: {{files: }}"
            )
        };
        assert_eq!(kept(true, &with("init: true")), " of ");
        assert_eq!(kept(true, &with("volumes: ['files:/files']")), "db of db");
        assert_eq!(kept(false, &with("init: true")), "db of db");
    }
}
