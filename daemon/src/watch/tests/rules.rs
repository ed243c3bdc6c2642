//! Which rule wins.

use super::*;

fn rule(path: PathBuf, action: Action, line: u32) -> DevelopRule {
    let place = Some(Place::new("compose.yaml", line));
    DevelopRule { path, action, include: Vec::new(), ignore: Vec::new(), place }
}

/// A project whose service has rules.
async fn world(files: &[(&str, &str)], rules: impl FnOnce(&Path) -> Vec<DevelopRule>) -> World {
    World::with(files, Options::default(), |root| {
        let mut service = api(root);
        service.rules = rules(root);
        set_of(root, vec![service])
    })
    .await
}

#[tokio::test]
async fn develop_watch_wins_for_what_it_names_and_the_deepest_rule_wins() {
    let mut world = world(&[("api/src/web/", ""), ("api/node_modules/mylib/", ""), ("proto/", "")], |root| {
        let mut src = rule(root.join("api/src"), Action::Sync, 10);
        src.ignore = vec!["tmp".to_owned(), "**/*.bak".to_owned()];
        let mut py = rule(root.join("proto"), Action::SyncRestart, 14);
        py.include = vec!["**/*.py".to_owned()];
        vec![
            src,
            rule(root.join("api/src/web"), Action::SyncExec, 11),
            rule(root.join("api/src/web"), Action::Rebuild, 12),
            rule(root.join("api/node_modules/mylib"), Action::Restart, 13),
            py,
        ]
    })
    .await;
    for (name, expected) in [
        ("api/main.py", "+api/main.py api: restart tests\n"),
        ("api/src/a.py", "+api/src/a.py api: sync tests\n"),
        ("api/src/web/a.js", "+api/src/web/a.js api: sync+exec tests\n+api/src/web/a.js api: rebuild\n"),
        ("api/src/x.bak", "+api/src/x.bak api: tests\n"),
        ("api/node_modules/mylib/index.js", "+api/node_modules/mylib/index.js api: restart tests\n"),
        ("api/node_modules/mylib/node_modules/x", ""),
        ("api/node_modules/other/index.js", ""),
        ("proto/x.py", "+proto/x.py api: sync+restart\n"),
        ("proto/readme", ""),
    ] {
        world.write(name, "1");
        assert_eq!(world.seen().await, expected, "{name}");
    }
    let sync = format!("api: sync (develop.watch says sync for {}", world.path("api/src").display());
    let sync = sync.replace(&format!("{}/", world.root.display()), "");
    assert!(world.why("api/src/a.py").await.starts_with(&sync));
    let why = world.why("api/src/x.bak").await;
    assert_eq!(why, "api: run the tests (mounted into the tests, compose.yaml:20)");
}

#[tokio::test]
async fn a_file_is_watched_by_its_name() {
    let mut world = world(&[("package.json", "{}"), ("other.json", "")], |root| {
        vec![rule(root.join("package.json"), Action::Rebuild, 10)]
    })
    .await;
    world.write("other.json", "{}");
    assert_eq!(world.seen().await, "");
    world.write("package.json", "{ }");
    assert_eq!(world.seen().await, "*package.json api: rebuild\n");
    world.write("p.tmp", "{  }");
    fs::rename(world.path("p.tmp"), world.path("package.json")).unwrap();
    assert_eq!(world.seen().await, "*package.json api: rebuild\n");
    fs::remove_file(world.path("package.json")).unwrap();
    assert_eq!(world.seen().await, "-package.json api: rebuild\n");
}

#[tokio::test]
async fn what_is_mounted_needs_no_new_image_and_the_dockerfile_does() {
    let mut world = World::with(&[("api/src/", ""), ("lib/", "")], Options::default(), |root| {
        let mut service = api(root);
        for mounted in service.roots.iter_mut().filter(|root| root.kind == RootKind::Mounted) {
            mounted.path = root.join("api/src");
        }
        service.roots.push(Root {
            path: root.join("lib"),
            kind: RootKind::Extra,
            action: Some(Action::Signal),
            tests: TestsEffect::Rerun,
            why: "in x-devd.watch".to_owned(),
            place: None,
        });
        service.ignore = vec!["gen".to_owned(), "*.out".to_owned()];
        set_of(root, vec![service])
    })
    .await;
    for (name, expected) in [
        ("api/src/a.py", "+api/src/a.py api: restart tests\n"),
        ("api/requirements.txt", "+api/requirements.txt api: rebuild rebuilt tests\n"),
        ("api/Dockerfile", "+api/Dockerfile api: rebuild rebuilt tests\n"),
        ("lib/a.c", "+lib/a.c api: signal tests\n"),
        ("lib/a.out", ""),
        ("lib/gen/x", ""),
        ("api/src/gen/x", ""),
    ] {
        world.write(name, "1");
        assert_eq!(world.seen().await, expected, "{name}");
    }
    assert_eq!(world.why("lib/a.out").await, "api: ignored (x-devd.ignore has `*.out`)");
}

#[tokio::test]
async fn two_services_on_one_folder_each_decide() {
    let mut world = World::with(&[], Options::default(), |root| {
        let mut web = api(root);
        web.service = "web".into();
        web.roots.truncate(1);
        web.roots[0].action = Some(Action::None);
        let mut worker = api(root);
        worker.service = "worker".into();
        worker.roots.truncate(1);
        set_of(root, vec![api(root), web, worker])
    })
    .await;
    world.write("api/a.py", "1");
    assert_eq!(world.seen().await, "+api/a.py api: restart tests\n+api/a.py worker: restart\n");
    assert!(world.why("api/a.py").await.contains("web: none (mounted into the container at /app"));
}

#[tokio::test]
async fn a_new_set_keeps_what_is_known() {
    let mut world = World::new(&[("api/a.py", "1"), ("lib/b.py", "1")]).await;
    let mut service = api(&world.root);
    service.roots.push(Root { path: world.path("lib"), ..service.roots[0].clone() });
    world.watcher.set(set_of(&world.root, vec![service])).await.unwrap();
    world.until_ready().await;
    world.write("api/a.py", "1");
    world.write("lib/b.py", "1");
    assert_eq!(world.seen().await, "");
    world.write("lib/b.py", "2");
    assert_eq!(world.seen().await, "*lib/b.py api: restart\n");
    world.watcher.remove(&"shop".into());
    world.write("lib/b.py", "3");
    assert_eq!(world.seen().await, "");
    assert_eq!(world.digest(), None);
}

#[tokio::test]
async fn two_projects_on_one_folder_do_not_disturb_each_other() {
    let mut world = World::new(&[("api/a.py", "1")]).await;
    let other = WatchSet { project: "twin".into(), ..set_of(&world.root, vec![api(&world.root)]) };
    world.watcher.set(other).await.unwrap();
    world.until_ready().await;
    world.write("api/a.py", "2");
    assert_eq!(world.seen().await, "*api/a.py api: restart tests\n".repeat(2));
    assert_eq!(world.digest(), world.watcher.digest(&"twin".into(), &"api".into()));
    world.watcher.remove(&"twin".into());
    world.write("api/a.py", "3");
    world.write("api/new/b.py", "1");
    assert_eq!(world.seen().await, "*api/a.py api: restart tests\n+api/new/b.py api: restart tests\n");
}
