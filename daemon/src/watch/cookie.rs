//! Marks in the stream of events: a file made now is told of after everything that happened before.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// What the folders are called: this, the process, and a number.
const PREFIX: &str = "devd-watch-";

/// The folder for marks.
#[derive(Debug)]
pub(super) struct Cookies {
    folder: PathBuf,
}

impl Cookies {
    /// Makes the folder, below `parent` or the system's temporary folder.
    pub(super) fn new(parent: Option<&Path>) -> Result<Self, super::WatchError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        sweep(&parent);
        let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let cookies = Self { folder: parent.join(name) };
        match cookies.make_folder() {
            Ok(()) => Ok(cookies),
            Err(error) => Err(super::WatchError::Folder { path: cookies.folder.clone(), error }),
        }
    }

    /// The folder, to be watched.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder anew: cleaners of temporary folders take old ones away.
    pub(super) fn make_folder(&self) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(&self.folder) {
            // Left behind by a process that had our number; never somebody else's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let meta = fs::symlink_metadata(&self.folder)?;
                let ours = meta.is_dir() && meta.uid() == rustix::process::getuid().as_raw();
                if ours { Ok(()) } else { Err(error) }
            }
            result => result,
        }
    }

    /// Makes a mark.
    pub(super) fn put(&self, token: u64) -> io::Result<()> {
        fs::File::create(self.folder.join(token.to_string())).map(drop)
    }

    /// The mark that an event is about. The mark is taken away.
    pub(super) fn take(&self, path: &Path) -> Option<u64> {
        let token = path.strip_prefix(&self.folder).ok()?.to_str()?.parse().ok()?;
        // Told of twice: when it is made and when it is closed.
        _ = fs::remove_file(path);
        Some(token)
    }

    /// Takes the folder away. The last handle does so, because its process may end before the watcher's thread does.
    pub(super) fn end(&self) {
        _ = fs::remove_dir_all(&self.folder);
    }

    /// Whether an event is about this folder at all.
    pub(super) fn owns(&self, path: &Path) -> bool {
        path.starts_with(&self.folder)
    }
}

/// Takes away the folders of processes that were killed.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok());
        let Some(owner) = owner.and_then(rustix::process::Pid::from_raw) else { continue };
        // No such process, and not merely one that we may not touch.
        if rustix::process::test_kill_process(owner) == Err(rustix::io::Errno::SRCH) {
            // Somebody else's cannot be removed, which is right.
            _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Cookies {
    fn drop(&mut self) {
        self.end();
    }
}
