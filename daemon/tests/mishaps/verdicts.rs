//! Some of the tests say nothing of the whole.

use super::support::{World, ended, endless, quick, tests};
use devd_proto::TestsState;

#[tokio::test]
async fn a_run_of_some_tests_is_no_verdict() {
    let world = World::new().await;
    world.fake.tests_behave(quick(1));
    world.register("shop").await.unwrap();
    let whole = world.until("failed", |status| tests(status).current).await;
    let whole = tests(&whole).clone();
    assert_eq!(whole.state, TestsState::Failed);

    world.fake.tests_behave(quick(0));
    let mut events = world.listen();
    let partial = world.request(&["-k", "one"]).await;
    let partial = ended(&mut events, &partial).await;
    assert_eq!((partial.state, partial.partial), (TestsState::Passed, true));
    assert_eq!(world.tests().await, whole);

    let world = world.restart().await;
    let recalled = world.until("recalled", |status| tests(status).current).await;
    assert_eq!(tests(&recalled), &whole);

    // They failed last, whatever some of them said since.
    let picked = world.test(&[], true).await.unwrap();
    assert_eq!(picked.len(), 1);
    let passed = world.until_tested_again(&whole).await;
    assert_eq!(
        (tests(&passed).state, &tests(&passed).run),
        (TestsState::Passed, &Some(picked[0].id.clone()))
    );
    assert_eq!(world.test(&[], true).await.unwrap(), []);
}

#[tokio::test]
async fn a_save_is_tested_also_after_a_run_of_some_tests() {
    let world = World::up().await;
    let before = world.tests().await;
    world.fake.tests_behave(endless());
    let one = world.request(&["-k", "one"]).await;
    world.write("api/src/main.py", "print(2)\n");
    assert!(!world.tests().await.current);
    // Begins after the save, and is no test of it all the same.
    let two = world.request(&["-k", "two"]).await;
    world.fake.tests_behave(quick(0));
    let mut events = world.listen();
    super::runs::cancel(&world, &one).await;
    assert_eq!(ended(&mut events, &one).await.state, TestsState::Cancelled);
    assert_eq!(ended(&mut events, &two).await.state, TestsState::Passed);
    let after = world.until_tested_again(&before).await;
    let run = world.history().get(tests(&after).run.as_ref().unwrap()).await.unwrap().unwrap();
    assert_eq!((run.partial, run.cause.as_str()), (false, "save"));
}
