//! Whom a change of a path concerns, and what it does.

use super::{
    ignore::GitReader,
    index::Member,
    project::{Action, DevelopRule, Root, RootKind, ServiceWatch, TestsEffect, WatchSet},
    sight::{Folder, Reason, Sight, Sights},
};
use crate::dockerignore::Patterns;
use std::{
    collections::{BTreeSet, HashSet},
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// A project's rules, with its ignore files read.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) set: WatchSet,
    pub(super) services: Vec<Service>,
    pub(super) git: GitReader,
    /// There while git changes what is checked out.
    git_lock: Option<PathBuf>,
    /// Ignore files whose change changes these rules, there or not.
    pub(super) ignore_files: BTreeSet<PathBuf>,
    /// Every path that some rule names. Asked for every file, before any service is.
    named: HashSet<PathBuf>,
}

/// One service's rules.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) watch: ServiceWatch,
    pub(super) sets: Vec<PatternSet>,
    /// For each root: none when it is no build context, else its pattern set where it has one.
    contexts: Vec<Option<Option<usize>>>,
    /// Every path that the service's rules name.
    named: BTreeSet<PathBuf>,
    /// Those of them that no rule about a folder above hides.
    bases: BTreeSet<PathBuf>,
}

/// Docker patterns, and what they are about.
#[derive(Debug)]
pub(super) struct PatternSet {
    /// The folder that they are relative to.
    pub(super) base: PathBuf,
    pub(super) role: Role,
    pub(super) patterns: Patterns,
    /// The file they stand in, when it is an ignore file.
    pub(super) file: Option<PathBuf>,
}

/// What a set of patterns decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// `.dockerignore`: what goes into the image.
    Image,
    /// `.dockerignore` again, for what is mounted from inside the build context.
    Live,
    /// `x-devd.ignore`.
    Own,
    /// `include` of a rule of `develop.watch`.
    Include(usize),
    /// `ignore` of a rule of `develop.watch`.
    Exclude(usize),
}

impl Role {
    /// Whether a path that a compose file names by itself is out of these patterns' reach, when they hide a folder
    /// above it. What goes into the image does not depend on what devd watches.
    pub(super) fn yields_to_names(self) -> bool {
        matches!(self, Self::Live | Self::Own)
    }
}

/// What decided about one side of a service.
#[derive(Clone, Debug)]
pub(super) enum By {
    /// The path does not concern it.
    Nothing,
    /// It is hidden.
    Hidden(Reason),
    /// A file with an effect of its own.
    File(usize),
    /// Rules of `develop.watch`.
    Develop(Vec<usize>),
    /// A watched folder.
    Root(usize),
}

/// What a service makes of a path.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    pub(super) service: By,
    pub(super) tests: By,
}

impl Rules {
    /// Reads the ignore files.
    pub(super) fn new(set: WatchSet) -> Self {
        let services: Vec<Service> =
            set.services.iter().map(|watch| Service::new(watch, &set.root)).collect();
        let contexts = set.services.iter().flat_map(|service| &service.roots);
        let ignore_files = contexts.flat_map(ignore_candidates).collect();
        let named =
            services.iter().flat_map(|service| service.named.iter().chain(&service.bases)).cloned().collect();
        let git_lock = git_lock(&set.root);
        Self { set, services, git: GitReader::default(), git_lock, ignore_files, named }
    }

    /// Whether git is changing what is checked out.
    pub(super) fn git_writes(&self) -> bool {
        self.git_lock.as_ref().is_some_and(|lock| lock.exists())
    }

    /// Whether some rule names exactly this path.
    pub(super) fn is_named(&self, path: &Path) -> bool {
        self.named.contains(path)
    }

    /// The highest folder at or above `path` that says anything about it.
    pub(super) fn top(&self, path: &Path) -> Option<&Path> {
        let named = self.services.iter().flat_map(|service| &service.named).map(PathBuf::as_path);
        named
            .chain([self.set.root.as_path()])
            .filter(|named| path.starts_with(named))
            .min_by_key(|named| named.as_os_str().len())
    }

    /// Folders to walk, the outer ones first.
    pub(super) fn starts(&self) -> BTreeSet<PathBuf> {
        let roots =
            self.services.iter().flat_map(|service| service.watch.roots.iter().map(|root| &root.path));
        let rules =
            self.services.iter().flat_map(|service| service.watch.rules.iter().map(|rule| &rule.path));
        roots.chain(rules).cloned().collect()
    }

    /// Every path whose appearing or vanishing matters by itself.
    pub(super) fn targets(&self) -> BTreeSet<PathBuf> {
        let named = self.services.iter().flat_map(|service| service.named.iter().cloned());
        named.chain(self.set.inputs.iter().cloned()).chain(self.ignore_files.iter().cloned()).collect()
    }

    /// What one service makes of a path that it sees so.
    pub(super) fn judge(&self, service: &Service, sight: &Sight, path: &Path) -> Judgement {
        // The same file may be named twice: a service and its tests are often built from one Dockerfile.
        let file_is = |concerned: fn(&super::WatchedFile) -> bool| {
            let mut files = service.watch.files.iter();
            let at = files.position(|file| file.path == path && concerned(file));
            at.filter(|_| sight.named).map(By::File)
        };
        Judgement {
            service: file_is(|file| file.action.is_some()).unwrap_or_else(|| service.judge_action(sight)),
            tests: file_is(|file| file.tests.runs()).unwrap_or_else(|| service.judge_tests(sight)),
        }
    }

    /// What is seen, with the service that sees it.
    pub(super) fn seen_by<'a>(
        &'a self,
        sights: &'a Sights,
    ) -> impl Iterator<Item = (&'a Service, &'a Sight)> {
        sights.of.iter().filter_map(|(index, sight)| Some((self.services.get(usize::from(*index))?, sight)))
    }

    /// The services for which a change of a file does anything.
    pub(super) fn members(&self, around: &Folder, path: &Path, name: &OsStr) -> Vec<Member> {
        let sights = self.sights(around, path, name, false);
        let concerned = sights.of.iter().filter_map(|(index, sight)| {
            let service = self.services.get(usize::from(*index))?;
            if !sight.reaches() && !sight.named {
                return None;
            }
            let judgement = self.judge(service, sight, path);
            let actions = service.actions(&judgement.service);
            let part = actions.iter().filter_map(|(action, _)| action.part()).max();
            let concerns = part.is_some() || service.tests(&judgement.tests).runs();
            concerns.then_some(Member { service: *index, part })
        });
        concerned.collect()
    }
}

/// The lock of the index of the repository that a folder is in.
fn git_lock(root: &Path) -> Option<PathBuf> {
    let git = root.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    if git.is_dir() {
        return Some(git.join("index.lock"));
    }
    // A worktree or a submodule: a file that says where the folder is.
    let text = std::fs::read_to_string(&git).ok()?;
    let folder = git.parent()?.join(text.strip_prefix("gitdir:")?.trim());
    Some(folder.join("index.lock"))
}

impl Service {
    fn new(watch: &ServiceWatch, project: &Path) -> Self {
        let mut sets = Vec::new();
        let mut contexts = Vec::new();
        for root in &watch.roots {
            contexts.push(match &root.kind {
                RootKind::Context { .. } => Some(add_context(&mut sets, root)),
                RootKind::Mounted | RootKind::Extra => None,
            });
        }
        let own_bases: BTreeSet<&PathBuf> = watch.roots.iter().map(|root| &root.path).collect();
        for base in own_bases.into_iter().filter(|_| !watch.ignore.is_empty()) {
            sets.push(PatternSet::listed(base, Role::Own, &watch.ignore));
        }
        for (index, rule) in watch.rules.iter().enumerate() {
            for (role, list) in [(Role::Include(index), &rule.include), (Role::Exclude(index), &rule.ignore)]
            {
                if !list.is_empty() {
                    sets.push(PatternSet::listed(&rule.path, role, list));
                }
            }
        }
        let roots = watch.roots.iter().map(|root| &root.path);
        let rules = watch.rules.iter().map(|rule| &rule.path);
        let files = watch.files.iter().map(|file| &file.path);
        let named = roots.chain(rules.clone()).chain(files).cloned().collect();
        // A mount alone does not bring back what is ignored: people mount their database's folder.
        let asked_for = watch.roots.iter().filter(|root| match root.kind {
            RootKind::Extra | RootKind::Context { .. } => true,
            RootKind::Mounted => !root.path.starts_with(project),
        });
        let mut bases: BTreeSet<PathBuf> = asked_for.map(|root| &root.path).chain(rules).cloned().collect();
        bases.insert(project.to_owned());
        Self { watch: watch.clone(), sets, contexts, named, bases }
    }

    /// Whether a rule names exactly this path.
    pub(super) fn is_named(&self, path: &Path) -> bool {
        self.named.contains(path) || self.bases.contains(path)
    }

    /// Whether no rule about a folder above hides this path.
    pub(super) fn is_base(&self, path: &Path) -> bool {
        self.bases.contains(path)
    }

    pub(super) fn role(&self, set: usize) -> Option<Role> {
        self.sets.get(set).map(|set| set.role)
    }

    /// The patterns of a build context: none when the root is not one, none inside when it has no ignore file.
    pub(super) fn context_set(&self, root: usize) -> Option<Option<usize>> {
        self.contexts.get(root).copied().flatten()
    }

    /// What is done about a change, and by which rule of `develop.watch`.
    pub(super) fn actions(&self, by: &By) -> Vec<(Action, Option<usize>)> {
        let one = |action: Option<Action>| action.map(|action| (action, None)).into_iter().collect();
        match by {
            By::Nothing | By::Hidden(_) => Vec::new(),
            By::File(index) => one(self.watch.files.get(*index).and_then(|file| file.action)),
            By::Root(index) => one(self.watch.roots.get(*index).and_then(|root| root.action)),
            By::Develop(rules) => rules
                .iter()
                .filter_map(|&index| Some((self.watch.rules.get(index)?.action, Some(index))))
                .collect(),
        }
    }

    /// What the suite does about a change.
    pub(super) fn tests(&self, by: &By) -> TestsEffect {
        match by {
            By::Nothing | By::Hidden(_) | By::Develop(_) => TestsEffect::None,
            By::File(index) => self.watch.files.get(*index).map_or(TestsEffect::None, |file| file.tests),
            By::Root(index) => self.watch.roots.get(*index).map_or(TestsEffect::None, |root| root.tests),
        }
    }

    fn judge_action(&self, sight: &Sight) -> By {
        self.judge_hidden(sight)
            .or_else(|| self.judge_develop(sight))
            .or_else(|| self.judge_roots(sight, |root| root.action.is_some(), |_| true))
            .unwrap_or(By::Nothing)
    }

    fn judge_tests(&self, sight: &Sight) -> By {
        self.judge_hidden(sight)
            .or_else(|| self.judge_roots(sight, |root| root.tests.runs(), |left_out| !left_out.tests))
            .unwrap_or(By::Nothing)
    }

    fn judge_hidden(&self, sight: &Sight) -> Option<By> {
        if sight.roots.is_empty() && sight.develop.is_empty() {
            return Some(By::Nothing);
        }
        let own = || {
            let sets = sight.matched.iter().enumerate();
            let mut own = sets.filter(|(set, _)| self.role(*set) == Some(Role::Own));
            own.find_map(|(set, matched)| matched.map(|pattern| Reason::Pattern(set, pattern)))
        };
        sight.hidden.clone().or_else(own).map(By::Hidden)
    }

    /// The rules on the most specific path apply, all of them. Where each of them ignores the path, it is ignored: a
    /// rule that names a folder and takes something out of it means that.
    fn judge_develop(&self, sight: &Sight) -> Option<By> {
        let says = |role: Role| {
            let set = self.sets.iter().position(|set| set.role == role)?;
            Some((set, sight.matched.get(set).copied().flatten()))
        };
        let including: Vec<(usize, &DevelopRule)> = sight
            .develop
            .iter()
            .filter_map(|&index| Some((index, self.watch.rules.get(index)?)))
            .filter(|(index, _)| says(Role::Include(*index)).is_none_or(|(_, matched)| matched.is_some()))
            .collect();
        let deepest = including.iter().map(|(_, rule)| rule.path.components().count()).max()?;
        if let Some(left_out) = sight.left_out {
            return Some(By::Hidden(Reason::Pattern(left_out.set, left_out.pattern)));
        }
        let mut ignored = None;
        let mut rules = Vec::new();
        for (index, _) in including.iter().filter(|(_, rule)| rule.path.components().count() == deepest) {
            match says(Role::Exclude(*index)) {
                Some((set, Some(pattern))) => ignored = Some(By::Hidden(Reason::Pattern(set, pattern))),
                _ => rules.push(*index),
            }
        }
        if rules.is_empty() { ignored } else { Some(By::Develop(rules)) }
    }

    /// What the container sees live wins over what goes into its image; then the deeper folder wins.
    fn judge_roots(
        &self,
        sight: &Sight,
        concerned: impl Fn(&Root) -> bool,
        heeds: impl Fn(&super::sight::LeftOut) -> bool,
    ) -> Option<By> {
        let roots = sight.roots.iter().filter_map(|&index| Some((index, self.watch.roots.get(index)?)));
        let (index, _) = roots.filter(|(_, root)| concerned(root)).max_by_key(|(index, root)| {
            (self.context_set(*index).is_none(), root.path.components().count())
        })?;
        let hidden = match self.context_set(index) {
            None => sight.left_out.filter(|left_out| heeds(left_out)).map(|out| (out.set, out.pattern)),
            Some(set) => set.and_then(|set| Some((set, (*sight.matched.get(set)?)?))),
        };
        Some(match hidden {
            Some((set, pattern)) => By::Hidden(Reason::Pattern(set, pattern)),
            None => By::Root(index),
        })
    }
}

impl PatternSet {
    fn listed(base: &Path, role: Role, list: &[String]) -> Self {
        Self { base: base.to_owned(), role, patterns: Patterns::list(list), file: None }
    }

    /// A path's text, relative to the base. Only asked for paths below it.
    pub(super) fn relative<'a>(&self, path: &'a str) -> &'a str {
        let base = self.base.to_string_lossy();
        path.strip_prefix(base.as_ref()).map_or(path, |rest| rest.trim_start_matches('/'))
    }
}

/// The ignore files that a build context could have, the one that counts first.
fn ignore_candidates(root: &Root) -> Vec<PathBuf> {
    let RootKind::Context { dockerfile } = &root.kind else { return Vec::new() };
    let own = dockerfile.as_ref().map(|dockerfile| {
        let mut name = dockerfile.clone().into_os_string();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    own.into_iter().chain([root.path.join(".dockerignore")]).collect()
}

/// Adds a context's patterns, and answers where those about its image are.
fn add_context(sets: &mut Vec<PatternSet>, root: &Root) -> Option<usize> {
    let file = ignore_candidates(root).into_iter().find(|file| file.is_file())?;
    let known = |set: &PatternSet| {
        set.role == Role::Image && set.base == root.path && set.file.as_ref() == Some(&file)
    };
    if let Some(index) = sets.iter().position(known) {
        return Some(index);
    }
    let image = match Patterns::read(&file) {
        Ok(patterns) => patterns,
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "cannot read the ignore file");
            return None;
        }
    };
    let live = Patterns::read(&file).unwrap_or_default().without_everything();
    let set =
        |role, patterns| PatternSet { base: root.path.clone(), role, patterns, file: Some(file.clone()) };
    sets.push(set(Role::Image, image));
    let index = sets.len() - 1;
    if !live.is_empty() {
        sets.push(set(Role::Live, live));
    }
    Some(index)
}
