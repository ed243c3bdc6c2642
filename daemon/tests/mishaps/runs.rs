//! Runs that wait for their turn.

use super::support::{World, ended, endless, heard, quick, shop};
use devd_proto::{Run, RunId, TestsState, What};
use devdd::project::{Also, Request};

async fn shown(world: &World, run: &RunId) -> Option<Run> {
    let run = run.clone();
    world.handle().ask(|reply| Request::Run { run, reply }).await.unwrap()
}

pub(crate) async fn cancel(world: &World, run: &RunId) -> bool {
    let run = run.clone();
    world.handle().ask(|reply| Request::Cancel { run, reply }).await.unwrap()
}

/// A run under way that does not end, and one that waits for it.
async fn one_waits(world: &World) -> (RunId, RunId) {
    world.fake.tests_behave(endless());
    let running = world.request(&["-k", "first"]).await;
    let waiting = world.request(&["-k", "second"]).await;
    assert_eq!(shown(world, &running).await.unwrap().state, TestsState::Running);
    (running, waiting)
}

#[tokio::test]
async fn a_run_that_waits_is_shown_and_none_replaces_another() {
    let world = World::up().await;
    let (running, waiting) = one_waits(&world).await;
    let run = shown(&world, &waiting).await.unwrap();
    assert_eq!((run.state, run.partial), (TestsState::Queued, true));
    let command = ["python", "-m", "unittest", "-k", "second"].map(str::to_owned);
    assert_eq!(run.command, command);

    let third = world.request(&["-k", "third"]).await;
    assert_eq!(world.request(&["-k", "second"]).await, waiting, "the same is not asked for twice");
    for id in [&waiting, &third] {
        assert_eq!(shown(&world, id).await.unwrap().state, TestsState::Queued);
    }

    // They come to their turn, one after the other.
    let mut events = world.listen();
    world.fake.tests_behave(quick(0));
    assert!(cancel(&world, &running).await);
    assert_eq!(ended(&mut events, &running).await.state, TestsState::Cancelled);
    assert_eq!(ended(&mut events, &waiting).await.state, TestsState::Passed);
    assert_eq!(ended(&mut events, &third).await.state, TestsState::Passed);
    assert_eq!(shown(&world, &third).await, None);
}

#[tokio::test]
async fn a_run_that_waits_can_be_called_off() {
    let world = World::up().await;
    let (running, waiting) = one_waits(&world).await;
    let mut events = world.listen();
    assert!(cancel(&world, &waiting).await);
    assert_eq!(ended(&mut events, &waiting).await.state, TestsState::Cancelled);
    assert_eq!(shown(&world, &waiting).await, None);
    assert_eq!(world.history().get(&waiting).await.unwrap().unwrap().state, TestsState::Cancelled);
    assert_eq!(shown(&world, &running).await.unwrap().state, TestsState::Running);
    assert!(!cancel(&world, &waiting).await, "it is over");
}

#[tokio::test]
async fn a_run_that_waits_ends_with_its_project() {
    let world = World::up().await;
    let (_, waiting) = one_waits(&world).await;
    let mut events = world.listen();
    world.registry.remove(&shop(), Also::default()).await.unwrap();
    assert_eq!(ended(&mut events, &waiting).await.state, TestsState::Cancelled);
}

#[tokio::test]
async fn a_run_that_waits_ends_with_its_daemon() {
    let world = World::up().await;
    let (_, waiting) = one_waits(&world).await;
    let mut events = world.listen();
    world.registry.close().await;
    let finished = |what: &What| matches!(what, What::RunFinished { run } if run.id == waiting);
    heard(&mut events, "the end of the run that waited", finished).await;
    let run = world.history().get(&waiting).await.unwrap().unwrap();
    assert_eq!(run.state, TestsState::Cancelled);
}

#[tokio::test]
async fn a_run_that_is_told_to_have_begun_can_be_asked_for() {
    let world = World::up().await;
    let mut events = world.listen();
    let id = world.request(&["here"]).await;
    heard(&mut events, "its beginning", |what| matches!(what, What::RunStarted { run } if run.id == id))
        .await;
    assert!(world.history().log(&id, true).await.is_ok());
    assert_eq!(world.history().get(&id).await.unwrap().map(|run| run.id), Some(id));
}
