//! One service.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Condition, Dependency, Link, NetworkMode, Service};
use crate::node::{Entry, Node};
use crate::paths::nearest;

use super::project::Kind;
use super::{Keys, Reader};

const SERVICE: &Keys = &[
    "annotations",
    "attach",
    "blkio_config",
    "build",
    "cap_add",
    "cap_drop",
    "cgroup",
    "cgroup_parent",
    "command",
    "configs",
    "container_name",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "cpuset",
    "depends_on",
    "deploy",
    "develop",
    "device_cgroup_rules",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "extra_hosts",
    "gpus",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "ipc",
    "isolation",
    "label_file",
    "labels",
    "links",
    "logging",
    "mem_limit",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "network_mode",
    "networks",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "platform",
    "ports",
    "privileged",
    "profiles",
    "pull_policy",
    "pull_refresh_after",
    "read_only",
    "restart",
    "runtime",
    "scale",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "user",
    "userns_mode",
    "uts",
    "volume_driver",
    "volumes",
    "volumes_from",
    "working_dir",
    "x-devd",
    "credential_spec",
    "external_links",
    "mac_address",
    "models",
    "post_start",
    "pre_stop",
    "provider",
    "use_api_socket",
];
const DEPENDENCY: &Keys = &["condition", "restart", "required"];

impl Reader<'_> {
    pub(super) fn service(&mut self, entry: &Entry) -> Service {
        let mut out = Service {
            name: entry.key.to_string(),
            span: self.context.span(entry.place),
            ..Service::default()
        };
        let node = &entry.value;
        if node.is_null() {
            self.error("empty-value", entry.place, format!("the service `{}` is empty", entry.key))
                .help("give it an `image` or a `build`");
            return out;
        }
        self.map(node, SERVICE, |reader, key, entry| reader.service_key(&mut out, key, entry));
        // Last, because values of `environment` are seen by variables in the files.
        if let Some(entry) = node.get("env_file") {
            self.within("env_file", |reader| reader.env_files(&entry.value, &mut out));
        }
        if let Some(entry) = node.get("label_file") {
            self.within("label_file", |reader| reader.label_files(&entry.value, &mut out.labels));
        }
        if self.enabled {
            self.fits(&out, entry);
        }
        if let (Some(scale), Some(deploy)) = (out.host.scale, &mut out.deploy) {
            deploy.replicas = Some(scale);
        }
        // The key counts, even where its value is empty.
        let elsewhere = node.get("network_mode").is_some() || out.host.provider.is_some();
        if out.networks.is_empty() && !elsewhere {
            out.networks.insert("default".to_owned(), None);
        }
        out
    }

    /// Says what does not fit together.
    fn fits(&mut self, service: &Service, entry: &Entry) {
        let node = &entry.value;
        let (image, build) = (node.get("image"), node.get("build"));
        // These bring an image, and what is wrong with them was said already.
        let elsewhere = node.get("extends").is_some() || node.get("provider").is_some();
        let unset = image.is_none_or(|entry| entry.value.as_text() == Some(""));
        let nothing = unset && build.is_none_or(|entry| entry.value.is_null());
        // A misspelt word is said as such.
        let misspelt = |entry: &Entry| {
            !SERVICE.contains(&&*entry.key) && nearest(&entry.key, ["image", "build"].into_iter()).is_some()
        };
        let misspelt = node.as_map().unwrap_or_default().iter().any(misspelt);
        if node.as_map().is_some() && nothing && !elsewhere && !misspelt {
            let message = format!("the service `{}` has neither an image nor a build", entry.key);
            self.error("no-image", entry.place, message).help("name an `image`, or a folder to `build`");
        }
        if !service.networks.is_empty()
            && service.network_mode.is_some()
            && let Some(entry) = node.get("networks")
        {
            let message = "`networks` and `network_mode` exclude each other";
            self.within("networks", |reader| {
                reader.error("conflict", entry.place, message).help("keep one of them");
            });
        }
        self.same_target(service, node);
        self.same_platform(service, node);
        self.same_limits(service, node);
    }

    fn service_key(&mut self, out: &mut Service, key: &str, entry: &Entry) {
        let value = &entry.value;
        match key {
            "build" => {
                out.build_span = Some(self.context.span(entry.place));
                out.build = self.build(value);
            }
            "cap_add" => out.cap_add = self.strings(value),
            "cap_drop" => out.cap_drop = self.strings(value),
            "command" => out.command = self.command(value),
            "configs" => out.configs = self.grants(Kind::Config, value),
            "container_name" => {
                out.container_name = self.container_name(value);
                if let Some(name) = &out.container_name {
                    self.refer(Kind::Container, name, value.place);
                }
            }
            "cpus" => {
                let cpus = self.parsed(value, "a number of CPUs", crate::model::text::parse_nano_cpus);
                out.nano_cpus = cpus.filter(|cpus| *cpus > 0);
            }
            "depends_on" => out.depends_on = self.depends_on(value),
            "deploy" => out.deploy = self.deploy(value),
            "develop" => out.develop = self.develop(value),
            "dns" => {
                out.dns = self.string_or_list(value);
                out.dns.retain(|server| !server.is_empty());
            }
            "entrypoint" => out.entrypoint = self.command(value),
            "environment" => out.environment = self.environment(value),
            "expose" => out.expose = self.expose(value),
            "extra_hosts" => out.extra_hosts = self.extra_hosts(value),
            "group_add" => out.group_add = self.groups(value),
            "healthcheck" => out.healthcheck = self.healthcheck(value),
            "hostname" => out.hostname = self.optional(value),
            "image" => {
                out.image_span = Some(self.context.span(value.place));
                out.image = self.optional(value);
            }
            "init" => out.init = self.flag(value),
            "labels" => out.labels = self.full_pairs(value),
            "links" => out.links = self.links(value),
            "logging" => out.logging = self.logging(value),
            "mem_limit" => out.mem_limit = self.limit(value),
            "network_mode" => {
                out.network_mode = self.network_mode(value);
                if let Some(NetworkMode::Service(name)) = &out.network_mode {
                    self.refer(Kind::Namespace, name, value.place);
                }
            }
            "networks" => out.networks = self.attachments(value),
            "platform" => out.platform = self.optional(value),
            "ports" => out.ports = self.ports(value),
            "privileged" => out.privileged = self.flag(value).unwrap_or(false),
            "profiles" => out.profiles = self.strings(value).into_iter().collect(),
            "pull_policy" => out.pull_policy = self.pull_policy(value),
            "pull_refresh_after" => {
                self.text(value);
                let message = "`pull_refresh_after` does nothing, in compose as well";
                self.context
                    .warning("no-effect", entry.place, &self.path, message)
                    .help("write `pull_policy: every_12h` or the like");
            }
            "read_only" => out.read_only = self.flag(value).unwrap_or(false),
            "restart" => out.restart = self.restart(value),
            "secrets" => out.secrets = self.grants(Kind::Secret, value),
            "security_opt" => out.security_opt = self.distinct(value),
            "shm_size" => out.shm_size = self.limit(value),
            "stdin_open" => out.stdin_open = self.flag(value).unwrap_or(false),
            "stop_grace_period" => out.stop_grace_period = self.duration(value),
            "stop_signal" => out.stop_signal = self.optional(value),
            "sysctls" => out.sysctls = self.full_pairs(value),
            "tmpfs" => out.tmpfs = self.string_or_list(value),
            "tty" => out.tty = self.flag(value).unwrap_or(false),
            "ulimits" => out.ulimits = self.ulimits(value),
            "user" => out.user = self.optional(value),
            "volumes" => out.volumes = self.mounts(value),
            "working_dir" => out.working_dir = self.optional(value),
            "x-devd" => out.x_devd = self.x_devd(value),
            // `env_file` and `label_file` wait for the rest.
            _ => self.host_key(&mut out.host, key, entry),
        }
    }

    /// Texts and numbers.
    fn groups(&mut self, node: &Node) -> Vec<String> {
        let (mut out, mut seen) = (Vec::new(), BTreeSet::new());
        self.each_item(node, |reader, item| {
            let Some(text) = reader.written(item) else { return };
            if !seen.insert(text.clone()) {
                reader
                    .error("duplicate", item.place, format!("`{text}` is there already"))
                    .help("keep one of them");
            } else {
                out.push(text);
            }
        });
        out
    }

    fn container_name(&mut self, node: &Node) -> Option<String> {
        let name = self.word(node)?;
        let well_formed = name.len() > 1
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if !well_formed {
            self.bad_value(node, "a container's name")
                .help("it is letters, digits, `_`, `.` and `-`, two or more");
            return None;
        }
        Some(name)
    }

    fn depends_on(&mut self, node: &Node) -> BTreeMap<String, Dependency> {
        let mut out = BTreeMap::new();
        if node.as_list().is_some() {
            self.each_item(node, |reader, item| {
                if let Some(name) = reader.word(item) {
                    let span = reader.context.span(item.place);
                    reader.refer(Kind::Dependency, &name, item.place);
                    out.insert(name, Dependency { required: true, span, ..Dependency::default() });
                }
            });
            return out;
        }
        self.each_entry(node, |reader, entry| {
            let span = reader.context.span(entry.place);
            let mut dependency = Dependency { required: true, span, ..Dependency::default() };
            reader.map(&entry.value, DEPENDENCY, |reader, key, entry| match key {
                "condition" => {
                    let known = [
                        ("service_started", Condition::Started),
                        ("service_healthy", Condition::Healthy),
                        ("service_completed_successfully", Condition::Completed),
                    ];
                    dependency.condition = reader.choice(&entry.value, &known).unwrap_or_default();
                }
                "restart" => dependency.restart = reader.flag(&entry.value).unwrap_or(false),
                _ => dependency.required = reader.plain_flag(&entry.value).unwrap_or(true),
            });
            if entry.value.as_map().is_some() && entry.value.get("condition").is_none() && !reader.legacy {
                let help = "write `condition: service_started`, or `service_healthy`";
                reader
                    .error("missing-key", entry.place, "`condition` is missing: what to wait for")
                    .help(help);
            }
            let kind = if dependency.required { Kind::Dependency } else { Kind::Wish };
            reader.refer(kind, &entry.key, entry.place);
            out.insert(entry.key.to_string(), dependency);
        });
        out
    }

    fn links(&mut self, node: &Node) -> Vec<Link> {
        let mut out: Vec<Link> = Vec::new();
        let mut seen = BTreeSet::new();
        self.each_item(node, |reader, item| {
            let Some(text) = reader.word(item) else { return };
            let (service, alias) = text.split_once(':').unwrap_or((&text, &text));
            if service.is_empty() || alias.is_empty() || alias.contains(':') {
                reader.bad_value(item, "a link").help("write `SERVICE` or `SERVICE:ALIAS`");
                return;
            }
            reader.refer(Kind::Link, service, item.place);
            if seen.insert((service.to_owned(), alias.to_owned())) {
                let span = reader.context.span(item.place);
                out.push(Link { service: service.to_owned(), alias: alias.to_owned(), span });
            }
        });
        out
    }

    /// An image that is built for other platforms than the service's own could not run.
    fn same_platform(&mut self, service: &Service, node: &Node) {
        let Some(build) = service.build.as_ref().filter(|build| !build.platforms.is_empty()) else { return };
        if let Some(platform) =
            service.platform.as_ref().filter(|platform| !build.platforms.contains(platform))
            && let Some(entry) = node.get("platform")
        {
            let message = format!("the service runs on `{platform}`, and its image is not built for it");
            let help = format!("add `{platform}` to `build.platforms`: {}", build.platforms.join(", "));
            self.within("platform", |reader| {
                reader.error("conflict", entry.value.place, message).help(help);
            });
        }
    }

    fn same_target(&mut self, service: &Service, node: &Node) {
        let mounted: BTreeSet<&str> = service.volumes.iter().map(|mount| mount.target.as_str()).collect();
        let mut seen = BTreeSet::new();
        for tmpfs in &service.tmpfs {
            let path = super::short::clean_target(tmpfs.split(':').next().unwrap_or_default());
            if !seen.insert(path.clone())
                && let Some(entry) = node.get("tmpfs")
            {
                let message = format!("`{path}` is in `tmpfs` twice");
                self.within("tmpfs", |reader| {
                    reader.error("conflict", entry.place, message).help("keep one of them");
                });
            }
            if mounted.contains(path.as_str())
                && let Some(entry) = node.get("tmpfs")
            {
                let message = format!("`{path}` is in `tmpfs` and in `volumes`");
                self.within("tmpfs", |reader| {
                    reader.error("conflict", entry.place, message).help("keep one of them");
                });
            }
        }
        // Compose knows only one name for a container.
        if let Some(name) = service.container_name.as_ref().filter(|_| service.replicas() > 1)
            && let Some(entry) = node.get("container_name")
        {
            let message = format!("{} containers cannot all be called `{name}`", service.replicas());
            self.within("container_name", |reader| {
                reader
                    .error("conflict", entry.place, message)
                    .help("take the name out, or run one container");
            });
        }
        let deployed = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
        if let (Some(scale), Some(replicas)) = (service.host.scale, deployed)
            && scale != replicas
            && let Some(entry) = node.get("scale")
        {
            self.within("scale", |reader| {
                let message = "`scale` and `deploy.replicas` are not the same";
                reader.error("conflict", entry.place, message).help("keep one of them");
            });
        }
    }
}
