//! `serve`: starts a command at once, and again whenever devd asks for that.

use super::child::{Child, Reaped, State, Stdin, complain_of, is_signal, reap};
use super::clients::{Clients, POLLED};
use super::say::complain;
use super::signals::{self, Signals};
use super::sys::{self, Errno, PollFd};
use super::{BROKEN, Strings, tree};
use crate::protocol::command::Command;
use crate::protocol::record::How;
use crate::protocol::reply::{CANCELED, Reply, Start};
use core::ffi::CStr;

const CONTROL: &CStr = c"/.devd/run/control";

pub(super) fn main(command: Strings, env: Strings, control: Option<&CStr>) -> ! {
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(errno) => {
            complain(&[errno.reason().as_bytes()]);
            sys::exit(BROKEN)
        }
    };
    sys::become_subreaper();
    let clients = Clients::listen(control.unwrap_or(CONTROL));
    let child = start(command, env);
    let mut service = Service {
        command,
        env,
        signals,
        clients,
        child,
        number: 1,
        stage: Stage::Running,
        next: Next::Start,
        to_end: false,
    };
    loop {
        service.step();
    }
}

struct Service {
    command: Strings,
    env: Strings,
    signals: Signals,
    clients: Clients,
    child: Child,
    /// How many times the command was started.
    number: u32,
    stage: Stage,
    /// What follows once the tree is gone. Without meaning while the command runs.
    next: Next,
    /// Whether somebody has asked the container to end: whatever ends then, no restart takes its place.
    to_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    /// The main process was asked to end, with this signal, and is killed at the deadline.
    Stopping {
        signal: u32,
        deadline: u64,
    },
    /// The main process has ended; the rest of the tree is being killed.
    Sweeping {
        signal: u32,
        how: How,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Start,
    End,
}

/// Ends the park if the command cannot even be forked.
fn start(command: Strings, env: Strings) -> Child {
    Child::start(command, env, Stdin::Inherited).unwrap_or_else(|errno| {
        complain_of(command, errno.reason());
        sys::exit(How::ExecFailed(errno.0).code())
    })
}

impl Service {
    fn step(&mut self) {
        let timeout = match self.stage {
            Stage::Running => None,
            Stage::Stopping { deadline, .. } if deadline == u64::MAX => None,
            Stage::Stopping { deadline, .. } => Some(deadline.saturating_sub(sys::monotonic())),
            Stage::Sweeping { .. } => Some(tree::AGAIN),
        };
        let mut fds = [PollFd::NONE; 2 + POLLED];
        let mut used = 0;
        if let Some(([signals, report], clients)) = fds.split_first_chunk_mut() {
            *signals = PollFd::readable(self.signals.fd());
            *report = self.child.poll();
            used = self.clients.poll(clients).saturating_add(2);
        }
        // The kernel refuses to poll more files than a process may have open, though most of them be none.
        let Some(fds) = fds.get_mut(..used) else { return };
        if sys::poll(fds, timeout).is_err() {
            return;
        }
        self.answer();
        self.pass_signals();
        self.reap();
        self.keep_deadline();
        if let Some((_, clients)) = fds.split_first_chunk::<2>() {
            self.serve(clients);
        }
    }

    /// Those who wait for a restart hear of it once the program was executed.
    fn answer(&mut self) {
        if self.child.state() == State::Executed {
            self.clients.restarted(self.now());
        }
    }

    fn now(&self) -> Start {
        Start { number: self.number, pid: self.child.pid.unsigned_abs(), at_ms: self.child.at_ms }
    }

    /// Signals for PID 1 are for the command.
    fn pass_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            // During a restart, the one that stops the container means that nothing is to start again.
            match self.stage {
                Stage::Stopping { signal: stop, .. } | Stage::Sweeping { signal: stop, .. }
                    if signal == stop || signals::asks_to_end(signal) =>
                {
                    (self.next, self.to_end) = (Next::End, true);
                    self.clients.called_off();
                }
                Stage::Running => self.to_end |= signals::asks_to_end(signal),
                Stage::Stopping { .. } | Stage::Sweeping { .. } => {}
            }
            let _ = self.signal(signal);
        }
    }

    fn signal(&self, signal: u32) -> Result<(), Errno> {
        match self.stage {
            // Its pid may be another's by now.
            Stage::Sweeping { .. } => Err(Errno::ESRCH),
            Stage::Running | Stage::Stopping { .. } => self.child.signal(signal),
        }
    }

    fn reap(&mut self) {
        loop {
            match (reap(), self.stage) {
                (Reaped::Child(pid, status), Stage::Running) if pid == self.child.pid => {
                    self.next = Next::End;
                    self.sweep(0, status);
                }
                (Reaped::Child(pid, status), Stage::Stopping { signal, .. }) if pid == self.child.pid => {
                    self.sweep(signal, status);
                }
                (Reaped::Child(..), _) => {}
                (Reaped::Alive, Stage::Sweeping { .. }) if tree::kill_children() => return,
                (Reaped::Alive | Reaped::None, Stage::Sweeping { how, .. }) => {
                    match self.next {
                        Next::End => sys::exit(how.code()),
                        Next::Start => self.start(),
                    }
                    return;
                }
                (Reaped::Alive | Reaped::None, _) => return,
            }
        }
    }

    fn sweep(&mut self, signal: u32, status: u32) {
        let how = self.child.end(status);
        // It may have executed and ended since it was last looked at.
        self.answer();
        self.stage = Stage::Sweeping { signal, how };
    }

    fn start(&mut self) {
        self.to_end = false;
        self.child = start(self.command, self.env);
        self.number = self.number.wrapping_add(1);
        self.stage = Stage::Running;
    }

    fn keep_deadline(&mut self) {
        if let Stage::Stopping { signal, deadline } = self.stage
            && sys::monotonic() >= deadline
        {
            // Once is enough: nothing survives it, and whoever cannot be killed cannot be killed twice.
            let _ = self.child.signal_group(signals::KILL);
            self.stage = Stage::Stopping { signal, deadline: u64::MAX };
        }
    }

    fn serve(&mut self, fds: &[PollFd]) {
        self.clients.transfer(fds, Reply::Hello(self.now()));
        while let Some((client, id, command)) = self.clients.next() {
            match command {
                Command::Signal { signal } if is_signal(signal) => {
                    let errno = self.signal(signal).err().map_or(0, |errno| errno.0);
                    self.clients.reply(client, id, Reply::Done { errno });
                }
                Command::Restart { grace_ms, signal } if signal == 0 || is_signal(signal) => {
                    let signal = if signal == 0 { signals::TERM } else { signal };
                    if self.is_over() {
                        let canceled = Reply::Done { errno: CANCELED };
                        self.clients.reply(client, id, canceled);
                        continue;
                    }
                    self.clients.wait(client, id, self.number.wrapping_add(1));
                    if !self.restart(grace_ms, signal) {
                        self.clients.close(client);
                    }
                }
                Command::Signal { .. } => {
                    self.clients.reply(client, id, Reply::Done { errno: Errno::EINVAL.0 });
                }
                Command::Restart { .. } | Command::Run { .. } | Command::Kill => self.clients.close(client),
            }
        }
    }

    /// Whether nothing will start any more, because that is what somebody asked for.
    fn is_over(&self) -> bool {
        self.to_end && self.next == Next::End && !matches!(self.stage, Stage::Running)
    }

    /// Begins a restart, or joins the one that is under way. False if the park may not touch the command, which has
    /// become another user: there will be no restart, then.
    fn restart(&mut self, grace_ms: u32, signal: u32) -> bool {
        let deadline = sys::monotonic().saturating_add(u64::from(grace_ms).saturating_mul(1_000_000));
        match self.stage {
            Stage::Running => {
                // If it has just ended, it is reaped next.
                if self.child.signal_group(signal) == Err(Errno::EPERM) {
                    return false;
                }
                self.next = Next::Start;
                self.stage = Stage::Stopping { signal, deadline };
            }
            // Whoever is in more of a hurry wins.
            Stage::Stopping { signal, deadline: other } if other != u64::MAX => {
                self.stage = Stage::Stopping { signal, deadline: deadline.min(other) };
            }
            Stage::Stopping { .. } | Stage::Sweeping { .. } => {}
        }
        self.keep_deadline();
        true
    }
}
