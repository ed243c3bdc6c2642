//! Events for folders that the system cannot watch: network file systems, and more folders than its limit allows.
//!
//! Behaves like the system's watch of one folder: it tells of the names in it, not of what is below.

use super::{inbox::Inbox, keeper::Input, source::Touch};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Polls folders on a thread of its own.
#[derive(Debug)]
pub(super) struct Poller {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    folders: BTreeMap<PathBuf, Names>,
    /// Who waits for a round that starts after now.
    asked: Vec<u64>,
    stop: bool,
}

/// The names in a folder, with what tells one version from the next.
type Names = BTreeMap<OsString, Version>;

/// Inode, size, time of content, time of inode. A folder has only its inode: its names are its own affair.
type Version = (u64, u64, i64, i64, i64, i64);

impl Poller {
    /// Starts the thread. It sleeps until there is a folder.
    pub(super) fn new(out: Inbox, every: Duration) -> io::Result<Self> {
        let inner = Arc::new(Inner { state: Mutex::default(), wake: Condvar::new() });
        let inside = Arc::clone(&inner);
        thread::Builder::new().name("devd-poll".into()).spawn(move || inside.run(&out, every))?;
        Ok(Self { inner })
    }

    /// Whether any folder is polled.
    pub(super) fn is_busy(&self) -> bool {
        !self.inner.lock().folders.is_empty()
    }

    /// Polls a folder from now on: every later change is told.
    pub(super) fn watch(&self, folder: &Path) {
        let names = list(folder);
        self.inner.lock().folders.insert(folder.to_owned(), names);
        self.inner.wake.notify_all();
    }

    /// Stops polling a folder; whether it was polled.
    pub(super) fn unwatch(&self, folder: &Path) -> bool {
        self.inner.lock().folders.remove(folder).is_some()
    }

    /// Starts a round now, and answers with [`Input::Polled`] at its end.
    pub(super) fn now(&self, token: u64) {
        self.inner.lock().asked.push(token);
        self.inner.wake.notify_all();
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.inner.lock().stop = true;
        self.inner.wake.notify_all();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can be half done: every change of the state is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, out: &Inbox, every: Duration) {
        let mut last = Instant::now();
        while let Some(asked) = self.wait(last, every) {
            let folders: Vec<PathBuf> = self.lock().folders.keys().cloned().collect();
            for folder in folders {
                let now = list(&folder);
                let mut state = self.lock();
                // It may have been given up meanwhile.
                let Some(before) = state.folders.get_mut(&folder) else { continue };
                let before = std::mem::replace(before, now.clone());
                drop(state);
                report(out, &folder, &before, &now);
            }
            for token in asked {
                out.send(Input::Polled(token));
            }
            last = Instant::now();
        }
    }

    /// Waits until a round is due. None when it is over.
    fn wait(&self, last: Instant, every: Duration) -> Option<Vec<u64>> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            let rest = every.saturating_sub(last.elapsed());
            if !state.asked.is_empty() || (rest.is_zero() && !state.folders.is_empty()) {
                return Some(std::mem::take(&mut state.asked));
            }
            state = if state.folders.is_empty() {
                self.wake.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.wake.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}

fn list(folder: &Path) -> Names {
    let Ok(entries) = fs::read_dir(folder) else { return Names::new() };
    let names = entries.flatten().filter_map(|entry| {
        let meta = entry.metadata().ok()?;
        let version = if meta.is_dir() {
            (meta.ino(), 0, 0, 0, 0, 0)
        } else {
            (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())
        };
        Some((entry.file_name(), version))
    });
    names.collect()
}

fn report(out: &Inbox, folder: &Path, before: &Names, now: &Names) {
    for (name, version) in now {
        if before.get(name) != Some(version) {
            out.touched(folder.join(name), Touch::Polled);
        }
    }
    for name in before.keys().filter(|name| !now.contains_key(*name)) {
        out.touched(folder.join(name), Touch::Gone);
    }
}
