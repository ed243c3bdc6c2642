//! What no service wants to hear of: editors' droppings, version control, caches.

use std::{ffi::OsStr, io::Read, path::Path};

/// Names that are ignored everywhere, unless a compose file names the path.
const NAMES: &[&str] = &[
    // Version control. In a worktree `.git` is a file.
    ".git",
    ".hg",
    ".svn",
    ".jj",
    // Read by devd itself, when it decides what to ignore.
    ".gitignore",
    // Caches that interpreters and tools keep beside the code.
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    "node_modules",
    ".coverage",
    // Editors and desktops.
    ".idea",
    ".vscode",
    ".DS_Store",
    // Vim asks with this file whether it may write here.
    "4913",
];

/// Shapes of names: what they start with, what they end with, and the pattern as people write it.
const SHAPES: &[(&str, &str, &str)] = &[
    ("", "~", "*~"),
    ("", ".pyc", "*.pyc"),
    (".#", "", ".#*"),
    ("#", "#", "#*#"),
    (".", ".kate-swp", ".*.kate-swp"),
    ("", "-go-tmp-umask", "*-go-tmp-umask"),
    (".goutputstream-", "", ".goutputstream-*"),
    (".nfs", "", ".nfs*"),
];

/// The built-in rule that hides a name, as a pattern.
pub(super) fn hides(name: &OsStr) -> Option<&'static str> {
    // Names that are not text match none of these.
    let name = name.to_str()?;
    if let Some(found) = NAMES.iter().find(|known| **known == name) {
        return Some(found);
    }
    if is_vim_swap(name) {
        return Some(".*.sw?");
    }
    if name.contains("___jb_") {
        return Some("*___jb_*");
    }
    SHAPES
        .iter()
        .find(|(start, end, _)| {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        })
        .map(|(_, _, pattern)| *pattern)
}

/// `.main.py.swp`, `.swo`, …
fn is_vim_swap(name: &str) -> bool {
    name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.')).is_some_and(|(_, extension)| {
        extension.len() == 3 && extension.starts_with("sw") && extension.is_ascii()
    })
}

/// The file with which build tools mark a folder of theirs as a cache: Cargo's `target`, for one.
pub(super) const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Whether a folder carries a genuine cache tag.
pub(super) fn is_cache(folder: &Path) -> bool {
    const SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
    let mut start = [0_u8; SIGNATURE.len()];
    std::fs::File::open(folder.join(CACHE_TAG)).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
        && start == SIGNATURE
}

/// Whether a name looks like one of tests. People keep tests out of images with `.dockerignore`, and still want
/// them run when they change.
pub(super) fn looks_like_tests(name: &str) -> bool {
    name.split(['.', '_', '-']).any(|word| {
        ["test", "tests", "testing", "testdata", "spec", "specs", "conftest", "fixtures"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn droppings_are_hidden_and_sources_are_not() {
        for name in [
            ".git",
            "4913",
            "main.py~",
            ".main.py.swp",
            ".main.py.swx",
            ".a.swo",
            ".#main.py",
            "#main.py#",
            "main.py___jb_tmp___",
            "main.py___jb_old___",
            ".x.kate-swp",
            "x-go-tmp-umask",
            "a.pyc",
            "__pycache__",
            "node_modules",
            ".DS_Store",
            "~",
        ] {
            assert!(hides(OsStr::new(name)).is_some(), "{name}");
        }
        for name in ["main.py", ".env", "49130", "a.swp", "target", "#", "git", ".swap.py", "a#", ".github"] {
            assert!(hides(OsStr::new(name)).is_none(), "{name}");
        }
    }

    #[test]
    fn tests_are_known_by_their_names() {
        for name in
            ["tests", "test_api.py", "api_test.go", "app.test.ts", "app.spec.js", "__tests__", "conftest.py"]
        {
            assert!(looks_like_tests(name), "{name}");
        }
        for name in ["latest", "contest.py", "main.py", "attestation", "inspector.rb"] {
            assert!(!looks_like_tests(name), "{name}");
        }
    }
}
