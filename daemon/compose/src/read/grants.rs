//! `secrets` and `configs`, at the top level and on a service.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Grant, Project, SharedFile};
use crate::node::{Entry, Node};

use super::project::Kind;
use super::{Keys, Reader};

const SECRET: Keys = Keys {
    known: &["name", "file", "environment", "external"],
    later: &["labels", "driver", "driver_opts", "template_driver"],
};
const CONFIG: Keys = Keys {
    known: &["name", "file", "environment", "content", "external"],
    later: &["labels", "template_driver"],
};
const GRANT: Keys = Keys { known: &["source", "target", "uid", "gid", "mode"], later: &[] };

impl Reader<'_> {
    pub(super) fn shared_file(&mut self, kind: Kind, entry: &Entry, project: &str) -> SharedFile {
        let mut out = SharedFile { span: self.context.span(entry.place), ..SharedFile::default() };
        let mut name = None;
        let keys = if kind == Kind::Secret { &SECRET } else { &CONFIG };
        let node = &entry.value;
        let what = kind.noun();
        self.map(node, keys, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "name" => name = reader.text(value).filter(|text| !text.is_empty()).or_else(|| name.take()),
                "file" => out.file = reader.word(value).map(|text| reader.resolve(&text)),
                "environment" => out.environment = reader.word(value),
                "content" => out.content = reader.text(value),
                _ => out.external = reader.external(value, &mut name),
            }
        });
        let sources = ["file", "environment", "content"];
        let given = sources.iter().filter(|key| node.get(key).is_some()).count();
        if given != 1 && !out.external {
            let message = format!("the {what} `{}` must have one source", entry.key);
            self.error("wrong-value", entry.place, message).help("give it a `file`");
        }
        out.name = super::networks::engine_name(name, out.external, &entry.key, project);
        out
    }

    pub(super) fn grants(&mut self, kind: Kind, node: &Node) -> Vec<Grant> {
        let mut out: Vec<Grant> = Vec::new();
        let mut index: BTreeMap<String, usize> = BTreeMap::new();
        self.each_item(node, |reader, item| {
            let Some(mut grant) = reader.grant(item) else { return };
            reader.refer(kind, &grant.source, item.place);
            if kind == Kind::Secret && grant.target.is_none() {
                grant.target = Some(format!("/run/secrets/{}", grant.source));
            }
            let place = grant.target.clone().unwrap_or_else(|| format!("/{}", grant.source));
            match index.get(&place).and_then(|index| out.get_mut(*index)) {
                Some(known) => *known = grant,
                None => {
                    index.insert(place, out.len());
                    out.push(grant);
                }
            }
        });
        out
    }

    fn grant(&mut self, node: &Node) -> Option<Grant> {
        let span = self.context.span(node.place);
        if node.as_map().is_none() {
            let source = self.word(node)?;
            return Some(Grant { source, span, ..Grant::default() });
        }
        let mut out = Grant { span, ..Grant::default() };
        self.map(node, &GRANT, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "source" => out.source = reader.word(value).unwrap_or_default(),
                "target" => out.target = reader.word(value),
                "uid" => out.uid = reader.word(value),
                "gid" => out.gid = reader.word(value),
                _ => out.mode = reader.file_mode(value),
            }
            if matches!(key, "uid" | "gid" | "mode") {
                let message = format!("`{key}` is ignored: the container sees the file as it is");
                reader.context.warning("no-effect", entry.place, &reader.path, message);
            }
        });
        self.require(node, &["source"]);
        (!out.source.is_empty()).then_some(out)
    }

    /// In octal digits, as compose prints it.
    fn file_mode(&mut self, node: &Node) -> Option<String> {
        let octal = |text: &str| {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777)
        };
        self.parsed(node, "a file mode", octal).map(|mode| format!("0{mode:o}"))
    }

    /// Gives every grant its file. What is neither a file nor there is said of those that are used.
    pub(crate) fn find_files(&mut self, project: &mut Project) {
        let references = std::mem::take(&mut self.references);
        let mut missing = BTreeSet::new();
        for known in &references {
            let list = match known.kind {
                Kind::Secret => &project.secrets,
                Kind::Config => &project.configs,
                _ => continue,
            };
            let Some(shared) = list.get(&known.name) else { continue };
            let enabled = project.services.contains_key(&known.service);
            let what = known.kind.noun();
            let Some(file) = &shared.file else {
                if enabled {
                    let of = match (shared.external, &shared.environment) {
                        (true, _) => "from elsewhere",
                        (false, Some(_)) => "from a variable",
                        (false, None) => "with `content`",
                    };
                    let message = format!("the {what} `{}` {of} is not supported yet", known.name);
                    self.context
                        .error("unsupported", known.place, &known.path, message)
                        .help("put it into a file, and name that with `file`");
                }
                continue;
            };
            if enabled && !file.exists() && missing.insert(file) {
                self.context.inputs.insert(file.clone());
                let message =
                    format!("the file of the {what} `{}` does not exist: {}", known.name, file.display());
                self.context.warning("no-such-file", known.place, &known.path, message);
            }
        }
        self.references = references;
        let services = project.services.values_mut().chain(project.disabled_services.values_mut());
        for service in services {
            let secrets = service.secrets.iter_mut().map(|grant| (grant, &project.secrets));
            let configs = service.configs.iter_mut().map(|grant| (grant, &project.configs));
            for (grant, list) in secrets.chain(configs) {
                let file = list.get(&grant.source).and_then(|shared| shared.file.clone());
                grant.file = file.unwrap_or_default();
            }
        }
    }
}
