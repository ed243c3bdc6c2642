//! Containers kept as images, with what is in their volumes.
//!
//! A commit leaves volumes out, and an image that declares volumes has the engine copy their content for every
//! container made from it: half a second for an empty PostgreSQL. So the image is made in four steps:
//!
//! 1. the container's own layer is committed;
//! 2. of that, an image without volumes is made ([`volumeless`]);
//! 3. in a container of that, which never runs, what the volumes hold is laid down in plain folders;
//! 4. that container is committed, with the configuration of the first image.

use super::apply;
use super::error::gone_is_fine;
use super::link::Connection;
use super::volumeless;
use super::wire::{Call, chunks, json_of, unreachable};
use crate::engine::EngineError;
use crate::engine::spec::{Newest, SnapshotSpec, label};
use bollard::models::{ContainerCreateBody, HostConfig, ImageSummary, MountPoint};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListImagesOptions, RemoveImageOptions,
    UploadToContainerOptions,
};
use futures_util::stream::StreamExt as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// An entry of a tar archive has a header of this size, and its content in pieces of this size.
const BLOCK: usize = 512;

/// Makes the image; its id.
pub(super) async fn snapshot(connection: &Connection, spec: &SnapshotSpec) -> Result<String, EngineError> {
    let found = connection.api.inspect_container(&spec.container, None::<InspectContainerOptions>).await?;
    let image = found.image.unwrap_or_default();
    let mut config = config_of(connection, &image).await?;
    if let Some(config) = config.as_object_mut() {
        config.remove("Volumes");
        let labels = config.entry("Labels").or_insert_with(|| json!({}));
        for (name, value) in connection.lease.mark(&spec.labels) {
            labels[name] = value.into();
        }
    }
    let volumes = volumes_of(found.mounts);

    // Without what the files say of this container: its environment may hold secrets, and is said again each time.
    let layer = commit(connection, &spec.container, None, &config).await?;
    let made = async {
        let base = if spec.flat {
            volumeless::copied(connection, &spec.container, &config).await?
        } else {
            volumeless::image(connection, &spec.container, &layer, &config).await?
        };
        let image = lay_down(connection, spec, &base, &volumes, &config).await;
        // What is still used by the next image only loses its name.
        discard(connection, &base).await;
        image
    };
    let made = made.await;
    discard(connection, &layer).await;
    made
}

/// Lays down what the volumes hold in a container of the image without volumes, and commits that.
async fn lay_down(
    connection: &Connection,
    spec: &SnapshotSpec,
    base: &str,
    volumes: &[String],
    config: &Value,
) -> Result<String, EngineError> {
    let body = ContainerCreateBody {
        image: Some(base.to_owned()),
        // It never runs; but an engine wants to know what would.
        cmd: Some(vec!["true".to_owned()]),
        labels: Some(connection.lease.mark(&spec.scaffold)),
        host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..Default::default() }),
        ..Default::default()
    };
    let created = connection.api.create_container(None::<CreateContainerOptions>, body).await?;
    let laid_down = async {
        for volume in volumes {
            let archive = archive(&spec.container, volume).send(&connection.address).await?;
            let into = Path::new(volume).parent().unwrap_or(Path::new("/")).display().to_string();
            let options = UploadToContainerOptions { path: into, ..Default::default() };
            let body = bollard::body_try_stream(chunks(archive));
            connection.slow.upload_to_container(&created.id, Some(options), body).await?;
        }
        commit(connection, &created.id, Some(&spec.image), config).await
    };
    let laid_down = laid_down.await;
    apply::remove(connection, &created.id).await?;
    laid_down
}

/// Asks for the files below a path of a container, running or not.
fn archive(container: &str, path: &str) -> Call {
    Call::get(format!("/containers/{container}/archive")).query(&[("path", path.to_owned())])
}

/// Commits a container that does not run, with this configuration.
async fn commit(
    connection: &Connection,
    container: &str,
    reference: Option<&str>,
    config: &Value,
) -> Result<String, EngineError> {
    let mut query = vec![("container", container.to_owned()), ("pause", "0".to_owned())];
    if let Some((repository, tag)) = reference.and_then(|reference| reference.rsplit_once(':')) {
        query.extend([("repo", repository.to_owned()), ("tag", tag.to_owned())]);
    }
    let call = Call::post("/commit").query(&query).json(config).patient();
    let answer = json_of(call.send(&connection.address).await?).await?;
    let id = answer.get("Id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| EngineError::Refused("a commit had no id".to_owned()))
}

/// The configuration of an image as the engine has it, fields that we do not know included.
async fn config_of(connection: &Connection, image: &str) -> Result<Value, EngineError> {
    let answer = Call::get(format!("/images/{image}/json")).send(&connection.address).await?;
    let mut answer = json_of(answer).await?;
    Ok(answer.get_mut("Config").map(Value::take).filter(Value::is_object).unwrap_or_else(|| json!({})))
}

/// An image that was only a step. Not what it was made from: that may be somebody's, also without a name.
async fn discard(connection: &Connection, image: &str) {
    let removed = remove_image(connection, image, true).await;
    if let Err(error) = removed {
        // Its label has it found when snapshots are removed.
        tracing::debug!(image, %error, "an image made on the way stays for now");
    }
}

async fn remove_image(connection: &Connection, image: &str, alone: bool) -> Result<(), EngineError> {
    let options = RemoveImageOptions { noprune: alone, ..Default::default() };
    let removed = connection.slow.remove_image(image, Some(options), None).await;
    gone_is_fine(removed.map(drop).map_err(EngineError::from))
}

/// Removes snapshots of a project: all, or those of one suite but the newest.
pub(super) async fn remove(
    connection: &Connection,
    project: &str,
    beyond: Option<&Newest>,
) -> Result<(), EngineError> {
    let of_project = format!("{}={project}", label::PROJECT);
    let mut labels = vec![label::SNAPSHOT.to_owned(), of_project, connection.lease.filter()];
    labels.extend(beyond.map(|newest| format!("{}={}", label::TESTS_OF, newest.tests_of)));
    let filters = HashMap::from([("label".to_owned(), labels)]);
    let options = ListImagesOptions { filters: Some(filters), ..Default::default() };
    let images = connection.api.list_images(Some(options)).await?;
    for image in beyond.map_or_else(|| images.iter().collect(), |newest| older(&images, newest)) {
        // One that a container still uses stays until the next time.
        for reference in image.repo_tags.iter().chain([&image.id]) {
            match remove_image(connection, reference, false).await {
                Err(EngineError::Refused(reason)) => {
                    tracing::debug!(reference, reason, "a snapshot stays");
                }
                other => other?,
            }
        }
    }
    Ok(())
}

/// The images that need not stay: all that belong to none of the newest keys, and what has lost its name.
fn older<'a>(images: &'a [ImageSummary], newest: &Newest) -> Vec<&'a ImageSummary> {
    let key = |image: &'a ImageSummary| image.labels.get(label::SNAPSHOT).map_or("", String::as_str);
    let mut ages: BTreeMap<&str, i64> = BTreeMap::new();
    for image in images.iter().filter(|image| !image.repo_tags.is_empty()) {
        let age = ages.entry(key(image)).or_default();
        *age = image.created.max(*age);
    }
    ages.remove(newest.key.as_str());
    let mut others: Vec<_> = ages.into_iter().map(|(key, created)| (created, key)).collect();
    others.sort_unstable();
    let mut stay: BTreeSet<&str> = others.into_iter().rev().take(newest.others).map(|(_, key)| key).collect();
    stay.insert(&newest.key);
    images.iter().filter(|image| image.repo_tags.is_empty() || !stay.contains(key(image))).collect()
}

/// Whether any of them has anything in a volume. Reads no more of each than it takes to see that.
pub(super) async fn keeps_data(connection: &Connection, containers: &[String]) -> Result<bool, EngineError> {
    for container in containers {
        let found = connection.api.inspect_container(container, None::<InspectContainerOptions>).await?;
        for path in volumes_of(found.mounts) {
            let mut archive = chunks(archive(container, &path).send(&connection.address).await?);
            let mut begin = Vec::new();
            while begin.len() < 2 * BLOCK
                && let Some(chunk) = archive.next().await
            {
                begin.extend_from_slice(&chunk.map_err(unreachable)?);
            }
            // The folder itself comes first; after the last entry only zeros do.
            if begin.iter().skip(BLOCK).take(BLOCK).any(|byte| *byte != 0) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Where volumes are mounted.
fn volumes_of(mounts: Option<Vec<MountPoint>>) -> Vec<String> {
    let mounts = mounts.unwrap_or_default().into_iter();
    let volumes = mounts.filter(|mount| mount.typ.as_deref() == Some("volume"));
    volumes.filter_map(|mount| mount.destination).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, key: &str, created: i64, tags: &[&str]) -> ImageSummary {
        ImageSummary {
            id: id.to_owned(),
            created,
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            labels: HashMap::from([(label::SNAPSHOT.to_owned(), key.to_owned())]),
            ..Default::default()
        }
    }

    #[test]
    fn the_newest_stay_and_the_one_in_use() {
        let images = [
            image("1", "a", 10, &["x:1"]),
            image("2", "b", 20, &["x:2"]),
            image("3", "b", 21, &["x:3"]),
            image("4", "c", 30, &["x:4"]),
            image("5", "c", 30, &[]),
            image("6", "d", 40, &["x:6"]),
        ];
        let older = |key: &str, others| -> String {
            let newest = Newest { tests_of: "api".to_owned(), key: key.to_owned(), others };
            older(&images, &newest).iter().map(|image| image.id.as_str()).collect()
        };
        assert_eq!(older("d", 1), "1235");
        assert_eq!(older("d", 2), "15");
        assert_eq!(older("a", 1), "2345", "the one in use is not the newest");
        assert_eq!(older("new", 0), "123456");
    }
}
