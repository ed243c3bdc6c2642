//! Containers that have next to nothing.

use crate::support::{HOUR, Park, Place, Service, TERM, by, places, program};
use devd_park::protocol::command;
use devd_park::protocol::record::How;
use std::ffi::OsStr;
use std::fs::{Permissions, copy, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

/// The places where this user may go `way`, to execute `program` with `args`.
fn open_to(way: &[&OsStr], program: &OsStr, args: &[&str]) -> Vec<Place> {
    let may = |place: &Place| by(*place, way, program, args).output().is_ok_and(|it| it.status.success());
    let open: Vec<_> = places().iter().copied().filter(may).collect();
    if open.is_empty() {
        eprintln!("this user may not use {}: not tested", way.first().unwrap_or(&program).display());
    }
    open
}

/// What `user`, `cap_drop: ALL` and `no-new-privileges` come to.
const POOR: [&str; 7] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--no-new-privs",
];

#[test]
fn no_rights_are_needed() {
    let way = POOR.map(OsStr::new);
    let program = program().as_os_str();
    for place in open_to(&way, program, &["--version"]) {
        let script = "(setsid sh -c 'trap \"\" TERM; sleep 600; :' &); id -u; exit 3";
        let mut park = Park::spawn(place, &mut by(place, &way, program, &["wait", "--", "sh", "-c", script]));
        park.release(&[]);
        let (out, _, exit) = park.end();
        assert_eq!((out.as_slice(), exit.how), (&b"65534\n"[..], How::Exited(3)));

        let dir = TempDir::new().expect("there is room");
        set_permissions(&dir, Permissions::from_mode(0o777)).expect("it is ours");
        let mut command = by(place, &way, program, &["serve", "--control"]);
        command.arg(dir.path().join("control")).args(["--", "sh", "-c", "echo started; exec sleep 600"]);
        let mut service = Service { park: Park::spawn(place, &mut command), dir };
        for number in 1..4 {
            assert_eq!(service.park.stdout.line(), "started");
            let mut connection = service.connect();
            assert_eq!(connection.hello().number, number);
            connection.send(&command::restart(1, HOUR, TERM)).restarted();
        }
    }
}

#[test]
fn no_files_are_needed() {
    let root = TempDir::new().expect("there is room");
    copy(program(), root.path().join("park")).expect("there is room");
    let way = [OsStr::new("chroot"), root.path().as_os_str()];
    let program = OsStr::new("/park");
    for place in open_to(&way, program, &["--version"]) {
        let mut park =
            Park::spawn(place, &mut by(place, &way, program, &["wait", "--", "/park", "--version"]));
        park.release(&[]);
        let (out, _, exit) = park.end();
        let version = format!("devd-park {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!((out, exit.how), (version.into_bytes(), How::Exited(0)));

        // A stdin that nobody writes to, made without /dev, is over at once.
        let mut park =
            Park::spawn(place, &mut by(place, &way, program, &["wait", "--", "/park", "wait", "--"]));
        park.release(&[]);
        let (_, _, exit) = park.end();
        assert_eq!(exit.how, How::Exited(137));

        let dir = TempDir::new_in(&root).expect("there is room");
        let name = dir.path().file_name().unwrap_or_default().display().to_string();
        let control = format!("/{name}/control");
        let args = ["serve", "--control", &control, "--", "/park", "wait", "--"];
        let mut service = Service { park: Park::spawn(place, &mut by(place, &way, program, &args)), dir };
        let mut connection = service.connect();
        connection.hello();
        for id in 1..4 {
            connection.send(&command::restart(id, HOUR, TERM)).restarted();
        }
        service.park.stdin = None;
        assert_eq!(service.park.code(), 137);
    }
}
