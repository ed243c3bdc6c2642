//! `develop.watch` while the container cannot be reached by a copy.

use super::support::{World, service};
use devd_proto::{ProjectState, ProjectStatus, ServiceState};
use devdd::project::Verb;

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
