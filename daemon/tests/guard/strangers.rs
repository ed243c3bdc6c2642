//! Other users of the machine.

use crate::support::{Devd, write};
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

/// Nobody, on every system.
const STRANGER: u32 = 65534;

/// Only root can become another user: for others there is nothing to see here, and it is said.
#[expect(clippy::print_stderr, reason = "it is for who reads the output of the tests")]
fn can_be_a_stranger() -> bool {
    if !geteuid().is_root() {
        eprintln!("not seen: only root can be another user");
    }
    geteuid().is_root()
}

/// Does something as another user.
fn as_stranger<T: Send>(what: impl FnOnce() -> T + Send) -> Option<T> {
    if !can_be_a_stranger() {
        return None;
    }
    let (user, group) = (Uid::from_raw(STRANGER), Gid::from_raw(STRANGER));
    // Users are a matter of threads on Linux; this one ends as what it became.
    std::thread::scope(|scope| {
        let stranger = scope.spawn(|| {
            set_thread_groups(&[]).unwrap();
            set_thread_res_gid(group, group, group).unwrap();
            set_thread_res_uid(user, user, user).unwrap();
            what()
        });
        Some(stranger.join().unwrap())
    })
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_stranger_does_not_get_to_the_socket() {
    let devd = Devd::start();
    // Its folder alone has to do.
    set_mode(devd.dir.path(), 0o755);
    let error = as_stranger(|| UnixStream::connect(devd.socket()).unwrap_err().kind());
    assert!(error.is_none_or(|kind| kind == ErrorKind::PermissionDenied), "{error:?}");
    set_mode(&devd.path("run"), 0o755);
    let error = as_stranger(|| UnixStream::connect(devd.socket()).unwrap_err().kind());
    assert!(error.is_none_or(|kind| kind == ErrorKind::PermissionDenied), "{error:?}");
    let state = as_stranger(|| std::fs::read_dir(devd.path("state")).unwrap_err().kind());
    assert!(state.is_none_or(|kind| kind == ErrorKind::PermissionDenied), "{state:?}");
}

#[test]
fn a_stranger_who_got_through_the_modes_is_refused_and_takes_nobodys_place() {
    let devd = Devd::start();
    for (path, mode) in
        [(devd.dir.path().to_owned(), 0o755), (devd.path("run"), 0o755), (devd.socket(), 0o666)]
    {
        set_mode(&path, mode);
    }
    let heard = as_stranger(|| {
        let mut stream = devd.connect();
        // Whatever is asked, nothing is answered; the daemon may have closed it before it is heard.
        let _ = stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: devd\r\n\r\n");
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap_or_default();
        heard
    });
    if let Some(heard) = heard {
        assert!(
            heard.starts_with("HTTP/1.1 403 Forbidden\r\n") && heard.contains("\"forbidden\""),
            "{heard}"
        );
        assert!(!heard.contains("uptime_ms"), "{heard}");
        assert!(devd.log().contains("refused a connection of another user"));
    }
    let held = as_stranger(|| (0..400).map(|_| devd.connect()).collect::<Vec<_>>());
    devd.is_well();
    drop(held);
}

#[test]
fn a_folder_that_a_stranger_made_is_not_used_and_that_is_said() {
    if !can_be_a_stranger() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), 0o1777);
    // Theirs, below theirs, and a link of theirs to one of ours.
    let (theirs, ours, link) = (dir.path().join("theirs"), dir.path().join("ours"), dir.path().join("link"));
    for folder in [&theirs, &ours] {
        std::fs::create_dir(folder).unwrap();
        set_mode(folder, 0o700);
    }
    chown(&theirs, Some(STRANGER), Some(STRANGER)).unwrap();
    write(&theirs, "below/x", "");
    set_mode(&theirs.join("below"), 0o700);
    as_stranger(|| std::os::unix::fs::symlink(&ours, &link).unwrap());
    for (folder, said) in [
        (theirs.clone(), "belongs to another user (uid 65534)"),
        (theirs.join("below"), "other users may replace"),
        (link.clone(), "is not a folder"),
        (link.join("run"), "other users may replace"),
    ] {
        let outcome = Command::new(env!("CARGO_BIN_EXE_devdd"))
            .args(["--engine", "fake", "--socket"])
            .arg(folder.join("devd.sock"))
            .env("DEVD_STATE_DIR", dir.path().join("state"))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&outcome.stderr);
        assert!(!outcome.status.success() && error.contains(said), "{}: {error}", folder.display());
        assert!(error.contains("DEVD_SOCKET"), "{error}");
    }
    assert_eq!(std::fs::read_dir(&ours).unwrap().count(), 0);
    let mut state = Command::new(env!("CARGO_BIN_EXE_devdd"));
    state.args(["--engine", "fake", "--socket"]).arg(ours.join("devd.sock")).env("DEVD_STATE_DIR", &theirs);
    let error = state.output().unwrap().stderr;
    let error = String::from_utf8_lossy(&error);
    assert!(error.contains("belongs to another user") && error.contains("DEVD_STATE_DIR"), "{error}");
}
