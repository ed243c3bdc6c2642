//! `build`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::model::{Build, SshKey};
use crate::node::{Node, Value};
use crate::paths::nearest_folder;

use super::project::Kind;
use super::{Keys, Reader, scalar};

const BUILD: &Keys = &[
    "context",
    "dockerfile",
    "dockerfile_inline",
    "args",
    "cache_from",
    "extra_hosts",
    "labels",
    "network",
    "no_cache",
    "pull",
    "shm_size",
    "tags",
    "target",
    "ulimits",
    "additional_contexts",
    "cache_to",
    "entitlements",
    "isolation",
    "platforms",
    "privileged",
    "provenance",
    "sbom",
    "secrets",
    "ssh",
];

impl Reader<'_> {
    pub(super) fn build(&mut self, node: &Node) -> Option<Build> {
        let mut build = Build::default();
        if let Value::Scalar { .. } = &node.value {
            self.context_of(node, &mut build)?;
            build.dockerfile = Some("Dockerfile".to_owned());
            return Some(build);
        }
        self.map(node, BUILD, |reader, key, entry| reader.build_key(&mut build, key, &entry.value));
        if node.get("context").is_none() {
            build.context = self.dir.to_owned();
            build.context_text = self.dir.to_string_lossy().into_owned();
        }
        let said = node.get("dockerfile").or(node.get("dockerfile_inline")).is_some();
        match (&build.dockerfile, &build.dockerfile_inline) {
            (Some(_), Some(_)) => {
                let message = "`dockerfile` and `dockerfile_inline` exclude each other";
                self.error("conflict", node.place, message).help("keep one of them");
            }
            (None, None) if !said => build.dockerfile = Some("Dockerfile".to_owned()),
            (Some(_) | None, None) | (None, Some(_)) => {}
        }
        Some(build)
    }

    fn build_key(&mut self, build: &mut Build, key: &str, value: &Rc<Node>) {
        match key {
            "context" => {
                self.context_of(value, build);
            }
            "dockerfile" => build.dockerfile = self.optional(value),
            "dockerfile_inline" => build.dockerfile_inline = self.optional(value),
            "additional_contexts" => build.additional_contexts = self.additional_contexts(value),
            "args" => {
                build.args = self.environment(value);
                build.args.retain(|_, value| value.is_some());
            }
            "cache_from" => build.cache_from = self.listed(value),
            "cache_to" => build.cache_to = self.listed(value),
            "entitlements" => build.entitlements = self.listed(value),
            "extra_hosts" => build.extra_hosts = self.extra_hosts(value),
            "isolation" => build.isolation = self.optional(value),
            "labels" => build.labels = self.full_pairs(value),
            "network" => build.network = self.optional(value),
            "no_cache" => build.no_cache = self.flag(value).unwrap_or(false),
            "platforms" => build.platforms = self.listed(value),
            "privileged" => build.privileged = self.flag(value).unwrap_or(false),
            "provenance" => build.provenance = self.words_or_flag(value),
            "pull" => build.pull = self.flag(value).unwrap_or(false),
            "sbom" => build.sbom = self.words_or_flag(value),
            "secrets" => build.secrets = self.grants(Kind::BuildSecret, value),
            "shm_size" => build.shm_size = self.limit(value),
            "ssh" => build.ssh = self.ssh(value),
            "tags" => build.tags = self.strings(value),
            "target" => build.target = self.optional(value),
            _ => build.ulimits = self.ulimits(value),
        }
    }

    /// A text, or true or false.
    fn words_or_flag(&mut self, node: &Node) -> Option<String> {
        match scalar::kind(node) {
            Some(scalar::Kind::Flag) => self.written(node),
            _ => self.optional(node),
        }
    }

    /// `default`, or `ID=PATH` of a key.
    fn ssh(&mut self, node: &Node) -> Vec<SshKey> {
        let mut out = Vec::new();
        for (id, path) in self.pairs(node) {
            if path.is_none() && id != "default" && node.as_list().is_some() {
                let help = "write `default` for the agent, or `ID=/path/of/the/key`";
                self.error("wrong-value", node.place, format!("`{id}` is no key for SSH")).help(help);
            }
            out.push(SshKey { id, path });
        }
        out
    }

    fn additional_contexts(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut out = self.full_pairs(node);
        for (name, text) in &mut out {
            if text.is_empty() {
                let message = format!("the context `{name}` does not say where it is");
                self.error("wrong-value", node.place, message)
                    .help("write `NAME=FOLDER`, or an image: `NAME=docker-image://…`");
            }
            if let Some(service) = text.strip_prefix("service:") {
                let service = service.to_owned();
                self.refer(Kind::Context, &service, node.place);
            } else if !is_remote(text) && !text.is_empty() {
                *text = self.resolve_text(text);
            }
        }
        out
    }

    /// Fills in the context. `None` after an error.
    fn context_of(&mut self, node: &Node, build: &mut Build) -> Option<()> {
        let text = self.word(node)?;
        if is_remote(&text) {
            build.context = PathBuf::from(&text);
            build.context_text = text;
            build.remote = true;
            return Some(());
        }
        build.context = self.context_folder(node, &text)?;
        build.context_text = self.resolve_text(&text);
        Some(())
    }

    fn context_folder(&mut self, node: &Node, text: &str) -> Option<PathBuf> {
        let path = self.resolve(text);
        if path.is_dir() {
            return Some(path);
        }
        self.context.inputs.insert(path.clone());
        if self.context.is_full() {
            return None;
        }
        let exists = path.exists();
        let what = if exists { "is not a folder" } else { "does not exist" };
        let help = match nearest_path(&path) {
            Some(near) if !exists => {
                let near = near.strip_prefix(self.dir).map(Path::to_path_buf).unwrap_or(near);
                format!("did you mean `{}`?", near.display())
            }
            Some(_) | None if exists => {
                "the build context is the folder that holds the Dockerfile".to_owned()
            }
            Some(_) | None => {
                format!("make the folder {}, or name the one that holds the Dockerfile", path.display())
            }
        };
        self.error("no-such-folder", node.place, format!("the build context `{text}` {what}")).help(help);
        None
    }
}

/// The folder most like `path`, where all but one part of it exists.
fn nearest_path(path: &Path) -> Option<PathBuf> {
    let parent = path.ancestors().skip(1).find(|parent| parent.is_dir())?;
    let mut rest = path.strip_prefix(parent).ok()?.components();
    let near = nearest_folder(parent, &rest.next()?.as_os_str().to_string_lossy())?;
    let near = parent.join(near).join(rest.as_path());
    near.is_dir().then_some(near)
}

/// Whether a build context is something that only the builder can fetch.
pub(crate) fn is_remote(text: &str) -> bool {
    let prefixes = ["git@", "github.com/", "service:"];
    text.contains("://") || prefixes.iter().any(|prefix| text.starts_with(prefix))
}
