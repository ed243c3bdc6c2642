//! The real binary in a world of its own: its own runtime folder, state and home, and no daemon unless one is put there.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub(crate) struct World {
    folder: TempDir,
}

/// What a command did.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["run", "home", "bin"] {
            fs::DirBuilder::new().mode(0o700).create(world.path(name)).unwrap();
        }
        // A copy, so that no devdd of the build is beside it.
        let own = Path::new(env!("CARGO_BIN_EXE_devd"));
        if fs::hard_link(own, world.path("bin/devd")).is_err() {
            fs::copy(own, world.path("bin/devd")).unwrap();
        }
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/devd/devd.sock")
    }

    /// The folder of the socket, as the daemon makes it.
    pub(crate) fn make_socket_folder(&self) {
        fs::DirBuilder::new().mode(0o700).create(self.path("run/devd")).unwrap();
    }

    /// A program called devdd beside devd.
    pub(crate) fn put_devdd(&self, script: &str) {
        let file = self.path("bin/devdd");
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin/devd"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("DEVD_STATE_DIR", self.path("state"))
            .current_dir(self.path("home"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        run(&mut self.command(arguments))
    }
}

pub(crate) fn run(command: &mut Command) -> Outcome {
    run_with_output(command.stdout(Stdio::piped()))
}

/// The same with standard output where the caller put it.
pub(crate) fn run_with_output(command: &mut Command) -> Outcome {
    outcome(command.stderr(Stdio::piped()).spawn().unwrap())
}

/// Waits for its end.
pub(crate) fn outcome(child: Child) -> Outcome {
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
