//! Images that were built for a project.

use super::error::gone_is_fine;
use super::link::Connection;
use crate::engine::EngineError;
use crate::engine::spec::compose;
use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};
use std::collections::HashMap;

/// Removes one, by its id. What others are made from stays.
pub(super) async fn remove_one(connection: &Connection, image: &str) -> Result<(), EngineError> {
    let removed = connection.slow.remove_image(image, None::<RemoveImageOptions>, None).await;
    gone_is_fine(removed.map(drop).map_err(EngineError::from))
}

/// Removes those that have the project's name: others were given theirs by the files, and may be anybody's.
pub(super) async fn remove(connection: &Connection, project: &str) -> Result<(), EngineError> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{}={project}", compose::PROJECT)])]);
    let options = ListImagesOptions { filters: Some(filters), ..Default::default() };
    let images = connection.api.list_images(Some(options)).await?;
    let own = format!("{project}-");
    for tag in images.iter().flat_map(|image| &image.repo_tags).filter(|tag| tag.starts_with(&own)) {
        let removed = connection.api.remove_image(tag, None::<RemoveImageOptions>, None).await;
        match removed.map_err(EngineError::from) {
            // Somebody was quicker, or uses it.
            Err(EngineError::NotFound(reason) | EngineError::Refused(reason)) => {
                tracing::debug!(tag, reason, "an image stays");
            }
            other => drop(other?),
        }
    }
    Ok(())
}
