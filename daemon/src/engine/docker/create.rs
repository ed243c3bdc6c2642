//! Creating a container: the image, the folders, the container, its other networks. All of it or nothing.

use super::api::Api;
use super::body::{Creation, creation};
use super::contents::{self, Content};
use super::endpoint::endpoint;
use super::error::gone_is_fine;
use super::link::Connection;
use super::park::Parking;
use super::shares;
use super::wire::{Call, json_of};
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
    let spec = &shares::resolved(connection, spec).await?;
    let id = image.id.clone().unwrap_or_default();
    let contents = contents::of(&spec.service)?;
    let mut plain = creation(spec, &id, connection.version)?;
    // The container's own go over those that its image has, a snapshot's lease among them.
    plain.body.labels.get_or_insert_default().extend(connection.lease.mark(&spec.labels));
    let mut creation = plain.clone();
    let parked = parking.enter(spec, &image, &mut creation.body)?;
    match make(connection, spec, &creation, &contents).await {
        Err(EngineError::Refused(message)) if parked.is_some() && parking.is_about_it(&message) => {
            parking.give_up(&message);
            Ok((make(connection, spec, &plain, &contents).await?, None))
        }
        made => Ok((made?, parked)),
    }
}

async fn make(
    connection: &Connection,
    spec: &ContainerSpec,
    creation: &Creation,
    contents: &[Content],
) -> Result<String, EngineError> {
    for folder in &creation.folders {
        let refuse =
            |error| EngineError::Refused(format!("cannot make the folder {}: {error}", folder.display()));
        tokio::fs::create_dir_all(folder).await.map_err(refuse)?;
    }
    for _ in 0..ATTEMPTS {
        match send(connection, spec, creation).await {
            Ok(id) => {
                let completed = async {
                    connect(connection, &id, &creation.connect).await?;
                    contents::put(connection, &id, contents).await
                };
                if let Err(error) = completed.await {
                    // Half a container would start and see half of its world.
                    let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
                    if let Err(left) = connection.api.remove_container(&id, Some(options)).await {
                        tracing::warn!(container = spec.name, %left, "cannot remove a container made in vain");
                    }
                    return Err(error);
                }
                return Ok(id);
            }
            Err(error) => {
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
        if let Some(id) = adopt(connection, spec, contents).await? {
            return Ok(id);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(EngineError::Refused(format!("the name {} is held by a container that does not go away", spec.name)))
}

/// Asks the engine for it; its id.
async fn send(
    connection: &Connection,
    spec: &ContainerSpec,
    creation: &Creation,
) -> Result<String, EngineError> {
    let platform = spec.service.platform.clone().unwrap_or_default();
    let Some(mac_address) = &creation.mac_address else {
        let options = CreateContainerOptions { name: Some(spec.name.clone()), platform };
        return Ok(connection.api.create_container(Some(options), creation.body.clone()).await?.id);
    };
    let body = serde_json::to_value(&creation.body);
    let mut body = body.map_err(|error| EngineError::Refused(error.to_string()))?;
    body["MacAddress"] = mac_address.as_str().into();
    let Api(major, minor) = connection.version;
    let call = Call::post(format!("/v{major}.{minor}/containers/create"));
    let query = [("name", spec.name.clone()), ("platform", platform)];
    let query = &query[..if query[1].1.is_empty() { 1 } else { 2 }];
    let answer = json_of(call.query(query).json(&body).send(&connection.address).await?).await?;
    let id = answer.get("Id").and_then(serde_json::Value::as_str).map(str::to_owned);
    id.ok_or_else(|| EngineError::Refused("the engine does not say what it has made".to_owned()))
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
async fn adopt(
    connection: &Connection,
    spec: &ContainerSpec,
    contents: &[Content],
) -> Result<Option<String>, EngineError> {
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
    // Whoever made it may have been interrupted before it was on all its networks, and had all its files.
    let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let missing: Vec<_> = spec
        .networks
        .iter()
        .filter(|at| !networks.contains_key(&at.network))
        .map(|at| Ok((at.network.clone(), endpoint(spec, at, connection.version)?)))
        .collect::<Result<_, EngineError>>()?;
    connect(connection, &id, &missing).await?;
    contents::put(connection, &id, contents).await?;
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
