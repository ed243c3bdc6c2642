//! Paths as compose files write them.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Takes `.` and `..` out by their names alone, as compose does.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                // Above the root is the root.
                if out.parent().is_some() {
                    out.pop();
                }
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(component),
        }
    }
    out
}

/// `text` as an absolute path: `~` is the home folder, and what is relative starts at `dir`.
pub(crate) fn resolve(dir: &Path, home: Option<&str>, text: &str) -> PathBuf {
    let path = match (text.strip_prefix('~'), home) {
        // What follows is below it, whoever is named: `~me/x`, too.
        (Some(rest), Some(home)) => Path::new(home).join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    };
    clean(&dir.join(path))
}

/// With the first of its parts that is a symbolic link replaced by what that leads to, as compose does for what it
/// watches.
pub(crate) fn without_link(path: &Path) -> PathBuf {
    let ancestors: Vec<&Path> = path.ancestors().collect();
    let link = ancestors.into_iter().rev().find(|part| part.is_symlink());
    let target = link.and_then(|link| Some((link, link.canonicalize().ok()?)));
    match target {
        Some((link, target)) => path.strip_prefix(link).map_or_else(
            |_| path.to_owned(),
            |rest| {
                if rest.as_os_str().is_empty() { target.clone() } else { target.join(rest) }
            },
        ),
        None => path.to_owned(),
    }
}

/// The name of the folder in `dir` that is most like `name`.
pub(crate) fn nearest_folder(dir: &Path, name: &str) -> Option<String> {
    let entries = fs::read_dir(dir).ok()?;
    // Enough for any project; a folder of a million entries is not worth the wait.
    let names: Vec<String> = entries
        .take(1000)
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            (!name.starts_with('.') && entry.path().is_dir()).then_some(name)
        })
        .collect();
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// The file beside `path` whose name is most like its own.
pub(crate) fn nearest_file(path: &Path) -> Option<PathBuf> {
    let dir = path.parent()?;
    let entries = fs::read_dir(dir).ok()?.take(1000);
    let names: Vec<String> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            if entry.path().is_file() { entry.file_name().into_string().ok() } else { None }
        })
        .collect();
    let near = nearest(&path.file_name()?.to_string_lossy(), names.iter().map(String::as_str))?;
    Some(dir.join(near))
}

/// The candidate most like `word`, if any is like it at all.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(100).collect()
    };
    let wanted = plain(word);
    let mut best: Option<(usize, &str)> = None;
    // A help is not worth a long search.
    for candidate in candidates.take(1000) {
        let known = plain(candidate);
        let distance = strsim::damerau_levenshtein(&wanted, &known);
        let longest = wanted.chars().count().max(known.chars().count());
        // Of a name of one letter, nothing would be left.
        let allowed = longest.div_ceil(3).min(longest.saturating_sub(1));
        let closer = best.is_none_or(|(least, name)| (distance, candidate) < (least, name));
        if distance <= allowed && !known.is_empty() && closer {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_without_asking_the_disk() {
        for (text, path) in [
            (".", "/p"),
            ("./a/../b/", "/p/b"),
            ("../../../x", "/x"),
            ("/a//b/.", "/a/b"),
            ("~/x", "/h/x"),
            ("~", "/h"),
            ("~x", "/h/x"),
        ] {
            assert_eq!(resolve(Path::new("/p"), Some("/h"), text), Path::new(path), "{text}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_when_there_is_one() {
        let known = ["Service 1", "Service 2", "database", "web"];
        for (word, found) in [
            ("Service2", Some("Service 2")),
            ("servise-1", Some("Service 1")),
            ("wbe", Some("web")),
            ("zebra", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), found, "{word}");
        }
    }
}
