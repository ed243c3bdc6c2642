//! Starts the program and listens to it.

use devd_park::program::sys;
use devd_park::protocol::command;
use devd_park::protocol::record::{Exit, Record};
use devd_park::protocol::reply::{self, Reply, Start};
use devd_park::protocol::split::{Part, Splitter};
use devd_park::protocol::{Nonce, READY};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

include!("../../build_program.rs");

/// Long enough for the slowest machine. Nothing is waited for longer, and nothing lives longer.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// A grace period, in milliseconds, that no test waits for.
pub(crate) const HOUR: u32 = 3_600_000;
pub(crate) const TERM: u32 = 15;
pub(crate) const NONCE: Nonce = *b"nonce of the run";

/// The program, built once.
pub(crate) fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let park = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        sweep(folder);
        // Processes that test at the same time do not share it.
        let to = folder.join(format!("{PREFIX}{}", std::process::id()));
        if let Err(error) = build_program(park, &to, None, env!("CARGO_PKG_VERSION")) {
            panic!("{error}");
        }
        to
    })
}

const PREFIX: &str = "devd-park-";

/// Removes the programs of tests that have ended.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Where the park runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Beside this test, where orphans come to it as to any subreaper.
    Here,
    /// As PID 1 of a namespace of its own, with these options of `unshare`.
    Inside(&'static [&'static str]),
}

/// All places that this user may use.
pub(crate) fn places() -> &'static [Place] {
    static PLACES: OnceLock<Vec<Place>> = OnceLock::new();
    PLACES.get_or_init(|| {
        let options: [&[&str]; 2] =
            [&["-pf", "--mount-proc", "--kill-child"], &["-Urpf", "--mount-proc", "--kill-child"]];
        let may = |options: &&&[&str]| {
            let run = Command::new("unshare").args(**options).arg("true").stderr(Stdio::null()).status();
            run.is_ok_and(|status| status.success())
        };
        let inside = options.iter().find(may).map(|options| Place::Inside(options));
        if inside.is_none() {
            eprintln!("no PID namespaces for this user: the park is not tested as PID 1");
        }
        [Some(Place::Here), inside].into_iter().flatten().collect()
    })
}

/// The program with its arguments, ready to be changed and started.
pub(crate) fn park(place: Place, args: &[&str]) -> Command {
    by(place, &[], program().as_os_str(), args)
}

/// Any program, by way of another command.
pub(crate) fn by(place: Place, way: &[&OsStr], program: &OsStr, args: &[&str]) -> Command {
    let unshare: &[&str] = match place {
        Place::Here => &[],
        Place::Inside(options) => options,
    };
    let before = (!unshare.is_empty()).then_some("unshare").into_iter().chain(unshare.iter().copied());
    let mut words = before.map(OsStr::new).chain(way.iter().copied()).chain([program]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A park that runs.
pub(crate) struct Park {
    place: Place,
    process: Process,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
}

impl Park {
    pub(crate) fn start(place: Place, args: &[&str]) -> Self {
        Self::spawn(place, &mut park(place, args))
    }

    pub(crate) fn spawn(place: Place, command: &mut Command) -> Self {
        let mut process = Process::spawn(command);
        let child = &mut process.child;
        Self {
            place,
            stdin: child.stdin.take(),
            stdout: Stream::new(child.stdout.take().expect("is a pipe"), READY),
            stderr: Stream::new(child.stderr.take().expect("is a pipe"), NONCE),
            process,
        }
    }

    /// `wait` with a command that was released.
    pub(crate) fn run(place: Place, argv: &[&str]) -> Self {
        let mut park = Self::start(place, &[&["wait", "--"], argv].concat());
        park.release(&[]);
        park
    }

    /// A shell's script, released.
    pub(crate) fn script(place: Place, script: &str) -> Self {
        Self::run(place, &["sh", "-c", script])
    }

    /// Sends RUN once the park is ready.
    pub(crate) fn release(&mut self, argv: &[&str]) {
        assert_eq!(self.stdout.record(), Some(Record::Ready));
        self.stdout.expect(NONCE);
        self.send(&command::run(&NONCE, argv).expect("it fits"));
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // Whether it is still read is another question.
        let _ = self.stdin.as_mut().expect("it was not closed").write_all(bytes);
    }

    /// The pid of the park itself, as this test sees it.
    pub(crate) fn pid(&self) -> u32 {
        inner(self.place, &self.process)
    }

    /// Sends a signal to the park from outside.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for the end of the park: its exit code.
    pub(crate) fn code(&mut self) -> i32 {
        self.process.code()
    }

    /// Waits for both records of the end; what came before them, and the end.
    pub(crate) fn end(&mut self) -> (Vec<u8>, Vec<u8>, Exit) {
        let Some(Record::Exit(exit)) = self.stdout.record() else { panic!("no record on stdout") };
        assert_eq!(self.stderr.record(), Some(Record::Exit(exit)));
        let (out, err) = (self.stdout.take(), self.stderr.take());
        assert_eq!(self.code(), i32::from(exit.how.code()));
        // What is still to be read ends: nobody has the pipes any more.
        assert_eq!((self.stdout.rest(), self.stderr.rest()), (Vec::new(), Vec::new()));
        (out, err, exit)
    }
}

/// A process that a test has started. When the test has ended, well or not, nothing of it stays behind; and whoever
/// lives for [`LONG`] is killed with its family, so that whatever waits for it ends, and the test fails.
pub(crate) struct Process {
    pub(crate) child: Child,
    /// Dropped when the time no longer matters.
    watched: Option<Sender<()>>,
    /// Says whether it was too long.
    watchdog: Option<JoinHandle<bool>>,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self::spawn_for(command, LONG)
    }

    pub(crate) fn spawn_for(command: &mut Command, life: Duration) -> Self {
        let child = command.spawn().expect("the program starts");
        let (pid, (watched, end)) = (child.id(), channel());
        let watchdog = std::thread::spawn(move || {
            let late = end.recv_timeout(life) == Err(RecvTimeoutError::Timeout);
            if late {
                kill_family(pid);
            }
            late
        });
        Self { child, watched: Some(watched), watchdog: Some(watchdog) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end: the exit code, as a shell has it.
    pub(crate) fn code(&mut self) -> i32 {
        let status = until(|| self.child.try_wait().expect("it is ours"));
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.watched = None;
        let late = self.watchdog.take().is_some_and(|watchdog| watchdog.join().unwrap_or(true));
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            kill_family(self.id());
            let start = Instant::now();
            while self.child.try_wait().is_ok_and(|status| status.is_none()) && start.elapsed() < LONG {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        assert!(!late || std::thread::panicking(), "it lived too long");
    }
}

/// Kills a process and all that descends from it.
fn kill_family(pid: u32) {
    let mut family = vec![pid];
    // Whoever is stopped gets no more children, and does not notice when it loses some.
    loop {
        let before = family.len();
        let mut at = 0;
        while let Some(pid) = family.get(at).copied() {
            send(pid, 19);
            let new: Vec<u32> = children(pid).into_iter().filter(|pid| !family.contains(pid)).collect();
            family.extend(new);
            at += 1;
        }
        if family.len() == before {
            break;
        }
    }
    family.into_iter().for_each(|pid| send(pid, 9));
}

fn send(pid: u32, signal: u32) {
    // Whoever is gone needs no signal.
    let _ = pid.try_into().map(|pid| sys::kill(pid, signal));
}

/// The pid of the park that was started in `place` as `process`.
pub(crate) fn inner(place: Place, process: &Process) -> u32 {
    let found = || match place {
        Place::Here => Some(process.id()),
        Place::Inside(_) => children(process.id()).first().copied(),
    };
    until(|| found().filter(|pid| is_program(*pid)))
}

fn is_program(pid: u32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program())
}

pub(crate) fn signal(pid: u32, name: &str) {
    let _ = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).stderr(Stdio::null()).status();
}

/// The children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Waits for a state.
pub(crate) fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < LONG, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One of the park's output streams.
pub(crate) struct Stream {
    chunks: Option<Receiver<Vec<u8>>>,
    splitter: Splitter,
    output: Vec<u8>,
    records: Vec<Record>,
}

impl Stream {
    fn new(mut pipe: impl Read + Send + 'static, nonce: Nonce) -> Self {
        let (sender, chunks) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(len @ 1..) = pipe.read(&mut buffer) {
                if sender.send(buffer.get(..len).unwrap_or_default().to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { chunks: Some(chunks), splitter: Splitter::new(nonce), output: Vec::new(), records: Vec::new() }
    }

    pub(crate) fn expect(&mut self, nonce: Nonce) {
        self.splitter.expect(nonce);
    }

    /// Reads one chunk; false at the end.
    fn more(&mut self) -> bool {
        let Some(chunks) = &self.chunks else { return false };
        let mut take = |part: Part<'_>| match part {
            Part::Bytes(bytes) => self.output.extend_from_slice(bytes),
            Part::Record(record) => self.records.push(record),
        };
        match chunks.recv_timeout(LONG) {
            Ok(chunk) => self.splitter.feed(&chunk, take),
            Err(RecvTimeoutError::Timeout) => panic!("waited in vain for output"),
            Err(RecvTimeoutError::Disconnected) => {
                self.splitter.finish(&mut take);
                self.chunks = None;
            }
        }
        self.chunks.is_some()
    }

    /// Waits for the next record; none if the stream ends before.
    pub(crate) fn record(&mut self) -> Option<Record> {
        while self.records.is_empty() {
            if !self.more() {
                return None;
            }
        }
        Some(self.records.remove(0))
    }

    /// Waits for a line, and takes all until its end.
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.output.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.output.drain(..=end).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            assert!(self.more(), "no line: {:?}", String::from_utf8_lossy(&self.output));
        }
    }

    /// What has come by now, if anything.
    pub(crate) fn take_if_any(&mut self) -> Option<Vec<u8>> {
        let chunk = self.chunks.as_ref()?.try_recv().ok()?;
        let output = &mut self.output;
        self.splitter.feed(&chunk, |part| {
            if let Part::Bytes(bytes) = part {
                output.extend_from_slice(bytes);
            }
        });
        Some(self.take())
    }

    /// What was read until now.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// All until the end, which comes when nobody has the stream any more.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        self.take()
    }
}

pub(crate) const O_NONBLOCK: i32 = 0o4000;

/// A pipe that nobody reads, unless the test does.
pub(crate) struct Full {
    pub(crate) pipe: File,
    path: PathBuf,
    _dir: TempDir,
}

impl Full {
    pub(crate) fn new() -> Self {
        Self::with(0)
    }

    pub(crate) fn with(flags: i32) -> Self {
        let dir = TempDir::new().expect("there is room");
        let path = dir.path().join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo is everywhere");
        assert!(made.success());
        let pipe = File::options().read(true).write(true).custom_flags(flags).open(&path);
        Self { pipe: pipe.expect("it was made"), path, _dir: dir }
    }

    /// For a program to write to.
    pub(crate) fn pipe(&self) -> File {
        self.pipe.try_clone().expect("there are files left")
    }

    /// Writes until nothing more fits, without waiting.
    pub(crate) fn fill(&self) {
        let mut pipe =
            File::options().write(true).custom_flags(O_NONBLOCK).open(&self.path).expect("it was made");
        // The last bytes one by one: there may be some room in a page.
        for size in [4096, 1] {
            while pipe.write(&vec![b'x'; size]).is_ok() {}
        }
    }
}

/// A service with its control socket.
pub(crate) struct Service {
    pub(crate) park: Park,
    pub(crate) dir: TempDir,
}

impl Service {
    /// A shell's script as a service; `$DIR` is a folder of its own.
    pub(crate) fn script(place: Place, script: &str) -> Self {
        Self::start(place, &["sh", "-c", script])
    }

    pub(crate) fn start(place: Place, argv: &[&str]) -> Self {
        Self::start_with(place, argv, |_| {})
    }

    pub(crate) fn start_with(place: Place, argv: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let dir = TempDir::new().expect("there is room");
        let mut command = park(place, &["serve", "--control"]);
        command.arg(dir.path().join("control")).arg("--").args(argv).env("DIR", dir.path());
        change(&mut command);
        Self { park: Park::spawn(place, &mut command), dir }
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> OsString {
        self.dir.path().join(name.as_ref()).into()
    }

    pub(crate) fn connect(&self) -> Connection {
        let path = self.path("control");
        let socket = until(|| UnixStream::connect(&path).ok());
        socket.set_read_timeout(Some(LONG)).expect("not zero");
        socket.set_write_timeout(Some(LONG)).expect("not zero");
        Connection(socket)
    }
}

/// A client of the control socket.
pub(crate) struct Connection(pub(crate) UnixStream);

impl Connection {
    pub(crate) fn send(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.write_all(bytes).expect("the park listens");
        self
    }

    /// The next reply; none if the park has closed the connection.
    pub(crate) fn reply(&mut self) -> Option<(u16, Reply)> {
        let mut bytes = [0; reply::LEN];
        match self.0.read_exact(&mut bytes) {
            Ok(()) => Some(Reply::decode(&bytes).expect("the park speaks this version")),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("waited in vain for a reply")
            }
            Err(_) => None,
        }
    }

    pub(crate) fn hello(&mut self) -> Start {
        match self.reply() {
            Some((0, Reply::Hello(start))) => start,
            other => panic!("no greeting: {other:?}"),
        }
    }

    pub(crate) fn restarted(&mut self) -> (u16, Start) {
        match self.reply() {
            Some((id, Reply::Restarted(start))) => (id, start),
            other => panic!("not restarted: {other:?}"),
        }
    }
}
