//! Whoever asks how things are hears nothing of how they were.

use super::support::{COMPOSE, World, tests};
use std::pin::pin;

const ROUNDS: usize = 100;

/// Saves something again and again and asks at once; `meanwhile` happens right before each save.
async fn never_of_yesterday(world: &World, meanwhile: impl Fn(usize)) {
    for n in 0..ROUNDS {
        let before = world.until("tested", |status| tests(status).current).await;
        let before = tests(&before).clone();
        meanwhile(n);
        // Never the same file twice in a row: that would look like tests that write into their own folder.
        world.write(&format!("api/src/part{}.py", n % 2), &format!("print({n})\n"));
        let now = world.tests().await;
        assert!(!now.current || now.run != before.run, "a verdict of before save {n} is shown as today's");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_is_known_to_who_asks_after_it() {
    let world = World::up().await;
    never_of_yesterday(&world, |_| ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_that_an_editor_told_of_and_hung_up_after_is_not_lost() {
    let world = World::up().await;
    for n in 0..20 {
        let before = world.until("tested", |status| tests(status).current).await;
        let before = tests(&before).run.clone();
        let path = format!("api/src/part{}.py", n % 2);
        world.write(&path, &format!("print({n})\n"));
        // It is asked, and nobody waits for the answer.
        let told = pin!(world.registry.saved(vec![world.path(&path)]));
        drop(futures_util::poll!(told));
        world.until("tested again", |status| tests(status).current && tests(status).run != before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_is_known_while_another_project_is_read_again() {
    let world = World::up().await;
    let other = |n: usize| world.write("../other/compose.yaml", &format!("{COMPOSE}# {n}\n"));
    world.write("../other/api/tests.yaml", "services: {tests: {image: 'python:3'}}\n");
    other(0);
    world.register("other").await.unwrap();
    never_of_yesterday(&world, other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_is_known_while_its_own_project_is_read_again() {
    let world = World::up().await;
    never_of_yesterday(&world, |n| world.write("compose.yaml", &format!("{COMPOSE}# {n}\n"))).await;
}
