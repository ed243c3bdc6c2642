//! Nothing grows without a bound, and what is turned away is told so.

use crate::support::{CLIENTS, Daemon};
use devdd::engine::fake::{Fake, TestsBehaviour};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn connections_were_accepted_without_a_bound() {
    let daemon = Daemon::start(Fake::default()).await;
    let mut open = Vec::new();
    for _ in 0..CLIENTS {
        open.push(daemon.connect().await);
    }
    // They are accepted in the order in which they came.
    let refused = daemon.ask("GET", "/v1/version", "").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let problem = refused.json();
    assert_eq!(problem["code"], "busy");
    assert_eq!(problem["title"], format!("devd has {CLIENTS} connections already"));
    // One that goes makes room; the daemon learns of that at its end of the connection.
    drop(open.pop());
    daemon.until("/metrics", |answer| answer.body.contains("devd_clients_refused_total ")).await;
    drop(open);
    daemon.until("/metrics", |answer| answer.body.contains("\ndevd_clients 1\n")).await;
    daemon.stop().await;
}

#[tokio::test]
async fn runs_that_were_asked_for_waited_without_a_bound() {
    let fake = Fake::default();
    fake.tests_behave(TestsBehaviour { takes: Duration::from_secs(3600), ..TestsBehaviour::default() });
    let daemon = Daemon::start(fake).await;
    daemon.up().await;
    let ask = |number: usize| {
        let args = [format!("test_{number}")];
        json!({"project": "shop", "services": ["api"], "args": args}).to_string()
    };
    let mut accepted = 0;
    let refused = loop {
        let answer = daemon.ask("POST", "/v1/runs", &ask(accepted)).await;
        if answer.status == 503 {
            break answer;
        }
        assert!(answer.status < 300, "{answer:?}");
        accepted += 1;
        assert!(accepted < 1000, "there is no bound");
    };
    assert_eq!(refused.json()["code"], "busy");
    assert!(refused.json()["title"].as_str().unwrap().starts_with("64 test runs of shop wait already"));
    daemon.stop().await;
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let daemon = Daemon::start(Fake::default()).await;
    let body = json!({"paths": ["x".repeat(5 << 20)]}).to_string();
    let answer = daemon.ask("POST", "/v1/saved", &body).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (413, Some("too_large")));
    daemon.stop().await;
}

#[tokio::test]
async fn a_reader_of_events_that_is_too_slow_is_told_and_counted() {
    let fake = Fake::default();
    let daemon = Daemon::start(fake).await;
    daemon.up().await;
    let mut stream = daemon.connect().await;
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: devd\r\n\r\n").await.unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    // Nothing is read for a while: what fits into the socket is sent, some are kept, and then the oldest are dropped.
    for _ in 0..2000 {
        for verb in ["stop", "start"] {
            let path = format!("/v1/projects/shop/services/api/{verb}");
            assert!(daemon.ask("POST", &path, "").await.status < 300);
        }
    }
    let mut text = String::new();
    let mut chunk = vec![0; 1 << 16];
    while !text.contains("event: lost") {
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the stream ended without a word on what was dropped");
        text = text.split_off(text.len().saturating_sub(100)) + &String::from_utf8_lossy(&chunk[..read]);
    }
    let numbers = daemon.get("/metrics").await.body;
    assert!(numbers.contains("devd_dropped_total{what=\"events\"} "), "{numbers}");
    // It reads no further, which kept the daemon from ending.
    daemon.stop().await;
    drop(stream);
}
