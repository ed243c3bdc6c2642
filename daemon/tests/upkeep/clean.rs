//! What is left over, and who removes it.

use crate::support::Daemon;
use devdd::engine::fake::Fake;
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}

/// A world in which nobody keeps the project `gone` any more, and another daemon has one of the same name.
fn world() -> Fake {
    let fake = Fake::default();
    fake.leave_behind("gone-devd-1_default", "gone", "1", None);
    fake.leave_behind("gone-devd-2_default", "gone", "2", Some("here:/other"));
    fake.leave_behind("gone-devd-3_default", "gone", "3", Some("here:/gone"));
    fake
}

fn removed(fake: &Fake) -> Vec<String> {
    fake.journal().into_iter().filter(|line| line.starts_with("remove network")).collect()
}

#[tokio::test]
async fn environments_of_projects_that_nobody_registers_again_stayed_for_ever() {
    let fake = world();
    let daemon = Daemon::start(fake.clone()).await;
    daemon
        .until("/v1/leftovers", |answer| {
            !names(&answer.json()["kept"]).contains(&"gone-devd-1_default")
                && !names(&answer.json()["leftovers"]).contains(&"gone-devd-1_default")
        })
        .await;
    assert_eq!(removed(&fake), ["remove network gone-devd-1_default"], "only ours goes without a question");
    daemon.stop().await;
}

#[tokio::test]
async fn what_was_left_while_the_engine_was_away_goes_when_it_is_back() {
    let fake = Fake::default();
    let daemon = Daemon::start(fake.clone()).await;
    fake.set_gone(true);
    fake.leave_behind("gone-devd-1_default", "gone", "1", None);
    let answer = daemon.ask("GET", "/v1/leftovers", "").await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("engine_unreachable")));
    fake.set_gone(false);
    daemon.until("/v1/leftovers", |answer| answer.json() == json!({"leftovers": [], "kept": []})).await;
    assert_eq!(removed(&fake), ["remove network gone-devd-1_default"]);
    daemon.stop().await;
}

#[tokio::test]
async fn down_removes_what_is_left_of_others_too() {
    let fake = Fake::default();
    let daemon = Daemon::start(fake.clone()).await;
    daemon.up().await;
    fake.leave_behind("gone-devd-1_default", "gone", "1", None);
    let answer = daemon.ask("DELETE", "/v1/projects/shop", "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        removed(&fake).contains(&"remove network gone-devd-1_default".to_owned()),
        "{:?}",
        removed(&fake)
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_comes_before_what_another_daemon_left_is_removed() {
    let fake = world();
    let daemon = Daemon::start(fake.clone()).await;
    daemon.up().await;
    let listed = daemon
        .until("/v1/leftovers", |answer| {
            let listed = answer.json();
            let kept = names(&listed["kept"]);
            names(&listed["leftovers"]) == ["gone-devd-3_default"] && kept.contains(&"shop-api-1")
        })
        .await
        .json();
    assert_eq!(listed["leftovers"][0]["reason"], "the state folder here:/gone of its daemon is gone");
    assert_eq!(listed["leftovers"][0]["role"], "tests");
    let kept = names(&listed["kept"]);
    assert!(kept.contains(&"gone-devd-2_default") && kept.contains(&"shop_default"), "{kept:?}");

    // What was not listed stays, and what is somebody's stays whoever names it.
    let body = json!({"ids": ["gone-devd-2_default", "gone-devd-3_default"]}).to_string();
    let answer = daemon.ask("POST", "/v1/leftovers", &body).await.json();
    assert_eq!(names(&answer["leftovers"]), ["gone-devd-3_default"]);
    assert_eq!(answer["leftovers"][0]["removed"], true);
    assert_eq!(names(&answer["kept"]), ["gone-devd-2_default"]);
    assert_eq!(removed(&fake), ["remove network gone-devd-1_default", "remove network gone-devd-3_default"]);
    daemon.stop().await;
}

#[tokio::test]
async fn what_the_engine_refuses_to_remove_is_told_with_its_reason() {
    let fake = world();
    let daemon = Daemon::start(fake.clone()).await;
    daemon.until("/v1/leftovers", |answer| names(&answer.json()["kept"]) == ["gone-devd-2_default"]).await;
    for _ in 0..10 {
        fake.refuse_next("remove network gone-devd-3", "it has active endpoints");
    }
    let body = json!({"ids": ["gone-devd-3_default"]}).to_string();
    let answer = daemon.ask("POST", "/v1/leftovers", &body).await.json();
    assert_eq!(answer["leftovers"][0]["removed"], false);
    assert_eq!(answer["leftovers"][0]["error"], "it has active endpoints");
    daemon.stop().await;
}
