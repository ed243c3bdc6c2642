//! What a look sees, and what says that it is time for one.

use crate::stage::{Stage, map, staged};
use devd_compose::model::Healthcheck;
use devd_logic::{ContainerState, EnvironmentId, Health};
use devd_proto::EngineState;
use devdd::engine::docker::{Docker, Surroundings};
use devdd::engine::spec::{Act, ContainerSpec, compose, label};
use devdd::engine::{Engine, EngineChange, EngineError};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

fn of_a_run(stage: &Stage, run: &str, spec: ContainerSpec) -> ContainerSpec {
    let run_project = format!("{}-devd-{run}", stage.project);
    let labels = map(&[
        (label::PROJECT, &stage.project),
        (label::ENVIRONMENT, run),
        (compose::PROJECT, &run_project),
        (compose::SERVICE, "tests"),
    ]);
    ContainerSpec { name: format!("{run_project}-{}", spec.service.name), labels, ..spec }
}

#[tokio::test]
async fn a_look_sees_the_whole_project() {
    staged("look", |stage| async move {
        stage.act(Act::CreateNetwork(stage.network("default"))).await.unwrap();
        stage.act(Act::CreateVolume(stage.volume("data"))).await.unwrap();
        let mut web = stage.script("web", "sleep 1000");
        web.service.healthcheck =
            Some(Healthcheck { test: Some(vec!["CMD".into(), "true".into()]), ..Default::default() });
        let web = stage.start(web).await;
        let mut job = stage.script("job", "exit 3");
        job.labels.remove(label::DEFINITION);
        job.labels.insert(compose::NUMBER.to_owned(), "2".to_owned());
        let job = stage.create(job).await;
        assert_eq!(stage.run(&job).await.unwrap().0, 3);
        let idle = stage.create(stage.script("idle", "true")).await;
        let mut oneoff = stage.script("oneoff", "true");
        oneoff.labels.insert(compose::ONEOFF.to_owned(), "True".to_owned());
        stage.create(oneoff).await;
        stage.create(of_a_run(&stage, "r1", stage.script("tests", "true"))).await;

        let images = ["busybox:1".to_owned(), "devd-no-such-image".to_owned()];
        let look = stage.engine.observe(&stage.project, &images).await.unwrap();
        let observed = &look.observed;
        let of = |id: &str| observed.containers.iter().find(|container| container.id == id).unwrap();
        assert_eq!(observed.containers.len(), 3);
        assert_eq!(of(&web).name, format!("{}-web-1", stage.project));
        assert_eq!(of(&web).service.as_str(), "web");
        assert_eq!(of(&web).definition.as_deref(), Some("one"));
        assert_eq!((of(&web).state, of(&web).health), (ContainerState::Running, Health::Starting));
        assert_eq!((of(&job).state, of(&job).health), (ContainerState::Exited(3), Health::None));
        assert_eq!((of(&job).definition.as_deref(), of(&job).number), (None, 2));
        assert_eq!((of(&idle).state, of(&idle).started.as_str()), (ContainerState::Created, ""));
        assert_eq!(observed.networks, BTreeSet::from([format!("{}_default", stage.project)]));
        assert_eq!(observed.volumes, BTreeSet::from([format!("{}_data", stage.project)]));
        assert_eq!(observed.environments, BTreeSet::from([EnvironmentId::new("r1")]));
        assert_eq!(observed.images.keys().collect::<Vec<_>>(), ["busybox:1"]);
        assert_eq!(observed.images["busybox:1"], of(&web).image);
        assert!(look.details[&web].started_at.starts_with("20") && look.details[&web].finished_at.is_empty());
        assert!(look.details[&job].finished_at.starts_with("20"));

        let before = of(&web).started.clone();
        stage.act(Act::Restart { container: web.clone(), grace: None }).await.unwrap();
        let after = stage.look().await.observed;
        assert_ne!(after.containers.iter().find(|container| container.id == web).unwrap().started, before);
    })
    .await;
}

#[tokio::test]
async fn an_environment_is_removed_whole() {
    staged("environment", |stage| async move {
        let labels = map(&[(label::PROJECT, &stage.project), (label::ENVIRONMENT, "r1")]);
        let mut network = stage.network("tests");
        network.labels.clone_from(&labels);
        let mut volume = stage.volume("tests");
        volume.labels.clone_from(&labels);
        stage.act(Act::CreateNetwork(network)).await.unwrap();
        stage.act(Act::CreateVolume(volume)).await.unwrap();
        for name in ["tests", "db"] {
            let networks = vec![stage.endpoint("tests", &[])];
            // It ignores what it is asked, and is removed at once all the same.
            let spec =
                ContainerSpec { networks, ..stage.script(name, "trap '' TERM; while :; do sleep 1; done") };
            stage.start(of_a_run(&stage, "r1", spec)).await;
        }
        let other = stage.create(of_a_run(&stage, "r2", stage.script("tests", "true"))).await;

        let act = Act::RemoveEnvironment { project: stage.project.clone(), environment: "r1".to_owned() };
        stage.act(act.clone()).await.unwrap();
        let look = stage.look().await.observed;
        assert_eq!(look.environments, BTreeSet::from([EnvironmentId::new("r2")]));
        assert!(stage.exists(&other).await);
        stage.act(act).await.unwrap();
    })
    .await;
}

/// Waits for a hint; others may come before it.
async fn hint(changes: &mut BoxStream<'static, EngineChange>, wanted: &EngineChange) {
    let found = async { while changes.next().await.as_ref() != Some(wanted) {} };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap_or_else(|_| panic!("no {wanted:?}"));
}

#[tokio::test]
async fn what_happens_to_a_stack_is_hinted_at() {
    staged("hints", |stage| async move {
        let mut changes = stage.engine.changes();
        let mut others = stage.engine.changes();
        assert_eq!(changes.next().await, Some(EngineChange::Connected));
        let ours = EngineChange::Project(stage.project.clone());
        let id = stage.create(stage.script("web", "sleep 1000")).await;
        hint(&mut changes, &ours).await;
        hint(&mut others, &ours).await;
        stage.act(Act::Start(id.clone())).await.unwrap();
        hint(&mut changes, &ours).await;
        stage.act(Act::Kill(id)).await.unwrap();
        hint(&mut changes, &ours).await;

        // A network is known by its name, after a look.
        stage.act(Act::CreateNetwork(stage.network("default"))).await.unwrap();
        stage.look().await;
        let mut changes = stage.engine.changes();
        stage.act(Act::RemoveNetwork(stage.network("default").name)).await.unwrap();
        hint(&mut changes, &ours).await;

        // What happens to the environments of tests is nobody's business.
        let mut changes = stage.engine.changes();
        let spec = of_a_run(&stage, "r1", stage.script("tests", "true"));
        let run = EngineChange::Project(spec.labels[compose::PROJECT].clone());
        let tests = stage.start(spec).await;
        stage.act(Act::Kill(tests)).await.unwrap();
        let id = stage.create(stage.script("web", "true")).await;
        let mut seen = Vec::new();
        loop {
            let change =
                tokio::time::timeout(Duration::from_secs(20), changes.next()).await.unwrap().unwrap();
            seen.push(change.clone());
            if change == ours {
                break;
            }
        }
        assert!(!seen.contains(&run), "{seen:?}");
        stage.act(Act::Kill(id)).await.unwrap();
    })
    .await;
}

/// Forwards connections to the engine until it is aborted, which also cuts those that are open.
fn forward(socket: &Path, engine: &Path) -> tokio::task::JoinHandle<()> {
    let listener = tokio::net::UnixListener::bind(socket).unwrap();
    let engine = engine.to_owned();
    tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let engine = engine.clone();
            open.spawn(async move {
                let mut far = tokio::net::UnixStream::connect(engine).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    })
}

#[tokio::test]
async fn a_lost_engine_is_found_again() {
    staged("lost", |stage| async move {
        let endpoint = stage.engine.status().endpoint;
        let real = Path::new(endpoint.strip_prefix("unix://").unwrap());
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let host = format!("unix://{}", socket.display());
        let surroundings = Surroundings { vars: map(&[("DOCKER_HOST", &host)]), ..Default::default() };

        let engine = Docker::connect(surroundings, None);
        // Other tests run on the same engine.
        let links = |change: &EngineChange| std::future::ready(!matches!(change, EngineChange::Project(_)));
        let mut changes = engine.changes().filter(links);
        assert_eq!(changes.next().await, Some(EngineChange::Disconnected));
        let status = engine.status();
        assert_eq!(status.error, Some(format!("{host} (DOCKER_HOST): there is no such socket")));
        assert!(matches!(engine.observe("x", &[]).await, Err(EngineError::Unreachable(_))));

        let proxy = forward(&socket, real);
        assert_eq!(changes.next().await, Some(EngineChange::Connected));
        assert_eq!(
            (engine.status().state, engine.status().kind.as_str()),
            (EngineState::Connected, "docker")
        );
        assert_eq!(engine.status().version, stage.engine.status().version);
        engine.observe("x", &[]).await.unwrap();

        proxy.abort();
        assert_eq!(changes.next().await, Some(EngineChange::Disconnected));
        assert!(matches!(engine.observe("x", &[]).await, Err(EngineError::Unreachable(_))));
        assert!(!engine.status().version.is_empty());

        std::fs::remove_file(&socket).unwrap();
        let proxy = forward(&socket, real);
        assert_eq!(changes.next().await, Some(EngineChange::Connected));
        engine.observe("x", &[]).await.unwrap();
        proxy.abort();
    })
    .await;
}

#[tokio::test]
async fn an_engine_may_be_behind_a_port() {
    staged("tcp", |stage| async move {
        let endpoint = stage.engine.status().endpoint;
        let real = Path::new(endpoint.strip_prefix("unix://").unwrap()).to_owned();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = tokio::net::UnixStream::connect(&real).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
            }
        });
        let vars = map(&[("DOCKER_HOST", &host)]);
        let engine = Docker::connect(Surroundings { vars, ..Default::default() }, None);
        let far = Stage { engine, ..stage };
        let id = far.create(far.script("web", "cat /proc/1/comm; exit 3")).await;
        assert_eq!(far.run(&id).await.unwrap(), (3, b"sh\n".to_vec(), Vec::new()));
        assert_eq!(far.engine.status().endpoint, host);
    })
    .await;
}
