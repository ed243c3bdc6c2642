//! Disks that are full, databases that somebody else has, and those that break.

use super::tests::{beside, folder, open, record, run};
use super::*;
use devd_proto::{ProjectSource, TestsState};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

/// Has the database for itself until it is dropped.
fn somebody_else(folder: &TempDir) -> rusqlite::Connection {
    let other = beside(folder);
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    other
}

/// A run that ended while somebody else has the database.
async fn owed(folder: &TempDir, id: &str) -> (History, Run, rusqlite::Connection) {
    let history = open(folder);
    let done = run(id, "api", TestsState::Passed);
    history.begin(&done).await.unwrap();
    let other = somebody_else(folder);
    assert!(matches!(history.finish(&done).await, Err(HistoryError::Owed(_))));
    (history, done, other)
}

fn state_on_disk(folder: &TempDir, id: &str) -> String {
    beside(folder).query_row("SELECT state FROM runs WHERE id = ?1", [id], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_run_that_ends_while_somebody_else_has_the_database_is_not_lost() {
    let folder = folder();
    let (history, done, other) = owed(&folder, "shop-1").await;
    assert_eq!(history.get(&done.id).await.unwrap().unwrap(), done, "it is known all the same");
    assert_eq!(history.list(RunFilter::default()).await.unwrap().runs, std::slice::from_ref(&done));
    drop(other);
    history.remove_project(&"other".into()).await.unwrap();
    assert_eq!(state_on_disk(&folder, "shop-1"), "passed");
}

#[tokio::test]
async fn a_daemon_that_is_killed_while_somebody_else_has_the_database_loses_no_run() {
    let folder = folder();
    let (history, done, other) = owed(&folder, "shop-1.5-1").await;
    // Another daemon on the same folder: this one never gets to it.
    std::mem::forget(history);
    drop(other);
    let history = open(&folder);
    assert_eq!(history.get(&done.id).await.unwrap().unwrap(), done);
    assert_eq!(state_on_disk(&folder, "shop-1.5-1"), "passed");
    let left = fs::read_dir(folder.path().join("devd/runs")).unwrap().count();
    assert_eq!(left, 0, "its note is left");
}

#[tokio::test]
async fn what_a_full_disk_kept_from_being_written_is_written_when_there_is_room_without_being_asked() {
    let folder = folder();
    let history = open(&folder);
    let begun = run("shop-1", "api", TestsState::Failed);
    history.begin(&begun).await.unwrap();
    let limit = |pages: i64| {
        history.call(move |store| {
            store.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            Ok(())
        })
    };
    limit(1).await.unwrap();
    let failures = begun.failures.iter().cycle().take(150).cloned().collect();
    let done = Run { failures, ..begun };
    assert!(matches!(history.finish(&done).await, Err(HistoryError::Owed(_))));
    assert_eq!(state_on_disk(&folder, "shop-1"), "running");
    limit(1 << 30).await.unwrap();
    let mut news = history.logs().news();
    while state_on_disk(&folder, "shop-1") == "running" {
        // Nothing else is asked for meanwhile; its thread tries again by itself.
        let _ = tokio::time::timeout(Duration::from_millis(20), news.changed()).await;
    }
    assert_eq!(history.get(&done.id).await.unwrap().unwrap(), done);
}

#[tokio::test]
async fn readers_do_not_put_off_what_is_owed() {
    let folder = folder();
    let (history, done, other) = owed(&folder, "shop-1").await;
    drop(other);
    let mut news = history.logs().news();
    let mut reads = 0;
    while state_on_disk(&folder, "shop-1") == "running" {
        assert!(reads < 2000, "it is not written for all the reading");
        history.get(&done.id).await.unwrap();
        reads += 1;
        let _ = tokio::time::timeout(Duration::from_millis(20), news.changed()).await;
    }
}

#[tokio::test]
async fn a_note_that_is_there_is_not_written_again() {
    let folder = folder();
    let (history, done, other) = owed(&folder, "shop-1").await;
    let note = folder.path().join("devd/runs/shop-1.ended");
    let before = fs::metadata(&note).unwrap();
    // Another daemon finds it, and the database as it was.
    std::mem::forget(history);
    let history = open(&folder);
    let after = fs::metadata(&note).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap(), "a full disk would have spoilt it");
    drop(other);
    assert_eq!(history.get(&done.id).await.unwrap().unwrap(), done);
}

#[tokio::test]
async fn a_daemon_starts_on_a_database_that_cannot_be_written_and_cancels_what_was_cut_off_later() {
    let folder = folder();
    let history = open(&folder);
    history.begin(&run("shop-1", "api", TestsState::Running)).await.unwrap();
    history.close().await;
    let other = somebody_else(&folder);
    let history = open(&folder);
    drop(other);
    // One that is begun by this life is not among those.
    history.begin(&run("shop-2", "api", TestsState::Running)).await.unwrap();
    history.remove_project(&"other".into()).await.unwrap();
    assert_eq!(state_on_disk(&folder, "shop-1"), "cancelled");
    assert_eq!(state_on_disk(&folder, "shop-2"), "running");
}

#[tokio::test]
async fn a_number_whose_run_could_not_be_recorded_is_not_used_again() {
    let folder = folder();
    let history = open(&folder);
    record(&history, &run("shop-1", "api", TestsState::Passed)).await;
    history.log_writer(&"shop-2".into()).unwrap().finish();
    history.close().await;
    assert_eq!(open(&folder).next_number(&"shop".into()).await.unwrap(), 3);
}

/// A project among many runs, all of it in the database's file.
async fn with_a_project_and_runs(history: &History, folder: &TempDir) -> Registration {
    let source = ProjectSource { dir: "/src/shop".into(), ..ProjectSource::default() };
    let (stopped, completed) = (BTreeSet::from(["db".into()]), BTreeMap::new());
    let shop = Registration { name: "shop".into(), source, selected: None, stopped, completed };
    history.save_project(&shop).await.unwrap();
    for number in 1..=300 {
        record(history, &run(&format!("shop-{number}"), &format!("s{number}"), TestsState::Passed)).await;
    }
    beside(folder).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    shop
}

/// Cuts it in the middle of what is its most: the runs.
fn cut(folder: &TempDir) {
    let file = fs::File::options().write(true).open(folder.path().join("devd/history.db")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

#[tokio::test]
async fn a_database_that_was_cut_takes_no_registered_project_along() {
    let folder = folder();
    let history = open(&folder);
    let shop = with_a_project_and_runs(&history, &folder).await;
    history.close().await;
    cut(&folder);
    let history = open(&folder);
    assert_eq!(history.projects().await.unwrap(), std::slice::from_ref(&shop));
    assert_eq!(history.list(RunFilter::default()).await.unwrap(), Runs::default(), "a new one was begun");
    assert_eq!(open(&folder).projects().await.unwrap(), [shop]);
}

#[tokio::test]
async fn a_database_that_breaks_in_use_is_replaced_and_what_comes_then_is_kept() {
    let folder = folder();
    let history = open(&folder);
    let shop = with_a_project_and_runs(&history, &folder).await;
    cut(&folder);
    history.call(|store| Ok(store.connection.execute_batch("PRAGMA shrink_memory")?)).await.unwrap();
    for number in 301..=340 {
        history.finish(&run(&format!("shop-{number}"), "api", TestsState::Passed)).await.unwrap();
    }
    history.close().await;
    let history = open(&folder);
    assert!(history.get(&"shop-340".into()).await.unwrap().is_some());
    assert_eq!(history.projects().await.unwrap(), [shop]);
    assert_eq!(history.next_number(&"shop".into()).await.unwrap(), 341);
}
