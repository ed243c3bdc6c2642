//! A project of its own for each test, on the real engine, gone afterwards whatever happens.

use devd_compose::model::{Attachment, Mount, MountKind, Network, Service, Volume};
use devd_proto::{EngineState, Stream};
use devdd::engine::docker::{Docker, Surroundings};
use devdd::engine::spec::{
    Act, ContainerSpec, EndpointSpec, NetworkSpec, Shares, VolumeSpec, compose, label,
};
use devdd::engine::{Applied, Engine, EngineError, Look, Progress};
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;

/// What a test has.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) engine: Docker,
    pub(crate) project: String,
    /// The engine behind devd's back.
    pub(crate) api: bollard::Docker,
}

/// Runs a test. Fails when there is no engine.
pub(crate) async fn staged<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Stage) -> F) {
    staged_with("0", name, test).await;
}

/// With images built as `DOCKER_BUILDKIT` says: with `0` by the classic builder, which every engine has.
pub(crate) async fn staged_with<F: Future<Output = ()>>(
    buildkit: &str,
    name: &str,
    test: impl FnOnce(Stage) -> F,
) {
    let mut surroundings = Surroundings::of_process();
    surroundings.vars.insert("DOCKER_BUILDKIT".to_owned(), buildkit.to_owned());
    let engine = Docker::connect(surroundings, None);
    engine.tried().await;
    let status = engine.status();
    assert_eq!(status.state, EngineState::Connected, "this test needs an engine: {:?}", status.error);
    let api = bollard::Docker::connect_with_host(&status.endpoint).unwrap();
    let stage = Stage { engine, project: format!("devd-test-{}-{name}", std::process::id()), api };
    let outcome = AssertUnwindSafe(test(stage.clone())).catch_unwind().await;
    stage.clean().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Stage {
    pub(crate) async fn act(&self, act: Act) -> Result<Applied, EngineError> {
        self.engine.apply(&act, &Progress::none()).await
    }

    pub(crate) async fn look(&self) -> Look {
        self.engine.observe(&self.project, &[]).await.unwrap()
    }

    /// A container of the dev stack.
    pub(crate) fn container(&self, service: &str, image: &str, command: &[&str]) -> ContainerSpec {
        let labels = [
            (label::PROJECT, self.project.as_str()),
            (label::DEFINITION, "one"),
            (compose::PROJECT, &self.project),
            (compose::SERVICE, service),
            (compose::NUMBER, "1"),
            (compose::ONEOFF, "False"),
            (compose::CONFIG_HASH, "0"),
        ];
        let command = command.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        ContainerSpec {
            name: format!("{}-{service}-1", self.project),
            image: image.to_owned(),
            service: Service {
                name: service.to_owned(),
                command: (!command.is_empty()).then_some(command),
                stop_grace_period: Some(std::time::Duration::from_secs(1)),
                ..Default::default()
            },
            env: Vec::new(),
            networks: Vec::new(),
            volumes: BTreeMap::new(),
            shares: Shares::default(),
            labels: map(&labels),
            publish: true,
            restart: false,
            auto_remove: false,
            park: None,
        }
    }

    /// A shell script in a container of the dev stack.
    pub(crate) fn script(&self, service: &str, script: &str) -> ContainerSpec {
        self.container(service, "busybox:1", &["sh", "-c", script])
    }

    pub(crate) async fn create(&self, spec: ContainerSpec) -> String {
        self.act(Act::Create(Box::new(spec))).await.unwrap().id.unwrap()
    }

    pub(crate) async fn start(&self, spec: ContainerSpec) -> String {
        let id = self.create(spec).await;
        self.act(Act::Start(id.clone())).await.unwrap();
        id
    }

    pub(crate) fn network(&self, key: &str) -> NetworkSpec {
        let labels = [
            (label::PROJECT, self.project.as_str()),
            (compose::PROJECT, &self.project),
            (compose::NETWORK, key),
        ];
        NetworkSpec {
            name: format!("{}_{key}", self.project),
            network: Network::default(),
            labels: map(&labels),
        }
    }

    pub(crate) fn volume(&self, key: &str) -> VolumeSpec {
        let labels = [
            (label::PROJECT, self.project.as_str()),
            (compose::PROJECT, &self.project),
            (compose::VOLUME, key),
        ];
        VolumeSpec {
            name: format!("{}_{key}", self.project),
            volume: Volume::default(),
            labels: map(&labels),
        }
    }

    pub(crate) fn endpoint(&self, key: &str, aliases: &[&str]) -> EndpointSpec {
        EndpointSpec {
            network: format!("{}_{key}", self.project),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            links: Vec::new(),
            attachment: Attachment::default(),
        }
    }

    /// Runs a container: its exit code, its output and its errors.
    pub(crate) async fn run(&self, container: &str) -> Result<(i64, Vec<u8>, Vec<u8>), EngineError> {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<(Stream, bytes::Bytes)>(4);
        let read = async {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            while let Some((stream, bytes)) = receiver.recv().await {
                match stream {
                    Stream::Stdout => out.extend_from_slice(&bytes),
                    Stream::Stderr => err.extend_from_slice(&bytes),
                }
            }
            (out, err)
        };
        let (code, (out, err)) = tokio::join!(self.engine.run(container, sender), read);
        Ok((code?, out, err))
    }

    pub(crate) async fn exists(&self, container: &str) -> bool {
        let options = None::<bollard::query_parameters::InspectContainerOptions>;
        self.api.inspect_container(container, options).await.is_ok()
    }

    /// By the client, so that it works however broken the engine's adapter is.
    async fn clean(&self) {
        for label in [label::PROJECT, compose::PROJECT] {
            let filter = format!("label={label}={}", self.project);
            for (list, remove) in [
                (&["ps", "-aq", "--filter"][..], &["rm", "-fv"][..]),
                (&["network", "ls", "-q", "--filter"], &["network", "rm"]),
                (&["volume", "ls", "-q", "--filter"], &["volume", "rm", "-f"]),
                (&["image", "ls", "-q", "--filter"], &["image", "rm", "-f"]),
            ] {
                let found = docker(&[list, &[&filter]].concat()).await;
                let found: Vec<&str> = found.split_whitespace().collect();
                if !found.is_empty() {
                    docker(&[remove, &found].concat()).await;
                }
            }
        }
    }
}

pub(crate) async fn docker(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let output =
        tokio::task::spawn_blocking(|| std::process::Command::new("docker").args(arguments).output());
    String::from_utf8(output.await.unwrap().unwrap().stdout).unwrap()
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The text of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, EngineError>) -> String {
    match result {
        Err(EngineError::Refused(message)) => message,
        other => panic!("not refused: {other:?}"),
    }
}

/// A folder or file of the host in a container.
pub(crate) fn bind(source: &Path, target: &str) -> Mount {
    let kind = MountKind::Bind {
        source: source.to_owned(),
        create_host_path: true,
        propagation: None,
        selinux: None,
        recursive: None,
    };
    Mount::new(target, kind)
}
