//! What each service sees of a folder or a file: which of its roots and rules hold there, and what hides it.
//!
//! Built from the top down, one path component at a time, because that is how ignore rules are defined: a hidden
//! folder hides everything below, and Docker's patterns remember what matched above. A walk builds each folder's
//! sight once and asks it for every name inside.

use super::{
    builtin,
    ignore::{self, GitHit, GitLevel, Marks},
    rules::{Role, Rules, Service},
};
use crate::dockerignore::Seen;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why a path is hidden.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// A built-in rule, as a pattern.
    BuiltIn(&'static str),
    /// A folder with a cache tag.
    Cache(PathBuf),
    /// git's rules.
    Git(GitHit),
    /// A Docker pattern: the index of the service's pattern set, and of the pattern in it.
    Pattern(usize, usize),
}

/// A path that `.dockerignore` leaves out, seen through a mount.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeftOut {
    pub(super) set: usize,
    pub(super) pattern: usize,
    /// It looks like tests, so that the suite hears of it all the same.
    pub(super) tests: bool,
}

/// What one service sees of one path.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// A rule names exactly this path.
    pub(super) named: bool,
    /// Hidden, and everything below it.
    pub(super) hidden: Option<Reason>,
    /// Left out by `.dockerignore`.
    pub(super) left_out: Option<LeftOut>,
    /// Some part of the path below its root looks like tests.
    testish: bool,
    /// The roots that hold the path, as indices.
    pub(super) roots: Vec<usize>,
    /// The rules of `develop.watch` that hold the path, as indices.
    pub(super) develop: Vec<usize>,
    /// For each pattern set that reaches here, what its patterns saw; none for the others.
    seen: Vec<Option<Seen>>,
    /// For each pattern set, the pattern that matches the path.
    pub(super) matched: Vec<Option<usize>>,
}

impl Sight {
    /// Whether a root or a rule holds the path, and nothing hides it for good.
    pub(super) fn reaches(&self) -> bool {
        self.hidden.is_none() && !(self.roots.is_empty() && self.develop.is_empty())
    }
}

/// A folder, and what every service sees of it.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    git: Option<Arc<GitLevel>>,
    /// One entry a service.
    pub(super) sights: Vec<Sight>,
}

impl Folder {
    /// Whether any service watches something here.
    pub(super) fn is_watched(&self) -> bool {
        self.sights.iter().any(Sight::reaches)
    }
}

impl Rules {
    /// The folder at `path`, built from the highest folder that any rule names.
    pub(super) fn folder(&self, path: &Path) -> Folder {
        let Some(top) = self.top(path) else {
            return Folder {
                path: path.to_owned(),
                git: None,
                sights: vec![Sight::default(); self.services.len()],
            };
        };
        let spot =
            Spot { path: top, text: &top.to_string_lossy(), named: true, testish: false, hidden: None };
        let sights = self.services.iter().map(|service| service.sight(None, &spot)).collect();
        let mut folder = Folder { path: top.to_owned(), git: self.git.find(top, top), sights };
        for name in path.strip_prefix(top).unwrap_or(Path::new("")) {
            let draft = self.enter(&folder, name);
            let marks = if draft.sights.iter().all(|sight| sight.hidden.is_some()) {
                Marks::default()
            } else {
                Marks::of(&draft.path)
            };
            folder = self.finish(draft, marks);
        }
        folder
    }

    /// A folder to start a walk at, before anything inside it was read.
    pub(super) fn start(&self, path: &Path) -> Folder {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if self.top(path) != Some(path) => {
                self.enter(&self.folder(parent), name)
            }
            _ => self.folder(path),
        }
    }

    /// A folder inside a folder, before anything inside it was read.
    pub(super) fn enter(&self, around: &Folder, name: &OsStr) -> Folder {
        let path = around.path.join(name);
        let sights = self.sights(around, &path, name, true);
        Folder { path, git: around.git.clone(), sights }
    }

    /// Adds the rules that stand in the folder itself.
    pub(super) fn finish(&self, mut folder: Folder, marks: Marks) -> Folder {
        folder.git = self.git.enter(folder.git.take(), &folder.path, marks);
        if marks.cache && builtin::is_cache(&folder.path) {
            for (sight, service) in folder.sights.iter_mut().zip(&self.services) {
                if sight.hidden.is_none() && !service.is_base(&folder.path) {
                    sight.hidden = Some(Reason::Cache(folder.path.clone()));
                }
            }
        }
        folder
    }

    /// What every service sees of one name in a folder.
    pub(super) fn sights(&self, around: &Folder, path: &Path, name: &OsStr, is_dir: bool) -> Vec<Sight> {
        // Only asked where something is still visible.
        let hidden = if around.sights.iter().any(|sight| sight.hidden.is_none()) {
            builtin::hides(name)
                .map(Reason::BuiltIn)
                .or_else(|| ignore::hides(around.git.as_ref(), path, is_dir).map(Reason::Git))
        } else {
            None
        };
        let spot = Spot {
            path,
            text: &path.to_string_lossy(),
            named: self.is_named(path),
            testish: builtin::looks_like_tests(&name.to_string_lossy()),
            hidden,
        };
        let services = self.services.iter().zip(&around.sights);
        services.map(|(service, above)| service.sight(Some(above), &spot)).collect()
    }
}

/// What is the same about a path for every service.
struct Spot<'a> {
    path: &'a Path,
    /// The path as text: Docker's patterns are about text.
    text: &'a str,
    /// Some rule names exactly this path.
    named: bool,
    /// Its name looks like one of tests.
    testish: bool,
    /// What hides it from everybody who does not ask for it by name.
    hidden: Option<Reason>,
}

impl Service {
    /// What this service sees of a path, given what it sees of the folder around it.
    fn sight(&self, above: Option<&Sight>, spot: &Spot<'_>) -> Sight {
        let Spot { path, text, .. } = *spot;
        let named = spot.named && self.is_named(path);
        let base = named && self.is_base(path);
        let hidden = if base {
            None
        } else {
            above.and_then(|above| above.hidden.clone()).or_else(|| spot.hidden.clone())
        };
        let mut sight = Sight { named, hidden, ..Sight::default() };
        if let Some(above) = above {
            sight.roots.clone_from(&above.roots);
            sight.develop.clone_from(&above.develop);
        }
        if named {
            let roots = self.watch.roots.iter().enumerate().filter(|(_, root)| root.path == path);
            sight.roots.extend(roots.map(|(index, _)| index));
            let rules = self.watch.rules.iter().enumerate().filter(|(_, rule)| rule.path == path);
            sight.develop.extend(rules.map(|(index, _)| index));
        }
        if sight.roots.is_empty() && sight.develop.is_empty() {
            return sight;
        }
        sight.testish = !named && (spot.testish || above.is_some_and(|above| above.testish));
        self.match_patterns(&mut sight, above, path, text, base);
        self.hide_for_good(&mut sight, text);
        sight
    }

    fn match_patterns(&self, sight: &mut Sight, above: Option<&Sight>, path: &Path, text: &str, base: bool) {
        sight.seen.reserve_exact(self.sets.len());
        sight.matched.reserve_exact(self.sets.len());
        for (index, set) in self.sets.iter().enumerate() {
            let seen_above = above.and_then(|above| above.seen.get(index)).and_then(Option::as_ref);
            // What a compose file names is not hidden by what hides a folder above it.
            let starts =
                set.base == path || (base && set.role.yields_to_names() && path.starts_with(&set.base));
            let (matched, seen) = match seen_above {
                _ if starts => (None, Some(Seen::default())),
                Some(seen) => {
                    let (matched, seen) = set.patterns.step(set.relative(text), seen);
                    (matched, Some(seen))
                }
                None => (None, None),
            };
            if let (Some(pattern), Role::Live) = (matched, set.role) {
                let tests = above.and_then(|above| above.left_out).map_or(sight.testish, |above| above.tests);
                sight.left_out = Some(LeftOut { set: index, pattern, tests });
            }
            sight.seen.push(seen);
            sight.matched.push(matched);
        }
    }

    /// Decides whether nothing below the path can matter any more, so that it need not be watched.
    fn hide_for_good(&self, sight: &mut Sight, text: &str) {
        if sight.hidden.is_some() {
            return;
        }
        let for_good = |index: usize| -> Option<Reason> {
            let set = self.sets.get(index)?;
            let pattern = (*sight.matched.get(index)?)?;
            (!set.patterns.may_bring_back_below(set.relative(text)))
                .then_some(Reason::Pattern(index, pattern))
        };
        let own =
            (0..self.sets.len()).filter(|&index| self.role(index) == Some(Role::Own)).find_map(for_good);
        if own.is_some() {
            sight.hidden = own;
            return;
        }
        // Images: each build context here leaves it out.
        let mut images = None;
        let mut live_roots = !sight.develop.is_empty();
        for &root in &sight.roots {
            match self.context_set(root) {
                Some(Some(set)) => match for_good(set) {
                    Some(reason) => images = Some(reason),
                    None => return,
                },
                // A context without an ignore file.
                Some(None) => return,
                None => live_roots = true,
            }
        }
        sight.hidden = match sight.left_out {
            // Mounts: `.dockerignore` leaves it out there too, and the tests do not ask for it.
            Some(left_out) if live_roots && !left_out.tests => for_good(left_out.set),
            _ if live_roots => None,
            _ => images,
        };
    }
}
