//! What earlier versions left on the disk still loads, and nothing changes there unseen.

use super::*;
use devd_proto::{ProjectSource, Stage, TestFailure, TestsState};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

/// A database of each version, the first one first. A new version is a new file here.
const DATABASES: &[&str] =
    &[include_str!("golden/v1.sql"), include_str!("golden/v2.sql"), include_str!("golden/v3.sql")];

/// A state folder with the database of a version, from 1.
fn folder_of(version: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join(schema::FILE)).unwrap();
    connection.execute_batch(DATABASES[version - 1]).unwrap();
    folder
}

/// Files in a folder whose names begin so.
fn beginning(folder: &TempDir, begin: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with(begin));
    names.sort();
    names
}

fn schema_of(connection: &Connection) -> Vec<String> {
    let mut statement =
        connection.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_database_of_each_earlier_version_loads_and_a_copy_of_it_stays() {
    for version in 1..=DATABASES.len() {
        let folder = folder_of(version);
        let history = History::open(folder.path()).unwrap();
        let run = history.get(&"shop-1".into()).await.unwrap().unwrap();
        let expected = Run {
            id: "shop-1".into(),
            project: "shop".into(),
            service: "api".into(),
            state: TestsState::Failed,
            cause: "save".into(),
            paths: vec!["a b/x.py".into()],
            content: "abc".into(),
            command: vec!["python3".into(), "-m".into(), "unittest".into()],
            partial: version > 1,
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
        };
        assert_eq!(run, expected, "version {version}");
        let registration = Registration {
            name: "shop".into(),
            source: ProjectSource {
                dir: "/p/shop".into(),
                files: vec!["compose.yaml".into()],
                profiles: vec!["dev".into()],
                env: BTreeMap::from([("PORT".into(), "8001".into())]),
                ..ProjectSource::default()
            },
            selected: Some(BTreeSet::from(["api".into()])),
            stopped: BTreeSet::from(["db".into()]),
            completed: BTreeMap::from([("setup".into(), "abc.1".into())]),
        };
        assert_eq!(history.projects().await.unwrap(), [registration], "version {version}");
        assert_eq!(history.next_number(&"shop".into()).await.unwrap(), 2);
        let origins = Origins::from([
            (Made::Image("api".into()), Some("1 00000000000000000000000000000003".into())),
            (
                Made::Process("4bf1".into()),
                Some("1 00000000000000000000000000000001 00000000000000000000000000000002".into()),
            ),
            (Made::Process("9c02".into()), None),
        ]);
        let expected = if version > 2 { origins } else { Origins::new() };
        assert_eq!(history.origins(&"shop".into()).await.unwrap(), expected, "version {version}");

        let copies = beginning(&folder, "history.db.v");
        let old = version < DATABASES.len();
        assert_eq!(copies.len(), usize::from(old), "version {version}: {copies:?}");
        if let [copy] = &copies[..] {
            assert!(copy.starts_with(&format!("history.db.v{version}-")), "{copy}");
            let path = folder.path().join(copy);
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            // Whoever wants to go back has it as it was.
            let copy = Connection::open(path).unwrap();
            let found: i64 = copy.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(found, version as i64);
            let original = folder_of(version);
            let original = Connection::open(original.path().join(schema::FILE)).unwrap();
            assert_eq!(schema_of(&copy), schema_of(&original));
        }
        history.close().await;
    }
}

#[test]
fn the_schema_is_that_of_the_newest_golden_database() {
    let folder = tempfile::tempdir().unwrap();
    let opened = schema::open(folder.path()).unwrap();
    let version: i64 = opened.connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version as usize, DATABASES.len(), "write golden/v{version}.sql");
    let golden = folder_of(DATABASES.len());
    let golden = Connection::open(golden.path().join(schema::FILE)).unwrap();
    assert_eq!(schema_of(&opened.connection), schema_of(&golden));
}

#[test]
fn copies_of_earlier_databases_would_pile_up() {
    let folder = folder_of(1);
    for time in [100, 200, 300] {
        fs::write(folder.path().join(format!("history.db.v1-{time}")), "").unwrap();
    }
    fs::write(folder.path().join("history.db.broken-1"), "").unwrap();
    schema::open(folder.path()).unwrap();
    let copies = beginning(&folder, "history.db.v");
    assert_eq!(
        (copies.len(), copies.iter().any(|name| name == "history.db.v1-300")),
        (2, true),
        "{copies:?}"
    );
    assert_eq!(beginning(&folder, "history.db.broken-").len(), 1, "what is no copy is left alone");

    for _ in 0..4 {
        fs::write(folder.path().join(schema::FILE), "no database, and longer than its head is: ".repeat(99))
            .unwrap();
        schema::open(folder.path()).unwrap();
    }
    let broken = beginning(&folder, "history.db.broken-");
    assert!(broken.len() <= 2, "{broken:?}");
}

#[tokio::test]
async fn the_log_of_a_run_is_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path()).unwrap();
    let mut log = history.log_writer(&"shop-1".into()).unwrap();
    log.write(b"a\xff\r\n\x1b[1mb");
    log.finish();
    let mut reader = history.log(&"shop-1".into(), true).await.unwrap();
    let mut read = Vec::new();
    while let Some(bytes) = reader.next().await.unwrap() {
        read.extend_from_slice(&bytes);
    }
    assert_eq!(read, b"a\xff\r\n\x1b[1mb");
    assert_eq!(fs::read(folder.path().join("runs/shop-1.log")).unwrap(), read);
}
