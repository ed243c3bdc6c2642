//! The lease: whose daemon made something, as labels on it. A daemon is known by its state folder, so that two of them on
//! one engine, also of the same user and with projects of the same name, leave each other's things alone.

use crate::engine::spec::label;
use crate::system::paths::private_file;
use devd_logic::sweep::{Life, Owner};
use rustix::process::{Pid, test_kill_process};
use rustix::system::uname;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The file in the state folder that holds its id.
const FILE: &str = "lease";

/// The lease of this daemon.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    id: String,
    host: String,
    state: Option<PathBuf>,
}

impl Lease {
    /// That of a state folder. Without one, or when it can't be written to, it is this process's own: what it makes is
    /// nobody's after it, but it takes nothing of others for its own.
    pub(super) fn of(state_dir: Option<&Path>) -> Self {
        let state = state_dir.map(|dir| std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned()));
        let host = uname().nodename().to_string_lossy().into_owned();
        let fresh = fresh(&host, state.as_deref());
        let id = match state.as_deref().map(|dir| kept(dir, &fresh)) {
            Some(Ok(id)) => id,
            Some(Err(error)) => {
                tracing::warn!(%error, "there is no lease: a later daemon will not know what this one made");
                fresh
            }
            None => fresh,
        };
        Self { id, host, state }
    }

    /// The label by which all that is ours is found.
    pub(super) fn filter(&self) -> String {
        format!("{}={}", label::LEASE, self.id)
    }

    /// Labels of something to be made, with the lease and the role added.
    pub(super) fn mark(&self, labels: &BTreeMap<String, String>) -> HashMap<String, String> {
        let mut marked: HashMap<String, String> =
            labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let role = role(|name| labels.contains_key(name));
        marked.insert(label::ROLE.to_owned(), role.to_owned());
        marked.insert(label::LEASE.to_owned(), self.id.clone());
        if let Some(state) = &self.state {
            marked.insert(label::STATE.to_owned(), format!("{}:{}", self.host, state.display()));
        }
        marked
    }

    /// Who made something with these labels.
    pub(super) fn owner(&self, labels: &HashMap<String, String>) -> Owner {
        match (labels.get(label::LEASE), labels.get(label::STATE)) {
            (None, _) => Owner::Unknown,
            (Some(id), _) if *id == self.id => Owner::Us,
            (Some(_), None) => Owner::Unknown,
            (Some(id), Some(state)) => {
                let life = self.life(id, state);
                Owner::Other { state: state.clone(), life }
            }
        }
    }

    /// What became of another daemon. What can't be seen may run.
    fn life(&self, id: &str, state: &str) -> Life {
        let Some(path) = state.strip_prefix(&self.host).and_then(|rest| rest.strip_prefix(':')) else {
            return Life::MayRun;
        };
        let folder = Path::new(path);
        match folder.symlink_metadata().map_err(|error| error.kind()) {
            // A folder whose disk is not mounted is gone as well, as far as one can see; but then so is what holds it.
            Err(io::ErrorKind::NotFound) if folder.parent().is_some_and(Path::exists) => return Life::Gone,
            Err(_) => return Life::MayRun,
            Ok(_) => {}
        }
        match std::fs::read_to_string(folder.join(FILE)) {
            // It was emptied and begun anew.
            Ok(other) if other.trim() != id => return Life::Gone,
            Ok(_) => {}
            Err(_) => return Life::MayRun,
        }
        let lock = std::fs::read_to_string(folder.join("lock"));
        let pid = lock.ok().and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw);
        match pid.map(test_kill_process) {
            Some(Err(rustix::io::Errno::SRCH)) => Life::Ended,
            Some(_) | None => Life::MayRun,
        }
    }
}

/// What something is a part of, by the labels that it has.
pub(super) fn role(has: impl Fn(&str) -> bool) -> &'static str {
    if has(label::ENVIRONMENT) {
        "tests"
    } else if has(label::SNAPSHOT) {
        "snapshot"
    } else {
        "service"
    }
}

/// An id that no other folder has had.
fn fresh(host: &str, state: Option<&Path>) -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    let unique = format!("{host} {state:?} {now} {}", std::process::id());
    Sha256::digest(unique).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The id of a state folder; the fresh one from now on, if it has none.
fn kept(state: &Path, fresh: &str) -> io::Result<String> {
    let path = state.join(FILE);
    if path.symlink_metadata().is_ok() {
        let mut id = String::new();
        private_file(&path, OpenOptions::new().read(true).write(true))?.read_to_string(&mut id)?;
        if !id.trim().is_empty() {
            return Ok(id.trim().to_owned());
        }
    }
    std::fs::create_dir_all(state)?;
    // Whole or not at all: half an id would be another one.
    let half = state.join(format!(".{FILE}.{}", std::process::id()));
    private_file(&half, OpenOptions::new().write(true).truncate(true))?.write_all(fresh.as_bytes())?;
    std::fs::rename(&half, &path)?;
    Ok(fresh.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(lease: &Lease) -> HashMap<String, String> {
        lease.mark(&BTreeMap::from([(label::ENVIRONMENT.to_owned(), "7".to_owned())]))
    }

    #[test]
    fn a_state_folder_has_one_lease_for_all_its_daemons() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (Lease::of(Some(dir.path())), Lease::of(Some(dir.path())));
        assert_eq!(first.owner(&marked(&second)), Owner::Us);
        assert_eq!(marked(&first)[label::ROLE], "tests");
        assert_eq!(first.owner(&HashMap::new()), Owner::Unknown);
    }

    #[test]
    fn the_lease_is_its_owners_alone_and_not_read_through_a_link() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
        let id = Lease::of(Some(dir.path())).id;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Lease::of(Some(dir.path())).id, id);
        assert_eq!(mode(), 0o600, "it is closed at the next start");
        std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert_ne!(Lease::of(Some(dir.path())).id, id);
    }

    #[test]
    fn daemons_without_a_state_folder_share_nothing() {
        let (first, second) = (Lease::of(None), Lease::of(None));
        assert_eq!(first.owner(&marked(&second)), Owner::Unknown);
    }

    #[test]
    fn what_became_of_another_daemon_is_seen_at_its_state_folder() {
        let us = tempfile::tempdir().unwrap();
        let us = Lease::of(Some(us.path()));
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("state");
        let labels = marked(&Lease::of(Some(&dir)));
        let life = || match us.owner(&labels) {
            Owner::Other { life, .. } => life,
            other => panic!("{other:?}"),
        };
        assert_eq!(life(), Life::MayRun, "it has not taken its lock yet");
        std::fs::write(dir.join("lock"), std::process::id().to_string()).unwrap();
        assert_eq!(life(), Life::MayRun);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        std::fs::write(dir.join("lock"), pid.to_string()).unwrap();
        assert_eq!(life(), Life::Ended);
        std::fs::write(dir.join(FILE), "another").unwrap();
        assert_eq!(life(), Life::Gone, "the folder was begun anew");
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(life(), Life::Gone);
        drop(root);
        assert_eq!(life(), Life::MayRun, "its disk may be away");

        let mut elsewhere = labels.clone();
        elsewhere.insert(label::STATE.to_owned(), "other-host:/nowhere/state".to_owned());
        let Owner::Other { life, .. } = us.owner(&elsewhere) else { panic!("it is somebody's") };
        assert_eq!(life, Life::MayRun, "another machine's folders cannot be seen");
    }
}
