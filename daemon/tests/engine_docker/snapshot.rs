//! Containers kept as images, with what is in their volumes.

use crate::stage::{Stage, map, staged};
use bollard::query_parameters::InspectContainerOptions;
use devd_compose::model::{Mount, MountKind};
use devdd::engine::Engine;
use devdd::engine::spec::{Act, ContainerSpec, Newest, SnapshotSpec, label};
use std::collections::BTreeMap;

/// A database of sorts: its image declares a volume, its file gives it another one.
fn database(stage: &Stage, script: &str) -> ContainerSpec {
    let mut spec = stage.container("db", "redis:7", &["sh", "-c", script]);
    spec.env = vec!["PASSWORD=secret".to_owned()];
    let kind = MountKind::Volume {
        source: Some("more".to_owned()),
        nocopy: false,
        subpath: None,
        labels: BTreeMap::new(),
    };
    spec.service.volumes = vec![Mount::new("/var/lib/more", kind)];
    spec.volumes = BTreeMap::from([("more".to_owned(), stage.volume("more").name)]);
    spec
}

fn kept(stage: &Stage, container: &str, key: &str, flat: bool) -> SnapshotSpec {
    let labels = [(label::PROJECT, stage.project.as_str()), (label::TESTS_OF, "app"), (label::SNAPSHOT, key)];
    SnapshotSpec {
        container: container.to_owned(),
        image: format!("devd-snapshot:{}-{key}", stage.project),
        labels: map(&labels),
        scaffold: map(&[(label::PROJECT, stage.project.as_str())]),
        flat,
    }
}

const WRITE: &str = "echo one > /data/a; chmod 640 /data/a; chown redis:redis /data/a; ln -s a /data/link; \
                     mkdir /data/dir; chmod 711 /data/dir; echo two > /var/lib/more/b; chmod 700 /var/lib/more; \
                     echo three > /root/c";
const SHOW: &str = "stat -c '%n %a %U %F' /data /data/* /var/lib/more /var/lib/more/* /root/c; \
                    cat /data/link /var/lib/more/b /root/c; echo again >> /data/a; echo ${PASSWORD-none}";
const SHOWN: &str = "/data 755 redis directory\n/data/a 640 redis regular file\n/data/dir 711 root directory\n\
                     /data/link 777 root symbolic link\n/var/lib/more 700 root directory\n\
                     /var/lib/more/b 644 root regular file\n/root/c 644 root regular file\none\ntwo\nthree\nnone\n";

async fn what_is_kept(stage: Stage, flat: bool) {
    stage.act(Act::CreateVolume(stage.volume("more"))).await.unwrap();
    let first = stage.create(database(&stage, WRITE)).await;
    assert!(!stage.engine.keeps_data(std::slice::from_ref(&first)).await.unwrap());
    assert_eq!(stage.run(&first).await.unwrap(), (0, Vec::new(), Vec::new()));
    assert!(stage.engine.keeps_data(std::slice::from_ref(&first)).await.unwrap());
    let spec = kept(&stage, &first, "one", flat);
    let made = stage.act(Act::Snapshot(Box::new(spec.clone()))).await.unwrap().id.unwrap();
    stage.act(Act::Kill(first)).await.unwrap();

    let image = stage.api.inspect_image(&spec.image).await.unwrap();
    assert_eq!(image.id.as_deref(), Some(made.as_str()));
    let (config, original) = (image.config.unwrap(), stage.api.inspect_image("redis:7").await.unwrap());
    let original = original.config.unwrap();
    assert_eq!(config.volumes.unwrap_or_default(), [""; 0], "the engine would copy them for each container");
    assert_eq!(config.env, original.env, "the environment of the container is none of the image's");
    assert_eq!(config.entrypoint, original.entrypoint);
    assert_eq!((config.cmd, config.working_dir), (original.cmd, original.working_dir));
    assert_eq!(config.exposed_ports, original.exposed_ports);

    // Two that start from it see the same, and not each other.
    for name in ["second", "third"] {
        let container = stage.container(name, &spec.image, &["sh", "-c", SHOW]);
        let container = stage.create(container).await;
        let (code, out, err) = stage.run(&container).await.unwrap();
        assert_eq!((code, String::from_utf8_lossy(&out).as_ref()), (0, SHOWN), "{err:?}");
        let found = stage.api.inspect_container(&container, None::<InspectContainerOptions>).await.unwrap();
        assert_eq!(found.mounts.unwrap_or_default(), []);
        stage.act(Act::Kill(container)).await.unwrap();
    }
    // What was there only to make it is gone.
    let look = stage.look().await;
    assert!(look.observed.containers.is_empty() && look.observed.environments.is_empty(), "{look:?}");
    let all = Act::RemoveSnapshots { project: stage.project.clone(), beyond: None };
    stage.act(all.clone()).await.unwrap();
    assert!(stage.api.inspect_image(&spec.image).await.is_err());
    assert!(stage.api.inspect_image(&made).await.is_err());
    stage.act(all).await.unwrap();
}

#[tokio::test]
async fn everything_that_a_container_wrote_is_kept() {
    staged("kept", |stage| what_is_kept(stage, false)).await;
}

#[tokio::test]
async fn and_on_engines_that_cannot_use_layers_again() {
    staged("flat", |stage| what_is_kept(stage, true)).await;
}

#[tokio::test]
async fn a_volume_that_two_share_is_filled_from_what_is_kept() {
    staged("shared", |stage| async move {
        stage.act(Act::CreateVolume(stage.volume("more"))).await.unwrap();
        let first = stage.create(database(&stage, WRITE)).await;
        stage.run(&first).await.unwrap();
        let spec = kept(&stage, &first, "one", false);
        stage.act(Act::Snapshot(Box::new(spec.clone()))).await.unwrap();
        stage.act(Act::Kill(first)).await.unwrap();
        stage.act(Act::RemoveVolume(stage.volume("more").name)).await.unwrap();
        stage.act(Act::CreateVolume(stage.volume("more"))).await.unwrap();
        let mut second = database(&stage, "cat /var/lib/more/b; stat -c %a /var/lib/more");
        second.image = spec.image;
        let second = stage.create(second).await;
        assert_eq!(stage.run(&second).await.unwrap(), (0, b"two\n700\n".to_vec(), Vec::new()));
        stage.act(Act::Kill(second)).await.unwrap();
        stage.act(Act::RemoveSnapshots { project: stage.project.clone(), beyond: None }).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn only_the_newest_stay() {
    staged("newest", |stage| async move {
        let container = stage.create(stage.script("db", "true")).await;
        stage.run(&container).await.unwrap();
        for key in ["one", "two", "three", "four"] {
            stage.act(Act::Snapshot(Box::new(kept(&stage, &container, key, false)))).await.unwrap();
            // The engine tells their age in seconds.
            tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        }
        let beyond = Newest { tests_of: "app".to_owned(), key: "two".to_owned(), others: 1 };
        let act = Act::RemoveSnapshots { project: stage.project.clone(), beyond: Some(beyond) };
        stage.act(act).await.unwrap();
        let mut there = Vec::new();
        for key in ["one", "two", "three", "four"] {
            let image = format!("devd-snapshot:{}-{key}", stage.project);
            there.extend(stage.api.inspect_image(&image).await.is_ok().then_some(key));
        }
        assert_eq!(there, ["two", "four"]);
        stage.act(Act::RemoveSnapshots { project: stage.project.clone(), beyond: None }).await.unwrap();
    })
    .await;
}
