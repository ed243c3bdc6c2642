//! Logs: written, followed, and never anywhere else.

use super::*;
use futures_util::StreamExt as _;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

fn open() -> (TempDir, History) {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path()).unwrap();
    (folder, history)
}

fn run(id: &str) -> Run {
    let text = format!(
        r#"{{"id":"{id}","project":"shop","service":"api","state":"passed","cause":"","paths":[],"content":"",
        "command":[],"started_at":"2026-01-02T03:04:05.678Z"}}"#
    );
    serde_json::from_str(&text).unwrap()
}

async fn all(mut reader: LogReader) -> String {
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).unwrap()
}

/// Reads until `text` was read: never sleeps, and hangs (until the time limit) if it does not come.
async fn until(reader: &mut LogReader, text: &str) {
    let mut seen = String::new();
    while !seen.ends_with(text) {
        let chunk = reader.next().await.unwrap().expect("the log ended too soon");
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
}

#[tokio::test]
async fn a_log_is_followed_while_it_is_written() {
    let (_folder, history) = open();
    let id: RunId = "shop-1".into();
    let mut writer = history.log_writer(&id).unwrap();
    writer.write(b"one\n");
    let mut follower = history.log(&id, true).await.unwrap();
    soon(until(&mut follower, "one\n")).await;
    writer.write(b"two");
    soon(until(&mut follower, "two")).await;
    let late = history.log(&id, true).await.unwrap();
    let waiting = tokio::spawn(async move { follower.next().await.unwrap() });
    let late = tokio::spawn(all(late));
    writer.write(b" three\n");
    writer.finish();
    assert_eq!(soon(late).await.unwrap(), "one\ntwo three\n");
    assert_eq!(soon(waiting).await.unwrap().as_deref(), Some(&b" three\n"[..]));
    assert_eq!(soon(all(history.log(&id, true).await.unwrap())).await, "one\ntwo three\n");
}

#[tokio::test]
async fn who_does_not_follow_gets_what_is_there() {
    let (_folder, history) = open();
    let id: RunId = "shop-1".into();
    let mut writer = history.log_writer(&id).unwrap();
    writer.write(b"one\n");
    let mut follower = history.log(&id, true).await.unwrap();
    soon(until(&mut follower, "one\n")).await;
    assert_eq!(soon(all(history.log(&id, false).await.unwrap())).await, "one\n");
    for _ in 0..1000 {
        writer.write(&[b'x'; 1000]);
    }
    writer.finish();
    // At once after the end all of it is there, though the file may not have it yet.
    assert_eq!(soon(all(history.log(&id, false).await.unwrap())).await.len(), 1_000_004);
}

#[tokio::test]
async fn a_run_that_has_not_begun_to_write_is_waited_for() {
    let (_folder, history) = open();
    for (id, writes) in [("shop-1", true), ("shop-2", false)] {
        let run = run(id);
        history.begin(&run).await.unwrap();
        assert_eq!(soon(all(history.log(&run.id, false).await.unwrap())).await, "");
        let follower = history.log(&run.id, true).await.unwrap();
        let stream: Vec<_> = {
            let reading = tokio::spawn(follower.into_stream().collect());
            tokio::task::yield_now().await;
            if writes {
                let mut writer = history.log_writer(&run.id).unwrap();
                writer.write(b"hello");
            }
            history.finish(&run).await.unwrap();
            soon(reading).await.unwrap()
        };
        let text: Vec<u8> = stream.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect();
        assert_eq!(String::from_utf8(text).unwrap(), if writes { "hello" } else { "" });
    }
}

#[tokio::test]
async fn unknown_and_odd_ids_are_refused() {
    let (folder, history) = open();
    let unknown = history.log(&"shop-1".into(), true).await;
    assert!(matches!(unknown, Err(HistoryError::UnknownRun(_))), "{unknown:?}");
    let run = run("shop-2");
    history.begin(&run).await.unwrap();
    history.finish(&run).await.unwrap();
    let gone = history.log(&run.id, true).await;
    assert!(matches!(gone, Err(HistoryError::LogGone(_))), "{gone:?}");
    fs::write(folder.path().join("secret.log"), "x").unwrap();
    let long = "x".repeat(300);
    for id in
        ["", ".", "..", "../secret", "/etc/passwd", "a/b", "a\0b", ".hidden", "A-1", "ä-1", "a b-1", &long]
    {
        let id: RunId = id.into();
        assert!(matches!(history.log(&id, true).await, Err(HistoryError::InvalidRunId(_))), "{id}");
        assert!(matches!(history.log_writer(&id), Err(HistoryError::InvalidRunId(_))), "{id}");
        let run = Run { id: id.clone(), ..run.clone() };
        assert!(matches!(history.begin(&run).await, Err(HistoryError::InvalidRunId(_))), "{id}");
        assert!(matches!(history.finish(&run).await, Err(HistoryError::InvalidRunId(_))), "{id}");
    }
    assert!(history.log_writer(&"my.app_2-1".into()).is_ok());
}

#[tokio::test]
async fn too_much_output_is_left_out_and_counted() {
    let (folder, history) = open();
    let id: RunId = "shop-1".into();
    let mut writer = history.log_writer(&id).unwrap();
    let second = history.log_writer(&id);
    assert!(matches!(second, Err(HistoryError::AlreadyRecorded(_))), "{second:?}");
    let chunk = vec![b'x'; 1_000_003];
    for _ in 0..70 {
        writer.write(&chunk);
    }
    writer.finish();
    let mut reader = history.log(&id, true).await.unwrap();
    let mut read = 0;
    while let Some(bytes) = soon(reader.next()).await.unwrap() {
        read += bytes.len() as u64;
    }
    assert!((MAX_LOG_BYTES..MAX_LOG_BYTES + 200).contains(&read), "{read}");
    let bytes = fs::read(folder.path().join("runs/shop-1.log")).unwrap();
    let end = std::str::from_utf8(&bytes[bytes.len() - 200..]).unwrap();
    let dropped = 70 * 1_000_003 - MAX_LOG_BYTES;
    let said = format!(
        "x\n[devd] more than 64 MiB of output: the rest is left out\n[devd] {dropped} bytes of output were left out\n"
    );
    assert!(end.ends_with(&said), "{end}");
    assert_eq!(bytes.len() as u64, read);
}
