//! A command in a running container: the connection becomes a stream of frames both ways.

use super::App;
use super::extract::Failure;
use super::services::container;
use crate::engine::spec::ExecSpec;
use crate::engine::{Engine as _, EngineError, Exec};
use crate::problem;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use devd_proto::frame::{self, Kind};
use devd_proto::{Code, ExecRequest, Problem, ProjectName, ServiceName, Stream};
use futures_util::StreamExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Runs a command in a service's container. Answers `101` and then speaks frames: see the crate `devd-proto`.
#[utoipa::path(post, path = "/v1/projects/{project}/services/{service}/exec", tag = "services",
    params(("project" = String, Path), ("service" = String, Path)), request_body = ExecRequest,
    responses((status = 101), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn exec(
    State(app): State<App>,
    Path((project, service)): Path<(ProjectName, ServiceName)>,
    mut request: Request,
) -> Result<Response, Failure> {
    let upgrade = hyper::upgrade::on(&mut request);
    let body = Bytes::from_request(request, &app).await;
    let body = body.map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?;
    let asked: ExecRequest = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(Code::BadRequest, format!("the request's body: {error}")))?;
    let id = container(&app, &project, &service)?;
    let engine = app.registry.surroundings().engine.clone();
    let spec = spec(asked);
    let started = engine.exec(&id, spec).await.map_err(|error| match error {
        EngineError::NotFound(_) => Problem::new(Code::NotRunning, format!("{service} is not running")),
        other => problem::engine_error(&other),
    })?;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => serve(TokioIo::new(connection), started).await,
            Err(error) => tracing::debug!(%error, "a client did not take the stream it asked for"),
        }
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "devd-exec")];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

fn spec(asked: ExecRequest) -> ExecSpec {
    let ExecRequest { cmd, tty, size, env, user, workdir } = asked;
    // Without a command: the shell that is there. No text of the caller gets into it.
    let shell =
        || ["sh", "-c", "if command -v bash >/dev/null; then exec bash; else exec sh; fi"].map(str::to_owned);
    ExecSpec {
        cmd: if cmd.is_empty() { shell().to_vec() } else { cmd },
        tty: tty.then_some(size.unwrap_or((80, 24))),
        env,
        user,
        workdir,
        privileged: false,
    }
}

async fn serve(connection: impl AsyncRead + AsyncWrite, exec: Exec) {
    let (mut reader, mut writer) = tokio::io::split(connection);
    let Exec { input, mut output, resize, exit } = exec;
    let from_client = async move {
        let mut input = Some(input);
        let mut buffer = Vec::new();
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = reader.read(&mut chunk).await {
            buffer.extend_from_slice(&chunk[..count]);
            while let Ok(Some((kind, payload))) = frame::decode(&mut buffer) {
                match (kind, &input) {
                    // The command may have closed its input: what it does not read is not missed.
                    (Kind::Stdin, Some(input)) => {
                        let _ = input.send(payload.into()).await;
                    }
                    (Kind::StdinEnd, _) => input = None,
                    (Kind::Resize, _) => {
                        if let [a, b, c, d] = payload[..] {
                            let size = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                            let _ = resize.send(size).await;
                        }
                    }
                    _ => {}
                }
            }
        }
    };
    let to_client = async move {
        while let Some(chunk) = output.next().await {
            let (stream, bytes) = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return end(&mut writer, Err(error)).await,
            };
            let kind = match stream {
                Stream::Stdout => Kind::Stdout,
                Stream::Stderr => Kind::Stderr,
            };
            for part in bytes.chunks(frame::MAX_PAYLOAD) {
                if writer.write_all(&frame::encode(kind, part)).await.is_err() {
                    return;
                }
            }
        }
        end(&mut writer, exit.await).await;
    };
    // Either side ends it: a client that goes takes its command's input and terminal with it.
    tokio::select! {
        () = to_client => {}
        () = from_client => {}
    }
}

async fn end(writer: &mut (impl AsyncWrite + Unpin), exit: Result<i64, EngineError>) {
    let last = match exit {
        Ok(code) => frame::encode(Kind::Exit, &(code as i32).to_be_bytes()),
        Err(error) => {
            let problem = serde_json::to_vec(&problem::engine_error(&error)).unwrap_or_default();
            frame::encode(Kind::Error, &problem)
        }
    };
    // A client that went away needs no exit code.
    let _ = writer.write_all(&last).await;
    let _ = writer.shutdown().await;
}
