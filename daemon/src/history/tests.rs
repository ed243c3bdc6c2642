//! The history on a disk of its own.

use super::logs::Logs;
use super::*;
use devd_proto::{ProjectSource, Stage, TestFailure, TestsState};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Nothing goes for being too much together.
const ALL: retention::Limits =
    retention::Limits { runs: u32::MAX, log_bytes: u64::MAX, database_bytes: u64::MAX };

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn open(folder: &TempDir) -> History {
    History::open(&folder.path().join("devd")).unwrap()
}

pub(super) fn run(id: &str, service: &str, state: TestsState) -> Run {
    let project = id.rsplit_once('-').unwrap().0;
    Run {
        id: id.into(),
        project: project.into(),
        service: service.into(),
        state,
        cause: "save".into(),
        paths: vec!["a b/x.py".into()],
        content: "abc".into(),
        command: vec!["python3".into(), "-m".into(), "unittest".into()],
        partial: false,
        exit_code: Some(1),
        reason: None,
        started_at: "2026-01-02T03:04:05.678Z".into(),
        finished_at: Some("2026-01-02T03:04:06.678Z".into()),
        duration_ms: Some(1000),
        passed: Some(4),
        failed: Some(1),
        skipped: None,
        failures: vec![TestFailure {
            name: "test_a".into(),
            file: Some("/x/a.py".into()),
            line: Some(7),
            message: "1 != 2".into(),
        }],
        stages: vec![Stage { name: "done".into(), at_us: 17 }],
    }
}

fn ids(runs: &Runs) -> Vec<&str> {
    runs.runs.iter().map(|run| run.id.as_str()).collect()
}

pub(super) async fn record(history: &History, run: &Run) {
    history.begin(run).await.unwrap();
    history.finish(run).await.unwrap();
}

/// Looks into the database beside the history.
pub(super) fn beside(folder: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.path().join("devd/history.db")).unwrap()
}

#[tokio::test]
async fn a_run_is_kept_from_its_beginning_to_its_end_and_after_a_restart() {
    let folder = folder();
    let history = open(&folder);
    let done = run("shop-1", "api", TestsState::Failed);
    let begun = Run { failures: vec![], state: TestsState::Queued, exit_code: None, ..done.clone() };
    history.begin(&begun).await.unwrap();
    let seen = history.get(&"shop-1".into()).await.unwrap().unwrap();
    assert_eq!(seen, Run { state: TestsState::Running, ..begun.clone() });
    assert!(matches!(history.begin(&begun).await, Err(HistoryError::AlreadyRecorded(_))));
    history.finish(&done).await.unwrap();
    let again = open(&folder);
    assert_eq!(again.get(&"shop-1".into()).await.unwrap().unwrap(), done);
    let changed = Run { state: TestsState::Passed, ..done.clone() };
    assert!(matches!(again.finish(&changed).await, Err(HistoryError::AlreadyRecorded(_))));
    assert_eq!(again.get(&"shop-1".into()).await.unwrap().unwrap(), done);
    assert_eq!(again.get(&"shop-2".into()).await.unwrap(), None);
}

#[tokio::test]
async fn a_run_whose_beginning_was_lost_is_recorded_at_its_end() {
    let folder = folder();
    let history = open(&folder);
    let done = run("shop-3", "api", TestsState::Passed);
    history.finish(&done).await.unwrap();
    assert_eq!(history.get(&done.id).await.unwrap().unwrap(), done);
    assert_eq!(history.next_number(&"shop".into()).await.unwrap(), 4);
}

#[tokio::test]
async fn runs_of_an_earlier_life_are_cancelled() {
    let folder = folder();
    let history = open(&folder);
    let left = run("shop-1", "api", TestsState::Running);
    history.begin(&left).await.unwrap();
    history.close().await;
    let history = open(&folder);
    let found = history.get(&left.id).await.unwrap().unwrap();
    assert_eq!(found.state, TestsState::Cancelled);
    assert_eq!(found.reason.as_deref(), Some("devd was stopped while it ran"));
}

#[tokio::test]
async fn lists_are_newest_first_filtered_and_paged() {
    let folder = folder();
    let history = open(&folder);
    for (id, service) in
        [("shop-1", "api"), ("shop-2", "web"), ("blog-1", "api"), ("shop-10", "api"), ("shop-11", "api")]
    {
        record(&history, &run(id, service, TestsState::Passed)).await;
    }
    let list = async |filter: RunFilter| history.list(filter).await.unwrap();
    let all = list(RunFilter::default()).await;
    assert_eq!(ids(&all), ["shop-11", "shop-10", "blog-1", "shop-2", "shop-1"]);
    assert_eq!(all.next, None);
    let api = RunFilter { project: Some("shop".into()), service: Some("api".into()), ..RunFilter::default() };
    assert_eq!(ids(&list(api.clone()).await), ["shop-11", "shop-10", "shop-1"]);
    let first = list(RunFilter { limit: Some(2), ..api.clone() }).await;
    assert_eq!((ids(&first), first.next.clone()), (vec!["shop-11", "shop-10"], Some("shop-10".into())));
    let second = list(RunFilter { limit: Some(2), before: first.next, ..api }).await;
    assert_eq!((ids(&second), &second.next), (vec!["shop-1"], &None));
    assert_eq!(list(RunFilter { limit: Some(0), ..RunFilter::default() }).await.runs.len(), 1);
    let unknown = RunFilter { before: Some("shop-99".into()), ..RunFilter::default() };
    assert!(matches!(history.list(unknown).await, Err(HistoryError::UnknownRun(_))));
}

#[tokio::test]
async fn the_last_verdict_is_not_a_cancelled_run() {
    let folder = folder();
    let history = open(&folder);
    let (shop, api) = ("shop".into(), "api".into());
    assert_eq!(history.last(&shop, &api).await.unwrap(), None);
    for (id, state) in [
        ("shop-1", TestsState::Failed),
        ("shop-2", TestsState::Passed),
        ("shop-3", TestsState::Cancelled),
        ("shop-4", TestsState::Running),
    ] {
        let run = run(id, "api", state);
        history.begin(&run).await.unwrap();
        if state != TestsState::Running {
            history.finish(&run).await.unwrap();
        }
    }
    assert_eq!(history.last(&shop, &api).await.unwrap().unwrap().id, "shop-2".into());
}

#[tokio::test]
async fn numbers_are_never_used_twice() {
    let folder = folder();
    let history = open(&folder);
    let shop: ProjectName = "shop".into();
    assert_eq!(history.next_number(&shop).await.unwrap(), 1);
    record(&history, &run("shop-7", "api", TestsState::Passed)).await;
    record(&history, &run("shop-5", "api", TestsState::Passed)).await;
    assert_eq!(history.next_number(&shop).await.unwrap(), 8);
    beside(&folder).execute("DELETE FROM runs", []).unwrap();
    assert_eq!(open(&folder).next_number(&shop).await.unwrap(), 8);
    // A project whose name is the beginning of another's.
    record(&history, &run("shop-two-90", "api", TestsState::Passed)).await;
    assert_eq!(history.next_number(&shop).await.unwrap(), 8);
    assert_eq!(history.next_number(&"shop-two".into()).await.unwrap(), 91);
}

#[tokio::test]
async fn projects_are_saved_replaced_and_forgotten() {
    let folder = folder();
    let history = open(&folder);
    let mut shop = Registration {
        name: "shop".into(),
        source: ProjectSource {
            dir: "/src/my shop".into(),
            env: BTreeMap::from([("TOKEN".into(), "hush".into())]),
            ..ProjectSource::default()
        },
        selected: Some(BTreeSet::from(["api".into()])),
        stopped: BTreeSet::new(),
        completed: BTreeMap::from([("migrate".into(), "abc".into())]),
    };
    let blog = Registration { name: "blog".into(), selected: None, ..shop.clone() };
    history.save_project(&shop).await.unwrap();
    history.save_project(&blog).await.unwrap();
    shop.stopped.insert("db".into());
    history.save_project(&shop).await.unwrap();
    let blog_name = blog.name.clone();
    assert_eq!(open(&folder).projects().await.unwrap(), [blog, shop.clone()]);
    let process = Made::Process("4bf1".into());
    for project in [&shop.name, &blog_name] {
        history.save_origin(project, process.clone(), None).await.unwrap();
        history.save_origin(project, process.clone(), Some("1 a b".into())).await.unwrap();
        history.save_origin(project, Made::Image("api".into()), Some("1 c".into())).await.unwrap();
    }
    history.remove_origin(&shop.name, Made::Image("api".into())).await.unwrap();
    history.remove_project(&blog_name).await.unwrap();
    let origins = Origins::from([(process, Some("1 a b".into()))]);
    assert_eq!(open(&folder).origins(&shop.name).await.unwrap(), origins);
    assert_eq!(history.origins(&blog_name).await.unwrap(), Origins::new(), "they go with their project");
    // One that cannot be read does not take the others along, nor does its secret get out.
    beside(&folder)
        .execute("INSERT INTO projects VALUES ('odd', '{\"dir\": \"hush\"', NULL, '[]', '{}')", [])
        .unwrap();
    assert_eq!(history.projects().await.unwrap(), [shop]);
}

#[test]
fn errors_do_not_quote_what_may_be_secret() {
    let error =
        projects::decode::<BTreeMap<String, u32>>("a project's source", r#"{"TOKEN": "hush"}"#).unwrap_err();
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[tokio::test]
async fn nobody_else_may_read_it() {
    let folder = folder();
    let history = open(&folder);
    record(&history, &run("shop-1", "api", TestsState::Passed)).await;
    history.log_writer(&"shop-1".into()).unwrap().finish();
    let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("devd"), mode("devd/runs")), (0o700, 0o700));
    for file in ["history.db", "history.db-wal", "history.db-shm", "runs/shop-1.log"] {
        assert_eq!(mode(&format!("devd/{file}")), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_broken_database_is_moved_aside() {
    let folder = folder();
    let history = open(&folder);
    for number in 1..=300 {
        record(&history, &run(&format!("shop-{number}"), &format!("s{number}"), TestsState::Passed)).await;
    }
    history.log_writer(&"shop-300".into()).unwrap().finish();
    let database = folder.path().join("devd/history.db");
    beside(&folder).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let whole = fs::read(&database).unwrap();
    history.close().await;
    let mut holes = whole.clone();
    for page in holes.chunks_mut(4096).skip(3).step_by(4) {
        page.fill(0xA5);
    }
    for (name, bytes) in
        [("no database", &b"hello, this is a text that is long enough"[..]), ("holes", &holes[..])]
    {
        fs::write(&database, bytes).unwrap();
        let history = open(&folder);
        assert_eq!(history.list(RunFilter::default()).await.unwrap(), Runs::default(), "{name}");
        // The log of an id that was given shows that it was given.
        assert_eq!(history.next_number(&"shop".into()).await.unwrap(), 301, "{name}");
        record(&history, &run("shop-301", "api", TestsState::Passed)).await;
        history.close().await;
        assert!(matches!(history.projects().await, Err(HistoryError::Stopped)));
        history.close().await;
    }
    let mut aside: Vec<Vec<u8>> = Vec::new();
    for entry in fs::read_dir(folder.path().join("devd")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("history.db.broken-") && !name.ends_with("-wal") && !name.ends_with("-shm") {
            aside.push(fs::read(path).unwrap());
        }
    }
    aside.sort();
    let mut both = vec![b"hello, this is a text that is long enough".to_vec(), holes];
    both.sort();
    assert!(aside == both, "what was there is kept");
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let folder = folder();
    drop(open(&folder));
    beside(&folder).pragma_update(None, "user_version", 99).unwrap();
    let error = History::open(&folder.path().join("devd")).unwrap_err();
    assert!(matches!(error, HistoryError::Newer { found: 99, known: 3, .. }), "{error}");
    assert_eq!(
        fs::read_dir(folder.path().join("devd"))
            .unwrap()
            .filter(|it| { it.as_ref().unwrap().file_name().to_string_lossy().contains("broken") })
            .count(),
        0
    );
}

#[test]
fn a_state_folder_that_cannot_be_is_an_error() {
    let folder = folder();
    fs::write(folder.path().join("devd"), "a file").unwrap();
    let error = History::open(&folder.path().join("devd")).unwrap_err();
    assert!(error.to_string().contains("devd"), "{error}");
}

#[tokio::test]
async fn old_runs_go_with_their_logs() {
    let folder = folder();
    let history = open(&folder);
    let logs = Logs::open(&folder.path().join("devd")).unwrap();
    let mut connection = beside(&folder);
    for number in 1..=260 {
        let id = format!("shop-{number}");
        history.begin(&run(&id, "api", TestsState::Running)).await.unwrap();
        fs::write(logs.path(&id.as_str().into()).unwrap(), "x").unwrap();
    }
    for number in 1..=30 {
        history.begin(&run(&format!("blog-{number}"), "api", TestsState::Running)).await.unwrap();
    }
    let count = |project: &str| -> u32 {
        beside(&folder)
            .query_row("SELECT count(*) FROM runs WHERE project = ?1", [project], |row| row.get(0))
            .unwrap()
    };
    let began = "2026-01-02T03:04:05Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    retention::apply_with(&mut connection, &logs, began + 90 * DAY_MS, ALL).unwrap();
    assert_eq!((count("shop"), count("blog")), (260, 30), "what is under way stays");
    connection.execute("UPDATE runs SET state = 'passed' WHERE id <> 'shop-1'", []).unwrap();
    retention::apply_with(&mut connection, &logs, began + 29 * DAY_MS, ALL).unwrap();
    assert_eq!((count("shop"), count("blog")), (201, 30));
    assert!(history.get(&"shop-1".into()).await.unwrap().is_some(), "it still runs");
    assert!(!logs.path(&"shop-60".into()).unwrap().exists());
    assert!(logs.path(&"shop-61".into()).unwrap().exists());
    retention::apply_with(&mut connection, &logs, began + 31 * DAY_MS, ALL).unwrap();
    assert_eq!((count("shop"), count("blog")), (21, 20));
    assert_eq!(fs::read_dir(logs.folder()).unwrap().count(), 21);
}

#[tokio::test]
async fn twenty_runs_of_each_service_that_ever_was_stayed_for_ever() {
    let folder = folder();
    let history = open(&folder);
    let logs = Logs::open(&folder.path().join("devd")).unwrap();
    let mut connection = beside(&folder);
    history.begin(&run("shop-1", "api", TestsState::Running)).await.unwrap();
    for number in 2..=30 {
        record(&history, &run(&format!("shop-{number}"), &format!("s{number}"), TestsState::Passed)).await;
    }
    let now = "2026-01-02T03:04:05Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let mut left = |limits| {
        retention::apply_with(&mut connection, &logs, now, limits).unwrap();
        let sql = "SELECT group_concat(id, ' ') FROM (SELECT id FROM runs ORDER BY seq)";
        let left: String = beside(&folder).query_row(sql, [], |row| row.get(0)).unwrap();
        left.replace("shop-", "")
    };
    assert_eq!(left(retention::Limits { runs: 3, ..ALL }), "1 28 29 30", "what is under way stays");
    assert_eq!(left(retention::Limits { database_bytes: 1, ..ALL }), "1", "a database has a size as well");
}

#[tokio::test]
async fn logs_stay_within_their_bound() {
    let folder = folder();
    let history = open(&folder);
    let logs = Logs::open(&folder.path().join("devd")).unwrap();
    let now = SystemTime::now();
    for number in 1..=6_u64 {
        let state = if number == 1 { TestsState::Failed } else { TestsState::Passed };
        let run = run(&format!("shop-{number}"), "api", state);
        record(&history, &run).await;
        let path = logs.path(&run.id).unwrap();
        fs::write(&path, vec![b'x'; 100]).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(now - Duration::from_secs(1000 - number)).unwrap();
    }
    fs::write(logs.folder().join("stray-1.log"), "x").unwrap();
    let file = fs::File::options().write(true).open(logs.folder().join("stray-1.log")).unwrap();
    file.set_modified(now - 2 * MAX_AGE).unwrap();
    let writer = logs.writer(&"shop-2".into()).unwrap();
    let left = |bytes| {
        let mut connection = beside(&folder);
        let limits = retention::Limits { log_bytes: bytes, ..ALL };
        retention::apply_with(&mut connection, &logs, jiff::Timestamp::now().as_millisecond(), limits)
            .unwrap();
        let mut names: Vec<String> = fs::read_dir(logs.folder())
            .unwrap()
            .map(|entry| {
                entry.unwrap().file_name().into_string().unwrap().replace("shop-", "").replace(".log", "")
            })
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(left(350), "1 2 6", "the failed run's and the live one stay");
    assert_eq!(left(100), "2");
    writer.finish();
    let gone = history.log(&"shop-1".into(), false).await;
    assert!(matches!(gone, Err(HistoryError::LogGone(_))), "{gone:?}");
}

#[tokio::test]
async fn a_tidy_happens_every_so_often() {
    let folder = folder();
    let history = open(&folder);
    for number in 1..=320 {
        record(&history, &run(&format!("shop-{number}"), "api", TestsState::Passed)).await;
    }
    // The sample's time is long past the age limit in any case.
    let count =
        history.list(RunFilter { limit: Some(500), ..RunFilter::default() }).await.unwrap().runs.len();
    assert!((20..=216).contains(&count), "{count}");
}
