//! The system calls that the park needs, and nothing above them.

mod raw;

use core::ffi::CStr;
use core::ptr::null;
use raw::{call, nr};

pub const STDIN: i32 = 0;
pub const STDOUT: i32 = 1;
pub const STDERR: i32 = 2;

const AT_FDCWD: usize = -100_isize as usize;
const O_CLOEXEC: usize = 0o2_000_000;
const O_NONBLOCK: usize = 0o4_000;

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u32);

impl Errno {
    pub const EPERM: Self = Self(1);
    pub const ENOENT: Self = Self(2);
    pub const ESRCH: Self = Self(3);
    pub const EINTR: Self = Self(4);
    pub const E2BIG: Self = Self(7);
    pub const ENOEXEC: Self = Self(8);
    pub const EBADF: Self = Self(9);
    pub const ECHILD: Self = Self(10);
    pub const EAGAIN: Self = Self(11);
    pub const EBUSY: Self = Self(16);
    pub const EROFS: Self = Self(30);
    pub const ENOMEM: Self = Self(12);
    pub const EACCES: Self = Self(13);
    pub const ENODEV: Self = Self(19);
    pub const ENOTDIR: Self = Self(20);
    pub const EISDIR: Self = Self(21);
    pub const EINVAL: Self = Self(22);
    pub const ETXTBSY: Self = Self(26);
    pub const ENAMETOOLONG: Self = Self(36);
    pub const ELOOP: Self = Self(40);
    pub const ETIMEDOUT: Self = Self(110);
    pub const ECONNABORTED: Self = Self(103);
    pub const ESTALE: Self = Self(116);
}

type Result<T> = core::result::Result<T, Errno>;

fn check(value: isize) -> Result<usize> {
    match value {
        -4095..=-1 => Err(Errno(value.unsigned_abs() as u32)),
        _ => Ok(value.unsigned_abs()),
    }
}

/// A file descriptor that is closed when it is dropped.
#[derive(Debug)]
pub struct Fd(i32);

impl Fd {
    pub const fn raw(&self) -> i32 {
        self.0
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: closes the descriptor that this value owns.
        unsafe { call(nr::CLOSE, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}

/// The C string at `start`.
///
/// # Safety
///
/// `start` is one, and it stays unchanged.
pub unsafe fn string(start: *const u8) -> &'static CStr {
    let (mut end, mut len) = (start, 1_usize);
    // SAFETY: there is a NUL at the end, and the loop does not go beyond it.
    while unsafe { end.read() } != 0 {
        // SAFETY: this was not the NUL, so something follows.
        end = unsafe { end.add(1) };
        len = len.wrapping_add(1);
    }
    // SAFETY: all of it was read just now.
    let bytes = unsafe { core::slice::from_raw_parts(start, len) };
    CStr::from_bytes_until_nul(bytes).unwrap_or_default()
}

/// Ends the process.
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: takes no memory and does not return.
        unsafe { call(nr::EXIT_GROUP, [usize::from(code), 0, 0, 0, 0, 0]) };
    }
}

pub fn getpid() -> i32 {
    // SAFETY: takes no memory.
    unsafe { call(nr::GETPID, [0; 6]) as i32 }
}

pub fn read(fd: i32, to: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes into `to` only.
    check(unsafe { call(nr::READ, [fd as usize, to.as_mut_ptr() as usize, to.len(), 0, 0, 0]) })
}

pub fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the kernel reads `bytes` only.
    check(unsafe { call(nr::WRITE, [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) })
}

/// Opens a file for reading.
pub fn open(path: &CStr) -> Result<Fd> {
    // SAFETY: the path has its NUL.
    let fd = check(unsafe { call(nr::OPENAT, [AT_FDCWD, path.as_ptr() as usize, O_CLOEXEC, 0, 0, 0]) })?;
    Ok(Fd(fd as i32))
}

pub fn unlink(path: &CStr) -> Result<()> {
    // SAFETY: the path has its NUL.
    check(unsafe { call(nr::UNLINKAT, [AT_FDCWD, path.as_ptr() as usize, 0, 0, 0, 0]) }).map(drop)
}

pub fn chmod(path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: the path has its NUL.
    check(unsafe { call(nr::FCHMODAT, [AT_FDCWD, path.as_ptr() as usize, mode as usize, 0, 0, 0]) }).map(drop)
}

/// The ends to read from and to write to; neither waits, and no program that is executed keeps them.
pub fn pipe() -> Result<(Fd, Fd)> {
    let mut ends = [0_i32; 2];
    // SAFETY: the kernel writes two numbers.
    check(unsafe { call(nr::PIPE2, [ends.as_mut_ptr() as usize, O_CLOEXEC | O_NONBLOCK, 0, 0, 0, 0]) })?;
    let [read, write] = ends;
    Ok((Fd(read), Fd(write)))
}

/// Makes `to` the same file as `from`, and leaves it to programs that are executed.
pub fn dup_to(from: &Fd, to: i32) -> Result<()> {
    // SAFETY: takes no memory. The caller says which descriptor is replaced.
    check(unsafe { call(nr::DUP3, [from.0 as usize, to as usize, 0, 0, 0, 0]) }).map(drop)
}

/// One file to wait for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

impl PollFd {
    const IN: i16 = 1;
    const OUT: i16 = 4;

    /// Waits for nothing.
    pub const NONE: Self = Self { fd: -1, events: 0, revents: 0 };

    pub const fn readable(fd: i32) -> Self {
        Self { fd, events: Self::IN, revents: 0 }
    }

    pub const fn writable(fd: i32) -> Self {
        Self { fd, events: Self::OUT, revents: 0 }
    }

    pub const fn and_writable(self, too: bool) -> Self {
        if too { Self { events: self.events | Self::OUT, ..self } } else { self }
    }

    /// Something can be done with it, if only to see that it is broken.
    pub const fn ready(self) -> bool {
        self.fd >= 0 && self.revents != 0
    }
}

#[repr(C)]
struct Timespec {
    secs: i64,
    nanos: i64,
}

const SECOND: u64 = 1_000_000_000;

/// Waits until one of the files is ready or `nanos` have passed.
pub fn poll(fds: &mut [PollFd], nanos: Option<u64>) -> Result<usize> {
    let time = nanos.map(|nanos| Timespec { secs: (nanos / SECOND) as i64, nanos: (nanos % SECOND) as i64 });
    let time = time.as_ref().map_or(null(), core::ptr::from_ref);
    // SAFETY: the kernel changes `fds`, and may change `time`, which nobody reads again.
    check(unsafe { call(nr::PPOLL, [fds.as_mut_ptr() as usize, fds.len(), time as usize, 0, 0, 0]) })
}

fn clock(which: usize) -> u64 {
    let mut time = Timespec { secs: 0, nanos: 0 };
    // SAFETY: the kernel writes one time.
    unsafe { call(nr::CLOCK_GETTIME, [which, (&raw mut time) as usize, 0, 0, 0, 0]) };
    time.secs.unsigned_abs().wrapping_mul(SECOND).wrapping_add(time.nanos.unsigned_abs())
}

/// Nanoseconds since 1970.
pub fn realtime() -> u64 {
    clock(0)
}

/// Nanoseconds of a clock that nobody sets.
pub fn monotonic() -> u64 {
    clock(1)
}

/// Orphaned descendants become children of this process, which PID 1 has anyway.
pub fn become_subreaper() {
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    // SAFETY: takes no memory.
    unsafe { call(nr::PRCTL, [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0]) };
}

/// Every signal that there is.
pub const ALL_SIGNALS: u64 = u64::MAX;
const SIGSET_SIZE: usize = size_of::<u64>();

/// Sets which signals wait until somebody asks for them.
pub fn block(signals: u64) {
    const SIG_SETMASK: usize = 2;
    // SAFETY: the kernel reads one set of signals.
    unsafe { call(nr::RT_SIGPROCMASK, [SIG_SETMASK, (&raw const signals) as usize, 0, SIGSET_SIZE, 0, 0]) };
}

/// Undoes what the parent may have set for `signal`.
pub fn default_action(signal: u32) {
    // Handler SIG_DFL, no flags, no restorer, an empty mask: all zero on every machine.
    let action = [0_u64; 4];
    // SAFETY: the kernel reads one action, and the default one runs no code of ours.
    unsafe { call(nr::RT_SIGACTION, [signal as usize, action.as_ptr() as usize, 0, SIGSET_SIZE, 0, 0]) };
}

/// A file from which blocked signals are read.
pub fn signalfd(signals: u64) -> Result<Fd> {
    let none = -1_isize as usize;
    let flags = O_CLOEXEC | O_NONBLOCK;
    // SAFETY: the kernel reads one set of signals.
    let fd = unsafe { call(nr::SIGNALFD4, [none, (&raw const signals) as usize, SIGSET_SIZE, flags, 0, 0]) };
    Ok(Fd(check(fd)? as i32))
}

/// Sends a signal; a negative `pid` is a process group.
pub fn kill(pid: i32, signal: u32) -> Result<()> {
    // SAFETY: takes no memory.
    check(unsafe { call(nr::KILL, [pid as isize as usize, signal as usize, 0, 0, 0, 0]) }).map(drop)
}

pub fn setsid() -> Result<()> {
    // SAFETY: takes no memory.
    check(unsafe { call(nr::SETSID, [0; 6]) }).map(drop)
}

/// The next child that has ended, with its status; nothing when all of them live.
pub fn reap() -> Result<Option<(i32, u32)>> {
    const ANY: usize = -1_isize as usize;
    const WNOHANG: usize = 1;
    const WALL: usize = 0x4000_0000;
    let mut status = 0_u32;
    // SAFETY: the kernel writes one status.
    let pid = unsafe { call(nr::WAIT4, [ANY, (&raw mut status) as usize, WNOHANG | WALL, 0, 0, 0]) };
    let pid = check(pid)? as i32;
    Ok((pid != 0).then_some((pid, status)))
}

/// The pid of the new process, and nothing inside of it.
///
/// # Safety
///
/// There is one thread only: in the new process the others would be gone, and what they hold with them.
pub unsafe fn fork() -> Result<Option<i32>> {
    const SIGCHLD: usize = 17;
    // SAFETY: without CLONE_VM the new process has a copy of everything, the stack too.
    let pid = check(unsafe { call(nr::CLONE, [SIGCHLD, 0, 0, 0, 0, 0]) })? as i32;
    Ok((pid != 0).then_some(pid))
}

/// Executes another program. Returns only if that fails.
///
/// # Safety
///
/// `argv` and `env` are lists of C strings with a NULL at the end.
pub unsafe fn execve(path: &CStr, argv: *const *const u8, env: *const *const u8) -> Errno {
    // SAFETY: as the caller promises.
    let result = unsafe { call(nr::EXECVE, [path.as_ptr() as usize, argv as usize, env as usize, 0, 0, 0]) };
    check(result).err().unwrap_or(Errno(0))
}

/// `count` zeroes of fresh memory. They cost nothing until they are written to, and stay until the end.
pub fn pages<T: Zero>(count: usize) -> Result<&'static mut [T]> {
    const READ_WRITE: usize = 3;
    const PRIVATE_ANONYMOUS: usize = 0x22;
    let none = -1_isize as usize;
    let len = count.checked_mul(size_of::<T>()).ok_or(Errno::ENOMEM)?;
    // SAFETY: new memory, at a place that the kernel chooses.
    let start = check(unsafe { call(nr::MMAP, [0, len, READ_WRITE, PRIVATE_ANONYMOUS, none, 0]) })?;
    let start = core::ptr::with_exposed_provenance_mut::<T>(start);
    // SAFETY: `len` zeroes that nobody else knows, aligned to a page, and zeroes are a `T`.
    Ok(unsafe { core::slice::from_raw_parts_mut(start, count) })
}

/// What may be made of zeroes.
pub trait Zero: Copy + sealed::Zero {}
impl Zero for u8 {}
impl Zero for *const u8 {}

mod sealed {
    pub trait Zero {}
    impl Zero for u8 {}
    impl Zero for *const u8 {}
}

const AF_UNIX: u16 = 1;
const SOCK_STREAM: usize = 1;

#[repr(C)]
struct SockaddrUn {
    family: u16,
    path: [u8; 108],
}

/// A socket at `path` that takes connections without waiting for them.
pub fn listen(path: &CStr) -> Result<Fd> {
    let mut address = SockaddrUn { family: AF_UNIX, path: [0; 108] };
    let bytes = path.to_bytes_with_nul();
    // Without a name it would be a socket of the kernel's choice.
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    address.path.get_mut(..bytes.len()).ok_or(Errno::ENAMETOOLONG)?.copy_from_slice(bytes);
    let kind = SOCK_STREAM | O_CLOEXEC | O_NONBLOCK;
    // SAFETY: takes no memory.
    let socket = check(unsafe { call(nr::SOCKET, [usize::from(AF_UNIX), kind, 0, 0, 0, 0]) })?;
    let socket = Fd(socket as i32);
    let (at, len) = ((&raw const address) as usize, size_of::<SockaddrUn>());
    // SAFETY: the kernel reads the address only.
    check(unsafe { call(nr::BIND, [socket.0 as usize, at, len, 0, 0, 0]) })?;
    // SAFETY: takes no memory.
    check(unsafe { call(nr::LISTEN, [socket.0 as usize, 16, 0, 0, 0, 0]) })?;
    Ok(socket)
}

/// The next connection.
pub fn accept(listener: &Fd) -> Result<Fd> {
    // SAFETY: asks for no address, so takes no memory.
    let fd = unsafe { call(nr::ACCEPT4, [listener.0 as usize, 0, 0, O_CLOEXEC | O_NONBLOCK, 0, 0]) };
    Ok(Fd(check(fd)? as i32))
}

/// Writes to a socket; no SIGPIPE if nobody reads.
pub fn send(socket: &Fd, bytes: &[u8]) -> Result<usize> {
    const MSG_NOSIGNAL: usize = 0x4000;
    let args = [socket.0 as usize, bytes.as_ptr() as usize, bytes.len(), MSG_NOSIGNAL, 0, 0];
    // SAFETY: the kernel reads `bytes` only.
    check(unsafe { call(nr::SENDTO, args) })
}
