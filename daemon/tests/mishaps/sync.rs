//! `develop.watch` while the container cannot be reached by a copy.

use super::support::{World, service};
use devd_proto::{ProjectState, ProjectStatus, ServiceState};
use devdd::project::Verb;
use std::collections::BTreeSet;

const COMPOSE: &str = "
services:
  web:
    image: nginx:1
    develop: {watch: [{path: ./web, action: sync, target: /srv}]}
";

#[tokio::test]
async fn a_file_that_is_deleted_while_its_service_is_stopped_is_no_reason_not_to_start() {
    let world = World::new().await;
    world.write("compose.yaml", COMPOSE);
    world.write("web/old.html", "old\n");
    world.register("shop").await.unwrap();
    let is = |status: &ProjectStatus, state| status.settled && service(status, "web").state == state;
    world.until("up", |status| is(status, ServiceState::Running)).await;
    world.registry.up_to_date().await;
    world.verb("web", Verb::Stop).await;
    world.until("stopped", |status| is(status, ServiceState::Stopped)).await;

    std::fs::remove_file(world.path("web/old.html")).unwrap();
    world.write("web/new.html", "new\n");
    world.registry.up_to_date().await;
    assert_eq!(world.asked("sync"), Vec::<String>::new());
    world.verb("web", Verb::Start).await;
    let status = world.until("started", |status| is(status, ServiceState::Running)).await;
    assert_eq!((status.state, &service(&status, "web").reason), (ProjectState::Running, &None));
    let after = world.fake.journal();
    let after: Vec<&str> = after.iter().rev().take(3).rev().map(String::as_str).collect();
    let expected = ["sync shop-web-1 /srv/new.html", "start shop-web-1", "sync shop-web-1 /srv/old.html"];
    assert_eq!(after, expected);
}

#[tokio::test]
async fn a_file_that_two_rules_copy_to_two_places_comes_to_both() {
    let world = World::new().await;
    let rules = "[{path: ./web, action: sync, target: /one}, {path: ./web, action: sync, target: /two, ignore: ['*.tmp']}]";
    world.write("compose.yaml", &COMPOSE.replace("[{path: ./web, action: sync, target: /srv}]", rules));
    world.write("web/index.html", "first\n");
    world.register("shop").await.unwrap();
    let is_up =
        |status: &ProjectStatus| status.settled && service(status, "web").state == ServiceState::Running;
    world.until("up", is_up).await;
    world.registry.up_to_date().await;
    world.write("web/index.html", "second\n");
    world.write("web/draft.tmp", "draft\n");
    world.registry.up_to_date().await;
    let copied = || -> BTreeSet<String> {
        world.asked("sync").iter().flat_map(|line| line.split(' ').skip(2)).map(str::to_owned).collect()
    };
    // Both saves may be one change or two.
    world.until("copied", |status| is_up(status) && copied().contains("/one/draft.tmp")).await;
    assert_eq!(copied(), ["/one/draft.tmp", "/one/index.html", "/two/index.html"].map(str::to_owned).into());
}
