//! Where events come from: the system, or polling where the system has none. The only file that knows notify.

use super::{inbox::Inbox, keeper::Input, poll::Poller};
use notify::{
    ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use std::{path::Path, time::Duration};

/// What an event says of a path. It is only a hint where to look: what happened is read from the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Touch {
    /// Its owner, its times or its mode are others.
    Meta,
    /// It is no longer there under this name.
    Gone,
    /// It is another one than in the last round of polling.
    Polled,
    /// It was written to or made, and may be written to still.
    Open,
    /// It is complete: it was closed after writing, or got its name.
    Done,
    /// A folder was made.
    Folder,
}

/// The sources of events. Folders are watched one by one and without what is below them.
#[derive(Debug)]
pub(super) struct Source {
    system: Option<RecommendedWatcher>,
    poller: Poller,
}

/// Why the system does not watch a folder.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not there (any more).
    Gone,
    /// All watches that this user may have are taken.
    Limit,
    /// Anything else.
    Other(String),
}

impl Source {
    /// Starts the sources. Without the system's events everything is polled, and the reason comes back.
    pub(super) fn new(out: &Inbox, poll: bool, every: Duration) -> std::io::Result<(Self, Option<String>)> {
        let poller = Poller::new(out.clone(), every)?;
        if poll {
            return Ok((Self { system: None, poller }, Some("polling was asked for".to_owned())));
        }
        let events = out.clone();
        let handler = move |result: notify::Result<Event>| forward(&events, result);
        Ok(match notify::recommended_watcher(handler) {
            Ok(system) => (Self { system: Some(system), poller }, None),
            Err(error) => (Self { system: None, poller }, Some(error.to_string())),
        })
    }

    /// Whether the system tells of changes at all.
    pub(super) fn has_system(&self) -> bool {
        self.system.is_some()
    }

    /// Whether anything is polled.
    pub(super) fn is_polling(&self) -> bool {
        self.poller.is_busy()
    }

    /// Asks the system to watch a folder. Asking again is fine, and needed after the folder was replaced.
    pub(super) fn watch(&mut self, folder: &Path) -> Result<(), Refused> {
        let Some(system) = &mut self.system else {
            return Err(Refused::Other("there are no file events".to_owned()));
        };
        system.watch(folder, RecursiveMode::NonRecursive).map_err(|error| match error.kind {
            ErrorKind::MaxFilesWatch => Refused::Limit,
            ErrorKind::PathNotFound => Refused::Gone,
            ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::NotFound => Refused::Gone,
            ErrorKind::Io(_)
            | ErrorKind::Generic(_)
            | ErrorKind::WatchNotFound
            | ErrorKind::InvalidConfig(_) => Refused::Other(error.to_string()),
        })
    }

    /// Polls a folder.
    pub(super) fn poll(&self, folder: &Path) {
        self.poller.watch(folder);
    }

    /// Stops polling a folder, because the system watches it.
    pub(super) fn stop_polling(&self, folder: &Path) {
        self.poller.unwatch(folder);
    }

    /// Stops watching and polling a folder.
    pub(super) fn unwatch(&mut self, folder: &Path) {
        if !self.poller.unwatch(folder)
            && let Some(system) = &mut self.system
            && let Err(error) = system.unwatch(folder)
        {
            // The system forgets a folder by itself when it goes away.
            tracing::trace!(folder = %folder.display(), %error, "was not watched");
        }
    }

    /// Polls everything now, then answers with [`Input::Polled`].
    pub(super) fn poll_now(&self, token: u64) {
        self.poller.now(token);
    }
}

/// Passes on what matters of an event. Runs on notify's thread: reading a file makes events too, and they end here.
fn forward(out: &Inbox, result: notify::Result<Event>) {
    let event = match result {
        Ok(event) => event,
        Err(error) => {
            tracing::warn!(%error, "file events may have been lost");
            out.send(Input::Lost);
            return;
        }
    };
    if event.need_rescan() {
        out.send(Input::Lost);
        return;
    }
    let touch = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Touch::Done,
        EventKind::Access(_) => return,
        EventKind::Modify(ModifyKind::Metadata(_)) => Touch::Meta,
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Touch::Done,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => Touch::Gone,
        // Both halves came before, each by itself.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) if cfg!(target_os = "linux") => return,
        EventKind::Modify(ModifyKind::Name(_)) => Touch::Done,
        EventKind::Create(CreateKind::Folder) => Touch::Folder,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Other => Touch::Open,
    };
    for path in event.paths {
        out.touched(path, touch);
    }
}
