//! Where things are, and folders that are for nobody else.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The socket, by the environment of this process.
pub fn socket() -> io::Result<PathBuf> {
    devd_proto::paths::socket(|name| std::env::var_os(name), rustix::process::geteuid().as_raw())
}

/// The folder of the state, by the environment of this process.
pub fn state() -> io::Result<PathBuf> {
    let state = devd_proto::paths::state(|name| std::env::var_os(name), etcetera::home_dir().ok())?;
    state.ok_or_else(|| io::Error::other("there is no home folder; set DEVD_STATE_DIR"))
}

/// Makes a folder that only its owner can enter, or checks that it is one.
pub fn private_folder(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) => {
            let owner = rustix::process::geteuid().as_raw();
            if !found.is_dir() {
                return Err(io::Error::other(format!("{} is not a folder", path.display())));
            }
            if found.uid() != owner {
                return Err(io::Error::other(format!("{} belongs to another user", path.display())));
            }
            if found.mode() & 0o077 != 0 {
                std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            DirBuilder::new().mode(0o700).create(path)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_folder_is_made_and_an_open_one_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        private_folder(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        private_folder(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_symlink_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(private_folder(&dir.path().join("link")).is_err());
    }
}
