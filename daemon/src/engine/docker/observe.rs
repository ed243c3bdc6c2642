//! One look at everything of a project.

use super::error::gone_is_fine;
use super::link::Connection;
use super::shares;
use crate::engine::spec::{compose, label};
use crate::engine::{Details, EngineError, Look};
use bollard::models::{
    ContainerInspectResponse, ContainerState as EngineState, ContainerStateStatusEnum as Status,
    ContainerSummary, ContainerSummaryStateEnum, HealthStatusEnum, PortMap,
};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions,
};
use devd_logic::{Container, ContainerState, EnvironmentId, Health, Observed};
use devd_proto::{Port, ServiceName};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many containers are asked about at once.
const AT_ONCE: usize = 16;

type Labels = HashMap<String, String>;

pub(super) async fn observe(
    connection: &Connection,
    project: &str,
    images: &[String],
) -> Result<Look, EngineError> {
    let of_stack = [format!("{}={project}", compose::PROJECT)];
    // Another daemon's project of this name has environments too, in use.
    let of_project = format!("{}={project}", label::PROJECT);
    let of_runs = [of_project, label::ENVIRONMENT.to_owned(), connection.lease.filter()];
    let (inspected, stack, runs, images) = tokio::try_join!(
        stack_containers(connection, &of_stack),
        things(connection, &of_stack),
        async {
            let containers = labels_of_containers(connection, &of_runs).await?;
            let things = things(connection, &of_runs).await?;
            Ok(containers.into_iter().chain(things.labels()).collect::<Vec<_>>())
        },
        image_ids(connection, images),
    )?;
    let mut containers: Vec<_> =
        inspected.into_iter().filter_map(|inspected| container(inspected, &stack.networks)).collect();
    containers.sort_by(|(a, _), (b, _)| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let (containers, details) = containers
        .into_iter()
        .map(|(container, details)| {
            let id = container.id.clone();
            (container, (id, details))
        })
        .unzip();
    let observed = Observed {
        containers,
        networks: names(stack.networks),
        volumes: stack.volumes.into_iter().filter_map(of_dev_stack).collect(),
        images,
        environments: runs
            .iter()
            .filter_map(|labels| labels.get(label::ENVIRONMENT))
            .map(EnvironmentId::new)
            .collect(),
    };
    Ok(Look { observed, details })
}

/// Names of the stack's networks. Of a name that two of them have the engine says that it is ambiguous: whoever makes the
/// network sees to that it is one again.
fn names(networks: Vec<Network>) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let of_stack = networks.into_iter().filter_map(|it| of_dev_stack((it.name, it.labels)));
    for name in of_stack {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count == 1).map(|(name, _)| name).collect()
}

fn of_dev_stack((name, labels): (String, Labels)) -> Option<String> {
    (!labels.contains_key(label::ENVIRONMENT)).then_some(name)
}

/// Networks and volumes with their labels, by name.
#[derive(Default)]
pub(super) struct Things {
    pub(super) networks: Vec<Network>,
    pub(super) volumes: Vec<(String, Labels)>,
}

/// A network.
pub(super) struct Network {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) created: Option<Timestamp>,
    pub(super) labels: Labels,
}

impl Things {
    fn labels(self) -> impl Iterator<Item = Labels> {
        let networks = self.networks.into_iter().map(|network| network.labels);
        networks.chain(self.volumes.into_iter().map(|(_, labels)| labels))
    }
}

pub(super) async fn things(connection: &Connection, labels: &[String]) -> Result<Things, EngineError> {
    let networks = ListNetworksOptions { filters: Some(filter(labels)) };
    let volumes = ListVolumesOptions { filters: Some(filter(labels)) };
    let (networks, volumes) = tokio::try_join!(
        connection.api.list_networks(Some(networks)),
        connection.api.list_volumes(Some(volumes)),
    )?;
    let networks = networks.into_iter().filter_map(|network| {
        let created = network.created.and_then(|time| time.parse().ok());
        let (id, labels) = (network.id.unwrap_or_default(), network.labels.unwrap_or_default());
        Some(Network { name: network.name?, id, created, labels })
    });
    let volumes = volumes.volumes.unwrap_or_default().into_iter().map(|v| (v.name, v.labels));
    Ok(Things { networks: networks.collect(), volumes: volumes.collect() })
}

pub(super) async fn containers(
    connection: &Connection,
    labels: &[String],
) -> Result<Vec<ContainerSummary>, EngineError> {
    let options = ListContainersOptions { all: true, filters: Some(filter(labels)), ..Default::default() };
    let mut found = connection.api.list_containers(Some(options)).await?;
    let dead: Vec<String> = found.iter().filter_map(dead).collect();
    for id in dead {
        // Docker that was killed amid removing it lists it for as long as it runs, and knows nothing of it when it is to
        // remove it.
        let answer = connection.api.inspect_container(&id, None::<InspectContainerOptions>).await;
        if let Err(EngineError::NotFound(_)) = answer.map_err(EngineError::from) {
            found.retain(|container| container.id.as_ref() != Some(&id));
        }
    }
    Ok(found)
}

fn dead(container: &ContainerSummary) -> Option<String> {
    container.id.clone().filter(|_| container.state == Some(ContainerSummaryStateEnum::DEAD))
}

fn filter(labels: &[String]) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), labels.to_vec())])
}

async fn labels_of_containers(
    connection: &Connection,
    labels: &[String],
) -> Result<Vec<Labels>, EngineError> {
    let found = containers(connection, labels).await?;
    Ok(found.into_iter().filter_map(|container| container.labels).collect())
}

async fn stack_containers(
    connection: &Connection,
    labels: &[String],
) -> Result<Vec<ContainerInspectResponse>, EngineError> {
    let found = containers(connection, labels).await?;
    let of_stack = found.into_iter().filter(|summary| {
        let label = |name| summary.labels.as_ref().and_then(|labels| labels.get(name));
        label(label::ENVIRONMENT).is_none() && label(compose::ONEOFF).is_none_or(|value| value != "True")
    });
    let ids: Vec<String> = of_stack.filter_map(|summary| summary.id).collect();
    let inspected = stream::iter(ids).map(|id| async move {
        let answer = connection.api.inspect_container(&id, None::<InspectContainerOptions>).await;
        // It may have vanished since it was listed.
        gone_is_fine(answer.map(Some).map_err(EngineError::from))
    });
    inspected
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|inspected| async { Ok(inspected) })
        .try_collect()
        .await
}

async fn image_ids(
    connection: &Connection,
    images: &[String],
) -> Result<BTreeMap<String, String>, EngineError> {
    let distinct: BTreeSet<String> = images.iter().cloned().collect();
    let inspected = stream::iter(distinct).map(|image| async move {
        let answer = connection.api.inspect_image(&image).await.map_err(EngineError::from);
        let id = gone_is_fine(answer.map(|inspected| inspected.id))?;
        Ok(id.map(|id| (image, id)))
    });
    inspected.buffer_unordered(AT_ONCE).try_filter_map(|found| async { Ok(found) }).try_collect().await
}

/// Our picture of a container; none if it is nobody's service.
fn container(inspected: ContainerInspectResponse, networks: &[Network]) -> Option<(Container, Details)> {
    let lost_network = lost_network(&inspected, networks);
    let labels = inspected.config.and_then(|config| config.labels).unwrap_or_default();
    let state = inspected.state.unwrap_or_default();
    let shares = inspected.host_config.as_ref().map(shares::of).unwrap_or_default();
    let started = happened(state.started_at.as_deref());
    let details = Details {
        ports: inspected.network_settings.and_then(|settings| settings.ports).map(ports).unwrap_or_default(),
        started_at: started.clone(),
        finished_at: happened(state.finished_at.as_deref()),
    };
    let container = Container {
        id: inspected.id?,
        name: inspected.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        service: ServiceName::new(labels.get(compose::SERVICE)?),
        definition: labels.get(label::DEFINITION).cloned(),
        config_hash: labels.get(compose::CONFIG_HASH).cloned(),
        image: inspected.image.unwrap_or_default(),
        state: container_state(&state),
        health: health(&state),
        started,
        shares,
        lost_network,
        number: labels.get(compose::NUMBER).and_then(|number| number.parse().ok()).unwrap_or(1),
    };
    Some((container, details))
}

/// A network that is not the one of that name that the container was put on.
fn lost_network(inspected: &ContainerInspectResponse, networks: &[Network]) -> Option<String> {
    let mode = inspected.host_config.as_ref().and_then(|host| host.network_mode.as_deref());
    let made = inspected.created.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
    let endpoints = inspected.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let lost = networks.iter().find(|network| {
        match endpoints.and_then(|endpoints| endpoints.get(&network.name)) {
            Some(endpoint) => {
                endpoint.network_id.as_ref().is_some_and(|id| !id.is_empty() && *id != network.id)
            }
            // It was taken off by force; if that was because the network went, this one is younger than the container.
            None => mode == Some(&network.name) && made.is_some() && network.created > made,
        }
    });
    lost.map(|network| network.name.clone())
}

/// Engines write the year 1 for never.
fn happened(time: Option<&str>) -> String {
    time.filter(|time| !time.starts_with("0001-")).unwrap_or_default().to_owned()
}

fn container_state(state: &EngineState) -> ContainerState {
    match state.status.unwrap_or(Status::EMPTY) {
        Status::CREATED => ContainerState::Created,
        // What is being stopped still runs.
        Status::RUNNING | Status::STOPPING => ContainerState::Running,
        Status::PAUSED => ContainerState::Paused,
        Status::RESTARTING => ContainerState::Restarting,
        // A dead container is one whose removal failed half-way.
        Status::REMOVING | Status::DEAD => ContainerState::Removing,
        Status::EXITED | Status::EMPTY => ContainerState::Exited(state.exit_code.unwrap_or_default()),
    }
}

fn health(state: &EngineState) -> Health {
    let status = state.health.as_ref().and_then(|health| health.status).unwrap_or(HealthStatusEnum::NONE);
    match status {
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => Health::None,
        HealthStatusEnum::STARTING => Health::Starting,
        HealthStatusEnum::HEALTHY => Health::Healthy,
        HealthStatusEnum::UNHEALTHY => Health::Unhealthy,
    }
}

/// The published ports. One that is bound for IPv4 and IPv6 alike is one port.
fn ports(map: PortMap) -> Vec<Port> {
    let mut ports = BTreeSet::new();
    let sorted: BTreeMap<_, _> = map.into_iter().collect();
    for (target, bindings) in sorted {
        let (number, protocol) = target.split_once('/').unwrap_or((&target, "tcp"));
        for binding in bindings.unwrap_or_default() {
            let host = binding.host_port.and_then(|port| port.parse().ok());
            if let (Ok(container), Some(host)) = (number.parse(), host) {
                let host_ip = binding.host_ip.unwrap_or_default();
                ports.insert(Port { host_ip, host, container, protocol: protocol.to_owned() });
            }
        }
    }
    let twin = |port: &Port| Port { host_ip: "0.0.0.0".to_owned(), ..port.clone() };
    ports.iter().filter(|port| port.host_ip != "::" || !ports.contains(&twin(port))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::scripted::Scripted;
    use super::super::{Docker, Surroundings};
    use super::*;
    use bollard::models::PortBinding;
    use serde_json::json;

    /// Of one whose removal failed half-way something is left to be removed.
    #[tokio::test]
    async fn a_container_that_is_listed_as_dead_and_that_the_engine_knows_nothing_of_is_gone() {
        let engine = Scripted::new(|path| match path.split_once("/containers/")?.1 {
            "json" => {
                let listed = [("ghost", "dead"), ("half", "dead"), ("web", "running")];
                Some(listed.map(|(id, state)| json!({ "Id": id, "State": state })).into())
            }
            "half/json" => Some(json!({ "Id": "half" })),
            _ => None,
        });
        let vars = [("DOCKER_HOST".to_owned(), engine.endpoint())].into();
        let docker = Docker::connect(Surroundings { vars, ..Surroundings::default() }, None);
        let found = containers(&docker.connection().await.unwrap(), &[]).await.unwrap();
        let found: Vec<String> = found.into_iter().filter_map(|container| container.id).collect();
        assert_eq!(found, ["half", "web"]);
    }

    #[test]
    fn a_port_for_both_families_is_one() {
        let binding = |ip: &str, port: &str| PortBinding {
            host_ip: Some(ip.to_owned()),
            host_port: Some(port.to_owned()),
        };
        let map = HashMap::from([
            ("80/tcp".to_owned(), Some(vec![binding("0.0.0.0", "8080"), binding("::", "8080")])),
            ("53/udp".to_owned(), Some(vec![binding("::", "53")])),
            ("443/tcp".to_owned(), None),
        ]);
        let found: Vec<String> = ports(map)
            .iter()
            .map(|port| format!("{}:{}->{}/{}", port.host_ip, port.host, port.container, port.protocol))
            .collect();
        assert_eq!(found, ["0.0.0.0:8080->80/tcp", ":::53->53/udp"]);
    }

    #[test]
    fn never_is_empty() {
        assert_eq!(happened(Some("0001-01-01T00:00:00Z")), "");
        assert_eq!(happened(Some("2026-01-01T00:00:00Z")), "2026-01-01T00:00:00Z");
    }
}
