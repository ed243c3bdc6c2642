//! Who holds an environment.

use super::machine::{Machine, Place};
use crate::project::Message;
use devd_logic::{EnvironmentId, Event};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
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

/// An id that no environment has had, those of earlier daemons and of others on the same engine included: this daemon's
/// own word and a number.
fn fresh_id() -> EnvironmentId {
    static OWN: OnceLock<String> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    EnvironmentId::new(format!("{}-{}", OWN.get_or_init(own_word), NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Seconds since 1970, and something by chance: daemons that die are started again within a second, and clocks are set
/// back. The standard library's hash maps get their keys from the system.
fn own_word() -> String {
    let chance = RandomState::new().build_hasher().finish() & 0xffff_ffff;
    format!("{:x}{chance:08x}", jiff::Timestamp::now().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_daemons_that_begin_in_the_same_second_make_no_environment_of_the_same_id() {
        let words: std::collections::BTreeSet<String> = (0..100).map(|_| own_word()).collect();
        assert_eq!(words.len(), 100);
        assert_ne!(fresh_id(), fresh_id());
    }
}
