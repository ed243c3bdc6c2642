//! Compose files that do not load, before, while and after a daemon looks at them.

use super::support::{COMPOSE, TESTS, World, quick, service, shop, tests};
use devd_proto::{Code, ProjectState, ServiceState, TestsState};
use devdd::project::{Also, Verb};

fn broken(text: &str) -> String {
    format!("{text}    banana: 1\n")
}

/// A daemon that began while the project's file was broken; `db` was stopped before.
async fn begun_while_broken() -> World {
    let world = World::up().await;
    world.verb("db", Verb::Stop).await;
    world
        .until("stopped", |status| status.settled && service(status, "db").state == ServiceState::Stopped)
        .await;
    world.write("compose.yaml", &broken(COMPOSE));
    world.until("broken", |status| status.state == ProjectState::Invalid).await;
    world.restart().await
}

#[tokio::test]
async fn a_daemon_that_begins_while_the_file_is_broken_leaves_everything_as_it_is() {
    let world = begun_while_broken().await;
    let before = world.fake.journal();
    let status = world
        .until("shown and looked at", |status| status.settled && status.state == ProjectState::Invalid)
        .await;
    let error = status.error.as_ref().unwrap();
    assert!(error.message.contains("banana"), "{error:?}");
    assert_eq!(error.line, Some(10));
    assert_eq!(world.containers(), ["shop-api-1", "shop-db-1"]);
    assert_eq!(world.fake.journal(), before);
    let known = world.history().projects().await.unwrap();
    assert_eq!(known[0].stopped, ["db".into()].into());

    world.write("compose.yaml", COMPOSE);
    let status = world.until("mended", |status| status.settled && tests(status).current).await;
    assert_eq!((status.state, &status.error), (ProjectState::Running, &None));
    assert_eq!(service(&status, "db").state, ServiceState::Stopped);
    assert_eq!(service(&status, "api").state, ServiceState::Running);
    let services = |journal: Vec<String>| -> Vec<String> {
        journal.into_iter().filter(|line| line.contains("shop-api-") || line.contains("shop-db-")).collect()
    };
    assert_eq!(services(world.fake.journal()), services(before));
}

#[tokio::test]
async fn a_broken_project_can_be_taken_down() {
    let world = begun_while_broken().await;
    world.until("looked at", |status| status.settled && status.state == ProjectState::Invalid).await;
    let removed = world.registry.remove(&shop(), Also { volumes: true, images: false }).await.unwrap();
    assert_eq!((removed.containers, removed.networks), (2, 1));
    assert!(world.fake.containers().is_empty());
    assert_eq!(world.history().projects().await.unwrap(), []);
    let again = world.restart().await;
    assert!(again.registry.all().is_empty());
}

#[tokio::test]
async fn broken_tests_are_shown_with_their_place_and_then_as_they_were() {
    // Two verdicts on the same content: the older one must never come back.
    let world = World::up().await.restart().await;
    world.until("recalled", |status| tests(status).current).await;
    world.fake.tests_behave(quick(1));
    let newest = world.request(&[]).await;
    world.until("failed", |status| tests(status).state == TestsState::Failed && tests(status).current).await;

    world.write("api/tests.yaml", &broken(TESTS));
    let status = world.until("broken", |status| tests(status).state == TestsState::Error).await;
    let reason = tests(&status).reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("api/tests.yaml:7: ") && reason.contains("banana"), "{reason}");
    assert!(!tests(&status).current);
    assert_eq!((status.state, &status.error), (ProjectState::Running, &None));
    assert_eq!(world.test(&[], false).await.unwrap_err().code, Code::InvalidProject);

    world.write("api/tests.yaml", TESTS);
    let status = world.until("mended", |status| tests(status).current).await;
    assert_eq!((tests(&status).state, &tests(&status).run), (TestsState::Failed, &Some(newest)));
    assert_eq!(tests(&status).reason, None);
}

#[tokio::test]
async fn what_is_saved_while_the_tests_are_broken_is_tested_once_they_are_mended() {
    let world = World::up().await;
    let before = world.tests().await;
    world.write("api/tests.yaml", &broken(TESTS));
    world.until("broken", |status| tests(status).state == TestsState::Error).await;
    // Nobody but the tests sees this file.
    world.write("api/tests/test_main.py", "import main, os\n");
    world.write("api/tests.yaml", TESTS);
    let after = world.until("mended", |status| tests(status).current).await;
    assert_ne!(tests(&after).run, before.run, "a verdict on what was there before");
}

#[tokio::test]
async fn tests_that_are_mended_under_a_later_daemon_have_a_verdict() {
    let world = World::up().await.restart_after(|world| world.write("api/tests.yaml", &broken(TESTS))).await;
    let status = world.until("broken", |status| tests(status).state == TestsState::Error).await;
    assert!(!tests(&status).current);
    world.write("api/tests.yaml", TESTS);
    let status = world.until("mended", |status| tests(status).current).await;
    assert_eq!((tests(&status).state, &tests(&status).reason), (TestsState::Passed, &None));
}
