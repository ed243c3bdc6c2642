//! What a file holds, in sixteen bytes, and whether it needs to be read again.

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, Metadata, OpenOptions},
    hash::{DefaultHasher, Hash as _, Hasher},
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Files above this are not read: their size, time and inode stand for their content.
const LARGE: u64 = 8 << 20;

/// Clocks of file systems are coarse. Within this time two writes can leave the same time behind.
const COARSE: Duration = Duration::from_secs(2);

/// The content of a file: its bytes and whether it is executable, or where a symbolic link points.
pub(super) type Hash = [u8; 16];

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or something that cannot be looked at.
    Nothing,
    /// A folder.
    Folder,
    /// A file or a symbolic link.
    File(Stat),
    /// A socket, a pipe, a device.
    Other,
}

/// What can be told of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Equal when inode, size, time, kind and executable bits are.
    pub(super) print: u64,
    /// Written so recently that an equal print proves nothing.
    pub(super) recent: bool,
    /// When the inode last changed, in nanoseconds; unlike the time of the content it cannot be set back.
    pub(super) changed_at: u128,
}

/// Looks at a path, without following a link.
pub(super) fn find(path: &Path) -> Found {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Found::Folder,
        Ok(meta) if meta.is_file() || meta.is_symlink() => Found::File(stat(&meta)),
        Ok(_) => Found::Other,
        Err(_) => Found::Nothing,
    }
}

/// Reads a file. None when there is none.
pub(super) fn read(path: &Path) -> Option<(Stat, Hash)> {
    let link = fs::symlink_metadata(path).ok()?;
    if link.is_symlink() {
        let target = fs::read_link(path).ok()?;
        return Some((stat(&link), hash(&[b"link", target.as_os_str().as_bytes()])));
    }
    if !link.is_file() {
        return None;
    }
    // Whatever stands here a moment later: no link is followed, and no pipe is waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => return Some((stat(&link), unread(&link))),
    };
    let meta = file.metadata().ok()?;
    if meta.len() > LARGE {
        return Some((stat(&meta), unread(&meta)));
    }
    let mut sha = Sha256::new();
    sha.update(if executable(&meta) { b"exec" } else { b"file" });
    let mut buffer = [0_u8; 16 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Some((stat(&meta), short(sha))),
            Ok(count) => sha.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Some((stat(&meta), unread(&meta))),
        }
    }
}

/// The content behind a path, whatever links lead there. None when there is no file.
pub(super) fn read_through(path: &Path) -> Option<Hash> {
    read(&fs::canonicalize(path).ok()?).map(|(_, hash)| hash)
}

/// Sixteen bytes for some parts, with their borders.
pub(super) fn hash(parts: &[&[u8]]) -> Hash {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    short(sha)
}

fn short(sha: Sha256) -> Hash {
    let mut hash = Hash::default();
    for (to, from) in hash.iter_mut().zip(sha.finalize()) {
        *to = from;
    }
    hash
}

/// Stands for the content of a file that is not, or cannot be, read.
fn unread(meta: &Metadata) -> Hash {
    hash(&[b"unread", &stat(meta).print.to_le_bytes()])
}

fn executable(meta: &Metadata) -> bool {
    meta.mode() & 0o111 != 0
}

fn stat(meta: &Metadata) -> Stat {
    let mut hasher = DefaultHasher::new();
    (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()).hash(&mut hasher);
    (executable(meta), meta.is_symlink()).hash(&mut hasher);
    let age = meta.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    let nanos = |seconds: i64, nanos: i64| {
        u128::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(nanos)).unwrap_or_default()
    };
    Stat {
        print: hasher.finish(),
        // A time in the future is as doubtful.
        recent: age.is_none_or(|age| age < COARSE),
        changed_at: nanos(meta.ctime(), meta.ctime_nsec()),
    }
}

/// Now, to compare with [`Stat::changed_at`].
pub(super) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}
