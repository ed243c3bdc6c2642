//! Building an image with the classic builder.

use super::auth;
use super::clean::clean;
use super::context::Context;
use super::link::Connection;
use super::registry::{Layers, Transfer, cannot_pull, is_about_pulling};
use super::wire::{Call, json_lines};
use crate::engine::spec::BuildSpec;
use crate::engine::{EngineError, Progress};
use bytes::{Bytes, BytesMut};
use devd_compose::model::Build;
use futures_util::stream::{self, StreamExt};
use hyper::header::HeaderName;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, collections::VecDeque, io, path::Path};
use tokio::sync::mpsc;
use tokio::time::Instant;

const NEEDS_BUILDKIT: &str =
    "needs BuildKit, and `docker buildx`, by which devd uses it, is not installed here";

const LOGINS: HeaderName = HeaderName::from_static("x-registry-config");

/// How much of a context is read ahead of the engine: pieces, and the size of one.
const PIECES: usize = 8;
const PIECE: usize = 128 << 10;

/// How many lines of a failed build are kept.
const TAIL: usize = 20;

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    aux: Option<Value>,
    #[serde(flatten)]
    transfer: Transfer,
}

/// Builds it; the image's id.
pub(super) async fn build(
    connection: &Connection,
    config_dir: Option<&Path>,
    spec: &BuildSpec,
    progress: &Progress,
) -> Result<String, EngineError> {
    let failed = |message| EngineError::BuildFailed { message, output: Vec::new() };
    if let Some(field) = beyond(&spec.build) {
        return Err(failed(format!("`build.{field}` {NEEDS_BUILDKIT}")));
    }
    let call = |dockerfile: &str| {
        let call = Call::post("/build").query(&parameters(spec, dockerfile));
        match auth::header_for_all(config_dir) {
            Some(logins) => call.header(LOGINS, logins),
            None => call,
        }
    };
    let lines = if spec.build.remote {
        let call = call(spec.build.dockerfile.as_deref().unwrap_or("Dockerfile"));
        let url = spec.build.context.display().to_string();
        let sent = call.query(&[("remote", url)]).patient().send(&connection.address).await;
        sent.map(json_lines::<Line>).map_err(|error| match error {
            EngineError::NotFound(message) | EngineError::Refused(message) => failed(message),
            error => error,
        })?
    } else {
        send_context(connection, spec, call).await?
    };
    let id = follow(lines, progress).await?;
    match id {
        Some(id) => Ok(id),
        None => Ok(connection.api.inspect_image(&spec.tag).await?.id.unwrap_or_default()),
    }
}

/// Sends the folder along. What the builder says.
async fn send_context(
    connection: &Connection,
    spec: &BuildSpec,
    call: impl FnOnce(&str) -> Call,
) -> Result<stream::BoxStream<'static, Result<Line, EngineError>>, EngineError> {
    let failed = |message| EngineError::BuildFailed { message, output: Vec::new() };
    let build = spec.build.clone();
    let context = blocking(move || {
        Context::new(&build.context, build.dockerfile.as_deref(), build.dockerfile_inline.as_deref())
    });
    let context = context.await?.map_err(failed)?;
    let call = call(context.dockerfile());
    let (sender, receiver) = mpsc::channel(PIECES);
    let packing = tokio::task::spawn_blocking(move || pack(&context, &sender));
    let pieces = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });

    let sent = call.tar(pieces).patient().send(&connection.address).await;
    match sent {
        Ok(response) => Ok(json_lines::<Line>(response)),
        // When the context could not be packed the engine only saw us hang up.
        Err(error) => Err(match (packing.await, error) {
            (Ok(Err(unread)), EngineError::Unreachable(_)) => failed(unread.to_string()),
            (_, EngineError::NotFound(message) | EngineError::Refused(message)) => failed(message),
            (_, error) => error,
        }),
    }
}

/// What this builder does not have, if a build asks for it.
fn beyond(build: &Build) -> Option<&'static str> {
    let asked = |text: &Option<String>| text.as_ref().is_some_and(|text| text != "false");
    let fields = [
        ("additional_contexts", !build.additional_contexts.is_empty()),
        ("cache_to", !build.cache_to.is_empty()),
        ("entitlements", !build.entitlements.is_empty()),
        ("privileged", build.privileged),
        ("provenance", asked(&build.provenance)),
        ("sbom", asked(&build.sbom)),
        ("secrets", !build.secrets.is_empty()),
        ("ssh", !build.ssh.is_empty()),
    ];
    fields.into_iter().find_map(|(name, asked)| asked.then_some(name))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, EngineError> {
    let failed =
        |error: tokio::task::JoinError| EngineError::Refused(format!("cannot read the context: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// Packs the context into pieces, as fast as the engine takes them.
fn pack(context: &Context, sender: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut pieces = Pieces { sender, piece: BytesMut::with_capacity(PIECE) };
    let packed = context.write(&mut pieces).and_then(|()| io::Write::flush(&mut pieces));
    if let Err(error) = &packed {
        // The engine must not take half a context for a whole one. If it has hung up, it knows.
        let _ = sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
    }
    packed
}

struct Pieces<'a> {
    sender: &'a mpsc::Sender<io::Result<Bytes>>,
    piece: BytesMut,
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = self.piece.split().freeze();
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn parameters(spec: &BuildSpec, dockerfile: &str) -> Vec<(&'static str, String)> {
    let build = &spec.build;
    let args: BTreeMap<_, _> =
        build.args.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
    let labels: BTreeMap<_, _> = build.labels.iter().chain(&spec.labels).collect();
    let yes = || "1".to_owned();
    let mut pairs = vec![
        ("dockerfile", dockerfile.to_owned()),
        ("t", spec.tag.clone()),
        ("rm", yes()),
        ("forcerm", yes()),
    ];
    pairs.extend(build.tags.iter().filter(|tag| **tag != spec.tag).map(|tag| ("t", tag.clone())));
    pairs.extend(build.extra_hosts.iter().map(|entry| ("extrahosts", entry.replacen('=', ":", 1))));
    pairs.extend((!args.is_empty()).then(|| ("buildargs", json!(args).to_string())));
    pairs.extend((!labels.is_empty()).then(|| ("labels", json!(labels).to_string())));
    pairs.extend((!build.cache_from.is_empty()).then(|| ("cachefrom", json!(build.cache_from).to_string())));
    pairs.extend(build.no_cache.then(|| ("nocache", yes())));
    pairs.extend(build.pull.then(|| ("pull", yes())));
    pairs.extend(build.network.clone().map(|network| ("networkmode", network)));
    pairs.extend(build.target.clone().map(|target| ("target", target)));
    pairs.extend(build.shm_size.map(|size| ("shmsize", size.to_string())));
    pairs.extend(spec.platform.clone().map(|platform| ("platform", platform)));
    if !build.ulimits.is_empty() {
        let limits = build.ulimits.iter();
        let limits =
            limits.map(|(name, limit)| json!({ "Name": name, "Soft": limit.soft(), "Hard": limit.hard() }));
        pairs.push(("ulimits", Value::from_iter(limits).to_string()));
    }
    pairs
}

/// Reads the builder's lines to the end; the id of the image, if it says one.
async fn follow(
    mut lines: stream::BoxStream<'static, Result<Line, EngineError>>,
    progress: &Progress,
) -> Result<Option<String>, EngineError> {
    let mut transcript = Transcript::default();
    let mut layers = Layers::default();
    let mut id = None;
    while let Some(line) = lines.next().await {
        let line = line?;
        if let Some(error) = line.error {
            transcript.end(progress);
            return Err(EngineError::BuildFailed {
                message: transcript.failure(&clean(&error)),
                output: transcript.tail.into(),
            });
        }
        if let Some(text) = line.stream {
            transcript.take(&text, progress);
        } else if let Some(found) = line.aux.as_ref().and_then(|aux| aux.get("ID")?.as_str()) {
            id = Some(found.to_owned());
        } else if let Some(text) = layers.take(line.transfer, Instant::now()) {
            progress.line(text);
        }
    }
    transcript.end(progress);
    Ok(id)
}

/// What the builder has said so far.
#[derive(Default)]
struct Transcript {
    partial: String,
    step: Option<String>,
    tail: VecDeque<String>,
}

impl Transcript {
    fn take(&mut self, text: &str, progress: &Progress) {
        self.partial.push_str(text);
        while let Some(end) = self.partial.find('\n') {
            let line: String = self.partial.drain(..=end).collect();
            self.line(line.trim_end(), progress);
        }
    }

    fn end(&mut self, progress: &Progress) {
        let rest = std::mem::take(&mut self.partial);
        self.line(rest.trim_end(), progress);
    }

    fn line(&mut self, line: &str, progress: &Progress) {
        if line.is_empty() {
            return;
        }
        progress.line(line);
        if let Some(step) = line.strip_prefix("Step ") {
            // `Step 4/6 : RUN …`
            self.step = Some(format!("Step {}", step.replacen(" : ", ": ", 1)));
        }
        let is_chatter = line.starts_with(" ---> ") || line.starts_with("Removing intermediate container");
        if !is_chatter {
            if self.tail.len() == TAIL {
                self.tail.pop_front();
            }
            self.tail.push_back(line.to_owned());
        }
    }

    /// What went wrong, at which step.
    fn failure(&self, error: &str) -> String {
        let Some(step) = &self.step else { return error.to_owned() };
        if error.contains("requires BuildKit") {
            return format!("{step}: it {NEEDS_BUILDKIT}");
        }
        if let Some((_, code)) = error.rsplit_once("returned a non-zero code: ") {
            return format!("{step} returned exit code {code}");
        }
        let base = step.split_once(": FROM ").filter(|_| is_about_pulling(error));
        if let Some(image) =
            base.and_then(|(_, from)| from.split_whitespace().find(|word| !word.starts_with("--")))
        {
            return format!("{step}: {}", cannot_pull(image, error));
        }
        format!("{step}: {error}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_compose::model::Ulimit;

    fn fails(lines: &[Value]) -> (String, Vec<String>) {
        let lines: Vec<_> =
            lines.iter().map(|line| Ok(serde_json::from_value(line.clone()).unwrap())).collect();
        let followed =
            futures_util::FutureExt::now_or_never(follow(stream::iter(lines).boxed(), &Progress::none()));
        match followed.unwrap() {
            Err(EngineError::BuildFailed { message, output }) => (message, output),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_failed_step_is_named() {
        let (message, output) = fails(&[
            json!({ "stream": "Step 1/2 : FROM busybox:1" }),
            json!({ "stream": "\n" }),
            json!({ "stream": " ---> 10417aefa517\nStep 2/2 : RUN echo oops && " }),
            json!({ "stream": "exit 3\n ---> Running in 1\noops\n" }),
            json!({ "error": "The command '/bin/sh -c x' returned a non-zero code: 3", "errorDetail": { "code": 3 } }),
        ]);
        assert_eq!(message, "Step 2/2: RUN echo oops && exit 3 returned exit code 3");
        assert_eq!(output, ["Step 1/2 : FROM busybox:1", "Step 2/2 : RUN echo oops && exit 3", "oops"]);
    }

    #[test]
    fn a_base_image_is_named() {
        let (message, _) = fails(&[
            json!({ "stream": "Step 1/2 : FROM --platform=linux/arm64 nope:1 AS base\n" }),
            json!({ "status": "Pulling from library/nope", "id": "1", "progressDetail": {} }),
            json!({ "error": "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host" }),
        ]);
        assert!(
            message.contains("FROM --platform=linux/arm64 nope:1 AS base: cannot pull nope:1: Get "),
            "{message}"
        );
        assert!(message.ends_with("(the registry cannot be reached; is this machine online?)"), "{message}");
    }

    #[test]
    fn only_the_end_of_the_output_is_kept() {
        let mut transcript = Transcript::default();
        let text: String = (0..50).map(|number| format!("{number}\n")).collect();
        transcript.take(&text, &Progress::none());
        assert_eq!(transcript.tail.len(), TAIL);
        assert_eq!(transcript.tail.back().map(String::as_str), Some("49"));
    }

    #[test]
    fn everything_said_is_asked_for() {
        let build = Build {
            args: [("A".to_owned(), Some("1 2".to_owned())), ("B".to_owned(), None)].into(),
            cache_from: vec!["c:1".to_owned()],
            extra_hosts: vec!["h=1.2.3.4".to_owned()],
            labels: [("l".to_owned(), "build".to_owned()), ("m".to_owned(), "n".to_owned())].into(),
            network: Some("host".to_owned()),
            no_cache: true,
            pull: true,
            shm_size: Some(64),
            tags: vec!["t:1".to_owned(), "extra:2".to_owned()],
            target: Some("dev".to_owned()),
            ulimits: [("nofile".to_owned(), Ulimit::Single(3))].into(),
            ..Default::default()
        };
        let labels = [("l".to_owned(), "devd".to_owned())].into();
        let spec =
            BuildSpec { tag: "t:1".to_owned(), build, labels, platform: Some("linux/arm64".to_owned()) };
        let pairs: Vec<String> = parameters(&spec, "Dockerfile")
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            pairs,
            [
                "dockerfile=Dockerfile",
                "t=t:1",
                "rm=1",
                "forcerm=1",
                "t=extra:2",
                "extrahosts=h:1.2.3.4",
                r#"buildargs={"A":"1 2"}"#,
                r#"labels={"l":"devd","m":"n"}"#,
                r#"cachefrom=["c:1"]"#,
                "nocache=1",
                "pull=1",
                "networkmode=host",
                "target=dev",
                "shmsize=64",
                "platform=linux/arm64",
                r#"ulimits=[{"Hard":3,"Name":"nofile","Soft":3}]"#,
            ]
        );
        let plain = BuildSpec { build: Build::default(), labels: BTreeMap::new(), platform: None, ..spec };
        assert_eq!(parameters(&plain, "D").len(), 4);
    }
}
