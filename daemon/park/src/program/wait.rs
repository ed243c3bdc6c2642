//! `wait`: holds a command until RUN comes on stdin, runs it once, and says how it ended.
//!
//! stdin is also the lease: when it ends, whatever the park is doing, the tree is killed and the park ends.

use super::child::{Child, Reaped, Stdin, complain_of, is_signal, reap};
use super::say::complain;
use super::signals::{self, Signals};
use super::sys::{self, Errno, PollFd};
use super::{BROKEN, Strings, tree};
use crate::protocol::command::{Argv, Command, MAX_ARGS, MAX_BODY};
use crate::protocol::record::{self, Exit, How, Record};
use crate::protocol::{Header, Nonce};

/// The exit code when the lease is over: as if the engine had killed the container.
const KILLED: u8 = 137;
/// Room for what may come after RUN.
const AFTER_RUN: u32 = 64;

pub(super) fn main(command: Strings, env: Strings) -> ! {
    let mut wait = match Wait::new(command, env) {
        Ok(wait) => wait,
        Err(errno) => {
            complain(&[errno.reason().as_bytes()]);
            sys::exit(BROKEN)
        }
    };
    loop {
        wait.step();
    }
}

struct Wait {
    command: Strings,
    env: Strings,
    signals: Signals,
    stage: Stage,
    stdout: Outgoing,
    stderr: Outgoing,
    /// What came on stdin and was not obeyed yet, and room for more. RUN takes its own bytes out of here for good.
    buffer: &'static mut [u8],
    len: usize,
}

enum Stage {
    Parked,
    Running {
        child: Child,
        nonce: Nonce,
    },
    /// The main process has ended; the rest of the tree is being killed.
    Sweeping(Exit),
    /// Only the records are left to write.
    Ended(Exit),
}

impl Wait {
    fn new(command: Strings, env: Strings) -> Result<Self, Errno> {
        let signals = Signals::new()?;
        sys::become_subreaper();
        let room = MAX_BODY.saturating_add(AFTER_RUN) as usize;
        Ok(Self {
            command,
            env,
            signals,
            stage: Stage::Parked,
            stdout: Outgoing::new(sys::STDOUT, Some(Record::Ready)),
            stderr: Outgoing::new(sys::STDERR, None),
            buffer: sys::pages(room.saturating_add(Header::LEN))?,
            len: 0,
        })
    }

    fn step(&mut self) {
        let mut fds = [
            PollFd::readable(sys::STDIN),
            PollFd::readable(self.signals.fd()),
            self.stdout.poll(),
            self.stderr.poll(),
        ];
        let timeout = matches!(self.stage, Stage::Sweeping(_)).then_some(tree::AGAIN);
        if sys::poll(&mut fds, timeout).is_err() {
            return;
        }
        let [stdin, signals, stdout, stderr] = fds.map(PollFd::ready);
        if stdin {
            self.read();
        }
        if stdout {
            self.stdout.write();
        }
        if stderr {
            self.stderr.write();
        }
        if signals {
            self.pass_signals();
        }
        self.obey();
        self.reap();
        if let Stage::Ended(exit) = &self.stage
            && self.stdout.is_empty()
            && self.stderr.is_empty()
        {
            sys::exit(exit.how.code());
        }
    }

    /// Reads what there is on stdin. Without room for more it ends as if stdin had: devd sends nothing that long
    /// before READY, and afterwards all is obeyed at once.
    fn read(&mut self) {
        let room = self.buffer.get_mut(self.len..).unwrap_or_default();
        match sys::read(sys::STDIN, room) {
            Ok(len) if len > 0 => self.len = self.len.saturating_add(len),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Ok(_) | Err(_) => tree::end(KILLED),
        }
    }

    /// Does what stdin says, as far as it is complete.
    fn obey(&mut self) {
        // READY comes before all output of the command.
        while !matches!(self.stage, Stage::Parked) || self.stdout.is_empty() {
            let longest = if matches!(self.stage, Stage::Parked) { MAX_BODY } else { AFTER_RUN };
            let came = self.buffer.get(..self.len).unwrap_or_default();
            let (command, size) = match Command::parse(came, longest) {
                Ok(None) => return,
                Ok(Some((_, command, size))) => (command, size),
                Err(_) => tree::end(KILLED),
            };
            match (command, &self.stage) {
                (Command::Run { .. }, Stage::Parked) => {
                    self.run(size);
                    continue;
                }
                (Command::Signal { signal }, Stage::Running { child, .. }) if is_signal(signal) => {
                    // A process that is about to end may be gone.
                    let _ = child.signal_group(signal);
                }
                (Command::Kill, Stage::Running { child, .. }) => {
                    let _ = child.signal_group(signals::KILL);
                    tree::kill_all();
                }
                (Command::Signal { .. }, _) | (Command::Kill, Stage::Sweeping(_) | Stage::Ended(_)) => {}
                (Command::Kill, Stage::Parked) | (Command::Run { .. } | Command::Restart { .. }, _) => {
                    tree::end(KILLED)
                }
            }
            self.buffer.copy_within(size..self.len, 0);
            self.len = self.len.saturating_sub(size);
        }
    }

    /// Starts the command of RUN, which is at the start of the buffer.
    fn run(&mut self, size: usize) {
        let Some((run, rest)) = core::mem::take(&mut self.buffer).split_at_mut_checked(size) else { return };
        self.buffer = rest;
        self.len = self.len.saturating_sub(size);
        let Ok(Some((_, Command::Run { nonce, argv }, _))) = Command::parse(run, MAX_BODY) else { return };
        let (command, child) = match replacement(argv) {
            Ok(command) => {
                let command = command.unwrap_or(self.command);
                (command, Child::start(command, self.env, Stdin::Null))
            }
            Err(errno) => (self.command, Err(errno)),
        };
        self.stage = match child {
            Ok(child) => Stage::Running { child, nonce },
            Err(errno) => {
                complain_of(command, errno.reason());
                let at_ms = sys::realtime() / 1_000_000;
                Stage::Sweeping(Exit { nonce, how: How::ExecFailed(errno.0), wall_ns: 0, at_ms })
            }
        };
    }

    /// Signals for PID 1 are for the command.
    fn pass_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            match &self.stage {
                Stage::Running { child, .. } => {
                    let _ = child.signal(signal);
                }
                Stage::Parked if signals::asks_to_end(signal) || signal == signals::HUP => {
                    sys::exit(How::Signalled(signal as u8).code())
                }
                Stage::Ended(exit) if signals::asks_to_end(signal) => sys::exit(exit.how.code()),
                Stage::Parked | Stage::Sweeping(_) | Stage::Ended(_) => {}
            }
        }
    }

    fn reap(&mut self) {
        loop {
            match (reap(), &mut self.stage) {
                (Reaped::Child(pid, status), Stage::Running { child, nonce }) if pid == child.pid => {
                    let wall_ns = sys::monotonic().saturating_sub(child.since);
                    let how = child.end(status);
                    self.stage = Stage::Sweeping(Exit { nonce: *nonce, how, wall_ns, at_ms: child.at_ms });
                }
                (Reaped::Child(..), _) => {}
                (Reaped::Alive, Stage::Sweeping(_)) if tree::kill_all() => return,
                (Reaped::Alive | Reaped::None, Stage::Sweeping(exit)) => {
                    let exit = *exit;
                    self.stdout.record = Some(Record::Exit(exit).encode());
                    self.stderr.record = Some(Record::Exit(exit).encode());
                    self.stage = Stage::Ended(exit);
                    return;
                }
                (Reaped::Alive | Reaped::None, _) => return,
            }
        }
    }
}

/// The arguments of RUN as `execve` wants them; nothing if there are none.
fn replacement(argv: Argv<'static>) -> Result<Option<Strings>, Errno> {
    if argv.is_empty() {
        return Ok(None);
    }
    // The last one stays NULL.
    let list = sys::pages::<*const u8>(MAX_ARGS.saturating_add(1))?;
    list.iter_mut().zip(argv.iter()).for_each(|(to, arg)| *to = arg.as_ptr());
    Ok(Some(Strings(list.as_ptr())))
}

/// A record on its way into a pipe that may be full.
struct Outgoing {
    fd: i32,
    record: Option<[u8; record::LEN]>,
    written: usize,
}

impl Outgoing {
    fn new(fd: i32, record: Option<Record>) -> Self {
        Self { fd, record: record.map(|record| record.encode()), written: 0 }
    }

    const fn is_empty(&self) -> bool {
        self.record.is_none()
    }

    const fn poll(&self) -> PollFd {
        if self.is_empty() { PollFd::NONE } else { PollFd::writable(self.fd) }
    }

    /// Writes what the pipe takes. It is ready, and nobody else writes to it any more, so this does not wait: the
    /// pipe itself belongs to the command too and may not be set to never wait.
    fn write(&mut self) {
        let rest = self.record.as_ref().and_then(|record| record.get(self.written..)).unwrap_or_default();
        match sys::write(self.fd, rest) {
            Ok(len) if len < rest.len() => self.written = self.written.saturating_add(len),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // Done, or nobody reads it any more.
            Ok(_) | Err(_) => {
                self.record = None;
                self.written = 0;
            }
        }
    }
}
