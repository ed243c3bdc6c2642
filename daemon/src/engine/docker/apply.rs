//! One operation each.

use super::api::V28;
use super::error::gone_is_fine;
use super::host::some_map;
use super::link::Connection;
use super::park::{self, Parking};
use super::wire::Call;
use super::{build, create, environment, images, observe, ports, registry, snapshot, sync};
use crate::engine::spec::{Act, NetworkSpec, VolumeSpec, compose};
use crate::engine::{Applied, EngineError, Progress};
use bollard::models::{
    Ipam, IpamConfig, NetworkCreateRequest, NetworkDisconnectRequest, VolumeCreateRequest,
};
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, KillContainerOptions, RemoveContainerOptions,
    RemoveVolumeOptions, RestartContainerOptions, StartContainerOptions, StopContainerOptions,
};
use devd_compose::model;
use std::{path::Path, time::Duration};
use tokio::time::Instant;

/// How long a container that is being removed by somebody else is waited for.
const REMOVAL: Duration = Duration::from_secs(30);

pub(super) async fn apply(
    connection: &Connection,
    config_dir: Option<&Path>,
    parking: &Parking,
    act: &Act,
    progress: &Progress,
) -> Result<Applied, EngineError> {
    let done = |()| Applied::default();
    let made = |id| Applied { id: Some(id), parked: None };
    match act {
        Act::CreateNetwork(spec) => create_network(connection, spec).await.map(done),
        Act::CreateVolume(spec) => create_volume(connection, spec).await.map(done),
        Act::Pull { image, platform, unless_since } => {
            if let Some(age) = unless_since
                && let Some(id) = registry::since(connection, image, *age).await?
            {
                return Ok(made(id));
            }
            registry::pull(connection, config_dir, image, platform.as_deref(), progress).await.map(made)
        }
        Act::Build(spec) => build::build(connection, config_dir, spec, progress).await.map(made),
        Act::Push { image } => registry::push(connection, config_dir, image, progress).await.map(done),
        Act::Create(spec) => {
            let (id, parked) = create::create(connection, parking, spec).await?;
            Ok(Applied { id: Some(id), parked })
        }
        Act::Start(container) => {
            parking.about_to_start(connection, container).await;
            let started = start(connection, container).await;
            if let Err(EngineError::Refused(message)) = &started
                && parking.is_about_it(message)
            {
                // The next one is made without; this one can never start.
                parking.give_up(message);
                remove(connection, container).await?;
            }
            started.map(done)
        }
        Act::Stop(container) => gone_is_fine(stop(connection, container).await).map(done),
        Act::Restart { container, grace } => {
            if !parking.restart(connection, container, *grace).await? {
                parking.about_to_start(connection, container).await;
                restart(connection, container, *grace).await?;
            }
            Ok(Applied::default())
        }
        Act::Signal(container, signal) => send_signal(connection, container, signal).await.map(done),
        Act::Sync { container, files } => sync::sync(connection, container, files).await.map(done),
        Act::Remove(container) => {
            // One that cannot be asked to stop is removed all the same.
            if let Err(error @ EngineError::Unreachable(_)) = stop(connection, container).await {
                return Err(error);
            }
            remove_all_of(connection, parking, container).await.map(done)
        }
        Act::Kill(container) => remove_all_of(connection, parking, container).await.map(done),
        Act::RemoveNetwork(name) => remove_network(connection, name).await.map(done),
        Act::RemoveVolume(name) => remove_volume(connection, name).await.map(done),
        Act::RemoveImage(image) => images::remove_one(connection, image).await.map(done),
        Act::Snapshot(spec) => snapshot::snapshot(connection, spec).await.map(made),
        Act::RemoveImages { project } => images::remove(connection, project).await.map(done),
        Act::RemoveSnapshots { project, beyond } => {
            snapshot::remove(connection, project, beyond.as_ref()).await.map(done)
        }
        Act::RemoveEnvironment { project, environment } => {
            environment::remove(connection, project, environment).await.map(done)
        }
    }
}

/// Starts a container; one that runs is left alone.
pub(super) async fn start(connection: &Connection, container: &str) -> Result<(), EngineError> {
    let started = connection.slow.start_container(container, None::<StartContainerOptions>).await;
    match started.map_err(EngineError::from) {
        Err(EngineError::Refused(message)) => {
            Err(EngineError::Refused(ports::explain(connection, message).await))
        }
        // The container is there; what it needs is not.
        Err(EngineError::NotFound(message)) if !message.to_lowercase().contains("no such container") => {
            Err(EngineError::Refused(message))
        }
        other => other,
    }
}

async fn restart(
    connection: &Connection,
    container: &str,
    grace: Option<Duration>,
) -> Result<(), EngineError> {
    let options = grace.map(|grace| RestartContainerOptions {
        t: i32::try_from(grace.as_secs()).ok(),
        ..Default::default()
    });
    let _doing = connection.ending.begins(container, "stop");
    let restarted = connection.slow.restart_container(container, options).await;
    match restarted.map_err(EngineError::from) {
        Err(EngineError::Refused(message)) => {
            Err(EngineError::Refused(ports::explain(connection, message).await))
        }
        other => other,
    }
}

async fn stop(connection: &Connection, container: &str) -> Result<(), EngineError> {
    let _doing = connection.ending.begins(container, "stop");
    // Without a time the engine takes the container's own grace period.
    Ok(connection.slow.stop_container(container, None::<StopContainerOptions>).await?)
}

async fn send_signal(connection: &Connection, container: &str, signal: &str) -> Result<(), EngineError> {
    let _doing = connection.ending.begins(container, "kill");
    let options = KillContainerOptions { signal: signal.to_owned() };
    Ok(connection.api.kill_container(container, Some(options)).await?)
}

/// Removes a container, and what restarts it.
async fn remove_all_of(
    connection: &Connection,
    parking: &Parking,
    container: &str,
) -> Result<(), EngineError> {
    let control = parking.control_of(connection, container).await;
    parking.forget(container);
    remove(connection, container).await?;
    if let Some(control) = control {
        park::remove_control(&control);
    }
    Ok(())
}

/// Removes a container at once, and returns when it is gone.
pub(super) async fn remove(connection: &Connection, container: &str) -> Result<(), EngineError> {
    let until = Instant::now() + REMOVAL;
    loop {
        let options = RemoveContainerOptions { v: true, force: true, ..Default::default() };
        let removed =
            connection.slow.remove_container(container, Some(options)).await.map_err(EngineError::from);
        match gone_is_fine(removed) {
            // The engine does it already, because it was told to remove it at its end.
            Err(EngineError::Refused(message))
                if message.contains("already in progress") && Instant::now() < until =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let answer =
                    connection.api.inspect_container(container, None::<InspectContainerOptions>).await;
                if let Err(EngineError::NotFound(_)) = answer.map_err(EngineError::from) {
                    return Ok(());
                }
            }
            other => return other,
        }
    }
}

async fn create_network(connection: &Connection, spec: &NetworkSpec) -> Result<(), EngineError> {
    let answer = connection.api.inspect_network(&spec.name, None::<InspectNetworkOptions>).await;
    match answer.map_err(EngineError::from) {
        // Engines also find networks by the beginning of their id.
        Ok(found) if found.name.as_deref() == Some(&spec.name) => return Ok(()),
        Ok(_) | Err(EngineError::NotFound(_)) => {}
        Err(EngineError::Refused(message)) if is_ambiguous(&message) => {
            return make_one(connection, spec, message).await;
        }
        Err(error) => return Err(error),
    }
    if spec.network.external {
        return Err(EngineError::Refused(missing("network", &spec.name)));
    }
    let network = &spec.network;
    if network.enable_ipv4 == Some(false) {
        connection.version.takes(V28, &format!("`enable_ipv4: false` of the network {}", spec.name))?;
    }
    let pools = network.ipam.config.iter().map(|pool| IpamConfig {
        subnet: pool.subnet.clone(),
        ip_range: pool.ip_range.clone(),
        gateway: pool.gateway.clone(),
        auxiliary_addresses: some_map(&pool.aux_addresses),
    });
    let said = &network.ipam;
    let options = some_map(&said.options);
    let ipam = Ipam { driver: said.driver.clone(), config: Some(pools.collect()), options };
    let has_ipam = *said != model::Ipam::default();
    let request = NetworkCreateRequest {
        name: spec.name.clone(),
        driver: network.driver.clone(),
        internal: network.internal.then_some(true),
        attachable: network.attachable.then_some(true),
        enable_ipv4: network.enable_ipv4.filter(|_| connection.version >= V28),
        enable_ipv6: network.enable_ipv6,
        ipam: has_ipam.then_some(ipam),
        options: some_map(&network.driver_opts),
        labels: Some(connection.lease.mark(&spec.labels)),
        ..Default::default()
    };
    let mut request =
        serde_json::to_value(request).map_err(|error| EngineError::Refused(error.to_string()))?;
    // Without this an engine before API 1.44 makes a second network of the same name.
    request["CheckDuplicate"] = true.into();
    match Call::post("/networks/create").json(&request).patient().send(&connection.address).await {
        Err(EngineError::Refused(message)) if message.contains("already exists") => Ok(()),
        Err(EngineError::NotFound(message)) => Err(EngineError::Refused(message)),
        other => other.map(drop),
    }
}

fn is_ambiguous(message: &str) -> bool {
    message.contains("is ambiguous")
}

/// Networks of exactly this name that a compose project has made.
async fn namesakes(connection: &Connection, name: &str) -> Result<Vec<observe::Network>, EngineError> {
    let found = observe::things(connection, &[compose::PROJECT.to_owned()]).await?;
    Ok(found.networks.into_iter().filter(|network| network.name == name).collect())
}

/// A daemon that was killed amid making a network, and the one after it, may both have made it: the engine checks for
/// another one of that name before it makes one, and not at once. The oldest that is in use stays.
async fn make_one(connection: &Connection, spec: &NetworkSpec, message: String) -> Result<(), EngineError> {
    let project = spec.labels.get(compose::PROJECT);
    let mut networks = namesakes(connection, &spec.name).await?;
    networks.retain(|network| network.labels.get(compose::PROJECT) == project);
    networks.sort_by_key(|network| std::cmp::Reverse(network.created));
    let mut left = networks.len();
    for network in networks {
        if left > 1 {
            match remove_network(connection, &network.id).await {
                Ok(()) => left -= 1,
                // It is in use.
                Err(EngineError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    if left == 1 { Ok(()) } else { Err(EngineError::Refused(message)) }
}

async fn create_volume(connection: &Connection, spec: &VolumeSpec) -> Result<(), EngineError> {
    if spec.volume.external {
        let answer = connection.api.inspect_volume(&spec.name).await.map_err(EngineError::from);
        return match answer {
            Err(EngineError::NotFound(_)) => Err(EngineError::Refused(missing("volume", &spec.name))),
            other => other.map(drop),
        };
    }
    let request = VolumeCreateRequest {
        name: Some(spec.name.clone()),
        driver: spec.volume.driver.clone(),
        driver_opts: some_map(&spec.volume.driver_opts),
        labels: Some(connection.lease.mark(&spec.labels)),
        ..Default::default()
    };
    // An engine returns the one that is there.
    connection.api.create_volume(request).await?;
    Ok(())
}

fn missing(what: &str, name: &str) -> String {
    format!(
        "the {what} {name} is declared as external and does not exist: `docker {what} create {name}` makes it"
    )
}

pub(super) async fn remove_network(connection: &Connection, name: &str) -> Result<(), EngineError> {
    match gone_is_fine(connection.api.remove_network(name).await.map_err(EngineError::from)) {
        Err(EngineError::Refused(message)) if is_ambiguous(&message) => {
            for network in namesakes(connection, name).await? {
                gone_is_fine(connection.api.remove_network(&network.id).await.map_err(EngineError::from))?;
            }
            Ok(())
        }
        Err(EngineError::Refused(message)) if message.contains("has active endpoints") => {
            if !take_ghosts_off(connection, name).await? {
                return Err(EngineError::Refused(message));
            }
            gone_is_fine(connection.api.remove_network(name).await.map_err(EngineError::from))
        }
        result => result,
    }
}

/// Takes off a network what is on it of containers that do not exist: an engine whose containerd was killed amid their
/// removal has forgotten to. Whether there was anything.
async fn take_ghosts_off(connection: &Connection, network: &str) -> Result<bool, EngineError> {
    let found = connection.api.inspect_network(network, None::<InspectNetworkOptions>).await?;
    let mut any = false;
    for (id, endpoint) in found.containers.unwrap_or_default() {
        let Some(name) = endpoint.name else { continue };
        // Another one may have the name by now.
        if is_gone(connection, &id).await? && is_gone(connection, &name).await? {
            let request = NetworkDisconnectRequest { container: name, force: Some(true) };
            connection.api.disconnect_network(network, request).await?;
            any = true;
        }
    }
    Ok(any)
}

async fn is_gone(connection: &Connection, container: &str) -> Result<bool, EngineError> {
    let answer = connection.api.inspect_container(container, None::<InspectContainerOptions>).await;
    match answer.map_err(EngineError::from) {
        Ok(_) => Ok(false),
        Err(EngineError::NotFound(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

pub(super) async fn remove_volume(connection: &Connection, name: &str) -> Result<(), EngineError> {
    let options = RemoveVolumeOptions { force: true };
    gone_is_fine(connection.slow.remove_volume(name, Some(options)).await.map_err(EngineError::from))
}

#[cfg(test)]
mod tests {
    use super::super::scripted::Scripted;
    use super::super::{Docker, Surroundings};
    use super::*;
    use serde_json::json;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn a_network_that_only_containers_are_on_that_are_gone_is_removed() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let engine = Scripted::new(move |request| {
            let (_, what) =
                request.split_once("/networks/").or_else(|| request.split_once("/containers/"))?;
            match what {
                "n" => Some(json!({ "Name": "n", "Containers": {
                    "ep-1": { "Name": "gone" }, "2": { "Name": "web" }, "ep-3": { "Name": "made-anew" },
                } })),
                "n/disconnect" => {
                    seen.lock().unwrap().push(request.to_owned());
                    Some(json!({}))
                }
                "2/json" | "made-anew/json" => Some(json!({ "Id": "2" })),
                _ => None,
            }
        });
        let vars = [("DOCKER_HOST".to_owned(), engine.endpoint())].into();
        let docker = Docker::connect(Surroundings { vars, ..Surroundings::default() }, None);
        let connection = docker.connection().await.unwrap();
        assert!(take_ghosts_off(&connection, "n").await.unwrap());
        assert_eq!(*asked.lock().unwrap(), ["POST /networks/n/disconnect"]);
    }
}
