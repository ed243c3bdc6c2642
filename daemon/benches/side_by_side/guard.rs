//! What must be gone at the end, however the end comes: processes, containers, networks, volumes, images, folders.
//!
//! Whatever the bench makes carries a name that begins with [`PREFIX`] and the bench's process id, so that nobody else's
//! is touched.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::signal::unix::{SignalKind, signal};

/// What the names of this bench's projects begin with.
const PREFIX: &str = "devdbench";

/// The labels that say whose a thing is: of devd, of every compose, and of the bench itself.
const LABELS: [&str; 3] = ["dev.devd.project", "com.docker.compose.project", LABEL];

/// The label of what the bench makes by the bare engine.
pub(crate) const LABEL: &str = "dev.devd.bench";

#[derive(Debug, Default)]
struct Owned {
    /// Nothing is begun any more: the end is under way.
    closed: bool,
    processes: BTreeSet<u32>,
    folders: BTreeSet<PathBuf>,
}

static OWNED: Mutex<Option<Owned>> = Mutex::new(None);

fn owned() -> MutexGuard<'static, Option<Owned>> {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of one of this bench's projects.
pub(crate) fn name(suffix: &str) -> String {
    format!("{PREFIX}{}{suffix}", std::process::id())
}

/// Removes everything when it is dropped, and when the bench is interrupted.
#[derive(Debug)]
pub(crate) struct Guard;

impl Guard {
    /// From now on everything that the bench makes is removed at its end.
    pub(crate) fn new() -> anyhow::Result<Self> {
        *owned() = Some(Owned::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(interrupted()));
        Ok(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        remove_all();
    }
}

async fn interrupted() {
    let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return };
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    let code = tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
        _ = hangup.recv() => 129,
    };
    eprintln!("\ninterrupted: removing what was made");
    remove_all();
    #[expect(clippy::disallowed_methods, reason = "the other threads wait for what was just removed")]
    std::process::exit(code)
}

/// Ends every process that is still there, and removes everything on the engine and on disk. The second one to come here
/// waits for the first, and finds nothing.
fn remove_all() {
    let mut owned = owned();
    let Some(owned) = owned.as_mut() else { return };
    owned.closed = true;
    for pid in std::mem::take(&mut owned.processes) {
        kill(pid);
    }
    // What a killed command had asked the engine for may come late.
    for _ in 0..5 {
        if !remove_from_engine(&name("")) {
            break;
        }
    }
    for folder in std::mem::take(&mut owned.folders) {
        if let Err(error) = std::fs::remove_dir_all(&folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            eprintln!("{} is left behind: {error}", folder.display());
        }
    }
}

/// Whether anything of these projects was there.
pub(crate) fn remove_from_engine(prefix: &str) -> bool {
    let mut found = false;
    for (list, remove) in [
        (["ps", "-a"].as_slice(), ["rm", "-fv"].as_slice()),
        (&["network", "ls"], &["network", "rm"]),
        (&["volume", "ls"], &["volume", "rm", "-f"]),
    ] {
        for label in LABELS {
            let id = if list[0] == "volume" { "{{.Name}}" } else { "{{.ID}}" };
            let output = Command::new("docker")
                .args(list)
                .args(["--filter", &format!("label={label}")])
                .args(["--format", &format!("{id} {{{{.Label \"{label}\"}}}}")])
                .output();
            let mine = lines_with(output, |line| {
                let (id, project) = line.split_once(' ')?;
                project.starts_with(prefix).then(|| id.to_owned())
            });
            found |= !mine.is_empty();
            quietly(remove, &mine);
        }
    }
    let reference = format!("reference={prefix}*");
    let output = Command::new("docker")
        .args(["images", "--filter", &reference, "--format", "{{.Repository}}:{{.Tag}}"])
        .output();
    let images = lines_with(output, |line| Some(line.to_owned()));
    found |= !images.is_empty();
    quietly(&["rmi", "-f"], &images);
    found
}

fn lines_with(output: std::io::Result<Output>, pick: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(pick).collect()
}

fn quietly(command: &[&str], what: &[String]) {
    if !what.is_empty() {
        // What is already being removed is an error of no interest.
        _ = Command::new("docker").args(command).args(what).output();
    }
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself.
        _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// A folder that is removed at the end.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix(&name("-")).tempdir()?.keep().canonicalize()?;
    if let Some(owned) = owned().as_mut() {
        owned.folders.insert(folder.clone());
    }
    Ok(folder)
}

/// A process that does not outlive the bench.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) child: Child,
}

/// Starts a process that does not outlive the bench.
pub(crate) fn start(command: &mut Command) -> anyhow::Result<Process> {
    let mut guarded = owned();
    let Some(owned) = guarded.as_mut().filter(|owned| !owned.closed) else { anyhow::bail!("interrupted") };
    let child = command
        .spawn()
        .map_err(|error| anyhow::anyhow!("{}: {error}", command.get_program().to_string_lossy()))?;
    owned.processes.insert(child.id());
    Ok(Process { child })
}

impl Process {
    /// Waits for its end.
    pub(crate) fn wait(mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) -> anyhow::Result<ExitStatus> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that was waited for is gone, and killing it does nothing.
        _ = self.child.kill();
        _ = self.child.wait();
        if let Some(owned) = owned().as_mut() {
            owned.processes.remove(&self.child.id());
        }
    }
}

/// Runs a command to its end and expects it to succeed; what it wrote to stdout.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let process = start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let mut process = process;
    let (out, err) = (process.child.stdout.take(), process.child.stderr.take());
    let errors = std::thread::spawn(move || read(err));
    let out = read(out);
    let err = errors.join().unwrap_or_default();
    let status = process.wait()?;
    anyhow::ensure!(status.success(), "{command:?}: {status}\n{out}{err}");
    Ok(out)
}

fn read(stream: Option<impl std::io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What could be read is what there is to show.
        _ = stream.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs docker.
pub(crate) fn docker(args: &[&str]) -> anyhow::Result<String> {
    Ok(run(Command::new("docker").args(args))?.trim().to_owned())
}
