//! What a project does on its own and when asked.

use crate::bench::{UNITTEST_FAILURE, bench, bench_with, service, tests};
use devd_logic::{Event, Memory};
use devd_proto::{ProjectState, ServiceState, TestsState};
use devdd::engine::fake::{Fake, TestsBehaviour};
use devdd::project::{Also, Message, Request, Verb};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_project_comes_up_and_is_tested() {
    let bench = bench().await;
    bench.up().await;
    let status = bench.until("clean", |status| status.settled && bench.fake.containers().len() == 2).await;
    assert_eq!(status.state, ProjectState::Running);
    assert_eq!(service(&status, "api").state, ServiceState::Running);
    assert_eq!(service(&status, "api").ports[0].host, 8001);
    let tests = tests(&status);
    assert_eq!((tests.passed, tests.failed, tests.current), (Some(5), Some(0), true));
}

#[tokio::test(start_paused = true)]
async fn a_save_restarts_once_and_tests_once() {
    let bench = bench().await;
    bench.up().await;
    let first = tests(&bench.handle.status()).run.clone();
    bench.save();
    let status = bench
        .until("tested again", |status| {
            tests(status).run != first && tests(status).state == TestsState::Passed
        })
        .await;
    assert!(tests(&status).current);
    assert_eq!(service(&status, "api").restarts, 1);
    assert_eq!(bench.count("restart shop-api-1"), 1);
    assert_eq!(service(&status, "api").last_change.as_ref().unwrap().path, "api/main.py");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_not_current_while_a_newer_save_is_untested() {
    let bench = bench().await;
    bench.up().await;
    bench.fake.tests_behave(TestsBehaviour {
        takes: Duration::from_secs(60),
        output: UNITTEST_FAILURE.to_owned(),
        exit: 1,
    });
    bench.save();
    let status = bench.until("running", |status| tests(status).state == TestsState::Running).await;
    assert!(!tests(&status).current);
    let status = bench.until("failed", |status| tests(status).state == TestsState::Failed).await;
    assert!(tests(&status).current);
    assert_eq!(tests(&status).failed, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_killed_service_comes_back_and_a_stopped_one_stays() {
    let bench = bench().await;
    bench.up().await;
    bench.fake.kill("shop-db-1");
    bench.handle.tell(Message::Event(devd_logic::Event::EngineChanged));
    bench.until("seen dead", |status| service(status, "db").last_exit.is_some()).await;
    let status = bench.until("back", |status| service(status, "db").state == ServiceState::Running).await;
    assert_eq!(service(&status, "db").last_exit.as_ref().unwrap().code, 137);
    let stop = |reply| Request::Service { service: "db".into(), verb: Verb::Stop, reply };
    bench.handle.ask(stop).await.unwrap().unwrap();
    bench
        .until("stopped", |status| service(status, "db").state == ServiceState::Stopped && status.settled)
        .await;
    assert_eq!(bench.count("stop shop-db-1"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_at_once_backs_off_and_says_its_last_words() {
    let bench = bench().await;
    bench.up().await;
    bench.fake.dies("shop-api-1", Some(3));
    bench.save();
    let status = bench
        .until("in back-off", |status| {
            let api = service(status, "api");
            api.state == ServiceState::Backoff
                && api.last_exit.as_ref().is_some_and(|exit| !exit.output.is_empty())
        })
        .await;
    assert_eq!(status.state, ProjectState::Degraded);
    assert_eq!(service(&status, "api").last_exit.as_ref().unwrap().code, 3);
    bench.fake.dies("shop-api-1", None);
    bench.save();
    bench.until("running", |status| service(status, "api").state == ServiceState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn tests_that_hang_are_ended_at_their_timeout() {
    let bench = bench().await;
    bench.up().await;
    bench
        .fake
        .tests_behave(TestsBehaviour { takes: Duration::from_secs(100_000), ..TestsBehaviour::default() });
    bench.save();
    let status = bench
        .until("timed out", |status| tests(status).reason.as_ref().is_some_and(|it| it.contains("timed out")))
        .await;
    assert_eq!(tests(&status).state, TestsState::Failed);
    bench.until("clean", |_| bench.fake.containers().len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn the_engine_goes_and_comes_back() {
    let bench = bench().await;
    bench.up().await;
    bench.fake.set_gone(true);
    // What the registry passes on from the engine's own stream.
    bench.handle.tell(Message::Event(devd_logic::Event::EngineChanged));
    // What has begun in an environment that stood ready needs no engine.
    bench.until("cut off", |status| service(status, "api").reason.is_some()).await;
    bench.save();
    bench.until("waiting", |status| tests(status).state == TestsState::Queued).await;
    bench.fake.set_gone(false);
    bench.handle.tell(Message::Event(devd_logic::Event::EngineBack));
    let status = bench
        .until("tested", |status| {
            status.settled && tests(status).state == TestsState::Passed && tests(status).current
        })
        .await;
    assert_eq!(service(&status, "api").restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_start_is_shown_with_its_reason_and_tried_again() {
    let bench = bench().await;
    bench.fake.refuse_next("start shop-api-1", "port 8001 is already in use on the host");
    let _ = bench.handle.ask(|reply| Request::Up { services: vec![], build: false, reply }).await;
    let status = bench
        .until("failed", |status| status.services.iter().any(|service| service.state == ServiceState::Failed))
        .await;
    assert_eq!(service(&status, "api").reason.as_deref(), Some("port 8001 is already in use on the host"));
    bench.until("running", |status| service(status, "api").state == ServiceState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn down_leaves_nothing_and_answers_when_it_is_so() {
    let bench = bench().await;
    bench.up().await;
    let removed = bench
        .handle
        .ask(|reply| Request::Down { also: Also { volumes: true, images: false }, reply })
        .await
        .unwrap()
        .unwrap();
    assert_eq!((removed.containers, removed.networks), (2, 1));
    assert!(bench.fake.containers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn closing_ends_runs_removes_their_environments_and_leaves_services() {
    let bench = bench().await;
    bench.up().await;
    bench.fake.tests_behave(TestsBehaviour { takes: Duration::from_secs(1000), ..TestsBehaviour::default() });
    bench.save();
    bench.until("running", |status| tests(status).state == TestsState::Running).await;
    bench.handle.ask(|reply| Request::Close { reply }).await.unwrap();
    assert_eq!(bench.fake.containers(), ["shop-api-1", "shop-db-1"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_in_a_project_that_is_registered_for_its_tests_only() {
    let memory = Memory { selected: Some(std::collections::BTreeSet::new()), ..Memory::default() };
    let bench = bench_with(Fake::default(), memory).await;
    let status = bench.until("tested", |status| tests(status).state == TestsState::Passed).await;
    assert_eq!(status.state, ProjectState::Stopped);
    bench.until("clean", |_| bench.fake.containers().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn the_stop_of_a_container_that_devd_removed_is_nobodys_wish_however_late_it_is_told() {
    let bench = bench().await;
    bench.up().await;
    let id = |status: &devd_proto::ProjectStatus| service(status, "api").container.clone().map(|it| it.id);
    let old = id(&bench.handle.status()).unwrap();
    bench.fake.refuse_next("create shop-api-1", "not now");
    let rebuild = |reply| Request::Service { service: "api".into(), verb: Verb::Rebuild, reply };
    bench.handle.ask(rebuild).await.unwrap().unwrap();
    let is_refused = |status: &devd_proto::ProjectStatus| {
        id(status).is_none()
            && service(status, "api").reason.as_deref().is_some_and(|it| it.contains("not now"))
    };
    bench.until("refused", is_refused).await;
    let event = Event::StoppedOutside("api".into());
    bench.handle.tell(Message::Outside { container: old.clone(), event });
    bench
        .until("running", |status| {
            status.settled
                && service(status, "api").state == ServiceState::Running
                && id(status) != Some(old.clone())
        })
        .await;
}
