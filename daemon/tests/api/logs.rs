//! Logs that are followed, over whatever becomes of the containers that write them.

use crate::daemon::{Daemon, SHOP};
use devdd::engine::fake::Fake;
use hyper::{Method, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

const HELLO: &str = "shop-api-1 says hello";

/// A followed log, by lines.
struct Log(BufReader<UnixStream>);

impl Log {
    async fn follow(daemon: &Daemon, query: &str) -> Self {
        let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
        let path = format!("/v1/projects/shop/services/api/logs?follow{query}");
        // HTTP/1.0 has no chunks: the body is what follows the head.
        let head = format!("GET {path} HTTP/1.0\r\nHost: devd\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut log = Self(BufReader::new(stream));
        assert_eq!(log.line().await.as_deref(), Some("HTTP/1.0 200 OK\r"));
        while log.line().await.unwrap() != "\r" {}
        log
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.0.read_line(&mut line));
        let read = read.await.expect("no more lines, and no end").unwrap();
        (read > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    async fn expect(&mut self, lines: &[&str]) {
        for expected in lines {
            assert_eq!(self.line().await.as_deref(), Some(*expected));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_goes_on_over_whatever_becomes_of_the_containers_until_the_project_is_gone() {
    let fake = Fake::default();
    let daemon = Daemon::with_project(fake.clone()).await;
    let mut log = Log::follow(&daemon, "").await;
    log.expect(&[HELLO]).await;
    let say = |lines: &[&str]| lines.iter().for_each(|line| fake.says("shop-api-1", line));
    say(&["a", "b", "b"]);
    // Killed right behind them, so that the log is read again from the moment at which they were written.
    fake.kill("shop-api-1");
    log.expect(&["a", "b", "b", HELLO]).await;
    say(&["c", "c"]);
    daemon.api("restart").await;
    log.expect(&["c", "c", HELLO]).await;
    daemon.api("stop").await;
    daemon.api("start").await;
    log.expect(&[HELLO]).await;
    say(&["last words"]);
    daemon.api("rebuild").await;
    log.expect(&["last words", HELLO]).await;
    fake.set_gone(true);
    say(&["unheard"]);
    fake.set_gone(false);
    log.expect(&["unheard"]).await;
    say(&["d"]);
    log.expect(&["d"]).await;
    let (status, _) = daemon.send(Method::DELETE, SHOP, None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(log.line().await, None);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_picks_up_a_service_that_has_no_container_yet_and_ends_with_the_daemon() {
    let fake = Fake::default();
    fake.refuse_next("create shop-api-1", "no room");
    let daemon = Daemon::with_project(fake.clone()).await;
    assert_eq!(daemon.get(SHOP).await["services"][0]["container"], Value::Null);
    let mut log = Log::follow(&daemon, "&tail=0").await;
    daemon.api("start").await;
    // All that it writes is new.
    log.expect(&[HELLO]).await;
    daemon.stop().await;
    assert_eq!(log.line().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_log_is_its_end_once() {
    let fake = Fake::default();
    let daemon = Daemon::with_project(fake.clone()).await;
    let say = |line: &str| fake.says("shop-api-1", line);
    say("a");
    say("b");
    let before = fake.logs_opened();
    let mut none = Log::follow(&daemon, "&tail=0").await;
    // Where the end is takes two looks, and nothing is heard of them.
    while fake.logs_opened() < before + 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Of two lines with one time it could not be told later which of them was asked for.
    tokio::time::sleep(Duration::from_millis(2)).await;
    say("e");
    none.expect(&["e"]).await;
    let mut one = Log::follow(&daemon, "&tail=1").await;
    one.expect(&["e"]).await;
    daemon.api("restart").await;
    one.expect(&[HELLO]).await;
    none.expect(&[HELLO]).await;
    for _ in 0..2 {
        say("c");
        say("d");
        daemon.api("rebuild").await;
        none.expect(&["c", "d", HELLO]).await;
        one.expect(&["c", "d", HELLO]).await;
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_keeps_dying_does_not_make_its_followers_spin() {
    let fake = Fake::default();
    let daemon = Daemon::with_project(fake.clone()).await;
    let mut log = Log::follow(&daemon, "").await;
    log.expect(&[HELLO]).await;
    fake.dies("shop-api-1", Some(3));
    fake.kill("shop-api-1");
    log.expect(&[HELLO, HELLO]).await;
    daemon.until(SHOP, |it| it["services"][0]["state"] == "backoff").await;
    let starts = fake.journal().iter().filter(|it| *it == "start shop-api-1").count();
    // Each death is read by the follower, and for the status.
    let opened = fake.logs_opened();
    assert!(opened <= 2 * starts as u64 + 2, "{opened} logs were opened for {starts} starts");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_nobody_is_refused() {
    let daemon = Daemon::with_project(Fake::default()).await;
    for follow in ["", "?follow"] {
        let (status, body) =
            daemon.send(Method::GET, &format!("{SHOP}/services/apo/logs{follow}"), None).await;
        let body = String::from_utf8_lossy(&body);
        assert!(status == StatusCode::NOT_FOUND && body.contains("api"), "{status} {body}");
    }
    daemon.stop().await;
}
