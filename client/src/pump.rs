//! `devd exec`: the terminal on one side, frames on the other.

use crate::error::Error;
use crate::exit::Exit;
use crate::signal::Signals;
use crate::{http, terminal};
use devd_proto::frame::{self, Kind, MAX_PAYLOAD};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

/// Moves bytes both ways until the command has ended; its exit code.
pub(crate) async fn run(io: TokioIo<Upgraded>, tty: bool) -> Result<Exit, Error> {
    let mut signals = Signals::with_hangup()?;
    let (from_daemon, to_daemon) = tokio::io::split(io);
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    tokio::select! {
        exit = output(from_daemon, &mut stdout, &mut stderr) => exit,
        () = input(tokio::io::stdin(), to_daemon, tty) => Err(Error::lost()),
        number = signals.next() => Err(Error::Interrupted(number)),
    }
}

/// Standard input and window sizes, as long as the command lives: its end is told by `output`.
async fn input(mut stdin: impl AsyncRead + Unpin, mut to_daemon: impl AsyncWrite + Unpin, tty: bool) {
    let mut sizes = if tty { signal(SignalKind::window_change()).ok() } else { None };
    let mut buffer = vec![0; 16 * 1024];
    debug_assert!(buffer.len() <= MAX_PAYLOAD, "it must fit into a frame");
    let mut open = true;
    loop {
        let resized = async {
            match &mut sizes {
                Some(sizes) => sizes.recv().await,
                None => std::future::pending().await,
            }
        };
        let next = tokio::select! {
            read = stdin.read(&mut buffer), if open => match read {
                Ok(0) | Err(_) => {
                    open = false;
                    frame::encode(Kind::StdinEnd, &[])
                }
                Ok(length) => frame::encode(Kind::Stdin, &buffer[..length]),
            },
            _ = resized => match terminal::size(io::stdout()) {
                Some((columns, rows)) => frame::encode(Kind::Resize, &size_payload(columns, rows)),
                None => continue,
            },
        };
        if to_daemon.write_all(&next).await.is_err() || to_daemon.flush().await.is_err() {
            // The command has ended or the daemon has gone; the other direction says which.
            return std::future::pending().await;
        }
    }
}

fn size_payload(columns: u16, rows: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (columns.to_be_bytes(), rows.to_be_bytes());
    [a, b, c, d]
}

/// The command's output, up to its exit code.
async fn output(
    mut from_daemon: impl AsyncRead + Unpin,
    stdout: &mut impl io::Write,
    stderr: &mut impl io::Write,
) -> Result<Exit, Error> {
    let mut buffer = Vec::new();
    loop {
        while let Some((kind, payload)) = frame::decode(&mut buffer)
            .map_err(|_| Error::unreachable("devdd sent bytes that are not understood"))?
        {
            match kind {
                Kind::Stdout => stdout.write_all(&payload).and_then(|()| stdout.flush())?,
                Kind::Stderr => stderr.write_all(&payload).and_then(|()| stderr.flush())?,
                Kind::Exit => return Ok(Exit::of(code_of(&payload))),
                Kind::Error => return Err(http::refusal(500, &payload)),
                Kind::Stdin | Kind::StdinEnd | Kind::Resize => {}
            }
        }
        match from_daemon.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return Err(Error::lost()),
            Ok(_) => {}
        }
    }
}

fn code_of(payload: &[u8]) -> i32 {
    payload.first_chunk().map_or(-1, |bytes| i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_proto::{Code, Problem};

    async fn play(wire: Vec<u8>) -> (Result<Exit, Error>, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = output(wire.as_slice(), &mut out, &mut err).await;
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_streams_stay_apart_and_the_exit_code_comes_through() {
        let mut wire = frame::encode(Kind::Stdout, b"out");
        wire.extend(frame::encode(Kind::Stderr, b"err"));
        wire.extend(frame::encode(Kind::Exit, &7i32.to_be_bytes()));
        let (exit, out, err) = play(wire).await;
        assert_eq!((exit.unwrap(), out.as_str(), err.as_str()), (Exit::of(7), "out", "err"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_end_without_exit_code_is_a_lost_daemon_and_an_error_frame_is_told() {
        assert_eq!(play(Vec::new()).await.0.unwrap_err().exit(), Exit::NO_DAEMON);
        let problem = serde_json::to_vec(&Problem::new(Code::EngineRefused, "no such file: zsh")).unwrap();
        let (exit, ..) = play(frame::encode(Kind::Error, &problem)).await;
        assert_eq!(exit.unwrap_err().to_string(), "no such file: zsh");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn standard_input_is_sent_to_its_end() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let sending = tokio::spawn(input(b"hello".as_slice(), ours, false));
        let mut expected = frame::encode(Kind::Stdin, b"hello");
        expected.extend(frame::encode(Kind::StdinEnd, &[]));
        let mut received = vec![0; expected.len()];
        theirs.read_exact(&mut received).await.unwrap();
        assert_eq!(received, expected);
        sending.abort();
    }

    #[test]
    fn a_size_is_columns_then_rows() {
        assert_eq!(size_payload(258, 3), [1, 2, 0, 3]);
    }
}
