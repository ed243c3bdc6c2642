//! What crosses the socket is as it was written down: a change is one that somebody has seen.

use crate::support::Daemon;
use devdd::engine::fake::Fake;
use expect_test::expect_file;

#[tokio::test]
async fn the_openapi_document_is_as_written_down() {
    let daemon = Daemon::start(Fake::default()).await;
    let mut document = daemon.get("/v1/openapi.json").await.json();
    document["info"]["version"] = "0".into();
    let text = format!("{document:#}\n");
    expect_file!["../golden/openapi.json"].assert_eq(&text);
    daemon.stop().await;
}

#[tokio::test]
async fn every_answer_says_which_daemon_gives_it() {
    let daemon = Daemon::start(Fake::default()).await;
    for path in ["/v1/version", "/v1/status", "/nothing", "/metrics"] {
        let answer = daemon.ask("GET", path, "").await;
        let version = format!("{}: {}", devd_proto::VERSION_HEADER, env!("CARGO_PKG_VERSION"));
        assert!(answer.head.contains(&version), "{path}: {}", answer.head);
    }
    daemon.stop().await;
}
