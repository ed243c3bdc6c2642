//! Environments that stand ready.

use crate::bench::{Bench, bench, bench_with_memory, tests, write};
use devd_logic::{EnvironmentId, Event};
use devd_proto::{ProjectStatus, TestsState};
use devdd::blueprint::Blueprint;
use devdd::engine::fake::{Fake, TestsBehaviour};
use devdd::project::{Also, Message, Request};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn is_warm(status: &ProjectStatus) -> bool {
    status.settled && tests(status).state == TestsState::Passed && tests(status).warm > 0
}

impl Bench {
    async fn warm(&self) {
        self.up().await;
        self.until("warm", is_warm).await;
    }

    /// Saves, waits for the verdict, and says whether the run's environment stood ready.
    async fn tested_warm(&self) -> bool {
        self.tested_warm_after("shop/api/main.py").await
    }

    async fn tested_warm_after(&self, path: &str) -> bool {
        let before = self.stages().len();
        self.save_file(path);
        self.until("tested again", |status| {
            self.stages().len() > before && tests(status).state == TestsState::Passed && tests(status).current
        })
        .await;
        self.stages()[before..].iter().any(|stage| stage == "warm")
    }

    /// How each run came to its environment, in their order.
    fn stages(&self) -> Vec<String> {
        self.finished
            .lock()
            .unwrap()
            .iter()
            .flat_map(|run| run.stages.clone())
            .map(|stage| stage.name)
            .filter(|name| name == "warm" || name == "cold")
            .collect()
    }

    /// Environments of which anything is there.
    fn environments(&self) -> BTreeSet<String> {
        let names = self.fake.containers().into_iter();
        names
            .filter_map(|name| {
                Some(name.strip_prefix("shop-devd-")?.rsplit_once('-')?.0.rsplit_once('-')?.0.to_owned())
            })
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn each_run_takes_one_that_stood_ready_and_no_two_take_the_same() {
    let bench = bench().await;
    bench.warm().await;
    for _ in 0..20 {
        bench.until("warm", is_warm).await;
        assert!(bench.tested_warm().await);
    }
    assert_eq!(bench.stages()[0], "cold", "nothing was ready for the first one");
    let journal = bench.fake.journal();
    let runs: Vec<&String> = journal.iter().filter(|line| line.starts_with("run shop-devd")).collect();
    assert_eq!(runs.iter().collect::<BTreeSet<_>>().len(), 21, "an environment was used twice: {runs:#?}");
}

#[tokio::test(start_paused = true)]
async fn tests_without_a_place_in_the_pool_start_cold() {
    let bench = bench_with_memory(Fake::default(), 0).await;
    bench.up().await;
    assert!(!bench.tested_warm().await);
    bench.until("clean", |status| status.settled && bench.environments().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_made_ahead_is_left_to_the_run() {
    let bench = bench().await;
    bench.fake.tests_behave(TestsBehaviour { takes: Duration::from_secs(1), ..TestsBehaviour::default() });
    bench
        .until("running", |_| bench.fake.journal().iter().any(|line| line.starts_with("run shop-devd")))
        .await;
    // The first run has its own by now.
    bench.fake.refuse_next("create network shop-devd", "no more networks");
    bench.up().await;
    assert!(!bench.tested_warm().await);
    // That run went well, so it is tried again.
    bench.until("warm", is_warm).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_died_is_not_taken() {
    let bench = bench().await;
    bench.warm().await;
    let name = bench.fake.containers().into_iter().find(|name| name.contains("-tests-")).unwrap();
    bench.fake.kill(&name);
    assert!(!bench.tested_warm().await);
    bench.until("warm", is_warm).await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_database_died_is_replaced_before_a_run_takes_it() {
    let bench = bench().await;
    bench.warm().await;
    let old = bench.environments();
    let is_database = |name: &String| name.starts_with("shop-devd-") && name.contains("-db-");
    bench.fake.kill(&bench.fake.containers().into_iter().find(is_database).unwrap());
    for id in &old {
        bench.handle.tell(Message::EnvironmentBroken(EnvironmentId::new(id)));
    }
    bench.until("made anew", |status| is_warm(status) && bench.environments().is_disjoint(&old)).await;
    assert!(bench.tested_warm().await);
}

#[tokio::test(start_paused = true)]
async fn what_ended_while_the_engine_was_away_is_made_anew_when_it_is_back() {
    let bench = bench().await;
    bench.warm().await;
    let old = bench.environments();
    bench.fake.kill(&bench.fake.containers().into_iter().find(|name| name.contains("-tests-")).unwrap());
    bench.handle.tell(Message::Event(Event::EngineBack));
    bench.until("made anew", |status| is_warm(status) && bench.environments().is_disjoint(&old)).await;
    assert!(bench.tested_warm().await);
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_did_not_answer_to_is_made_without_a_word_from_it() {
    let bench = bench().await;
    bench.warm().await;
    bench.fake.set_gone(true);
    for id in bench.environments() {
        bench.handle.tell(Message::EnvironmentBroken(EnvironmentId::new(id)));
    }
    bench.until("none", |status| tests(status).warm == 0).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    bench.fake.set_gone(false);
    bench.until("warm", is_warm).await;
}

#[tokio::test(start_paused = true)]
async fn another_definition_makes_others() {
    let bench = bench().await;
    bench.warm().await;
    let old = bench.environments();
    write(&bench.dir, "shop/api/compose.yaml", &crate::bench::TESTS.replace("unittest", "unittest -v"));
    let blueprint = Arc::new(Blueprint::load(&bench.source).unwrap());
    bench.handle.tell(Message::Loaded(blueprint));
    bench.until("made anew", |status| is_warm(status) && bench.environments().is_disjoint(&old)).await;
    assert_eq!(bench.stages(), ["cold", "cold"], "the other definition's was taken");
}

#[tokio::test(start_paused = true)]
async fn what_a_dependency_was_started_with_makes_others() {
    let bench = bench().await;
    bench.warm().await;
    let old = bench.environments();
    write(&bench.dir, "shop/api/init.sql", "create table books ();");
    let mounted = "image: redis:7\n    volumes: ['./init.sql:/docker-entrypoint-initdb.d/init.sql']";
    write(&bench.dir, "shop/api/compose.yaml", &crate::bench::TESTS.replace("image: redis:7", mounted));
    bench.handle.tell(Message::Loaded(Arc::new(Blueprint::load(&bench.source).unwrap())));
    bench.until("made anew", |status| is_warm(status) && bench.environments().is_disjoint(&old)).await;
    assert!(bench.tested_warm().await);
    bench.until("warm", is_warm).await;
    assert!(!bench.tested_warm_after("shop/api/init.sql").await, "its database has the old tables");
    bench.until("warm", is_warm).await;
    assert!(bench.tested_warm().await);
}

#[tokio::test(start_paused = true)]
async fn nobody_there_means_nothing_ready_until_somebody_comes() {
    let bench = bench().await;
    bench.warm().await;
    bench.until("empty", |status| tests(status).warm == 0 && bench.environments().is_empty()).await;
    bench.handle.ask(|reply| Request::Up { services: vec![], build: false, reply }).await.unwrap();
    bench.until("warm again", is_warm).await;
    assert!(bench.tested_warm().await);
}

#[tokio::test(start_paused = true)]
async fn saves_in_a_row_have_more_made_ahead() {
    let bench = bench().await;
    bench.warm().await;
    for _ in 0..8 {
        assert!(bench.tested_warm().await);
        bench.until("warm", is_warm).await;
    }
    bench.until("more", |status| tests(status).warm > 1).await;
    // And when it is quiet again, none is left over for long.
    bench.until("empty", |status| tests(status).warm == 0 && bench.environments().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn down_leaves_nothing_ready() {
    let bench = bench().await;
    bench.warm().await;
    bench.save();
    let removed =
        bench.handle.ask(|reply| Request::Down { also: Also::default(), reply }).await.unwrap().unwrap();
    assert_eq!(removed.containers, 2);
    assert_eq!(bench.fake.containers(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_daemon_leaves_nothing_ready() {
    let bench = bench().await;
    bench.warm().await;
    bench.save();
    bench.handle.ask(|reply| Request::Close { reply }).await.unwrap();
    assert_eq!(bench.environments(), BTreeSet::new());
}
