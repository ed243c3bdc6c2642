//! Who holds an environment.

use super::machine::{Machine, Place};
use crate::project::Message;
use devd_logic::{EnvironmentId, Event};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// An environment in use: the logic leaves it alone until this is dropped, and removes it then.
#[derive(Debug)]
pub struct Held {
    /// Its id.
    pub id: EnvironmentId,
    sender: mpsc::UnboundedSender<Message>,
    _place: Place,
}

impl Held {
    /// A new environment, of which nothing is made yet.
    pub(super) fn new(sender: &mpsc::UnboundedSender<Message>, machine: &Arc<Machine>) -> Self {
        let this = Self { id: fresh_id(), sender: sender.clone(), _place: Place::take(machine) };
        // Said before anything is made: no look can see what the logic has not heard of.
        let _ = this.sender.send(Message::Event(Event::EnvironmentHeld(this.id.clone())));
        this
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // When the loop has ended, the next start finds it.
        let _ = self.sender.send(Message::Event(Event::EnvironmentLeft(self.id.clone())));
    }
}

/// An id that no environment has had, those of earlier daemons and of others on the same engine included: milliseconds
/// since 1970 and a number.
fn fresh_id() -> EnvironmentId {
    static BEGAN: OnceLock<i64> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let began = BEGAN.get_or_init(|| jiff::Timestamp::now().as_millisecond());
    EnvironmentId::new(format!("{began:x}-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}
