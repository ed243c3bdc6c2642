//! `build`: what the classic builder can do.

use std::path::{Path, PathBuf};

use crate::model::Build;
use crate::node::{Node, Value};
use crate::paths::nearest_folder;

use super::{Keys, Reader};

const BUILD: Keys = Keys {
    known: &[
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
    ],
    later: &[
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
    ],
};

impl Reader<'_> {
    pub(super) fn build(&mut self, node: &Node) -> Option<Build> {
        if node.is_null() {
            return None;
        }
        let mut build = Build::default();
        if let Value::Scalar { .. } = &node.value {
            build.context = self.context_folder(node)?;
            build.dockerfile = Some("Dockerfile".to_owned());
            return Some(build);
        }
        self.map(node, &BUILD, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "context" => build.context = reader.context_folder(value).unwrap_or_default(),
                // Empty is as good as absent: it comes out of variables.
                "dockerfile" => build.dockerfile = reader.text(value).filter(|text| !text.is_empty()),
                "dockerfile_inline" => {
                    build.dockerfile_inline = reader.text(value).filter(|text| !text.is_empty());
                }
                "args" => build.args = reader.environment(value),
                "cache_from" => build.cache_from = reader.strings(value),
                "extra_hosts" => build.extra_hosts = reader.extra_hosts(value),
                "labels" => build.labels = reader.full_pairs(value),
                "network" => build.network = reader.word(value),
                "no_cache" => build.no_cache = reader.flag(value).unwrap_or(false),
                "pull" => build.pull = reader.flag(value).unwrap_or(false),
                "shm_size" => build.shm_size = reader.size(value),
                "tags" => build.tags = reader.strings(value),
                "target" => build.target = reader.word(value),
                _ => build.ulimits = reader.ulimits(value),
            }
        });
        if node.get("context").is_none() {
            build.context = self.dir.to_owned();
        }
        match (&build.dockerfile, &build.dockerfile_inline) {
            (Some(_), Some(_)) => {
                let message = "`dockerfile` and `dockerfile_inline` exclude each other";
                self.error("conflict", node.place, message).help("keep one of them");
            }
            (None, None) => build.dockerfile = Some("Dockerfile".to_owned()),
            (Some(_), None) | (None, Some(_)) => {}
        }
        Some(build)
    }

    fn context_folder(&mut self, node: &Node) -> Option<PathBuf> {
        let text = self.word(node)?;
        if is_remote(&text) {
            let message = "building from a URL is not supported yet";
            self.error("unsupported", node.place, message).help("clone it, and name the folder");
            return None;
        }
        let path = self.resolve(&text);
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
                Some(format!("did you mean `{}`?", near.display()))
            }
            Some(_) | None if exists => {
                Some("the build context is the folder that holds the Dockerfile".to_owned())
            }
            Some(_) | None => None,
        };
        self.error("no-such-folder", node.place, format!("the build context `{text}` {what}")).help = help;
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

pub(crate) fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/")
}
