//! What the daemon leaves on the disk and on the network.

use crate::support::{Devd, all, write};
use serde_json::json;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

#[test]
fn what_it_writes_is_for_its_owner_alone() {
    let devd = Devd::start();
    let root = devd.project();
    write(&root, "api/main.py", "print(2)\n");
    assert_eq!(devd.post("/v1/saved", &json!({ "paths": [root.join("api/main.py")] })).status, 202);
    devd.until("/v1/runs", |it| it["runs"][1]["state"] == "passed" && it["runs"][0]["state"] == "passed");
    assert_eq!(devd.get("/v1/doctor").status, 200);
    let (mut logs, mut databases) = (0, 0);
    for folder in ["state", "run"] {
        for (path, meta) in all(&devd.path(folder)) {
            let expected = if meta.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(meta.mode() & 0o777, expected, "{}", path.display());
            assert_eq!(meta.uid(), rustix::process::geteuid().as_raw());
            assert!(meta.is_dir() || meta.is_file() || meta.file_type().is_socket(), "{}", path.display());
            let name = path.file_name().unwrap().to_str().unwrap();
            logs += usize::from(name.ends_with(".log"));
            databases += usize::from(name.starts_with("history.db"));
        }
        assert_eq!(devd.path(folder).metadata().unwrap().mode() & 0o777, 0o700);
    }
    // Its own log and those of two runs; the database and what SQLite keeps beside it.
    assert!(logs == 3 && databases == 3, "{logs} logs, {databases} files of the database");
}

#[test]
fn files_that_were_open_to_others_are_closed_at_the_next_start() {
    let devd = Devd::start();
    devd.project();
    let dir = devd.stop();
    let kept = ["history.db", "devdd.log", "lock"];
    for name in kept {
        set_mode(&dir.path().join("state").join(name), 0o666);
    }
    set_mode(&dir.path().join("state/runs"), 0o755);
    let devd = Devd::start_in(dir);
    for name in kept {
        assert_eq!(devd.path("state").join(name).metadata().unwrap().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(devd.path("state/runs").metadata().unwrap().mode() & 0o777, 0o700);
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn nothing_is_written_through_links_that_were_planted_in_the_state() {
    for name in ["history.db", "devdd.log", "lock", "runs", "park"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("state")).unwrap();
        set_mode(&dir.path().join("state"), 0o700);
        let victim = dir.path().join("victim");
        if ["runs", "park"].contains(&name) {
            std::fs::create_dir(&victim).unwrap();
        } else {
            std::fs::write(&victim, "precious").unwrap();
        }
        std::os::unix::fs::symlink(&victim, dir.path().join("state").join(name)).unwrap();
        let outcome = std::process::Command::new(env!("CARGO_BIN_EXE_devdd"))
            // The one that is installed without an engine's help needs no engine to try.
            .args(["--background", "--engine", if name == "park" { "docker" } else { "fake" }, "--ci"])
            .arg(dir.path().join("ci"))
            .arg("--socket")
            .arg(dir.path().join("run/devd.sock"))
            .env("DEVD_STATE_DIR", dir.path().join("state"))
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .env("NOTIFY_SOCKET", "/nowhere/notify.sock")
            .env("RUST_LOG", "off")
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        if name == "park" {
            // Without its park it goes on, and says so.
            end_when_it_listens(&outcome, &dir.path().join("run/devd.sock"));
        }
        let outcome = outcome.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&outcome.stderr);
        assert!(name == "park" || (!outcome.status.success() && said.contains("is not a")), "{name}: {said}");
        if victim.is_dir() {
            assert_eq!(all(&victim).len(), 0, "{name}");
        } else {
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious", "{name}");
        }
    }
}

fn end_when_it_listens(child: &std::process::Child, socket: &std::path::Path) {
    // The system tells nobody when that is; the pause only keeps the machine free.
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

/// Every socket of a process that has an address on a network.
#[cfg(target_os = "linux")]
#[test]
fn it_listens_on_no_network() {
    let devd = Devd::start();
    devd.project();
    let ours = sockets(devd.pid());
    assert!(!ours.is_empty(), "its own socket was not found");
    assert!(on_networks(devd.pid()).is_disjoint(&ours), "it has a socket on a network");

    // That such a socket would be found.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let me = std::process::id();
    assert!(!on_networks(me).is_disjoint(&sockets(me)), "{listener:?} was not found");
}

/// The inodes of a process's sockets.
#[cfg(target_os = "linux")]
fn sockets(pid: u32) -> std::collections::BTreeSet<String> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect()
}

/// The inodes of all sockets on the networks that a process sees.
#[cfg(target_os = "linux")]
fn on_networks(pid: u32) -> std::collections::BTreeSet<String> {
    let tables = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"];
    let tables =
        tables.map(|name| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default());
    tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| line.split_whitespace().nth(9).map(str::to_owned))
        .collect()
}
