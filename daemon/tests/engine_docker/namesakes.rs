//! Two networks of one name: what a daemon that was killed amid making one, and the one after it, may leave behind.

use crate::stage::{Stage, docker, staged};
use bollard::models::NetworkCreateRequest;
use devdd::engine::spec::{Act, NetworkSpec};

/// Makes a network twice, without asking whether there is one already: both ids, the older first. None where the engine
/// never makes a second one, as from API 1.44 on.
async fn twice(stage: &Stage, spec: &NetworkSpec) -> Option<[String; 2]> {
    let request = || NetworkCreateRequest {
        name: spec.name.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        ..Default::default()
    };
    let older = stage.api.create_network(request()).await.unwrap().id;
    match stage.api.create_network(request()).await {
        Ok(newer) => Some([older, newer.id]),
        Err(error) => {
            assert!(error.to_string().contains("already exists"), "{error}");
            None
        }
    }
}

/// The ids of the networks of this name.
async fn there(spec: &NetworkSpec) -> Vec<String> {
    let filter = format!("name=^{}$", spec.name);
    let found = docker(&["network", "ls", "-q", "--no-trunc", "--filter", &filter]).await;
    found.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_network_that_was_made_twice_is_one_again_when_it_is_to_be_made() {
    staged("namesakes", |stage| async move {
        let spec = stage.network("default");
        let Some([older, _]) = twice(&stage, &spec).await else { return };
        stage.act(Act::CreateNetwork(spec.clone())).await.unwrap();
        assert_eq!(there(&spec).await, [older], "nothing is on either, so that the first one stays");

        let spec = stage.network("used");
        let Some([_, newer]) = twice(&stage, &spec).await else { return };
        let web = stage.start(stage.script("web", "sleep 1000")).await;
        docker(&["network", "connect", &newer, &web]).await;
        stage.act(Act::CreateNetwork(spec.clone())).await.unwrap();
        assert_eq!(there(&spec).await, [newer], "the one that is in use stays");
    })
    .await;
}

#[tokio::test]
async fn a_network_that_was_made_twice_is_removed_wholly() {
    staged("both", |stage| async move {
        let spec = stage.network("default");
        if twice(&stage, &spec).await.is_none() {
            return;
        }
        stage.act(Act::RemoveNetwork(spec.name.clone())).await.unwrap();
        assert_eq!(there(&spec).await, Vec::<String>::new());
    })
    .await;
}
