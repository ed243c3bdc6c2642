//! A throwaway folder with compose files in it.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    dead_code,
    reason = "each test file uses a part of it"
)]

use std::fs;
use std::path::{Path, PathBuf};

use devd_compose::{LoadError, Loaded, Options, load, to_json};

pub(crate) struct Folder {
    temp: tempfile::TempDir,
}

impl Folder {
    /// Files by name; a name that ends with `/` is a folder.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let folder = Self { temp };
        fs::create_dir(folder.path()).unwrap();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// A fixed last part, because the project is called after it.
    pub(crate) fn path(&self) -> PathBuf {
        self.temp.path().canonicalize().unwrap().join("shop")
    }

    pub(crate) fn options(&self) -> Options {
        Options { dir: self.path(), ..Options::default() }
    }

    pub(crate) fn load(&self) -> Result<Loaded, LoadError> {
        load(&self.options())
    }

    /// Without what differs from run to run.
    pub(crate) fn shown(&self, text: &str) -> String {
        text.replace(self.path().to_str().unwrap(), "$DIR")
    }

    /// The project as JSON and the warnings, or the errors.
    pub(crate) fn outcome(&self, options: &Options) -> String {
        self.shown(&match load(options) {
            Ok(loaded) => {
                let warnings: String =
                    loaded.warnings.iter().map(|warning| format!("{warning}\n\n")).collect();
                format!("{warnings}{:#}", to_json(&loaded.project))
            }
            Err(error) => error.render(),
        }) + "\n"
    }
}

/// What one compose file alone gives.
pub(crate) fn outcome(yaml: &str) -> String {
    let folder = Folder::new(&[("compose.yaml", yaml)]);
    folder.outcome(&folder.options())
}

pub(crate) fn relative(paths: impl IntoIterator<Item = PathBuf>, base: &Path) -> Vec<String> {
    paths.into_iter().map(|path| path.strip_prefix(base).unwrap_or(&path).display().to_string()).collect()
}
