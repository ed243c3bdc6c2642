//! What is known of a project's watched files: their content, and the digest of each service's share of them.

use super::content::{self, Hash, Stat};
use super::project::{Contents, Part};
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    ops::Bound,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The index. Folders are named once and hold the names inside: with 100,000 files every byte counts.
#[derive(Debug, Default)]
pub(super) struct Index {
    root: PathBuf,
    folders: BTreeMap<PathBuf, Files>,
    /// The sets of services that share files. There are few of them, so that a file holds a number.
    classes: Vec<Box<[Member]>>,
    /// For each service the sums of its files: sums, so that one file can be taken out and put back.
    sums: Vec<Sums>,
    files: usize,
    unread: usize,
}

#[derive(Debug, Default)]
struct Files {
    /// The folder is watched. If not, it only holds single files that something names.
    watched: bool,
    /// Sorted by name.
    entries: Vec<Entry>,
}

/// A service that a file concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its place among the project's services.
    pub(super) service: u16,
    /// What of the service itself the file goes into; none when only its tests see it.
    pub(super) part: Option<Part>,
}

/// What a service's files sum up to.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Those of the service and of its tests.
    all: u128,
    own: Contents,
}

/// What is on disk for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    /// For the service and its tests.
    pub(super) all: u128,
    /// For the service itself.
    pub(super) own: Contents,
}

/// One file.
#[derive(Debug)]
struct Entry {
    name: Box<OsStr>,
    print: u64,
    hash: Hash,
    class: u16,
    read: bool,
}

/// What is known of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: it is not in the index.
    No,
    /// It is there, and was not read yet.
    Unread,
    /// Its print and its content.
    Read(u64, Hash),
}

impl Index {
    /// An empty index. Digests name files relative to `root`.
    pub(super) fn new(root: &Path, services: usize) -> Self {
        Self { root: root.to_owned(), sums: vec![Sums::default(); services], ..Self::default() }
    }

    /// How many files there are.
    pub(super) fn files(&self) -> usize {
        self.files
    }

    /// How many of them were not read yet.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    /// The digest of a service's files; none while there are files that were not read yet.
    pub(super) fn digest(&self, service: usize) -> Option<Digest> {
        let sums = self.sums.get(service).filter(|_| self.unread == 0)?;
        Some(Digest { all: sums.all, own: sums.own })
    }

    /// Whether a folder is watched.
    pub(super) fn is_watched(&self, folder: &Path) -> bool {
        self.folders.get(folder).is_some_and(|files| files.watched)
    }

    /// Remembers that a folder is watched.
    pub(super) fn watch(&mut self, folder: &Path) {
        if let Some(files) = self.folders.get_mut(folder) {
            files.watched = true;
        } else {
            self.folders.insert(folder.to_owned(), Files { watched: true, entries: Vec::new() });
        }
    }

    /// The watched folders, the outer ones first.
    pub(super) fn watched(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().filter(|(_, files)| files.watched).map(|(path, _)| path.as_path())
    }

    /// A folder and every folder below it.
    pub(super) fn tree(&self, top: &Path) -> Vec<PathBuf> {
        let range = self.folders.range::<Path, _>((Bound::Included(top), Bound::Unbounded));
        range.take_while(|(path, _)| path.starts_with(top)).map(|(path, _)| path.clone()).collect()
    }

    /// The names in a folder.
    pub(super) fn names(&self, folder: &Path) -> Vec<OsString> {
        let entries = self.folders.get(folder).map(|files| files.entries.as_slice()).unwrap_or_default();
        entries.iter().map(|entry| entry.name.to_os_string()).collect()
    }

    /// What is known of a file.
    pub(super) fn known(&self, folder: &Path, name: &OsStr) -> Known {
        match self.folders.get(folder).and_then(|files| files.find(name)) {
            None => Known::No,
            Some(entry) if entry.read => Known::Read(entry.print, entry.hash),
            Some(_) => Known::Unread,
        }
    }

    /// Adds a file that was not read yet, or says who its services are now.
    pub(super) fn put(&mut self, folder: &Path, name: &OsStr, members: &[Member]) {
        let class = self.class(members);
        if !self.folders.contains_key(folder) {
            self.folders.insert(folder.to_owned(), Files::default());
        }
        let Some(files) = self.folders.get_mut(folder) else { return };
        match files.place(name) {
            Err(at) => {
                let entry = Entry { name: name.into(), print: 0, hash: Hash::default(), class, read: false };
                files.entries.insert(at, entry);
                self.files += 1;
                self.unread += 1;
            }
            Ok(at) => {
                let Some(entry) = files.entries.get_mut(at).filter(|entry| entry.class != class) else {
                    return;
                };
                let (old, read, hash) = (entry.class, entry.read, entry.hash);
                entry.class = class;
                if read {
                    let term = term(&self.root, folder, name, hash);
                    self.sum(old, |sum| sum.wrapping_sub(term));
                    self.sum(class, |sum| sum.wrapping_add(term));
                }
            }
        }
    }

    /// Adds the files of a folder of which nothing is known yet; false when something is.
    pub(super) fn fill(&mut self, folder: &Path, names: &[(OsString, Vec<Member>)]) -> bool {
        let classes: Vec<u16> = names.iter().map(|(_, members)| self.class(members)).collect();
        let Some(files) = self.folders.get_mut(folder).filter(|files| files.entries.is_empty()) else {
            return false;
        };
        files.entries.reserve_exact(names.len());
        files.entries.extend(names.iter().zip(classes).map(|((name, _), class)| Entry {
            name: name.as_os_str().into(),
            print: 0,
            hash: Hash::default(),
            class,
            read: false,
        }));
        files.entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.files += names.len();
        self.unread += names.len();
        true
    }

    /// The number of a set of services.
    fn class(&mut self, members: &[Member]) -> u16 {
        let known = self.classes.iter().position(|class| **class == *members);
        let class = known.unwrap_or_else(|| {
            self.classes.push(members.into());
            self.classes.len() - 1
        });
        // More than 65,535 different sets of services cannot come from a compose file of 4 MiB.
        u16::try_from(class).unwrap_or(u16::MAX)
    }

    /// Says what a file holds.
    pub(super) fn set(&mut self, folder: &Path, name: &OsStr, print: u64, hash: Hash) {
        let Some(entry) = self.folders.get_mut(folder).and_then(|files| files.find_mut(name)) else { return };
        let (class, old) = (entry.class, entry.read.then_some(entry.hash));
        (entry.print, entry.hash, entry.read) = (print, hash, true);
        if old.is_none() {
            self.unread -= 1;
        }
        if old == Some(hash) {
            return;
        }
        if let Some(old) = old {
            let term = term(&self.root, folder, name, old);
            self.sum(class, |sum| sum.wrapping_sub(term));
        }
        let term = term(&self.root, folder, name, hash);
        self.sum(class, |sum| sum.wrapping_add(term));
    }

    /// Forgets a file; whether it was known.
    pub(super) fn remove(&mut self, folder: &Path, name: &OsStr) -> bool {
        let Some(files) = self.folders.get_mut(folder) else { return false };
        let Ok(at) = files.place(name) else { return false };
        let entry = files.entries.remove(at);
        if files.entries.is_empty() && !files.watched {
            self.folders.remove(folder);
        }
        self.files -= 1;
        if entry.read {
            let term = term(&self.root, folder, name, entry.hash);
            self.sum(entry.class, |sum| sum.wrapping_sub(term));
        } else {
            self.unread -= 1;
        }
        true
    }

    /// Forgets that a folder is watched; whether it was. Its files must be gone before.
    pub(super) fn unwatch(&mut self, folder: &Path) -> bool {
        let Some(files) = self.folders.get_mut(folder) else { return false };
        let watched = std::mem::take(&mut files.watched);
        if files.entries.is_empty() {
            self.folders.remove(folder);
        }
        watched
    }

    /// Gives back what growing the list of a folder's files took.
    pub(super) fn shrink(&mut self, folder: &Path) {
        if let Some(files) = self.folders.get_mut(folder) {
            files.entries.shrink_to_fit();
        }
    }

    /// Up to `count` files that were not read yet, in folders after `after`; and the last folder that was looked at.
    pub(super) fn unread_after(&self, after: Option<&Path>, count: usize) -> (Vec<PathBuf>, Option<PathBuf>) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        let mut last = None;
        for (path, files) in self.folders.range::<Path, _>((start, Bound::Unbounded)) {
            let unread = files.entries.iter().filter(|entry| !entry.read);
            found.extend(unread.map(|entry| path.join(&*entry.name)));
            last = Some(path);
            if found.len() >= count {
                break;
            }
        }
        (found, last.cloned())
    }

    fn sum(&mut self, class: u16, change: impl Fn(u128) -> u128) {
        for member in self.classes.get(usize::from(class)).into_iter().flatten() {
            let Some(sums) = self.sums.get_mut(usize::from(member.service)) else { continue };
            sums.all = change(sums.all);
            if let Some(part) = member.part {
                let sum = sums.own.part_mut(part);
                *sum = change(*sum);
            }
        }
    }
}

impl Files {
    fn place(&self, name: &OsStr) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| (*entry.name).cmp(name))
    }

    fn find(&self, name: &OsStr) -> Option<&Entry> {
        self.entries.get(self.place(name).ok()?)
    }

    fn find_mut(&mut self, name: &OsStr) -> Option<&mut Entry> {
        let at = self.place(name).ok()?;
        self.entries.get_mut(at)
    }
}

/// What one file adds to a digest: its name relative to the project, so that two copies of a project agree, and its
/// content.
fn term(root: &Path, folder: &Path, name: &OsStr, hash: Hash) -> u128 {
    let folder = folder.strip_prefix(root).unwrap_or(folder);
    u128::from_le_bytes(content::hash(&[folder.as_os_str().as_bytes(), name.as_bytes(), &hash]))
}

impl Known {
    /// Whether what is on disk is surely what is known.
    pub(super) fn is(self, stat: Stat) -> bool {
        matches!(self, Self::Read(print, _) if print == stat.print && !stat.recent)
    }
}
