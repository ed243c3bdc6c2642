//! `volumes` of a service.

use std::collections::BTreeMap;

use crate::model::{Mount, MountKind};
use crate::node::Node;
use crate::paths::{nearest, nearest_folder};

use super::project::Kind;
use super::short::{ShortMount, clean_target, parse_mount};
use super::{Keys, Reader, scalar};

const MOUNT: Keys = Keys {
    known: &["type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs"],
    later: &["image"],
};
const BIND: Keys = Keys { known: &["propagation", "create_host_path", "selinux"], later: &["recursive"] };
const VOLUME: Keys = Keys { known: &["nocopy", "subpath"], later: &["labels"] };
const TMPFS: Keys = Keys { known: &["size", "mode"], later: &[] };
const PROPAGATION: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Bind,
    Volume,
    Tmpfs,
}

#[derive(Default)]
struct Details {
    propagation: Option<String>,
    create_host_path: Option<bool>,
    selinux: Option<String>,
    nocopy: bool,
    subpath: Option<String>,
    size: Option<u64>,
    mode: Option<u32>,
}

impl Reader<'_> {
    /// The last mount wins a place in the container.
    pub(super) fn mounts(&mut self, node: &Node) -> Vec<Mount> {
        let mut mounts: Vec<Mount> = Vec::new();
        let mut index: BTreeMap<String, usize> = BTreeMap::new();
        self.each_item(node, |reader, item| {
            let mount =
                if item.as_map().is_some() { reader.long_mount(item) } else { reader.short_mount(item) };
            let Some(mount) = mount else { return };
            match index.get(&mount.target).and_then(|index| mounts.get_mut(*index)) {
                Some(known) => *known = mount,
                None => {
                    index.insert(mount.target.clone(), mounts.len());
                    mounts.push(mount);
                }
            }
        });
        mounts
    }

    fn short_mount(&mut self, node: &Node) -> Option<Mount> {
        let text = self.word(node)?;
        let short = match parse_mount(&text) {
            Ok(short) => short,
            Err(problem) => {
                let help =
                    "write `FOLDER:/path/in/container`, `VOLUME:/path/in/container` or `/path/in/container`";
                self.error("wrong-value", node.place, format!("this is not a mount: {problem}")).help(help);
                return None;
            }
        };
        let is_bind = match short.source {
            Some(source) => self.is_bind(node, source)?,
            None => false,
        };
        let mut details = Details::default();
        let mut read_only = false;
        for option in &short.options {
            match *option {
                "ro" => read_only = true,
                "rw" | "cached" | "delegated" | "consistent" => {}
                "z" | "Z" => details.selinux = Some((*option).to_owned()),
                "nocopy" => details.nocopy = true,
                _ if PROPAGATION.contains(option) => details.propagation = Some((*option).to_owned()),
                _ => {
                    let message = format!("`{option}` is not an option of a mount, so it is ignored");
                    self.context.warning("unknown-option", node.place, &self.path, message);
                }
            }
        }
        let ShortMount { source, target, .. } = short;
        let kind = match source {
            Some(source) if is_bind => self.bind(source, details),
            _ => self.named(node, source.map(str::to_owned), details),
        };
        Some(Mount { target: clean_target(target), read_only, kind, span: self.context.span(node.place) })
    }

    /// Whether a short source is a path rather than a volume's name. `None` when it is neither.
    fn is_bind(&mut self, node: &Node, source: &str) -> Option<bool> {
        if source.starts_with(['.', '/', '~']) {
            return Some(true);
        }
        if self.volumes.contains(source) {
            return Some(false);
        }
        let path = self.resolve(source);
        if path.is_dir() {
            self.folders.push((source.to_owned(), node.place, self.path.clone()));
            return Some(true);
        }
        let is_file = path.is_file();
        // Should the folder appear, it is meant.
        self.context.inputs.insert(path);
        let is_name = source.starts_with(|c: char| c.is_ascii_alphanumeric())
            && source.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if is_name && (self.legacy || !is_file) {
            return Some(false);
        }
        let near = if self.context.is_full() { None } else { nearest_folder(self.dir, source) };
        let message = format!("`{source}` is neither a declared volume nor a folder");
        let help = match near {
            _ if is_file => format!("there is a file of that name: write `./{source}`"),
            Some(near) => format!("did you mean the folder `./{near}`?"),
            None => format!("write `./{source}` for a folder, or declare a volume of that name"),
        };
        self.error("undefined-volume", node.place, message).help(help);
        None
    }

    fn long_mount(&mut self, node: &Node) -> Option<Mount> {
        let (mut source, mut target, mut kind, mut read_only) = (None, None, None, false);
        let mut details = Details::default();
        self.map(node, &MOUNT, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "type" => {
                    if matches!(value.as_text(), Some("image" | "npipe" | "cluster")) {
                        let name = value.as_text().unwrap_or_default().to_owned();
                        let message = format!("mounts of type `{name}` are not supported yet");
                        reader.error("unsupported", value.place, message);
                    } else {
                        let known = [("bind", Type::Bind), ("volume", Type::Volume), ("tmpfs", Type::Tmpfs)];
                        kind = reader.choice(value, &known);
                    }
                }
                "source" => source = reader.word(value),
                "target" => target = reader.word(value),
                "read_only" => read_only = reader.flag(value).unwrap_or(false),
                "bind" => reader.bind_details(value, &mut details),
                "volume" => reader.map(value, &VOLUME, |reader, key, entry| match key {
                    "nocopy" => details.nocopy = reader.flag(&entry.value).unwrap_or(false),
                    _ => details.subpath = reader.word(&entry.value),
                }),
                "tmpfs" => reader.map(value, &TMPFS, |reader, key, entry| match key {
                    "size" => details.size = reader.size(&entry.value),
                    _ => {
                        let number = scalar::as_written_by_compose(&entry.value);
                        details.mode = number.and_then(|number| number.parse().ok());
                        if details.mode.is_none() {
                            reader.bad_value(&entry.value, "a file mode");
                        }
                    }
                }),
                // It meant something on old versions of Docker for Mac.
                _ => drop(reader.text(value)),
            }
        });
        for key in ["type", "target"] {
            if node.get(key).is_none() {
                self.error("missing-key", node.place, format!("`{key}` is missing"));
            }
        }
        let (kind, target) = (kind?, target?);
        if !target.starts_with('/') {
            self.error("wrong-value", node.place, "the path in the container must start with `/`");
            return None;
        }
        let kind = match (kind, source) {
            (Type::Bind, Some(source)) => self.bind(&source, details),
            (Type::Bind, None) => {
                if node.get("source").is_none() {
                    self.error("missing-key", node.place, "`source` is missing: the path on the host");
                }
                return None;
            }
            (Type::Volume, source) => self.named(node, source, details),
            (Type::Tmpfs, _) => MountKind::Tmpfs { size: details.size, mode: details.mode },
        };
        Some(Mount { target: clean_target(&target), read_only, kind, span: self.context.span(node.place) })
    }

    fn bind_details(&mut self, node: &Node, details: &mut Details) {
        self.map(node, &BIND, |reader, key, entry| match key {
            "propagation" => {
                let known: Vec<(&str, &str)> = PROPAGATION.iter().map(|word| (*word, *word)).collect();
                details.propagation = reader.choice(&entry.value, &known).map(str::to_owned);
            }
            "create_host_path" => details.create_host_path = reader.flag(&entry.value),
            _ => {
                let known = [("z", "z"), ("Z", "Z")];
                details.selinux = reader.choice(&entry.value, &known).map(str::to_owned);
            }
        });
    }

    fn bind(&self, source: &str, details: Details) -> MountKind {
        MountKind::Bind {
            source: self.resolve(source),
            create_host_path: details.create_host_path.unwrap_or(true),
            propagation: details.propagation,
            selinux: details.selinux,
        }
    }

    fn named(&mut self, node: &Node, source: Option<String>, details: Details) -> MountKind {
        if let Some(name) = &source {
            self.refer(Kind::Volume, name, node.place);
        }
        MountKind::Volume { source, nocopy: details.nocopy, subpath: details.subpath }
    }

    /// For the error about a volume that is not declared.
    pub(crate) fn volume_help(&self, name: &str) -> String {
        let near = nearest(name, self.volumes.iter().map(String::as_str));
        match (near, nearest_folder(self.dir, name)) {
            (Some(near), _) => format!("did you mean the volume `{near}`?"),
            (None, Some(near)) => format!(
                "did you mean the folder `./{near}`? Else declare the volume: `volumes: {{{name}: }}`"
            ),
            (None, None) => {
                format!("declare it at the top level: `volumes: {{{name}: }}`; a folder starts with `./`")
            }
        }
    }
}
