//! What containers use of other containers as their own: namespaces and volumes.

use super::link::Connection;
use crate::engine::EngineError;
use crate::engine::spec::{ContainerSpec, Shares};
use bollard::models::HostConfig;
use bollard::query_parameters::InspectContainerOptions;
use std::collections::BTreeSet;

/// The same with ids for names, so that another container of the same name is not taken for the one that is meant.
pub(super) async fn resolved(
    connection: &Connection,
    spec: &ContainerSpec,
) -> Result<ContainerSpec, EngineError> {
    let mut spec = spec.clone();
    let Shares { network, ipc, pid, volumes, links } = &mut spec.shares;
    let namespaces = [network, ipc, pid].into_iter().flatten();
    let volumes = volumes.iter_mut().map(|(name, _)| name);
    for name in namespaces.chain(volumes).chain(links.iter_mut().map(|(name, _)| name)) {
        let answer = connection.api.inspect_container(name, None::<InspectContainerOptions>).await;
        match answer.map_err(EngineError::from) {
            Ok(found) => *name = found.id.unwrap_or_default(),
            Err(EngineError::NotFound(_)) => {
                return Err(EngineError::Refused(format!("there is no container {name} to share with")));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(spec)
}

/// Writes them down, and what is shared with containers from elsewhere.
pub(super) fn fill(spec: &ContainerSpec, host: &mut HostConfig) {
    let (shares, service) = (&spec.shares, &spec.service.host);
    let of = |container: &Option<String>, said: &Option<String>| match container {
        Some(container) => Some(format!("container:{container}")),
        // A service is not a word of the engine.
        None => said.clone().filter(|text| !text.starts_with("service:")),
    };
    host.ipc_mode = of(&shares.ipc, &service.ipc);
    host.pid_mode = of(&shares.pid, &service.pid);
    if let Some(container) = &shares.network {
        host.network_mode = Some(format!("container:{container}"));
    }
    let elsewhere = service.volumes_from.iter().filter_map(|text| text.strip_prefix("container:"));
    let volumes = shares
        .volumes
        .iter()
        .map(|(container, read_only)| if *read_only { format!("{container}:ro") } else { container.clone() });
    let volumes: Vec<String> = volumes.chain(elsewhere.map(str::to_owned)).collect();
    host.volumes_from = (!volumes.is_empty()).then_some(volumes);
    let links = shares.links.iter().map(|(container, alias)| format!("{container}:{alias}"));
    let foreign = service.external_links.iter().filter(|_| spec.service.is_on_bridge());
    let links: Vec<String> = links.chain(foreign.cloned()).collect();
    host.links = (!links.is_empty()).then_some(links);
}

/// The containers that one shares something with: their ids, and the names of those that it has links to.
pub(super) fn of(host: &HostConfig) -> BTreeSet<String> {
    let spaces = [&host.network_mode, &host.ipc_mode, &host.pid_mode].into_iter().flatten();
    let spaces = spaces.filter_map(|mode| mode.strip_prefix("container:"));
    let volumes = host.volumes_from.iter().flatten();
    let volumes = volumes.map(|from| from.split_once(':').map_or(from.as_str(), |(container, _)| container));
    // `/container:/self/alias`
    let links = host.links.iter().flatten().filter_map(|link| link.strip_prefix('/')?.split(':').next());
    spaces.chain(volumes).chain(links).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_compose::model::{HostSettings, NetworkMode, Service};

    #[test]
    fn what_is_written_is_read() {
        let text = |text: &str| Some(text.to_owned());
        let volumes = vec![("i4".to_owned(), true), ("i5".to_owned(), false)];
        let links = vec![("i6".to_owned(), "db".to_owned())];
        let shares = Shares { network: text("i1"), ipc: text("i2"), pid: text("i3"), volumes, links };
        let volumes_from = ["a:ro", "b", "container:x:ro"].map(str::to_owned).to_vec();
        let host = HostSettings {
            ipc: text("service:a"),
            pid: text("service:a"),
            volumes_from,
            ..Default::default()
        };
        let network_mode = Some(NetworkMode::Service("a".to_owned()));
        let service = Service { host, network_mode, ..Service::default() };
        let spec = ContainerSpec { shares, service, ..crate::engine::spec::plain() };
        let mut host = HostConfig::default();
        fill(&spec, &mut host);
        assert_eq!(
            serde_json::to_value(&host).unwrap(),
            serde_json::json!({
                "NetworkMode": "container:i1",
                "IpcMode": "container:i2",
                "PidMode": "container:i3",
                "Links": ["i6:db"],
                "VolumesFrom": ["i4:ro", "i5", "x:ro"],
            })
        );
        host.links = Some(vec!["/shop-db-1:/shop-api-1/db".to_owned()]);
        assert_eq!(of(&host), ["shop-db-1", "i1", "i2", "i3", "i4", "i5", "x"].map(str::to_owned).into());
    }
}
