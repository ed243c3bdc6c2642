//! The byte stream of `exec` after its `101`: frames in both directions.
//!
//! A frame is one byte of kind, four bytes of length (big endian), and that many bytes. Client to daemon: `Stdin`,
//! `StdinEnd`, `Resize`. Daemon to client: `Stdout`, `Stderr`, and one `Exit` or `Error` at the end.

/// The largest payload of a frame; a longer one is a protocol error.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// The length of a frame's head.
pub const HEAD: usize = 5;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Bytes for the command's standard input.
    Stdin = 0,
    /// Bytes of its standard output; of the terminal when there is one.
    Stdout = 1,
    /// Bytes of its standard error.
    Stderr = 2,
    /// The terminal's new size: columns and rows, two bytes each, big endian.
    Resize = 3,
    /// The end of standard input; no payload.
    StdinEnd = 4,
    /// The exit code: four bytes, big endian, signed.
    Exit = 5,
    /// The command could not be run or was lost; a [`crate::Problem`] as JSON.
    Error = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Stdin, Self::Stdout, Self::Stderr, Self::Resize, Self::StdinEnd, Self::Exit, Self::Error]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Encodes one frame; `payload` is at most [`MAX_PAYLOAD`] long.
pub fn encode(kind: Kind, payload: &[u8]) -> Vec<u8> {
    debug_assert!(payload.len() <= MAX_PAYLOAD, "split it");
    let mut frame = Vec::with_capacity(HEAD + payload.len());
    frame.push(kind as u8);
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Bytes that are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Takes the first whole frame off `buffer`; `None` when there is none yet.
pub fn decode(buffer: &mut Vec<u8>) -> Result<Option<(Kind, Vec<u8>)>, Malformed> {
    let Some((head, rest)) = buffer.split_first_chunk::<HEAD>() else { return Ok(None) };
    let kind = Kind::from_byte(head[0]).ok_or(Malformed)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > MAX_PAYLOAD {
        return Err(Malformed);
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    let payload = payload.to_vec();
    buffer.drain(..HEAD + length);
    Ok(Some((kind, payload)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_whole_and_in_order() {
        let mut wire = encode(Kind::Stdout, b"hello");
        wire.extend(encode(Kind::Exit, &7i32.to_be_bytes()));
        let mut buffer = Vec::new();
        let mut seen = Vec::new();
        for byte in wire {
            buffer.push(byte);
            while let Some(frame) = decode(&mut buffer).unwrap() {
                seen.push(frame);
            }
        }
        assert_eq!(seen, [(Kind::Stdout, b"hello".to_vec()), (Kind::Exit, vec![0, 0, 0, 7])]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn an_unknown_kind_or_a_huge_length_is_refused() {
        assert_eq!(decode(&mut vec![9, 0, 0, 0, 0]), Err(Malformed));
        assert_eq!(decode(&mut vec![1, 255, 255, 255, 255]), Err(Malformed));
    }
}
