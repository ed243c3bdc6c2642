//! `serve`: a service, its signals, and its restarts in place.

use crate::support::{Connection, HOUR, Place, Process, Service, TERM, children, places, signal, until};
use devd_park::protocol::command;
use devd_park::protocol::reply::{self, Reply};
use std::process::{Command, Stdio};

#[test]
fn the_end_of_the_command_is_the_end_of_the_park() {
    for &place in places() {
        for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -KILL $$", 137), ("kill -TERM $$", 143)]
        {
            assert_eq!(Service::script(place, script).park.code(), code, "{script}");
        }
        let mut service = Service::start(place, &["no-such-tool"]);
        assert_eq!(service.park.code(), 127);
        assert_eq!(service.park.stderr.line(), "devd-park: no-such-tool: executable file not found in $PATH");
        assert_eq!(Service::start(place, &["/"]).park.code(), 126);
    }
}

#[test]
fn without_a_place_for_the_socket_the_service_runs() {
    for &place in places() {
        let mut command =
            crate::support::park(place, &["serve", "--control", "/no/such/folder/control", "--"]);
        let mut park = crate::support::Park::spawn(place, command.args(["echo", "hi"]));
        assert_eq!((park.stdout.line().as_str(), park.code()), ("hi", 0));
    }
}

#[test]
fn stdin_is_that_of_the_park() {
    for &place in places() {
        let mut service = Service::start(place, &["cat"]);
        service.park.send(b"hello\n");
        assert_eq!(service.park.stdout.line(), "hello");
        service.park.stdin = None;
        assert_eq!(service.park.code(), 0);
    }
}

#[test]
fn signals_are_for_the_main_process_only() {
    for &place in places() {
        let script = "
            sh -c 'trap \"echo wrong\" HUP USR1 WINCH; echo ready; while :; do sleep 0.01; done' &
            for name in HUP USR1 WINCH CONT PIPE TSTP; do trap \"echo $name\" $name; done
            trap 'exit 8' QUIT
            while :; do sleep 0.01; done";
        let mut service = Service::script(place, script);
        assert_eq!(service.park.stdout.line(), "ready");
        let mut connection = service.connect();
        connection.hello();
        // The handlers are there once one of them answers.
        until(|| {
            service.park.signal("WINCH");
            std::thread::sleep(std::time::Duration::from_millis(50));
            service.park.stdout.take_if_any()
        });
        for name in ["HUP", "USR1", "CONT", "PIPE", "TSTP"] {
            service.park.signal(name);
            let line = until(|| Some(service.park.stdout.line()).filter(|line| line != "WINCH"));
            assert_eq!(line, name);
        }
        connection.send(&command::signal(4, 1));
        assert_eq!(connection.reply(), Some((4, Reply::Done { errno: 0 })));
        assert_eq!(service.park.stdout.line(), "HUP");
        connection.send(&command::signal(5, 1000));
        assert_eq!(connection.reply(), Some((5, Reply::Done { errno: 22 })));
        service.park.signal("QUIT");
        assert_eq!(service.park.code(), 8);
    }
}

#[test]
fn a_signal_without_a_handler_ends_the_command() {
    for &place in places() {
        let mut service = Service::start(place, &["sleep", "600"]);
        // PID 1 itself would not even notice.
        service.connect().hello();
        service.park.signal("TERM");
        assert_eq!(service.park.code(), 143);
    }
}

#[test]
fn zombies_are_reaped() {
    for &place in places() {
        let mut service = Service::script(
            place,
            "for i in 1 2 3 4 5; do (true & true &); done; echo started; exec sleep 600",
        );
        assert_eq!(service.park.stdout.line(), "started");
        let pid = service.park.pid();
        until(|| <[u32; 1]>::try_from(children(pid)).ok());
    }
}

#[test]
fn a_restart_keeps_the_park() {
    for &place in places() {
        let mut service = Service::script(place, "echo started; exec sleep 600");
        let park = service.park.pid();
        let mut connection = service.connect();
        let first = connection.hello();
        assert_eq!(first.number, 1);
        assert_eq!(service.park.stdout.line(), "started");
        let mut last = first;
        for number in 2..6 {
            connection.send(&command::restart(number, HOUR, TERM));
            let (id, start) = connection.restarted();
            assert_eq!((id, start.number), (number, u32::from(number)));
            assert_ne!(start.pid, last.pid);
            assert!(start.at_ms >= last.at_ms);
            assert_eq!(service.park.stdout.line(), "started");
            last = start;
        }
        assert_eq!(service.park.pid(), park);
        assert_eq!(service.connect().hello(), last);
        service.park.signal("TERM");
        assert_eq!(service.park.code(), 143);
    }
}

#[test]
fn the_signal_of_the_restart_is_the_one_that_was_asked_for() {
    for &place in places() {
        let script = "trap 'echo int; exit' INT; trap 'echo term; exit' TERM; echo started; while :; do sleep 0.01; done";
        let mut service = Service::script(place, script);
        let mut connection = service.connect();
        connection.hello();
        for (signal, said) in [(2, "int"), (15, "term"), (0, "term")] {
            assert_eq!(service.park.stdout.line(), "started");
            connection.send(&command::restart(1, HOUR, signal)).restarted();
            assert_eq!(service.park.stdout.line(), said);
        }
        // There is no such signal, and no answer to that.
        connection.send(&command::restart(1, HOUR, 1000));
        assert_eq!(connection.reply(), None);
    }
}

#[test]
fn whoever_ignores_the_signal_is_killed_with_all_its_family() {
    for &place in places() {
        // Whoever has the lock is alive.
        let script = "
            exec 9> $DIR/lock; flock -n 9 && echo free || echo taken
            trap '' TERM HUP INT
            (setsid sh -c 'trap \"\" TERM; sleep 600; sleep 600' &)
            sh -c 'sleep 600; sleep 600' &
            echo started; sleep 600; sleep 600; sleep 600";
        let mut service = Service::script(place, script);
        let mut connection = service.connect();
        connection.hello();
        for round in 0..3 {
            assert_eq!(service.park.stdout.line(), "free");
            assert_eq!(service.park.stdout.line(), "started");
            connection.send(&command::restart(round, 1, TERM));
            assert_eq!(connection.restarted().0, round);
        }
    }
}

#[test]
fn a_family_that_forks_for_ever_does_not_hold_up_a_restart() {
    for &place in places() {
        // Each process has a child and ends: whoever is in a list of children is gone when the list is read.
        let script = "f() { (f) & }; f; f; echo started; exec sleep 600";
        let mut service = Service::script(place, script);
        let mut connection = service.connect();
        connection.hello();
        for id in 0..3 {
            assert_eq!(service.park.stdout.line(), "started");
            connection.send(&command::restart(id, HOUR, TERM)).restarted();
        }
    }
}

/// A service that ends on USR1 only, with code 9.
fn stubborn(place: Place) -> (Service, Connection) {
    let script = "trap 'echo asked' TERM INT; trap 'exit 9' USR1; echo started; while :; do sleep 0.01; done";
    let mut service = Service::script(place, script);
    assert_eq!(service.park.stdout.line(), "started");
    let mut connection = service.connect();
    connection.hello();
    (service, connection)
}

#[test]
fn restarts_join() {
    for &place in places() {
        let (mut service, mut first) = stubborn(place);
        let mut second = service.connect();
        second.hello();
        first.send(&command::restart(1, HOUR, TERM));
        assert_eq!(service.park.stdout.line(), "asked");
        first.send(&command::restart(2, HOUR, TERM));
        second.send(&command::restart(3, HOUR, TERM));
        second.send(&command::signal(4, 10));
        assert_eq!(second.reply(), Some((4, Reply::Done { errno: 0 })));
        let (id, start) = second.restarted();
        assert_eq!((id, start.number), (3, 2));
        assert_eq!([first.restarted(), first.restarted()], [(1, start), (2, start)]);
        // Only one, and it is not asked for again.
        assert_eq!(service.park.stdout.line(), "started");
        assert_eq!(service.connect().hello(), start);
    }
}

#[test]
fn who_joins_may_be_in_more_of_a_hurry() {
    for &place in places() {
        let (mut service, mut first) = stubborn(place);
        first.send(&command::restart(1, HOUR, TERM));
        assert_eq!(service.park.stdout.line(), "asked");
        let mut second = service.connect();
        second.hello();
        second.send(&command::restart(2, 0, TERM));
        assert_eq!((first.restarted().1.number, second.restarted().1.number), (2, 2));
    }
}

const CALLED_OFF: Reply = Reply::Done { errno: reply::CANCELED };

#[test]
fn a_stop_during_a_restart_is_a_stop() {
    for &place in places() {
        for (asked, stop) in [(TERM, "TERM"), (TERM, "INT"), (2, "INT")] {
            let (mut service, mut connection) = stubborn(place);
            connection.send(&command::restart(1, HOUR, asked));
            assert_eq!(service.park.stdout.line(), "asked");
            service.park.signal(stop);
            assert_eq!(service.park.stdout.line(), "asked");
            // Nobody is to start it again by other means.
            assert_eq!(connection.reply(), Some((1, CALLED_OFF)));
            connection.send(&command::restart(2, HOUR, asked));
            assert_eq!(connection.reply(), Some((2, CALLED_OFF)));
            service.park.signal("USR1");
            assert_eq!(service.park.code(), 9);
            assert_eq!(connection.reply(), None);
            assert_eq!(service.park.stdout.rest(), b"");
        }
    }
}

#[test]
fn a_restart_that_cannot_execute_ends_the_park() {
    for &place in places() {
        let dir = tempfile::TempDir::new().expect("there is room");
        let tool = dir.path().join("tool");
        std::fs::copy("/bin/sleep", &tool).expect("sleep is everywhere");
        let mut service = Service::start(place, &[&tool.display().to_string(), "600"]);
        let mut connection = service.connect();
        connection.hello();
        // It runs once it is no longer the park.
        until(|| children(service.park.pid()).first().filter(|pid| runs(**pid, &tool)).copied());
        std::fs::remove_file(&tool).expect("it is there");
        connection.send(&command::restart(1, HOUR, TERM));
        assert_eq!(connection.reply(), None);
        assert_eq!(service.park.code(), 127);
        let message = format!("devd-park: {}: no such file or directory", tool.display());
        assert_eq!(service.park.stderr.line(), message);
    }
}

fn runs(pid: u32, program: &std::path::Path) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
}

#[test]
fn who_came_by_exec_survives_a_restart() {
    for &place in places() {
        if place == Place::Here {
            continue;
        }
        let mut service = Service::script(place, "echo started; exec sleep 600");
        assert_eq!(service.park.stdout.line(), "started");
        let pid = service.park.pid().to_string();
        let enter = ["-t", &pid, "-p", "-m", "sh", "-c", "echo in; sleep 600; :"];
        let mut command = Command::new("nsenter");
        let mut guest = Process::spawn(command.args(enter).stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut said = [0; 3];
        if std::io::Read::read_exact(guest.child.stdout.as_mut().expect("is a pipe"), &mut said).is_err() {
            eprintln!("this user may not enter a namespace: not tested");
            continue;
        }
        let mut connection = service.connect();
        connection.hello();
        connection.send(&command::restart(1, HOUR, TERM)).restarted();
        assert_eq!(guest.child.try_wait().expect("it is ours"), None);
        // Nor was its child touched.
        let shell = until(|| children(guest.id()).first().copied());
        assert_eq!(children(shell).len(), 1);
        service.park.signal("TERM");
        assert_eq!(service.park.code(), 143);
        // The kernel kills it with PID 1.
        assert_ne!(guest.code(), 0);
    }
}

#[test]
fn bad_clients_disturb_nobody() {
    for &place in places() {
        let mut service = Service::script(place, "echo started; exec sleep 600");
        assert_eq!(service.park.stdout.line(), "started");
        let bad: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            &[1, 4, 0, 0, 0xff, 0xff, 0xff, 0xff],
            &[1, 99, 0, 0, 0, 0, 0, 0],
            &[0xff; 100],
            &command::kill(1),
            &command::run(&[0; 16], &["true"]).expect("it fits"),
        ];
        for bytes in bad {
            let mut connection = service.connect();
            connection.hello();
            connection.send(bytes);
            assert_eq!(connection.reply(), None, "{bytes:?}");
        }
        // Half a command, and the whole of it later.
        let mut slow = service.connect();
        slow.hello();
        let restart = command::restart(3, HOUR, TERM);
        let (head, tail) = restart.split_at(9);
        slow.send(head);
        // One that asks and asks, and never reads.
        let mut deaf = service.connect();
        let many = command::signal(1, 18).repeat(10_000);
        let _ = std::io::Write::write_all(&mut deaf.0, &many);
        let mut good = service.connect();
        good.hello();
        good.send(&command::restart(9, HOUR, TERM));
        assert_eq!(good.restarted().0, 9);
        slow.send(tail);
        let (id, start) = slow.restarted();
        assert_eq!((id, start.number), (3, 3));
        drop(deaf);
    }
}

#[test]
fn there_is_always_a_place_for_one_more() {
    for &place in places() {
        let (service, mut waiting) = stubborn(place);
        waiting.send(&command::restart(1, HOUR, TERM));
        let mut idle: Vec<Connection> = Vec::new();
        for _ in 0..30 {
            let mut connection = service.connect();
            connection.hello();
            idle.push(connection);
        }
        let mut last = idle.pop().expect("there are thirty");
        last.send(&command::signal(2, 10));
        assert_eq!(last.reply(), Some((2, Reply::Done { errno: 0 })));
        // Whoever waits for a restart keeps its place.
        assert_eq!(waiting.restarted().1.number, 2);
        assert_eq!(idle.first_mut().and_then(Connection::reply), None);
    }
}

#[test]
fn the_socket_is_for_every_user_and_old_ones_make_way() {
    use std::os::unix::fs::PermissionsExt as _;
    for &place in places() {
        let mut service = Service::script(place, "echo started; exec sleep 600");
        assert_eq!(service.park.stdout.line(), "started");
        service.connect().hello();
        let path = service.path("control");
        let mode = std::fs::metadata(&path).expect("it listens").permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
        // Killed from outside, it cannot tidy up.
        let (pid, children) = (service.park.pid(), children(service.park.pid()));
        signal(pid, "KILL");
        // Some versions of `unshare` have a code of their own for that.
        assert_ne!(service.park.code(), 0);
        children.into_iter().for_each(|pid| signal(pid, "KILL"));
        let mut command = crate::support::park(place, &["serve", "--control"]);
        command.arg(&path).args(["--", "sleep", "600"]);
        service.park = crate::support::Park::spawn(place, &mut command);
        assert_eq!(service.connect().hello().number, 1);
    }
}

#[test]
fn a_command_out_of_reach_is_not_restarted() {
    // A park without the right to signal other users, and a command that becomes one.
    let weak = ["--bounding-set=-kill", "--inh-caps=-kill"];
    let other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut probe = Command::new("setpriv");
    probe.args(weak).args(other).arg("true").stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        eprintln!("this user may not become another one: not tested");
        return;
    }
    let dir = tempfile::TempDir::new().expect("there is room");
    let inner = crate::support::park(Place::Here, &["serve", "--control"]);
    let mut command = Command::new("setpriv");
    command.args(weak).arg(inner.get_program()).args(inner.get_args()).arg(dir.path().join("control"));
    command.arg("--").args(other).args(["sh", "-c", "echo started; exec sleep 600"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let park = crate::support::Park::spawn(Place::Here, &mut command);
    let mut service = Service { park, dir };
    assert_eq!(service.park.stdout.line(), "started");
    let mut connection = service.connect();
    let first = connection.hello();
    connection.send(&command::signal(1, TERM));
    assert_eq!(connection.reply(), Some((1, Reply::Done { errno: 1 })));
    // Whoever asks hears that nothing will come of it, and may ask the engine.
    connection.send(&command::restart(2, HOUR, TERM));
    assert_eq!(connection.reply(), None);
    assert_eq!(service.connect().hello(), first);
    // Its end is still the end of the park, and no restart.
    signal(first.pid, "TERM");
    assert_eq!(service.park.code(), 143);
}

#[test]
fn few_files_are_enough() {
    for &place in places() {
        let inner = crate::support::park(place, &["serve", "--control"]);
        let dir = tempfile::TempDir::new().expect("there is room");
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 10; exec \"$@\"", "sh"]).arg(inner.get_program());
        command.args(inner.get_args()).arg(dir.path().join("control"));
        command.args(["--", "sh", "-c", "echo started; exec sleep 600"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut service = Service { park: crate::support::Park::spawn(place, &mut command), dir };
        assert_eq!(service.park.stdout.line(), "started");
        let mut connection = service.connect();
        connection.hello();
        assert_eq!(connection.send(&command::restart(1, HOUR, TERM)).restarted().1.number, 2);
        // There are not enough for all of these, but for the newest there is.
        let mut many: Vec<Connection> = Vec::new();
        for _ in 0..9 {
            let mut connection = service.connect();
            connection.hello();
            many.push(connection);
        }
        service.park.signal("TERM");
        assert_eq!(service.park.code(), 143);
    }
}
