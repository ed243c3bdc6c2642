//! The whole merged document.

use std::collections::BTreeSet;

use crate::context::Place;
use crate::model::{Dependency, NetworkMode, Project, Service, Volume};
use crate::node::{Entry, Node};

use super::{Keys, Reader, scalar};

const ROOT: &Keys = &["services", "version", "name", "networks", "volumes", "secrets", "configs", "models"];

const MAX_NAME: usize = 200;

/// One thing of the project that a service names.
pub(crate) struct Reference {
    pub(crate) service: String,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Dependency,
    /// A dependency that need not be there.
    Wish,
    Link,
    /// `network_mode: service:…`, and the like.
    Namespace,
    /// `volumes_from`
    VolumesFrom,
    /// A service whose image is a build context of another.
    Context,
    Model,
    BuildSecret,
    Network,
    Volume,
    Secret,
    Config,
    /// Not of another thing: the name that the service's container gets.
    Container,
}

impl Kind {
    /// What is referred to.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Dependency
            | Self::Wish
            | Self::Link
            | Self::Namespace
            | Self::VolumesFrom
            | Self::Context => "service",
            Self::Model => "model",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Secret | Self::BuildSecret => "secret",
            Self::Config => "config",
            Self::Container => "container",
        }
    }
}

impl Reader<'_> {
    pub(crate) fn refer(&mut self, kind: Kind, name: &str, place: Place) {
        let service = self.service.clone();
        self.references.push(Reference {
            service,
            kind,
            name: name.to_owned(),
            place,
            path: self.path.clone(),
        });
    }

    /// Reads everything; what is disabled and what is unused is sorted out here, what is undefined is not.
    pub(crate) fn project(&mut self, root: &Node, name: &str, profiles: &[String]) -> Project {
        let mut project = Project { name: name.to_owned(), ..Project::default() };
        if let Some(volumes) = root.get("volumes") {
            self.volumes =
                volumes.value.as_map().unwrap_or_default().iter().map(|e| e.key.to_string()).collect();
        }
        self.map(root, ROOT, |reader, key, entry| match key {
            "services" => reader.services(entry, profiles, &mut project),
            "version" => {
                reader.text(&entry.value);
                let message = "`version` means nothing any more and is ignored";
                reader.context.warning("obsolete", entry.place, "version", message).help("take it out");
            }
            "networks" => reader.each_entry(&entry.value, |reader, entry| {
                reader.key_name(entry, "network");
                project.networks.insert(entry.key.to_string(), reader.network(entry, name));
            }),
            "volumes" => reader.each_entry(&entry.value, |reader, entry| {
                reader.key_name(entry, "volume");
                project.volumes.insert(entry.key.to_string(), reader.volume(entry, name));
            }),
            "secrets" | "configs" => reader.each_entry(&entry.value, |reader, entry| {
                let (kind, list) = match key {
                    "secrets" => (Kind::Secret, &mut project.secrets),
                    _ => (Kind::Config, &mut project.configs),
                };
                reader.key_name(entry, kind.noun());
                list.insert(entry.key.to_string(), reader.shared_file(kind, entry, name));
            }),
            "models" => reader.each_entry(&entry.value, |reader, entry| {
                reader.key_name(entry, "model");
                let model = reader.language_model(entry);
                project.models.insert(entry.key.to_string(), model);
            }),
            // The name was needed before anything was read.
            _ => drop(reader.text(&entry.value)),
        });
        for entry in root.as_map().unwrap_or_default().iter().filter(|entry| entry.key.starts_with("x-")) {
            project.extensions.insert(entry.key.to_string(), scalar::to_json(&entry.value));
        }
        self.find_files(&mut project);
        self.say_folders();
        self.add_implied(&mut project);
        project
    }

    fn services(&mut self, entry: &Entry, profiles: &[String], project: &mut Project) {
        self.each_entry(&entry.value, |reader, entry| {
            if !reader.key_name(entry, "service") {
                return;
            }
            reader.service = entry.key.to_string();
            let active = |profile: &str| profiles.iter().any(|active| active == profile || active == "*");
            // What does not fit together in a service matters only when it is to run.
            let said =
                entry.value.get("profiles").and_then(|entry| entry.value.as_list()).unwrap_or_default();
            let texts = || said.iter().filter_map(|item| item.as_text());
            reader.enabled = said.is_empty() || texts().any(active);
            let service = reader.service(entry);
            let enabled =
                service.profiles.is_empty() || service.profiles.iter().any(|profile| active(profile));
            let list = if enabled { &mut project.services } else { &mut project.disabled_services };
            list.insert(entry.key.to_string(), service);
        });
    }

    /// Whether the name is of a bearable length; other errors of it do not stop the reading.
    fn key_name(&mut self, entry: &Entry, what: &str) -> bool {
        let bearable = entry.key.len() <= MAX_NAME;
        let well_formed = bearable
            && !entry.key.is_empty()
            && entry.key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if !well_formed {
            let message = format!("`{}` cannot be the name of a {what}", super::shorten(&entry.key));
            self.error("wrong-name", entry.place, message)
                .help("use letters, digits, `.`, `_` and `-`, and not too many");
        }
        bearable
    }

    /// One warning for all sources of mounts that are folders only because there is such a folder.
    fn say_folders(&mut self) {
        let Some((first, place, path)) = self.folders.first().cloned() else { return };
        let names: BTreeSet<String> = self.folders.iter().map(|(source, ..)| format!("`{source}`")).collect();
        let (is, names) = match names.len() {
            1 => ("is a folder, so it is", format!("`{first}`")),
            _ => ("are folders, so they are", names.into_iter().take(10).collect::<Vec<_>>().join(", ")),
        };
        let message = format!("{names} {is} mounted; compose would take that for a volume's name");
        self.context.warning("folder-mount", place, &path, message).help(format!("write `./{first}:…`"));
    }

    /// What compose adds by itself.
    fn add_implied(&self, project: &mut Project) {
        for service in project.services.values_mut().chain(project.disabled_services.values_mut()) {
            let network = match &service.network_mode {
                Some(NetworkMode::Service(name)) => Some(name.as_str()),
                Some(_) | None => None,
            };
            let host = &service.host;
            let spaces = [&host.ipc, &host.pid, &host.uts, &host.cgroup];
            let spaces = spaces.into_iter().flatten().filter_map(|text| text.strip_prefix("service:"));
            let shared = network.into_iter().chain(spaces).map(|name| (name.to_owned(), true));
            let mounted = host.volumes_from.iter().filter(|text| !text.starts_with("container:"));
            let mounted = mounted.map(|text| (text.split(':').next().unwrap_or(text).to_owned(), false));
            for (name, restart) in shared.chain(mounted).collect::<Vec<_>>() {
                let span = service.span.clone();
                let implied = Dependency { restart, required: true, span, ..Dependency::default() };
                service.depends_on.entry(name).or_insert(implied);
            }
        }
        let on_default = |service: &Service| service.networks.contains_key("default");
        if project.services.values().any(on_default) && !project.networks.contains_key("default") {
            let network =
                crate::model::Network { name: format!("{}_default", project.name), ..Default::default() };
            project.networks.insert("default".to_owned(), network);
        }
        if self.legacy {
            // There is no place to declare a volume in that form, so its use declares it.
            for Reference { name, place, .. } in
                self.references.iter().filter(|known| known.kind == Kind::Volume)
            {
                if !project.volumes.contains_key(name) {
                    let span = self.context.span(*place);
                    let volume =
                        Volume { name: format!("{}_{name}", project.name), span, ..Volume::default() };
                    project.volumes.insert(name.clone(), volume);
                }
            }
        }
    }

    /// Takes out the networks, volumes, secrets and configs that no enabled service uses.
    pub(crate) fn prune(&self, project: &mut Project) {
        let services = &project.services;
        let networks: BTreeSet<&String> =
            services.values().flat_map(|service| service.networks.keys()).collect();
        project.networks.retain(|name, _| networks.contains(name));
        let used = |kind: Kind| -> BTreeSet<&str> {
            let used = self.references.iter().filter(|known| known.kind == kind);
            let used = used.filter(|known| services.contains_key(&known.service));
            used.map(|known| known.name.as_str()).collect()
        };
        let (volumes, mut secrets, configs) = (used(Kind::Volume), used(Kind::Secret), used(Kind::Config));
        secrets.extend(used(Kind::BuildSecret));
        project.volumes.retain(|name, _| volumes.contains(name.as_str()));
        project.secrets.retain(|name, _| secrets.contains(name.as_str()));
        project.configs.retain(|name, _| configs.contains(name.as_str()));
    }
}
