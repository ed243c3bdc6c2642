//! `devd-park remove`: files that are gone on the host, taken out of a container that may have no program for that.

use super::Strings;
use super::say::complain;
use super::sys::{self, Errno};

/// Removes files. One that is not there is no error.
pub(super) fn main(paths: Strings) -> ! {
    let mut code = 0;
    for path in paths {
        match sys::unlink(path) {
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(error) => {
                complain(&[path.to_bytes(), b": cannot be removed: ", error.reason().as_bytes()]);
                code = 1;
            }
        }
    }
    sys::exit(code)
}
