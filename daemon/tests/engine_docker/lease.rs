//! Whose something is: two daemons on one engine, with projects of the same name.

use crate::stage::{Stage, docker, map, staged};
use devd_logic::sweep::{Kind, Life, Owner, Part, Thing};
use devdd::engine::docker::{Docker, Surroundings};
use devdd::engine::spec::{Act, SnapshotSpec, label};
use devdd::engine::{Engine, Progress};
use std::path::Path;

async fn daemon(state: &Path) -> Docker {
    let engine = Docker::connect(Surroundings::of_process(), Some(state));
    engine.tried().await;
    engine
}

async fn act(engine: &Docker, act: Act) -> Option<String> {
    engine.apply(&act, &Progress::none()).await.unwrap().id
}

/// A container, a network and a volume of a test environment.
async fn environment(stage: &Stage, engine: &Docker, id: &str, name: &str) {
    let marked = |labels: &mut std::collections::BTreeMap<String, String>| {
        labels.remove("com.docker.compose.project");
        labels.insert(label::ENVIRONMENT.to_owned(), id.to_owned());
    };
    let mut network = stage.network(name);
    marked(&mut network.labels);
    act(engine, Act::CreateNetwork(network)).await;
    let mut volume = stage.volume(name);
    marked(&mut volume.labels);
    act(engine, Act::CreateVolume(volume)).await;
    let mut container = stage.script(name, "true");
    marked(&mut container.labels);
    act(engine, Act::Create(Box::new(container))).await;
}

async fn things(stage: &Stage, engine: &Docker) -> Vec<Thing> {
    let mut things = engine.inventory().await.unwrap();
    things.retain(|thing| thing.project.as_str() == stage.project);
    things.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    things
}

async fn seen(stage: &Stage, engine: &Docker) -> Vec<String> {
    let look = engine.observe(&stage.project, &[]).await.unwrap();
    look.observed.environments.iter().map(|id| id.as_str().to_owned()).collect()
}

#[tokio::test]
async fn two_daemons_with_a_project_of_the_same_name_swept_each_other_s_environments() {
    staged("lease", |stage| async move {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (one, other) = (daemon(folders[0].path()).await, daemon(folders[1].path()).await);
        environment(&stage, &one, "1", "a").await;
        environment(&stage, &other, "2", "b").await;
        assert_eq!(
            (seen(&stage, &one).await, seen(&stage, &other).await),
            (vec!["1".into()], vec!["2".into()])
        );
        // Also by the same id, which they could come to share.
        let foreign = Act::RemoveEnvironment { project: stage.project.clone(), environment: "2".to_owned() };
        act(&one, foreign).await;
        assert_eq!(seen(&stage, &other).await, ["2"]);

        let found = things(&stage, &one).await;
        let shown: Vec<_> = found.iter().map(|it| (it.kind, it.owner == Owner::Us)).collect();
        let each = |kind| [(kind, true), (kind, false)];
        let all = [Kind::Container, Kind::Network, Kind::Volume].map(each).concat();
        assert_eq!(shown, all);
        assert!(found.iter().all(|it| matches!(it.part, Part::Tests(_))), "{found:?}");

        // A later daemon of the same folder goes on with the lease.
        drop(one);
        let again = daemon(folders[0].path()).await;
        assert_eq!(seen(&stage, &again).await, ["1"]);
        let [first, second] = folders;
        drop(first);
        let orphans = things(&stage, &other).await;
        let gone = |it: &Thing| matches!(it.owner, Owner::Other { life: Life::Gone, .. });
        assert_eq!(orphans.iter().filter(|it| gone(it)).count(), 3, "{orphans:?}");
        drop(second);
    })
    .await;
}

#[tokio::test]
async fn an_image_made_on_the_way_to_a_snapshot_had_no_label_to_find_it_by() {
    staged("way", |stage| async move {
        let container = stage.create(stage.script("db", "echo a > /a")).await;
        stage.run(&container).await.unwrap();
        let odd = "a \"b\" \\ $HOME 'c'";
        let labels = map(&[(label::PROJECT, &stage.project), (label::SNAPSHOT, "one"), ("odd name", odd)]);
        let image = format!("devd-snapshot:{}-one", stage.project);
        let spec = SnapshotSpec { container, image: image.clone(), labels, scaffold: map(&[]), flat: true };
        let made = stage.act(Act::Snapshot(Box::new(spec))).await.unwrap().id.unwrap();
        let found = stage.api.inspect_image(&made).await.unwrap();
        let labels = found.config.unwrap().labels.unwrap();
        assert_eq!(labels[label::ROLE], "snapshot");
        assert!(labels.contains_key(label::LEASE), "{labels:?}");
        // Engines that keep images as layers of others say from which one this was made: the image in question.
        let parent = docker(&["image", "inspect", "--format", "{{.Parent}}", &made]).await;
        if !parent.trim().is_empty() {
            let base = stage.api.inspect_image(parent.trim()).await.unwrap();
            let labels = base.config.unwrap().labels.unwrap_or_default();
            assert_eq!(labels.get(label::SNAPSHOT).map(String::as_str), Some("one"), "{labels:?}");
            assert_eq!(labels.get("odd name").map(String::as_str), Some(odd));
        }
        stage.act(Act::RemoveSnapshots { project: stage.project.clone(), beyond: None }).await.unwrap();
        assert!(stage.api.inspect_image(&image).await.is_err());
    })
    .await;
}
