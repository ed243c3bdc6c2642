//! Everything that descends from the park.
//!
//! A descendant whose parent ends becomes a child of the park, so whoever kills the children until there are none has
//! killed all of them. Processes that came in by `docker exec` are no descendants, and stay.

use super::child::{Reaped, reap};
use super::signals::KILL;
use super::sys::{self, Errno, PollFd};

/// How long to wait before looking again for children, in nanoseconds: the kernel's list may miss some while others
/// are ending.
pub(super) const AGAIN: u64 = 10_000_000;

/// Kills the children that there are now. False when none is left that the park may kill, though there be some:
/// programs with more rights than their user.
pub(super) fn kill_children() -> bool {
    let (mut seen, mut killed) = (false, false);
    let complete = each_child(|pid| {
        seen = true;
        // One that has just ended is still to be reaped.
        killed |= sys::kill(pid, KILL) != Err(Errno::EPERM);
    });
    match complete {
        Ok(()) => killed || !seen,
        // A kernel without the list, or no /proc. The exec'd ones have to go too.
        Err(_) => kill_namespace(),
    }
}

/// Kills the tree, and with PID 1 whatever else is in the container: a program that forks faster than its children are
/// listed cannot get away from that. False as for [`kill_children`].
pub(super) fn kill_all() -> bool {
    kill_namespace();
    kill_children()
}

fn kill_namespace() -> bool {
    sys::getpid() == 1 && sys::kill(-1, KILL).is_ok()
}

/// Kills the tree and ends. The kernel kills whatever is left around PID 1, however many there are.
pub(super) fn end(code: u8) -> ! {
    if sys::getpid() != 1 {
        // Elsewhere the tree is killed by hand, for ten seconds at most.
        for _ in 0..10_000 {
            match reap() {
                Reaped::Child(..) => continue,
                Reaped::None => break,
                Reaped::Alive if !kill_children() => break,
                Reaped::Alive => {}
            }
            let _ = sys::poll(&mut [PollFd::NONE], Some(1_000_000));
        }
    }
    sys::exit(code)
}

fn each_child(mut each: impl FnMut(i32)) -> Result<(), Errno> {
    let list = sys::open(c"/proc/thread-self/children")?;
    let mut buffer = [0; 1024];
    let mut numbers = Numbers::default();
    loop {
        let len = sys::read(list.raw(), &mut buffer)?;
        let bytes = buffer.get(..len).unwrap_or_default();
        bytes.iter().filter_map(|byte| numbers.next(*byte)).for_each(&mut each);
        if bytes.is_empty() {
            numbers.next(b' ').into_iter().for_each(&mut each);
            return Ok(());
        }
    }
}

/// Decimal numbers between other bytes, one byte at a time.
#[derive(Default)]
struct Numbers(Option<i32>);

impl Numbers {
    /// The number that `byte` ends. Never one that `kill` takes for more than one process.
    fn next(&mut self, byte: u8) -> Option<i32> {
        if byte.is_ascii_digit() {
            let digit = i32::from(byte.wrapping_sub(b'0'));
            self.0 = Some(self.0.unwrap_or(0).saturating_mul(10).saturating_add(digit));
            return None;
        }
        self.0.take().filter(|number| *number > 1)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Numbers;
    use std::vec::Vec;

    #[test]
    fn a_list_of_children_is_read_byte_by_byte() {
        let mut numbers = Numbers::default();
        let read: Vec<_> = b"12 7 0 1 -1 345\n".iter().filter_map(|byte| numbers.next(*byte)).collect();
        assert_eq!(read, [12, 7, 345]);
    }

    #[test]
    fn every_child_of_this_thread_is_listed() -> std::io::Result<()> {
        let mut child = std::process::Command::new("sleep").arg("600").spawn()?;
        let mut seen = Vec::new();
        let read = super::each_child(|pid| seen.push(pid.unsigned_abs()));
        child.kill()?;
        child.wait()?;
        assert_eq!(read, Ok(()), "the kernel has no such list");
        assert!(seen.contains(&child.id()));
        Ok(())
    }
}
