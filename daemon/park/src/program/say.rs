//! Messages for people.

use super::sys::{self, Errno};

/// How long a full pipe may hold up a message, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;

/// Writes one line, in one piece if it has an ordinary length.
pub(super) fn say(fd: i32, parts: &[&[u8]]) {
    let mut line = [0_u8; 1024];
    let mut len = 0_usize;
    // The last place is for the end of the line.
    let room = line.len().saturating_sub(1);
    for byte in parts.iter().copied().flatten().take(room).chain(b"\n") {
        if let Some(place) = line.get_mut(len) {
            *place = *byte;
            len = len.saturating_add(1);
        }
    }
    // If nobody reads it, nobody can be told.
    let _ = sys::poll(&mut [sys::PollFd::writable(fd)], Some(PATIENCE)).is_ok_and(|ready| ready > 0)
        && sys::write(fd, line.get(..len).unwrap_or_default()).is_ok();
}

/// Says on stderr what went wrong.
pub(super) fn complain(parts: &[&[u8]]) {
    let mut all: [&[u8]; 8] = [b""; 8];
    let head: [&[u8]; 2] = [super::NAME.as_bytes(), b": "];
    all.iter_mut().zip(head.iter().chain(parts)).for_each(|(to, from)| *to = from);
    say(sys::STDERR, &all);
}

impl Errno {
    /// What it means, for the errors that people see.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::EPERM => "operation not permitted",
            Self::ENOENT => "no such file or directory",
            Self::E2BIG => "argument list too long",
            Self::ENOEXEC => "exec format error",
            Self::EBADF => "stdin, stdout or stderr is closed",
            Self::EAGAIN => "too many processes",
            Self::ENOMEM => "out of memory",
            Self::EACCES => "permission denied",
            Self::ENOTDIR => "not a directory",
            Self::EISDIR => "is a directory",
            Self::EBUSY => "in use",
            Self::EROFS => "read-only file system",
            Self::EINVAL => "invalid argument",
            Self::ETXTBSY => "text file busy",
            Self::ENAMETOOLONG => "file name too long",
            Self::ELOOP => "too many levels of symbolic links",
            _ => "cannot be executed",
        }
    }
}
