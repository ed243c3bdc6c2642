//! The words between devd and the park. Both ends use this module; README.md has the bytes.
//!
//! | | way | on |
//! |---|---|---|
//! | [`command`] | devd → park | stdin of `wait`, control socket of `serve` |
//! | [`record`] | park → devd | stdout and stderr of `wait`, inside the output of the command |
//! | [`reply`] | park → devd | control socket of `serve` |
//!
//! Numbers are little-endian. Nothing here panics, whatever the bytes.

pub mod command;
pub mod record;
pub mod reply;
pub mod split;

/// The version of the protocol, the first byte of every frame. Another version is another language: there is no
/// negotiation, and who hears one that it does not know hangs up.
pub const VERSION: u8 = 1;

/// What ties the records of a run to its RUN command, so that bytes from elsewhere are not taken for them.
pub type Nonce = [u8; 16];

/// The nonce of READY, which is written before there is a run.
pub const READY: Nonce = [0; 16];

/// Where `serve` listens when it is not told otherwise.
pub const CONTROL: &str = "/.devd/run/control";

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Another version of the protocol.
    Version(u8),
    /// No such kind of frame.
    Kind(u8),
    /// The body is longer than its kind may be, or than the reader can hold.
    TooLong(u32),
    /// The body does not have the form of its kind.
    Body,
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version} of the protocol, not {VERSION}"),
            Self::Kind(kind) => write!(f, "unknown kind of frame {kind}"),
            Self::TooLong(len) => write!(f, "a frame of {len} bytes is too long"),
            Self::Body => write!(f, "the body of the frame has another form"),
        }
    }
}

impl core::error::Error for Malformed {}

/// What stands before the body of commands and replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u8,
    /// Chosen by devd; a reply has the one of its command.
    pub id: u16,
    /// Length of the body.
    pub len: u32,
}

impl Header {
    /// Its length in bytes.
    pub const LEN: usize = 8;

    /// The bytes.
    pub const fn encode(&self) -> [u8; Self::LEN] {
        let [i0, i1] = self.id.to_le_bytes();
        let [l0, l1, l2, l3] = self.len.to_le_bytes();
        [VERSION, self.kind, i0, i1, l0, l1, l2, l3]
    }

    /// The header in `bytes`, if it is of this version.
    pub const fn decode(bytes: [u8; Self::LEN]) -> Result<Self, Malformed> {
        let [version, kind, i0, i1, l0, l1, l2, l3] = bytes;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        Ok(Self { kind, id: u16::from_le_bytes([i0, i1]), len: u32::from_le_bytes([l0, l1, l2, l3]) })
    }
}

/// Bytes with a place to read at or write to.
pub(crate) struct Cursor<T>(pub(crate) T);

impl<'a> Cursor<&'a [u8]> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

impl Cursor<&mut [u8]> {
    /// Writes `bytes`; what does not fit is a mistake of the caller and is left out.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let room = core::mem::take(&mut self.0);
        let at = bytes.len().min(room.len());
        let (here, rest) = room.split_at_mut(at);
        here.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.0 = rest;
    }
}
