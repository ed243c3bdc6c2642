//! `volumes` of a service.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::{Mount, MountKind, MountText};
use crate::node::Node;
use crate::paths::{nearest, nearest_folder};

use super::project::Kind;
use super::short::{ShortMount, clean_target, parse_mount};
use super::{Keys, Reader, scalar};

const MOUNT: &Keys =
    &["type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs", "image"];
const BIND: &Keys = &["propagation", "create_host_path", "selinux", "recursive"];
const VOLUME: &Keys = &["nocopy", "subpath", "labels"];
const TMPFS: &Keys = &["size", "mode"];
const IMAGE: &Keys = &["subpath"];
const PROPAGATION: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

const RECURSION: [&str; 4] = ["enabled", "disabled", "writable", "readonly"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Bind,
    Volume,
    Tmpfs,
    Image,
    Pipe,
    Cluster,
}

const TYPES: [(&str, Type); 6] = [
    ("bind", Type::Bind),
    ("volume", Type::Volume),
    ("tmpfs", Type::Tmpfs),
    ("image", Type::Image),
    ("npipe", Type::Pipe),
    ("cluster", Type::Cluster),
];

#[derive(Default)]
struct Details {
    propagation: Option<String>,
    create_host_path: Option<bool>,
    selinux: Option<String>,
    recursive: Option<String>,
    nocopy: bool,
    labels: BTreeMap<String, String>,
    /// Within a volume or an image.
    subpath: Option<String>,
    size: Option<u64>,
    mode: Option<u32>,
}

impl Details {
    /// A section as compose prints it: without what says nothing.
    fn section(&self, name: &str) -> Value {
        let mut out = Map::new();
        let mut text = |key: &str, text: &Option<String>| {
            out.extend(text.clone().map(|text| (key.to_owned(), Value::String(text))));
        };
        match name {
            "bind" => {
                text("propagation", &self.propagation);
                text("selinux", &self.selinux);
                text("recursive", &self.recursive);
                let create = self.create_host_path;
                out.extend(create.map(|create| ("create_host_path".to_owned(), create.into())));
            }
            "volume" => {
                text("subpath", &self.subpath);
                if self.nocopy {
                    out.insert("nocopy".to_owned(), true.into());
                }
                if !self.labels.is_empty() {
                    out.insert("labels".to_owned(), json!(self.labels));
                }
            }
            "image" => text("subpath", &self.subpath),
            "tmpfs" => {
                out.extend(self.size.map(|size| ("size".to_owned(), size.to_string().into())));
                out.extend(self.mode.map(|mode| ("mode".to_owned(), mode.into())));
            }
            _ => {}
        }
        Value::Object(out)
    }
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
        let mut written = MountText::default();
        let kind = match source {
            Some(source) if is_bind => {
                details.create_host_path = Some(true);
                written.source = Some(self.resolve_text(source));
                written.sections.insert("bind".to_owned(), details.section("bind"));
                self.bind(source, details)
            }
            _ => {
                written.source = source.map(str::to_owned);
                // Compose makes no more of so short a path.
                if text.len() > 2 {
                    written.sections.insert("volume".to_owned(), details.section("volume"));
                }
                self.named(node, source.map(str::to_owned), details)
            }
        };
        let span = self.context.span(node.place);
        Some(Mount { read_only, written, span, ..Mount::new(clean_target(target), kind) })
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
        let (mut source, mut target, mut kind, mut read_only, mut consistency) =
            (None, None, None, false, None);
        let mut details = Details::default();
        let mut sections = BTreeMap::new();
        self.map(node, MOUNT, |reader, key, entry| {
            let value = &entry.value;
            match key {
                "type" => kind = reader.choice(value, &TYPES),
                "source" => source = reader.optional(value),
                "target" => target = reader.word(value),
                "read_only" => read_only = reader.flag(value).unwrap_or(false),
                "consistency" => consistency = reader.optional(value),
                _ => {
                    reader.mount_section(key, value, &mut details);
                    sections.insert(key.to_owned(), details.section(key));
                }
            }
        });
        for key in ["type", "target"] {
            if node.get(key).is_none() {
                self.error("missing-key", node.place, format!("`{key}` is missing"))
                    .help(format!("add `{key}: …`"));
            }
        }
        let (kind, target): (_, String) = (kind?, target?);
        if !target.starts_with('/') && kind != Type::Pipe {
            self.error("wrong-value", node.place, "the path in the container must start with `/`")
                .help("write the whole path, such as `/data`");
            return None;
        }
        let written = match (kind, &source) {
            (Type::Bind, Some(text)) => Some(self.resolve_text(text)),
            _ => source.clone(),
        };
        let kind = match (kind, source) {
            (Type::Bind, Some(source)) => self.bind(&source, details),
            (Type::Image, Some(source)) => MountKind::Image { source, subpath: details.subpath },
            (Type::Bind | Type::Image, None) => {
                let what = if kind == Type::Bind { "the path on the host" } else { "the image" };
                self.error("missing-key", node.place, format!("`source` is missing: {what}"))
                    .help("add `source: …`");
                return None;
            }
            (Type::Volume, source) => self.named(node, source, details),
            (Type::Tmpfs, _) => MountKind::Tmpfs { size: details.size, mode: details.mode },
            (Type::Pipe, source) => MountKind::Pipe { source },
            (Type::Cluster, source) => MountKind::Cluster { source },
        };
        let span = self.context.span(node.place);
        let written = MountText { source: written, sections };
        Some(Mount { read_only, consistency, written, span, ..Mount::new(clean_target(&target), kind) })
    }

    fn mount_section(&mut self, section: &str, node: &Node, details: &mut Details) {
        match section {
            "bind" => self.bind_details(node, details),
            "volume" => self.map(node, VOLUME, |reader, key, entry| match key {
                "nocopy" => details.nocopy = reader.flag(&entry.value).unwrap_or(false),
                "labels" => details.labels = reader.full_pairs(&entry.value),
                _ => details.subpath = reader.optional(&entry.value),
            }),
            "tmpfs" => self.map(node, TMPFS, |reader, key, entry| match key {
                "size" => details.size = reader.limit(&entry.value),
                _ => {
                    let number = scalar::as_written_by_compose(&entry.value);
                    details.mode = number.and_then(|number| number.parse().ok());
                    if details.mode.is_none() {
                        reader.bad_value(&entry.value, "a file mode").help("write it like `0755`");
                    }
                    details.mode = details.mode.filter(|mode| *mode > 0);
                }
            }),
            _ => self.map(node, IMAGE, |reader, _, entry| {
                details.subpath = reader.optional(&entry.value);
            }),
        }
    }

    fn bind_details(&mut self, node: &Node, details: &mut Details) {
        let words = |words: &[&'static str]| -> Vec<(&'static str, &'static str)> {
            words.iter().map(|word| (*word, *word)).collect()
        };
        self.map(node, BIND, |reader, key, entry| match key {
            "propagation" => {
                if reader.optional(&entry.value).is_some() {
                    details.propagation =
                        reader.choice(&entry.value, &words(&PROPAGATION)).map(str::to_owned);
                }
            }
            "create_host_path" => details.create_host_path = reader.flag(&entry.value),
            "recursive" => {
                details.recursive = reader.choice(&entry.value, &words(&RECURSION)).map(str::to_owned);
            }
            _ => details.selinux = reader.choice(&entry.value, &words(&["z", "Z"])).map(str::to_owned),
        });
    }

    fn bind(&self, source: &str, details: Details) -> MountKind {
        MountKind::Bind {
            source: self.resolve(source),
            create_host_path: details.create_host_path.unwrap_or(true),
            propagation: details.propagation,
            selinux: details.selinux,
            recursive: details.recursive,
        }
    }

    fn named(&mut self, node: &Node, source: Option<String>, details: Details) -> MountKind {
        if let Some(name) = &source {
            self.refer(Kind::Volume, name, node.place);
        }
        let Details { nocopy, subpath, labels, .. } = details;
        MountKind::Volume { source, nocopy, subpath, labels }
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
