//! What the system knows of processes.

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What one process has of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) rss_kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
}

fn of(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

pub(crate) fn used(pid: u32) -> anyhow::Result<Used> {
    let status = std::fs::read_to_string(of(pid).join("status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context(name.to_owned())?;
        anyhow::Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    };
    let descriptors = std::fs::read_dir(of(pid).join("fd"))?.count() as u64;
    Ok(Used { rss_kib: field("VmRSS:")?, descriptors, threads: field("Threads:")? })
}

/// Ids of all processes that run this program. The dead that nobody has waited for are none.
pub(crate) fn running(program: &str) -> anyhow::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some((name, state, _)) = stat(pid)
            && name == program
            && state != "Z"
        {
            found.push(pid);
        }
    }
    Ok(found)
}

/// The processes that a process started, each with its start: another start, another process.
pub(crate) fn children(pid: u64) -> Vec<String> {
    let file = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(file).unwrap_or_default();
    let start = |child: &str| Some(format!("{child}@{}", stat(child.parse().ok()?)?.2));
    children.split_whitespace().filter_map(start).collect()
}

/// Its name, state and start.
fn stat(pid: u32) -> Option<(String, String, String)> {
    let text = std::fs::read_to_string(of(pid).join("stat")).ok()?;
    let (head, tail) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    Some((name, (*fields.first()?).to_owned(), (*fields.get(19)?).to_owned()))
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        _ = kill_process(pid, signal);
    }
}

pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Waits for the end of a process that is no child.
pub(crate) fn until_gone(pid: u32) {
    for _ in 0..500 {
        if stat(pid).is_none_or(|(_, state, _)| state == "Z") {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
