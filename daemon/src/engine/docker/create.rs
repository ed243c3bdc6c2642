//! Creating a container: the image, the folders, the container, its other networks. All of it or nothing.

use super::body::{Abilities, Creation, creation, endpoint};
use super::error::gone_is_fine;
use super::link::Connection;
use super::park::Parking;
use crate::engine::EngineError;
use crate::engine::spec::{ContainerSpec, compose, label};
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, EndpointSettings, ImageInspect, NetworkConnectRequest,
};
use bollard::query_parameters::{CreateContainerOptions, InspectContainerOptions, RemoveContainerOptions};
use std::time::Duration;

/// How often to try again while a container of the same name is on its way out.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(200);

/// Creates it, or finds that it has been created already. Returns its id, and its entrypoint if it is under the park.
pub(super) async fn create(
    connection: &Connection,
    parking: &Parking,
    spec: &ContainerSpec,
) -> Result<(String, Option<Vec<String>>), EngineError> {
    let image = image(connection, spec).await?;
    let id = image.id.clone().unwrap_or_default();
    let plain = creation(spec, &id, Abilities { v1_44: connection.since(1, 44) })?;
    let mut creation = plain.clone();
    let parked = parking.enter(spec, &image, &mut creation.body)?;
    match make(connection, spec, &creation).await {
        Err(EngineError::Refused(message)) if parked.is_some() && parking.is_about_it(&message) => {
            parking.give_up(&message);
            Ok((make(connection, spec, &plain).await?, None))
        }
        made => Ok((made?, parked)),
    }
}

async fn make(
    connection: &Connection,
    spec: &ContainerSpec,
    creation: &Creation,
) -> Result<String, EngineError> {
    for folder in &creation.folders {
        let refuse =
            |error| EngineError::Refused(format!("cannot make the folder {}: {error}", folder.display()));
        tokio::fs::create_dir_all(folder).await.map_err(refuse)?;
    }
    for _ in 0..ATTEMPTS {
        let options = CreateContainerOptions {
            name: Some(spec.name.clone()),
            platform: spec.service.platform.clone().unwrap_or_default(),
        };
        match connection.api.create_container(Some(options), creation.body.clone()).await {
            Ok(created) => {
                let connected = connect(connection, &created.id, &creation.connect).await;
                if let Err(error) = connected {
                    // Half a container would start and see half of its world.
                    let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
                    if let Err(left) = connection.api.remove_container(&created.id, Some(options)).await {
                        tracing::warn!(container = spec.name, %left, "cannot remove a container made in vain");
                    }
                    return Err(error);
                }
                return Ok(created.id);
            }
            Err(error) => {
                let error = EngineError::from(error);
                if !is_name_conflict(&error) {
                    // A missing part is the request's fault; what was asked for is not "gone".
                    return Err(match error {
                        EngineError::NotFound(message) | EngineError::Refused(message) => {
                            EngineError::Refused(message)
                        }
                        error @ (EngineError::Unreachable(_) | EngineError::BuildFailed { .. }) => error,
                    });
                }
            }
        }
        if let Some(id) = adopt(connection, spec).await? {
            return Ok(id);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(EngineError::Refused(format!("the name {} is held by a container that does not go away", spec.name)))
}

async fn image(connection: &Connection, spec: &ContainerSpec) -> Result<ImageInspect, EngineError> {
    match connection.api.inspect_image(&spec.image).await.map_err(EngineError::from) {
        Ok(image) => Ok(image),
        Err(EngineError::NotFound(_)) => Err(EngineError::Refused(format!(
            "no such image: {} (pull it, or give the service a `build`)",
            spec.image
        ))),
        Err(error) => Err(error),
    }
}

async fn connect(
    connection: &Connection,
    container: &str,
    networks: &[(String, EndpointSettings)],
) -> Result<(), EngineError> {
    for (network, settings) in networks {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(settings.clone()),
        };
        match connection.api.connect_network(network, request).await.map_err(EngineError::from) {
            Ok(()) => {}
            Err(EngineError::NotFound(message) | EngineError::Refused(message)) => {
                return Err(EngineError::Refused(format!(
                    "cannot connect to the network {network}: {message}"
                )));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_name_conflict(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused(message) if message.contains("already in use"))
}

/// The container of that name if it is the one asked for; none while it is being removed.
async fn adopt(connection: &Connection, spec: &ContainerSpec) -> Result<Option<String>, EngineError> {
    let answer = connection.api.inspect_container(&spec.name, None::<InspectContainerOptions>).await;
    let Some(found) = gone_is_fine(answer.map(Some).map_err(EngineError::from))? else { return Ok(None) };
    let state = found.state.as_ref().and_then(|state| state.status);
    if matches!(state, Some(ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD)) {
        return Ok(None);
    }
    if !is_the_same(&found, spec) {
        return Err(EngineError::Refused(held_by(&found, &spec.name)));
    }
    let Some(id) = found.id.clone() else { return Ok(None) };
    // Whoever made it may have been interrupted before it was on all its networks.
    let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let missing: Vec<_> = spec
        .networks
        .iter()
        .filter(|at| !networks.contains_key(&at.network))
        .map(|at| (at.network.clone(), endpoint(at)))
        .collect();
    connect(connection, &id, &missing).await?;
    Ok(Some(id))
}

fn is_the_same(found: &ContainerInspectResponse, spec: &ContainerSpec) -> bool {
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    let there = |name| labels.and_then(|labels| labels.get(name));
    let same = |name| there(name) == spec.labels.get(name);
    let made_by_devd = there(label::DEFINITION).is_some() || there(label::ENVIRONMENT).is_some();
    made_by_devd && same(label::DEFINITION) && same(label::ENVIRONMENT) && same(compose::PROJECT)
}

fn held_by(found: &ContainerInspectResponse, name: &str) -> String {
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    let label = |name| labels.and_then(|labels| labels.get(name)).map(String::as_str);
    let id: String = found.id.as_deref().unwrap_or_default().chars().take(12).collect();
    match (label(compose::PROJECT), label(compose::SERVICE)) {
        (Some(project), Some(service)) => {
            format!(
                "the name {name} is held by container {id} (service {service} of compose project {project})"
            )
        }
        (Some(project), None) => {
            format!("the name {name} is held by container {id} (compose project {project})")
        }
        (None, _) => format!("the name {name} is held by container {id}, which no compose project has made"),
    }
}
