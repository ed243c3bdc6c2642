//! Output as the engine sends it: framed by stream, or raw from a terminal.

use bytes::{Buf, Bytes, BytesMut};
use devd_proto::Stream as Origin;
use futures_util::{
    TryStreamExt,
    stream::{self, Stream},
};
use std::io;

/// No engine sends frames of that size; a stream that says so is not a framed one.
const LARGEST: usize = 64 << 20;

/// Reads output. A frame comes as one item; a terminal's bytes as they arrive.
pub(super) fn frames<S>(
    chunks: S,
    terminal: bool,
) -> impl Stream<Item = io::Result<(Origin, Bytes)>> + Send + 'static
where
    S: Stream<Item = io::Result<Bytes>> + Unpin + Send + 'static,
{
    stream::try_unfold((chunks, BytesMut::new()), move |(mut chunks, mut buffer)| async move {
        loop {
            let next = if terminal { raw(&mut buffer) } else { framed(&mut buffer)? };
            match next {
                // An empty write makes an empty frame.
                Some((_, bytes)) if bytes.is_empty() => continue,
                Some(item) => return Ok(Some((item, (chunks, buffer)))),
                None => {}
            }
            match chunks.try_next().await? {
                Some(chunk) => buffer.extend_from_slice(&chunk),
                None if buffer.is_empty() => return Ok(None),
                None => {
                    let cut = "the output broke off inside a frame";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, cut));
                }
            }
        }
    })
}

fn raw(buffer: &mut BytesMut) -> Option<(Origin, Bytes)> {
    (!buffer.is_empty()).then(|| (Origin::Stdout, buffer.split().freeze()))
}

/// `[stream, 0, 0, 0, length as four bytes]`, then so many bytes.
fn framed(buffer: &mut BytesMut) -> io::Result<Option<(Origin, Bytes)>> {
    let Some(header) = buffer.first_chunk::<8>() else { return Ok(None) };
    let [kind, _, _, _, length @ ..] = *header;
    let length = u32::from_be_bytes(length) as usize;
    if kind > 3 || length > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the engine's output is not framed as it should be",
        ));
    }
    if buffer.len() < 8 + length {
        buffer.reserve(8 + length - buffer.len());
        return Ok(None);
    }
    buffer.advance(8);
    let bytes = buffer.split_to(length).freeze();
    match kind {
        2 => Ok(Some((Origin::Stderr, bytes))),
        // The engine's own words about why the stream ends.
        3 => Err(io::Error::other(String::from_utf8_lossy(&bytes).into_owned())),
        _ => Ok(Some((Origin::Stdout, bytes))),
    }
}

/// However it is cut into pieces, it is the same output, and nothing of it is lost.
#[cfg(feature = "fuzzing")]
pub fn fuzz_frames(bytes: &[u8]) {
    use futures_util::{FutureExt as _, StreamExt as _};
    let read = |size: usize, terminal: bool| {
        let chunks: Vec<_> = bytes.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let items = frames(stream::iter(chunks), terminal).collect::<Vec<_>>().now_or_never();
        let items = items.unwrap_or_else(|| panic!("it waits though everything has come"));
        let (good, bad): (Vec<_>, Vec<_>) = items.into_iter().partition(Result::is_ok);
        (good.into_iter().flatten().collect::<Vec<_>>(), bad.len())
    };
    let whole = read(bytes.len().max(1), false);
    for size in [1, 3, 8, 9] {
        assert_eq!(read(size, false), whole);
    }
    let (raw, failed) = read(7, true);
    let raw: Vec<u8> = raw.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    assert!(raw == bytes && failed == 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8], terminal: bool) -> io::Result<Vec<(Origin, Bytes)>> {
        frames(
            stream::iter(bytes.chunks(3).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect::<Vec<_>>()),
            terminal,
        )
        .try_collect()
        .await
    }

    #[tokio::test]
    async fn frames_are_told_apart() {
        let bytes = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x03err";
        let expected =
            [(Origin::Stdout, Bytes::from_static(b"out")), (Origin::Stderr, Bytes::from_static(b"err"))];
        assert_eq!(read(bytes, false).await.unwrap(), expected);
        assert_eq!(read(&bytes[..5], false).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read(b"hello world", false).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read(b"\x03\0\0\0\0\0\0\x02no", false).await.unwrap_err().to_string(), "no");
    }

    #[tokio::test]
    async fn a_terminal_is_not_framed() {
        let prompt = b"\x01\0\0\0\0\0\0\x03";
        let read = read(prompt, true).await.unwrap();
        assert!(read.iter().all(|(origin, _)| *origin == Origin::Stdout));
        assert_eq!(read.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>(), prompt);
    }
}
