//! The program that runs, and whether another one lies in its place by now: after an upgrade the daemon is still the old
//! one. It goes on; whoever asks is told.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The file that a process was started from.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Program {
    /// That of this process.
    pub fn of_process() -> io::Result<Self> {
        let path = std::env::current_exe()?;
        // On Linux this is the file itself, also when another one has its name by now.
        let running = Path::new("/proc/self/exe");
        let file = file_at(running).or_else(|| file_at(&path));
        // What was replaced before this came to look is named so.
        let text = path.to_string_lossy();
        let path = text.strip_suffix(" (deleted)").map(PathBuf::from).unwrap_or(path);
        Ok(Self { path, file })
    }

    /// Where it is, or was.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file at its path is another one, or none.
    pub fn is_replaced(&self) -> bool {
        self.file.is_some() && file_at(&self.path) != self.file
    }
}

/// Which file it is. One that was written in place changes no inode; but no program can be written to while it runs.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_in_its_place_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("devdd");
        std::fs::write(&path, "old").unwrap();
        let program = Program { path: path.clone(), file: file_at(&path) };
        assert!(!program.is_replaced());
        std::fs::write(dir.path().join("new"), "new").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert!(program.is_replaced());
        std::fs::remove_file(&path).unwrap();
        assert!(program.is_replaced());
    }

    #[test]
    fn this_one_is_where_it_was() {
        assert!(!Program::of_process().unwrap().is_replaced());
    }
}
