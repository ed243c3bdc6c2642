//! The program, a project, and requests as bytes.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// For a test that fails.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Devd {
    pub(crate) dir: TempDir,
    child: Child,
}

/// An answer, its body put together from its chunks.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a refusal, which is a problem document in every way.
    pub(crate) fn code(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

impl Devd {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    pub(crate) fn start_in(dir: TempDir) -> Self {
        Self::start_by(dir, Command::new(env!("CARGO_BIN_EXE_devdd")))
    }

    /// Where a shell says of how many open files it has: `-S -n 256`.
    pub(crate) fn start_with_files(limit: &str) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_devdd")]);
        Self::start_by(tempfile::tempdir().unwrap(), shell)
    }

    fn start_by(dir: TempDir, mut program: Command) -> Self {
        // Nobody else gets to see what is in it, unless a test wants that.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        // Of an earlier start in the same place.
        let _ = std::fs::remove_file(dir.path().join("notify.sock"));
        let notify = UnixDatagram::bind(dir.path().join("notify.sock")).unwrap();
        notify.set_read_timeout(Some(LIMIT)).unwrap();
        let child = program
            .args(["--background", "--engine", "fake", "--socket"])
            .arg(dir.path().join("run/devd.sock"))
            .env_remove("DEVD_SOCKET")
            .env("DEVD_STATE_DIR", dir.path().join("state"))
            .env("DEVD_CONFIG", dir.path().join("config.toml"))
            .env("NOTIFY_SOCKET", dir.path().join("notify.sock"))
            // Everything that can be said is.
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let devd = Self { dir, child };
        notify.recv(&mut [0; 64]).unwrap();
        devd
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/devd.sock")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("state/devdd.log")).unwrap()
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Sends bytes, and hears what is said up to the end of the connection. Who is refused need not be heard to the end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        Answer::parse(&heard)
    }

    /// A request in HTTP/1.0, whose answers have no chunks and are their connection's last.
    pub(crate) fn send(&self, method: &str, target: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.0\r\nHost: devd\r\nContent-Length: {length}\r\n\r\n");
        self.raw(&[head.as_bytes(), body.as_bytes()].concat())
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "")
    }

    pub(crate) fn post(&self, target: &str, body: &Value) -> Answer {
        self.send("POST", target, &body.to_string())
    }

    /// Waits for a state of things. The pause only keeps the machine free: each answer is complete when it comes.
    pub(crate) fn until(&self, target: &str, is: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..3000 {
            let answer = self.get(target).json();
            if is(&answer) {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{target} never became so: {:#}\n{}", self.get(target).json(), self.log());
    }

    /// A project of one service with tests, in a folder of this name; registered.
    pub(crate) fn project(&self) -> PathBuf {
        let root = self.dir.path().canonicalize().unwrap().join("shop");
        write(&root, "compose.yaml", "services:\n  api:\n    build: ./api\n    volumes: ['./api:/app']\n");
        write(&root, "api/Dockerfile", "FROM scratch\n");
        write(&root, "api/main.py", "print(1)\n");
        let tests =
            "services:\n  tests:\n    build: .\n    command: python -m unittest\n    volumes: ['.:/app']\n";
        write(&root, "api/compose.yaml", tests);
        let answer = self.post("/v1/projects", &json!({ "dir": root }));
        assert_eq!(answer.status, 200, "{answer:?}");
        self.until("/v1/projects/shop", |it| {
            it["settled"] == true && it["services"][0]["tests"]["current"] == true
        });
        root
    }

    /// Whether it still does what it is for, which is what a refusal must leave as it was.
    pub(crate) fn is_well(&self) {
        assert_eq!(self.get("/v1/version").json()["pid"], self.pid());
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
    }

    /// Ends it, and leaves its files.
    pub(crate) fn stop(mut self) -> TempDir {
        self.terminate();
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    fn terminate(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed());
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Devd {
    fn drop(&mut self) {
        self.terminate();
    }
}

pub(crate) fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Everything below a folder, with what it is.
pub(crate) fn all(folder: &Path) -> Vec<(PathBuf, std::fs::Metadata)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(meta) = path.symlink_metadata() else { continue };
        if meta.is_dir() {
            found.extend(all(&path));
        }
        found.push((path, meta));
    }
    found
}
