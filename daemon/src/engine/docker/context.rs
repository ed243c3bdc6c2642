//! A build's context as a tar archive, in an order that does not change.

use super::ignored::Ignored;
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    io::{Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use tar::{Builder, EntryType, Header};

/// The name of the file with the patterns of what is left out.
const IGNORE_FILE: &str = ".dockerignore";

/// What to send.
#[derive(Debug)]
pub(super) struct Context {
    root: PathBuf,
    dockerfile: Dockerfile,
    ignore: String,
}

#[derive(Debug)]
enum Dockerfile {
    /// A path below the root.
    Inside(String),
    /// A file that the context does not have: from elsewhere, or generated.
    Generated { name: String, text: Vec<u8> },
}

impl Context {
    /// Reads the Dockerfile if it is not in the context, and the ignore file. The error is for people.
    pub(super) fn new(root: &Path, dockerfile: Option<&str>, inline: Option<&str>) -> Result<Self, String> {
        if !root.is_dir() {
            return Err(format!("the build context {} is not a folder", root.display()));
        }
        let (dockerfile, path) = match inline {
            Some(text) => (generated(text.as_bytes().to_vec()), None),
            None => {
                let path = find(root, dockerfile)?;
                (locate(root, &path)?, Some(path))
            }
        };
        // As newer builders do: a Dockerfile can have an ignore file of its own.
        let own = path.map(|path| PathBuf::from(format!("{}{IGNORE_FILE}", path.display())));
        let files = own.into_iter().chain([root.join(IGNORE_FILE)]);
        let ignore = files.map(fs::read).find_map(Result::ok).unwrap_or_default();
        Ok(Self { root: root.to_owned(), dockerfile, ignore: String::from_utf8_lossy(&ignore).into_owned() })
    }

    /// The Dockerfile's path in the archive.
    pub(super) fn dockerfile(&self) -> &str {
        match &self.dockerfile {
            Dockerfile::Inside(path) => path,
            Dockerfile::Generated { name, .. } => name,
        }
    }

    /// Writes the archive.
    pub(super) fn write(&self, into: impl Write) -> io::Result<()> {
        let mut archive = Archive { builder: Builder::new(into), pending: Vec::new() };
        if let Dockerfile::Generated { name, text } = &self.dockerfile {
            // The engine drops what its ignore file names, and the ignore file itself, before anything is copied: so
            // neither of the two is seen by `COPY . .`.
            let ignore = format!("{}\n{IGNORE_FILE}\n{name}\n", self.ignore);
            archive.text(IGNORE_FILE, ignore.as_bytes())?;
            archive.text(name, text)?;
        }
        self.folder(&mut archive, Path::new(""), &Ignored::new(&self.ignore))?;
        archive.builder.finish()
    }

    /// Packs what is in a folder, a path below the root.
    fn folder(&self, archive: &mut Archive<impl Write>, folder: &Path, ignored: &Ignored) -> io::Result<()> {
        let path = self.root.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            // It was there a moment ago.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(about(&path, &error)),
        };
        let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            let relative = folder.join(name);
            let path = self.root.join(&relative);
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let (excluded, below) = ignored.step(&relative);
            let included = !excluded || self.is_needed(&relative);
            if metadata.is_dir() {
                if included {
                    archive.add(&path, &relative, &metadata)?;
                } else if !below.may_bring_back(&relative) && !self.needs_below(&relative) {
                    continue;
                } else {
                    archive.pending.push((path, relative.clone(), metadata));
                }
                self.folder(archive, &relative, &below)?;
                archive.pending.retain(|(_, pending, _)| *pending != relative);
            } else if included && !self.is_replaced(&relative) {
                archive.add(&path, &relative, &metadata)?;
            }
        }
        Ok(())
    }

    /// The engine needs these two whatever the patterns say; it leaves them out of what is copied by itself.
    fn is_needed(&self, path: &Path) -> bool {
        path == Path::new(IGNORE_FILE) || path == Path::new(self.dockerfile())
    }

    fn needs_below(&self, folder: &Path) -> bool {
        Path::new(self.dockerfile()).starts_with(folder)
    }

    fn is_replaced(&self, path: &Path) -> bool {
        matches!(self.dockerfile, Dockerfile::Generated { .. }) && path == Path::new(IGNORE_FILE)
    }
}

fn find(root: &Path, dockerfile: Option<&str>) -> Result<PathBuf, String> {
    let path = root.join(dockerfile.unwrap_or("Dockerfile"));
    if path.is_file() {
        return Ok(path);
    }
    let lower = root.join("dockerfile");
    if dockerfile.is_none() && lower.is_file() {
        return Ok(lower);
    }
    Err(format!("there is no Dockerfile at {}", path.display()))
}

fn locate(root: &Path, path: &Path) -> Result<Dockerfile, String> {
    let read = |error| format!("cannot read {}: {error}", path.display());
    // By what they really are: a link may lead out of the context, and `..` may lead into it.
    let real = path.canonicalize().map_err(read)?;
    let inside =
        root.canonicalize().ok().and_then(|root| Some(real.strip_prefix(root).ok()?.to_str()?.to_owned()));
    match inside {
        Some(inside) => Ok(Dockerfile::Inside(inside)),
        None => Ok(generated(fs::read(path).map_err(read)?)),
    }
}

/// Named after its text, so that it is nobody else's name and the same one each time.
fn generated(text: Vec<u8>) -> Dockerfile {
    let digest: String = Sha256::digest(&text).iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    Dockerfile::Generated { name: format!(".dockerfile.devd-{digest}"), text }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {} for the build: {error}", path.display()))
}

struct Archive<W: Write> {
    builder: Builder<W>,
    /// Excluded folders on the way here: they are packed only for the sake of what was brought back from inside.
    pending: Vec<(PathBuf, PathBuf, fs::Metadata)>,
}

impl<W: Write> Archive<W> {
    fn text(&mut self, name: &str, text: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        self.builder.append_data(&mut header, name, text)
    }

    fn add(&mut self, path: &Path, relative: &Path, metadata: &fs::Metadata) -> io::Result<()> {
        for (path, relative, metadata) in std::mem::take(&mut self.pending) {
            self.put(&path, &relative, &metadata)?;
        }
        self.put(path, relative, metadata)
    }

    fn put(&mut self, path: &Path, relative: &Path, metadata: &fs::Metadata) -> io::Result<()> {
        // Whose file it is on this machine means nothing in an image, and would spoil the cache on another one.
        let mut header = Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or_default());
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        let kind = metadata.file_type();
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            self.builder.append_data(&mut header, relative, io::empty())
        } else if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            let Ok(target) = fs::read_link(path) else { return Ok(()) };
            self.builder.append_link(&mut header, relative, target)
        } else if kind.is_file() {
            let file = match fs::File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(about(path, &error)),
            };
            // It may be written to right now: what is promised here is what is sent.
            let size = file.metadata()?.len();
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            self.builder.append_data(&mut header, relative, file.chain(io::repeat(0)).take(size))
        } else {
            // Sockets, pipes and devices have no content.
            Ok(())
        }
    }
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
