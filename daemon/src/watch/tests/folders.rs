//! Folders that come, go and move.

use super::*;

#[tokio::test]
async fn nothing_is_lost_in_new_folders() {
    let mut world = World::new(&[]).await;
    for round in 0..50 {
        let name = format!("api/r{round}/s/t/x.py");
        world.write(&name, "1");
        assert_eq!(world.seen().await, format!("+{name} api: restart tests\n"));
        world.write(&name, "2");
        assert_eq!(world.seen().await, format!("*{name} api: restart tests\n"));
    }
}

#[tokio::test]
async fn a_folder_that_moves_is_gone_here_and_new_there() {
    let mut world = World::new(&[("api/a/b/x.py", "1")]).await;
    fs::rename(world.path("api/a"), world.path("api/c")).unwrap();
    assert_eq!(world.seen().await, "-api/a/b/x.py api: restart tests\n+api/c/b/x.py api: restart tests\n");
    world.write("api/c/b/x.py", "2");
    assert_eq!(world.seen().await, "*api/c/b/x.py api: restart tests\n");
    fs::rename(world.path("api/c"), world.path("outside")).unwrap();
    assert_eq!(world.seen().await, "-api/c/b/x.py api: restart tests\n");
    world.write("outside/b/x.py", "3");
    assert_eq!(world.seen().await, "");
    fs::rename(world.path("outside"), world.path("api/d")).unwrap();
    assert_eq!(world.seen().await, "+api/d/b/x.py api: restart tests\n");
    world.write("api/d/b/x.py", "4");
    assert_eq!(world.seen().await, "*api/d/b/x.py api: restart tests\n");
}

#[tokio::test]
async fn a_folder_that_is_made_anew_at_once_is_still_watched() {
    let mut world = World::new(&[("api/sub/deep/x.py", "0")]).await;
    for round in 1..20 {
        fs::remove_dir_all(world.path("api/sub")).unwrap();
        world.write("api/sub/deep/x.py", &format!("{round}"));
        world.seen().await;
        world.write("api/sub/deep/x.py", &format!("{round} edited"));
        assert_eq!(world.seen().await, "*api/sub/deep/x.py api: restart tests\n");
    }
}

#[tokio::test]
async fn a_root_that_goes_and_comes_back_is_noticed() {
    let mut world = World::new(&[("api/x.py", "1")]).await;
    for round in 0..5 {
        fs::remove_dir_all(world.path("api")).unwrap();
        assert_eq!(world.seen().await, "-api/x.py api: restart tests\n", "{round}");
        world.write("api/x.py", "1");
        assert_eq!(world.seen().await, "+api/x.py api: restart tests\n", "{round}");
        world.write("api/x.py", "2");
        assert_eq!(world.seen().await, "*api/x.py api: restart tests\n", "{round}");
    }
    // In one go, with the same content: nothing to tell, and still watched.
    fs::remove_dir_all(world.path("api")).unwrap();
    world.write("api/x.py", "2");
    world.seen().await;
    world.write("api/x.py", "3");
    assert_eq!(world.seen().await, "*api/x.py api: restart tests\n");
}

#[tokio::test]
async fn the_projects_own_folder_may_go_and_come_back() {
    let mut world = World::new(&[("api/x.py", "1")]).await;
    let away = world.root.with_file_name("away");
    fs::rename(&world.root, &away).unwrap();
    assert_eq!(world.seen().await, "-api/x.py api: restart tests\nreload compose.yaml\n");
    fs::rename(&away, &world.root).unwrap();
    assert_eq!(world.seen().await, "reload compose.yaml\n+api/x.py api: restart tests\n");
    world.write("api/x.py", "2");
    world.write("compose.yaml", "services: {}\n");
    assert_eq!(world.seen().await, "*api/x.py api: restart tests\nreload compose.yaml\n");
}

#[tokio::test]
async fn a_root_may_be_a_link_and_links_inside_are_not_followed() {
    let mut world = World::with(&[("real/x.py", "1"), ("far/y.py", "1")], Options::default(), |root| {
        fs::remove_dir(root.join("api")).unwrap();
        std::os::unix::fs::symlink("real", root.join("api")).unwrap();
        std::os::unix::fs::symlink("../far", root.join("real/far")).unwrap();
        set_of(root, vec![api(root)])
    })
    .await;
    world.write("real/x.py", "2");
    assert_eq!(world.seen().await, "*api/x.py api: restart tests\n");
    world.write("far/y.py", "2");
    assert_eq!(world.seen().await, "");
    world.write("real/x.py", "3");
    let changes = world.watcher.saved(vec![world.path("real/x.py")]).await.unwrap();
    assert!(changes.iter().all(|(_, change)| change.path == world.path("api/x.py")), "{changes:?}");
    world.seen().await;
    // The link points elsewhere.
    fs::remove_file(world.path("api")).unwrap();
    std::os::unix::fs::symlink("far", world.path("api")).unwrap();
    let seen = world.seen().await;
    assert!(seen.contains("-api/x.py") && seen.contains("+api/y.py"), "{seen}");
    world.write("far/y.py", "3");
    assert_eq!(world.seen().await, "*api/y.py api: restart tests\n");
}

#[tokio::test]
async fn a_root_that_is_not_there_yet_is_watched_when_it_comes() {
    let mut world = World::with(&[], Options::default(), |root| {
        let mut service = api(root);
        service.roots.iter_mut().for_each(|folder| folder.path = root.join("deep/er/api"));
        set_of(root, vec![service])
    })
    .await;
    world.write("deep/er/api/x.py", "1");
    assert_eq!(world.seen().await, "+deep/er/api/x.py api: restart tests\n");
    world.write("deep/er/api/x.py", "2");
    assert_eq!(world.seen().await, "*deep/er/api/x.py api: restart tests\n");
    fs::remove_dir_all(world.path("deep")).unwrap();
    assert_eq!(world.seen().await, "-deep/er/api/x.py api: restart tests\n");
    world.write("deep/er/api/x.py", "2");
    assert_eq!(world.seen().await, "+deep/er/api/x.py api: restart tests\n");
}
