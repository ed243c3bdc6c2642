//! "Everything up to now": marks in the streams of events, and what to do once they have been reached.
//!
//! Background reading needs them too. A file that is read while it is saved could give the new content, and the
//! event of the save would then find nothing new. So what was read only becomes the baseline after a mark that was
//! set after the reading: a save in between has been seen by then, and was reported.

use super::{
    content::{Hash, Stat},
    index::Known,
    keeper::Keeper,
    project::Notice,
    reader,
    watched::Batch,
};
use devd_proto::ProjectName;
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How many files are read at a time.
const CHUNK: usize = 1000;

/// After this time without its event, a mark is set again.
const RETRY: Duration = Duration::from_secs(2);

/// How often, before the events are given up on.
const TRIES: u32 = 3;

/// Marks that were not reached yet.
#[derive(Debug, Default)]
pub(super) struct Barriers {
    waiting: BTreeMap<u64, Barrier>,
    last: u64,
}

#[derive(Debug)]
struct Barrier {
    /// The system's events have not reached the mark.
    cookie: bool,
    /// The round of polling is not over.
    poll: bool,
    then: Then,
    set_at: Instant,
    tries: u32,
}

/// A stream of events that has to reach a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Cookie,
    Poll,
}

/// What to do once a mark was reached.
#[derive(Debug)]
pub(super) enum Then {
    Answer(oneshot::Sender<()>),
    TakeOver { project: ProjectName, epoch: u64, files: Vec<ReadFile> },
}

/// A file, and what it held.
type ReadFile = (PathBuf, Option<(Stat, Hash)>);

/// How far the background reading of a project is.
#[derive(Debug, Default)]
pub(super) struct Reading {
    after: Option<PathBuf>,
    asked: bool,
    marking: bool,
    /// Read, and waiting for a mark.
    read: Vec<ReadFile>,
}

impl Barriers {
    /// When to look after marks that were not reached.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.values().filter(|barrier| barrier.cookie).map(|barrier| barrier.set_at + RETRY).min()
    }
}

impl Keeper {
    /// Sets a mark, and does `then` once everything before it was handled.
    pub(super) fn begin(&mut self, then: Then) {
        self.barriers.last += 1;
        let token = self.barriers.last;
        let cookie = self.watches.source().has_system() && self.put_cookie(token);
        let poll = self.watches.source().is_polling();
        let barrier = Barrier { cookie, poll, then, set_at: Instant::now(), tries: 1 };
        self.barriers.waiting.insert(token, barrier);
        if poll {
            self.watches.source().poll_now(token);
        }
        self.check(token);
    }

    /// A stream of events has reached a mark.
    pub(super) fn passed(&mut self, token: u64, gate: Gate) {
        if let Some(barrier) = self.barriers.waiting.get_mut(&token) {
            match gate {
                Gate::Cookie => barrier.cookie = false,
                Gate::Poll => barrier.poll = false,
            }
            self.check(token);
        }
    }

    fn check(&mut self, token: u64) {
        if self.barriers.waiting.get(&token).is_none_or(|barrier| barrier.cookie || barrier.poll) {
            return;
        }
        let Some(barrier) = self.barriers.waiting.remove(&token) else { return };
        match barrier.then {
            Then::Answer(reply) => {
                // What still waits for more events happened before the mark.
                self.settle_all();
                // Nobody waits any more: fine.
                _ = reply.send(());
            }
            Then::TakeOver { project, epoch, files } => self.take_over(&project, epoch, files),
        }
    }

    fn put_cookie(&mut self, token: u64) -> bool {
        let put = self.cookies.put(token).or_else(|_| {
            self.renew_marks()?;
            self.cookies.put(token)
        });
        if let Err(error) = &put {
            tracing::warn!(folder = %self.cookies.folder().display(), %error, "cannot mark the events");
        }
        put.is_ok()
    }

    /// Makes the folder for marks anew, and has it watched: a mark that nobody tells of would be waited for in vain.
    fn renew_marks(&mut self) -> io::Result<()> {
        self.cookies.make_folder()?;
        let told = self.watches.renew_marks(self.cookies.folder());
        told.then_some(()).ok_or_else(|| io::Error::other("the system does not watch it"))
    }

    /// Sets marks again whose events may be lost.
    pub(super) fn renew_barriers(&mut self) {
        let tokens: Vec<u64> = self.barriers.waiting.keys().copied().collect();
        for token in tokens {
            let cookie = self.barriers.waiting.get(&token).is_some_and(|barrier| barrier.cookie);
            if cookie && !self.put_cookie(token) {
                self.passed(token, Gate::Cookie);
            }
        }
    }

    /// Looks after marks whose events do not come.
    pub(super) fn retry_barriers(&mut self) {
        let now = Instant::now();
        let late = self
            .barriers
            .waiting
            .iter_mut()
            .filter(|(_, barrier)| barrier.cookie && barrier.set_at + RETRY <= now);
        let late: Vec<(u64, u32)> = late
            .map(|(token, barrier)| {
                barrier.set_at = now;
                barrier.tries += 1;
                (*token, barrier.tries)
            })
            .collect();
        for (token, tries) in late {
            if tries > TRIES || self.renew_marks().is_err() {
                tracing::warn!("the system's file events are late, going on without them");
                self.passed(token, Gate::Cookie);
            } else if !self.put_cookie(token) {
                self.passed(token, Gate::Cookie);
            }
        }
    }

    /// Has the next unread files of a project read.
    pub(super) fn feed(&mut self, name: &ProjectName) {
        let Some(project) = self.projects.get_mut(name) else { return };
        let reading = self.reading.entry(name.clone()).or_default();
        if project.index.unread() == 0 {
            self.reading.remove(name);
            if !std::mem::replace(&mut project.ready, true) {
                self.publish(name);
                self.tell(Notice::Ready { project: name.clone() });
            }
            return;
        }
        if reading.asked {
            return;
        }
        let (mut files, mut last) = project.index.unread_after(reading.after.as_deref(), CHUNK);
        if files.is_empty() {
            if reading.marking || !reading.read.is_empty() {
                return;
            }
            // Files that came behind the place where the reading was.
            (files, last) = project.index.unread_after(None, CHUNK);
        }
        reading.after = last;
        reading.asked = true;
        // The thread only ends with this one.
        _ = self.jobs.send(reader::Job { project: name.clone(), epoch: project.epoch, files });
    }

    /// Files were read in the background.
    pub(super) fn read(&mut self, done: reader::Done) {
        let name = done.project;
        let current = self.projects.get(&name).is_some_and(|project| project.epoch == done.epoch);
        let Some(reading) = self.reading.get_mut(&name).filter(|_| current) else { return };
        reading.asked = false;
        reading.read.extend(done.files);
        self.mark_read(&name);
        self.feed(&name);
    }

    fn mark_read(&mut self, name: &ProjectName) {
        let Some(epoch) = self.projects.get(name).map(|project| project.epoch) else { return };
        let Some(reading) = self.reading.get_mut(name) else { return };
        if reading.marking || reading.read.is_empty() {
            return;
        }
        reading.marking = true;
        let files = std::mem::take(&mut reading.read);
        self.begin(Then::TakeOver { project: name.clone(), epoch, files });
    }

    /// What was read becomes what is known, where no event told of anything newer.
    fn take_over(&mut self, name: &ProjectName, epoch: u64, files: Vec<ReadFile>) {
        let Some(project) = self.projects.get_mut(name).filter(|project| project.epoch == epoch) else {
            return;
        };
        let mut batch = Batch::default();
        for (path, read) in files {
            let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else { continue };
            // What waits for a look changed since; the look will say so.
            if project.index.known(folder, file) == Known::Unread && !self.pending.covers(&path) {
                match read {
                    Some((stat, hash)) => project.index.set(folder, file, stat.print, hash),
                    None => project.gone(&mut batch, &path),
                }
            }
        }
        if let Some(reading) = self.reading.get_mut(name) {
            reading.marking = false;
        }
        self.finish(name, batch);
        self.mark_read(name);
        self.feed(name);
    }
}
