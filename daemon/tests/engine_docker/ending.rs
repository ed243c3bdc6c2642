//! The engine tells of what devd ends as it tells of what others do.

use crate::stage::{Stage, docker, staged};
use devdd::engine::spec::Act;
use devdd::engine::{Engine, EngineChange};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::time::Duration;

/// What others wished for the services of a stage, up to the stop of this one.
async fn wishes(stage: &Stage, changes: &mut BoxStream<'static, EngineChange>, last: &str) -> Vec<String> {
    let mut wishes = Vec::new();
    let heard = async {
        loop {
            match changes.next().await.unwrap() {
                EngineChange::ToldToEnd { project, service, .. } if project == stage.project => {
                    wishes.push(format!("{service} is told to end"));
                }
                EngineChange::Stopped { project, service, .. } if project == stage.project => {
                    wishes.push(format!("{service} is stopped"));
                    if service == last {
                        break;
                    }
                }
                _ => {}
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(60), heard).await;
    heard.unwrap_or_else(|_| panic!("nobody stopped {last}"));
    wishes
}

#[tokio::test]
async fn what_devd_does_through_the_engine_is_not_taken_for_somebody_elses_stop() {
    staged("ending", |stage| async move {
        // What has a terminal is under no park: only the engine can restart it.
        let service = |name: &str, on_term: &str| {
            let mut spec =
                stage.script(name, &format!("trap {on_term} TERM; while :; do sleep 1000 & wait; done"));
            spec.service.tty = true;
            spec
        };
        let web = stage.start(service("web", "exit")).await;
        let other = stage.start(service("other", "exit")).await;
        let deaf = stage.start(service("deaf", ":")).await;
        let mut changes = stage.engine.changes();
        stage.act(Act::Restart { container: web.clone(), grace: None }).await.unwrap();
        stage.act(Act::Signal(deaf, "SIGTERM".to_owned())).await.unwrap();
        stage.act(Act::Stop(web.clone())).await.unwrap();
        stage.act(Act::Start(web.clone())).await.unwrap();
        // What is told of this is told after everything that came of those.
        docker(&["stop", &other]).await;
        let heard = wishes(&stage, &mut changes, "other").await;
        assert_eq!(heard, ["other is told to end", "other is stopped"]);

        docker(&["stop", &web]).await;
        let heard = wishes(&stage, &mut changes, "web").await;
        assert_eq!(heard, ["web is told to end", "web is stopped"], "by hand");
    })
    .await;
}
