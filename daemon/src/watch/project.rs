//! What to watch, and what to say about it: the words between the watcher and the rest of the daemon.
//!
//! A service has two sides that a change can touch: the service itself ([`Action`]) and its test suite
//! ([`TestsEffect`]). Both are decided independently, because the suite may mount other folders than the service.

use devd_proto::{ProjectName, ServiceName};
use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

/// Everything that is watched for one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSet {
    /// The project.
    pub project: ProjectName,
    /// The project's folder, absolute. Digests name files relative to it.
    pub root: PathBuf,
    /// One entry a service that watches anything.
    pub services: Vec<ServiceWatch>,
    /// The files that the project itself is read from (compose files, env files), absolute. They may not exist yet:
    /// their appearing is a change too.
    pub inputs: BTreeSet<PathBuf>,
}

/// What one service and its suite watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceWatch {
    /// The service.
    pub service: ServiceName,
    /// Its folders. One folder may stand here several times, e.g. mounted into the service and again into its tests.
    pub roots: Vec<Root>,
    /// Single files with an effect of their own: Dockerfiles, ignore files. They win over every folder and no ignore
    /// rule hides them.
    pub files: Vec<WatchedFile>,
    /// `develop.watch`, in the file's order.
    pub rules: Vec<DevelopRule>,
    /// `x-devd.ignore`: Docker patterns, relative to each root.
    pub ignore: Vec<String>,
    /// Where `x-devd.ignore` stands.
    pub ignore_place: Option<Place>,
}

/// A watched folder (or a single file, when that is what is mounted).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Absolute. It may not exist yet.
    pub path: PathBuf,
    /// How it came to be watched, which says which rule wins where roots overlap.
    pub kind: RootKind,
    /// What a change does to the service; none when the root concerns the suite only.
    pub action: Option<Action>,
    /// What a change does to the suite.
    pub tests: TestsEffect,
    /// Why it is watched, for people: `mounted into the container at /usr/src/app`.
    pub why: String,
    /// Where that is written.
    pub place: Option<Place>,
}

/// How a folder came to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootKind {
    /// The container sees it live. Wins over a build context, whichever of the two is deeper: a mounted file does not
    /// need a new image.
    Mounted,
    /// It goes into the image. Its `.dockerignore` is honoured for it and for what is mounted from inside it.
    Context {
        /// The Dockerfile, for `<Dockerfile>.dockerignore`, which replaces `.dockerignore`.
        dockerfile: Option<PathBuf>,
    },
    /// Asked for by name (`x-devd.watch`).
    Extra,
}

/// One file with an effect of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedFile {
    /// Absolute. It may not exist yet.
    pub path: PathBuf,
    /// What a change does to the service; none when it concerns the suite only.
    pub action: Option<Action>,
    /// What a change does to the suite.
    pub tests: TestsEffect,
    /// Why it is watched, for people: `the Dockerfile of this service`.
    pub why: String,
    /// Where that is written.
    pub place: Option<Place>,
}

/// One entry of `develop.watch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevelopRule {
    /// A folder or a file, absolute.
    pub path: PathBuf,
    /// What it does.
    pub action: Action,
    /// Docker patterns relative to `path`; when there are any, one of them must match.
    pub include: Vec<String>,
    /// Docker patterns relative to `path`.
    pub ignore: Vec<String>,
    /// Where it is written.
    pub place: Option<Place>,
}

/// A place in a file, for `devd why`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: Option<u32>,
}

impl Place {
    /// A line of a file.
    pub fn new(file: impl AsRef<Path>, line: u32) -> Self {
        Self { file: file.as_ref().to_owned(), line: Some(line) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file.display()),
            None => write!(f, "{}", self.file.display()),
        }
    }
}

/// What a change does to a service. What to send, run or copy is not known here: [`Decision::develop`] says which
/// rule of `develop.watch` decided, and without one it is the service's `on_change`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing (`on_change: none`).
    None,
    /// Send a signal.
    Signal,
    /// Run a command in the container.
    Exec,
    /// Copy into the container.
    Sync,
    /// Copy, then run a command.
    SyncExec,
    /// Copy, then restart.
    SyncRestart,
    /// Restart.
    Restart,
    /// Build the image anew and recreate the container.
    Rebuild,
}

impl Action {
    /// The word for it, as compose and CONTRACT write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Signal => "signal",
            Self::Exec => "exec",
            Self::Sync => "sync",
            Self::SyncExec => "sync+exec",
            Self::SyncRestart => "sync+restart",
            Self::Restart => "restart",
            Self::Rebuild => "rebuild",
        }
    }
}

impl Action {
    /// What of a service a file goes into that has this done when it changes.
    pub fn part(self) -> Option<Part> {
        match self {
            Self::None => None,
            Self::Signal | Self::Exec | Self::Sync | Self::SyncExec => Some(Part::Acted),
            Self::SyncRestart | Self::Restart => Some(Part::Process),
            Self::Rebuild => Some(Part::Image),
        }
    }
}

/// What of a service a file goes into, the weaker first: what a change of it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The process takes it up while it runs, when it is told to.
    Acted,
    /// The process reads it when it starts.
    Process,
    /// It goes into the image.
    Image,
}

/// What is on disk for a service itself: a sum for each part. Two are the same only when the files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// [`Part::Acted`].
    pub acted: u128,
    /// [`Part::Process`].
    pub process: u128,
    /// [`Part::Image`].
    pub image: u128,
}

impl Contents {
    /// The sum of a part.
    pub(super) fn part_mut(&mut self, part: Part) -> &mut u128 {
        match part {
            Part::Acted => &mut self.acted,
            Part::Process => &mut self.process,
            Part::Image => &mut self.image,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a change does to a service's suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TestsEffect {
    /// The suite does not see the file.
    #[default]
    None,
    /// The suite runs again; the file is mounted into its container.
    Rerun,
    /// The suite's image is built anew, and the suite runs again.
    Rebuild,
}

impl TestsEffect {
    /// Whether the suite runs.
    pub fn runs(self) -> bool {
        self != Self::None
    }

    /// Whether its image must be built first.
    pub fn rebuilds(self) -> bool {
        self == Self::Rebuild
    }
}

/// The rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In words: `gitignored by \`*.log\``, `mounted into the container at /usr/src/app`.
    pub text: String,
    /// Where it is written, when it is written in a file.
    pub place: Option<Place>,
}

/// What one service makes of one path. Several of one service when several rules of `develop.watch` name the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The service.
    pub service: ServiceName,
    /// What it does; none when the path does not concern it, or is ignored.
    pub action: Option<Action>,
    /// Which of the service's `develop.watch` rules decided, as an index into [`ServiceWatch::rules`].
    pub develop: Option<usize>,
    /// What its suite does.
    pub tests: TestsEffect,
    /// The rule that decided about the service, or about ignoring the path.
    pub rule: Rule,
    /// The rule that decided about the suite, where it is another one.
    pub tests_rule: Option<Rule>,
    /// A rule hides the path from the service and from its suite.
    pub ignored: bool,
}

impl Decision {
    /// Whether a change of the path does anything at all.
    pub fn acts(&self) -> bool {
        !self.ignored && (self.tests.runs() || self.action.is_some_and(|action| action != Action::None))
    }
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was not there before.
    Created,
    /// Its bytes, or its executable bit, are others.
    Modified,
    /// It is gone.
    Removed,
}

/// A file changed, and this is what one service does about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file, absolute.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The service.
    pub service: ServiceName,
    /// What it does; none when only its suite is concerned.
    pub action: Option<Action>,
    /// Which of the service's `develop.watch` rules decided, as an index into [`ServiceWatch::rules`].
    pub develop: Option<usize>,
    /// What its suite does.
    pub tests: TestsEffect,
    /// An editor said so (`devd saved`): no need to wait for more.
    pub pushed: bool,
    /// git is writing files: more comes.
    pub more: bool,
    /// A notice told of the same change a moment ago, before the editor did. Whoever still waits for more need not
    /// wait any longer; whoever acted already has nothing to do.
    pub repeated: bool,
}

/// What the watcher tells the daemon. One notice holds everything that was found at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Watched files changed. Never empty.
    Changed {
        /// The project.
        project: ProjectName,
        /// One entry a file and decision.
        changes: Vec<Change>,
    },
    /// Files that the project is read from changed.
    Reload {
        /// The project.
        project: ProjectName,
        /// Which.
        paths: Vec<PathBuf>,
    },
    /// Every watched file has been read: digests are known. Comes again after each `set` that changed something, and
    /// after a change of an ignore file.
    Ready {
        /// The project.
        project: ProjectName,
    },
    /// The system lost events, and everything was looked at again. The differences came as `Changed` before.
    Rescanned {
        /// The project.
        project: ProjectName,
    },
    /// A folder is polled, because the system cannot tell of changes in it.
    Degraded {
        /// The project.
        project: ProjectName,
        /// The folder.
        root: PathBuf,
        /// Why.
        reason: String,
        /// How to mend it.
        help: String,
    },
}

/// What `set` put in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Watched folders.
    pub folders: usize,
    /// Watched files.
    pub files: usize,
}

/// What a change of a path would do, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The project.
    pub project: ProjectName,
    /// The service's decision; none for a file that the project itself is read from.
    pub decision: Option<Decision>,
    /// The same for people, one line a fact.
    pub text: String,
}

/// Why the watcher cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The folder for the watcher's own files could not be made.
    #[error("cannot make {}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the watcher: {0}")]
    Thread(std::io::Error),
    /// The watcher's thread has ended.
    #[error("the watcher has stopped")]
    Stopped,
}
