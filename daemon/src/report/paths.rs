//! Where a container's files are on the host.

use std::path::{Component, Path, PathBuf};

/// The mounts of a test container, to say results with the host's paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathMap {
    /// Container prefix and host path, longest prefix first.
    mounts: Vec<(PathBuf, PathBuf)>,
    workdir: Option<PathBuf>,
}

impl PathMap {
    /// A map of container prefixes to host paths. Relative paths are taken from `workdir`; where that is not known (it
    /// may stand in the image only), from whichever mount has such a file, if just one has.
    pub fn new(mounts: Vec<(String, PathBuf)>, workdir: Option<String>) -> Self {
        let mut mounts: Vec<_> =
            mounts.into_iter().map(|(target, source)| (normal(Path::new(&target)), source)).collect();
        mounts.sort_by_key(|(target, _)| std::cmp::Reverse(target.components().count()));
        let workdir = workdir.map(PathBuf::from).filter(|path| path.is_absolute());
        Self { mounts, workdir }
    }

    /// The host's path of a file in the container, if it is mounted and there.
    pub fn host(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path.strip_prefix("file://").unwrap_or(path));
        if path.as_os_str().is_empty() {
            return None;
        }
        if path.is_absolute() {
            return self.absolute(path);
        }
        match &self.workdir {
            Some(workdir) => self.absolute(&workdir.join(path)),
            None => {
                let mut found =
                    self.mounts.iter().filter_map(|(target, _)| self.absolute(&target.join(path)));
                let first = found.next()?;
                found.all(|other| other == first).then_some(first)
            }
        }
    }

    fn absolute(&self, path: &Path) -> Option<PathBuf> {
        let path = normal(path);
        // Only the innermost mount shows in the container: what it hides is not to be found behind it.
        let (inside, host) = self
            .mounts
            .iter()
            .find_map(|(target, source)| Some((path.strip_prefix(target).ok()?, source)))?;
        // Joining nothing would add a slash to a mounted file.
        let host = if inside.as_os_str().is_empty() { host.clone() } else { host.join(inside) };
        host.is_file().then_some(host)
    }
}

/// The path without `.` and `..`, so that none of them leads out of a mount.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => normal.push(component),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["app/a.py", "app/sub/b.py", "lib/a.py", "lib/only.py"] {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), "").unwrap();
        }
        let mounts = || vec![("/srv/".to_owned(), at("app")), ("/srv/sub/lib".to_owned(), at("lib"))];
        let map = PathMap::new(mounts(), Some("/srv/sub".to_owned()));
        for (path, host) in [
            ("/srv/a.py", Some("app/a.py")),
            ("/srv/./sub/../a.py", Some("app/a.py")),
            ("file:///srv/a.py", Some("app/a.py")),
            ("b.py", Some("app/sub/b.py")),
            ("./b.py", Some("app/sub/b.py")),
            ("../a.py", Some("app/a.py")),
            ("lib/a.py", Some("lib/a.py")),
            ("/srv/sub/lib/only.py", Some("lib/only.py")),
            // Not there, not mounted, outside, hidden by the inner mount, a folder, nothing.
            ("/srv/none.py", None),
            ("/usr/lib/python3.11/unittest/case.py", None),
            ("/srv/../etc/passwd", None),
            ("/srv/sub/lib/b.py", None),
            ("/srv/sub", None),
            ("", None),
        ] {
            assert_eq!(map.host(path), host.map(at), "{path}");
        }
        let map = PathMap::new(mounts(), None);
        assert_eq!(map.host("only.py"), Some(at("lib/only.py")));
        assert_eq!(map.host("a.py"), None, "two mounts have one");
        assert_eq!(PathMap::default().host("/srv/a.py"), None);
        let map = PathMap::new(vec![("/x.py".to_owned(), at("app/a.py"))], None);
        assert_eq!(map.host("/x.py"), Some(at("app/a.py")), "a mounted file");
    }
}
