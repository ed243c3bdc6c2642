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
        self.hidden.is_none() && self.is_inside()
    }

    /// Whether a root or a rule holds the path.
    fn is_inside(&self) -> bool {
        !(self.roots.is_empty() && self.develop.is_empty())
    }
}

/// What every service sees of one path. Most paths are below one service's roots only, so that nothing is done for each
/// of the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Sights {
    /// By the service's index, in order: those that a root or a rule of theirs brought here, and those that name the path.
    pub(super) of: Vec<(u16, Sight)>,
    /// What hides the path from all the others, should they name something below it.
    hidden: Option<Reason>,
}

impl Sights {
    /// Whether the path is not hidden from everybody.
    fn are_visible(&self) -> bool {
        self.hidden.is_none() || self.of.iter().any(|(_, sight)| sight.hidden.is_none())
    }
}

/// A folder, and what every service sees of it.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    git: Option<Arc<GitLevel>>,
    pub(super) sights: Sights,
}

impl Folder {
    /// Whether any service watches something here.
    pub(super) fn is_watched(&self) -> bool {
        self.sights.of.iter().any(|(_, sight)| sight.reaches())
    }
}

impl Rules {
    /// The folder at `path`, built from the highest folder that any rule names.
    pub(super) fn folder(&self, path: &Path) -> Folder {
        let Some(top) = self.top(path) else {
            return Folder { path: path.to_owned(), git: None, sights: Sights::default() };
        };
        let spot =
            Spot { path: top, text: &top.to_string_lossy(), named: true, testish: false, hidden: None };
        let mut folder = Folder {
            path: top.to_owned(),
            git: self.git.find(top, top),
            sights: self.spot(&Sights::default(), &spot),
        };
        for name in path.strip_prefix(top).unwrap_or(Path::new("")) {
            let draft = self.enter(&folder, name);
            let marks = if draft.sights.are_visible() { Marks::of(&draft.path) } else { Marks::default() };
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
            let cache = Reason::Cache(folder.path.clone());
            for (index, sight) in &mut folder.sights.of {
                let service = self.services.get(usize::from(*index));
                if sight.hidden.is_none() && service.is_some_and(|service| !service.is_base(&folder.path)) {
                    sight.hidden = Some(cache.clone());
                }
            }
            if folder.path != self.set.root {
                folder.sights.hidden.get_or_insert(cache);
            }
        }
        folder
    }

    /// What every service sees of one name in a folder.
    pub(super) fn sights(&self, around: &Folder, path: &Path, name: &OsStr, is_dir: bool) -> Sights {
        // Only asked where something is still visible.
        let hidden = if around.sights.are_visible() {
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
        self.spot(&around.sights, &spot)
    }

    /// What every service sees of a path, given what they see of the folder around it.
    fn spot(&self, around: &Sights, spot: &Spot<'_>) -> Sights {
        let mut of = Vec::new();
        let mut above = around.of.iter().filter(|(_, sight)| sight.is_inside()).peekable();
        // All the others are strangers here, until they name something.
        let stranger = Sight { hidden: around.hidden.clone(), ..Sight::default() };
        for (index, service) in (0_u16..).zip(&self.services) {
            if let Some((_, above)) = above.next_if(|(at, _)| *at == index) {
                of.push((index, service.sight(above, spot)));
            } else if spot.named && service.is_named(spot.path) {
                of.push((index, service.sight(&stranger, spot)));
            }
        }
        // The project's own folder is a base of every service.
        let hidden = stranger.hidden.or_else(|| spot.hidden.clone()).filter(|_| spot.path != self.set.root);
        Sights { of, hidden }
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
    fn sight(&self, above: &Sight, spot: &Spot<'_>) -> Sight {
        let Spot { path, text, .. } = *spot;
        let named = spot.named && self.is_named(path);
        let base = named && self.is_base(path);
        let hidden = if base { None } else { above.hidden.clone().or_else(|| spot.hidden.clone()) };
        let mut sight = Sight {
            named,
            hidden,
            roots: above.roots.clone(),
            develop: above.develop.clone(),
            ..Sight::default()
        };
        if named {
            let roots = self.watch.roots.iter().enumerate().filter(|(_, root)| root.path == path);
            sight.roots.extend(roots.map(|(index, _)| index));
            let rules = self.watch.rules.iter().enumerate().filter(|(_, rule)| rule.path == path);
            sight.develop.extend(rules.map(|(index, _)| index));
        }
        if !sight.is_inside() {
            return sight;
        }
        sight.testish = !named && (spot.testish || above.testish);
        self.match_patterns(&mut sight, above, path, text, base);
        self.hide_for_good(&mut sight, text);
        sight
    }

    fn match_patterns(&self, sight: &mut Sight, above: &Sight, path: &Path, text: &str, base: bool) {
        sight.seen.reserve_exact(self.sets.len());
        sight.matched.reserve_exact(self.sets.len());
        for (index, set) in self.sets.iter().enumerate() {
            let seen_above = above.seen.get(index).and_then(Option::as_ref);
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
                let tests = above.left_out.map_or(sight.testish, |above| above.tests);
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
