//! The park's end: bytes from whoever has its input or its socket; and devd's end of the answers on that socket.

#![no_main]

use devd_park::protocol::command::{self, Command, MAX_BODY};
use devd_park::protocol::reply::{self, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for max_body in [MAX_BODY, 64, 8] {
        // As they come: what is refused stays refused, and what is a command is one as soon as all of it is there.
        let whole = Command::parse(bytes, max_body);
        for end in 0..bytes.len() {
            match (Command::parse(&bytes[..end], max_body), whole) {
                (Ok(None), _) => {}
                (part, whole) => assert_eq!(part, whole, "{end} bytes"),
            }
        }
        let Ok(Some((id, found, size))) = whole else { continue };
        let said = match found {
            Command::Run { nonce, argv } => {
                let argv: Vec<_> = argv.iter().map(|arg| &arg[..arg.len() - 1]).collect();
                let mut said = command::run(&nonce, &argv).expect("what was received can be sent");
                // Nobody answers it, so its id means nothing.
                said[2..4].copy_from_slice(&id.to_le_bytes());
                said
            }
            Command::Signal { signal } => command::signal(id, signal).to_vec(),
            Command::Kill => command::kill(id).to_vec(),
            Command::Restart { grace_ms, signal } => command::restart(id, grace_ms, signal).to_vec(),
        };
        assert_eq!(said, bytes[..size]);
    }
    if let Some(bytes) = bytes.first_chunk::<{ reply::LEN }>()
        && let Ok((id, reply)) = Reply::decode(bytes)
    {
        assert_eq!(Reply::decode(&reply.encode(id)), Ok((id, reply)));
    }
});
