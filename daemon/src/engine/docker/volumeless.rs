//! An image without volumes of one that declares some. No request to an engine takes a volume away from an image.

use super::link::Connection;
use super::wire::{Call, chunks, json_lines, json_of};
use crate::engine::EngineError;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io;
use tar::{Builder, Header};

/// A line of the answer to a load or an import.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

/// Makes an image with the files of a stopped container, whose own layer was committed as `layer`, and with this
/// configuration as far as the engine lets it have one. Its id.
pub(super) async fn image(
    connection: &Connection,
    container: &str,
    layer: &str,
    config: &Value,
) -> Result<String, EngineError> {
    match renamed(connection, layer, config).await {
        Err(EngineError::Refused(reason) | EngineError::NotFound(reason)) => {
            tracing::debug!(reason, "the layers of an image cannot be used again; its files are copied");
            copied(connection, container, config).await
        }
        other => other,
    }
}

/// The same layers under another configuration: loads an archive that names layers which the engine has, without their
/// content. Engines that keep images in containerd's store refuse that.
async fn renamed(connection: &Connection, layer: &str, config: &Value) -> Result<String, EngineError> {
    let found = json_of(Call::get(format!("/images/{layer}/json")).send(&connection.address).await?).await?;
    let layers = found.pointer("/RootFS/Layers").and_then(Value::as_array).cloned().unwrap_or_default();
    let config = json!({
        "architecture": found.get("Architecture"),
        "variant": found.get("Variant"),
        "os": found.get("Os"),
        "created": found.get("Created"),
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": layers},
        "history": layers.iter().map(|_| json!({"created_by": "devd"})).collect::<Vec<_>>(),
    });
    let config = config.to_string();
    let digest: String = Sha256::digest(&config).iter().map(|byte| format!("{byte:02x}")).collect();
    let files: Vec<String> = layers.iter().enumerate().map(|(at, _)| format!("{at}/layer.tar")).collect();
    let manifest = json!([{"Config": format!("{digest}.json"), "RepoTags": null, "Layers": files}]);
    let archive =
        archive(&[(format!("{digest}.json"), config), ("manifest.json".to_owned(), manifest.to_string())]);
    let archive = archive.map_err(|error| EngineError::Refused(error.to_string()))?;

    let call = Call::post("/images/load").query(&[("quiet", "1".to_owned())]);
    let call = call.tar(stream::iter([Ok(archive.into())])).patient();
    last_status(call, connection).await?;
    // Not every engine numbers its images so; one that does not has made something else of it.
    let id = format!("sha256:{digest}");
    let found = json_of(Call::get(format!("/images/{id}/json")).send(&connection.address).await?).await?;
    match found.pointer("/RootFS/Layers").and_then(Value::as_array) == Some(&layers) {
        true => Ok(id),
        false => Err(EngineError::Refused("it has other layers than it should have".to_owned())),
    }
}

fn archive(files: &[(String, String)]) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_bytes())?;
    }
    archive.into_inner()
}

/// An image with the files of a stopped container, all in one new layer, and with the labels of this configuration, by
/// which it is found when it is left over. Its id.
pub(super) async fn copied(
    connection: &Connection,
    container: &str,
    config: &Value,
) -> Result<String, EngineError> {
    let files = Call::get(format!("/containers/{container}/export")).patient();
    let files = chunks(files.send(&connection.address).await?);
    let query: Vec<_> = std::iter::once(("fromSrc", "-".to_owned())).chain(changes(config)).collect();
    let call = Call::post("/images/create").query(&query).tar(files).patient();
    let id = last_status(call, connection).await?;
    id.filter(|id| id.starts_with("sha256:"))
        .ok_or_else(|| EngineError::Refused("an import had no id".to_owned()))
}

/// The lines of a Dockerfile that set the labels of a configuration.
fn changes(config: &Value) -> impl Iterator<Item = (&'static str, String)> {
    let labels = config.get("Labels").and_then(Value::as_object).into_iter().flatten();
    // Quoted as JSON is: what a Dockerfile would replace in it is a variable only.
    let quoted = |text: &str| Value::from(text).to_string().replace('$', "\\$");
    labels.filter_map(move |(name, value)| {
        Some(("changes", format!("LABEL {}={}", quoted(name), quoted(value.as_str()?))))
    })
}

/// Sends it, and reads the answer to its end: the last thing it says.
async fn last_status(call: Call, connection: &Connection) -> Result<Option<String>, EngineError> {
    let mut lines = json_lines::<Line>(call.send(&connection.address).await?);
    let mut last = None;
    while let Some(line) = lines.next().await {
        let line = line?;
        if let Some(error) = line.error {
            return Err(EngineError::Refused(error));
        }
        last = line.status.or(last);
    }
    Ok(last)
}
