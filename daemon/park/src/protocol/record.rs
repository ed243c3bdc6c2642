//! What the park says inside the output of a test container: a fixed number of bytes that no output has by accident.
//! They begin with a rare word, hold the nonce of the run and end with a checksum.

use super::{Cursor, Nonce, READY, VERSION};

/// How every record begins.
pub const MAGIC: [u8; 12] = *b"\0\xffdevd-park\0";

/// Length of every record.
pub const LEN: usize = MAGIC.len() + 2 + size_of::<Nonce>() + 4 + 8 + 8 + 8;

const KIND_READY: u8 = 1;
const KIND_EXITED: u8 = 2;
const KIND_SIGNALLED: u8 = 3;
const KIND_EXEC_FAILED: u8 = 4;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// The park listens on stdin. Only on stdout, before all else.
    Ready,
    /// The command has ended, and so has everything that descended from it: nothing follows on this stream.
    Exit(Exit),
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The one of RUN.
    pub nonce: Nonce,
    pub how: How,
    /// From the fork until the end of the main process.
    pub wall_ns: u64,
    /// The fork, by the real-time clock, in milliseconds since 1970.
    pub at_ms: u64,
}

/// How the main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Signalled(u8),
    /// It never ran: the error number of `execve(2)`.
    ExecFailed(u32),
}

impl How {
    /// What the park exits with, as shells and engines have it.
    pub const fn code(self) -> u8 {
        const ENOENT: u32 = 2;
        match self {
            Self::Exited(code) => code,
            Self::Signalled(signal) => 128u8.wrapping_add(signal),
            Self::ExecFailed(ENOENT) => 127,
            Self::ExecFailed(_) => 126,
        }
    }
}

impl Record {
    /// The bytes.
    pub fn encode(&self) -> [u8; LEN] {
        let none = Exit { nonce: READY, how: How::Exited(0), wall_ns: 0, at_ms: 0 };
        let (kind, value, exit) = match *self {
            Self::Ready => (KIND_READY, 0, none),
            Self::Exit(exit) => match exit.how {
                How::Exited(code) => (KIND_EXITED, u32::from(code), exit),
                How::Signalled(signal) => (KIND_SIGNALLED, u32::from(signal), exit),
                How::ExecFailed(errno) => (KIND_EXEC_FAILED, errno, exit),
            },
        };
        let mut bytes = [0; LEN];
        let mut to = Cursor(&mut bytes[..]);
        to.put(&MAGIC);
        to.put(&[VERSION, kind]);
        to.put(&exit.nonce);
        to.put(&value.to_le_bytes());
        to.put(&exit.wall_ns.to_le_bytes());
        to.put(&exit.at_ms.to_le_bytes());
        let sum = checksum(&bytes);
        if let Some(end) = bytes.last_chunk_mut() {
            *end = sum;
        }
        bytes
    }

    /// The record that `bytes` are, if they are one.
    pub fn decode(bytes: &[u8; LEN]) -> Option<Self> {
        let mut from = Cursor(&bytes[..]);
        let honest =
            from.take()? == MAGIC && from.take()? == [VERSION] && *bytes.last_chunk()? == checksum(bytes);
        if !honest {
            return None;
        }
        let [kind] = from.take()?;
        let nonce = from.take()?;
        let value = from.u32()?;
        let how = match kind {
            KIND_READY => return (nonce == READY).then_some(Self::Ready),
            KIND_EXITED => How::Exited(u8::try_from(value).ok()?),
            KIND_SIGNALLED => How::Signalled(u8::try_from(value).ok()?),
            KIND_EXEC_FAILED => How::ExecFailed(value),
            _ => return None,
        };
        Some(Self::Exit(Exit { nonce, how, wall_ns: from.u64()?, at_ms: from.u64()? }))
    }

    /// The nonce that it carries.
    pub const fn nonce(&self) -> Nonce {
        match self {
            Self::Ready => READY,
            Self::Exit(exit) => exit.nonce,
        }
    }
}

/// FNV-1a of everything before the checksum.
fn checksum(bytes: &[u8; LEN]) -> [u8; 8] {
    let all = bytes.iter().take(LEN - 8);
    all.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
        .to_le_bytes()
}
