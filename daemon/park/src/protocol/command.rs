//! What devd tells the park.

use super::{Cursor, Header, Malformed, Nonce};

/// The longest body: the nonce and arguments of RUN.
pub const MAX_BODY: u32 = 1 << 20;
/// The most arguments of RUN.
pub const MAX_ARGS: usize = 16 * 1024;

const RUN: u8 = 1;
const SIGNAL: u8 = 2;
const KILL: u8 = 3;
const RESTART: u8 = 4;

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Start the command. `wait` only, once.
    Run { nonce: Nonce, argv: Argv<'a> },
    /// Send a signal: `wait` to the group of the command, `serve` to its main process only.
    Signal { signal: u32 },
    /// Kill the command and all that descends from it. `wait` only.
    Kill,
    /// Stop the command and start it again. `serve` only.
    Restart { grace_ms: u32, signal: u32 },
}

/// The arguments of RUN. None of them: the ones that the park itself was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argv<'a>(&'a [u8]);

impl<'a> Argv<'a> {
    /// The arguments in `bytes`, each ended by a NUL.
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let ended = bytes.last().is_none_or(|last| *last == 0);
        let argv = Self(bytes);
        (ended && argv.len() <= MAX_ARGS).then_some(argv)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.iter().filter(|byte| **byte == 0).count()
    }

    /// Each argument with its NUL, as `execve` wants them.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.0.split_inclusive(|byte| *byte == 0)
    }
}

impl<'a> Command<'a> {
    /// The command at the start of `bytes`, the id of its frame, and how many bytes it took; nothing while bytes are
    /// missing. `max_body` is what the reader can hold. What cannot become a command is refused as early as that is
    /// known, so that nobody waits for a body that has no use.
    pub fn parse(bytes: &'a [u8], max_body: u32) -> Result<Option<(u16, Self, usize)>, Malformed> {
        let Some((head, body)) = bytes.split_first_chunk::<{ Header::LEN }>() else {
            return match bytes {
                [version, ..] if *version != super::VERSION => Err(Malformed::Version(*version)),
                _ => Ok(None),
            };
        };
        let Header { kind, id, len } = Header::decode(*head)?;
        let lengths = match kind {
            RUN => size_of::<Nonce>() as u32..=MAX_BODY,
            SIGNAL => 4..=4,
            KILL => 0..=0,
            RESTART => 8..=8,
            _ => return Err(Malformed::Kind(kind)),
        };
        if len > max_body.min(*lengths.end()) {
            return Err(Malformed::TooLong(len));
        }
        if len < *lengths.start() {
            return Err(Malformed::Body);
        }
        let Some(body) = body.get(..len as usize) else {
            return Ok(None);
        };
        let command = Self::of(kind, body).ok_or(Malformed::Body)?;
        Ok(Some((id, command, Header::LEN + body.len())))
    }

    fn of(kind: u8, body: &'a [u8]) -> Option<Self> {
        let mut body = Cursor(body);
        let command = match kind {
            RUN => Self::Run { nonce: body.take()?, argv: Argv::new(body.rest())? },
            SIGNAL => Self::Signal { signal: body.u32()? },
            KILL => Self::Kill,
            RESTART => Self::Restart { grace_ms: body.u32()?, signal: body.u32()? },
            _ => return None,
        };
        Some(command)
    }
}

/// SIGNAL as a frame.
pub fn signal(id: u16, signal: u32) -> [u8; Header::LEN + 4] {
    frame(SIGNAL, id, &[&signal.to_le_bytes()])
}

/// KILL as a frame.
pub fn kill(id: u16) -> [u8; Header::LEN] {
    frame(KILL, id, &[])
}

/// RESTART as a frame. The park sends `signal`, waits at most `grace_ms`, and kills.
pub fn restart(id: u16, grace_ms: u32, signal: u32) -> [u8; Header::LEN + 8] {
    frame(RESTART, id, &[&grace_ms.to_le_bytes(), &signal.to_le_bytes()])
}

fn frame<const N: usize>(kind: u8, id: u16, body: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut to = Cursor(&mut bytes[..]);
    to.put(&Header { kind, id, len: (N - Header::LEN) as u32 }.encode());
    body.iter().for_each(|part| to.put(part));
    bytes
}

/// Why arguments cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsuitable {
    /// The argument at this place has a NUL inside.
    Nul(usize),
    /// More than [`MAX_ARGS`] arguments, or more bytes than [`MAX_BODY`].
    TooLong,
}

impl core::fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Nul(at) => write!(f, "argument {at} has a zero byte inside"),
            Self::TooLong => {
                write!(f, "the command is longer than {MAX_ARGS} arguments or {MAX_BODY} bytes")
            }
        }
    }
}

impl core::error::Error for Unsuitable {}

/// RUN as a frame. No arguments: the ones that the park was started with.
#[cfg(feature = "alloc")]
pub fn run<A: AsRef<[u8]>>(nonce: &Nonce, argv: &[A]) -> Result<alloc::vec::Vec<u8>, Unsuitable> {
    let mut body = alloc::vec::Vec::from(*nonce);
    for (at, arg) in argv.iter().map(AsRef::as_ref).enumerate() {
        if arg.contains(&0) {
            return Err(Unsuitable::Nul(at));
        }
        body.extend_from_slice(arg);
        body.push(0);
    }
    let len = u32::try_from(body.len()).ok().filter(|len| *len <= MAX_BODY && argv.len() <= MAX_ARGS);
    let mut frame =
        alloc::vec::Vec::from(Header { kind: RUN, id: 0, len: len.ok_or(Unsuitable::TooLong)? }.encode());
    frame.append(&mut body);
    Ok(frame)
}
