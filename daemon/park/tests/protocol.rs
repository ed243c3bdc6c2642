//! The protocol with itself at both ends, and with whatever bytes there are.

#![expect(clippy::indexing_slicing, reason = "a test that goes wrong says where")]
#![expect(clippy::panic, reason = "a test that goes wrong says so")]

use devd_park::protocol::command::{self, Command, MAX_ARGS, MAX_BODY, Unsuitable};
use devd_park::protocol::record::{self, Exit, How, Record};
use devd_park::protocol::reply::{self, Reply, Start};
use devd_park::protocol::split::{Part, Splitter};
use devd_park::protocol::{Header, Malformed, Nonce, READY, VERSION};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a stream was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Record(Record),
}

/// Reads `stream` in chunks of `sizes`, over and over; pieces of output that touch are one.
fn split(nonce: Nonce, stream: &[u8], sizes: &[usize]) -> Vec<Piece> {
    let mut splitter = Splitter::new(nonce);
    let mut pieces = Vec::new();
    let mut take = |part: Part<'_>| match (part, pieces.last_mut()) {
        (Part::Bytes([]), _) => panic!("an empty part"),
        (Part::Bytes(bytes), Some(Piece::Bytes(last))) => last.extend_from_slice(bytes),
        (Part::Bytes(bytes), _) => pieces.push(Piece::Bytes(bytes.to_vec())),
        (Part::Record(record), _) => pieces.push(Piece::Record(record)),
    };
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        let (chunk, left) = rest.split_at(rest.len().min(*size));
        splitter.feed(chunk, &mut take);
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    splitter.finish(&mut take);
    pieces
}

fn joined(pieces: &[Piece]) -> Vec<u8> {
    let bytes = |piece: &Piece| match piece {
        Piece::Bytes(bytes) => bytes.clone(),
        Piece::Record(record) => record.encode().to_vec(),
    };
    pieces.iter().flat_map(bytes).collect()
}

const OURS: Nonce = [7; 16];

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        any::<u8>().prop_map(How::Exited),
        any::<u8>().prop_map(How::Signalled),
        any::<u32>().prop_map(How::ExecFailed)
    ]
}

fn exit(nonce: impl Strategy<Value = Nonce>) -> impl Strategy<Value = Record> {
    (nonce, how(), any::<u64>(), any::<u64>())
        .prop_map(|(nonce, how, wall_ns, at_ms)| Record::Exit(Exit { nonce, how, wall_ns, at_ms }))
}

/// Bytes that are nearly records.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let nearly = (exit(Just(OURS)), 0..record::LEN, 1..=u8::MAX).prop_map(|(record, at, flip)| {
        let mut bytes = record.encode();
        bytes[at] ^= flip;
        bytes.to_vec()
    });
    prop_oneof![
        vec(any::<u8>(), 1..100),
        vec(Just(0), 1..100),
        vec(prop_oneof![Just(0), Just(0xff), Just(b'd')], 1..100),
        (1..=record::MAGIC.len()).prop_map(|len| record::MAGIC[..len].to_vec()),
        (exit(Just(OURS)), 1..record::LEN).prop_map(|(record, len)| record.encode()[..len].to_vec()),
        exit(Just([8; 16])).prop_map(|record| record.encode().to_vec()),
        Just(Record::Ready.encode().to_vec()),
        nearly,
    ]
}

/// Streams of output and records, no two pieces of output beside each other.
fn stream() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![
        2 => vec(garbage(), 1..4).prop_map(|parts| Piece::Bytes(parts.concat())),
        1 => exit(Just(OURS)).prop_map(Piece::Record),
    ];
    vec(piece, 0..8).prop_map(|pieces| {
        let mut merged: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (piece, merged.last_mut()) {
                (Piece::Bytes(bytes), Some(Piece::Bytes(last))) => last.extend(bytes),
                (piece, _) => merged.push(piece),
            }
        }
        merged
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_are_found_and_all_else_passes(pieces in stream(), sizes in vec(1_usize..150, 1..8)) {
        prop_assert_eq!(split(OURS, &joined(&pieces), &sizes), pieces);
    }

    #[test]
    fn no_byte_is_lost_added_or_moved(parts in vec(garbage(), 0..8), sizes in vec(1_usize..150, 1..8)) {
        let stream = parts.concat();
        let pieces = split(OURS, &stream, &sizes);
        prop_assert_eq!(joined(&pieces), stream.clone());
        prop_assert_eq!(pieces, split(OURS, &stream, &[usize::MAX]));
    }

    #[test]
    fn little_is_kept_back(parts in vec(garbage(), 0..8)) {
        let mut splitter = Splitter::new(OURS);
        let (mut came, mut went) = (0, 0);
        for byte in parts.concat() {
            came += 1;
            splitter.feed(&[byte], |part| went += match part {
                Part::Bytes(bytes) => bytes.len(),
                Part::Record(_) => record::LEN,
            });
            prop_assert!(came - went < record::LEN);
        }
    }

    #[test]
    fn records_come_back(record in exit(any::<Nonce>())) {
        prop_assert_eq!(Record::decode(&record.encode()), Some(record));
    }

    #[test]
    fn a_changed_record_is_none(record in exit(any::<Nonce>()), at in 0..record::LEN, flip in 1..=u8::MAX) {
        let mut bytes = record.encode();
        bytes[at] ^= flip;
        prop_assert_eq!(Record::decode(&bytes), None);
    }

    #[test]
    fn replies_come_back(id in any::<u16>(), kind in 0..3, number in any::<u32>(), pid in any::<u32>(), at_ms in any::<u64>()) {
        let start = Start { number, pid, at_ms };
        let reply = match kind {
            0 => Reply::Hello(start),
            1 => Reply::Restarted(start),
            _ => Reply::Done { errno: number },
        };
        prop_assert_eq!(Reply::decode(&reply.encode(id)), Ok((id, reply)));
    }

    #[test]
    fn any_bytes_are_a_reply_or_an_error(bytes in vec(any::<u8>(), reply::LEN..=reply::LEN)) {
        if let Some(bytes) = bytes.first_chunk() {
            let _ = Reply::decode(bytes);
            let mut bytes = *bytes;
            bytes[0] = VERSION;
            let _ = Reply::decode(&bytes);
        }
    }

    #[test]
    fn run_comes_back(nonce in any::<Nonce>(), argv in vec(vec(1..=u8::MAX, 0..20), 0..20)) {
        let frame = command::run(&nonce, &argv);
        let frame = frame.as_deref().unwrap_or_default();
        let Ok(Some((0, Command::Run { nonce: read, argv: args }, size))) = Command::parse(frame, MAX_BODY) else {
            panic!("{:?}", Command::parse(frame, MAX_BODY));
        };
        prop_assert_eq!((read, size, args.len(), args.is_empty()), (nonce, frame.len(), argv.len(), argv.is_empty()));
        let args: Vec<_> = args.iter().filter_map(|arg| arg.strip_suffix(&[0])).collect();
        prop_assert_eq!(args, argv);
    }

    #[test]
    fn commands_come_back(id in any::<u16>(), signal in any::<u32>(), grace_ms in any::<u32>(), more in vec(any::<u8>(), 0..9)) {
        let signal_frame = [&command::signal(id, signal)[..], &more].concat();
        prop_assert_eq!(Command::parse(&signal_frame, 4), Ok(Some((id, Command::Signal { signal }, 12))));
        let restart_frame = [&command::restart(id, grace_ms, signal)[..], &more].concat();
        prop_assert_eq!(
            Command::parse(&restart_frame, 8),
            Ok(Some((id, Command::Restart { grace_ms, signal }, 16)))
        );
        let kill_frame = [&command::kill(id)[..], &more].concat();
        prop_assert_eq!(Command::parse(&kill_frame, 0), Ok(Some((id, Command::Kill, 8))));
    }

    #[test]
    fn half_a_command_is_waited_for(argv in vec(vec(1..=u8::MAX, 0..20), 0..5), cut in any::<prop::sample::Index>()) {
        let frame = command::run(&OURS, &argv).unwrap_or_default();
        prop_assert_eq!(Command::parse(&frame[..cut.index(frame.len())], MAX_BODY), Ok(None));
    }

    #[test]
    fn any_bytes_are_a_command_an_error_or_too_few(bytes in vec(any::<u8>(), 0..200), kind in 0..6_u8, len in 0..100_u32) {
        let header = Header { kind, id: 1, len }.encode();
        for bytes in [bytes.clone(), [&header[..], &bytes].concat()] {
            if let Ok(Some((_, _, size))) = Command::parse(&bytes, MAX_BODY) {
                prop_assert!((Header::LEN..=bytes.len()).contains(&size));
            }
        }
    }
}

#[test]
fn what_cannot_become_a_command_is_refused_at_once() {
    let header = |kind, len| Header { kind, id: 0, len }.encode();
    let refused = |bytes: &[u8], max| Command::parse(bytes, max).err();
    assert_eq!(refused(&[9], MAX_BODY), Some(Malformed::Version(9)));
    assert_eq!(refused(&header(77, 0), MAX_BODY), Some(Malformed::Kind(77)));
    assert_eq!(refused(&header(1, MAX_BODY + 1), u32::MAX), Some(Malformed::TooLong(MAX_BODY + 1)));
    assert_eq!(refused(&header(1, 100), 64), Some(Malformed::TooLong(100)));
    assert_eq!(refused(&header(1, 15), MAX_BODY), Some(Malformed::Body));
    assert_eq!(refused(&header(2, 3), MAX_BODY), Some(Malformed::Body));
    let unended = [&header(1, 17)[..], &OURS, b"x"].concat();
    assert_eq!(refused(&unended, MAX_BODY), Some(Malformed::Body));
    let many = [&header(1, 16 + MAX_ARGS as u32 + 1)[..], &OURS, &vec![0; MAX_ARGS + 1]].concat();
    assert_eq!(refused(&many, MAX_BODY), Some(Malformed::Body));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    assert_eq!(command::run(&OURS, &["a", "b\0c"]), Err(Unsuitable::Nul(1)));
    assert_eq!(command::run(&OURS, &vec![""; MAX_ARGS + 1]), Err(Unsuitable::TooLong));
    assert_eq!(command::run(&OURS, &["x".repeat(MAX_BODY as usize)]), Err(Unsuitable::TooLong));
    assert!(command::run(&OURS, &["x".repeat(MAX_BODY as usize - 17)]).is_ok());
}

#[test]
fn ready_is_a_record_until_another_is_expected() {
    let ready = Record::Ready.encode();
    let mut splitter = Splitter::new(READY);
    let mut parts = Vec::new();
    splitter.feed(&ready, |part| parts.push(part == Part::Record(Record::Ready)));
    splitter.expect(OURS);
    splitter.feed(&ready, |part| parts.push(part == Part::Bytes(&ready)));
    assert_eq!(parts, [true, true]);
}

#[test]
fn the_bytes_are_as_documented() {
    let exit = Exit { nonce: OURS, how: How::Signalled(9), wall_ns: 0x0102, at_ms: 0x0304 };
    let bytes = Record::Exit(exit).encode();
    assert_eq!(bytes.len(), 58);
    assert_eq!(bytes[..12], *b"\0\xffdevd-park\0");
    assert_eq!(bytes[12..14], [1, 3]);
    assert_eq!(bytes[14..30], OURS);
    assert_eq!(bytes[30..34], [9, 0, 0, 0]);
    assert_eq!(bytes[34..42], [2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[42..50], [4, 3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(command::restart(0x0102, 5, 15), [1, 4, 2, 1, 8, 0, 0, 0, 5, 0, 0, 0, 15, 0, 0, 0]);
    assert_eq!(command::signal(1, 10), [1, 2, 1, 0, 4, 0, 0, 0, 10, 0, 0, 0]);
    assert_eq!(command::kill(0), [1, 3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        command::run(&OURS, &["a", ""]).as_deref(),
        Ok(&[&[1, 1, 0, 0, 19, 0, 0, 0][..], &OURS, b"a\0\0"].concat()[..])
    );
    let done = Reply::Done { errno: 3 }.encode(7);
    assert_eq!(done, [1, 0x83, 7, 0, 16, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn codes_are_those_of_shells() {
    let ends = [How::Exited(3), How::Signalled(9), How::ExecFailed(2), How::ExecFailed(13)];
    assert_eq!(ends.map(How::code), [3, 137, 127, 126]);
}
