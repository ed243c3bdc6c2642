//! The command as a process: its start, its signals, its end.

use super::exec::{Failure, exec};
use super::say::complain;
use super::sys::{self, Errno, Fd};
use super::{Strings, signals};
use crate::protocol::record::How;

/// The main process of the command.
pub(super) struct Child {
    pub(super) pid: i32,
    /// When it was forked, by the monotonic clock.
    pub(super) since: u64,
    /// And by the real one, in milliseconds.
    pub(super) at_ms: u64,
    /// It says here why it could not execute, and closes without a word when it could.
    report: Fd,
    state: State,
}

/// Whether the program was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Starting,
    Executed,
    Failed(u32),
}

/// Where the stdin of the command comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stdin {
    Inherited,
    Null,
}

impl Child {
    /// Starts the command in a session of its own.
    pub(super) fn start(argv: Strings, env: Strings, stdin: Stdin) -> Result<Self, Errno> {
        let (report, to_report) = sys::pipe()?;
        let (since, at_ms) = (sys::monotonic(), sys::realtime() / 1_000_000);
        // SAFETY: the park has one thread.
        let Some(pid) = (unsafe { sys::fork() })? else {
            become_command(argv, env, stdin, &to_report);
        };
        Ok(Self { pid, since, at_ms, report, state: State::Starting })
    }

    /// What to wait for while it is starting.
    pub(super) fn poll(&self) -> sys::PollFd {
        match self.state {
            State::Starting => sys::PollFd::readable(self.report.raw()),
            State::Executed | State::Failed(_) => sys::PollFd::NONE,
        }
    }

    /// Whether the program was executed, as far as that is known by now.
    pub(super) fn state(&mut self) -> State {
        if self.state == State::Starting {
            let mut errno = [0; 4];
            self.state = match sys::read(self.report.raw(), &mut errno) {
                Ok(0) => State::Executed,
                Ok(_) => State::Failed(u32::from_ne_bytes(errno)),
                Err(_) => State::Starting,
            };
        }
        self.state
    }

    /// Sends a signal to the main process only.
    pub(super) fn signal(&self, signal: u32) -> Result<(), Errno> {
        sys::kill(self.pid, signal)
    }

    /// Sends a signal to the group of the main process, which must not have been reaped.
    pub(super) fn signal_group(&self, signal: u32) -> Result<(), Errno> {
        match sys::kill(self.pid.saturating_neg(), signal) {
            // It has not come to make its group. All signals are blocked there: this one waits.
            Err(Errno::ESRCH) => self.signal(signal),
            result => result,
        }
    }

    /// What `status` of `wait4(2)` says of its end.
    pub(super) fn end(&mut self, status: u32) -> How {
        match (self.state(), status & 0x7f) {
            (State::Failed(errno), _) => How::ExecFailed(errno),
            (_, 0) => How::Exited((status >> 8) as u8),
            (_, signal) => How::Signalled(signal as u8),
        }
    }
}

fn become_command(argv: Strings, env: Strings, stdin: Stdin, report: &Fd) -> ! {
    let failure = match prepare(stdin) {
        Ok(()) => exec(argv, env),
        Err(errno) => errno.into(),
    };
    let Failure { errno, reason } = failure;
    // Four bytes into an empty pipe.
    let _ = sys::write(report.raw(), &errno.0.to_ne_bytes());
    complain_of(argv, reason);
    sys::exit(How::ExecFailed(errno.0).code())
}

/// Says why `argv` was not executed.
pub(super) fn complain_of(argv: Strings, reason: &'static str) {
    let name = argv.first().unwrap_or_default().to_bytes();
    // The end of a message matters more than that of a name.
    complain(&[name.get(..512).unwrap_or(name), b": ", reason.as_bytes()]);
}

fn prepare(stdin: Stdin) -> Result<(), Errno> {
    // A new process leads no group, so this cannot fail.
    let _ = sys::setsid();
    if stdin == Stdin::Null {
        // Without /dev, a pipe that nobody writes to is as empty.
        let null = sys::open(c"/dev/null").or_else(|_| sys::pipe().map(|(read, _)| read))?;
        sys::dup_to(&null, sys::STDIN)?;
    }
    sys::block(0);
    Ok(())
}

/// What happened to the children.
pub(super) enum Reaped {
    /// One of them ended, with this status.
    Child(i32, u32),
    /// All that are there live.
    Alive,
    /// There are none.
    None,
}

/// The next child that has ended.
pub(super) fn reap() -> Reaped {
    loop {
        match sys::reap() {
            Ok(Some((pid, status))) => return Reaped::Child(pid, status),
            Ok(None) => return Reaped::Alive,
            Err(Errno::EINTR) => {}
            Err(_) => return Reaped::None,
        }
    }
}

/// A signal that the kernel has.
pub(super) const fn is_signal(signal: u32) -> bool {
    matches!(signal, 1..=signals::LAST)
}
