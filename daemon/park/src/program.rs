//! The program: its command line, and one module for each thing that it does.

pub mod sys;

mod child;
mod clients;
mod exec;
mod remove;
mod say;
mod serve;
mod signals;
mod tree;
mod wait;

use core::ffi::CStr;
use say::complain;

/// The exit code when the park itself cannot do its work, as engines have it.
pub const BROKEN: u8 = 125;

const NAME: &str = "devd-park";
const USAGE: &str = "usage: devd-park wait -- COMMAND… | devd-park serve [--control PATH] -- COMMAND… | devd-park remove -- FILE… | \
     devd-park --version";

/// What the kernel gave the process.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    args: Strings,
    env: Strings,
}

impl Start {
    /// # Safety
    ///
    /// `stack` is the stack as the kernel starts a process with it, and stays as it is for ever.
    pub unsafe fn from_stack(stack: *const usize) -> Self {
        // SAFETY: argc stands at the top of the stack.
        let count = unsafe { stack.read() };
        // SAFETY: the arguments follow.
        let args = unsafe { stack.add(1) };
        // SAFETY: the environment follows the NULL after them.
        let env = unsafe { args.add(count.wrapping_add(1)) };
        Self { args: Strings(args.cast()), env: Strings(env.cast()) }
    }
}

/// A list of C strings with a NULL at its end, in the stack that the kernel made.
#[derive(Clone, Copy, Debug)]
struct Strings(*const *const u8);

impl Strings {
    fn first(self) -> Option<&'static CStr> {
        // SAFETY: made from the stack only, where there is at least the NULL.
        let string = unsafe { self.0.read() };
        // SAFETY: not NULL, so it is a string, and lives as long as the process.
        (!string.is_null()).then(|| unsafe { sys::string(string) })
    }

    /// The list without its first.
    fn rest(self) -> Self {
        match self.first() {
            // SAFETY: the first is not the NULL, so something follows.
            Some(_) => Self(unsafe { self.0.add(1) }),
            None => self,
        }
    }
}

impl Iterator for Strings {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.first();
        *self = self.rest();
        first
    }
}

/// Does what the command line says.
pub fn main(start: &Start) -> ! {
    let mut args = start.args.rest();
    let mode = args.next().map_or(&b""[..], CStr::to_bytes);
    match (mode, control(&mut args), after_dashes(args)) {
        (b"--version", ..) => {
            let version = option_env!("CARGO_PKG_VERSION").unwrap_or("");
            say::say(sys::STDOUT, &[NAME.as_bytes(), b" ", version.as_bytes()]);
            sys::exit(0)
        }
        (b"wait", None, Some(command)) => wait::main(command, start.env),
        (b"serve", path, Some(command)) if command.first().is_some() => serve::main(command, start.env, path),
        (b"remove", None, Some(files)) => remove::main(files),
        _ => {
            complain(&[USAGE.as_bytes()]);
            sys::exit(BROKEN)
        }
    }
}

/// The path after `--control`.
fn control(args: &mut Strings) -> Option<&'static CStr> {
    if args.first()?.to_bytes() != b"--control" {
        return None;
    }
    args.next();
    args.next()
}

fn after_dashes(mut args: Strings) -> Option<Strings> {
    (args.next()?.to_bytes() == b"--").then_some(args)
}
