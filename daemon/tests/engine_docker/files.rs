//! Compose files on the real engine, by the same steps that the daemon takes.

use crate::stage::{Stage, docker};
use devd_compose::LoadError;
use devd_proto::ProjectSource;
use devdd::blueprint::Blueprint;
use devdd::engine::spec::{Act, ContainerSpec, ExecSpec, compose, label};
use devdd::engine::{Engine, EngineError};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A folder with a compose file, and what devd understands of it.
pub(crate) struct Files {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) blueprint: Blueprint,
}

impl Stage {
    /// Reads a compose file; the project has the name of the test's.
    pub(crate) fn files(&self, text: &str, env: &[(&str, &str)]) -> Files {
        let dir = tempfile::tempdir().unwrap();
        let blueprint = self.load(dir.path(), text, env).unwrap_or_else(|error| panic!("{error}"));
        Files { dir, blueprint }
    }

    pub(crate) fn load(&self, dir: &Path, text: &str, env: &[(&str, &str)]) -> Result<Blueprint, LoadError> {
        std::fs::write(dir.join("compose.yaml"), format!("name: {}\n{text}", self.project)).unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let dir = dir.display().to_string();
        Blueprint::load(&ProjectSource { dir, env: env.collect(), ..ProjectSource::default() })
    }

    /// Creates everything of a project, and starts nothing; the ids of its containers by service.
    pub(crate) async fn make(&self, files: &Files) -> Result<BTreeMap<String, String>, EngineError> {
        let stack = files.blueprint.stack();
        for network in stack.networks() {
            self.act(Act::CreateNetwork(network)).await?;
        }
        for volume in stack.volumes() {
            self.act(Act::CreateVolume(volume)).await?;
        }
        let mut made = BTreeMap::new();
        for name in in_order(&files.blueprint) {
            let applied = self.act(Act::Create(Box::new(spec(&files.blueprint, &name)))).await?;
            made.extend(applied.id.map(|id| (name, id)));
        }
        Ok(made)
    }

    /// Creates everything of a project and starts it.
    pub(crate) async fn run_all(&self, files: &Files) -> BTreeMap<String, String> {
        let made = self.make(files).await.unwrap_or_else(|error| panic!("{error}"));
        for name in in_order(&files.blueprint) {
            self.act(Act::Start(made[&name].clone())).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        made
    }

    /// What a command in a container writes.
    pub(crate) async fn inside(&self, container: &str, script: &str) -> String {
        let cmd = ["sh", "-c", script].map(str::to_owned).to_vec();
        let exec = self.engine.exec(container, ExecSpec { cmd, ..ExecSpec::default() }).await.unwrap();
        drop(exec.input);
        let output: Vec<_> = exec.output.map(|chunk| chunk.unwrap().1).collect().await;
        String::from_utf8(output.concat()).unwrap()
    }

    /// What `docker inspect` says of something.
    pub(crate) async fn inspect(&self, what: &str) -> Value {
        let all: Value = serde_json::from_str(&docker(&["inspect", what]).await).unwrap();
        all[0].clone()
    }
}

/// A service's container as the daemon asks for it.
pub(crate) fn spec(blueprint: &Blueprint, service: &str) -> ContainerSpec {
    let mut spec = blueprint.stack().container(service, 1).unwrap();
    let definition = definition(blueprint, service);
    spec.labels.insert(compose::CONFIG_HASH.to_owned(), definition.clone());
    spec.labels.insert(label::DEFINITION.to_owned(), definition);
    spec
}

/// The digest by which devd tells whether a container is still the right one.
pub(crate) fn definition(blueprint: &Blueprint, service: &str) -> String {
    blueprint.desired().services[service].definition.clone()
}

/// The services, those first that others need.
pub(crate) fn in_order(blueprint: &Blueprint) -> Vec<String> {
    let project = &blueprint.project;
    let mut left: BTreeSet<&String> = project.services.keys().collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().find(|name| project.closure(name).iter().all(|other| !left.contains(other)));
        let next = *ready.unwrap_or_else(|| panic!("a circle among {left:?}"));
        left.remove(next);
        order.push(next.clone());
    }
    order
}
