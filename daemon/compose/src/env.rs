//! The environment that a project is interpolated from.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::context::Context;
use crate::dotenv;
use crate::options::Options;
use crate::substitute::Lookup;

/// The process environment before the `.env` files, with a record of what was asked for.
pub(crate) struct Env<'a> {
    process: &'a BTreeMap<String, String>,
    /// Of the project that includes this one; before its own.
    inherited: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    /// Where the caller stands.
    dir: Option<PathBuf>,
    /// Once it is known.
    project_name: Option<String>,
    used: Rc<RefCell<BTreeSet<String>>>,
}

impl<'a> Env<'a> {
    pub(crate) fn new(process: &'a BTreeMap<String, String>) -> Self {
        Self {
            process,
            inherited: BTreeMap::new(),
            files: BTreeMap::new(),
            dir: None,
            project_name: None,
            used: Rc::default(),
        }
    }

    /// For a project that is included: it sees this one, and what its own files add.
    pub(crate) fn child(&self) -> Self {
        let mut inherited = self.files.clone();
        inherited.extend(self.inherited.clone());
        Self {
            process: self.process,
            inherited,
            files: BTreeMap::new(),
            dir: self.dir.clone(),
            project_name: self.project_name.clone(),
            used: Rc::clone(&self.used),
        }
    }

    pub(crate) fn process(&self, name: &str) -> Option<&'a str> {
        let value = self.process.get(name)?;
        self.used.borrow_mut().insert(name.to_owned());
        Some(value)
    }

    pub(crate) fn set_dir(&mut self, dir: &Path) {
        self.dir = Some(dir.to_owned());
    }

    pub(crate) fn set_project_name(&mut self, name: &str) {
        self.project_name = Some(name.to_owned());
    }

    /// What of the process environment has been asked for.
    pub(crate) fn used(&self) -> BTreeMap<String, String> {
        let used = self.used.borrow();
        self.process
            .iter()
            .filter(|(name, _)| used.contains(*name))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// Everything that can be asked for.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        let mut all = self.files.clone();
        all.extend(self.inherited.clone());
        all.extend(self.process.clone());
        all.extend(self.project_name.clone().map(|name| ("COMPOSE_PROJECT_NAME".to_owned(), name)));
        all
    }

    /// Reads the files that `--env-file` or `COMPOSE_ENV_FILES` name, or else `.env` in `dir`.
    pub(crate) fn read_files(&mut self, context: &mut Context, options: &Options, dir: &Path) {
        let mut named = options.env_files.clone();
        if named.is_empty()
            && let Some(list) = self.process("COMPOSE_ENV_FILES")
        {
            named = list.split(',').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        }
        if named.is_empty() {
            let disabled = self.process("COMPOSE_DISABLE_ENV_FILE").is_some_and(crate::read::is_true);
            if !disabled {
                self.read_file(context, &dir.join(".env"), false);
            }
            return;
        }
        for name in named {
            let path = crate::paths::clean(&options.dir.join(name));
            self.read_file(context, &path, true);
        }
    }

    pub(crate) fn read_file(&mut self, context: &mut Context, path: &Path, required: bool) {
        let text = match context.read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => return,
            // Some projects keep a folder of that name.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory && !required => return,
            Err(error) => {
                let message = format!("the env file cannot be read: {error}");
                context.file_error("env-file", Some(path), None, message);
                return;
            }
        };
        match dotenv::parse(&text, &|name| self.get(name)) {
            Ok(found) => {
                context.unset_variables(path, &found.unset);
                self.files.extend(found.values);
            }
            Err(error) => {
                context.file_error("env-file", Some(path), Some(error.line), error.message);
            }
        }
    }
}

impl Lookup for Env<'_> {
    fn get(&self, name: &str) -> Option<String> {
        if name == "COMPOSE_PROJECT_NAME"
            && let Some(project) = &self.project_name
        {
            return Some(project.clone());
        }
        let files = || self.inherited.get(name).or_else(|| self.files.get(name)).cloned();
        // A shell would say where it stands, and Docker does so for compose.
        let here =
            || self.dir.as_ref().filter(|_| name == "PWD").map(|dir| dir.to_string_lossy().into_owned());
        self.process(name).map(str::to_owned).or_else(files).or_else(here)
    }
}
