//! Pulling and pushing images.

use super::auth;
use super::clean::clean;
use super::error::gone_is_fine;
use super::link::Connection;
use super::wire::{Call, json_lines};
use crate::engine::{EngineError, Progress};
use futures_util::stream::StreamExt;
use hyper::header::HeaderName;
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::time::Instant;

const AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// How often to say how far it is.
const EVERY: Duration = Duration::from_millis(500);

/// A line of a pull, a push, or a pull within a build.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Transfer {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default, rename = "progressDetail")]
    detail: Option<Detail>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Detail {
    #[serde(default)]
    current: u64,
    #[serde(default)]
    total: u64,
}

/// Pulls an image; its id.
pub(super) async fn pull(
    connection: &Connection,
    config_dir: Option<&Path>,
    image: &str,
    platform: Option<&str>,
    progress: &Progress,
) -> Result<String, EngineError> {
    let (name, tag) = split(image);
    let mut pairs = vec![("fromImage", name.to_owned()), ("tag", tag.to_owned())];
    pairs.extend(platform.map(|platform| ("platform", platform.to_owned())));
    let call = Call::post("/images/create").query(&pairs).header(AUTH, auth::header_for(config_dir, image));
    let failed = |error| refused(error, |reason| cannot_pull(image, reason));
    transfer(connection, call, progress).await.map_err(failed)?;
    let inspected = connection.api.inspect_image(image).await?;
    Ok(inspected.id.unwrap_or_default())
}

/// The id of an image that is there and came less long ago than this.
pub(super) async fn since(
    connection: &Connection,
    image: &str,
    age: Duration,
) -> Result<Option<String>, EngineError> {
    let inspected = connection.api.inspect_image(image).await.map_err(EngineError::from);
    let Some(inspected) = gone_is_fine(inspected.map(Some))? else { return Ok(None) };
    let tagged = inspected.metadata.and_then(|metadata| metadata.last_tag_time);
    let came = tagged.and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let is_young = |came: jiff::Timestamp| jiff::Timestamp::now().duration_since(came).unsigned_abs() < age;
    Ok(inspected.id.filter(|_| came.is_some_and(is_young)))
}

/// Pushes an image.
pub(super) async fn push(
    connection: &Connection,
    config_dir: Option<&Path>,
    image: &str,
    progress: &Progress,
) -> Result<(), EngineError> {
    let (name, tag) = split(image);
    let call = Call::post(format!("/images/{name}/push"))
        .query(&[("tag", tag.to_owned())])
        .header(AUTH, auth::header_for(config_dir, image));
    let failed = |error| {
        refused(error, |reason| match hint(reason) {
            Some(hint) => format!("cannot push {image}: {reason} ({hint})"),
            None => format!("cannot push {image}: {reason}"),
        })
    };
    transfer(connection, call, progress).await.map_err(failed)
}

/// Why an image did not come, and what to do about it.
pub(super) fn cannot_pull(image: &str, reason: &str) -> String {
    match hint(reason) {
        Some(hint) => format!("cannot pull {image}: {reason} ({hint})"),
        None => format!("cannot pull {image}: {reason}"),
    }
}

/// Whether a message is about pulling rather than about anything else.
pub(super) fn is_about_pulling(reason: &str) -> bool {
    hint(reason).is_some() || reason.starts_with("manifest for ") || reason.starts_with("Get \"http")
}

fn hint(reason: &str) -> Option<&'static str> {
    let says = |signs: &[&str]| signs.iter().any(|sign| reason.contains(sign));
    if says(&[
        "pull access denied",
        "repository does not exist",
        "unauthorized",
        "no basic auth",
        "access denied",
        "denied: ",
    ]) {
        return Some("does it exist, and does it need a `docker login`?");
    }
    if says(&["manifest unknown", "not found: manifest"]) {
        return Some("the repository has no such tag");
    }
    if says(&["no matching manifest"]) {
        return Some("it is not made for this platform");
    }
    if says(&["toomanyrequests", "Too Many Requests"]) {
        return Some("the registry limits pulls; a `docker login` raises the limit");
    }
    if says(&[
        "dial tcp",
        "no such host",
        "i/o timeout",
        "connection refused",
        "TLS handshake timeout",
        "deadline exceeded",
        "Client.Timeout",
        "proxyconnect",
    ]) {
        return Some("the registry cannot be reached; is this machine online?");
    }
    None
}

fn refused(error: EngineError, say: impl Fn(&str) -> String) -> EngineError {
    match error {
        EngineError::NotFound(reason) | EngineError::Refused(reason) => EngineError::Refused(say(&reason)),
        other @ (EngineError::Unreachable(_) | EngineError::BuildFailed { .. }) => other,
    }
}

async fn transfer(connection: &Connection, call: Call, progress: &Progress) -> Result<(), EngineError> {
    let mut lines = json_lines::<Transfer>(call.patient().send(&connection.address).await?);
    let mut layers = Layers::default();
    while let Some(line) = lines.next().await {
        let line = line?;
        if let Some(error) = &line.error {
            return Err(EngineError::Refused(clean(error)));
        }
        if let Some(text) = layers.take(line, Instant::now()) {
            progress.line(text);
        }
    }
    Ok(())
}

/// `redis` is `redis:latest`: without a tag an engine would pull all there are.
fn split(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, digest);
    }
    match image.rsplit_once(':') {
        // A colon before a slash is a port.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// Many lines about many layers, as few lines about all of them.
#[derive(Default)]
pub(super) struct Layers {
    bytes: BTreeMap<String, (u64, u64)>,
    done: BTreeMap<String, bool>,
    said: Option<Instant>,
}

impl Layers {
    /// What a line comes to, if it is worth saying.
    pub(super) fn take(&mut self, line: Transfer, now: Instant) -> Option<String> {
        let status = line.status?;
        let Some(id) = line.id.filter(|_| !status.starts_with("Pulling from")) else {
            return Some(status);
        };
        let done =
            ["Pull complete", "Already exists", "Pushed", "Layer already exists"].contains(&status.as_str());
        self.done.insert(id.clone(), done);
        if let Some(detail) = line.detail.filter(|detail| detail.total > 0 && status != "Extracting") {
            self.bytes.insert(id, (detail.current, detail.total));
        }
        if self.said.is_some_and(|said| now.duration_since(said) < EVERY) {
            return None;
        }
        self.said = Some(now);
        let layers = self.done.len();
        let done = self.done.values().filter(|done| **done).count();
        let (current, total) =
            self.bytes.values().fold((0, 0), |all, one| (all.0 + one.0.min(one.1), all.1 + one.1));
        let bytes = if total == 0 {
            String::new()
        } else {
            format!(", {} of {}", megabytes(current), megabytes(total))
        };
        Some(format!("{done} of {layers} layers{bytes}"))
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split() {
        for (image, parts) in [
            ("redis", ("redis", "latest")),
            ("redis:7", ("redis", "7")),
            ("reg:5000/a/b", ("reg:5000/a/b", "latest")),
            ("reg:5000/a/b:1", ("reg:5000/a/b", "1")),
            ("a@sha256:12", ("a", "sha256:12")),
        ] {
            assert_eq!(split(image), parts, "{image}");
        }
    }

    #[test]
    fn an_error_comes_with_a_hint() {
        let offline =
            "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host";
        assert!(
            cannot_pull("redis:7", offline)
                .ends_with("(the registry cannot be reached; is this machine online?)")
        );
        assert_eq!(cannot_pull("redis:7", "odd"), "cannot pull redis:7: odd");
    }

    #[tokio::test(start_paused = true)]
    async fn layers_are_summed_up() {
        let line = |id: Option<&str>, status: &str, bytes: Option<(u64, u64)>| Transfer {
            id: id.map(str::to_owned),
            status: Some(status.to_owned()),
            detail: bytes.map(|(current, total)| Detail { current, total }),
            error: None,
        };
        let mut layers = Layers::default();
        let mut take = |line| layers.take(line, Instant::now());
        assert_eq!(
            take(line(Some("7"), "Pulling from library/redis", None)).as_deref(),
            Some("Pulling from library/redis")
        );
        assert_eq!(take(line(Some("a"), "Pulling fs layer", None)).as_deref(), Some("0 of 1 layers"));
        assert_eq!(take(line(Some("b"), "Downloading", Some((5_000_000, 20_000_000)))), None);
        tokio::time::advance(EVERY).await;
        assert_eq!(
            take(line(Some("a"), "Pull complete", None)).as_deref(),
            Some("1 of 2 layers, 5.0 MB of 20.0 MB")
        );
        assert_eq!(take(line(None, "Status: Downloaded", None)).as_deref(), Some("Status: Downloaded"));
    }
}
