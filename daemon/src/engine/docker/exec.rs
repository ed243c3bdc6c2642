//! Commands in a running container.

use super::frames::frames;
use super::link::Connection;
use super::wire::{Call, chunks_of, unreachable};
use crate::engine::spec::ExecSpec;
use crate::engine::{EngineError, Exec};
use bollard::exec::CreateExecOptions;
use bollard::query_parameters::ResizeExecOptions;
use bytes::Bytes;
use futures_util::stream::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How many pieces of input wait for a slow command.
const INPUT: usize = 16;

/// A terminal can be resized only once the command has begun, and nothing tells when that is.
const RESIZE_ATTEMPTS: u32 = 10;
const RESIZE_PAUSE: Duration = Duration::from_millis(20);

/// The end of the output comes a little before the engine knows the exit code.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const UNKNOWN: Duration = Duration::from_secs(10);

/// The exit code of what SIGKILL has ended.
const KILLED: i64 = 137;

pub(super) async fn exec(
    connection: Arc<Connection>,
    container: &str,
    spec: ExecSpec,
) -> Result<Exec, EngineError> {
    let tty = spec.tty;
    let id = create(&connection, container, spec, true).await?;
    let stream = start(&connection, &id, tty.is_some()).await?;
    let (reader, writer) = tokio::io::split(stream);

    let (input, pieces) = mpsc::channel(INPUT);
    tokio::spawn(write(pieces, writer));
    let (resize, sizes) = mpsc::channel(1);
    tokio::spawn(resizes(Arc::clone(&connection), id.clone(), tty, sizes));
    let output = frames(chunks_of(reader), tty.is_some()).map(|frame| frame.map_err(unreachable)).boxed();
    let exit = Box::pin(async move { exit_code(&connection, &id).await });
    Ok(Exec { input, output, resize, exit })
}

/// Runs a command without input to its end; its exit code and its standard output, or `all` that it wrote.
pub(super) async fn output_of(
    connection: &Connection,
    container: &str,
    spec: ExecSpec,
    all: bool,
) -> Result<(i64, Vec<u8>), EngineError> {
    let id = create(connection, container, spec, false).await?;
    let stream = start(connection, &id, false).await?;
    let mut frames = frames(chunks_of(stream), false).boxed();
    let mut output = Vec::new();
    while let Some(frame) = frames.next().await {
        // What failed to start says so on a stream that is not framed. The exit code says it, too.
        let Ok((origin, bytes)) = frame else { break };
        if all || origin == devd_proto::Stream::Stdout {
            output.extend_from_slice(&bytes);
        }
    }
    Ok((exit_code(connection, &id).await?, output))
}

async fn create(
    connection: &Connection,
    container: &str,
    spec: ExecSpec,
    input: bool,
) -> Result<String, EngineError> {
    let options = CreateExecOptions {
        attach_stdin: Some(input),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(spec.tty.is_some()),
        env: (!spec.env.is_empty()).then_some(spec.env),
        cmd: Some(spec.cmd),
        privileged: spec.privileged.then_some(true),
        user: spec.user,
        working_dir: spec.workdir,
        ..Default::default()
    };
    Ok(connection.api.create_exec(container, options).await?.id)
}

async fn start(
    connection: &Connection,
    id: &str,
    tty: bool,
) -> Result<hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>, EngineError> {
    let body = serde_json::json!({ "Detach": false, "Tty": tty });
    Call::post(format!("/exec/{id}/start")).json(&body).upgrade(&connection.address).await
}

pub(super) async fn write(mut pieces: mpsc::Receiver<Bytes>, mut writer: impl AsyncWrite + Unpin) {
    while let Some(piece) = pieces.recv().await {
        // A command that does not read its input any more is no failure; its exit code tells.
        if writer.write_all(&piece).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
    // Half a hang-up: the command sees the end of its input, and we still read.
    let _ = writer.shutdown().await;
}

async fn resizes(
    connection: Arc<Connection>,
    id: String,
    first: Option<(u16, u16)>,
    mut sizes: mpsc::Receiver<(u16, u16)>,
) {
    let mut next = first;
    loop {
        let (columns, rows) = match next.take() {
            Some(size) => size,
            None => match sizes.recv().await {
                Some(size) => size,
                None => return,
            },
        };
        if first.is_none() {
            continue;
        }
        for _ in 0..RESIZE_ATTEMPTS {
            let options = ResizeExecOptions { w: columns.into(), h: rows.into() };
            if connection.api.resize_exec(&id, options).await.is_ok() {
                break;
            }
            tokio::time::sleep(RESIZE_PAUSE).await;
        }
    }
}

async fn exit_code(connection: &Connection, id: &str) -> Result<i64, EngineError> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let inspected = match connection.api.inspect_exec(id).await.map_err(EngineError::from) {
            Ok(inspected) => inspected,
            // The engine forgets the commands of a container that has ended, and they all ended with it.
            Err(EngineError::NotFound(_)) => return Ok(KILLED),
            Err(error) => return Err(error),
        };
        match (inspected.running.unwrap_or_default(), inspected.exit_code) {
            (false, Some(code)) => return Ok(code),
            (false, None) if begun.elapsed() > UNKNOWN => {
                return Err(EngineError::Refused("the engine does not say how the command ended".to_owned()));
            }
            (true, _) | (false, None) => {}
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}
