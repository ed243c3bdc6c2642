//! What others carry out for a service: hooks, providers, models, credentials of Windows.

use std::collections::BTreeMap;

use crate::model::{CredentialSpec, Hook, Model, ModelGrant, Provider};
use crate::node::{Entry, Node};
use crate::paths::nearest;

use super::project::Kind;
use super::{Keys, Reader};

const HOOK: &Keys = &["command", "user", "privileged", "working_dir", "environment"];
const PROVIDER: &Keys = &["type", "options"];
const MODEL: &Keys = &["name", "model", "context_size", "runtime_flags"];
const MODEL_GRANT: &Keys = &["endpoint_var", "model_var"];
const CREDENTIALS: &Keys = &["config", "file", "registry"];

impl Reader<'_> {
    pub(super) fn hooks(&mut self, node: &Node) -> Vec<Hook> {
        let mut out = Vec::new();
        self.each_item(node, |reader, item| out.push(reader.hook(item)));
        out
    }

    pub(super) fn hook(&mut self, node: &Node) -> Hook {
        let mut out = Hook::default();
        self.map(node, HOOK, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "command" => out.command = reader.command(value).unwrap_or_default(),
                "user" => out.user = reader.optional(value),
                "privileged" => out.privileged = reader.flag(value).unwrap_or(false),
                "working_dir" => out.working_dir = reader.optional(value),
                // Compose does not look for what has no value here.
                _ => out.environment = reader.pairs(value),
            }
        });
        // A misspelt word is said as such.
        let misspelt = |entry: &Entry| {
            !HOOK.contains(&&*entry.key) && nearest(&entry.key, ["command"].into_iter()).is_some()
        };
        let said = node.as_map().is_none_or(|entries| entries.iter().any(misspelt));
        if out.command.is_empty() && !said {
            let help = "add `command: …`";
            self.error("missing-key", node.place, "`command` is missing: what to run").help(help);
        }
        out
    }

    pub(super) fn provider(&mut self, node: &Node) -> Option<Provider> {
        let mut out = Provider::default();
        self.map(node, PROVIDER, |reader, key, entry| match key {
            "type" => out.kind = reader.word(&entry.value).unwrap_or_default(),
            _ => reader.each_entry(&entry.value, |reader, entry| {
                let mut values = Vec::new();
                let mut add = |reader: &mut Self, node: &Node| {
                    values.extend(reader.written(node));
                };
                if entry.value.as_list().is_some() {
                    reader.each_item(&entry.value, |reader, item| add(reader, item));
                } else {
                    add(reader, &entry.value);
                }
                out.options.insert(entry.key.to_string(), values);
            }),
        });
        self.require(node, &["type"]);
        (!out.kind.is_empty()).then_some(out)
    }

    pub(super) fn credential_spec(&mut self, node: &Node) -> Option<CredentialSpec> {
        let mut out = CredentialSpec::default();
        self.map(node, CREDENTIALS, |reader, key, entry| match key {
            "config" => out.config = reader.optional(&entry.value),
            "file" => out.file = reader.optional(&entry.value),
            _ => out.registry = reader.optional(&entry.value),
        });
        Some(out)
    }

    /// Names, or a mapping of them to the variables that tell of them.
    pub(super) fn model_grants(&mut self, node: &Node) -> BTreeMap<String, Option<ModelGrant>> {
        let mut out = BTreeMap::new();
        if node.as_list().is_some() {
            self.each_item(node, |reader, item| {
                let Some(name) = reader.word(item) else { return };
                reader.refer(Kind::Model, &name, item.place);
                out.insert(name, None);
            });
            return out;
        }
        self.each_entry(node, |reader, entry| {
            reader.refer(Kind::Model, &entry.key, entry.place);
            let mut grant = ModelGrant::default();
            reader.map_or_nothing(&entry.value, MODEL_GRANT, |reader, key, entry| match key {
                "endpoint_var" => grant.endpoint_variable = reader.optional(&entry.value),
                _ => grant.model_variable = reader.optional(&entry.value),
            });
            out.insert(entry.key.to_string(), (!entry.value.is_null()).then_some(grant));
        });
        out
    }

    /// One of `models` at the top level.
    pub(super) fn language_model(&mut self, entry: &Entry) -> Model {
        let mut out = Model { span: self.context.span(entry.place), ..Model::default() };
        self.map(&entry.value, MODEL, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "name" => out.name = reader.optional(value),
                "model" => out.model = reader.word(value).unwrap_or_default(),
                "context_size" => out.context_size = reader.number(value, "a number of tokens"),
                _ => out.runtime_flags = reader.listed(value),
            }
        });
        if entry.value.get("model").is_none() {
            let message = format!("the model `{}` does not say which one it is", entry.key);
            self.error("missing-key", entry.place, message).help("name it: `model: ai/…`");
        }
        out
    }
}
