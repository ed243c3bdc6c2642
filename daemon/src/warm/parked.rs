//! The tests' process, held by the park until the word.

use super::RunError;
use crate::engine::{Attached, Output};
use bytes::Bytes;
use devd_park::protocol::record::{Exit, How, Record};
use devd_park::protocol::split::{Part, Splitter};
use devd_park::protocol::{Nonce, READY, command};
use devd_proto::Stream;
use futures_util::{FutureExt as _, StreamExt as _};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;

/// A process that waits. Dropping it is the end of its lease: it is killed with all its kind, and its container goes.
pub struct Parked {
    attached: Attached,
    /// What stands before the command.
    entrypoint: Vec<String>,
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parked").field("entrypoint", &self.entrypoint).finish_non_exhaustive()
    }
}

impl Parked {
    /// Waits until the park of a started container listens.
    pub async fn new(mut attached: Attached, entrypoint: Vec<String>) -> Result<Self, RunError> {
        let mut splitter = Splitter::new(READY);
        let (mut is_ready, mut said) = (false, Vec::new());
        while !is_ready {
            match attached.output.next().await {
                Some(Ok((_, chunk))) => splitter.feed(&chunk, |part| match part {
                    Part::Record(_) => is_ready = true,
                    Part::Bytes(bytes) => said.extend_from_slice(bytes),
                }),
                Some(Err(error)) => return Err(RunError::Lost(error)),
                None => {
                    let said = String::from_utf8_lossy(&said);
                    return Err(RunError::NotRun(format!(
                        "the tests' container ended at once {}",
                        said.trim()
                    )));
                }
            }
        }
        Ok(Self { attached, entrypoint })
    }

    /// Whether it still waits.
    pub fn is_waiting(&mut self) -> bool {
        // Anything that it says, or its end, is out of turn.
        self.attached.output.next().now_or_never().is_none()
    }

    /// Lets it run; with `replace`, another `command` than its container's own. Returns the exit code, or none when its
    /// container ended without a word, which is a matter for the engine.
    pub async fn run(
        mut self,
        command: &[String],
        replace: bool,
        output: &Output,
        released: impl FnOnce(),
    ) -> Result<Option<i64>, RunError> {
        let nonce = nonce();
        let argv = if replace { [&self.entrypoint, command].concat() } else { Vec::new() };
        let frame = command::run(&nonce, &argv)
            .map_err(|error| RunError::NotRun(format!("the tests' command: {error}")))?;
        // A container that has ended tells by its output.
        let _ = self.attached.input.send(Bytes::from(frame)).await;
        released();
        let (mut out, mut err) = (Splitter::new(nonce), Splitter::new(nonce));
        let (mut ended, mut streams) = (None, 0);
        while streams < 2 {
            let Some(chunk) = self.attached.output.next().await else { break };
            let (stream, chunk) = chunk.map_err(RunError::Lost)?;
            let splitter = match stream {
                Stream::Stdout => &mut out,
                Stream::Stderr => &mut err,
            };
            let mut pieces = Vec::new();
            splitter.feed(&chunk, |part| match part {
                Part::Bytes(bytes) if bytes.len() == chunk.len() => pieces.push(chunk.clone()),
                Part::Bytes(bytes) => pieces.push(Bytes::copy_from_slice(bytes)),
                Part::Record(Record::Exit(exit)) => {
                    ended = Some(exit);
                    streams += 1;
                }
                Part::Record(Record::Ready) => {}
            });
            for piece in pieces {
                // Nobody may read any more; the run goes on.
                let _ = output.send((stream, piece)).await;
            }
        }
        for (stream, mut splitter) in [(Stream::Stdout, out), (Stream::Stderr, err)] {
            let mut rest = Vec::new();
            splitter.finish(|part| {
                if let Part::Bytes(bytes) = part {
                    rest.extend_from_slice(bytes);
                }
            });
            if !rest.is_empty() {
                let _ = output.send((stream, Bytes::from(rest))).await;
            }
        }
        match ended {
            Some(Exit { how: How::ExecFailed(errno), .. }) => {
                let why = io::Error::from_raw_os_error(errno.cast_signed());
                let program = self.entrypoint.iter().chain(command).next();
                let program = program.map_or("the image's command", String::as_str);
                Err(RunError::NotRun(format!("the tests: cannot execute {program}: {why}")))
            }
            Some(exit) => Ok(Some(i64::from(exit.how.code()))),
            None => Ok(None),
        }
    }
}

/// Sixteen bytes that no test can know; the standard library's hash maps get their keys from the system.
fn nonce() -> Nonce {
    let half = || RandomState::new().build_hasher().finish().to_le_bytes();
    let mut nonce = Nonce::default();
    let (a, b) = nonce.split_at_mut(8);
    a.copy_from_slice(&half());
    b.copy_from_slice(&half());
    nonce
}
