//! `/metrics`.

use crate::support::Daemon;
use devdd::engine::fake::Fake;

#[tokio::test]
async fn numbers_say_what_waits_what_was_dropped_and_what_the_engine_did() {
    let fake = Fake::default();
    let daemon = Daemon::start(fake.clone()).await;
    fake.refuse_next("create shop-api-1", "no space");
    daemon.up().await;
    let text = daemon
        .until("/metrics", |answer| {
            answer.body.contains("devd_runs_total{verdict=\"passed\"} 1\n")
                && answer.body.contains("devd_engine_errors_total{call=\"create\",kind=\"refused\"} 1\n")
        })
        .await
        .body;
    for line in [
        "devd_clients 1",
        "devd_clients_refused_total 0",
        "devd_queued{queue=\"file_events\"} ",
        "devd_queued{queue=\"history\"} ",
        "devd_dropped_total{what=\"file_events\"} 0",
        "devd_dropped_total{what=\"output_bytes\"} 0",
        "devd_environments ",
        "devd_watched_folders ",
        "devd_engine_calls_total{call=\"observe\"} ",
        "devd_engine_calls_total{call=\"create\"} ",
    ] {
        assert!(text.contains(&format!("\n{line}")), "{line} is not in\n{text}");
    }
    let folders = text.lines().find_map(|line| line.strip_prefix("devd_watched_folders ")).unwrap();
    assert!(folders.parse::<u64>().unwrap() > 1, "{folders}");
    // Labels are words of devd's own and services: none grows with use.
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(series < 400, "{series}");
    daemon.stop().await;
}
