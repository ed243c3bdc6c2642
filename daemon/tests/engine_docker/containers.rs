//! Containers come and go, however often it is said.

use crate::stage::{Stage, bind, map, refusal, staged};
use devd_compose::model::{Mount, MountKind, NetworkMode, Port, PortRange, Span};
use devdd::engine::spec::{Act, ContainerSpec, EndpointSpec, label};
use devdd::engine::{Engine, EngineError};

#[tokio::test]
async fn everything_can_be_said_twice() {
    staged("twice", |stage| async move {
        let spec = stage.script("web", "sleep 1000");
        let id = stage.create(spec.clone()).await;
        assert_eq!(stage.create(spec.clone()).await, id);
        for act in [
            Act::Start(id.clone()),
            Act::Start(id.clone()),
            Act::Restart { container: id.clone(), grace: None },
            Act::Stop(id.clone()),
            Act::Stop(id.clone()),
            Act::Remove(id.clone()),
            Act::Remove(id.clone()),
            Act::Kill(id.clone()),
            Act::Stop(id.clone()),
            Act::CreateNetwork(stage.network("default")),
            Act::CreateNetwork(stage.network("default")),
            Act::CreateVolume(stage.volume("data")),
            Act::CreateVolume(stage.volume("data")),
            Act::RemoveNetwork(stage.network("default").name),
            Act::RemoveNetwork(stage.network("default").name),
            Act::RemoveVolume(stage.volume("data").name),
            Act::RemoveVolume(stage.volume("data").name),
        ] {
            stage.act(act.clone()).await.unwrap_or_else(|error| panic!("{act:?}: {error}"));
        }
        assert!(!stage.exists(&id).await);
        assert!(matches!(stage.act(Act::Start(id)).await, Err(EngineError::NotFound(_))));
    })
    .await;
}

#[tokio::test]
async fn a_name_that_somebody_holds_is_not_taken() {
    staged("held", |stage| async move {
        let spec = stage.script("web", "sleep 1000");
        stage.create(spec.clone()).await;
        let mut other = spec;
        other.labels.insert(label::DEFINITION.to_owned(), "two".to_owned());
        let message = refusal(stage.act(Act::Create(Box::new(other))).await);
        let holder = format!("(service web of compose project {})", stage.project);
        assert!(
            message.starts_with(&format!("the name {}-web-1 is held by container", stage.project)),
            "{message}"
        );
        assert!(message.ends_with(&holder), "{message}");
    })
    .await;
}

#[tokio::test]
async fn a_missing_image_is_named() {
    staged("image", |stage| async move {
        let spec = stage.container("web", "devd-no-such-image:1", &[]);
        let message = refusal(stage.act(Act::Create(Box::new(spec))).await);
        assert!(message.starts_with("no such image: devd-no-such-image:1"), "{message}");
        let pull = Act::Pull {
            image: "localhost:1/devd-no-such-image:1".to_owned(),
            platform: None,
            unless_since: None,
        };
        let message = refusal(stage.act(pull).await);
        assert!(message.starts_with("cannot pull localhost:1/devd-no-such-image:1: "), "{message}");
        assert!(message.contains("is this machine online?"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn a_container_is_on_all_its_networks_or_not_at_all() {
    staged("networks", |stage| async move {
        stage.act(Act::CreateNetwork(stage.network("back"))).await.unwrap();
        stage.act(Act::CreateNetwork(stage.network("front"))).await.unwrap();
        let endpoints = vec![stage.endpoint("back", &["db"]), stage.endpoint("front", &["store"])];
        let db = ContainerSpec { networks: endpoints, ..stage.container("db", "redis:7", &[]) };
        stage.start(db).await;
        let client = |name: &str, network: &str, alias: &str| ContainerSpec {
            networks: vec![stage.endpoint(network, &[])],
            ..stage.container(
                name,
                "redis:7",
                &["sh", "-c", &format!("until redis-cli -h {alias} ping; do :; done")],
            )
        };
        for (name, network, alias) in [("a", "back", "db"), ("b", "front", "store")] {
            let id = stage.create(client(name, network, alias)).await;
            assert_eq!(stage.run(&id).await.unwrap().0, 0);
        }

        // Only networks that somebody made know aliases.
        let bridge = EndpointSpec { network: "bridge".to_owned(), ..stage.endpoint("", &["lost"]) };
        let lost = ContainerSpec {
            networks: vec![stage.endpoint("back", &[]), bridge],
            ..stage.script("lost", "true")
        };
        let name = lost.name.clone();
        let message = refusal(stage.act(Act::Create(Box::new(lost))).await);
        // Older engines do so when it is connected, newer ones when it is created.
        let refused = message.starts_with("cannot connect to the network bridge: ")
            || message.contains("supported only for containers in user defined networks");
        assert!(refused, "{message}");
        assert!(!stage.exists(&name).await);

        // Some engines notice only at the start that a network is missing.
        let networks = vec![stage.endpoint("back", &[]), stage.endpoint("missing", &[])];
        let lost = ContainerSpec { networks, ..stage.script("lost", "true") };
        let outcome = match stage.act(Act::Create(Box::new(lost))).await {
            Ok(made) => stage.act(Act::Start(made.id.unwrap())).await,
            refused => refused,
        };
        let message = refusal(outcome);
        assert!(message.contains(&format!("{}_missing", stage.project)), "{message}");
    })
    .await;
}

#[tokio::test]
async fn links_may_be_circular() {
    staged("links", |stage| async move {
        stage.act(Act::CreateNetwork(stage.network("default"))).await.unwrap();
        let linked = |service: &str, to: &str| {
            let links = vec![format!("{}-{to}-1:friend", stage.project)];
            let script = "until ping -c 1 -W 1 friend; do sleep 0.05; done; sleep 1000";
            ContainerSpec {
                networks: vec![EndpointSpec { links, ..stage.endpoint("default", &[service]) }],
                ..stage.script(service, script)
            }
        };
        // It runs before there is anybody to link to, and follows whoever comes, and comes again.
        let a = stage.start(linked("a", "b")).await;
        let b = stage.start(linked("b", "a")).await;
        stage.act(Act::Kill(b)).await.unwrap();
        let other = ContainerSpec {
            networks: vec![stage.endpoint("default", &[])],
            ..stage.script("x", "sleep 1000")
        };
        stage.start(other).await;
        let b = stage.start(linked("b", "a")).await;
        for id in [a, b] {
            let spec = devdd::engine::spec::ExecSpec {
                cmd: ["ping", "-c", "1", "-W", "1", "friend"].map(str::to_owned).to_vec(),
                ..Default::default()
            };
            let exec = stage.engine.exec(&id, spec).await.unwrap();
            drop(exec.input);
            futures_util::StreamExt::for_each(exec.output, |_| async {}).await;
            assert_eq!(exec.exit.await.unwrap(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_network_can_be_shared() {
    staged("shared", |stage| async move {
        let db = stage.container("db", "redis:7", &[]);
        let mut client =
            stage.container("client", "redis:7", &["sh", "-c", "until redis-cli ping; do :; done"]);
        client.shares.network = Some(db.name.clone());
        client.service.network_mode = Some(NetworkMode::Service("db".to_owned()));
        stage.start(db).await;
        let id = stage.create(client).await;
        assert_eq!(stage.run(&id).await.unwrap().0, 0);
    })
    .await;
}

#[tokio::test]
async fn a_folder_may_have_any_name() {
    staged("folders", |stage| async move {
        let folder = tempfile::tempdir().unwrap();
        for (number, name) in ["Service 1", "a:b", "new/ä folder", "new:/folder"].into_iter().enumerate() {
            let source = folder.path().join(name);
            if number < 2 {
                std::fs::create_dir(&source).unwrap();
            }
            let mut spec = stage.script(&format!("s{number}"), "echo written > '/mounted here/file'");
            spec.service.volumes = vec![bind(&source, "/mounted here")];
            let id = stage.create(spec).await;
            let (code, _, err) = stage.run(&id).await.unwrap();
            assert_eq!(code, 0, "{name}: {}", String::from_utf8_lossy(&err));
            assert_eq!(std::fs::read_to_string(source.join("file")).unwrap(), "written\n");
        }
    })
    .await;
}

#[tokio::test]
async fn named_volumes_keep_and_anonymous_ones_go() {
    staged("volumes", |stage| async move {
        stage.act(Act::CreateVolume(stage.volume("data"))).await.unwrap();
        let volume = |target: &str, key: Option<&str>| {
            let source = key.map(str::to_owned);
            let labels = Default::default();
            Mount::new(target, MountKind::Volume { source, nocopy: false, subpath: None, labels })
        };
        let mut spec = stage.script("web", "cat /data/kept; echo kept > /data/kept; test -d /scratch");
        spec.service.volumes = vec![volume("/data", Some("data")), volume("/scratch", None)];
        spec.volumes = map(&[("data", &stage.volume("data").name)]);
        for expected in ["", "kept\n"] {
            let id = stage.create(spec.clone()).await;
            let (code, out, _) = stage.run(&id).await.unwrap();
            assert_eq!((code, String::from_utf8(out).unwrap().as_str()), (0, expected));
            let options = None::<bollard::query_parameters::InspectContainerOptions>;
            let mounts = stage.api.inspect_container(&id, options).await.unwrap().mounts.unwrap();
            let scratch =
                mounts.iter().find(|mount| mount.destination.as_deref() == Some("/scratch")).unwrap();
            stage.act(Act::Remove(id)).await.unwrap();
            assert!(stage.api.inspect_volume(scratch.name.as_ref().unwrap()).await.is_err());
        }
        assert!(stage.look().await.observed.volumes.contains(&stage.volume("data").name));
    })
    .await;
}

fn publishing(stage: &Stage, service: &str, host: u16) -> ContainerSpec {
    let mut spec = stage.script(service, "sleep 1000");
    spec.service.ports = vec![Port {
        host_ip: None,
        published: Some(PortRange { first: host, last: host }),
        target: 80,
        protocol: "tcp".to_owned(),
        mode: "ingress".to_owned(),
        name: None,
        app_protocol: None,
        span: Span::default(),
    }];
    spec
}

#[tokio::test]
async fn who_holds_a_port_is_said() {
    staged("ports", |stage| async move {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let first = stage.create(publishing(&stage, "first", port)).await;
        let message = refusal(stage.act(Act::Start(first.clone())).await);
        let holder = format!("(pid {})", std::process::id());
        assert!(message.starts_with(&format!("port {port} is already in use on the host, by process ")), "{message}");
        assert!(message.ends_with(&holder), "{message}");

        drop(listener);
        stage.act(Act::Start(first)).await.unwrap();
        let details = stage.look().await.details;
        let ports: Vec<_> = details.values().flat_map(|details| &details.ports).collect();
        assert_eq!(ports.iter().map(|port| (port.host, port.container)).collect::<Vec<_>>(), [(port, 80)]);

        let second = stage.create(publishing(&stage, "second", port)).await;
        let message = refusal(stage.act(Act::Start(second)).await);
        let project = &stage.project;
        let expected = format!(
            "port {port} is already in use on the host, by container {project}-first-1 (compose project {project})"
        );
        assert_eq!(message, expected);
    })
    .await;
}
