//! Where the socket, the state and the service files are.

use crate::error::Error;
use std::env;
use std::path::{Path, PathBuf};

/// The longest path a unix socket can have, without the byte that ends it.
pub(crate) const SOCKET_PATH_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// `$DEVD_SOCKET`, else `$XDG_RUNTIME_DIR/devd/devd.sock`, else `/tmp/devd-$UID/devd.sock`.
pub(crate) fn socket() -> Result<PathBuf, Error> {
    let path = match (variable("DEVD_SOCKET"), variable("XDG_RUNTIME_DIR")) {
        (Some(socket), _) => absolute(&socket)?,
        (None, Some(runtime)) => runtime.join("devd/devd.sock"),
        (None, None) => PathBuf::from(format!("/tmp/devd-{}/devd.sock", uid())),
    };
    let length = path.as_os_str().len();
    if length > SOCKET_PATH_MAX {
        return Err(Error::unreachable(format!(
            "the socket path is too long: {length} bytes, and the system allows {SOCKET_PATH_MAX}: {}",
            path.display()
        ))
        .help(
            "set DEVD_SOCKET to a shorter path, for example /tmp/devd-$UID/devd.sock, for devd and devdd",
        ));
    }
    Ok(path)
}

/// The folder the socket is in.
pub(crate) fn folder_of(socket: &Path) -> &Path {
    socket.parent().unwrap_or(Path::new("/"))
}

/// `$DEVD_STATE_DIR`, else `$XDG_STATE_HOME/devd`, else `~/.local/state/devd`.
pub(crate) fn state() -> Result<PathBuf, Error> {
    if let Some(dir) = variable("DEVD_STATE_DIR") {
        return absolute(&dir);
    }
    match variable("XDG_STATE_HOME").filter(|dir| dir.is_absolute()) {
        Some(dir) => Ok(dir.join("devd")),
        None => Ok(home()?.join(".local/state/devd")),
    }
}

/// `$XDG_CONFIG_HOME`, else `~/.config`.
pub(crate) fn config() -> Result<PathBuf, Error> {
    match variable("XDG_CONFIG_HOME").filter(|dir| dir.is_absolute()) {
        Some(dir) => Ok(dir),
        None => Ok(home()?.join(".config")),
    }
}

pub(crate) fn home() -> Result<PathBuf, Error> {
    env::home_dir()
        .filter(|home| home.is_absolute())
        .ok_or_else(|| Error::local("there is no home folder").help("set HOME"))
}

/// Absolute by the current folder, without asking the file system: the path need not exist.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let joined = std::path::absolute(path)
        .map_err(|error| Error::usage(format!("cannot make {} absolute: {error}", path.display())))?;
    Ok(without_dots(&joined))
}

/// The same as `a/../b` → `b`, as every editor and shell shows it.
fn without_dots(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}

/// The path as the text that goes into a request.
pub(crate) fn text(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::usage(format!("{} is not valid UTF-8", path.display())).help("devd needs paths in UTF-8")
    })
}

pub(crate) fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_resolved_without_the_file_system() {
        assert_eq!(absolute(Path::new("/a/./b/../no such/c")).unwrap(), Path::new("/a/no such/c"));
        assert_eq!(absolute(Path::new("/..")).unwrap(), Path::new("/"));
        assert!(absolute(Path::new("x")).unwrap().is_absolute());
    }
}
