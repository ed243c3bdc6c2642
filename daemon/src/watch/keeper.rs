//! The thread that owns everything the watcher knows.
//!
//! It takes whatever has come in, handles it as one batch, and sends one notice a project. How long to wait for more
//! before acting on a change is not decided here. What is decided here is when a path is worth a look: a save is
//! several events, and between the first and the last the file is empty, half written or away.

use super::{
    barrier::{Barriers, Gate, Reading, Then},
    cookie::Cookies,
    index::Digest,
    pending::Pending,
    project::{Change, Notice, Placed, WatchSet, Why},
    reader,
    source::Touch,
    walk,
    watched::{Batch, Watched},
    watches::Watches,
};
use devd_proto::{ProjectName, ServiceName};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Instant,
};
use tokio::sync::{mpsc, oneshot};

/// What comes in.
#[derive(Debug)]
pub(super) enum Input {
    /// Something happened to a path.
    Touched(PathBuf, Touch),
    /// Events were lost.
    Lost,
    /// Files were read in the background.
    Read(reader::Done),
    /// A round of polling that was asked for is over.
    Polled(u64),
    /// Somebody wants something.
    Command(Command),
}

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Set(Box<WatchSet>, oneshot::Sender<Placed>),
    Remove(ProjectName),
    Saved(Vec<PathBuf>, oneshot::Sender<Vec<(ProjectName, Change)>>),
    Why(PathBuf, oneshot::Sender<Vec<Why>>),
    Developed(ProjectName, ServiceName, oneshot::Sender<Vec<(usize, PathBuf)>>),
    Sync(oneshot::Sender<()>),
    Stop,
}

/// The digests of all projects that were read completely.
pub(super) type Digests = Arc<Mutex<BTreeMap<ProjectName, BTreeMap<ServiceName, Digest>>>>;

/// The state of the thread.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) projects: BTreeMap<ProjectName, Watched>,
    pub(super) watches: Watches,
    pub(super) cookies: Arc<Cookies>,
    pub(super) pending: Pending,
    pub(super) barriers: super::barrier::Barriers,
    pub(super) reading: BTreeMap<ProjectName, Reading>,
    pub(super) jobs: Sender<reader::Job>,
    digests: Digests,
    out: mpsc::UnboundedSender<Notice>,
    epoch: u64,
}

impl Keeper {
    pub(super) fn new(
        watches: Watches,
        cookies: Arc<Cookies>,
        jobs: Sender<reader::Job>,
        digests: Digests,
        out: mpsc::UnboundedSender<Notice>,
    ) -> Self {
        Self {
            projects: BTreeMap::new(),
            watches,
            cookies,
            pending: Pending::default(),
            barriers: Barriers::default(),
            reading: BTreeMap::new(),
            jobs,
            digests,
            out,
            epoch: 0,
        }
    }

    /// Runs until the last handle is gone.
    pub(super) fn run(mut self, inputs: &Receiver<Input>) {
        self.watches.hold(self.cookies.folder());
        loop {
            let next = self.pending.next_due().into_iter().chain(self.barriers.next_due()).min();
            let first = match next {
                None => inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => inputs.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            let first = match first {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            for input in first.into_iter().chain(inputs.try_iter()) {
                match input {
                    Input::Touched(path, touch) => {
                        self.watches.counts().taken();
                        self.touched(path, touch);
                    }
                    Input::Lost => {
                        self.watches.counts().looking();
                        self.rescan();
                    }
                    Input::Read(done) => self.read(done),
                    Input::Polled(token) => self.passed(token, Gate::Poll),
                    Input::Command(Command::Stop) => return,
                    Input::Command(command) => self.command(command),
                }
            }
            let due = self.pending.take_due(Instant::now());
            if !due.is_empty() {
                self.pending.looked(due.len(), Instant::now());
                self.settle(due);
            }
            self.retry_barriers();
        }
    }

    fn touched(&mut self, path: PathBuf, touch: Touch) {
        if self.cookies.owns(&path) {
            if matches!(touch, Touch::Open | Touch::Done)
                && let Some(token) = self.cookies.take(&path)
            {
                self.passed(token, Gate::Cookie);
            }
            return;
        }
        let known = self.projects.values().any(|project| project.knows(&path));
        self.pending.add(path, touch, known, Instant::now());
    }

    /// Looks at everything that still waits for more events, and at what that brings up.
    pub(super) fn settle_all(&mut self) {
        loop {
            let all = self.pending.take_all();
            if all.is_empty() {
                return;
            }
            self.settle(all);
        }
    }

    /// Looks at paths, and tells what came of it.
    pub(super) fn settle(&mut self, paths: Vec<(PathBuf, Touch)>) {
        if paths.is_empty() {
            return;
        }
        let names: Vec<ProjectName> = self.projects.keys().cloned().collect();
        for name in names {
            let mut batch = Batch::default();
            if let Some(project) = self.projects.get_mut(&name) {
                for (path, touch) in &paths {
                    project.touch(&mut self.watches, &mut batch, path, *touch);
                }
            }
            self.finish(&name, batch);
        }
    }

    fn command(&mut self, command: Command) {
        // Who asked may have gone away meanwhile: answers to nobody are dropped.
        match command {
            Command::Set(set, reply) => _ = reply.send(self.set(*set)),
            Command::Remove(name) => self.remove(&name),
            Command::Saved(paths, reply) => _ = reply.send(self.saved(&paths)),
            Command::Why(path, reply) => _ = reply.send(self.why(&path)),
            Command::Developed(project, service, reply) => {
                let project = self.projects.get(&project);
                _ = reply.send(project.map(|project| project.developed(&service)).unwrap_or_default());
            }
            Command::Sync(reply) => self.begin(Then::Answer(reply)),
            Command::Stop => {}
        }
    }

    /// Watches a project, or watches it differently.
    fn set(&mut self, set: WatchSet) -> Placed {
        let name = set.project.clone();
        if let Some(same) = self.projects.get(&name).filter(|older| older.rules.set == set) {
            return same.placed();
        }
        let older = self.projects.remove(&name);
        self.replace(set, older)
    }

    fn replace(&mut self, set: WatchSet, older: Option<Watched>) -> Placed {
        let name = set.project.clone();
        self.epoch += 1;
        let mut batch = Batch::default();
        let project = Watched::new(set, self.epoch, older.as_ref(), &mut self.watches, &mut batch);
        if let Some(older) = older {
            // Only now: a folder that both watch is never unwatched in between.
            older.release(&mut self.watches);
        }
        let placed = project.placed();
        self.projects.insert(name.clone(), project);
        self.reading.remove(&name);
        // An ignore file may change while it is read; the event will say so, and once more is enough.
        batch.rules_changed = false;
        self.finish(&name, batch);
        self.feed(&name);
        placed
    }

    fn remove(&mut self, name: &ProjectName) {
        if let Some(project) = self.projects.remove(name) {
            project.release(&mut self.watches);
        }
        self.reading.remove(name);
        self.digests().remove(name);
    }

    /// An editor saved these files.
    fn saved(&mut self, paths: &[PathBuf]) -> Vec<(ProjectName, Change)> {
        let mut all = Vec::new();
        let names: Vec<ProjectName> = self.projects.keys().cloned().collect();
        for name in names {
            let mut batch = Batch::pushed();
            if let Some(project) = self.projects.get_mut(&name) {
                for path in paths {
                    project.push(&mut self.watches, &mut batch, path);
                }
            }
            all.extend(batch.changes.drain(..).map(|change| (name.clone(), change)));
            self.finish(&name, batch);
        }
        all
    }

    fn why(&self, path: &Path) -> Vec<Why> {
        self.projects
            .values()
            .flat_map(|project| project.rules.why(&project.name_of(path), path.is_dir()))
            .collect()
    }

    /// Events were lost: everything is looked at.
    fn rescan(&mut self) {
        tracing::info!("file events were lost, looking at everything");
        // If the system does not tell of it, that shows at the next mark.
        _ = self.watches.renew_marks(self.cookies.folder());
        let names: Vec<ProjectName> = self.projects.keys().cloned().collect();
        for name in names {
            let mut batch = Batch::default();
            if let Some(project) = self.projects.get_mut(&name) {
                project.rescan(&mut self.watches, &mut batch);
            }
            self.finish(&name, batch);
        }
        self.settle_all();
        for project in self.projects.keys() {
            self.tell(Notice::Rescanned { project: project.clone() });
        }
        // Their marks may be among what was lost.
        self.renew_barriers();
    }

    /// Tells what a batch came to. Digests first: whoever hears of a change may ask for them.
    pub(super) fn finish(&mut self, name: &ProjectName, batch: Batch) {
        self.publish(name);
        let Some(project) = self.projects.get_mut(name) else { return };
        let now = Instant::now();
        for path in batch.later {
            self.pending.add(path, Touch::Done, false, now);
        }
        project.remember(&batch.changes);
        let starts = project.rules.starts();
        let mut notices = Vec::new();
        for (folder, trouble) in batch.troubles {
            let root = walk::outermost(&folder, &starts, &project.rules.set.root).to_owned();
            if project.told.insert(root.clone()) {
                let (reason, help) = (trouble.reason, trouble.help);
                notices.push(Notice::Degraded { project: name.clone(), root, reason, help });
            }
        }
        if !batch.changes.is_empty() {
            notices.push(Notice::Changed { project: name.clone(), changes: batch.changes });
        }
        if !batch.reload.is_empty() {
            notices.push(Notice::Reload { project: name.clone(), paths: batch.reload.into_iter().collect() });
        }
        for notice in notices {
            self.tell(notice);
        }
        if batch.rules_changed
            && let Some(older) = self.projects.remove(name)
        {
            self.replace(older.rules.set.clone(), Some(older));
        }
    }

    /// Makes a project's digests known, when they are.
    pub(super) fn publish(&self, name: &ProjectName) {
        let Some(project) = self.projects.get(name) else { return };
        let services = project.rules.services.iter().enumerate();
        let known: Option<BTreeMap<ServiceName, Digest>> = services
            .map(|(index, service)| Some((service.watch.service.clone(), project.index.digest(index)?)))
            .collect();
        match known {
            Some(known) => self.digests().insert(name.clone(), known),
            None => self.digests().remove(name),
        };
    }

    pub(super) fn tell(&self, notice: Notice) {
        // The daemon is about to end when nobody listens.
        _ = self.out.send(notice);
    }

    fn digests(&self) -> std::sync::MutexGuard<'_, BTreeMap<ProjectName, BTreeMap<ServiceName, Digest>>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
