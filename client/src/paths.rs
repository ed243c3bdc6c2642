//! Where the socket, the state and the service files are.

use crate::error::Error;
use std::env;
use std::path::{Path, PathBuf};

/// The longest path a unix socket can have, without the byte that ends it.
pub(crate) const SOCKET_PATH_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// The socket of the daemon: see [`devd_proto::paths::socket`].
pub(crate) fn socket() -> Result<PathBuf, Error> {
    let path =
        devd_proto::paths::socket(|name| env::var_os(name), uid()).map_err(|error| no_folder(&error))?;
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

/// The folder of the daemon's state: see [`devd_proto::paths::state`].
pub(crate) fn state() -> Result<PathBuf, Error> {
    let state = devd_proto::paths::state(|name| env::var_os(name), env::home_dir());
    state.map_err(|error| no_folder(&error))?.ok_or_else(no_home)
}

/// `$XDG_CONFIG_HOME`, else `~/.config`.
pub(crate) fn config() -> Result<PathBuf, Error> {
    match devd_proto::paths::xdg(&|name: &str| env::var_os(name), "XDG_CONFIG_HOME") {
        Some(dir) => Ok(dir),
        None => Ok(home()?.join(".config")),
    }
}

pub(crate) fn home() -> Result<PathBuf, Error> {
    env::home_dir().filter(|home| home.is_absolute()).ok_or_else(no_home)
}

fn no_home() -> Error {
    Error::local("there is no home folder").help("set HOME")
}

/// A relative path means nothing in a folder that was removed.
fn no_folder(error: &std::io::Error) -> Error {
    Error::usage(format!("the current folder is not known: {error}"))
}

/// Absolute by the current folder, without asking the file system: the path need not exist.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    devd_proto::paths::absolute(path)
        .map_err(|error| Error::usage(format!("cannot make {} absolute: {error}", path.display())))
}

/// Those of the variables that are set, as absolute paths: the daemon's current folder is another one.
pub(crate) fn variables(names: &[&'static str]) -> Result<Vec<(&'static str, PathBuf)>, Error> {
    let set = names.iter().filter_map(|name| Some((*name, env::var_os(name).filter(|it| !it.is_empty())?)));
    set.map(|(name, value)| Ok((name, absolute(Path::new(&value))?))).collect()
}

/// The path as the text that goes into a request.
pub(crate) fn text(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::usage(format!("{} is not valid UTF-8", path.display())).help("devd needs paths in UTF-8")
    })
}

pub(crate) fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
