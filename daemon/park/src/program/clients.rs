//! The control socket and who is connected to it. Everything has a fixed size and nothing waits: a client that sends
//! nonsense, does not read or asks for too much loses its connection, and nobody else notices.

use super::sys::{self, Errno, Fd, PollFd};
use crate::protocol::Header;
use crate::protocol::command::Command;
use crate::protocol::reply::{self, Reply, Start};
use core::ffi::CStr;

/// Connections at once. One more takes the place of the oldest that does not wait for a restart.
const MOST: usize = 8;
/// Restarts that one connection may wait for.
const WAITING: usize = 4;
/// The longest body that this socket takes.
const LONGEST: u32 = 8;
/// Replies that a client may leave unread.
const UNREAD: usize = 8 * reply::LEN;

/// How many files there are to poll.
pub(super) const POLLED: usize = 1 + MOST;

pub(super) struct Clients {
    listener: Option<Fd>,
    places: [Option<Client>; MOST],
    /// Counts connections, to know the oldest.
    count: u64,
}

struct Client {
    socket: Fd,
    number: u64,
    input: [u8; Header::LEN + LONGEST as usize],
    input_len: usize,
    output: [u8; UNREAD],
    output_len: usize,
    /// The ids of restarts that are not answered yet, and the number of the start that answers them.
    waiting: [Option<(u16, u32)>; WAITING],
}

impl Clients {
    /// Listens at `path`, and on nothing if that is not possible: a service needs no devd to run.
    pub(super) fn listen(path: &CStr) -> Self {
        // What an earlier life of the container left.
        let _ = sys::unlink(path);
        let listener = sys::listen(path).ok();
        if listener.is_some() {
            // devd is another user than the service, often.
            let _ = sys::chmod(path, 0o666);
        }
        Self { listener, places: [const { None }; MOST], count: 0 }
    }

    /// What to wait for: the listener, then each place. How many of `fds` that takes.
    pub(super) fn poll(&self, fds: &mut [PollFd]) -> usize {
        let listener = self.listener.as_ref().map_or(PollFd::NONE, |fd| PollFd::readable(fd.raw()));
        let places = self.places.iter().map(|place| match place {
            Some(client) => PollFd::readable(client.socket.raw()).and_writable(client.output_len > 0),
            None => PollFd::NONE,
        });
        fds.iter_mut().zip(core::iter::once(listener).chain(places)).for_each(|(to, fd)| *to = fd);
        let last = self.places.iter().rposition(Option::is_some);
        last.map_or(1, |last| last.saturating_add(2))
    }

    /// Reads and writes where `fds` are ready, and greets whoever is new.
    pub(super) fn transfer(&mut self, fds: &[PollFd], hello: Reply) {
        let Some((listener, places)) = fds.split_first() else { return };
        for (place, fd) in self.places.iter_mut().zip(places) {
            if fd.ready() && !place.as_mut().is_none_or(Client::transfer) {
                *place = None;
            }
        }
        if listener.ready() {
            self.accept(hello);
        }
    }

    /// Takes one connection; the next one is still there the next time.
    fn accept(&mut self, hello: Reply) {
        let socket = match self.listener.as_ref().map(sys::accept) {
            Some(Ok(socket)) => socket,
            Some(Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED)) | None => return,
            // Too few files, say: the oldest makes way, and the next time there may be enough.
            Some(Err(_)) => {
                match self.oldest() {
                    Some(place) => *place = None,
                    // It would be asked again and again.
                    None => self.listener = None,
                }
                return;
            }
        };
        let number = self.count.saturating_add(1);
        // If all wait for a restart, the new one is refused.
        let free = self.places.iter().position(Option::is_none);
        let place = match free.and_then(|free| self.places.get_mut(free)) {
            None => self.oldest(),
            free => free,
        };
        let Some(place) = place else { return };
        let mut client = Client {
            socket,
            number,
            input: [0; _],
            input_len: 0,
            output: [0; _],
            output_len: 0,
            waiting: [None; WAITING],
        };
        let greeted = client.put(&hello.encode(0));
        *place = greeted.then_some(client);
        self.count = number;
    }

    /// The place of the oldest client that does not wait for a restart.
    fn oldest(&mut self) -> Option<&mut Option<Client>> {
        let age = |place: &Option<Client>| {
            let client = place.as_ref()?;
            client.waiting.iter().all(Option::is_none).then_some(client.number)
        };
        let places = self.places.iter_mut().filter_map(|place| age(place).map(|age| (age, place)));
        places.min_by_key(|(age, _)| *age).map(|(_, place)| place)
    }

    /// The next command that is complete: the place and the id that its reply goes to, and the command.
    pub(super) fn next(&mut self) -> Option<(usize, u16, Command<'static>)> {
        for (at, place) in self.places.iter_mut().enumerate() {
            match place.as_mut().map(Client::next) {
                Some(Ok(Some((id, command)))) => return Some((at, id, command)),
                Some(Err(())) => *place = None,
                Some(Ok(None)) | None => {}
            }
        }
        None
    }

    pub(super) fn reply(&mut self, place: usize, id: u16, reply: Reply) {
        self.with(place, |client| client.put(&reply.encode(id)));
    }

    /// Answers `id` when the command has been started `number` times.
    pub(super) fn wait(&mut self, place: usize, id: u16, number: u32) {
        self.with(place, |client| {
            let free = client.waiting.iter_mut().find(|waiting| waiting.is_none());
            free.map(|free| *free = Some((id, number))).is_some()
        });
    }

    /// Answers everybody who waited for `start` or an earlier one.
    pub(super) fn restarted(&mut self, start: Start) {
        for place in 0..MOST {
            self.with(place, |client| client.restarted(start));
        }
    }

    /// Tells everybody who waits that there will be no other start.
    pub(super) fn called_off(&mut self) {
        for place in 0..MOST {
            self.with(place, Client::called_off);
        }
    }

    pub(super) fn close(&mut self, place: usize) {
        self.with(place, |_| false);
    }

    /// Does something with the client at `place`, who is gone if that fails.
    fn with(&mut self, place: usize, act: impl FnOnce(&mut Client) -> bool) {
        if let Some(place) = self.places.get_mut(place)
            && !place.as_mut().is_none_or(act)
        {
            *place = None;
        }
    }
}

/// The functions that return a bool return false if the connection is of no more use.
impl Client {
    fn transfer(&mut self) -> bool {
        self.flush() && self.read()
    }

    fn read(&mut self) -> bool {
        let room = self.input.get_mut(self.input_len..).unwrap_or_default();
        match sys::read(self.socket.raw(), room) {
            Ok(len) if len > 0 => {
                self.input_len = self.input_len.saturating_add(len);
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => true,
            Ok(_) | Err(_) => false,
        }
    }

    fn next(&mut self) -> Result<Option<(u16, Command<'static>)>, ()> {
        let came = self.input.get(..self.input_len).unwrap_or_default();
        let (id, command, size) = match Command::parse(came, LONGEST) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            Err(_) => return Err(()),
        };
        let command = match command {
            Command::Signal { signal } => Command::Signal { signal },
            Command::Restart { grace_ms, signal } => Command::Restart { grace_ms, signal },
            Command::Run { .. } | Command::Kill => return Err(()),
        };
        self.input.copy_within(size..self.input_len, 0);
        self.input_len = self.input_len.saturating_sub(size);
        Ok(Some((id, command)))
    }

    fn restarted(&mut self, start: Start) -> bool {
        let Self { waiting, .. } = self;
        let mut due = [None; WAITING];
        for (due, waiting) in due.iter_mut().zip(waiting) {
            // By distance: the number may have come round.
            *due = waiting.take_if(|(_, number)| start.number.wrapping_sub(*number) < u32::MAX / 2);
        }
        due.into_iter().flatten().all(|(id, _)| self.put(&Reply::Restarted(start).encode(id)))
    }

    fn called_off(&mut self) -> bool {
        let waiting = core::mem::take(&mut self.waiting);
        let canceled = Reply::Done { errno: reply::CANCELED };
        waiting.into_iter().flatten().all(|(id, _)| self.put(&canceled.encode(id)))
    }

    fn put(&mut self, bytes: &[u8]) -> bool {
        let end = self.output_len.saturating_add(bytes.len());
        let Some(room) = self.output.get_mut(self.output_len..end) else { return false };
        room.copy_from_slice(bytes);
        self.output_len = end;
        self.flush()
    }

    fn flush(&mut self) -> bool {
        let output = self.output.get(..self.output_len).unwrap_or_default();
        if output.is_empty() {
            return true;
        }
        match sys::send(&self.socket, output) {
            Ok(len) => {
                self.output.copy_within(len.min(self.output_len)..self.output_len, 0);
                self.output_len = self.output_len.saturating_sub(len);
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => true,
            Err(_) => false,
        }
    }
}
