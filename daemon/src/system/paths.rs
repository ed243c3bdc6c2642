//! Where things are.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The socket: `$DEVD_SOCKET`, else `$XDG_RUNTIME_DIR/devd/devd.sock`, else `/tmp/devd-$UID/devd.sock`.
pub fn socket(env: impl Fn(&str) -> Option<String>) -> PathBuf {
    let set = |name| env(name).filter(|value: &String| !value.is_empty());
    if let Some(path) = set("DEVD_SOCKET") {
        return PathBuf::from(path);
    }
    match set("XDG_RUNTIME_DIR") {
        Some(dir) => Path::new(&dir).join("devd/devd.sock"),
        None => PathBuf::from(format!("/tmp/devd-{}/devd.sock", rustix::process::geteuid().as_raw())),
    }
}

/// State: `$DEVD_STATE_DIR`, else `$XDG_STATE_HOME/devd`, else `~/.local/state/devd`.
pub fn state(env: impl Fn(&str) -> Option<String>) -> io::Result<PathBuf> {
    let set = |name| env(name).filter(|value: &String| !value.is_empty());
    if let Some(path) = set("DEVD_STATE_DIR") {
        return Ok(PathBuf::from(path));
    }
    if let Some(dir) = set("XDG_STATE_HOME") {
        return Ok(Path::new(&dir).join("devd"));
    }
    match etcetera::home_dir() {
        Ok(home) => Ok(home.join(".local/state/devd")),
        Err(_) => Err(io::Error::other("there is no home folder; set DEVD_STATE_DIR")),
    }
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
    fn the_socket_is_where_the_environment_says() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            socket(move |name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()))
        };
        assert_eq!(of(&[("DEVD_SOCKET", "/x/y.sock")]), Path::new("/x/y.sock"));
        assert_eq!(of(&[("XDG_RUNTIME_DIR", "/run/user/7")]), Path::new("/run/user/7/devd/devd.sock"));
        assert!(of(&[("DEVD_SOCKET", "")]).starts_with("/tmp"));
    }

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
