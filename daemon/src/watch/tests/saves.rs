//! What counts as a save, and what does not.

use super::*;
use std::{os::unix::fs::PermissionsExt, time::SystemTime};

#[tokio::test]
async fn a_save_in_place_is_one_change() {
    let mut world = World::new(&[("api/main.py", "1")]).await;
    world.write("api/main.py", "2");
    assert_eq!(world.seen().await, "*api/main.py api: restart tests\n");
    assert_eq!(world.seen().await, "");
}

#[tokio::test]
async fn a_save_by_rename_is_one_change_and_its_temporary_file_is_none() {
    let mut world = World::new(&[("api/main.py", "1")]).await;
    world.write("api/main.py.tmp", "2");
    fs::rename(world.path("api/main.py.tmp"), world.path("api/main.py")).unwrap();
    assert_eq!(world.seen().await, "*api/main.py api: restart tests\n");
    // From outside the watched folder.
    world.write("elsewhere", "3");
    fs::rename(world.path("elsewhere"), world.path("api/main.py")).unwrap();
    assert_eq!(world.seen().await, "*api/main.py api: restart tests\n");
}

#[tokio::test]
async fn the_same_bytes_are_no_change_even_the_first_time() {
    let mut world = World::new(&[("api/main.py", "1")]).await;
    world.write("api/main.py", "1");
    assert_eq!(world.seen().await, "");
    // As vim does it without `backupcopy`.
    fs::rename(world.path("api/main.py"), world.path("api/main.py~")).unwrap();
    world.write("api/main.py", "1");
    fs::remove_file(world.path("api/main.py~")).unwrap();
    assert_eq!(world.seen().await, "");
    // By rename.
    world.write("api/.main.py.new", "1");
    fs::rename(world.path("api/.main.py.new"), world.path("api/main.py")).unwrap();
    assert_eq!(world.seen().await, "");
    // Only the time.
    let file = fs::File::options().write(true).open(world.path("api/main.py")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    drop(file);
    assert_eq!(world.seen().await, "");
}

#[tokio::test]
async fn the_same_size_at_the_same_time_hides_no_change() {
    let mut world = World::new(&[("api/main.py", "1")]).await;
    let time = fs::metadata(world.path("api/main.py")).unwrap().modified().unwrap();
    world.write("api/main.py", "2");
    fs::File::options().write(true).open(world.path("api/main.py")).unwrap().set_modified(time).unwrap();
    assert_eq!(world.seen().await, "*api/main.py api: restart tests\n");
}

#[tokio::test]
async fn creating_and_deleting_are_changes() {
    let mut world = World::new(&[]).await;
    world.write("api/new.py", "");
    assert_eq!(world.seen().await, "+api/new.py api: restart tests\n");
    fs::remove_file(world.path("api/new.py")).unwrap();
    assert_eq!(world.seen().await, "-api/new.py api: restart tests\n");
    std::os::unix::fs::symlink("nowhere", world.path("api/link")).unwrap();
    assert_eq!(world.seen().await, "+api/link api: restart tests\n");
}

#[tokio::test]
async fn of_the_mode_only_the_executable_bit_counts() {
    let mut world = World::new(&[("api/run.sh", "x")]).await;
    let chmod =
        |mode| fs::set_permissions(world.path("api/run.sh"), fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o600);
    world.watcher.sync().await.unwrap();
    chmod(0o755);
    assert_eq!(world.seen().await, "*api/run.sh api: restart tests\n");
    let chmod =
        |mode| fs::set_permissions(world.path("api/run.sh"), fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o700);
    assert_eq!(world.seen().await, "");
}

#[tokio::test]
async fn an_editors_push_is_answered_at_once_and_its_event_is_no_second_change() {
    let mut world = World::new(&[("api/main.py", "1")]).await;
    world.write("api/main.py", "2");
    let changes = world.watcher.saved(vec![world.path("api/main.py")]).await.unwrap();
    let [(project, change)] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((project.as_str(), change.pushed, change.action), ("shop", true, Some(Action::Restart)));
    // The event may come first. Then the push says so.
    let seen = if change.repeated { "*api/main.py api: restart tests\n" } else { "" };
    assert_eq!(world.seen().await, seen);
    // A push of what is already known, without a notice before.
    let mut other = World::new(&[("api/main.py", "1")]).await;
    assert_eq!(other.watcher.saved(vec![other.path("api/main.py"), other.path("gone")]).await.unwrap(), []);
    assert_eq!(other.seen().await, "");
    // In folders that are too new to be watched.
    world.write("api/a/b/c.py", "1");
    let changes = world.watcher.saved(vec![world.path("api/a/b/c.py")]).await.unwrap();
    let after = world.seen().await;
    let [(_, change)] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(after.lines().count(), usize::from(change.repeated), "{after}");
}

#[tokio::test]
async fn the_digest_follows_the_content_and_comes_back_with_it() {
    let mut world = World::new(&[("api/a.py", "1"), ("api/b.py", "2")]).await;
    let first = world.digest().unwrap();
    world.write("api/a.py", "2");
    world.seen().await;
    let second = world.digest().unwrap();
    assert_ne!(first, second);
    world.write("api/a.py", "1");
    fs::remove_file(world.path("api/b.py")).unwrap();
    world.seen().await;
    assert_ne!(world.digest().unwrap(), first);
    world.write("api/b.py", "2");
    world.write("api/__pycache__/b.pyc", "x");
    world.seen().await;
    assert_eq!(world.digest().unwrap(), first);
    // Another copy of the same project, its files made in another order.
    let copy = World::new(&[("api/b.py", "2"), ("api/a.py", "1")]).await;
    assert_eq!(copy.digest().unwrap(), first);
    // Contents that swap names are another content.
    world.write("api/a.py", "2");
    world.write("api/b.py", "1");
    world.seen().await;
    assert_ne!(world.digest().unwrap(), first);
}

#[tokio::test]
async fn what_goes_into_a_service_is_summed_up_by_what_a_change_of_it_costs() {
    let sync = |root: &Path| DevelopRule {
        path: root.join("api/static"),
        action: Action::Sync,
        include: Vec::new(),
        ignore: Vec::new(),
        place: None,
    };
    let files =
        [("api/main.py", "1"), ("api/static/a.css", "1"), ("api/Dockerfile", "1"), ("api/tests/a.py", "1")];
    let mut world = World::with(&files, Options::default(), |root| {
        let mut api = api(root);
        api.ignore = vec!["tests/ignored.py".to_owned()];
        api.rules = vec![sync(root)];
        set_of(root, vec![api])
    })
    .await;
    let contents = |world: &World| world.watcher.contents(&"shop".into(), &"api".into()).unwrap();
    let first = contents(&world);
    for (file, part) in [
        ("api/main.py", Contents { process: 0, ..first }),
        ("api/static/a.css", Contents { acted: 0, ..first }),
        ("api/Dockerfile", Contents { image: 0, ..first }),
    ] {
        world.write(file, "2");
        world.seen().await;
        let mut other = contents(&world);
        assert_ne!(other, first, "{file}");
        // All but its own part is as it was.
        for sum in [
            (part.acted, &mut other.acted),
            (part.process, &mut other.process),
            (part.image, &mut other.image),
        ] {
            if sum.0 == 0 {
                *sum.1 = 0;
            }
        }
        assert_eq!(other, part, "{file}");
        world.write(file, "1");
        world.seen().await;
        assert_eq!(contents(&world), first, "{file} is as it was");
    }
    world.write("api/tests/ignored.py", "1");
    world.seen().await;
    assert_eq!(contents(&world), first, "nobody looks at it");
    // Other rules sum the same files up otherwise, and back.
    world.watcher.set(set_of(&world.root, vec![api(&world.root)])).await.unwrap();
    world.until_ready().await;
    assert_eq!(contents(&world).acted, 0);
    assert_ne!(contents(&world).process, first.process);
}

#[tokio::test]
async fn compose_files_reload_by_name_also_when_they_appear() {
    let mut world = World::new(&[]).await;
    world.write("compose.yaml", "services:\n");
    assert_eq!(world.seen().await, "");
    world.write("compose.yaml", "services: {}\n");
    assert_eq!(world.seen().await, "reload compose.yaml\n");
    world.write("compose.override.yaml", "services: {}\n");
    assert_eq!(world.seen().await, "reload compose.override.yaml\n");
    fs::remove_file(world.path("compose.override.yaml")).unwrap();
    assert_eq!(world.seen().await, "reload compose.override.yaml\n");
    assert_eq!(world.why("compose.yaml").await, "shop: reload (the project is read from this file)");
}

#[tokio::test]
async fn while_git_writes_more_comes() {
    let worktree = [("api/main.py", "1"), (".git", "gitdir: ../elsewhere"), ("../elsewhere/HEAD", "main")];
    for (files, lock) in [
        (&[("api/main.py", "1"), (".git/HEAD", "main")][..], ".git/index.lock"),
        (&worktree[..], "../elsewhere/index.lock"),
    ] {
        let mut world = World::new(files).await;
        world.write(lock, "");
        world.write("api/main.py", "2");
        assert_eq!(more(&mut world).await, [true], "{lock}");
        std::fs::remove_file(world.path(lock)).unwrap();
        world.write("api/main.py", "3");
        assert_eq!(more(&mut world).await, [false], "{lock}");
    }
}

/// Whether more comes, for each service that is concerned.
async fn more(world: &mut World) -> Vec<bool> {
    loop {
        if let Some(Notice::Changed { changes, .. }) = world.notices.recv().await {
            return changes.iter().map(|change| change.more).collect();
        }
    }
}
