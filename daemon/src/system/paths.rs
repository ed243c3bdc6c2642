//! Where things are, and folders that are for nobody else.

use devd_proto::private::Private;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The socket, by the environment of this process.
pub fn socket() -> io::Result<PathBuf> {
    devd_proto::paths::socket(|name| std::env::var_os(name), owner())
}

/// The folder of the state, by the environment of this process.
pub fn state() -> io::Result<PathBuf> {
    let state = devd_proto::paths::state(|name| std::env::var_os(name), etcetera::home_dir().ok())?;
    state.ok_or_else(|| io::Error::other("there is no home folder; set DEVD_STATE_DIR"))
}

/// Who this process acts for.
pub fn owner() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes a folder of the state that only its owner can enter, or sees that it is one.
pub fn private_folder(path: &Path) -> io::Result<()> {
    Ok(Private::state(owner()).make(path)?)
}

/// Opens a file of the state that only its owner can use, or makes it: never through a link.
pub fn private_file(path: &Path, access: &OpenOptions) -> io::Result<File> {
    Ok(Private::state(owner()).open(path, access)?)
}
