//! Running a created container to its end, without missing a byte.

use super::frames::frames;
use super::link::Connection;
use super::wire::{Call, chunks_of, json_lines, unreachable};
use super::{apply, exec};
use crate::engine::{Attached, EngineError, Output};
use bollard::query_parameters::InspectContainerOptions;
use futures_util::stream::{BoxStream, StreamExt};
use serde::Deserialize;
use std::{pin::pin, time::Duration};
use tokio::sync::mpsc;

/// How long nothing may come of the output after the process has ended: what the engine still holds comes at once, but a
/// stream may also hang.
const TRAILING: Duration = Duration::from_secs(10);

/// How long to wait for the engine to confirm that it will tell us the end. Docker does so at once; Podman answers only
/// at the end itself.
const CONFIRMED: Duration = Duration::from_secs(5);
const CONFIRMED_BY_PODMAN: Duration = Duration::from_millis(100);

/// How many pieces of input wait.
const INPUT: usize = 16;

#[derive(Deserialize)]
struct Ended {
    #[serde(rename = "StatusCode")]
    code: i64,
}

pub(super) async fn run(
    connection: &Connection,
    container: &str,
    output: Output,
) -> Result<i64, EngineError> {
    let inspected = connection.api.inspect_container(container, None::<InspectContainerOptions>).await?;
    let terminal = inspected.config.and_then(|config| config.tty).unwrap_or_default();
    let attach = Call::post(format!("/containers/{container}/attach")).query(&[
        ("stream", "1".to_owned()),
        ("stdout", "1".to_owned()),
        ("stderr", "1".to_owned()),
    ]);
    let attached = attach.upgrade(&connection.address).await?;

    // Asked for before the start: a short process would have ended before the question.
    let mut end = pin!(end(connection, container));
    let mut ended = None;
    let patience = if connection.podman { CONFIRMED_BY_PODMAN } else { CONFIRMED };
    if let Ok(answer) = tokio::time::timeout(patience, &mut end).await {
        ended = Some(answer?);
    }
    apply::start(connection, container).await?;

    let code = async {
        let answer = match ended {
            Some(answer) => answer,
            None => end.await?,
        };
        code(connection, container, answer).await
    };
    let mut code = pin!(code);
    let mut frames = pin!(frames(chunks_of(attached), terminal));
    let mut ended = None;
    loop {
        tokio::select! {
            frame = frames.next() => match frame {
                // When nobody wants it any more, it is still read: a full pipe would stop the process.
                Some(frame) => drop(output.send(frame.map_err(unreachable)?).await),
                None => break,
            },
            answer = &mut code, if ended.is_none() => ended = Some(answer?),
            () = tokio::time::sleep(TRAILING), if ended.is_some() => {
                tracing::warn!(container, "its output did not end with it");
                break;
            }
        }
    }
    match ended {
        Some(code) => Ok(code),
        None => code.await,
    }
}

/// Starts a created container with its input and output attached.
pub(super) async fn attach(connection: &Connection, container: &str) -> Result<Attached, EngineError> {
    let attach = Call::post(format!("/containers/{container}/attach")).query(&[
        ("stream", "1".to_owned()),
        ("stdin", "1".to_owned()),
        ("stdout", "1".to_owned()),
        ("stderr", "1".to_owned()),
    ]);
    let (reader, writer) = tokio::io::split(attach.upgrade(&connection.address).await?);
    apply::start(connection, container).await?;
    let (input, pieces) = mpsc::channel(INPUT);
    tokio::spawn(exec::write(pieces, writer));
    let output = frames(chunks_of(reader), false).map(|frame| frame.map_err(unreachable)).boxed();
    Ok(Attached { input, output })
}

/// Asks to be told the next end of the container. Resolves when the engine has heard the question.
async fn end(
    connection: &Connection,
    container: &str,
) -> Result<BoxStream<'static, Result<Ended, EngineError>>, EngineError> {
    let wait =
        Call::post(format!("/containers/{container}/wait")).query(&[("condition", "next-exit".to_owned())]);
    Ok(json_lines(wait.patient().send(&connection.address).await?))
}

async fn code(
    connection: &Connection,
    container: &str,
    mut answer: BoxStream<'static, Result<Ended, EngineError>>,
) -> Result<i64, EngineError> {
    let error = match answer.next().await {
        Some(Ok(ended)) => return Ok(ended.code),
        Some(Err(error)) => error,
        None => EngineError::Unreachable("it hung up before the container ended".to_owned()),
    };
    // The question was lost; what became of the container may still be there.
    let inspected = connection.api.inspect_container(container, None::<InspectContainerOptions>).await?;
    let state = inspected.state.unwrap_or_default();
    if state.running.unwrap_or_default() { Err(error) } else { state.exit_code.ok_or(error) }
}
