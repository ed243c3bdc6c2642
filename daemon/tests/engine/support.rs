//! A real daemon, the real client, a real engine, and a copy of an example of their own.

use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes so long; what does has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub(crate) struct World {
    pub dir: TempDir,
    pub root: PathBuf,
    pub project: String,
    pub ports: Vec<u16>,
    daemon: Option<Child>,
    replaced: bool,
    env: Vec<(String, String)>,
}

fn devdd() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_devdd"))
}

fn devd() -> PathBuf {
    let path = devdd().with_file_name("devd");
    assert!(path.exists(), "{} is not built: cargo build --workspace --bins", path.display());
    path
}

/// Runs a docker command; an engine that does not answer is a failure, never a reason to skip.
pub(crate) fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the docker command");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "docker {args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == "__pycache__" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

impl World {
    /// An empty folder for a project of the test's own.
    pub(crate) fn empty() -> Self {
        let dir = TempDir::with_prefix("devd-test-").unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let project = format!("devdtest{}x{number}", std::process::id());
        let root = dir.path().canonicalize().unwrap().join(&project);
        std::fs::create_dir_all(&root).unwrap();
        let text = |path: PathBuf| path.display().to_string();
        let env = vec![
            ("DEVD_SOCKET".to_owned(), text(dir.path().join("run/devd.sock"))),
            ("DEVD_STATE_DIR".to_owned(), text(dir.path().join("state"))),
            ("DEVD_CONFIG".to_owned(), text(dir.path().join("config.toml"))),
            ("NO_COLOR".to_owned(), "1".to_owned()),
        ];
        Self { dir, root, project, ports: Vec::new(), daemon: None, replaced: false, env }
    }

    /// A copy of an example with ports of its own.
    pub(crate) fn example(name: &str) -> Self {
        let mut world = Self::empty();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        copy(&examples.join(name), &world.root);
        world.ports = vec![free_port(), free_port()];
        let (one, two) = (world.ports[0], world.ports[1]);
        if world.root.join(".env").exists() {
            world.write(".env", &format!("SERVICE1_PORT={one}\nSERVICE2_PORT={two}\n"));
        } else {
            let file = world.read("docker-compose.yml");
            let file = file
                .replace("8001:8000", &format!("{one}:8000"))
                .replace("8002:8000", &format!("{two}:8000"));
            world.write("docker-compose.yml", &file);
        }
        world
    }

    pub(crate) fn env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn replace(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert!(text.contains(old), "{path} has no {old:?}");
        self.write(path, &text.replace(old, new));
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub(crate) fn start(&mut self) {
        let notify = self.dir.path().join("notify.sock");
        let _ = std::fs::remove_file(&notify);
        let ready = std::os::unix::net::UnixDatagram::bind(&notify).unwrap();
        ready.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let log =
            std::fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let child = Command::new(devdd())
            .envs(self.env.clone())
            .env("NOTIFY_SOCKET", &notify)
            .env("RUST_LOG", "debug,hyper=info,bollard=info")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
        let mut buffer = [0; 256];
        let read = ready.recv(&mut buffer);
        assert!(read.is_ok(), "the daemon did not become ready:\n{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// SIGKILL, as the out-of-memory killer does.
    pub(crate) fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// SIGTERM, and that it ends well.
    pub(crate) fn stop_daemon(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        let pid = rustix::process::Pid::from_child(&daemon);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = daemon.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(devd());
        command.envs(self.env.clone()).current_dir(&self.root).stdin(Stdio::null()).args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs the client and expects this exit code; what it wrote to both streams.
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "devd {args:?}\n{out}\n{err}\n--- log\n{}", self.log());
        (out, err)
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("devd {args:?} --json: {error}\n{text}"))
    }

    /// This project's status.
    pub(crate) fn status(&self) -> Value {
        let status = self.json(&["status"]);
        let projects = status["projects"].as_array().unwrap();
        projects.iter().find(|it| it["name"] == self.project.as_str()).cloned().unwrap_or(Value::Null)
    }

    pub(crate) fn service(&self, name: &str) -> Value {
        service(&self.status(), name).clone()
    }

    /// Waits for a status by reading them as they come.
    pub(crate) fn until(&self, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        let mut child =
            self.command(&["status", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let deadline = Instant::now() + PATIENCE;
        let found = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = match lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break None,
            };
            let status: Value = serde_json::from_str(&line).unwrap();
            let Some(projects) = status["projects"].as_array() else {
                panic!("no status: {line}\n--- log\n{}", self.log());
            };
            let mine = projects.iter().find(|it| it["name"] == self.project.as_str());
            if let Some(mine) = mine.filter(|mine| test(mine)) {
                break Some(mine.clone());
            }
        };
        let _ = child.kill();
        let _ = child.wait();
        found.unwrap_or_else(|| panic!("never {what}: {:#}\n--- log\n{}", self.status(), self.log()))
    }

    /// Waits until a service's tests are as wanted for what is on disk.
    pub(crate) fn until_tested(&self, name: &str, state: &str, other_than: &Value) -> Value {
        let status = self.until(&format!("{state}: {name}"), |status| {
            let tests = &service(status, name)["tests"];
            tests["state"] == state && tests["current"] == true && tests["run"] != *other_than
        });
        service(&status, name).clone()
    }

    /// Waits until an address answers so.
    pub(crate) fn until_served(&self, port: u16, path: &str, test: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < deadline {
            if let Some(answer) = get(port, path) {
                if test(&answer) {
                    return answer;
                }
                last = answer;
            }
            // Another process has to come up; there is no event of it that could be waited for.
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("port {port}{path} never answered so; last: {last}\n--- log\n{}", self.log());
    }

    /// Everything on the engine that is this project's, test environments included.
    pub(crate) fn leftovers(&self) -> String {
        let filter = format!("label=dev.devd.project={}", self.project);
        let containers = docker(&["ps", "-aq", "--filter", &filter]);
        let networks = docker(&["network", "ls", "-q", "--filter", &filter]);
        let volumes = docker(&["volume", "ls", "-q", "--filter", &filter]);
        format!("{containers}{networks}{volumes}")
    }

    /// What is mounted into containers to restart them, by container.
    pub(crate) fn control_folders(&self) -> Vec<String> {
        let control = std::fs::read_dir(self.dir.path().join("state/park/run"));
        let names =
            control.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// Containers of test environments.
    pub(crate) fn environments(&self) -> String {
        let filter = format!("label=dev.devd.project={}", self.project);
        docker(&["ps", "-aq", "--filter", &filter, "--filter", "label=dev.devd.environment"])
    }

    /// Waits until the only test environments there are stand ready for the next run; their ids.
    pub(crate) fn until_tidy(&self, ready: usize) -> BTreeSet<String> {
        let filter = format!("label=dev.devd.project={}", self.project);
        let format = "{{.Label \"dev.devd.environment\"}}";
        let ids = || {
            let all = docker(&["ps", "-a", "--filter", &filter, "--format", format]);
            all.lines().filter(|id| !id.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>()
        };
        // The last environment to go may go after the last news of the project.
        self.until_so(|| {
            let status = self.status();
            let services = status["services"].as_array().unwrap().iter();
            let warm: u64 = services.map(|it| it["tests"]["warm"].as_u64().unwrap()).sum();
            warm as usize >= ready && ids().len() == warm as usize
        });
        ids()
    }

    /// Waits until something is so that is no event of devd's.
    pub(crate) fn until_so(&self, test: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !test() {
            assert!(Instant::now() < deadline, "never so\n--- log\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The daemon was replaced by one that is not this test's child: it is told to stop in the end.
    pub(crate) fn forget_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.wait().unwrap();
        }
        self.replaced = true;
    }

    pub(crate) fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.project)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if self.replaced {
            let _ = self.command(&["daemon", "stop"]).output();
        }
        // Only what carries this test's own project, whether devd or compose made it.
        let labels = ["dev.devd.project", "com.docker.compose.project"];
        for (list, remove) in [
            (vec!["ps", "-aq"], vec!["rm", "-fv"]),
            (vec!["network", "ls", "-q"], vec!["network", "rm"]),
            (vec!["volume", "ls", "-q"], vec!["volume", "rm"]),
            // What was kept of the tests' dependencies; what was built has no label of devd's.
            (vec!["images", "-q"], vec!["rmi", "-f"]),
        ] {
            for label in labels {
                let filter = format!("label={label}={}", self.project);
                let Ok(found) = Command::new("docker").args(&list).args(["--filter", &filter]).output()
                else {
                    continue;
                };
                let found = String::from_utf8_lossy(&found.stdout).into_owned();
                if !found.trim().is_empty() {
                    let _ = Command::new("docker").args(&remove).args(found.split_whitespace()).output();
                }
            }
        }
        let images = Command::new("docker")
            .args(["images", "-q", "--filter"])
            .arg(format!("reference={}*", self.project))
            .output();
        if let Ok(images) = images {
            let images = String::from_utf8_lossy(&images.stdout).into_owned();
            if !images.trim().is_empty() {
                let _ = Command::new("docker").args(["rmi", "-f"]).args(images.split_whitespace()).output();
            }
        }
    }
}

pub(crate) fn service<'a>(status: &'a Value, name: &str) -> &'a Value {
    let services = status["services"].as_array();
    services.and_then(|it| it.iter().find(|it| it["name"] == name)).unwrap_or(&Value::Null)
}

pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

/// The lines of a stream as they come.
pub(crate) fn lines(reader: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
