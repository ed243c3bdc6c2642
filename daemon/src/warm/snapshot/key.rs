//! What tells one snapshot from another: everything that made it.

use super::kept::Kept;
use crate::blueprint::preparation;
use crate::warm::Job;
use devd_compose::model::{MountKind, Service};
use ignore::WalkBuilder;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Files that dependencies have mounted are read for every environment: their number and their bytes.
const MOST_FILES: usize = 5_000;
const MOST_BYTES: u64 = 64 << 20;

/// The key of what would be kept now; none when it depends on more than can be read each time. Blocks on the disk.
///
/// `images` are the ids of the images by service. How the images of an older devd were made does not matter to a newer
/// one as long as the first word stays.
pub(super) fn key(job: &Job, kept: &Kept, images: &BTreeMap<String, String>) -> Option<String> {
    let (project, prepare) = (&job.suite.project, &job.suite.settings.prepare);
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    add("1");
    add(job.project.as_str());
    add(job.service.as_str());
    let tests = prepare.is_some().then_some(&job.suite.service);
    for service in kept.needed.iter().chain(tests).filter_map(|name| project.services.get(name)) {
        add(&service.name);
        add(&devd_compose::service_hash_input(service));
        add(images.get(&service.name).map_or("", String::as_str));
    }
    for resources in [serde_json::to_string(&project.networks), serde_json::to_string(&project.volumes)] {
        // What the loader made has no maps with odd keys, the only thing that JSON would refuse.
        add(&resources.unwrap_or_default());
    }
    for word in prepare.iter().flat_map(|prepare| &prepare.command) {
        add(word);
    }

    let mut left = MOST_BYTES;
    for path in files(job, kept)? {
        hash.update(path.as_os_str().as_bytes());
        hash.update([0]);
        left = left.checked_sub(content(&path, &mut hash, left)?)?;
    }
    Some(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// The files it depends on.
fn files(job: &Job, kept: &Kept) -> Option<BTreeSet<PathBuf>> {
    let suite = &job.suite;
    let mut files = BTreeSet::new();
    let foreign = kept.needed.iter().filter_map(|name| suite.project.services.get(name));
    for mount in foreign.filter(|service| service.build.is_none()).flat_map(Service::mounts) {
        if let MountKind::Bind { source, .. } = &mount.kind {
            collect(source, false, |_| true, &mut files)?;
        }
    }
    let Some(prepare) = &suite.settings.prepare else { return Some(files) };
    if prepare.files.is_empty() {
        for (source, _) in preparation::sources(suite).flat_map(Service::binds) {
            collect(source, true, |path| preparation::is_input(suite, path), &mut files)?;
        }
    }
    for listed in &prepare.files {
        collect(listed, false, |_| true, &mut files)?;
    }
    Some(files)
}

/// The files below a path, or the file itself. `by_rules` leaves out what .gitignore does.
fn collect(
    top: &Path,
    by_rules: bool,
    wanted: impl Fn(&Path) -> bool,
    into: &mut BTreeSet<PathBuf>,
) -> Option<()> {
    let walk = WalkBuilder::new(top).standard_filters(by_rules).hidden(false).build();
    // What cannot be read now says so when it is read.
    for entry in walk.filter_map(Result::ok) {
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file() || kind.is_symlink());
        if is_file && wanted(entry.path()) {
            into.insert(entry.into_path());
            if into.len() > MOST_FILES {
                return None;
            }
        }
    }
    Some(())
}

/// Adds what a file holds, and says how much that was; none when it is more than `most`.
fn content(path: &Path, hash: &mut Sha256, most: u64) -> Option<u64> {
    if let Ok(target) = std::fs::read_link(path) {
        hash.update(target.as_os_str().as_bytes());
        return Some(0);
    }
    match feed(path, hash, most.saturating_add(1)) {
        Ok(bytes) => {
            hash.update(bytes.to_le_bytes());
            (bytes <= most).then_some(bytes)
        }
        // It can be gone again, or nobody's to read: as good a content as any.
        Err(error) => {
            hash.update(error.kind().to_string());
            Some(0)
        }
    }
}

/// Reads at most so many bytes; how many that were.
fn feed(path: &Path, hash: &mut Sha256, most: u64) -> io::Result<u64> {
    let mut file = File::open(path)?.take(most);
    let (mut bytes, mut piece) = (0, vec![0; 64 << 10]);
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(bytes);
        }
        hash.update(piece.get(..count).unwrap_or_default());
        bytes += count as u64;
    }
}
