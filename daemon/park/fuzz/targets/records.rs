//! devd's end: the park's records inside the output of whatever a test is.

#![no_main]

use devd_park::protocol::record::{LEN, Record};
use devd_park::protocol::split::{Part, Splitter};
use libfuzzer_sys::fuzz_target;

/// What comes out, with touching bytes as one; and that none is lost, added or moved.
fn split(stream: &[u8], size: usize) -> Vec<(Option<Record>, Vec<u8>)> {
    // The nonce of the seeds' records.
    let mut splitter = Splitter::new([7; 16]);
    let mut parts: Vec<(Option<Record>, Vec<u8>)> = Vec::new();
    let mut take = |part: Part<'_>| match part {
        Part::Record(record) => parts.push((Some(record), record.encode().to_vec())),
        Part::Bytes(bytes) => match parts.last_mut() {
            Some((None, last)) => last.extend_from_slice(bytes),
            _ => parts.push((None, bytes.to_vec())),
        },
    };
    let (mut came, mut went) = (0, 0);
    for chunk in stream.chunks(size) {
        came += chunk.len();
        splitter.feed(chunk, |part| {
            went += match part {
                Part::Record(_) => LEN,
                Part::Bytes(bytes) => bytes.len(),
            };
            take(part);
        });
        // No output waits behind what may yet be a record for longer than that can take.
        assert!(came - went < LEN);
    }
    splitter.finish(&mut take);
    assert_eq!(parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), stream);
    parts
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, stream) = input;
    let whole = split(stream, usize::MAX);
    assert_eq!(split(stream, usize::from(size).max(1)), whole);
    assert_eq!(split(stream, 1), whole);
});
