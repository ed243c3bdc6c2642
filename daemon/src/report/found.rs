//! What a format found, before its files are looked for on the host.

use super::{PathMap, Summary};
use devd_proto::TestFailure;

/// Failed tests of one run that are kept.
pub(super) const MAX_FAILURES: usize = 200;
/// Bytes of a failure's message that are kept.
const MAX_MESSAGE: usize = 2000;
/// Bytes of a test's name that are kept.
const MAX_NAME: usize = 500;
/// Lines of code per failure that are kept.
const MAX_PLACES: usize = 64;

/// What a format found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) passed: Option<u32>,
    pub(super) failed: Option<u32>,
    pub(super) skipped: Option<u32>,
    pub(super) failures: Vec<Failed>,
}

/// A failed test, put together line by line.
#[derive(Clone, Debug, Default)]
pub(super) struct Failed {
    pub(super) name: String,
    pub(super) message: String,
    /// Where it may have failed; the last that is the user's own code is it.
    places: Vec<(String, Option<u32>)>,
}

impl Failed {
    pub(super) fn new(name: &str) -> Self {
        Self { name: cut(name, MAX_NAME).to_owned(), ..Self::default() }
    }

    /// Adds a line to the message.
    pub(super) fn say(&mut self, line: &str) {
        if self.message.is_empty() && line.trim().is_empty() {
            return;
        }
        let room = MAX_MESSAGE.saturating_sub(self.message.len() + 1);
        if room > 0 {
            if !self.message.is_empty() {
                self.message.push('\n');
            }
            self.message.push_str(cut(line.trim_end(), room));
        }
    }

    /// Adds a place that is a better answer than those before.
    pub(super) fn place(&mut self, path: &str, line: Option<u32>) {
        if self.places.len() == MAX_PLACES {
            self.places.remove(0);
        }
        self.places.push((path.to_owned(), line));
    }

    /// Adds a place that is a worse answer than those before: runners whose stacks begin with the innermost call.
    pub(super) fn outer_place(&mut self, path: &str, line: Option<u32>) {
        if self.places.len() < MAX_PLACES {
            self.places.insert(0, (path.to_owned(), line));
        }
    }

    /// Adds a frame of a stack that begins with the innermost call. The first place of all, where the test begins, stays
    /// the worst answer.
    pub(super) fn frame(&mut self, path: &str, line: u32) {
        if self.places.len() < MAX_PLACES {
            self.places.insert(1.min(self.places.len()), (path.to_owned(), Some(line)));
        }
    }

    /// Adds more paths for each place, each better than those before it.
    pub(super) fn each_place_also(&mut self, more: impl Fn(&str) -> Vec<String>) {
        let places = std::mem::take(&mut self.places);
        for (path, line) in places {
            let also = more(&path);
            self.places.push((path, line));
            self.places.extend(also.into_iter().map(|path| (path, line)));
        }
    }

    /// Whether a line of code is known.
    pub(super) fn has_line(&self) -> bool {
        self.places.iter().any(|(_, line)| line.is_some())
    }

    /// Lines of the message.
    pub(super) fn lines(&self) -> usize {
        self.message.lines().count()
    }

    fn resolve(self, paths: &PathMap) -> TestFailure {
        let found: Vec<(String, Option<u32>, bool)> = self
            .places
            .into_iter()
            .rev()
            .filter_map(|(path, line)| {
                let host = paths.host(&path)?.to_str()?.to_owned();
                Some((host, line, is_library(&path)))
            })
            .collect();
        let own = found.iter().find(|(_, _, library)| !library).or(found.first());
        let (file, line) = own.map(|(file, line, _)| (file.clone(), *line)).unzip();
        TestFailure {
            name: self.name,
            file,
            line: line.flatten(),
            message: self.message.trim_end().to_owned(),
        }
    }
}

/// Installed code inside of mounted source.
fn is_library(path: &str) -> bool {
    ["site-packages", "dist-packages", "node_modules", "vendor", ".venv", "venv"]
        .iter()
        .any(|folder| path.split('/').any(|part| part == *folder))
}

impl Found {
    /// With files as the host knows them.
    pub(super) fn resolve(self, paths: &PathMap) -> Summary {
        let Self { passed, failed, skipped, failures } = self;
        let failures =
            failures.into_iter().take(MAX_FAILURES).map(|failure| failure.resolve(paths)).collect();
        Summary { passed, failed, skipped, failures }
    }
}

/// The beginning of a text, whole characters only.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Adds a failure unless there are enough.
pub(super) fn keep(failures: &mut Vec<Failed>, failure: Failed) {
    if failures.len() < MAX_FAILURES {
        failures.push(failure);
    }
}
