//! `devdd` as a process, and HTTP by hand.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes so long; what does has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Daemon {
    dir: TempDir,
    child: Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// One that sends its traces there, and not before it ends.
    pub(crate) fn start(endpoint: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let notify = dir.path().join("notify.sock");
        let ready = UnixDatagram::bind(&notify).unwrap();
        ready.set_read_timeout(Some(PATIENCE)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_devdd"))
            .args(["--engine", "fake", "--socket"])
            .arg(dir.path().join("run/devd.sock"))
            .env_clear()
            .env("HOME", dir.path())
            .env("NOTIFY_SOCKET", &notify)
            .env("RUST_LOG", "warn")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self { dir, child };
        ready.recv(&mut [0; 256]).unwrap();
        this
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join("shop").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A project with a service and its tests, up and tested.
    pub(crate) fn up(&self) {
        self.write("api/Dockerfile", "FROM scratch\n");
        self.write("api/main.py", "print(1)\n");
        let service = "build: ./api\n    volumes: ['./api:/app']\n    environment: {PASSWORD: hunter2}\n";
        self.write("compose.yaml", &format!("services:\n  api:\n    {service}"));
        let tests = "build: .\n    command: python -m unittest\n    volumes: ['.:/app']\n";
        self.write("api/compose.yaml", &format!("services:\n  tests:\n    {tests}"));
        let root = self.dir.path().canonicalize().unwrap().join("shop");
        let registered = self.ask("POST", "/v1/projects", json!({ "dir": root, "start": true }));
        assert!(registered.get("revision").is_some(), "{registered}");
        self.until_tested("shop-1");
    }

    /// Waits until all has come of a save, the verdict of that run among it.
    pub(crate) fn until_tested(&self, run: &str) {
        let began = Instant::now();
        loop {
            let status = self.ask("GET", "/v1/status", "");
            let project = &status["projects"][0];
            let tests = &project["services"][0]["tests"];
            if project["settled"] == true && tests["run"] == run && tests["current"] == true {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{run} never came to an end: {status:#}");
            // Each answer is complete when it comes; the pause only keeps the machine free.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn ask(&self, method: &str, path: &str, body: impl ToString) -> Value {
        let body = body.to_string();
        let mut stream = UnixStream::connect(self.dir.path().join("run/devd.sock")).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: devd\r\nConnection: close\r\n");
        let what = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all((head + &what).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Has it end, and end well.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}
