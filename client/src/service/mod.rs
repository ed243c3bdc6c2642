//! Starting at login: what the system's service manager is told.

pub(crate) mod launchd;
pub(crate) mod systemd;

use crate::error::Error;
use crate::{launch, paths};
use std::fs;
use std::io;
use std::path::Path;

/// Stands in every file that `devd install` writes, so that it never touches another.
pub(crate) const MARKER: &str = "Written by `devd install`; `devd uninstall` removes it.";

/// How a service file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Present {
    /// It is not there.
    No,
    /// We wrote it.
    Ours,
    /// Somebody else did.
    Foreign,
}

pub(crate) fn present(file: &Path) -> Result<Present, Error> {
    match fs::read_to_string(file) {
        Ok(text) if text.lines().take(3).any(|line| line.contains(MARKER)) => Ok(Present::Ours),
        Ok(_) => Ok(Present::Foreign),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Present::No),
        Err(error) => Err(Error::local(format!("cannot read {}: {error}", file.display()))),
    }
}

/// Refuses to go on where it would overwrite what it did not write.
pub(crate) fn check(file: &Path, force: bool) -> Result<(), Error> {
    match present(file)? {
        Present::Foreign if !force => {
            Err(Error::local(format!("{} is there, and devd did not write it", file.display()))
                .help("look at it, then `devd install --force` overwrites it"))
        }
        Present::No | Present::Ours | Present::Foreign => Ok(()),
    }
}

pub(crate) fn write(file: &Path, text: &str) -> Result<(), Error> {
    let failed = |error| Error::local(format!("cannot write {}: {error}", file.display()));
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(file, text).map_err(failed)
}

/// Removes the file when it is ours; whether it was there.
pub(crate) fn remove(file: &Path, force: bool) -> Result<bool, Error> {
    match present(file)? {
        Present::No => Ok(false),
        Present::Foreign if !force => {
            Err(Error::local(format!("{} is there, but devd did not write it", file.display()))
                .help("look at it, then `devd uninstall --force` removes it"))
        }
        Present::Ours | Present::Foreign => fs::remove_file(file)
            .map(|()| true)
            .map_err(|error| Error::local(format!("cannot remove {}: {error}", file.display()))),
    }
}

/// What the service file must repeat because the service manager does not read the shell's start-up files.
pub(crate) fn kept_environment() -> Result<Vec<(String, String)>, Error> {
    let mut kept = Vec::new();
    for name in ["DOCKER_HOST", "DOCKER_CONTEXT"] {
        if let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) {
            kept.push((name.to_owned(), value));
        }
    }
    for (name, path) in paths::variables(&["DOCKER_CONFIG", "DEVD_STATE_DIR", "DEVD_CONFIG"])? {
        kept.push((name.to_owned(), paths::text(&path)?));
    }
    Ok(kept)
}

/// The service file of this system, written or not.
pub(crate) fn file() -> Result<std::path::PathBuf, Error> {
    if cfg!(target_os = "macos") { launchd::file() } else { Ok(systemd::folder()?.join(systemd::SERVICE)) }
}

pub(crate) async fn run(program: &str, arguments: &[&str]) -> bool {
    launch::succeeds(program, arguments).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_file_is_overwritten_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/devdd.service");
        assert_eq!(present(&file).unwrap(), Present::No);
        assert!(!remove(&file, false).unwrap());
        write(&file, &format!("# {MARKER}\n[Unit]\n")).unwrap();
        assert_eq!(present(&file).unwrap(), Present::Ours);
        check(&file, false).unwrap();
        assert!(remove(&file, false).unwrap());

        write(&file, "[Unit]\nDescription=mine\n").unwrap();
        assert_eq!(present(&file).unwrap(), Present::Foreign);
        assert!(check(&file, false).is_err());
        check(&file, true).unwrap();
        assert!(remove(&file, false).is_err());
        assert!(file.exists());
    }
}
