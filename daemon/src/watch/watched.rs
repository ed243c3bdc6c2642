//! One watched project: what an event about a path means for it.
//!
//! An event only says where to look. What is reported is the difference between what is on disk and what the index
//! knows, so that lost, doubled and late events do no harm.

use super::{
    content::{self, Found, Hash},
    index::{Index, Known},
    project::{Action, Change, ChangeKind, Placed, WatchSet},
    rules::Rules,
    sight::Folder,
    source::Touch,
    watches::{self, Trouble, Watches},
};
use devd_proto::ServiceName;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

/// How long a push may come after the event of the same save.
const RECENT: Duration = Duration::from_secs(1);

/// A project and what is known of its files.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) rules: Rules,
    pub(super) index: Index,
    /// Rises when the index is made anew.
    pub(super) epoch: u64,
    /// Everything was read once.
    pub(super) ready: bool,
    /// When this index was begun.
    pub(super) started: u128,
    starts: BTreeSet<PathBuf>,
    targets: BTreeSet<PathBuf>,
    anchors: BTreeSet<PathBuf>,
    inputs: BTreeMap<PathBuf, Option<Hash>>,
    /// Folders reached through links: where they really are, and what they are called here.
    links: Vec<(PathBuf, PathBuf)>,
    pub(super) told: BTreeSet<PathBuf>,
    /// What was told lately, for the editor whose event comes before its push.
    recent: BTreeMap<PathBuf, (Instant, ChangeKind)>,
}

/// What a batch of events comes to, for one project.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
    pub(super) reload: BTreeSet<PathBuf>,
    pub(super) troubles: BTreeMap<PathBuf, Trouble>,
    /// Ignore files changed: the project must be read anew.
    pub(super) rules_changed: bool,
    /// New files in new folders: not looked at at once, they may still be written to.
    pub(super) later: Vec<PathBuf>,
    /// The files come from an editor's save-hook.
    pub(super) pushed: bool,
    /// git is writing files, as far as that was asked.
    more: Option<bool>,
    /// What is found was told before.
    repeated: bool,
    /// Folders whose sight was built already.
    folders: BTreeMap<PathBuf, Rc<Folder>>,
}

impl Batch {
    /// For what an editor said.
    pub(super) fn pushed() -> Self {
        Self { pushed: true, ..Self::default() }
    }
}

impl Watched {
    /// Watches a project. What an older version of it knew is taken over.
    pub(super) fn new(
        set: WatchSet,
        epoch: u64,
        older: Option<&Watched>,
        watches: &mut Watches,
        batch: &mut Batch,
    ) -> Self {
        let index = Index::new(&set.root, set.services.len());
        let rules = Rules::new(set);
        let mut project = Self {
            starts: rules.starts(),
            targets: rules.targets(),
            links: links(&rules),
            inputs: BTreeMap::new(),
            anchors: BTreeSet::new(),
            told: older.map(|older| older.told.clone()).unwrap_or_default(),
            recent: BTreeMap::new(),
            ready: false,
            // Clocks of file systems lag behind by some milliseconds.
            started: older.map_or_else(|| content::now().saturating_sub(10_000_000), |older| older.started),
            rules,
            index,
            epoch,
        };
        for start in &project.starts {
            watches.survey(start);
        }
        project.anchor(watches, batch, None);
        for input in &project.rules.set.inputs {
            let known = older.and_then(|older| older.inputs.get(input)).copied();
            project.inputs.insert(input.clone(), known.unwrap_or_else(|| content::read_through(input)));
        }
        for start in project.starts.clone() {
            if !project.index.is_watched(&start) {
                let from = older.map(|older| &older.index);
                project.survey(
                    watches,
                    batch,
                    &start,
                    super::walk::How { report: false, renew: false, from },
                );
            }
        }
        project.add_named_files(older);
        if let Some(older) = older {
            project.report_vanished(older, batch);
        }
        project
    }

    /// Lets go of every watch.
    pub(super) fn release(&self, watches: &mut Watches) {
        for folder in self.index.watched().chain(self.anchors.iter().map(PathBuf::as_path)) {
            watches.release(folder);
        }
    }

    /// How much is watched.
    pub(super) fn placed(&self) -> Placed {
        Placed { folders: self.index.watched().count(), files: self.index.files() }
    }

    /// The files that the rules of a service's `develop.watch` are about.
    pub(super) fn developed(&self, service: &ServiceName) -> Vec<(usize, PathBuf)> {
        let mut found = Vec::new();
        for folder in self.index.watched() {
            for name in self.index.names(folder) {
                let path = folder.join(name);
                let decisions = self.rules.decide(&path, false).into_iter();
                let rules = decisions.filter(|decision| decision.service == *service);
                found.extend(rules.filter_map(|decision| Some((decision.develop?, path.clone()))));
            }
        }
        found
    }

    /// Whether a path is a watched folder, a known file, or named by something.
    pub(super) fn knows(&self, path: &Path) -> bool {
        let path = &self.name_of(path);
        let file = || split(path).is_some_and(|(folder, name)| self.index.known(folder, name) != Known::No);
        file() || self.index.is_watched(path) || self.targets.contains(path)
    }

    /// The path under the name that the project's files give it.
    pub(super) fn name_of(&self, path: &Path) -> PathBuf {
        let link = self.links.iter().find_map(|(real, name)| Some(name.join(path.strip_prefix(real).ok()?)));
        link.unwrap_or_else(|| path.to_owned())
    }

    /// Looks at a path that something happened to.
    pub(super) fn touch(&mut self, watches: &mut Watches, batch: &mut Batch, path: &Path, touch: Touch) {
        let path = &self.name_of(path);
        let held = watches.is_held(path);
        if touch != Touch::Meta {
            let above_target = self.targets.range(path.clone()..).next();
            if above_target.is_some_and(|target| target.starts_with(path)) {
                self.touch_targets(watches, batch, path, held);
            }
            if self.is_ignore_file(path) {
                batch.rules_changed = true;
            }
        }
        let Some((folder, name)) = split(path) else { return };
        let known = self.index.known(folder, name) != Known::No;
        let is_folder = self.index.is_watched(path);
        if !(known || is_folder || self.index.is_watched(folder) || self.targets.contains(path)) {
            return;
        }
        let mut found = content::find(path);
        if matches!(found, Found::File(_)) && self.starts.contains(path) && path.is_dir() {
            // A root may be a link to a folder; links inside roots are not followed.
            found = Found::Folder;
        }
        if known && !matches!(found, Found::File(_)) {
            self.gone(batch, path);
        }
        if is_folder && found != Found::Folder {
            self.forget(watches, batch, path);
        }
        match found {
            Found::Folder if touch != Touch::Meta => {
                let how = super::walk::How { report: true, renew: true, from: None };
                self.survey(watches, batch, path, how);
            }
            Found::File(_) => self.look(batch, path, touch, true),
            Found::Folder | Found::Other | Found::Nothing => {}
        }
    }

    /// Looks at a path that an editor says it saved, wherever it is.
    pub(super) fn push(&mut self, watches: &mut Watches, batch: &mut Batch, path: &Path) {
        let path = self.name_of(path);
        // In a folder that is too new to be watched.
        let new = path.ancestors().skip(1).take_while(|folder| !self.index.is_watched(folder)).last();
        if let Some(top) = new.filter(|top| top.parent().is_some_and(|folder| self.index.is_watched(folder)))
        {
            self.touch(watches, batch, top, Touch::Folder);
        }
        let before = batch.changes.len();
        self.touch(watches, batch, &path, Touch::Done);
        self.recent.retain(|_, (told, _)| told.elapsed() < RECENT);
        if let Some((_, kind)) = self.recent.get(&path).filter(|_| batch.changes.len() == before) {
            batch.repeated = true;
            self.report(batch, &path, *kind);
            batch.repeated = false;
        }
    }

    /// Remembers what was told.
    pub(super) fn remember(&mut self, changes: &[Change]) {
        let now = Instant::now();
        self.recent.retain(|_, (told, _)| told.elapsed() < RECENT);
        // Nobody pushes a whole branch.
        self.recent.extend(changes.iter().take(100).map(|change| (change.path.clone(), (now, change.kind))));
    }

    /// Something that a rule names, or a folder above it, came or went.
    fn touch_targets(&mut self, watches: &mut Watches, batch: &mut Batch, path: &Path, held: bool) {
        self.anchor(watches, batch, held.then_some(path));
        self.links = links(&self.rules);
        for (input, known) in &mut self.inputs {
            if input.starts_with(path) {
                let now = content::read_through(input);
                if *known != now {
                    *known = now;
                    batch.reload.insert(input.clone());
                }
            }
        }
        let below: Vec<PathBuf> =
            self.targets.iter().filter(|target| target.starts_with(path)).cloned().collect();
        let mut surveyed: Vec<PathBuf> = Vec::new();
        for target in below.into_iter().filter(|target| target != path) {
            if self.starts.contains(&target) && target.is_dir() {
                // A root inside a root that was just walked was walked with it, unless something hides the way to it.
                let around = target.parent().is_some_and(|folder| self.index.is_watched(folder));
                if around && surveyed.iter().any(|outer| target.starts_with(outer)) {
                    continue;
                }
                let how = super::walk::How { report: true, renew: true, from: None };
                self.survey(watches, batch, &target, how);
                surveyed.push(target);
            } else if self.index.is_watched(&target) {
                self.forget(watches, batch, &target);
            } else if target.is_file() {
                self.look(batch, &target, Touch::Done, true);
            } else {
                self.gone(batch, &target);
            }
        }
    }

    /// Watches the folders in which named things would appear; once more, those below a folder that was replaced.
    fn anchor(&mut self, watches: &mut Watches, batch: &mut Batch, replaced: Option<&Path>) {
        let anchors = watches::anchors(&self.targets, &self.rules.set.root);
        for folder in anchors.difference(&self.anchors) {
            batch.trouble(folder, watches.hold(folder));
        }
        for folder in self.anchors.difference(&anchors) {
            watches.release(folder);
        }
        if let Some(replaced) = replaced {
            for folder in anchors.iter().filter(|folder| folder.starts_with(replaced)) {
                batch.trouble(folder, watches.renew(folder));
            }
        }
        self.anchors = anchors;
    }

    /// Compares a file with what is known of it. `certain` when an event named it, and not only its folder.
    pub(super) fn look(&mut self, batch: &mut Batch, path: &Path, touch: Touch, certain: bool) {
        let Some((folder, name)) = split(path) else { return };
        let Found::File(stat) = content::find(path) else { return };
        let known = self.index.known(folder, name);
        let kind = match known {
            Known::No => {
                let around = self.folder(batch, folder);
                let members = self.rules.members(&around, path, name);
                if members.is_empty() {
                    return;
                }
                self.index.put(folder, name, &members);
                ChangeKind::Created
            }
            Known::Unread if touch == Touch::Meta || !(certain || stat.changed_at >= self.started) => return,
            // Events were lost before all was read: what was read may have changed while nobody could be told.
            Known::Read(..) if !certain && !self.ready && stat.changed_at >= self.started => {
                ChangeKind::Modified
            }
            Known::Read(print, _) if known.is(stat) || (touch == Touch::Meta && print == stat.print) => {
                return;
            }
            Known::Unread | Known::Read(..) => ChangeKind::Modified,
        };
        let Some((stat, hash)) = content::read(path) else {
            self.gone(batch, path);
            return;
        };
        self.index.set(folder, name, stat.print, hash);
        let same = matches!(known, Known::Read(_, old) if old == hash);
        if !same || (!certain && !self.ready) {
            self.report(batch, path, kind);
        }
    }

    /// A file is no longer there.
    pub(super) fn gone(&mut self, batch: &mut Batch, path: &Path) {
        if let Some((folder, name)) = split(path)
            && self.index.remove(folder, name)
        {
            self.report(batch, path, ChangeKind::Removed);
        }
    }

    /// Says what every service does about a file.
    fn report(&self, batch: &mut Batch, path: &Path, kind: ChangeKind) {
        let Some((folder, name)) = split(path) else { return };
        let more = *batch.more.get_or_insert_with(|| self.rules.git_writes());
        let around = self.folder(batch, folder);
        let sights = self.rules.sights(&around, path, name, false);
        for (service, sight) in self.rules.seen_by(&sights) {
            let judgement = self.rules.judge(service, sight, path);
            let mut tests = service.tests(&judgement.tests);
            let mut actions = service.actions(&judgement.service);
            let change = |action, develop, tests| Change {
                path: path.to_owned(),
                kind,
                service: service.watch.service.clone(),
                action,
                develop,
                tests,
                pushed: batch.pushed,
                more,
                repeated: batch.repeated,
            };
            actions.retain(|(action, _)| *action != Action::None);
            if actions.is_empty() && tests.runs() {
                batch.changes.push(change(None, None, tests));
            }
            for (action, develop) in actions {
                batch.changes.push(change(Some(action), develop, std::mem::take(&mut tests)));
            }
        }
    }

    /// What every service sees of a folder; built once a batch.
    fn folder(&self, batch: &mut Batch, folder: &Path) -> Rc<Folder> {
        if let Some(known) = batch.folders.get(folder) {
            return Rc::clone(known);
        }
        let built = Rc::new(self.rules.folder(folder));
        batch.folders.insert(folder.to_owned(), Rc::clone(&built));
        built
    }

    fn is_ignore_file(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(OsStr::to_str);
        let git = matches!(name, Some(".gitignore" | ".git" | super::builtin::CACHE_TAG));
        self.rules.ignore_files.contains(path)
            || (git && path.parent().is_some_and(|folder| self.index.is_watched(folder)))
    }

    /// Files that something names, in folders that nobody watches as a whole.
    fn add_named_files(&mut self, older: Option<&Watched>) {
        for path in self.targets.clone() {
            let Some((folder, name)) = split(&path) else { continue };
            if self.index.known(folder, name) != Known::No || !matches!(content::find(&path), Found::File(_))
            {
                continue;
            }
            let members = self.rules.members(&self.rules.folder(folder), &path, name);
            if members.is_empty() || (self.starts.contains(&path) && path.is_dir()) {
                continue;
            }
            self.index.put(folder, name, &members);
            if let Some(Known::Read(print, hash)) = older.map(|older| older.index.known(folder, name)) {
                self.index.set(folder, name, print, hash);
            }
        }
    }

    /// Files that an older version knew, and that vanished while this one was made.
    fn report_vanished(&self, older: &Watched, batch: &mut Batch) {
        for folder in older.index.tree(Path::new("/")) {
            for name in older.index.names(&folder) {
                let path = folder.join(&name);
                if self.index.known(&folder, &name) == Known::No && content::find(&path) == Found::Nothing {
                    self.report(batch, &path, ChangeKind::Removed);
                }
            }
        }
    }

    /// Looks at everything again, because events were lost.
    pub(super) fn rescan(&mut self, watches: &mut Watches, batch: &mut Batch) {
        self.anchor(watches, batch, Some(Path::new("/")));
        self.touch_targets(watches, batch, Path::new("/"), false);
    }
}

impl Batch {
    /// Notes that a folder is polled.
    pub(super) fn trouble(&mut self, folder: &Path, trouble: Option<Trouble>) {
        if let Some(trouble) = trouble {
            self.troubles.insert(folder.to_owned(), trouble);
        }
    }
}

fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    path.parent().zip(path.file_name())
}

/// The folders of a project that are reached through links.
fn links(rules: &Rules) -> Vec<(PathBuf, PathBuf)> {
    let folders = rules.starts().into_iter().chain([rules.set.root.clone()]);
    let real = folders.filter_map(|folder| Some((folder.canonicalize().ok()?, folder)));
    let mut links: Vec<_> = real.filter(|(real, folder)| real != folder).collect();
    // The deepest first.
    links.sort_by_key(|(real, _)| std::cmp::Reverse(real.components().count()));
    links
}
