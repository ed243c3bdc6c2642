//! The end of a daemon: nothing begins after it, and nothing that was wanted before is lost.

use super::support::{World, endless, service, tests};
use devd_proto::{ServiceState, TestsState};
use devdd::project::{Request, Verb};
use std::time::Duration;

#[tokio::test]
async fn nothing_is_started_after_the_end() {
    let world = World::up().await;
    world.fake.tests_behave(endless());
    let running = world.request(&["-k", "one"]).await;
    world.request(&["-k", "two"]).await;
    // What was being made at the end would be made whole.
    world.until_written(&running).await;
    world.verb("db", Verb::Stop).await;
    let status = world.until("stopped", |status| service(status, "db").state == ServiceState::Stopped).await;
    assert_eq!(tests(&status).state, TestsState::Running);
    let before = world.fake.journal();

    let handle = world.handle();
    let close = handle.ask(|reply| Request::Close { reply });
    // Said in the same breath, and due at once.
    let start = handle.ask(|reply| Request::Service { service: "db".into(), verb: Verb::Start, reply });
    let restart = handle.ask(|reply| Request::Service { service: "api".into(), verb: Verb::Restart, reply });
    let test = handle.ask(|reply| Request::Test { services: vec![], args: vec![], failed: false, reply });
    let (closed, start, restart, test) = tokio::join!(close, start, restart, test);
    assert!(closed.is_some());
    assert!(start.is_none() && restart.is_none() && test.is_none());
    assert!(!handle.is_alive());

    // Hours go by at once.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(10_000)).await;
    let since = world.fake.journal().split_off(before.len());
    let begun = ["start", "restart", "create", "run", "build", "pull"];
    let begun = since.iter().filter(|line| begun.iter().any(|word| line.split(' ').next() == Some(*word)));
    assert_eq!(begun.collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(world.containers(), ["shop-api-1", "shop-db-1"]);
}

#[tokio::test]
async fn what_was_wanted_right_before_the_end_is_remembered() {
    let world = World::up().await;
    for _ in 0..10 {
        world.verb("db", Verb::Stop).await;
        world.verb("db", Verb::Start).await;
    }
    world.verb("db", Verb::Stop).await;
    let world = world.restart().await;
    let known = world.history().projects().await.unwrap();
    assert_eq!(known[0].stopped, ["db".into()].into());
    world
        .until("stopped", |status| status.settled && service(status, "db").state == ServiceState::Stopped)
        .await;
}
