//! Reads files in the background, so that the first save after the start has something to be compared with.

use super::{
    content::{self, Hash, Stat},
    inbox::Inbox,
    keeper::Input,
};
use devd_proto::ProjectName;
use std::{
    io,
    path::PathBuf,
    sync::mpsc::{self, Sender},
    thread,
};

/// Files to read for a project.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) project: ProjectName,
    /// Which version of the project asked.
    pub(super) epoch: u64,
    pub(super) files: Vec<PathBuf>,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) project: ProjectName,
    pub(super) epoch: u64,
    /// A file that could not be found has no content.
    pub(super) files: Vec<(PathBuf, Option<(Stat, Hash)>)>,
}

/// Starts the thread. It ends with the sender.
pub(super) fn start(out: Inbox) -> io::Result<Sender<Job>> {
    // As many as there are sets of files to watch, and those are as many as somebody saves.
    let (jobs, queue) = mpsc::channel::<Job>();
    thread::Builder::new().name("devd-read".into()).spawn(move || {
        for Job { project, epoch, files } in queue {
            let files =
                files.into_iter().map(|path| (content::read(&path), path)).map(|(read, path)| (path, read));
            let done = Done { project, epoch, files: files.collect() };
            if !out.send(Input::Read(done)) {
                break;
            }
        }
    })?;
    Ok(jobs)
}
