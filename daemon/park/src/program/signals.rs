//! Signals as something to read: they wait, blocked, until the loop asks for them.

use super::sys::{self, Errno, Fd};

pub(super) const HUP: u32 = 1;
pub(super) const INT: u32 = 2;
pub(super) const QUIT: u32 = 3;
pub(super) const KILL: u32 = 9;
pub(super) const PIPE: u32 = 13;
pub(super) const TERM: u32 = 15;
pub(super) const CHLD: u32 = 17;
pub(super) const TTIN: u32 = 21;
pub(super) const TTOU: u32 = 22;
pub(super) const LAST: u32 = 64;

/// The signals that came in.
pub(super) struct Signals(Fd);

/// The beginning of the kernel's `signalfd_siginfo`: number, errno, code, sender.
const SIGINFO: usize = 128;

impl Signals {
    /// From here on no signal interrupts the park. A blocked signal reaches PID 1 even where the kernel would drop it
    /// for want of a handler.
    pub(super) fn new() -> Result<Self, Errno> {
        sys::block(sys::ALL_SIGNALS);
        // A parent may have left some ignored, and what is ignored stays so in programs that are executed.
        (1..=LAST).for_each(sys::default_action);
        let fd = sys::signalfd(sys::ALL_SIGNALS)?;
        // A new file gets the lowest number that is free: one of the three streams is missing, and this is not it.
        if fd.raw() <= sys::STDERR { Err(Errno::EBADF) } else { Ok(Self(fd)) }
    }

    pub(super) const fn fd(&self) -> i32 {
        self.0.raw()
    }

    /// The next signal that is meant for the command. CHLD is the park's own, TTIN and TTOU come of what the park
    /// itself does with a terminal, and PIPE of its own writing.
    pub(super) fn next(&self) -> Option<u32> {
        loop {
            let mut info = [0_u8; SIGINFO];
            sys::read(self.fd(), &mut info).ok()?;
            let (words, _) = info.as_chunks::<4>();
            let word = |at: usize| words.get(at).copied().map_or(0, u32::from_ne_bytes);
            let (signal, sender) = (word(0), word(3));
            match signal {
                CHLD | TTIN | TTOU => {}
                PIPE if sender == sys::getpid().unsigned_abs() => {}
                _ => return Some(signal),
            }
        }
    }
}

/// How engines ask a container to end, if its image does not say otherwise.
pub(super) const fn asks_to_end(signal: u32) -> bool {
    matches!(signal, TERM | INT | QUIT)
}
