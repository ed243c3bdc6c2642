//! What all stories share: two projects' files, read once, and a watcher that has nothing to watch.

use devd_proto::ProjectSource;
use devdd::blueprint::Blueprint;
use devdd::watch::Watcher;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// The projects' names.
pub(crate) const PROJECTS: [&str; 2] = ["shop", "blog"];

/// In each project: a service that is built and tested, and one that it needs.
pub(crate) const SERVICES: [[&str; 2]; 2] = [["api", "db"], ["app", "cache"]];

/// Versions of each compose file.
pub(crate) const VERSIONS: usize = 3;

pub(crate) struct House {
    pub(crate) dir: TempDir,
    pub(crate) state: TempDir,
    /// By project and version.
    pub(crate) blueprints: Vec<Vec<Arc<Blueprint>>>,
    pub(crate) sources: Vec<ProjectSource>,
    pub(crate) watcher: Watcher,
}

impl House {
    pub(crate) fn new() -> Self {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut blueprints, mut sources) = (Vec::new(), Vec::new());
        for (project, [main, other]) in PROJECTS.iter().zip(SERVICES) {
            let folder = dir.path().canonicalize().unwrap().join(project);
            std::fs::create_dir_all(folder.join(main)).unwrap();
            std::fs::write(folder.join(main).join("Dockerfile"), "FROM scratch\n").unwrap();
            // One project's tests have a dependency, the other's have none.
            let depends = if *project == "shop" { "depends_on: [db]" } else { "" };
            let tests = format!(
                "services:\n  tests:\n    build: .\n    command: python -m unittest\n    volumes: ['.:/usr/src/app']\n    {depends}\n  db:\n    image: redis:7\n"
            );
            std::fs::write(folder.join(main).join("compose.yaml"), tests).unwrap();
            let source = ProjectSource { dir: folder.display().to_string(), ..ProjectSource::default() };
            let versions = (0..VERSIONS).map(|version| {
                let compose = format!(
                    "services:\n  {main}:\n    build: ./{main}\n    volumes: ['./{main}:/usr/src/app']\n    environment: {{ VERSION: 'v{version}' }}\n    depends_on: [{other}]\n  {other}:\n    image: redis:7\n"
                );
                std::fs::write(folder.join("compose.yaml"), compose).unwrap();
                Arc::new(Blueprint::load(&source).unwrap())
            });
            blueprints.push(versions.collect());
            sources.push(source);
        }
        let (notices, _) = tokio::sync::mpsc::unbounded_channel();
        Self { dir, state, blueprints, sources, watcher: Watcher::new(notices).unwrap() }
    }

    /// A file of a project's main service.
    pub(crate) fn file(&self, project: usize, name: &str) -> PathBuf {
        let folder = self.dir.path().canonicalize().unwrap().join(PROJECTS[project]);
        folder.join(SERVICES[project][0]).join(name)
    }
}
