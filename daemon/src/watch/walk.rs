//! Walks folders: watches each before it is listed, so that nothing can appear unseen in between, and leaves out
//! what is hidden before it is watched at all.

use super::{
    builtin,
    ignore::Marks,
    index::{Index, Known, Member},
    sight::Folder,
    source::Touch,
    watched::{Batch, Watched},
    watches::Watches,
};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// How to walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct How<'a> {
    /// Report every difference to what is known. Otherwise what is found is the state of affairs.
    pub(super) report: bool,
    /// Watch known folders once more: they may be others under the same names.
    pub(super) renew: bool,
    /// What an older index knew.
    pub(super) from: Option<&'a Index>,
}

impl Watched {
    /// Walks a folder and everything below it that a service watches.
    pub(super) fn survey(&mut self, watches: &mut Watches, batch: &mut Batch, top: &Path, how: How<'_>) {
        let mut seen = BTreeSet::new();
        let mut stack = vec![self.rules.start(top)];
        while let Some(draft) = stack.pop() {
            // A root that is a file has no names inside.
            if !draft.is_watched() || (seen.is_empty() && !top.is_dir()) {
                continue;
            }
            if !self.index.is_watched(&draft.path) {
                batch.trouble(&draft.path, watches.hold(&draft.path));
                self.index.watch(&draft.path);
            } else if how.renew {
                batch.trouble(&draft.path, watches.renew(&draft.path));
            }
            let (names, marks) = match list(&draft.path) {
                Ok(listing) => listing,
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        tracing::warn!(folder = %draft.path.display(), %error, "cannot be listed");
                    }
                    // It is taken for empty. If it went away, so did its files.
                    Default::default()
                }
            };
            let folder = self.rules.finish(draft, marks);
            // The folder's own mark may have hidden it.
            if !folder.is_watched() {
                continue;
            }
            self.take_in(batch, &folder, names, how, &mut stack);
            seen.insert(folder.path);
        }
        for folder in self.index.tree(top) {
            if !seen.contains(&folder) {
                self.forget_one(watches, batch, &folder);
            }
        }
    }

    /// Forgets a folder with everything below it: it is no longer there, or nobody watches it any more.
    pub(super) fn forget(&mut self, watches: &mut Watches, batch: &mut Batch, top: &Path) {
        for folder in self.index.tree(top) {
            self.forget_one(watches, batch, &folder);
        }
    }

    /// Compares the names in a folder with what is known of it.
    fn take_in(
        &mut self,
        batch: &mut Batch,
        folder: &Folder,
        names: Vec<(OsString, bool)>,
        how: How<'_>,
        stack: &mut Vec<Folder>,
    ) {
        let mut files = Vec::new();
        for (name, is_dir) in names {
            if is_dir {
                stack.push(self.rules.enter(folder, &name));
                continue;
            }
            let members = self.rules.members(folder, &folder.path.join(&name), &name);
            if !members.is_empty() {
                files.push((name, members));
            }
        }
        let older = how.from.filter(|index| index.is_watched(&folder.path));
        if how.report || older.is_some() || !self.index.fill(&folder.path, &files) {
            self.compare(batch, folder, &files, how.report, older);
        }
    }

    /// Compares the files in a folder with what is known of them.
    fn compare(
        &mut self,
        batch: &mut Batch,
        folder: &Folder,
        files: &[(OsString, Vec<Member>)],
        report: bool,
        older: Option<&Index>,
    ) {
        for (name, members) in files {
            let path = folder.path.join(name);
            if report && self.index.known(&folder.path, name) == Known::No {
                // It may still be written to.
                batch.later.push(path);
                continue;
            }
            self.index.put(&folder.path, name, members);
            if let Some(Known::Read(print, hash)) = older.map(|index| index.known(&folder.path, name)) {
                self.index.set(&folder.path, name, print, hash);
            }
            if report {
                self.look(batch, &path, Touch::Done, false);
            }
        }
        let files: BTreeSet<&OsString> = files.iter().map(|(name, _)| name).collect();
        for name in self.index.names(&folder.path) {
            if !files.contains(&name) {
                self.leave_out(batch, &folder.path.join(name));
            }
        }
        self.index.shrink(&folder.path);
    }

    /// A file that is not among those watched: gone, or ignored now.
    fn leave_out(&mut self, batch: &mut Batch, path: &Path) {
        if fs::symlink_metadata(path).is_err() {
            self.gone(batch, path);
        } else if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            self.index.remove(folder, name);
        }
    }

    fn forget_one(&mut self, watches: &mut Watches, batch: &mut Batch, folder: &Path) {
        let watched = self.index.is_watched(folder);
        for name in self.index.names(folder) {
            let path = folder.join(name);
            // In a folder that is not watched, files are there because something names them.
            if watched || fs::symlink_metadata(&path).is_err() {
                self.leave_out(batch, &path);
            }
        }
        if watched && self.index.unwatch(folder) {
            watches.release(folder);
        }
    }
}

/// The names in a folder and whether they are folders, and the files among them that matter to ignore rules.
fn list(folder: &Path) -> io::Result<(Vec<(OsString, bool)>, Marks)> {
    let mut names = Vec::new();
    let mut marks = Marks::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        match name.to_str() {
            Some(".git") => marks.git = true,
            Some(".gitignore") => marks.gitignore = true,
            Some(builtin::CACHE_TAG) => marks.cache = true,
            _ => {}
        }
        let kind = entry.file_type()?;
        if kind.is_dir() || kind.is_file() || kind.is_symlink() {
            names.push((name, kind.is_dir()));
        }
    }
    Ok((names, marks))
}

/// The folder that a polled folder belongs to, for messages: one for a whole tree.
pub(super) fn outermost<'a>(folder: &Path, starts: &'a BTreeSet<PathBuf>, project: &'a Path) -> &'a Path {
    starts.iter().map(PathBuf::as_path).find(|start| folder.starts_with(start)).unwrap_or(project)
}
