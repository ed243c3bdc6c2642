//! `secrets` and `configs`, at the top level and on a service.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Grant, Project, SharedFile};
use crate::node::{Entry, Node};
use crate::relocate;
use crate::substitute::Lookup as _;

use super::project::{Kind, Reference};
use super::{Keys, Reader, scalar};

const SECRET: &Keys =
    &["name", "file", "environment", "external", "labels", "driver", "driver_opts", "template_driver"];
const CONFIG: &Keys = &["name", "file", "environment", "content", "external", "labels", "template_driver"];
const GRANT: &Keys = &["source", "target", "uid", "gid", "mode"];

impl Reader<'_> {
    pub(super) fn shared_file(&mut self, kind: Kind, entry: &Entry, project: &str) -> SharedFile {
        let mut out = SharedFile { span: self.context.span(entry.place), ..SharedFile::default() };
        let mut name = None;
        let keys = if kind == Kind::Secret { SECRET } else { CONFIG };
        let node = &entry.value;
        let what = kind.noun();
        self.map(node, keys, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "name" => reader.engine_word(value, &mut name),
                "file" => out.file = reader.word(value).map(|text| reader.resolve_text(&text).into()),
                "environment" => {
                    out.environment = reader.word(value);
                    let own =
                        node.get(relocate::VALUE).and_then(|entry| entry.value.as_text().map(str::to_owned));
                    out.value = own.or_else(|| reader.env.get(out.environment.as_ref()?));
                }
                "content" => out.content = reader.optional(value),
                "labels" => out.labels = reader.full_pairs(value),
                "driver" => out.driver = reader.optional(value),
                "driver_opts" => out.driver_opts = reader.options(value),
                "template_driver" => out.template_driver = reader.optional(value),
                _ => out.external = reader.external(value, &mut name),
            }
        });
        let sources: &[&str] = match kind {
            Kind::Secret => &["file", "environment"],
            _ => &["file", "environment", "content"],
        };
        let given: Vec<&&str> = sources.iter().filter(|key| node.get(key).is_some()).collect();
        // A driver of Swarm may know where to get a config.
        let elsewhere = node.get("external").is_some() || (kind != Kind::Secret && out.driver.is_some());
        if given.len() > 1 || (given.is_empty() && !elsewhere) {
            let message = match given.as_slice() {
                [first, second, ..] => {
                    format!("the {what} `{}` has both `{first}` and `{second}`", entry.key)
                }
                [_] | [] => format!("the {what} `{}` has no source", entry.key),
            };
            let help = match given.len() {
                0 => format!("give it one of: {}", sources.join(", ")),
                _ => "keep one of them".to_owned(),
            };
            self.error("wrong-value", entry.place, message).help(help);
        }
        (out.name, out.nameless) = super::networks::engine_name(name, out.external, &entry.key, project);
        out
    }

    pub(super) fn grants(&mut self, kind: Kind, node: &Node) -> Vec<Grant> {
        let mut out: Vec<Grant> = Vec::new();
        let mut index: BTreeMap<String, usize> = BTreeMap::new();
        self.each_item(node, |reader, item| {
            let Some(mut grant) = reader.grant(kind, item) else { return };
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

    fn grant(&mut self, kind: Kind, node: &Node) -> Option<Grant> {
        let span = self.context.span(node.place);
        if node.as_map().is_none() {
            let source = self.word(node)?;
            return Some(Grant { source, span, ..Grant::default() });
        }
        let mut out = Grant { span, ..Grant::default() };
        self.map(node, GRANT, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "source" => out.source = reader.word(value).unwrap_or_default(),
                "target" => out.target = reader.optional(value),
                "uid" => out.uid = reader.optional(value),
                "gid" => out.gid = reader.optional(value),
                _ => out.mode = reader.file_mode(value),
            }
        });
        for key in ["uid", "gid", "mode"] {
            let Some(entry) = node.get(key) else { continue };
            let (service, name) = (self.service.clone(), out.source.clone());
            let path = format!("{}.{key}", self.path);
            self.owners.push(Reference { service, kind, name, place: entry.place, path });
        }
        self.require(node, &["source"]);
        (!out.source.is_empty()).then_some(out)
    }

    /// In octal digits, as compose prints it: a text is taken for such digits, a number for what YAML makes of it.
    fn file_mode(&mut self, node: &Node) -> Option<String> {
        let is_text = scalar::kind(node) == Some(scalar::Kind::Text);
        let mode = |text: &str| {
            let number = if is_text {
                u32::from_str_radix(text, 8).ok()
            } else {
                scalar::as_written_by_compose(node)?.parse().ok()
            };
            number.filter(|mode| *mode <= 0o7777)
        };
        let mode = self.parsed(node, "a file mode", mode)?;
        if !is_text && node.as_text().is_some_and(|text| !text.starts_with('0')) {
            let message = format!("as a number, this is the mode {mode:o}");
            let help = "write it with a `0` before it, or in quotes";
            self.context.warning("file-mode", node.place, &self.path, message).help(help);
        }
        Some(format!("0{mode:o}"))
    }

    /// Gives every grant its file. What is neither a file nor there is said of those that are used.
    pub(crate) fn find_files(&mut self, project: &mut Project) {
        let references = std::mem::take(&mut self.references);
        let mut missing = BTreeSet::new();
        for known in &references {
            let list = match known.kind {
                Kind::Secret | Kind::BuildSecret => &project.secrets,
                Kind::Config => &project.configs,
                _ => continue,
            };
            let Some(shared) = list.get(&known.name) else { continue };
            let enabled = project.services.contains_key(&known.service);
            let Some(file) = &shared.file else { continue };
            let what = known.kind.noun();
            if enabled && !file.exists() && missing.insert(file) {
                self.context.inputs.insert(file.clone());
                let message =
                    format!("the file of the {what} `{}` does not exist: {}", known.name, file.display());
                self.context.warning("no-such-file", known.place, &known.path, message);
            }
        }
        self.references = references;
        for said in std::mem::take(&mut self.owners) {
            let shared = if said.kind == Kind::Config { &project.configs } else { &project.secrets };
            if shared.get(&said.name).is_some_and(|shared| shared.file.is_some())
                && said.kind != Kind::BuildSecret
            {
                let key = said.path.rsplit('.').next().unwrap_or_default();
                let message = format!("`{key}` is ignored: the container sees the file as it is");
                self.context.warning("no-effect", said.place, &said.path, message);
            }
        }
        let services = project.services.values_mut().chain(project.disabled_services.values_mut());
        for service in services {
            let secrets = service.secrets.iter_mut().map(|grant| (grant, &project.secrets));
            let configs = service.configs.iter_mut().map(|grant| (grant, &project.configs));
            for (grant, list) in secrets.chain(configs) {
                let Some(shared) = list.get(&grant.source) else { continue };
                grant.file = shared.file.clone().unwrap_or_default();
                grant.content = shared.content.clone().or_else(|| shared.value.clone());
            }
        }
    }
}
