//! What the client does by itself, and what it says when nobody answers.

use crate::support::{World, run, run_with_output};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

/// Every command line that needs nothing to parse but itself.
const COMMANDS: [&str; 25] = [
    "up",
    "down",
    "status",
    "logs",
    "test",
    "saved",
    "runs",
    "restart",
    "stop",
    "start",
    "rebuild",
    "exec",
    "shell",
    "build",
    "ci",
    "config",
    "why",
    "events",
    "hook",
    "doctor",
    "install",
    "uninstall",
    "daemon",
    "completions",
    "man",
];

#[test]
fn a_save_is_silent_unless_one_asks() {
    let world = World::new();
    let saved = world.run(&["saved", "x"]);
    assert_eq!((saved.code, saved.out.as_str(), saved.err.as_str()), (0, "", ""));
    let strict = world.run(&["saved", "--strict", "x"]);
    assert_eq!(strict.code, 3);
    assert!(strict.err.starts_with("error: devd is not running\nhelp: "), "{}", strict.err);
    assert!(!world.path("run/devd").exists(), "it left something behind");
}

#[test]
fn commands_that_only_look_do_not_start_the_daemon() {
    let world = World::new();
    world.put_devdd("#!/bin/sh\ntouch \"$HOME/started\"\nexit 1\n");
    for line in [
        &["status"][..],
        &["status", "--watch"],
        &["logs", "web"],
        &["runs"],
        &["runs", "show", "last"],
        &["daemon", "status"],
    ] {
        let outcome = world.run(line);
        assert_eq!(outcome.code, 3, "{line:?}: {}{}", outcome.out, outcome.err);
        assert!(outcome.err.starts_with("error: devd is not running"), "{line:?}: {}", outcome.err);
        assert!(outcome.err.contains("\nhelp: "), "{line:?}: {}", outcome.err);
    }
    assert_eq!(world.run(&["daemon", "stop"]).code, 0);
    assert!(!world.path("home/started").exists());
}

#[test]
fn with_json_an_error_is_an_object_on_standard_output() {
    let world = World::new();
    let status = world.run(&["status", "--json"]);
    assert_eq!((status.code, status.err.as_str()), (3, ""));
    let value: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(value["error"]["code"], "not_running");
    assert!(value["error"]["file"].is_null() && value["error"]["help"].is_string());

    let usage = world.run(&["--json", "stauts"]);
    assert_eq!((usage.code, usage.err.as_str()), (2, ""));
    let value: serde_json::Value = serde_json::from_str(&usage.out).unwrap();
    assert_eq!(value["error"]["code"], "usage");
    let help = value["error"]["help"].as_str().unwrap();
    assert!(help.contains("'status'"), "{help}");

    let missing = world.run(&["--json", "why"]);
    let value: serde_json::Value = serde_json::from_str(&missing.out).unwrap();
    assert_eq!(value["error"]["message"], "the following required arguments were not provided: <PATH>");
    for line in [&["--json"][..], &["--json", "daemon"]] {
        let bare = world.run(line);
        assert_eq!((bare.code, bare.err.as_str()), (2, ""), "{line:?}");
        let value: serde_json::Value = serde_json::from_str(&bare.out).unwrap();
        assert!(value["error"]["message"].as_str().unwrap().contains("stop"), "{value}");
    }
}

#[test]
fn every_command_has_help() {
    let world = World::new();
    let all = world.run(&["--help"]);
    assert_eq!(all.code, 0);
    for command in COMMANDS {
        assert!(all.out.contains(&format!("\n  {command} ")), "{command} is not listed");
        let help = world.run(&[command, "--help"]);
        assert_eq!(help.code, 0, "{command}");
        assert!(help.out.contains("Usage: devd "), "{command}: {}", help.out);
    }
    assert_eq!(world.run(&[]).code, 2);
    assert_eq!(world.run(&["--version"]).out, format!("devd {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_2() {
    let world = World::new();
    for line in [
        &["nonsense"][..],
        &["status", "--nonsense"],
        &["saved"],
        &["restart"],
        &["exec", "web"],
        &["logs", "--tail", "few"],
        &["hook", "ed"],
        &["build", "--tag", "x"],
        &["up", "-C", "/no/such/folder"],
    ] {
        let outcome = world.run(line);
        assert_eq!(outcome.code, 2, "{line:?}: {}", outcome.err);
        assert!(outcome.err.starts_with("error: "), "{line:?}: {}", outcome.err);
    }
}

#[test]
fn every_editor_has_a_hook_that_calls_saved() {
    let world = World::new();
    for editor in ["vim", "nvim", "vscode", "emacs", "helix", "jetbrains"] {
        let hook = world.run(&["hook", editor]);
        assert_eq!(hook.code, 0, "{editor}");
        assert!(hook.out.contains("saved"), "{editor}: {}", hook.out);
    }
    let git = world.run(&["hook", "git"]);
    assert!(git.out.starts_with("#!/bin/sh\n") && git.out.contains("devd test"), "{}", git.out);
}

#[test]
fn the_pre_push_hook_stops_a_push_only_when_tests_fail() {
    let world = World::new();
    let hook = world.path("pre-push");
    fs::write(&hook, world.run(&["hook", "git"]).out).unwrap();
    let tools = world.path("tools");
    fs::create_dir(&tools).unwrap();
    let push = |devd: &str, refs: &str| {
        let program = tools.join("devd");
        fs::write(&program, format!("#!/bin/sh\n[ \"$*\" = test ] || exit 9\n{devd}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let refs_file = world.path("refs");
        fs::write(&refs_file, refs).unwrap();
        let mut command = std::process::Command::new("/bin/sh");
        command
            .arg(&hook)
            .env("PATH", format!("{}:/usr/bin:/bin", tools.display()))
            .env("GIT_DIR", "/nowhere")
            .stdin(fs::File::open(refs_file).unwrap());
        run(&mut command)
    };
    let normal = "refs/heads/a 1234567 refs/heads/a 0000000\n";
    let delete = "(delete) 0000000 refs/heads/a 1234567\n";
    assert_eq!(push("[ -z \"$GIT_DIR\" ]", normal).code, 0);
    let failing = push("exit 1", normal);
    assert_eq!(failing.code, 1);
    assert!(failing.err.contains("--no-verify"), "{}", failing.err);
    assert_eq!(push("exit 1", delete).code, 0);
    assert_eq!(push("exit 1", &format!("{delete}{normal}")).code, 1);
}

#[test]
fn completions_and_manual_pages_are_there() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let completions = world.run(&["completions", shell]);
        assert_eq!(completions.code, 0, "{shell}");
        assert!(completions.out.contains("rebuild"), "{shell}");
    }
    assert!(world.run(&["man"]).out.contains(".TH devd 1"));
    let pages = world.path("man");
    assert_eq!(world.run(&["man", "--dir", pages.to_str().unwrap()]).code, 0);
    assert!(pages.join("devd.1").exists() && pages.join("devd-daemon-stop.1").exists());
}

#[test]
fn a_socket_path_that_is_too_long_says_what_to_set() {
    let world = World::new();
    let long = format!("/tmp/{}/devd.sock", "x".repeat(120));
    for line in [&["status"][..], &["up"], &["saved", "--strict", "x"]] {
        let outcome = run(world.command(line).env("DEVD_SOCKET", &long));
        assert_eq!(outcome.code, 3, "{line:?}");
        assert!(outcome.err.contains("too long: 135 bytes"), "{}", outcome.err);
        assert!(outcome.err.contains("help: set DEVD_SOCKET"), "{}", outcome.err);
    }
    assert_eq!(run(world.command(&["saved", "x"]).env("DEVD_SOCKET", &long)).code, 0);
}

#[test]
fn a_folder_that_others_may_enter_is_not_trusted() {
    let world = World::new();
    world.make_socket_folder();
    assert!(world.run(&["status"]).err.starts_with("error: devd is not running"));
    fs::set_permissions(world.path("run/devd"), fs::Permissions::from_mode(0o755)).unwrap();
    for line in [&["status"][..], &["up"], &["daemon", "start"]] {
        let outcome = world.run(line);
        assert_eq!(outcome.code, 3, "{line:?}");
        assert!(outcome.err.contains("is open to other users (mode 755)"), "{}", outcome.err);
        assert!(outcome.err.contains("help: chmod 700"), "{}", outcome.err);
    }
}

#[test]
fn a_folder_of_somebody_else_is_not_trusted() {
    let world = World::new();
    // Root's when we are not root; nobody's when we are.
    let foreign = if rustix::process::getuid().is_root() {
        let folder = world.path("foreign");
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::chown(&folder, Some(65534), Some(65534)).unwrap();
        folder
    } else {
        "/usr".into()
    };
    let outcome = run(world.command(&["status"]).env("DEVD_SOCKET", foreign.join("devd.sock")));
    assert_eq!(outcome.code, 3);
    assert!(outcome.err.contains("belongs to another user"), "{}", outcome.err);
}

#[test]
fn a_link_to_a_folder_of_ours_is_not_followed() {
    let world = World::new();
    world.make_socket_folder();
    std::os::unix::fs::symlink(world.path("run/devd"), world.path("link")).unwrap();
    for line in [&["status"][..], &["up"]] {
        let outcome = run(world.command(line).env("DEVD_SOCKET", world.path("link/devd.sock")));
        assert_eq!(outcome.code, 3, "{line:?}");
        assert!(outcome.err.contains("is not a folder"), "{}", outcome.err);
    }
}

/// The folder was open for a while, and they were quick. Only root can become another user: for others there is nothing to see.
#[cfg(target_os = "linux")]
#[test]
fn a_stranger_who_listens_in_our_folder_is_told_nothing() {
    use std::io::Read as _;
    if !rustix::process::getuid().is_root() {
        return;
    }
    let world = World::new();
    world.make_socket_folder();
    let mode =
        |name: &str, mode| fs::set_permissions(world.path(name), fs::Permissions::from_mode(mode)).unwrap();
    for (name, open) in [("", 0o711), ("run", 0o711), ("run/devd", 0o777)] {
        mode(name, open);
    }
    let stranger = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Users are a matter of threads on Linux; this one ends as what it became.
            let nobody = rustix::process::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            std::os::unix::net::UnixListener::bind(world.socket()).unwrap()
        });
        thread.join().unwrap()
    });
    mode("run/devd", 0o700);
    for line in [&["status"][..], &["up"]] {
        let outcome = world.run(line);
        assert_eq!(outcome.code, 3, "{line:?}");
        assert!(outcome.err.contains("another user (uid 65534) listens on"), "{}", outcome.err);
        let mut heard = Vec::new();
        stranger.accept().unwrap().0.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"");
    }
}

/// One of this name may have been there before.
#[test]
fn nothing_is_written_through_a_start_log_that_is_a_link() {
    let world = World::new();
    world.put_devdd("#!/bin/sh\necho 'no engine, no fun' >&2\nexit 1\n");
    fs::DirBuilder::new().mode(0o700).create(world.path("state")).unwrap();
    fs::write(world.path("victim"), "precious").unwrap();
    std::os::unix::fs::symlink(world.path("victim"), world.path("state/devdd-start.log")).unwrap();
    let outcome = world.run(&["config"]);
    assert_eq!(outcome.code, 3);
    assert!(outcome.err.contains("is not a plain file with one name"), "{}", outcome.err);
    assert_eq!(fs::read(world.path("victim")).unwrap(), b"precious");
}

#[test]
fn the_folder_of_ci_is_nobody_elses() {
    let world = World::new();
    world.put_devdd("#!/bin/sh\necho \"folder: $2\" >&2\nls -l -d \"$2\" >&2\nexit 1\n");
    fs::create_dir(world.path("tmp")).unwrap();
    fs::set_permissions(world.path("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    let outcome = run(world.command(&["ci"]).env("TMPDIR", world.path("tmp")));
    assert!(outcome.err.contains("drwx------"), "{}", outcome.err);
    assert!(
        outcome.err.contains(&format!("folder: {}/devd-ci-", world.path("tmp").display())),
        "{}",
        outcome.err
    );
    assert_eq!(fs::read_dir(world.path("tmp")).unwrap().count(), 0, "it is left behind");
}

#[test]
fn a_daemon_that_is_not_there_or_dies_is_told_with_its_last_words() {
    let world = World::new();
    let missing = world.run(&["config"]);
    assert_eq!(missing.code, 3);
    assert!(missing.err.contains("error: devdd is not there"), "{}", missing.err);

    world.put_devdd("#!/bin/sh\necho \"args: $*\" >&2\necho 'no engine, no fun' >&2\nexit 1\n");
    let dead = world.run(&["config"]);
    assert_eq!(dead.code, 3);
    assert!(
        dead.err.contains("did not start (exit status: 1)\n  args: --background --socket "),
        "{}",
        dead.err
    );
    assert!(dead.err.contains("\n  no engine, no fun\nhelp: devd daemon logs\n"), "{}", dead.err);

    let left: Vec<_> =
        fs::read_dir(world.path("run/devd")).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, ["start.lock"]);
    assert_eq!(fs::metadata(world.path("run/devd")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_daemon_is_told_absolute_places() {
    let world = World::new();
    world.put_devdd(
        "#!/bin/sh\nprintf '%s\\n' \"$DEVD_STATE_DIR\" \"$DEVD_SOCKET\" \"$DOCKER_CONFIG\" \"$*\" >&2\nexit 1\n",
    );
    let mut command = world.command(&["config"]);
    let relative = [("DEVD_STATE_DIR", "s"), ("DEVD_SOCKET", "x/../r/d.sock"), ("DOCKER_CONFIG", "c")];
    let outcome = run(command.envs(relative).env("XDG_RUNTIME_DIR", "nowhere"));
    let home = world.path("home").canonicalize().unwrap();
    let told = ["s", "r/d.sock", "c"].map(|path| format!("\n  {}", home.join(path).display())).concat();
    let told = format!("{told}\n  --background --socket {}\n", home.join("r/d.sock").display());
    assert!(outcome.err.contains(&told), "{}", outcome.err);

    // A relative folder of the XDG specification is none.
    let log = run(world.command(&["daemon", "logs"]).env("DEVD_STATE_DIR", "").env("XDG_STATE_HOME", "s"));
    let usual = world.path("home/.local/state/devd/devdd.log");
    assert!(log.err.contains(&usual.display().to_string()), "{}", log.err);
}

#[test]
fn a_daemon_is_free_to_begin_a_session() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let world = World::new();
    // The leader of a process group is not.
    world
        .put_devdd("#!/bin/sh\necho \"process $$ of group $(cut -d ' ' -f 5 /proc/$$/stat).\" >&2\nexit 1\n");
    let outcome = world.run(&["config"]);
    let (_, said) = outcome.err.split_once("process ").unwrap();
    let (process, group) = said.split_once('.').unwrap().0.split_once(" of group ").unwrap();
    assert_ne!(process, group, "{}", outcome.err);
}

#[test]
fn a_daemon_that_ends_without_a_word_is_waited_for_no_longer() {
    let world = World::new();
    world.put_devdd("#!/bin/sh\nexit 0\n");
    let outcome = world.run(&["config"]);
    assert_eq!(outcome.code, 3);
    assert!(outcome.err.contains("did not start (exit status: 0)"), "{}", outcome.err);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let world = World::new();
    for line in [&["completions", "bash"][..], &["--help"], &["hook", "vim"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let outcome = run_with_output(world.command(line).stdout(writer));
        assert_eq!((outcome.code, outcome.err.as_str()), (141, ""), "{line:?}");
    }
}

#[test]
fn install_writes_units_and_uninstall_removes_only_them() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let world = World::new();
    world.put_devdd("#!/bin/sh\n");
    // No systemctl on PATH: as where systemd does not run.
    let run_here = |line: &[&str]| run(world.command(line).env("PATH", "/nowhere"));
    let folder = world.path("home/.config/systemd/user");
    let installed = run_here(&["install"]);
    assert_eq!(installed.code, 0, "{}", installed.err);
    assert!(
        installed.out.contains("systemctl --user enable --now devdd.socket devdd.service"),
        "{}",
        installed.out
    );
    let unit = fs::read_to_string(folder.join("devdd.service")).unwrap();
    let devdd = fs::canonicalize(world.path("bin/devdd")).unwrap();
    assert!(unit.contains(&format!("ExecStart=\"{}\"\n", devdd.display())), "{unit}");
    assert!(
        fs::read_to_string(folder.join("devdd.socket")).unwrap().contains("ListenStream=%t/devd/devd.sock\n")
    );
    assert_eq!(run_here(&["install"]).code, 0, "its own files may be written again");
    let as_json = run_here(&["install", "--json"]);
    assert_eq!((as_json.code, as_json.err.as_str()), (0, ""));
    let value: serde_json::Value = serde_json::from_str(&as_json.out).unwrap();
    assert_eq!((&value["active"], value["files"].as_array().unwrap().len()), (&false.into(), 2));
    assert!(value["help"].as_str().unwrap().contains("systemctl --user enable --now"), "{value}");

    fs::write(folder.join("devdd.service"), "[Unit]\nDescription=mine\n").unwrap();
    let refused = run_here(&["install"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("did not write it") && refused.err.contains("--force"), "{}", refused.err);
    assert_eq!(run_here(&["install", "--force"]).code, 0);

    assert_eq!(run_here(&["uninstall"]).code, 0);
    assert!(!folder.join("devdd.service").exists() && !folder.join("devdd.socket").exists());
    assert!(run_here(&["uninstall"]).out.starts_with("nothing to do"));
}

#[test]
fn doctor_asks_systemd_whether_the_units_are_enabled() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let world = World::new();
    world.put_devdd("#!/bin/sh\nexit 1\n");
    let tools = world.path("tools");
    fs::create_dir(&tools).unwrap();
    let run_here = |line: &[&str]| run(world.command(line).env("PATH", &tools));
    assert_eq!(run_here(&["install"]).code, 0);
    let service = || {
        let doctor = run_here(&["doctor"]);
        let (_, said) = doctor.out.split_once(" service: ").unwrap();
        let mark =
            doctor.out.lines().find(|line| line.contains(" service: ")).unwrap().chars().next().unwrap();
        format!("{mark} {}", said.split_once("devdd.service").unwrap().1.lines().next().unwrap())
    };
    assert_eq!(service(), "!  is written, but systemd does not answer here");
    let systemctl = |script: &str| {
        let program = tools.join("systemctl");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    systemctl("exit 1");
    assert_eq!(service(), "!  is written, but systemd does not answer here");
    systemctl("case \"$*\" in *is-enabled*) exit 1; esac");
    assert_eq!(service(), "!  is written, but not enabled");
    systemctl("exit 0");
    assert_eq!(service(), "✓  is enabled");
}

#[test]
fn doctor_says_what_is_missing() {
    let world = World::new();
    let doctor = world.run(&["doctor"]);
    assert_eq!(doctor.code, 1);
    assert!(doctor.out.starts_with("✗ daemon: "), "{}", doctor.out);
    assert!(doctor.out.contains("✓ socket: "), "{}", doctor.out);
    assert!(doctor.out.contains("✗ devdd: devdd is not there"), "{}", doctor.out);
    assert!(
        doctor.out.contains("! service: ") && doctor.out.contains("help: devd install"),
        "{}",
        doctor.out
    );
}
