//! Stories on a real file system. Nobody sleeps: `sync` says when everything up to now was handled.

mod folders;
mod hidden;
mod many;
mod rules;
mod saves;

use super::*;
use std::{collections::BTreeSet, fmt::Write as _, fs};
use tempfile::TempDir;

/// A project on disk with one service `api`: context and mounted folder `api/`, and a suite that mounts it too.
struct World {
    /// Holds the project's folder, so that the project itself can go away.
    _dir: TempDir,
    root: PathBuf,
    watcher: Watcher,
    notices: mpsc::UnboundedReceiver<Notice>,
}

/// The service `api` of a project at `root`.
fn api(root: &Path) -> ServiceWatch {
    let folder = root.join("api");
    let new = |kind, action, tests, why: &str, line| Root {
        path: folder.clone(),
        kind,
        action,
        tests,
        why: why.to_owned(),
        place: Some(Place::new(root.join("compose.yaml"), line)),
    };
    let context = || RootKind::Context { dockerfile: Some(folder.join("Dockerfile")) };
    ServiceWatch {
        service: "api".into(),
        roots: vec![
            new(
                RootKind::Mounted,
                Some(Action::Restart),
                TestsEffect::None,
                "mounted into the container at /app",
                7,
            ),
            new(context(), Some(Action::Rebuild), TestsEffect::None, "in the build context", 3),
            new(RootKind::Mounted, None, TestsEffect::Rerun, "mounted into the tests", 20),
            new(context(), None, TestsEffect::Rebuild, "in the tests' build context", 18),
        ],
        // Named by the service and by its tests.
        files: [(Some(Action::Rebuild), TestsEffect::None), (None, TestsEffect::Rebuild)]
            .map(|(action, tests)| WatchedFile {
                path: folder.join("Dockerfile"),
                action,
                tests,
                why: "the Dockerfile".to_owned(),
                place: Some(Place::new(root.join("compose.yaml"), 4)),
            })
            .to_vec(),
        rules: Vec::new(),
        ignore: Vec::new(),
        ignore_place: None,
    }
}

fn set_of(root: &Path, services: Vec<ServiceWatch>) -> WatchSet {
    let inputs = BTreeSet::from([root.join("compose.yaml"), root.join("compose.override.yaml")]);
    WatchSet { project: "shop".into(), root: root.to_owned(), services, inputs }
}

impl World {
    /// Files on disk (a name that ends in `/` is a folder), watched and read.
    async fn new(files: &[(&str, &str)]) -> Self {
        Self::with(files, Options::default(), |root| set_of(root, vec![api(root)])).await
    }

    async fn with(files: &[(&str, &str)], options: Options, set: impl FnOnce(&Path) -> WatchSet) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("shop");
        fs::create_dir_all(root.join("api")).unwrap();
        fs::write(root.join("compose.yaml"), "services:\n").unwrap();
        let (out, notices) = mpsc::unbounded_channel();
        let watcher = Watcher::with(out, options).unwrap();
        let mut world = Self { _dir: dir, root, watcher, notices };
        for (name, text) in files {
            world.write(name, text);
        }
        let set = set(&world.root);
        world.watcher.set(set).await.unwrap();
        world.until_ready().await;
        world
    }

    async fn until_ready(&mut self) {
        while !matches!(self.notices.recv().await, Some(Notice::Ready { .. })) {}
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::write(path, text).unwrap();
        }
    }

    /// What was noticed so far, one line a fact.
    async fn seen(&mut self) -> String {
        self.watcher.sync().await.unwrap();
        let mut text = String::new();
        while let Ok(notice) = self.notices.try_recv() {
            match notice {
                Notice::Changed { changes, .. } => {
                    changes.iter().for_each(|change| self.line(&mut text, change))
                }
                Notice::Reload { paths, .. } => {
                    paths.iter().for_each(|path| writeln!(text, "reload {}", self.short(path)).unwrap());
                }
                Notice::Rescanned { .. } => text.push_str("rescanned\n"),
                Notice::Degraded { root, reason, .. } => {
                    writeln!(text, "degraded {}: {reason}", self.short(&root)).unwrap();
                }
                Notice::Ready { .. } => {}
            }
        }
        text
    }

    fn line(&self, text: &mut String, change: &Change) {
        let kind = match change.kind {
            ChangeKind::Created => "+",
            ChangeKind::Modified => "*",
            ChangeKind::Removed => "-",
        };
        write!(text, "{kind}{} {}:", self.short(&change.path), change.service).unwrap();
        if let Some(action) = change.action {
            write!(text, " {action}").unwrap();
        }
        match change.tests {
            TestsEffect::None => {}
            TestsEffect::Rerun => text.push_str(" tests"),
            TestsEffect::Rebuild => text.push_str(" rebuilt tests"),
        }
        text.push('\n');
    }

    fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// `devd why`, with paths relative to the project.
    async fn why(&self, name: &str) -> String {
        let answers = self.watcher.why(&self.path(name)).await.unwrap();
        let lines: Vec<_> = answers.into_iter().map(|why| why.text).collect();
        lines.join("\n").replace(&format!("{}/", self.root.display()), "")
    }

    fn digest(&self) -> Option<String> {
        self.watcher.digest(&"shop".into(), &"api".into())
    }

    fn lose_events(&self) {
        self.watcher.inner.inputs.send(Input::Lost);
    }
}
