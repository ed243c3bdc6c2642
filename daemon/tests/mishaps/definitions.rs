//! Files that say otherwise how something is made.

use super::support::{COMPOSE, TESTS, World, endless, quick, service, tests};
use devd_proto::{ServiceState, TestsState};

#[tokio::test]
async fn tests_that_are_defined_otherwise_run_again() {
    let world = World::up().await;
    let others = [
        TESTS.replace("python:3", "python:4"),
        TESTS.replace("unittest", "pytest"),
        format!("{TESTS}    environment: {{COLOUR: red}}\n"),
        TESTS.to_owned(),
    ];
    for other in others {
        let before = world.tests().await;
        assert!(before.current);
        world.write("api/tests.yaml", &other);
        let now = world.tests().await;
        assert!(!now.current || now.run != before.run, "still current with\n{other}");
        let after = world.until_tested_again(&before).await;
        let run = world.history().get(tests(&after).run.as_ref().unwrap()).await.unwrap().unwrap();
        assert_eq!(run.cause, "definition", "{other}");
    }
    assert_eq!(service(&world.handle().status(), "api").restarts, 0);
}

#[tokio::test]
async fn a_verdict_on_another_definition_is_not_taken_over_by_a_later_daemon() {
    let world = World::up().await;
    let before = world.tests().await;
    world.fake.tests_behave(endless());
    world.write("api/tests.yaml", &TESTS.replace("unittest", "pytest"));
    let status = world.until("running", |status| tests(status).state == TestsState::Running).await;
    assert!(!tests(&status).current);
    let world = world.restart().await;
    world.fake.tests_behave(quick(1));
    let after = world.until("tested", |status| tests(status).current).await;
    assert_ne!(tests(&after).run, before.run);
    assert_eq!(tests(&after).state, TestsState::Failed);

    let before = tests(&after).clone();
    let world = world.restart_after(|world| world.write("api/tests.yaml", TESTS)).await;
    let after = world.until("tested", |status| tests(status).current).await;
    assert_ne!(tests(&after).run, before.run);
    let before = tests(&after).clone();
    let world = world.restart().await;
    let after = world.until("recalled", |status| tests(status).current).await;
    assert_eq!(tests(&after).run, before.run, "tested again for nothing");
}

#[tokio::test]
async fn a_service_that_is_built_otherwise_is_built_once_and_made_anew() {
    let world = World::new().await;
    world.write("api/Dockerfile", "FROM scratch\n");
    let built = |build: &str| COMPOSE.replace("image: python:3", &format!("build: {build}"));
    world.write("compose.yaml", &built("{context: ./api}"));
    world.register("shop").await.unwrap();
    let running = |status: &devd_proto::ProjectStatus| {
        status.settled && service(status, "api").state == ServiceState::Running
    };
    let mut last = world.until("up", running).await;
    for (n, build) in ["{context: ./api, args: {A: '1'}}", "{context: ./api, args: {A: '1'}, target: dev}"]
        .iter()
        .enumerate()
    {
        let container = service(&last, "api").container.clone();
        world.write("compose.yaml", &built(build));
        last = world
            .until("made anew", |status| running(status) && service(status, "api").container != container)
            .await;
        assert_eq!(world.asked("build shop-api").len(), n + 2);
        assert_eq!(world.asked("create shop-api-1").len(), n + 2);
        assert_eq!(service(&last, "api").restarts, 0);
    }
    assert_eq!(world.asked("create shop-db-1").len(), 1);
}
