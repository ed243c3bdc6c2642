//! `wait`: one run, and its lease.

use crate::support::{Full, NONCE, O_NONBLOCK, Park, Process, children, inner, places, signal, until};
use devd_park::protocol::command::{self, MAX_BODY};
use devd_park::protocol::record::{How, LEN, Record};
use devd_park::protocol::{Header, Nonce};
use std::io::{Read as _, Write as _};

#[test]
fn exit_codes_come_through() {
    for &place in places() {
        for code in [0, 3, 125, 255] {
            let (out, err, exit) = Park::script(place, &format!("echo out; echo err >&2; exit {code}")).end();
            assert_eq!((out.as_slice(), err.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
            assert_eq!((exit.how, exit.nonce), (How::Exited(code), NONCE));
            assert!(exit.at_ms > 1_700_000_000_000, "the clock of the start: {}", exit.at_ms);
        }
    }
}

#[test]
fn so_does_death_by_a_signal() {
    for &place in places() {
        for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("USR1", 10)] {
            let (_, _, exit) = Park::script(place, &format!("kill -{name} $$")).end();
            assert_eq!(exit.how, How::Signalled(number));
        }
    }
}

#[test]
fn stdin_is_empty() {
    for &place in places() {
        let (out, _, exit) = Park::script(place, "cat; readlink /proc/self/fd/0").end();
        assert_eq!((out.as_slice(), exit.how), (&b"/dev/null\n"[..], How::Exited(0)));
    }
}

#[test]
fn run_may_bring_another_command() {
    for &place in places() {
        let mut park = Park::start(place, &["wait", "--", "false"]);
        park.release(&["printf", "%s|", "a b", "", "c"]);
        assert_eq!(park.end().0, b"a b||c|");

        let mut park = Park::start(place, &["wait", "--"]);
        park.release(&[]);
        let (_, err, exit) = park.end();
        assert_eq!((err.as_slice(), exit.how), (&b"devd-park: : no command\n"[..], How::ExecFailed(2)));
    }
}

#[test]
fn the_longest_command_arrives() {
    // One argument may have 128 KiB, the kernel says.
    let long = "x".repeat(100_000);
    let argv: Vec<&str> = ["sh", "-c", "echo $# ${#9}", "sh"].into_iter().chain([long.as_str(); 9]).collect();
    for &place in places() {
        let mut park = Park::start(place, &["wait", "--"]);
        park.release(&argv);
        assert_eq!(park.end().0, b"9 100000\n");
    }
}

#[test]
fn frames_may_come_in_any_pieces() {
    for &place in places() {
        let mut park = Park::start(place, &["wait", "--", "sleep", "600"]);
        assert_eq!(park.stdout.record(), Some(Record::Ready));
        park.stdout.expect(NONCE);
        let run = command::run(&NONCE, &["sleep", "600"]).expect("it fits");
        for byte in [run.as_slice(), &command::kill(0)].concat() {
            park.send(&[byte]);
        }
        assert_eq!(park.end().2.how, How::Signalled(9));
    }
}

#[test]
fn output_passes_unchanged() {
    // Bytes that look like records, and records of another run.
    let mut bytes: Vec<u8> = (0..=255).cycle().take(5_000_000).collect();
    let nonce: Nonce = [9; 16];
    let mut state = 1_u64;
    for place in bytes.iter_mut().step_by(3) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *place = (state >> 56) as u8;
    }
    let exit = devd_park::protocol::record::Exit { nonce, how: How::Exited(0), wall_ns: 1, at_ms: 2 };
    bytes.extend([Record::Exit(exit).encode(), Record::Ready.encode()].concat());
    bytes.extend(b"\0\xffdevd-park\0\x01\x02nonce of the run and then nothing of it");
    let mut file = tempfile::NamedTempFile::new().expect("there is room");
    file.write_all(&bytes).expect("there is room");
    let path = file.path().display().to_string();
    let twenty: Vec<&str> = std::iter::once("cat").chain([path.as_str(); 20]).collect();
    for &place in places() {
        let (out, _, exit) = Park::run(place, &twenty).end();
        assert_eq!((out.len(), exit.how), (bytes.len() * 20, How::Exited(0)));
        assert!(out.chunks(bytes.len()).all(|chunk| chunk == bytes));
    }
}

#[test]
fn nothing_outlives_the_command() {
    for &place in places() {
        // A daemon that writes as long as it lives, a child that ignores what it can, and a deep family.
        let script = "
            (setsid sh -c 'trap \"\" TERM HUP INT; while :; do echo noise; done' &)
            sh -c 'trap \"\" TERM; sleep 600; sleep 600' &
            sh -c 'sh -c \"sh -c \\\"sleep 600; :\\\"; :\"; :' &
            echo started; exit 4";
        let (out, _, exit) = Park::script(place, script).end();
        assert_eq!(exit.how, How::Exited(4));
        assert!(out.windows(8).any(|line| line == b"started\n"));
    }
}

#[test]
fn the_end_of_stdin_ends_everything() {
    for &place in places() {
        let script = "
            trap '' TERM HUP INT
            (setsid sh -c 'trap \"\" TERM HUP; sleep 600; sleep 600' &)
            echo started; sleep 600; sleep 600";
        let mut park = Park::script(place, script);
        assert_eq!(park.stdout.line(), "started");
        park.stdin = None;
        assert_eq!(park.code(), 137);
        // Everybody had these pipes.
        assert_eq!((park.stdout.rest(), park.stderr.rest()), (Vec::new(), Vec::new()));

        let mut park = Park::start(place, &["wait", "--", "true"]);
        assert_eq!(park.stdout.record(), Some(Record::Ready));
        park.stdin = None;
        assert_eq!(park.code(), 137);
    }
}

#[test]
fn what_is_no_command_ends_everything() {
    let run = command::run(&NONCE, &["true"; 0]).expect("it fits");
    let huge = Header { kind: 1, id: 0, len: MAX_BODY + 1 }.encode();
    let bad: [&[u8]; 6] =
        [b"GET / HTTP/1.1\r\n", &[2], &[1, 99, 0, 0, 0, 0, 0, 0], &huge, &command::restart(1, 1, 15), &run];
    for &place in places() {
        for bytes in bad {
            let mut park = Park::script(place, "echo started; sleep 600; sleep 600");
            assert_eq!(park.stdout.line(), "started");
            park.send(bytes);
            assert_eq!(park.code(), 137, "{bytes:?}");
            assert_eq!(park.stdout.rest(), b"");
        }
        // The last of them is right while nothing runs, and KILL is not.
        for bytes in bad.into_iter().take(5).chain([&command::kill(0)[..]]) {
            let mut park = Park::start(place, &["wait", "--", "true"]);
            assert_eq!(park.stdout.record(), Some(Record::Ready));
            park.send(bytes);
            assert_eq!(park.code(), 137, "{bytes:?}");
        }
    }
}

#[test]
fn signals_go_to_the_group() {
    for &place in places() {
        let script = "
            sh -c 'trap \"echo child; exit\" USR1; echo ready; while :; do sleep 0.01; done' &
            trap 'echo parent' USR1
            wait; wait; exit 6";
        let mut park = Park::script(place, script);
        assert_eq!(park.stdout.line(), "ready");
        park.send(&command::signal(0, 10));
        // A signal that there is not says nothing.
        park.send(&command::signal(0, 1000));
        let (out, _, exit) = park.end();
        let mut lines: Vec<_> = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        assert_eq!((lines, exit.how), (vec![&b"child"[..], b"parent"], How::Exited(6)));
    }
}

#[test]
fn kill_ends_the_tree_and_the_record_follows() {
    for &place in places() {
        let script = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 600; sleep 600' &); echo started; sleep 600; :";
        let mut park = Park::script(place, script);
        assert_eq!(park.stdout.line(), "started");
        park.send(&command::kill(0));
        assert_eq!(park.end().2.how, How::Signalled(9));
    }
}

#[test]
fn signals_from_outside_are_for_the_command() {
    for &place in places() {
        let mut park = Park::script(place, "trap 'exit 9' TERM; echo started; while :; do sleep 0.01; done");
        assert_eq!(park.stdout.line(), "started");
        park.signal("TERM");
        assert_eq!(park.end().2.how, How::Exited(9));

        let mut park = Park::start(place, &["wait", "--", "true"]);
        assert_eq!(park.stdout.record(), Some(Record::Ready));
        park.signal("TERM");
        assert_eq!(park.code(), 143);
    }
}

#[test]
fn a_broken_pipe_is_no_obstacle() {
    for &place in places() {
        let command = crate::support::park(place, &["wait", "--"]);
        // Its stdout is a pipe that nobody reads once `head` has what it wants.
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", "\"$@\" | head -c 100 > /dev/null; exit ${PIPESTATUS[0]}", "bash"]);
        shell.arg(command.get_program()).args(command.get_args());
        shell.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut shell = Process::spawn(&mut shell);
        let stdin = shell.child.stdin.as_mut().expect("is a pipe");
        stdin.write_all(&command::run(&NONCE, &["yes"]).expect("it fits")).expect("the park reads");
        let mut said = Vec::new();
        shell.child.stderr.as_mut().expect("is a pipe").read_to_end(&mut said).expect("it ends");
        // Death by SIGPIPE, and the record where it can be written.
        assert_eq!(shell.code(), 141);
        assert!(said.starts_with(b"\0\xffdevd-park\0"), "{:?}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn an_unread_pipe_does_not_hold_up_the_end_of_the_lease() {
    for &place in places() {
        let mut full = Full::new();
        let mut command = crate::support::park(place, &["wait", "--", "true"]);
        command.stdout(full.pipe());
        let mut park = Process::spawn(&mut command);
        let mut stdin = park.child.stdin.take().expect("is a pipe");
        let mut record = [0; LEN];
        full.pipe.read_exact(&mut record).expect("it is ready");
        assert_eq!(Record::decode(&record), Some(Record::Ready));
        full.fill();
        stdin.write_all(&command::run(&NONCE, &["true"; 0]).expect("it fits")).expect("the park reads");
        // The record comes on stderr, so the command has ended; there is no room for the other one.
        park.child.stderr.as_mut().expect("is a pipe").read_exact(&mut record).expect("it comes");
        assert!(matches!(Record::decode(&record), Some(Record::Exit(_))));
        assert_eq!(park.child.try_wait().expect("it is ours"), None);
        drop(stdin);
        assert_eq!(park.code(), 137);
    }
}

#[test]
fn nor_does_one_that_was_full_from_the_start() {
    for &place in places() {
        let full = Full::new();
        let dir = tempfile::TempDir::new().expect("there is room");
        full.fill();
        for code in [137, 143] {
            let mut command = crate::support::park(place, &["wait", "--", "touch", "ran"]);
            command.current_dir(&dir).stdout(full.pipe());
            let mut park = Process::spawn(&mut command);
            let pid = inner(place, &park);
            let mut stdin = park.child.stdin.take().expect("is a pipe");
            // It may not be obeyed before READY is out.
            stdin.write_all(&command::run(&NONCE, &["true"; 0]).expect("it fits")).expect("the park reads");
            if code == 137 {
                drop(stdin);
            } else {
                // PID 1 loses the first if it was not quick enough.
                until(|| {
                    signal(pid, "TERM");
                    park.child.try_wait().expect("it is ours")
                });
            }
            assert_eq!(park.code(), code);
            assert!(!dir.path().join("ran").exists());
        }
    }
}

#[test]
fn a_stream_that_never_waits_gets_its_record() {
    for &place in places() {
        // Programs set this for themselves, and for everybody else who has the pipe.
        let mut full = Full::with(O_NONBLOCK);
        let mut command = crate::support::park(place, &["wait", "--", "true"]);
        let mut park = Process::spawn(command.stdout(full.pipe()));
        let mut stdin = park.child.stdin.take().expect("is a pipe");
        let mut record = [0; LEN];
        until(|| full.pipe.read_exact(&mut record).ok());
        full.fill();
        stdin.write_all(&command::run(&NONCE, &["true"; 0]).expect("it fits")).expect("the park reads");
        park.child.stderr.as_mut().expect("is a pipe").read_exact(&mut record).expect("it comes");
        let mut said = Vec::new();
        until(|| {
            let _ = full.pipe.read_to_end(&mut said);
            said.ends_with(&record).then_some(())
        });
        assert_eq!(park.code(), 0);
    }
}

#[test]
fn a_stopped_command_can_be_killed() {
    for &place in places() {
        let mut park = Park::script(place, "echo started; kill -STOP $$; exit 1");
        assert_eq!(park.stdout.line(), "started");
        park.send(&command::kill(0));
        assert_eq!(park.end().2.how, How::Signalled(9));
    }
}

#[test]
fn a_command_that_forks_for_ever_ends() {
    for &place in places() {
        // Each process has a child and ends: whoever is in a list of children is gone when the list is read.
        let script = "
            f() { (sleep 0.001; f) & }
            f; f; f; echo started; exit 2";
        let (_, _, exit) = Park::script(place, script).end();
        assert_eq!(exit.how, How::Exited(2));
    }
}

#[test]
fn orphans_are_reaped_while_the_command_runs() {
    for &place in places() {
        let mut park =
            Park::script(place, "for i in 1 2 3 4 5; do (true & true &) ; done; echo started; sleep 600");
        assert_eq!(park.stdout.line(), "started");
        let pid = park.pid();
        let main = until(|| <[u32; 1]>::try_from(children(pid)).ok());
        signal(main[0], "KILL");
        assert_eq!(park.end().2.how, How::Signalled(9));
    }
}

#[test]
fn a_test_that_hangs_is_ended() {
    let hang = |place| {
        let script = "(setsid sh -c 'trap \"\" TERM; sleep 600; :' &); sleep 600; :";
        let mut command = crate::support::park(place, &["wait", "--", "sh", "-c", script]);
        let mut park = Process::spawn_for(&mut command, std::time::Duration::from_millis(300));
        let run = command::run(&NONCE, &["true"; 0]).expect("it fits");
        // The lease does not end, for the pipe stays open.
        let mut stdin = park.child.stdin.take().expect("is a pipe");
        stdin.write_all(&run).expect("the park reads");
        let mut all = Vec::new();
        park.child.stdout.as_mut().expect("is a pipe").read_to_end(&mut all).expect("it ends");
        assert_eq!(all, Record::Ready.encode());
    };
    for &place in places() {
        assert!(std::panic::catch_unwind(|| hang(place)).is_err(), "it was not noticed");
    }
}
