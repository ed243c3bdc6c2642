//! Everything on the engine that a devd has made, whichever.

use super::lease::role;
use super::link::Connection;
use super::observe;
use crate::engine::EngineError;
use crate::engine::spec::label;
use bollard::models::ImageSummary;
use bollard::query_parameters::ListImagesOptions;
use devd_logic::EnvironmentId;
use devd_logic::sweep::{Kind, Part, Thing};
use std::collections::HashMap;

pub(super) async fn inventory(connection: &Connection) -> Result<Vec<Thing>, EngineError> {
    let made = [label::PROJECT.to_owned()];
    let (containers, rest, images) = tokio::try_join!(
        observe::containers(connection, &made),
        observe::things(connection, &made),
        snapshots(connection),
    )?;
    let containers = containers.into_iter().filter_map(|container| {
        let id = container.id?;
        let name = container.names.unwrap_or_default().into_iter().next().unwrap_or_else(|| id.clone());
        let name = name.trim_start_matches('/').to_owned();
        Some((Kind::Container, id, name, container.labels.unwrap_or_default()))
    });
    let named = |kind| move |(name, labels): (String, _)| (kind, name.clone(), name, labels);
    let networks = rest.networks.into_iter().map(|network| (network.name, network.labels));
    let images = images.into_iter().map(|image| {
        let short = image.id.trim_start_matches("sha256:").chars().take(12).collect();
        let name = image.repo_tags.into_iter().next().unwrap_or(short);
        (Kind::Image, image.id, name, image.labels)
    });
    let all = containers
        .chain(networks.map(named(Kind::Network)))
        .chain(rest.volumes.into_iter().map(named(Kind::Volume)))
        .chain(images);
    let things = all.filter_map(|(kind, id, name, labels)| {
        let project = labels.get(label::PROJECT)?.as_str().into();
        let part = match role(|name| labels.contains_key(name)) {
            "tests" => Part::Tests(EnvironmentId::new(labels.get(label::ENVIRONMENT)?)),
            // Of a container that is only what its image says of itself.
            "snapshot" if kind == Kind::Image => Part::Snapshots,
            _ => Part::Services,
        };
        let owner = connection.lease.owner(&labels);
        Some(Thing { kind, id, name, project, part, owner })
    });
    Ok(things.collect())
}

async fn snapshots(connection: &Connection) -> Result<Vec<ImageSummary>, EngineError> {
    let filters = HashMap::from([("label".to_owned(), vec![label::SNAPSHOT.to_owned()])]);
    let options = ListImagesOptions { filters: Some(filters), ..Default::default() };
    Ok(connection.api.list_images(Some(options)).await?)
}
