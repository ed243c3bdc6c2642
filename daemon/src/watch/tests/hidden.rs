//! What is ignored, and what `devd why` says about it.

use super::*;

#[tokio::test]
async fn ignored_files_change_nothing_and_the_rule_is_named() {
    let mut world = World::new(&[
        (".git/info/exclude", "*.secret\n"),
        (".gitignore", "# build output\n*.log\n/api/dist/\n"),
        ("api/.gitignore", "!keep.log\nlocal/\n"),
        ("api/.dockerignore", "docs\n*.md\n!README.md\n"),
        ("api/main.py", "1"),
        ("api/target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n"),
        ("api/dist/x", ""),
        ("api/docs/x", ""),
    ])
    .await;
    for name in [
        "api/vendor/.git/HEAD",
        "api/__pycache__/main.pyc",
        "api/4913",
        "api/main.py~",
        "api/.main.py.swp",
        "api/node_modules/a/index.js",
        "api/x.log",
        "api/deep/x.log",
        "api/x.secret",
        "api/dist/x",
        "api/local/x",
        "api/docs/x",
        "api/NOTES.md",
        "api/target/debug/x",
    ] {
        world.write(name, "changed");
    }
    assert_eq!(world.seen().await, "");
    for (name, why) in [
        ("api/vendor/.git/HEAD", "api: ignored (devd's own ignore list has `.git`)"),
        ("api/__pycache__/main.pyc", "api: ignored (devd's own ignore list has `__pycache__`)"),
        ("api/.main.py.swp", "api: ignored (devd's own ignore list has `.*.sw?`)"),
        ("api/deep/x.log", "api: ignored (git ignores `*.log`, .gitignore:2)"),
        ("api/dist/x", "api: ignored (git ignores `/api/dist/`, .gitignore:3)"),
        ("api/local/x", "api: ignored (git ignores `local/`, api/.gitignore:2)"),
        ("api/x.secret", "api: ignored (git ignores `*.secret`, .git/info/exclude:1)"),
        ("api/docs/x", "api: ignored (.dockerignore has `docs`, api/.dockerignore:1)"),
        ("api/NOTES.md", "api: ignored (.dockerignore has `*.md`, api/.dockerignore:2)"),
        ("api/target/debug/x", "api: ignored (api/target is marked as a cache, api/target/CACHEDIR.TAG)"),
        (
            "api/main.py",
            "api: restart (mounted into the container at /app, compose.yaml:7)\n\
             api: run the tests (mounted into the tests, compose.yaml:20)",
        ),
        (
            "api/Dockerfile",
            "api: rebuild, rebuild the tests' image and run the tests (the Dockerfile, compose.yaml:4)",
        ),
        ("elsewhere", ""),
    ] {
        assert_eq!(world.why(name).await, why, "{name}");
    }
    for name in ["api/keep.log", "api/README.md", "api/deep/NOTES.md"] {
        world.write(name, "changed");
        assert_eq!(world.seen().await, format!("+{name} api: restart tests\n"));
    }
}

#[tokio::test]
async fn tests_that_are_kept_out_of_the_image_still_rerun() {
    let mut world =
        World::new(&[("api/.dockerignore", "tests\n*\n!src\n"), ("api/tests/test_a.py", "1")]).await;
    world.write("api/tests/test_a.py", "2");
    assert_eq!(world.seen().await, "*api/tests/test_a.py api: tests\n");
    // What does not go into the image is mounted all the same.
    world.write("api/main.py", "1");
    assert_eq!(world.seen().await, "+api/main.py api: restart tests\n");
}

#[tokio::test]
async fn what_an_image_holds_is_decided_by_docker_alone() {
    let only_built = |root: &Path| {
        let mut service = api(root);
        service.roots.retain(|root| matches!(root.kind, RootKind::Context { .. }));
        set_of(root, vec![service])
    };
    let files = [("api/.dockerignore", "*\n!src\nsrc/tmp\n"), ("api/src/a.py", "1"), ("api/src/tmp/x", "1")];
    let mut world = World::with(&files, Options::default(), only_built).await;
    for name in ["api/src/tmp/x", "api/other", "api/folder/x", "api/tests/test_a.py"] {
        world.write(name, "2");
    }
    assert_eq!(world.seen().await, "");
    world.write("api/src/a.py", "2");
    assert_eq!(world.seen().await, "*api/src/a.py api: rebuild rebuilt tests\n");
}

#[tokio::test]
async fn a_changed_ignore_file_takes_effect_without_being_a_change() {
    let mut world = World::new(&[("api/logs/a", "1"), ("api/x.gen", "1"), ("api/main.py", "1")]).await;
    let first = world.digest();
    world.write("api/.gitignore", "logs/\n");
    world.watcher.sync().await.unwrap();
    world.until_ready().await;
    assert_ne!(world.digest(), first);
    world.write("api/logs/a", "2");
    assert_eq!(world.seen().await, "");
    fs::remove_file(world.path("api/.gitignore")).unwrap();
    world.watcher.sync().await.unwrap();
    world.until_ready().await;
    world.write("api/logs/a", "3");
    assert_eq!(world.seen().await, "*api/logs/a api: restart tests\n");
    world.write("api/.dockerignore", "*.gen\n");
    world.watcher.sync().await.unwrap();
    world.until_ready().await;
    world.write("api/x.gen", "2");
    assert_eq!(world.seen().await, "");
}

#[tokio::test]
async fn ignored_folders_are_not_watched_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for folder in ["api/src", "api/node_modules/a/b", "api/__pycache__", "api/.git/objects"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let watcher = Watcher::new(mpsc::unbounded_channel().0).unwrap();
    let placed = watcher.set(set_of(&root, vec![api(&root)])).await.unwrap();
    assert_eq!(placed.folders, 2, "api and api/src");
}

#[tokio::test]
async fn a_repository_inside_a_repository_has_its_own_rules() {
    let mut world = World::new(&[
        (".git/HEAD", ""),
        (".gitignore", "api/\n*.txt\n"),
        ("api/.git/HEAD", ""),
        ("api/a.txt", "1"),
    ])
    .await;
    world.write("api/a.txt", "2");
    assert_eq!(world.seen().await, "*api/a.txt api: restart tests\n");
}

#[tokio::test]
async fn what_hides_a_folder_hides_it_from_a_service_that_mounts_something_below() {
    let mounts = |root: &Path, name: &str, folder: &str, kind: RootKind| {
        let mut service = api(root);
        service.service = name.into();
        service.roots.truncate(1);
        service.files.clear();
        for mounted in &mut service.roots {
            (mounted.path, mounted.kind) = (root.join(folder), kind.clone());
        }
        service
    };
    let set = |root: &Path| {
        let services = vec![
            mounts(root, "all", "api", RootKind::Mounted),
            mounts(root, "asks", "api/node_modules/lib", RootKind::Extra),
            mounts(root, "mounts", "api/node_modules/lib", RootKind::Mounted),
            mounts(root, "other", "other", RootKind::Mounted),
        ];
        set_of(root, services)
    };
    let files = [("api/node_modules/lib/deep/a.js", "1"), ("other/a.js", "1")];
    let mut world = World::with(&files, Options::default(), set).await;
    world.write("api/node_modules/lib/deep/a.js", "2");
    assert_eq!(world.seen().await, "*api/node_modules/lib/deep/a.js asks: restart\n");
    let hidden = "ignored (devd's own ignore list has `node_modules`)";
    let asked = "asks: restart (mounted into the container at /app, compose.yaml:7)";
    let why = world.why("api/node_modules/lib/deep/a.js").await;
    assert_eq!(why, format!("all: {hidden}\n{asked}\nmounts: {hidden}"));
    world.write("api/main.js", "1");
    assert_eq!(world.seen().await, "+api/main.js all: restart\n");
    world.write("other/a.js", "2");
    assert_eq!(world.seen().await, "*other/a.js other: restart\n");
}
