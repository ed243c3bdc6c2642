//! Runs that wait for their turn.

use super::support::{TESTS, World, ended, endless, heard, quick, shop, tests};
use devd_proto::{Run, RunId, TestsState, What};
use devdd::engine::fake::TestsBehaviour;
use devdd::hub::Subscription;
use devdd::project::{Also, Request};
use std::time::Duration;

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

/// Failing tests, and a database of theirs that somebody kills meanwhile.
struct Damaged {
    world: World,
}

impl Damaged {
    async fn new() -> Self {
        let world = World::new().await;
        world.write("api/tests.yaml", &format!("{TESTS}    depends_on: [db]\n  db:\n    image: redis:7\n"));
        world.register("shop").await.unwrap();
        world.until("up and tested", |status| status.settled && tests(status).current).await;
        world.fake.tests_behave(TestsBehaviour { takes: Duration::from_secs(1), exit: 1, ..quick(1) });
        Self { world }
    }

    /// Waits until the next run is under way, and kills what it needs. How it ended.
    async fn kill(&self, events: &mut Subscription) -> Run {
        let begun = heard(events, "a run", |what| matches!(what, What::RunStarted { .. })).await;
        let What::RunStarted { run } = &begun.what else { panic!("{begun:?}") };
        self.world.until_written(&run.id).await;
        let running = self.world.fake.running();
        let database = running.iter().find(|name| name.contains("db") && *name != "shop-db-1");
        self.world.fake.kill(database.unwrap_or_else(|| panic!("{running:?}")));
        ended(events, &run.id).await
    }
}

#[tokio::test]
async fn tests_whose_database_went_away_are_repeated_and_no_verdict_is_drawn_from_it() {
    let damaged = Damaged::new().await;
    let world = &damaged.world;
    let mut events = world.listen();
    world.write("api/src/main.py", "print(2)\n");
    let first = damaged.kill(&mut events).await;
    assert_eq!(first.state, TestsState::Cancelled, "{first:#?}");
    assert!(first.reason.as_ref().is_some_and(|reason| reason.contains("while the tests ran")), "{first:#?}");
    world.fake.tests_behave(quick(0));
    let status = world.until("repeated", |status| tests(status).current).await;
    assert_eq!(tests(&status).state, TestsState::Passed);
    let run = world.history().get(tests(&status).run.as_ref().unwrap()).await.unwrap().unwrap();
    assert_eq!(run.cause, "repeat");
}

#[tokio::test]
async fn tests_that_break_what_they_need_each_time_have_failed_and_it_is_said() {
    let damaged = Damaged::new().await;
    let world = &damaged.world;
    let mut events = world.listen();
    world.write("api/src/main.py", "print(2)\n");
    assert_eq!(damaged.kill(&mut events).await.state, TestsState::Cancelled);
    let second = damaged.kill(&mut events).await;
    assert_eq!((second.state, second.cause.as_str()), (TestsState::Failed, "repeat"));
    assert!(second.reason.is_some_and(|reason| reason.contains("while the tests ran")));
    let status = world.until("judged", |status| tests(status).current).await;
    assert_eq!(tests(&status).state, TestsState::Failed);
}
