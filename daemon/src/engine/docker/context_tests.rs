use super::*;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn archive(context: &Context) -> Vec<u8> {
    let mut bytes = Vec::new();
    context.write(&mut bytes).unwrap();
    bytes
}

/// The paths of an archive; folders end in a slash.
fn paths(context: &Context) -> Vec<String> {
    entries(&archive(context)).into_iter().map(|(path, _)| path).collect()
}

fn entries(bytes: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut path = entry.path().unwrap().to_string_lossy().into_owned();
        if entry.header().entry_type().is_dir() && !path.ends_with('/') {
            path.push('/');
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (path, text)
    });
    entries.collect()
}

#[test]
fn a_context_is_packed_in_order() {
    let folder = folder(&[
        ("Dockerfile", "FROM x"),
        ("b/Service 1/main.py", "print()"),
        ("a.txt", "a"),
        ("node_modules/x/index.js", ""),
        ("logs/a.log", ""),
        ("logs/keep.txt", "kept"),
        (".dockerignore", "node_modules\nlogs\n!logs/keep.txt\nDockerfile\n.dockerignore\n"),
    ]);
    let context = Context::new(folder.path(), None, None).unwrap();
    assert_eq!(context.dockerfile(), "Dockerfile");
    let expected = [
        ".dockerignore",
        "Dockerfile",
        "a.txt",
        "b/",
        "b/Service 1/",
        "b/Service 1/main.py",
        "logs/",
        "logs/keep.txt",
    ];
    assert_eq!(paths(&context), expected);
    assert_eq!(archive(&context), archive(&context));
}

#[test]
fn modes_links_and_odd_names_survive() {
    let folder = folder(&[("Dockerfile", ""), ("run.sh", "#!")]);
    fs::set_permissions(folder.path().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/far/away", folder.path().join("link")).unwrap();
    symlink("nowhere", folder.path().join("dangling")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd \xff");
    fs::write(folder.path().join(odd), "odd").unwrap();
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    fs::create_dir(folder.path().join("d".repeat(120))).unwrap();
    fs::write(folder.path().join(&long), "long").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();

    let bytes = archive(&Context::new(folder.path(), None, None).unwrap());
    let mut archive = tar::Archive::new(&*bytes);
    let mut seen = 0;
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        let path = entry.path().unwrap().into_owned();
        match path.as_os_str() {
            name if name == "run.sh" => assert_eq!(header.mode().unwrap(), 0o755),
            name if name == "link" => assert_eq!(entry.link_name().unwrap().unwrap(), Path::new("/far/away")),
            name if name == "dangling" => {
                assert_eq!(entry.link_name().unwrap().unwrap(), Path::new("nowhere"))
            }
            name if name == odd => {}
            _ if path == Path::new(&long) => {
                let modified = fs::metadata(folder.path().join(&long)).unwrap().mtime();
                assert_eq!(header.mtime().unwrap(), u64::try_from(modified).unwrap());
            }
            name => {
                assert_ne!(name, "socket");
                continue;
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_dockerfile_may_be_elsewhere_or_nowhere() {
    let elsewhere = folder(&[("api.Dockerfile", "FROM elsewhere")]);
    let folder = folder(&[
        (".dockerignore", "*.md"),
        ("a.txt", ""),
        ("README.md", ""),
        ("docker/Dockerfile", "FROM in"),
    ]);
    let path = elsewhere.path().join("api.Dockerfile");
    for (dockerfile, inline, text) in
        [(path.to_str(), None, "FROM elsewhere"), (None, Some("FROM inline"), "FROM inline")]
    {
        let context = Context::new(folder.path(), dockerfile, inline).unwrap();
        let entries = entries(&archive(&context));
        let name = context.dockerfile();
        assert!(name.starts_with(".dockerfile.devd-"), "{name}");
        let expected = [
            (".dockerignore".to_owned(), format!("*.md\n.dockerignore\n{name}\n")),
            (name.to_owned(), text.to_owned()),
            ("a.txt".to_owned(), String::new()),
            ("docker/".to_owned(), String::new()),
            ("docker/Dockerfile".to_owned(), "FROM in".to_owned()),
        ];
        assert_eq!(entries, expected);
    }
    let inside = Context::new(folder.path(), Some("docker/../docker/Dockerfile"), None).unwrap();
    assert_eq!(inside.dockerfile(), "docker/Dockerfile");
}

#[test]
fn an_ignored_dockerfile_is_sent_all_the_same() {
    let folder =
        folder(&[(".dockerignore", "*"), ("a.txt", ""), ("docker/Dockerfile", ""), ("docker/b", "")]);
    let context = Context::new(folder.path(), Some("docker/Dockerfile"), None).unwrap();
    assert_eq!(paths(&context), [".dockerignore", "docker/", "docker/Dockerfile"]);
}

#[test]
fn a_dockerfile_has_its_own_ignore_file() {
    let folder = folder(&[
        ("api.Dockerfile", ""),
        ("api.Dockerfile.dockerignore", "a.txt"),
        (".dockerignore", "b.txt"),
        ("a.txt", ""),
        ("b.txt", ""),
    ]);
    let context = Context::new(folder.path(), Some("api.Dockerfile"), None).unwrap();
    let paths = paths(&context);
    assert!(paths.contains(&"b.txt".to_owned()) && !paths.contains(&"a.txt".to_owned()), "{paths:?}");
}

#[test]
fn what_is_missing_is_named() {
    let folder = folder(&[("a.txt", "")]);
    let missing = Context::new(folder.path(), Some("x/Dockerfile"), None).unwrap_err();
    assert_eq!(missing, format!("there is no Dockerfile at {}/x/Dockerfile", folder.path().display()));
    let nowhere = Context::new(Path::new("/nowhere"), None, None).unwrap_err();
    assert_eq!(nowhere, "the build context /nowhere is not a folder");
}
