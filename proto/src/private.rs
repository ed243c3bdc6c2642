//! Folders and files that are for nobody else. The daemon and its client trust the same ones.
//!
//! Whoever can write to a folder can have put a link there that leads elsewhere, a pipe that nobody writes to, or a second
//! name of another file. So no link is followed, and what was opened is what was looked at.

use std::fmt;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Whose they are, and what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Private {
    owner: u32,
    purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Socket,
    State,
}

impl Private {
    /// The folder of a user's socket. Whoever listens there is told everything, so one that is open to others is refused.
    pub fn socket(owner: u32) -> Self {
        Self { owner, purpose: Purpose::Socket }
    }

    /// The folder of a user's state. One that others could read is closed; one that they could write to is refused, because
    /// nobody knows what they left in it.
    pub fn state(owner: u32) -> Self {
        Self { owner, purpose: Purpose::State }
    }

    /// Makes the folder, and those above it that are not there, or sees that it can be trusted.
    pub fn make(self, folder: &Path) -> Result<(), Untrusted> {
        let io = |error| Untrusted::Io { path: folder.to_owned(), error };
        if self.purpose == Purpose::Socket {
            self.look_above(folder)?;
        }
        // What is there stays as it is, also when it is a link.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
            _ => {}
        }
        match self.look(folder) {
            Err(Untrusted::Open { mode, .. }) if self.purpose == Purpose::State && mode & 0o022 == 0 => {
                std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(io)?;
                self.look(folder).map(drop)
            }
            looked => looked.map(drop),
        }
    }

    /// Whether the folder is there; an error when it is not its owner's alone.
    pub fn look(self, folder: &Path) -> Result<bool, Untrusted> {
        let path = folder.to_owned();
        if self.purpose == Purpose::Socket {
            self.look_above(folder)?;
        }
        let found = match folder.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Untrusted::Io { path, error }),
        };
        let mode = found.mode() & 0o777;
        if !found.is_dir() {
            Err(Untrusted::NoFolder { path, of: self })
        } else if found.uid() != self.owner {
            Err(Untrusted::Foreign { path, owner: found.uid(), of: self })
        } else if mode & 0o077 != 0 {
            Err(Untrusted::Open { path, mode, of: self })
        } else {
            Ok(true)
        }
    }

    /// Refuses a folder that others could put another one in the place of, by way of one above it.
    fn look_above(self, folder: &Path) -> Result<(), Untrusted> {
        let above = || folder.ancestors().skip(1);
        // As it is written, with the links themselves; and where they lead.
        let real = above().find_map(|dir| dir.canonicalize().ok()).unwrap_or_default();
        for dir in above().chain(real.ancestors()) {
            let Ok(found) = dir.symlink_metadata() else { continue };
            let anyones = found.is_dir() && found.mode() & 0o002 != 0 && found.mode() & 0o1000 == 0;
            if anyones || !self.trusts(found.uid()) {
                let (path, above) = (folder.to_owned(), dir.to_owned());
                return Err(Untrusted::Replaceable { path, above, of: self });
            }
        }
        Ok(())
    }

    /// Oneself, and who owns the system: in a user namespace that is not always 0.
    fn trusts(self, user: u32) -> bool {
        user == self.owner || user == 0 || metadata("/").is_ok_and(|root| root.uid() == user)
    }

    /// Opens a file that is its owner's alone, or makes it. `access` says what for: to read, to write, to append.
    pub fn open(self, file: &Path, access: &OpenOptions) -> Result<File, Untrusted> {
        let io = |error| Untrusted::Io { path: file.to_owned(), error };
        // A link is something that is there.
        match access.clone().create_new(true).mode(0o600).open(file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map_err(io),
        }
        // Looked at first, because opening a pipe waits for who writes to it.
        let found = file.symlink_metadata().map_err(io)?;
        self.check(file, &found)?;
        let opened = access.open(file).map_err(io)?;
        let now = opened.metadata().map_err(io)?;
        if (now.dev(), now.ino()) != (found.dev(), found.ino()) {
            return Err(Untrusted::NoFile { path: file.to_owned() });
        }
        if now.mode() & 0o077 != 0 {
            opened.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
        }
        Ok(opened)
    }

    fn check(self, file: &Path, found: &Metadata) -> Result<(), Untrusted> {
        let path = file.to_owned();
        if !found.is_file() || found.nlink() > 1 {
            Err(Untrusted::NoFile { path })
        } else if found.uid() != self.owner {
            Err(Untrusted::Foreign { path, owner: found.uid(), of: self })
        } else {
            Ok(())
        }
    }

    /// The variable that puts it elsewhere.
    fn variable(self) -> &'static str {
        match self.purpose {
            Purpose::Socket => "DEVD_SOCKET",
            Purpose::State => "DEVD_STATE_DIR",
        }
    }

    fn elsewhere(self) -> String {
        match self.purpose {
            Purpose::Socket => format!("set {} to a path in a folder of your own", self.variable()),
            Purpose::State => format!("set {} to a folder of your own", self.variable()),
        }
    }
}

/// Why a folder or a file is not used.
#[derive(Debug)]
pub enum Untrusted {
    /// The system does not let us.
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is a link or a file in its place.
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// What it is for.
        of: Private,
    },
    /// There is a link, a pipe or the like in its place, or it has a second name elsewhere.
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// It is somebody else's.
    Foreign {
        /// The folder or file.
        path: PathBuf,
        /// Whose.
        owner: u32,
        /// What it is for.
        of: Private,
    },
    /// Others may enter it.
    Open {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it is for.
        of: Private,
    },
    /// Others may put another folder in its place.
    Replaceable {
        /// The folder.
        path: PathBuf,
        /// The one above it that is theirs, or anyone's.
        above: PathBuf,
        /// What it is for.
        of: Private,
    },
}

impl Untrusted {
    /// How to mend it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::NoFolder { of, .. } => Some(format!("remove it, or {}", of.elsewhere())),
            Self::NoFile { .. } => Some("look at what it is, and remove it".to_owned()),
            Self::Foreign { of, .. } | Self::Replaceable { of, .. } => Some(of.elsewhere()),
            // What a folder for everybody is for would end with its being closed.
            Self::Open { mode, of, .. } if mode & 0o022 != 0 => Some(of.elsewhere()),
            Self::Open { path, of, .. } => {
                Some(format!("chmod 700 '{}', or {}", path.display(), of.elsewhere()))
            }
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not_trusted = |of: &Private| match of.purpose {
            Purpose::Socket => ": whoever listens there is not trusted",
            Purpose::State => ": what is in it is not trusted",
        };
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::NoFolder { path, of } => {
                let what = match of.purpose {
                    Purpose::Socket => "socket",
                    Purpose::State => "state",
                };
                write!(f, "{} is not a folder, and devd's {what} belongs there", path.display())
            }
            Self::NoFile { path } => {
                write!(f, "{} is not a plain file with one name, and devd's own are", path.display())
            }
            Self::Foreign { path, owner, of } => {
                let path = path.display();
                write!(f, "{path} belongs to another user (uid {owner}){}", not_trusted(of))
            }
            Self::Open { path, mode, of } => {
                let path = path.display();
                write!(f, "{path} is open to other users (mode {mode:03o}){}", not_trusted(of))
            }
            Self::Replaceable { path, above, of } => {
                let (path, above) = (path.display(), above.display());
                write!(
                    f,
                    "other users may replace {path}, because {above} is theirs to change{}",
                    not_trusted(of)
                )
            }
        }
    }
}

impl std::error::Error for Untrusted {}

impl From<Untrusted> for io::Error {
    fn from(untrusted: Untrusted) -> Self {
        let kind = match &untrusted {
            Untrusted::Io { error, .. } => error.kind(),
            _ => io::ErrorKind::PermissionDenied,
        };
        Self::new(kind, Told(untrusted))
    }
}

/// With its help: who gets an [`io::Error`] shows nothing else of it.
#[derive(Debug)]
struct Told(Untrusted);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.help() {
            Some(help) => write!(f, "{} ({help})", self.0),
            None => self.0.fmt(f),
        }
    }
}

impl std::error::Error for Told {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A folder that is ours alone, and who we are.
    fn place() -> (TempDir, u32) {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), 0o700);
        let owner = dir.path().metadata().unwrap().uid();
        (dir, owner)
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    fn told<T>(result: Result<T, Untrusted>) -> String {
        result.map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_is_made_with_those_above_it_for_its_owner_alone() {
        let (dir, owner) = place();
        let folder = dir.path().join("a/b");
        assert!(!Private::socket(owner).look(&folder).unwrap());
        Private::socket(owner).make(&folder).unwrap();
        assert!(Private::socket(owner).look(&folder).unwrap());
        assert_eq!((mode(&folder), mode(&dir.path().join("a"))), (0o700, 0o700));
    }

    #[test]
    fn a_folder_of_state_that_others_could_read_is_closed_and_one_they_could_write_to_is_refused() {
        let (dir, owner) = place();
        let folder = dir.path().join("state");
        Private::state(owner).make(&folder).unwrap();
        set_mode(&folder, 0o755);
        Private::state(owner).make(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        set_mode(&folder, 0o775);
        assert!(told(Private::state(owner).make(&folder)).contains("is open to other users (mode 775)"));
        assert_eq!(mode(&folder), 0o775);
    }

    /// Root's daemon with `DEVD_SOCKET=/tmp/devd.sock` closed `/tmp` to everybody else.
    #[test]
    fn a_folder_for_everybody_is_never_closed_for_a_socket() {
        let (dir, owner) = place();
        let shared = dir.path().join("tmp");
        std::fs::create_dir(&shared).unwrap();
        for open in [0o755, 0o1777] {
            set_mode(&shared, open);
            let error = Private::socket(owner).make(&shared).unwrap_err();
            assert!(error.to_string().contains("is open to other users"), "{error}");
            assert_eq!(mode(&shared), open & 0o777);
            // Nobody is told to close such a folder either.
            assert_eq!(error.help().unwrap().contains("chmod"), open == 0o755, "{:?}", error.help());
        }
    }

    #[test]
    fn a_link_is_no_folder_even_when_it_leads_to_one_of_ours() {
        let (dir, owner) = place();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        Private::state(owner).make(&real).unwrap();
        symlink(&real, &link).unwrap();
        for private in [Private::socket(owner), Private::state(owner)] {
            assert!(told(private.make(&link)).contains("is not a folder"));
        }
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        let (dir, owner) = place();
        assert!(told(Private::socket(owner + 1).make(dir.path())).contains("belongs to another user"));
    }

    #[test]
    fn a_socket_below_a_folder_that_anyone_may_change_is_refused() {
        let (dir, owner) = place();
        let above = dir.path().join("everybodys");
        let folder = above.join("devd");
        Private::socket(owner).make(&folder).unwrap();
        set_mode(&above, 0o777);
        for link in [above.clone(), dir.path().join("link")] {
            if link != above {
                symlink(&above, &link).unwrap();
            }
            let error = told(Private::socket(owner).look(&link.join("devd")));
            assert!(error.contains("other users may replace"), "{error}");
        }
        // As `/tmp` is: there nobody takes away what is another's.
        set_mode(&above, 0o1777);
        assert!(Private::socket(owner).look(&folder).unwrap());
    }

    #[test]
    fn a_file_is_made_or_opened_for_its_owner_alone() {
        let (dir, owner) = place();
        let file = dir.path().join("file");
        let open = || Private::state(owner).open(&file, OpenOptions::new().append(true));
        open().unwrap();
        assert_eq!(mode(&file), 0o600);
        std::fs::write(&file, "kept").unwrap();
        set_mode(&file, 0o644);
        open().unwrap();
        assert_eq!((mode(&file), std::fs::read(&file).unwrap()), (0o600, b"kept".to_vec()));
        let stranger = Private::state(owner + 1).open(&file, OpenOptions::new().append(true));
        assert!(told(stranger).contains("belongs to another user"));
    }

    #[test]
    fn nothing_is_written_through_what_was_planted_in_the_place_of_a_file() {
        let (dir, owner) = place();
        let (victim, file) = (dir.path().join("victim"), dir.path().join("file"));
        let refused = || {
            let opened = Private::state(owner).open(&file, OpenOptions::new().read(true).write(true));
            assert!(told(opened).contains("is not a plain file with one name"));
            std::fs::remove_file(&file).unwrap();
        };
        symlink(&victim, &file).unwrap();
        refused();
        assert!(!victim.exists(), "made by way of a link");
        std::fs::write(&victim, "precious").unwrap();
        symlink(&victim, &file).unwrap();
        refused();
        std::fs::hard_link(&victim, &file).unwrap();
        refused();
        drop(std::os::unix::net::UnixListener::bind(&file).unwrap());
        refused();
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    }
}
