//! `environment` and `env_file`: one map of variables.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::Path;

use crate::dotenv;
use crate::model::{EnvFile, Service};
use crate::node::{Node, Value};
use crate::substitute::Lookup as _;

use super::{Keys, Reader};

const ENV_FILE: &Keys = &["path", "required", "format"];

impl Reader<'_> {
    /// Variables without a value get the one of the project's environment, if there is one.
    pub(super) fn environment(&mut self, node: &Node) -> BTreeMap<String, Option<String>> {
        let mut pairs = self.pairs(node);
        for (key, value) in &mut pairs {
            if value.is_none() {
                *value = self.env.get(key);
            }
        }
        pairs
    }

    /// Adds what the files set, below what is set already.
    pub(super) fn env_files(&mut self, node: &Node, service: &mut Service) {
        let mut found = BTreeMap::new();
        let (environment, files) = (&mut service.environment, &mut service.env_files);
        let mut index = BTreeMap::new();
        match &node.value {
            Value::Scalar { .. } if !node.is_null() => {
                files.extend(self.env_file(node, environment, &mut found));
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => self.each_item(node, |reader, item| {
                // Named again, a file keeps its place.
                let Some(file) = reader.env_file(item, environment, &mut found) else { return };
                match index.get(&file.path).and_then(|index: &usize| files.get_mut(*index)) {
                    Some(known) => *known = file,
                    None => {
                        index.insert(file.path.clone(), files.len());
                        files.push(file);
                    }
                }
            }),
        }
        for (key, value) in found {
            if let Entry::Vacant(slot) = environment.entry(key) {
                service.from_env_files.insert(slot.key().clone());
                slot.insert(Some(value));
            }
        }
    }

    fn env_file(
        &mut self,
        node: &Node,
        environment: &BTreeMap<String, Option<String>>,
        found: &mut BTreeMap<String, String>,
    ) -> Option<EnvFile> {
        let (mut path, mut required, mut format) = (None, true, None);
        if node.as_map().is_some() {
            self.map(node, ENV_FILE, |reader, key, entry| match key {
                "path" => path = reader.word(&entry.value),
                "required" => required = reader.flag(&entry.value).unwrap_or(true),
                _ => {
                    if reader.optional(&entry.value).is_some() {
                        format = reader.choice(&entry.value, &[("raw", "raw")]).map(str::to_owned);
                    }
                }
            });
            if path.is_none() && node.get("path").is_none() {
                self.error("missing-key", node.place, "`path` is missing").help("add `path: …`");
            }
        } else {
            path = self.word(node);
        }
        let text = path?;
        let path = self.resolve(&text);
        let raw = format.is_some();
        let file = EnvFile { path: self.resolve_text(&text), required, format };
        let content = match self.context.read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => return Some(file),
            Err(error) => {
                self.no_env_file(node, &path, &error);
                return None;
            }
        };
        let env = self.env;
        let lookup = |name: &str| {
            let own = || environment.get(name).cloned().flatten();
            env.get(name).or_else(own).or_else(|| found.get(name).cloned())
        };
        let parse = if raw { dotenv::parse_raw } else { dotenv::parse };
        match parse(&content, &lookup) {
            Ok(variables) => {
                self.context.unset_variables(&path, &variables.unset);
                found.extend(variables.values);
            }
            Err(error) => {
                let wrong = self.context.file_error("env-file", Some(&path), Some(error.line), error.message);
                wrong.path.clone_from(&self.path);
            }
        }
        Some(file)
    }

    /// Adds the labels of files, below those that are set already.
    pub(super) fn label_files(&mut self, node: &Node, labels: &mut BTreeMap<String, String>) {
        let mut found = BTreeMap::new();
        for text in self.string_or_list(node) {
            let path = self.resolve(&text);
            let content = match self.context.read(&path) {
                Ok(content) => content,
                Err(error) => {
                    let message = format!("the label file {} cannot be read: {error}", path.display());
                    self.error("label-file", node.place, message);
                    continue;
                }
            };
            match dotenv::parse(&content, &|name| self.env.get(name)) {
                Ok(variables) => {
                    self.context.unset_variables(&path, &variables.unset);
                    found.extend(variables.values);
                }
                Err(error) => {
                    let wrong =
                        self.context.file_error("label-file", Some(&path), Some(error.line), error.message);
                    wrong.path.clone_from(&self.path);
                }
            }
        }
        for (key, value) in found {
            labels.entry(key).or_insert(value);
        }
    }

    fn no_env_file(&mut self, node: &Node, path: &Path, error: &io::Error) {
        if error.kind() == io::ErrorKind::NotFound {
            let message = format!("the env file {} does not exist", path.display());
            let help = "make it, or say `required: false` in the long form `{path: …, required: false}`";
            self.error("env-file", node.place, message).help(help);
        } else {
            let message = format!("the env file {} cannot be read: {error}", path.display());
            self.error("env-file", node.place, message);
        }
    }
}
