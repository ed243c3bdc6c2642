//! One watcher for all projects: it says which files changed, and what each service does about it.
//!
//! Nothing else in the daemon knows how files are watched. The way of an event: `source` (the system's events, or
//! polling) → `keeper` (one thread owns all state and treats every event as "look there") → `index` (is the content
//! another one?) → `rules` (whom does it concern?) → a [`Notice`].

mod barrier;
mod builtin;
mod content;
mod cookie;
mod ignore;
mod inbox;
mod index;
mod keeper;
mod pending;
mod poll;
mod project;
mod reader;
mod rules;
mod sight;
mod source;
mod walk;
mod watched;
mod watches;
mod why;

pub use inbox::Numbers;
pub use project::*;

use devd_proto::{ProjectName, ServiceName};
use inbox::Inbox;
use index::Digest;
use keeper::{Command, Digests, Input, Keeper};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// How to watch.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder on a local file system for the watcher's own marker files; none for one below the system's
    /// temporary folder.
    pub marks: Option<PathBuf>,
    /// Poll everything, as if the system had no file events.
    pub poll: bool,
    /// How long between two rounds of polling.
    pub poll_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { marks: None, poll: false, poll_every: Duration::from_secs(1) }
    }
}

/// A handle on the watcher. Cheap to clone; the watcher ends with its last handle.
#[derive(Clone, Debug)]
pub struct Watcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    inputs: Inbox,
    digests: Digests,
    cookies: Arc<cookie::Cookies>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The sources of events hold on to the channel as well, so that it never closes by itself.
        self.inputs.send(Input::Command(Command::Stop));
        self.cookies.end();
    }
}

impl Watcher {
    /// Starts the watcher. Notices go to `out`.
    pub fn new(out: mpsc::UnboundedSender<Notice>) -> Result<Self, WatchError> {
        Self::with(out, Options::default())
    }

    /// Starts the watcher with options.
    pub fn with(out: mpsc::UnboundedSender<Notice>, options: Options) -> Result<Self, WatchError> {
        let (inputs, queue) = inbox::inbox();
        let cookies = Arc::new(cookie::Cookies::new(options.marks.as_deref())?);
        let (source, blind) =
            source::Source::new(&inputs, options.poll, options.poll_every).map_err(WatchError::Thread)?;
        let jobs = reader::start(inputs.clone()).map_err(WatchError::Thread)?;
        let digests = Digests::default();
        let keeper = Keeper::new(
            watches::Watches::new(source, blind, Arc::clone(&inputs.counts)),
            Arc::clone(&cookies),
            jobs,
            Arc::clone(&digests),
            out,
        );
        std::thread::Builder::new()
            .name("devd-watch".into())
            .spawn(move || keeper.run(&queue))
            .map_err(WatchError::Thread)?;
        Ok(Self { inner: Arc::new(Inner { inputs, digests, cookies }) })
    }

    /// Watches a project, or what is different since the last `set`. Answers when the watches are in place: every
    /// later change is noticed. What was known of files that are still watched is kept.
    pub async fn set(&self, set: WatchSet) -> Result<Placed, WatchError> {
        self.ask(|reply| Command::Set(Box::new(set), reply)).await
    }

    /// Forgets a project.
    pub fn remove(&self, project: &ProjectName) {
        self.send(Command::Remove(project.clone()));
    }

    /// An editor says that it saved these files (absolute): they are looked at now. The changes that come back are
    /// not sent as a notice again.
    pub async fn saved(&self, paths: Vec<PathBuf>) -> Result<Vec<(ProjectName, Change)>, WatchError> {
        self.ask(|reply| Command::Saved(paths, reply)).await
    }

    /// What a change of a path (absolute) would do, in every project that it concerns.
    pub async fn why(&self, path: &Path) -> Result<Vec<Why>, WatchError> {
        self.ask(|reply| Command::Why(path.to_owned(), reply)).await
    }

    /// The files (absolute) that the rules of a service's `develop.watch` are about, each with its rule's number.
    pub async fn developed(
        &self,
        project: &ProjectName,
        service: &ServiceName,
    ) -> Result<Vec<(usize, PathBuf)>, WatchError> {
        self.ask(|reply| Command::Developed(project.clone(), service.clone(), reply)).await
    }

    /// The digest of everything that a service and its suite watch. None until everything was read once. Two
    /// contents have the same digest only when they are the same, whatever happened in between.
    pub fn digest(&self, project: &ProjectName, service: &ServiceName) -> Option<String> {
        self.known(project, service).map(|digest| format!("{:032x}", digest.all))
    }

    /// What is on disk for a service itself, its tests aside; none until everything was read once.
    pub fn contents(&self, project: &ProjectName, service: &ServiceName) -> Option<Contents> {
        self.known(project, service).map(|digest| digest.own)
    }

    /// Has what is on disk for a service be this, for simulations, in which nothing is watched.
    pub fn pretend(&self, project: &ProjectName, service: &ServiceName, all: u128, own: Contents) {
        let mut digests = self.inner.digests.lock().unwrap_or_else(PoisonError::into_inner);
        digests.entry(project.clone()).or_default().insert(service.clone(), Digest { all, own });
    }

    fn known(&self, project: &ProjectName, service: &ServiceName) -> Option<Digest> {
        let digests = self.inner.digests.lock().unwrap_or_else(PoisonError::into_inner);
        digests.get(project)?.get(service).copied()
    }

    /// Resolves when every change of the file system up to now was handled, and its notices were sent.
    pub async fn sync(&self) -> Result<(), WatchError> {
        self.ask(Command::Sync).await
    }

    /// How much there is to watch and to do.
    pub fn numbers(&self) -> Numbers {
        self.inner.inputs.counts.numbers()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, WatchError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply));
        answer.await.map_err(|_| WatchError::Stopped)
    }

    fn send(&self, command: Command) {
        // When the thread has ended, the answer does not come, which says so.
        self.inner.inputs.send(Input::Command(command));
    }
}

#[cfg(test)]
mod tests;
