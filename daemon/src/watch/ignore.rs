//! git's ignore rules: `.gitignore` from the top of the repository down, and `.git/info/exclude`.

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// One ignore file of git's.
#[derive(Debug)]
pub(super) struct GitFile {
    path: PathBuf,
    text: String,
    matcher: Gitignore,
}

/// The ignore files that hold in a folder, the nearest first.
#[derive(Debug)]
pub(super) struct GitLevel {
    file: Arc<GitFile>,
    above: Option<Arc<GitLevel>>,
}

/// A pattern of git's that hides a path.
#[derive(Clone, Debug)]
pub(super) struct GitHit {
    file: Arc<GitFile>,
    pattern: String,
}

impl GitHit {
    /// The pattern as it is written.
    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The file it stands in.
    pub(super) fn file(&self) -> &Path {
        &self.file.path
    }

    /// Its line, from 1. The last one when it is written twice: that is the one that counts.
    pub(super) fn line(&self) -> Option<u32> {
        let lines = self.file.text.lines().zip(1..);
        lines.filter(|(line, _)| line.trim_end() == self.pattern.trim_end()).map(|(_, number)| number).last()
    }
}

/// The pattern that hides a path, if one does. The nearest file that says anything about it decides.
pub(super) fn hides(level: Option<&Arc<GitLevel>>, path: &Path, is_dir: bool) -> Option<GitHit> {
    let mut next = level;
    while let Some(level) = next {
        match level.file.matcher.matched(path, is_dir) {
            Match::Ignore(glob) => {
                return Some(GitHit { file: Arc::clone(&level.file), pattern: glob.original().to_owned() });
            }
            Match::Whitelist(_) => return None,
            Match::None => next = level.above.as_ref(),
        }
    }
    None
}

/// Reads ignore files, each once for every version of it.
#[derive(Debug, Default)]
pub(super) struct GitReader {
    cache: RefCell<BTreeMap<PathBuf, (Stamp, Arc<GitFile>)>>,
}

/// Which version of an ignore file was read.
type Stamp = (u64, u64, i64, i64);

impl GitReader {
    /// The rules inside `folder`, given those around it. A repository inside a repository knows nothing of the outer
    /// one's rules.
    pub(super) fn enter(
        &self,
        around: Option<Arc<GitLevel>>,
        folder: &Path,
        marks: Marks,
    ) -> Option<Arc<GitLevel>> {
        let mut level = around;
        if marks.git {
            level = exclude_file(folder).and_then(|file| self.push(None, folder, &file));
        }
        if marks.gitignore {
            level = self.push(level, folder, &folder.join(".gitignore"));
        }
        level
    }

    /// The rules inside `folder`, found by going up to the top of its repository, or to `top` when it is in none.
    pub(super) fn find(&self, folder: &Path, top: &Path) -> Option<Arc<GitLevel>> {
        let repository = folder.ancestors().find(|folder| fs::symlink_metadata(folder.join(".git")).is_ok());
        let top = repository.unwrap_or(top);
        let mut way: Vec<&Path> = folder.ancestors().take_while(|folder| folder.starts_with(top)).collect();
        way.reverse();
        way.into_iter().fold(None, |level, folder| self.enter(level, folder, Marks::of(folder)))
    }

    fn push(&self, above: Option<Arc<GitLevel>>, folder: &Path, path: &Path) -> Option<Arc<GitLevel>> {
        match self.read(folder, path) {
            Some(file) => Some(Arc::new(GitLevel { file, above })),
            None => above,
        }
    }

    fn read(&self, folder: &Path, path: &Path) -> Option<Arc<GitFile>> {
        let meta = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let stamp = (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec());
        let key = path.to_owned();
        if let Some((known, file)) = self.cache.borrow().get(&key)
            && *known == stamp
        {
            return Some(Arc::clone(file));
        }
        let text = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
        let mut builder = GitignoreBuilder::new(folder);
        for line in text.strip_prefix('\u{feff}').unwrap_or(&text).lines() {
            if let Err(error) = builder.add_line(Some(key.clone()), line) {
                // git skips a pattern that it cannot read.
                tracing::debug!(file = %path.display(), pattern = line, %error, "ignore pattern cannot be read");
            }
        }
        let matcher = builder.build().ok()?;
        let file = Arc::new(GitFile { path: key.clone(), text, matcher });
        self.cache.borrow_mut().insert(key, (stamp, Arc::clone(&file)));
        Some(file)
    }
}

/// Which files that matter to ignore rules a folder holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// `.git`: the top of a repository.
    pub(super) git: bool,
    /// `.gitignore`.
    pub(super) gitignore: bool,
    /// `CACHEDIR.TAG`.
    pub(super) cache: bool,
}

impl Marks {
    /// Looks for them.
    pub(super) fn of(folder: &Path) -> Self {
        let has = |name: &str| fs::symlink_metadata(folder.join(name)).is_ok();
        Self { git: has(".git"), gitignore: has(".gitignore"), cache: has(super::builtin::CACHE_TAG) }
    }
}

/// The repository's own `info/exclude`. In a worktree and in a submodule `.git` is a file that says where the
/// repository is.
fn exclude_file(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    let git = match fs::read_to_string(&git) {
        Ok(pointer) => folder.join(pointer.strip_prefix("gitdir:")?.trim()),
        Err(_) => git,
    };
    let common = match fs::read_to_string(git.join("commondir")) {
        Ok(common) => git.join(common.trim()),
        Err(_) => git,
    };
    Some(common.join("info/exclude"))
}
