//! Which folders are watched, for how many reasons, and by which means.

use super::inbox::Counts;
use super::source::{Refused, Source};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The watches of all projects.
#[derive(Debug)]
pub(super) struct Watches {
    source: Source,
    /// How many reasons there are to watch a folder: projects, and things whose appearing in it matters.
    holds: BTreeMap<PathBuf, u32>,
    /// Why everything is polled, when it is.
    blind: Option<String>,
    /// Folders on file systems that tell nothing of other machines' changes, with the name of the file system.
    foreign: BTreeMap<PathBuf, &'static str>,
    /// The system's limit was reached.
    full: bool,
    counts: Arc<Counts>,
}

/// Why a folder is polled, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trouble {
    pub(super) reason: String,
    pub(super) help: String,
}

impl Watches {
    /// Around a source.
    pub(super) fn new(source: Source, blind: Option<String>, counts: Arc<Counts>) -> Self {
        Self { source, holds: BTreeMap::new(), blind, foreign: BTreeMap::new(), full: false, counts }
    }

    /// What is counted.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The source.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Whether a folder is watched for any reason.
    pub(super) fn is_held(&self, folder: &Path) -> bool {
        self.holds.contains_key(folder)
    }

    /// Learns about the file system under a folder that will be watched with all that is below it.
    pub(super) fn survey(&mut self, root: &Path) {
        if let Some(kind) = foreign(root) {
            self.foreign.insert(root.to_owned(), kind);
        }
    }

    /// Adds a reason to watch a folder.
    pub(super) fn hold(&mut self, folder: &Path) -> Option<Trouble> {
        if let Some(count) = self.holds.get_mut(folder) {
            *count += 1;
            return None;
        }
        self.holds.insert(folder.to_owned(), 1);
        self.counts.folders(self.holds.len());
        self.renew(folder)
    }

    /// Watches a folder once more, because it may be another one under the same name.
    pub(super) fn renew(&mut self, folder: &Path) -> Option<Trouble> {
        let trouble = self.trouble(folder);
        if trouble.is_some() {
            self.source.poll(folder);
            return trouble;
        }
        match self.source.watch(folder) {
            Ok(()) => {
                if self.source.is_polling() {
                    self.source.stop_polling(folder);
                }
                None
            }
            Err(Refused::Gone) => None,
            Err(Refused::Limit) => {
                self.full = true;
                self.source.poll(folder);
                Some(Trouble::limit())
            }
            Err(Refused::Other(reason)) => {
                tracing::warn!(folder = %folder.display(), reason, "cannot watch, polling instead");
                self.source.poll(folder);
                Some(Trouble { reason, help: "devd polls this folder instead".to_owned() })
            }
        }
    }

    /// Watches the folder of the marks once more. Its old watch went with the folder that it was of, so that there is room
    /// for it although all watches are taken. Whether the system tells of it.
    pub(super) fn renew_marks(&mut self, folder: &Path) -> bool {
        self.source.watch(folder).is_ok()
    }

    /// Takes a reason away; the last one ends the watch.
    pub(super) fn release(&mut self, folder: &Path) {
        let Some(count) = self.holds.get_mut(folder) else { return };
        *count -= 1;
        if *count == 0 {
            self.holds.remove(folder);
            self.counts.folders(self.holds.len());
            self.source.unwatch(folder);
            // There is room again for others.
            self.full = false;
        }
    }

    fn trouble(&self, folder: &Path) -> Option<Trouble> {
        if let Some(reason) = &self.blind {
            let help =
                "raise fs.inotify.max_user_instances, e.g. `sudo sysctl fs.inotify.max_user_instances=512`";
            return Some(Trouble { reason: reason.clone(), help: help.to_owned() });
        }
        if let Some((_, kind)) = self.foreign.iter().find(|(root, _)| folder.starts_with(root)) {
            return Some(Trouble {
                reason: format!("{kind} does not tell of changes that other machines make"),
                help: "devd looks once a second; a folder on a local disk is quicker".to_owned(),
            });
        }
        self.full.then(Trouble::limit)
    }
}

impl Trouble {
    fn limit() -> Self {
        Self {
            reason: "all file watches that the system allows are taken".to_owned(),
            help: "raise fs.inotify.max_user_watches, e.g. `sudo sysctl fs.inotify.max_user_watches=1048576`"
                .to_owned(),
        }
    }
}

/// The name of a file system that has no events for changes made elsewhere.
#[cfg(target_os = "linux")]
fn foreign(folder: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(folder).ok()?.f_type;
    // From statfs(2). The type of the field differs between machines, its low 32 bits do not.
    match kind as u32 {
        0x6969 => Some("NFS"),
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE"),
        0x00C3_6400 => Some("Ceph"),
        0x5346_414F => Some("AFS"),
        0x786F_4256 => Some("a VirtualBox folder"),
        _ => None,
    }
}

/// Elsewhere the system's own events are all there is.
#[cfg(not(target_os = "linux"))]
fn foreign(_folder: &Path) -> Option<&'static str> {
    None
}

/// The folders to watch so that the coming and going of `targets` is noticed: all folders above them, as far as the
/// folder around the project. A folder that is moved away takes its watches along and says nothing, so that the
/// one folder around a target is not enough.
pub(super) fn anchors(targets: &BTreeSet<PathBuf>, project: &Path) -> BTreeSet<PathBuf> {
    let mut anchors = BTreeSet::new();
    for target in targets {
        let mut found = 0;
        for folder in target.ancestors().skip(1).filter(|folder| folder.is_dir()) {
            anchors.insert(folder.to_owned());
            found += 1;
            // Outside the project: the folder around it, and the one around that.
            if folder == project.parent().unwrap_or(project) || (found == 2 && !folder.starts_with(project)) {
                break;
            }
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::super::inbox::inbox;
    use super::super::keeper::Input;
    use super::super::source::Touch;
    use super::*;
    use std::time::Duration;

    /// A cleaner of temporary folders takes the marks' folder away; a mark that nobody tells of was waited for at each
    /// question, for ever.
    #[test]
    fn the_folder_for_marks_is_watched_again_when_all_watches_are_taken() {
        let (inbox, events) = inbox();
        let (source, blind) = Source::new(&inbox, false, Duration::from_secs(1000)).unwrap();
        let mut watches = Watches::new(source, blind, Arc::clone(&inbox.counts));
        let folder = tempfile::tempdir().unwrap();
        let marks = folder.path().join("marks");
        std::fs::create_dir(&marks).unwrap();
        assert!(watches.hold(&marks).is_none());
        watches.full = true;
        std::fs::remove_dir(&marks).unwrap();
        std::fs::create_dir(&marks).unwrap();
        assert!(watches.renew_marks(&marks));
        std::fs::write(marks.join("1"), "").unwrap();
        let told =
            |input: Input| matches!(input, Input::Touched(path, Touch::Done) if path == marks.join("1"));
        let patience = Duration::from_secs(60);
        while !told(events.recv_timeout(patience).unwrap()) {}
        assert!(
            !marks.with_file_name("never").exists() && !watches.renew_marks(&marks.with_file_name("never"))
        );
    }
}
