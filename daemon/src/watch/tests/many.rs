//! Many files at once, lost events, and no events at all.

use super::*;

/// Without events: only what a test asks for is looked at.
fn deaf() -> Options {
    Options { poll: true, poll_every: Duration::from_secs(3600), ..Options::default() }
}

fn tree(count: usize) -> Vec<(String, String)> {
    (0..count).map(|file| (format!("api/d{}/f{file}.py", file % 40), format!("{file}"))).collect()
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

#[tokio::test]
async fn a_branch_switch_of_2000_files_loses_none() {
    let files = tree(2000);
    let mut world = World::new(&borrowed(&files)).await;
    let first = world.digest();
    let begin = std::time::Instant::now();
    for (name, text) in &files {
        // As git does it.
        fs::remove_file(world.path(name)).unwrap();
        world.write(name, &format!("{text} on the branch"));
    }
    fs::remove_dir_all(world.path("api/d7")).unwrap();
    world.write("api/only/here.py", "1");
    world.watcher.sync().await.unwrap();
    let mut state = BTreeSet::new();
    let mut notices = 0;
    while let Ok(notice) = world.notices.try_recv() {
        let Notice::Changed { changes, .. } = notice else { continue };
        notices += 1;
        state.extend(changes.into_iter().map(|change| change.path));
    }
    assert_eq!(state.len(), 2001);
    let elapsed = begin.elapsed().as_millis();
    assert!(notices < 60 + elapsed / 5, "{notices} notices in {elapsed} ms");
    // And back.
    fs::remove_dir_all(world.path("api/only")).unwrap();
    for (name, text) in &files {
        world.write(name, text);
    }
    world.seen().await;
    assert_eq!(world.digest(), first);
}

#[tokio::test]
async fn rewriting_2000_files_with_the_same_bytes_is_nothing() {
    let files = tree(2000);
    let mut world = World::new(&borrowed(&files)).await;
    for (index, (name, text)) in files.iter().enumerate() {
        // Some as git does it; not all, because on a busy machine a file may be away for long before it comes back.
        if index % 50 == 0 {
            fs::remove_file(world.path(name)).unwrap();
        }
        world.write(name, text);
    }
    assert_eq!(world.seen().await, "");
}

#[tokio::test]
async fn after_lost_events_the_difference_is_found() {
    let files = [("api/a.py", "1"), ("api/b.py", "1"), ("api/same.py", "1"), ("api/old/x.py", "1")];
    let mut world = World::with(&files, deaf(), |root| set_of(root, vec![api(root)])).await;
    world.notices.try_recv().ok();
    world.write("api/a.py", "2");
    world.write("api/same.py", "1");
    fs::remove_file(world.path("api/b.py")).unwrap();
    fs::remove_dir_all(world.path("api/old")).unwrap();
    world.write("api/new/deep/x.py", "1");
    world.write("compose.yaml", "services: {}\n");
    world.lose_events();
    // A round trip through the same channel, which looks at nothing by itself.
    world.watcher.why(Path::new("/")).await.unwrap();
    let mut text = String::new();
    while let Ok(notice) = world.notices.try_recv() {
        match notice {
            Notice::Changed { changes, .. } => {
                changes.iter().for_each(|change| world.line(&mut text, change))
            }
            Notice::Reload { .. } => text.push_str("reload\n"),
            Notice::Rescanned { .. } => text.push_str("rescanned\n"),
            Notice::Ready { .. } | Notice::Degraded { .. } => {}
        }
    }
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "*api/a.py api: restart tests",
            "+api/new/deep/x.py api: restart tests",
            "-api/b.py api: restart tests",
            "-api/old/x.py api: restart tests",
            "reload",
            "rescanned",
        ]
    );
}

#[tokio::test]
async fn lost_events_with_the_system_still_watching_do_no_harm() {
    let mut world = World::new(&[("api/a.py", "1")]).await;
    world.write("api/a.py", "2");
    world.lose_events();
    world.lose_events();
    let seen = world.seen().await;
    assert_eq!(seen.matches("*api/a.py").count(), 1, "{seen}");
    assert_eq!(seen.matches("rescanned").count(), 2, "{seen}");
    world.write("api/a.py", "3");
    assert_eq!(world.seen().await, "*api/a.py api: restart tests\n");
}

#[tokio::test]
async fn polling_sees_the_same_and_says_that_it_polls() {
    let (out, mut notices) = mpsc::unbounded_channel();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("api")).unwrap();
    let options = Options { poll: true, poll_every: Duration::from_millis(10), ..Options::default() };
    let watcher = Watcher::with(out, options).unwrap();
    watcher.set(set_of(&root, vec![api(&root)])).await.unwrap();
    let degraded = notices.recv().await.unwrap();
    assert!(
        matches!(&degraded, Notice::Degraded { reason, help, .. } if !reason.is_empty() && help.contains("sysctl")),
        "{degraded:?}"
    );
    let mut world = World { _dir: dir, root, watcher, notices };
    world.until_ready().await;
    world.write("api/a/b/x.py", "1");
    assert_eq!(world.seen().await, "+api/a/b/x.py api: restart tests\n");
    world.write("api/a/b/x.py", "2");
    assert_eq!(world.seen().await, "*api/a/b/x.py api: restart tests\n");
    world.write("api/a/b/x.py", "2");
    assert_eq!(world.seen().await, "");
    fs::remove_dir_all(world.path("api/a")).unwrap();
    assert_eq!(world.seen().await, "-api/a/b/x.py api: restart tests\n");
    // By itself, without being asked.
    world.write("api/y.py", "1");
    let notice = world.notices.recv().await.unwrap();
    assert!(matches!(notice, Notice::Changed { .. }), "{notice:?}");
}

#[tokio::test]
async fn saves_while_everything_is_still_being_read_are_not_lost() {
    let files = tree(3000);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for (name, text) in &files {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), text).unwrap();
    }
    let (out, mut notices) = mpsc::unbounded_channel();
    let watcher = Watcher::new(out).unwrap();
    watcher.set(set_of(&root, vec![api(&root)])).await.unwrap();
    let saved: BTreeSet<PathBuf> = files.iter().step_by(10).map(|(name, _)| root.join(name)).collect();
    for path in &saved {
        fs::write(path, "saved").unwrap();
    }
    watcher.sync().await.unwrap();
    let mut changed = BTreeSet::new();
    while let Ok(notice) = notices.try_recv() {
        if let Notice::Changed { changes, .. } = notice {
            changed.extend(changes.into_iter().map(|change| change.path));
        }
    }
    assert_eq!(changed, saved);
}

/// What was read may be newer than what the process began with, when nobody could tell of the save in between.
#[test]
fn a_save_that_was_read_and_never_told_is_made_up_for_when_events_were_lost_before_all_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let [old, saved, unread] = ["old.py", "saved.py", "unread.py"].map(|name| root.join("api").join(name));
    fs::create_dir_all(root.join("api")).unwrap();
    let changed_at = |path: &Path| match content::find(path) {
        content::Found::File(stat) => stat.changed_at,
        other => panic!("{other:?}"),
    };
    let write = |path: &Path, text: &str| {
        fs::write(path, text).unwrap();
        // What was written a moment ago is read again in any case.
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    };
    for path in [&old, &saved, &unread] {
        write(path, "1");
    }
    let (inputs, _queue) = inbox::inbox();
    let (source, blind) = source::Source::new(&inputs, true, Duration::from_secs(3600)).unwrap();
    let mut watches = watches::Watches::new(source, blind, Arc::clone(&inputs.counts));
    let mut batch = watched::Batch::default();
    let mut project =
        watched::Watched::new(set_of(&root, vec![api(&root)]), 1, None, &mut watches, &mut batch);
    assert_eq!(batch.changes, []);
    // The file system's clock goes on in steps: until it is later than at the first time.
    while changed_at(&saved) <= changed_at(&unread) {
        write(&saved, "2");
    }
    project.started = changed_at(&saved);
    for file in [&old, &saved] {
        let (stat, hash) = content::read(file).unwrap();
        project.index.set(&root.join("api"), file.file_name().unwrap(), stat.print, hash);
    }
    project.rescan(&mut watches, &mut batch);
    let told = |batch: &watched::Batch| {
        let told = batch.changes.iter().map(|change| (change.path.clone(), change.kind, change.action));
        told.collect::<Vec<_>>()
    };
    assert_eq!(told(&batch), [(saved, ChangeKind::Modified, Some(Action::Restart))]);
    // When all was read, every save was told, or is another content than what was read.
    project.ready = true;
    let mut batch = watched::Batch::default();
    project.rescan(&mut watches, &mut batch);
    assert_eq!(told(&batch), []);
}
