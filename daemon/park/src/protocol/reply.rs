//! What the park answers on the control socket. Every reply has the same length, so that a client reads
//! [`LEN`] bytes, and once more.

use super::{Cursor, Header, Malformed};

/// Length of every reply.
pub const LEN: usize = Header::LEN + BODY;
const BODY: usize = 16;

const HELLO: u8 = 0x81;
const RESTARTED: u8 = 0x82;
const DONE: u8 = 0x83;

/// The error of a restart that was called off, because the container is to end: ECANCELED of Linux.
pub const CANCELED: u32 = 125;

/// One reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The first on every connection, unasked: how things stand.
    Hello(Start),
    /// To RESTART, when the new process has executed its program.
    Restarted(Start),
    /// To SIGNAL: zero, or the error number of `kill(2)`. To RESTART: [`CANCELED`].
    Done { errno: u32 },
}

/// One start of the service's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// 1 for the start of the container, one more for each restart in place.
    pub number: u32,
    /// As the container sees it.
    pub pid: u32,
    /// When, by the real-time clock, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Reply {
    /// The reply as a frame; `id` is the one of the command, and zero for HELLO.
    pub fn encode(&self, id: u16) -> [u8; LEN] {
        let (kind, start) = match *self {
            Self::Hello(start) => (HELLO, start),
            Self::Restarted(start) => (RESTARTED, start),
            Self::Done { errno } => (DONE, Start { number: errno, ..Start::default() }),
        };
        let mut bytes = [0; LEN];
        let mut to = Cursor(&mut bytes[..]);
        to.put(&Header { kind, id, len: BODY as u32 }.encode());
        to.put(&start.number.to_le_bytes());
        to.put(&start.pid.to_le_bytes());
        to.put(&start.at_ms.to_le_bytes());
        bytes
    }

    /// The reply in `bytes`, and the id of the command that it answers.
    pub fn decode(bytes: &[u8; LEN]) -> Result<(u16, Self), Malformed> {
        let mut from = Cursor(&bytes[..]);
        let head = Header::decode(from.take().ok_or(Malformed::Body)?)?;
        if head.len as usize != BODY {
            return Err(Malformed::Body);
        }
        let mut start = || Some(Start { number: from.u32()?, pid: from.u32()?, at_ms: from.u64()? });
        let start = start().ok_or(Malformed::Body)?;
        let reply = match head.kind {
            HELLO => Self::Hello(start),
            RESTARTED => Self::Restarted(start),
            DONE => Self::Done { errno: start.number },
            kind => return Err(Malformed::Kind(kind)),
        };
        Ok((head.id, reply))
    }
}
