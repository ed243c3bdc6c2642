//! Executes a program as a container's engine would.

use super::Strings;
use super::sys::{self, Errno};
use core::ffi::CStr;

/// Where programs are if the environment does not say: the PATH that engines set.
const PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LONGEST: usize = 4096;

/// Why nothing was executed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) errno: Errno,
    pub(super) reason: &'static str,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self { errno, reason: errno.reason() }
    }
}

/// Becomes the program that `argv` names, looked up in PATH if its name has no slash.
pub(super) fn exec(argv: Strings, env: Strings) -> Failure {
    let Some(name) = argv.first() else {
        return Failure { errno: Errno::ENOENT, reason: "no command" };
    };
    // SAFETY: lists of strings end with a NULL.
    let execve = |path: &CStr| unsafe { sys::execve(path, argv.0, env.0) };
    if name.to_bytes().contains(&b'/') {
        return execve(name).into();
    }
    let mut last = Failure { errno: Errno::ENOENT, reason: "executable file not found in $PATH" };
    if name.is_empty() {
        return last;
    }
    for dir in path(env).split(|byte| *byte == b':') {
        let mut buffer = [0; LONGEST];
        let errno = join(dir, name, &mut buffer).map_or_else(|errno| errno, execve);
        match errno {
            Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::ENODEV
            | Errno::ESTALE
            | Errno::ETIMEDOUT
            | Errno::ENAMETOOLONG => {}
            // A later folder may have one that may be executed.
            Errno::EACCES => last = errno.into(),
            _ => return errno.into(),
        }
    }
    last
}

fn path(env: Strings) -> &'static [u8] {
    let mut values = env.filter_map(|entry| entry.to_bytes().strip_prefix(b"PATH="));
    values.next().unwrap_or(PATH)
}

/// The path of `name` in `dir`. The empty folder is the current one.
fn join<'b>(dir: &[u8], name: &CStr, buffer: &'b mut [u8; LONGEST]) -> Result<&'b CStr, Errno> {
    let slash: &[u8] = if dir.is_empty() { b"" } else { b"/" };
    let parts = [dir, slash, name.to_bytes_with_nul()];
    let mut places = buffer.iter_mut();
    for byte in parts.into_iter().flatten() {
        *places.next().ok_or(Errno::ENAMETOOLONG)? = *byte;
    }
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::ENAMETOOLONG)
}
