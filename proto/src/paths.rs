//! Where the socket and the state are. The daemon and its client must come to the same answers.

use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// `$DEVD_SOCKET`, else `$XDG_RUNTIME_DIR/devd/devd.sock`, else `/tmp/devd-$UID/devd.sock`.
pub fn socket(env: impl Fn(&str) -> Option<OsString>, uid: u32) -> io::Result<PathBuf> {
    if let Some(path) = set(&env, "DEVD_SOCKET") {
        return absolute(&path);
    }
    Ok(match xdg(&env, "XDG_RUNTIME_DIR") {
        Some(dir) => dir.join("devd/devd.sock"),
        None => PathBuf::from(format!("/tmp/devd-{uid}/devd.sock")),
    })
}

/// `$DEVD_STATE_DIR`, else `$XDG_STATE_HOME/devd`, else `~/.local/state/devd`. None where there is no home folder.
pub fn state(env: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> io::Result<Option<PathBuf>> {
    if let Some(path) = set(&env, "DEVD_STATE_DIR") {
        return absolute(&path).map(Some);
    }
    Ok(match xdg(&env, "XDG_STATE_HOME") {
        Some(dir) => Some(dir.join("devd")),
        None => home.filter(|home| home.is_absolute()).map(|home| home.join(".local/state/devd")),
    })
}

/// Absolute by the current folder and without dots, as every editor and shell shows it. The path need not exist.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let mut out = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    Ok(out)
}

fn set(env: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    env(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A folder of the XDG specification, which says to ignore one that is relative.
pub fn xdg(env: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    set(env, name).filter(|dir| dir.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    }

    #[test]
    fn the_socket_is_where_the_environment_says() {
        let of = |pairs| socket(env(pairs), 7).unwrap();
        let here = |path: &str| std::env::current_dir().unwrap().join(path);
        let usual = Path::new("/tmp/devd-7/devd.sock");
        assert_eq!(
            of(&[("DEVD_SOCKET", "/x/./z/../y.sock"), ("XDG_RUNTIME_DIR", "/run")]),
            Path::new("/x/y.sock")
        );
        assert_eq!(of(&[("DEVD_SOCKET", "a/y.sock")]), here("a/y.sock"));
        assert_eq!(of(&[("DEVD_SOCKET", ""), ("XDG_RUNTIME_DIR", "/run")]), Path::new("/run/devd/devd.sock"));
        assert_eq!(of(&[("XDG_RUNTIME_DIR", "run")]), usual);
        assert_eq!(of(&[("XDG_RUNTIME_DIR", "")]), usual);
        assert_eq!(of(&[]), usual);
    }

    #[test]
    fn the_state_is_where_the_environment_says() {
        let of = |pairs, home: &str| state(env(pairs), Some(home.into())).unwrap();
        let is = |path: &str| Some(PathBuf::from(path));
        let here = std::env::current_dir().unwrap();
        assert_eq!(of(&[("DEVD_STATE_DIR", "/x"), ("XDG_STATE_HOME", "/s")], "/h"), is("/x"));
        assert_eq!(of(&[("DEVD_STATE_DIR", "x")], "/h"), Some(here.join("x")));
        assert_eq!(of(&[("DEVD_STATE_DIR", ""), ("XDG_STATE_HOME", "/s")], "/h"), is("/s/devd"));
        assert_eq!(of(&[("XDG_STATE_HOME", "s")], "/h"), is("/h/.local/state/devd"));
        assert_eq!(of(&[], "/h"), is("/h/.local/state/devd"));
        assert_eq!(of(&[], "h"), None);
        assert_eq!(state(env(&[]), None).unwrap(), None);
    }

    #[test]
    fn dots_are_resolved_without_the_file_system() {
        assert_eq!(absolute(Path::new("/a/./b/../no such/c")).unwrap(), Path::new("/a/no such/c"));
        assert_eq!(absolute(Path::new("/..")).unwrap(), Path::new("/"));
        assert!(absolute(Path::new("x")).unwrap().is_absolute());
    }
}
