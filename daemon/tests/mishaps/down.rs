//! Projects that are taken down, whoever is still there to hear of it.

use super::support::{COMPOSE, PATIENCE, World, heard, service, shop, tests};
use devd_proto::{Code, ServiceState, What};
use devdd::project::{Also, Request};

#[tokio::test]
async fn a_project_is_forgotten_also_when_its_client_went_away() {
    let world = World::up().await;
    let (mut events, shop) = (world.listen(), shop());
    {
        let removing = std::pin::pin!(world.registry.remove(&shop, Also::default()));
        assert!(futures_util::poll!(removing).is_pending());
    }
    heard(&mut events, "that it was removed", |what| *what == What::Removed).await;
    assert_eq!(world.history().projects().await.unwrap(), []);
    assert!(world.fake.containers().is_empty());
    let again = world.restart().await;
    assert!(again.registry.all().is_empty());
}

#[tokio::test]
async fn nobody_waits_for_an_engine_that_is_not_there() {
    let world = World::up().await;
    world.fake.set_gone(true);
    let shop = shop();
    let removing = std::pin::pin!(world.registry.remove(&shop, Also::default()));
    let std::task::Poll::Ready(answer) = futures_util::poll!(removing) else { panic!("it waits") };
    assert_eq!(answer.unwrap_err().code, Code::EngineUnreachable);
    world.fake.set_gone(false);
    world.registry.remove(&shop, Also::default()).await.unwrap();
}

#[tokio::test]
async fn a_project_that_is_wanted_again_is_not_taken_down() {
    let world = World::up().await;
    let handle = world.handle();
    let down = handle.ask(|reply| Request::Down { also: Also::default(), reply });
    let up = handle.ask(|reply| Request::Up { services: vec![], build: false, reply });
    let both = tokio::time::timeout(PATIENCE, async { tokio::join!(down, up) });
    let (down, up) = both.await.unwrap();
    let problem = down.unwrap().unwrap_err();
    assert!(problem.title.contains("brought up again"), "{problem:?}");
    assert!(up.is_some());
    world
        .until("up", |status| {
            status.settled
                && ["api", "db"].iter().all(|it| service(status, it).state == ServiceState::Running)
        })
        .await;
    assert_eq!(world.history().projects().await.unwrap().len(), 1);
    let removed = world.registry.remove(&shop(), Also::default()).await.unwrap();
    assert_eq!((removed.containers, removed.networks), (2, 1));
}

#[tokio::test]
async fn only_what_down_removes_is_counted() {
    let world = World::up().await;
    let before = service(&world.handle().status(), "db").container.clone();
    world.write("compose.yaml", &COMPOSE.replace("redis:7", "redis:8"));
    world
        .until("made anew", |status| {
            status.settled && tests(status).current && service(status, "db").container != before
        })
        .await;
    let removed = world.registry.remove(&shop(), Also::default()).await.unwrap();
    assert_eq!((removed.containers, removed.networks), (2, 1));
}
