//! A command in a running container: the connection becomes a stream of frames both ways.

use super::App;
use super::extract::{Body, Failure, Path};
use super::services::container;
use crate::engine::spec::ExecSpec;
use crate::engine::{Engine as _, EngineError, Exec};
use crate::problem;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use devd_proto::frame::{self, Kind, Malformed};
use devd_proto::{Code, ExecRequest, Problem, ProjectName, ServiceName, Stream};
use futures_util::StreamExt as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use std::os::fd::AsFd as _;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

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
    let Body(asked) = Body::<ExecRequest>::from_request(request, &app).await?;
    let id = container(&app, &project, &service, asked.index)?;
    let engine = app.registry.surroundings().engine.clone();
    let spec = spec(asked);
    let asked = Asked { program: spec.cmd[0].clone(), tty: spec.tty.is_some(), service };
    let started = engine.exec(&id, spec).await.map_err(|error| asked.refusal(&error))?;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => converse(connection, started, asked).await,
            Err(error) => tracing::debug!(%error, "a client did not take the stream it asked for"),
        }
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "devd-exec")];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

/// What an engine's refusal is about, in the words of who asked.
struct Asked {
    service: ServiceName,
    program: String,
    tty: bool,
}

/// How every engine begins that cannot start a command: it says so on the command's output, in its place.
const UNSTARTED: &[u8] = b"OCI runtime exec failed";

/// What shells exit with when there is no such program.
const NO_PROGRAM: i64 = 127;

impl Asked {
    fn refusal(&self, error: &EngineError) -> Problem {
        let service = &self.service;
        match error {
            EngineError::NotFound(_) => self.not_running(),
            EngineError::Refused(message) if is_about_the_container(message) => self.not_running(),
            EngineError::Refused(message) if self.is_missing(message) => {
                Problem::new(Code::EngineRefused, self.no_program())
                    .help(format!("`devd shell {service}` to look around in it"))
            }
            other => problem::engine_error(other),
        }
    }

    fn not_running(&self) -> Problem {
        let service = &self.service;
        Problem::new(Code::NotRunning, format!("{service} is not running"))
            .help(format!("devd logs {service}"))
    }

    fn no_program(&self) -> String {
        format!("there is no `{}` in {}'s container", self.program, self.service)
    }

    /// Whether the engine says that the program is not there; a working directory may be missing, too.
    fn is_missing(&self, message: &str) -> bool {
        let Some((_, why)) = message.split_once(&format!("exec: \"{}\": ", self.program)) else {
            return message.contains(&format!("executable file `{}` not found", self.program));
        };
        why.contains("executable file not found") || why.contains("no such file or directory")
    }

    /// What is told instead of all that the engine wrote, and with which exit code.
    fn unstarted(&self, said: &[u8]) -> Option<(Vec<u8>, i64)> {
        let is_missing = self.is_missing(&String::from_utf8_lossy(said));
        let end = if self.tty { "\r\n" } else { "\n" };
        is_missing.then(|| (format!("error: {}{end}", self.no_program()).into_bytes(), NO_PROGRAM))
    }
}

/// Docker's words and Podman's for a container whose process does not run.
fn is_about_the_container(message: &str) -> bool {
    message.starts_with("Container ")
        && (message.contains(" is not running") || message.contains(" is restarting"))
        || message.contains("container state improper")
}

fn spec(asked: ExecRequest) -> ExecSpec {
    let ExecRequest { cmd, tty, size, env, user, workdir, index: _ } = asked;
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

async fn converse(connection: Upgraded, exec: Exec, asked: Asked) {
    let Ok(parts) = connection.downcast::<TokioIo<UnixStream>>() else {
        return tracing::error!("a connection is not the socket that it should be");
    };
    let socket = parts.io.into_inner();
    match departure(&socket) {
        Ok(left) => serve(socket, parts.read_buf.into(), exec, left, &asked).await,
        Err(error) => tracing::error!(%error, "a connection cannot be watched"),
    }
}

/// Tells when the other end of a socket is closed, also while bytes from it are left unread: whoever reads learns it only
/// behind them.
fn departure(socket: &UnixStream) -> io::Result<impl Future<Output = ()> + use<>> {
    let second = UnixStream::from_std(socket.as_fd().try_clone_to_owned()?.into())?;
    Ok(async move {
        // An error is the end of the runtime.
        while let Ok(ready) = second.ready(Interest::READABLE).await {
            if ready.is_read_closed() {
                return;
            }
            // Bytes, which are not for here: on to the next news.
            let _ = second.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
    })
}

/// Moves frames both ways. `before` came with the request, `left` tells that the client is gone.
async fn serve(
    connection: impl AsyncRead + AsyncWrite,
    before: Vec<u8>,
    exec: Exec,
    left: impl Future<Output = ()>,
    asked: &Asked,
) {
    let (mut reader, mut writer) = tokio::io::split(connection);
    let Exec { input, mut output, resize, exit } = exec;
    let from_client = async move {
        let mut left = pin!(left);
        let mut input = Some(input);
        let mut buffer = before;
        loop {
            let (kind, payload) = match frame::decode(&mut buffer) {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    buffer.reserve(16 * 1024);
                    match reader.read_buf(&mut buffer).await {
                        Ok(1..) => continue,
                        Ok(0) | Err(_) => return,
                    }
                }
                Err(Malformed) => return tracing::debug!("a client sent bytes that are no frame"),
            };
            match (kind, &input) {
                (Kind::Stdin, Some(input)) => {
                    let is_taken = hand(input, payload.into(), &mut left).await;
                    if !is_taken {
                        return;
                    }
                }
                (Kind::StdinEnd, _) => input = None,
                (Kind::Resize, _) => {
                    let [a, b, c, d] = payload[..] else { continue };
                    let size = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                    let is_taken = hand(&resize, size, &mut left).await;
                    if !is_taken {
                        return;
                    }
                }
                _ => {}
            }
        }
    };
    let to_client = async move {
        // What may be the engine's and not the command's: whatever follows shows that it is the command's.
        let mut suspect: Option<Bytes> = None;
        let mut is_first = true;
        while let Some(chunk) = output.next().await {
            let (stream, bytes) = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return end(&mut writer, Err(error)).await,
            };
            if std::mem::take(&mut is_first) && stream == Stream::Stdout && bytes.starts_with(UNSTARTED) {
                suspect = Some(bytes);
                continue;
            }
            if let Some(held) = suspect.take()
                && !write(&mut writer, Stream::Stdout, &held).await
            {
                return;
            }
            if !write(&mut writer, stream, &bytes).await {
                return;
            }
        }
        let mut exit = exit.await;
        if let Some(held) = suspect {
            let (stream, bytes) = match asked.unstarted(&held) {
                Some((told, code)) if exit.as_ref().is_ok_and(|code| [126, NO_PROGRAM].contains(code)) => {
                    exit = Ok(code);
                    (Stream::Stderr, told.into())
                }
                _ => (Stream::Stdout, held),
            };
            if !write(&mut writer, stream, &bytes).await {
                return;
            }
        }
        end(&mut writer, exit).await;
    };
    // Either side ends it: a client that goes takes its command's input and terminal with it.
    tokio::select! {
        () = to_client => {}
        () = from_client => {}
    }
}

/// Writes output; false if the client is gone.
async fn write(writer: &mut (impl AsyncWrite + Unpin), stream: Stream, bytes: &[u8]) -> bool {
    let kind = match stream {
        Stream::Stdout => Kind::Stdout,
        Stream::Stderr => Kind::Stderr,
    };
    for part in bytes.chunks(frame::MAX_PAYLOAD) {
        if writer.write_all(&frame::encode(kind, part)).await.is_err() {
            return false;
        }
    }
    true
}

/// Hands something on to the command; false if the client left before the command took it.
async fn hand<T>(to: &mpsc::Sender<T>, what: T, left: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    tokio::select! {
        biased;
        // The command may have closed its input: what it does not read is not missed.
        _ = to.send(what) => true,
        () = left => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use futures_util::stream;
    use std::time::Duration;

    /// A command that writes nothing and does not end, with its input.
    fn command() -> (Exec, mpsc::Receiver<Bytes>) {
        let (input, received) = mpsc::channel(1);
        let (resize, _) = mpsc::channel(1);
        let (output, exit) = (stream::pending().boxed(), std::future::pending().boxed());
        (Exec { input, output, resize, exit }, received)
    }

    /// Serves until it ends by itself. The limit is for a test that fails.
    async fn served(socket: UnixStream, before: Vec<u8>, exec: Exec) {
        let left = departure(&socket).unwrap();
        tokio::time::timeout(Duration::from_secs(20), serve(socket, before, exec, left, &asked()))
            .await
            .unwrap();
    }

    fn asked() -> Asked {
        Asked { service: "web".into(), program: "nonexist".to_owned(), tty: false }
    }

    /// What the client hears of a command that says this and ends so.
    async fn heard(said: &[&'static str], code: i64) -> Vec<(Kind, String)> {
        let (mut client, ours) = UnixStream::pair().unwrap();
        let (mut exec, _input) = command();
        let said: Vec<_> =
            said.iter().map(|text| Ok((Stream::Stdout, Bytes::from_static(text.as_bytes())))).collect();
        (exec.output, exec.exit) = (stream::iter(said).boxed(), async move { Ok(code) }.boxed());
        served(ours, Vec::new(), exec).await;
        let (mut heard, mut frames) = (Vec::new(), Vec::new());
        client.read_to_end(&mut heard).await.unwrap();
        while let Some((kind, payload)) = frame::decode(&mut heard).unwrap() {
            let text = match kind {
                Kind::Exit => i32::from_be_bytes(payload[..].try_into().unwrap()).to_string(),
                _ => String::from_utf8(payload).unwrap(),
            };
            frames.push((kind, text));
        }
        frames
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_said_as_shells_do() {
        const SAID: &str = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nonexist\": \
                            executable file not found in $PATH: unknown\r\n";
        const ELSEWHERE: &str = "OCI runtime exec failed: exec failed: unable to start container process: chdir to cwd \
                                 (\"/nowhere\") set in config.json failed: no such file or directory: unknown\r\n";
        let told = "error: there is no `nonexist` in web's container\n";
        assert_eq!(heard(&[SAID], 126).await, [(Kind::Stderr, told.into()), (Kind::Exit, "127".into())]);
        // A program may say what it wants.
        assert_eq!(heard(&[SAID], 0).await, [(Kind::Stdout, SAID.into()), (Kind::Exit, "0".into())]);
        assert_eq!(
            heard(&[SAID, "x"], 126).await,
            [(Kind::Stdout, SAID.into()), (Kind::Stdout, "x".into()), (Kind::Exit, "126".into())]
        );
        assert_eq!(
            heard(&[ELSEWHERE], 126).await,
            [(Kind::Stdout, ELSEWHERE.into()), (Kind::Exit, "126".into())]
        );
    }

    #[test]
    fn a_container_that_does_not_run_is_a_service_that_does_not() {
        let told = |message: &str| {
            let problem = asked().refusal(&EngineError::Refused(message.to_owned()));
            format!("{}; {}", problem.title, problem.help.unwrap_or_default())
        };
        let stopped = "Container 74d8f1c0ffee is not running";
        assert_eq!(told(stopped), "web is not running; devd logs web");
        let restarting = "Container 74d8f1c0ffee is restarting, wait until the container is running";
        assert_eq!(told(restarting), "web is not running; devd logs web");
        assert_eq!(told("unable to find user ann"), "unable to find user ann; ");
    }

    #[tokio::test]
    async fn bytes_that_are_no_frame_end_it() {
        let (_client, ours) = UnixStream::pair().unwrap();
        let (exec, _input) = command();
        served(ours, b"GET / HTTP/1.1".to_vec(), exec).await;
    }

    #[tokio::test]
    async fn what_came_with_the_request_comes_first() {
        let (mut client, ours) = UnixStream::pair().unwrap();
        let (exec, mut input) = command();
        let whole = [frame::encode(Kind::Stdin, b"one"), frame::encode(Kind::Stdin, b"two")].concat();
        let (before, after) = whole.split_at(7);
        client.write_all(after).await.unwrap();
        let serving = tokio::spawn(served(ours, before.to_vec(), exec));
        assert_eq!((input.recv().await.unwrap(), input.recv().await.unwrap()), ("one".into(), "two".into()));
        drop(client);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_noticed_while_the_command_reads_nothing() {
        let (client, ours) = UnixStream::pair().unwrap();
        let (exec, _input) = command();
        let serving = tokio::spawn(served(ours, Vec::new(), exec));
        // More than fits: what is left in the socket hides its end.
        let frame = frame::encode(Kind::Stdin, &[0; frame::MAX_PAYLOAD]);
        let full = async {
            let mut client = client;
            while let Ok(wrote) =
                tokio::time::timeout(Duration::from_millis(200), client.write_all(&frame)).await
            {
                wrote.unwrap();
            }
        };
        full.await;
        serving.await.unwrap();
    }
}
