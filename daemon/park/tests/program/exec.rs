//! How a command is found, and what it finds.

use crate::support::{Full, HOUR, Park, Place, Process, Service, TERM, park, places, program};
use devd_park::protocol::command;
use devd_park::protocol::record::{How, Record};
use std::fs::{Permissions, create_dir, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn file(path: &Path, content: &str, mode: u32) {
    write(path, content).expect("there is room");
    set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

fn run(place: Place, argv: &[&str], change: impl FnOnce(&mut Command)) -> (String, String, How) {
    let mut command = park(place, &["wait", "--"]);
    change(command.args(argv));
    let mut park = Park::spawn(place, &mut command);
    park.release(&[]);
    let (out, err, exit) = park.end();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(out), text(err), exit.how)
}

/// `first` on PATH has a tool that may not be executed, `second` one that may.
fn folders() -> TempDir {
    let dir = TempDir::new().expect("there is room");
    let at = |name: &str| dir.path().join(name);
    for folder in ["first", "second"] {
        create_dir(at(folder)).expect("it is new");
    }
    file(&at("first/tool"), "#!/bin/sh\necho first\n", 0o644);
    file(&at("second/tool"), "#!/bin/sh\necho \"second $0 $*\"\n", 0o755);
    file(&at("first/locked"), "#!/bin/sh\n", 0o644);
    file(&at("second/text"), "echo no program\n", 0o755);
    dir
}

#[test]
fn path_is_searched_as_execvp_does() {
    let dir = folders();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let path = |command: &mut Command| {
        let path = [at("missing"), at("second/tool"), at("first"), at("second"), "/usr/bin:/bin".into()];
        command.env("PATH", path.join(":"));
    };
    let locked = How::ExecFailed(13);
    for &place in places() {
        let (out, _, how) = run(place, &["tool", "x"], path);
        assert_eq!((out, how), (format!("second {} x\n", at("second/tool")), How::Exited(0)));

        let (out, err, how) = run(place, &["locked"], path);
        assert_eq!((out, err, how), (String::new(), "devd-park: locked: permission denied\n".into(), locked));

        let (_, err, how) = run(place, &["no-such-tool"], path);
        let message = "devd-park: no-such-tool: executable file not found in $PATH\n";
        assert_eq!((err.as_str(), how, how.code()), (message, How::ExecFailed(2), 127));

        let (_, err, how) = run(place, &[""], path);
        assert_eq!(
            (err.as_str(), how),
            ("devd-park: : executable file not found in $PATH\n", How::ExecFailed(2))
        );

        let (_, err, how) = run(place, &["text"], path);
        assert_eq!((err.as_str(), how.code()), ("devd-park: text: exec format error\n", 126));
    }
}

#[test]
fn a_name_with_a_slash_is_a_path() {
    let dir = folders();
    for &place in places() {
        let (out, _, how) = run(place, &["./tool"], |command| {
            command.current_dir(dir.path().join("second"));
        });
        assert_eq!((out.as_str(), how), ("second ./tool \n", How::Exited(0)));

        let (_, err, how) = run(place, &["/no/such/tool"], |_| {});
        let message = "devd-park: /no/such/tool: no such file or directory\n";
        assert_eq!((err.as_str(), how.code()), (message, 127));

        let (_, err, how) = run(place, &["/"], |_| {});
        assert_eq!((err.as_str(), how.code()), ("devd-park: /: permission denied\n", 126));
    }
}

#[test]
fn without_path_the_one_of_engines_is_searched() {
    let mut command = park(Place::Here, &["wait", "--", "sh", "-c", "echo hi"]);
    command.env_clear();
    let mut park = Park::spawn(Place::Here, &mut command);
    park.release(&[]);
    assert_eq!(park.end().0, b"hi\n");
}

#[test]
fn environment_and_folder_are_those_of_the_park() {
    let dir = TempDir::new().expect("there is room");
    let dir = dir.path().canonicalize().expect("it is there");
    for &place in places() {
        let (out, _, _) = run(place, &["env"], |command| {
            command.env_clear().env("PATH", "/usr/bin:/bin").env("EMPTY", "").env("TEXT", "a b\nc");
        });
        let mut lines: Vec<_> = out.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["EMPTY=", "PATH=/usr/bin:/bin", "TEXT=a b", "c"]);

        let (out, _, _) = run(place, &["/bin/pwd", "-P"], |command| {
            command.current_dir(&dir);
        });
        assert_eq!(out.trim_end(), dir.display().to_string());
    }
}

#[test]
fn the_command_has_a_session_and_untouched_signals() {
    for &place in places() {
        let script = "read -r pid _ _ _ group session _ < /proc/$$/stat
            [ $pid = $group ] && [ $pid = $session ] && exec cat /proc/self/status";
        // `nohup` leaves HUP ignored, which must not come through; it stays as quiet as its streams allow.
        let mut command = Command::new("nohup");
        let inner = park(place, &["wait", "--", "sh", "-c", script]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut park = Park::spawn(place, &mut command);
        park.release(&[]);
        let (out, _, exit) = park.end();
        let out = String::from_utf8_lossy(&out).into_owned();
        assert_eq!(exit.how, How::Exited(0), "{out}");
        for set in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"] {
            let none = format!("{set}:\t{:016x}", 0);
            assert!(out.lines().any(|line| line == none), "{set} is not empty: {out}");
        }
    }
}

#[test]
fn signals_that_a_parent_ignores_or_blocks_are_no_obstacle() {
    for &place in places() {
        let inner = park(place, &["wait", "--", "sh", "-c", "trap 'exit 5' TERM; kill $$; sleep 600"]);
        let mut command = Command::new("env");
        command.args(["--ignore-signal=CHLD", "--block-signal=TERM,CHLD"]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut park = Park::spawn(place, &mut command);
        park.release(&[]);
        let Some(Record::Exit(exit)) = park.stdout.record() else { panic!("no record") };
        // What `unshare` makes of the end when nobody may reap is not the question.
        assert_eq!(exit.how, How::Exited(5));
    }
}

#[test]
fn no_file_of_the_park_is_left_open() {
    // Whoever runs the tests may have left some open, for any program.
    let list = Command::new("ls").arg("/proc/self/fd").stdin(Stdio::null()).output().expect("ls starts");
    let list = String::from_utf8_lossy(&list.stdout);
    assert!(list.starts_with("0\n1\n"), "{list}");
    for &place in places() {
        assert_eq!(run(place, &["ls", "/proc/self/fd"], |_| {}).0, list);
        // Nor in a service, when somebody is connected.
        let service = Service::script(place, "ls /proc/self/fd; echo .; read -r again; exec sleep 600");
        let mut connection = service.connect();
        connection.hello();
        let lines = |mut service: Service| {
            let lines = std::iter::from_fn(|| Some(service.park.stdout.line()).filter(|line| line != "."));
            (lines.map(|line| line + "\n").collect::<String>(), service)
        };
        let (first, service) = lines(service);
        assert_eq!(first, list);
        connection.send(&command::restart(1, HOUR, TERM)).restarted();
        assert_eq!(lines(service).0, list);
    }
}

#[test]
fn version_and_usage() {
    let output = park(Place::Here, &["--version"]).output().expect("the program starts");
    assert_eq!(output.stdout, format!("devd-park {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
    for args in
        [&[][..], &["serve"], &["serve", "--"], &["wait"], &["wait", "x"], &["serve", "--control", "--"]]
    {
        let output = park(Place::Here, args).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(125), "{args:?}");
        assert!(output.stderr.starts_with(b"devd-park: usage: "), "{args:?}");
    }
}

#[test]
fn the_program_is_small_and_needs_nothing() {
    let bytes = std::fs::read(program()).expect("it was built");
    assert!(bytes.len() < 100 << 10, "{} bytes", bytes.len());
    let number = |at: usize, len: usize| {
        let bytes = bytes.get(at..at + len).expect("it is an ELF file");
        bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    assert_eq!((bytes.get(..5), number(16, 2)), (Some(&b"\x7fELF\x02"[..]), 2), "executable, 64 bits");
    let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let segments: Vec<_> =
        (0..count).map(|at| start + at * size).map(|at| (number(at, 4), number(at + 4, 4))).collect();
    // No loader, nothing to link, and no memory that is written to and executed, the stack among it.
    assert!(segments.iter().all(|(kind, flags)| ![2, 3].contains(kind) && flags & 3 != 3), "{segments:?}");
    assert!(segments.iter().any(|(kind, _)| *kind == 0x6474_e551), "{segments:?}");
}

#[test]
fn streams_are_left_as_they_were() {
    for &place in places() {
        let script =
            "for fd in 0 1 2; do sed -n 's/^flags:[[:space:]]*//p' /proc/$$/fdinfo/$fd; done; echo .";
        let check = |lines: &[String]| {
            assert_eq!(lines.len(), 3);
            for flags in lines {
                let flags = u32::from_str_radix(flags, 8).expect("octal");
                assert_eq!(flags & 0o4000, 0, "O_NONBLOCK: {lines:?}");
            }
        };
        let lines: Vec<_> = run(place, &["sh", "-c", script], |_| {}).0.lines().map(str::to_owned).collect();
        check(lines.get(..3).expect("three streams"));
        let mut service = Service::script(place, &format!("{script}; exec sleep 600"));
        let lines: Vec<_> =
            std::iter::from_fn(|| Some(service.park.stdout.line()).filter(|line| line != ".")).collect();
        check(&lines);
    }
}

#[test]
fn without_the_three_streams_there_is_no_park() {
    for mode in ["wait", "serve"] {
        for closed in ["<&-", ">&-", "2>&-"] {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exec \"$0\" {mode} -- true {closed}")]).arg(program());
            let mut park = Process::spawn(command.stdin(Stdio::piped()).stderr(Stdio::null()));
            assert_eq!(park.code(), 125, "{mode} {closed}");
        }
    }
}

#[test]
fn a_message_that_nobody_reads_holds_nothing_up() {
    for &place in places() {
        let full = Full::new();
        full.fill();
        let mut command = park(place, &["serve", "--", "no-such-tool"]);
        let mut park = Process::spawn(command.stderr(full.pipe()));
        assert_eq!(park.code(), 127);
    }
}
