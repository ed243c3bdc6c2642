//! The park's side of a container in memory.

use super::Fake;
use bytes::Bytes;
use devd_park::protocol::command::{self, Command};
use devd_park::protocol::record::{Exit, How, Record};
use devd_proto::Stream;
use tokio::sync::mpsc;

impl Fake {
    /// A container under the park: waits for the word, runs once, and is gone when its input ends.
    pub(super) async fn parked(
        &self,
        lease: Lease,
        mut input: mpsc::Receiver<Bytes>,
        output: &mpsc::Sender<(Stream, Bytes)>,
    ) {
        let container = &lease.container;
        let record = |record: Record| Bytes::copy_from_slice(&record.encode());
        // Nobody may read any more; so below.
        let _ = output.send((Stream::Stdout, record(Record::Ready))).await;
        let killed = self.world().containers.get(container).map(|it| it.killed.clone()).unwrap_or_default();
        let frame = tokio::select! {
            frame = input.recv() => frame.unwrap_or_default(),
            () = killed.cancelled() => Bytes::new(),
        };
        if let Ok(Some((_, Command::Run { nonce, .. }, _))) = Command::parse(&frame, command::MAX_BODY) {
            let behaviour = {
                let mut world = self.world();
                let name = world.named(container);
                world.journal.push(format!("run {name}"));
                world.tests.clone()
            };
            let _ = output.send((Stream::Stderr, Bytes::from(behaviour.output))).await;
            tokio::select! {
                () = tokio::time::sleep(behaviour.takes) => {
                    let how = How::Exited(u8::try_from(behaviour.exit).unwrap_or(255));
                    let exit = record(Record::Exit(Exit { nonce, how, wall_ns: 0, at_ms: 0 }));
                    let _ = output.send((Stream::Stdout, exit.clone())).await;
                    let _ = output.send((Stream::Stderr, exit)).await;
                }
                // Nobody wants it any more.
                _ = input.recv() => {}
                () = killed.cancelled() => {}
            }
        }
    }
}

/// The container goes with what runs in it, and be it that the daemon is gone and its side of the input with it.
pub(super) struct Lease {
    fake: Fake,
    container: String,
}

impl Lease {
    /// Of a container that has just started.
    pub(super) fn new(fake: &Fake, container: &str) -> Self {
        Self { fake: fake.clone(), container: container.to_owned() }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.fake.world().containers.remove(&self.container);
    }
}
