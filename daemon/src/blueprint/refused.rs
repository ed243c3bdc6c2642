//! What compose files may say and devd does not do yet. Every such field is refused here by its name and place, so that
//! none is ever ignored; whoever teaches the daemon a field takes it out of here.

use devd_compose::model::{Build, Grant, MountKind, Network, PullPolicy, Service, SharedFile, Span};
use devd_compose::{Diagnostic, Project};
use std::sync::Arc;

/// An error for each field of the enabled services, and of what they use, that is not applied.
pub(super) fn fields(project: &Project) -> Vec<Diagnostic> {
    let mut refused = Refused { project, found: Vec::new() };
    if project.services.is_empty() && project.disabled_services.is_empty() {
        let file =
            project.files.first().map(|file| Span { file: Arc::from(file.as_path()), ..Span::default() });
        let message = "there is no service in this project";
        let wrong = Diagnostic::about(&file.unwrap_or_default(), "services", "no-service", message);
        refused.found.push(Diagnostic { help: Some("add one under `services:`".to_owned()), ..wrong });
    }
    for (name, service) in &project.services {
        refused.service(&format!("services.{name}"), service);
    }
    for (name, network) in &project.networks {
        refused.network(&format!("networks.{name}"), network);
    }
    refused.found
}

struct Refused<'a> {
    project: &'a Project,
    found: Vec<Diagnostic>,
}

impl Refused<'_> {
    /// Refuses the field at the end of `path` if it is `said`.
    fn field(&mut self, path: &str, said: bool) {
        if said {
            let name = path.rsplit('.').next().unwrap_or(path);
            self.refuse(
                path,
                format!("`{name}` is not supported yet"),
                "take it out, or move it to a file that only other tools read",
            );
        }
    }

    fn refuse(&mut self, path: &str, message: String, help: &str) {
        let span = self.project.places.get(path).cloned().unwrap_or_default();
        self.refuse_at(&span, path, message, help);
    }

    fn refuse_at(&mut self, span: &Span, path: &str, message: String, help: &str) {
        let wrong = Diagnostic::about(span, path, "unsupported", message);
        self.found.push(Diagnostic { help: Some(help.to_owned()), ..wrong });
    }

    fn service(&mut self, at: &str, service: &Service) {
        let host = &service.host;
        self.field(&format!("{at}.credential_spec"), host.credential_spec.is_some());
        self.field(&format!("{at}.external_links"), !host.external_links.is_empty());
        self.field(&format!("{at}.mac_address"), host.mac_address.is_some());
        self.field(&format!("{at}.models"), !host.models.is_empty());
        self.field(&format!("{at}.post_start"), !host.post_start.is_empty());
        self.field(&format!("{at}.pre_stop"), !host.pre_stop.is_empty());
        self.field(&format!("{at}.provider"), host.provider.is_some());
        self.field(&format!("{at}.use_api_socket"), host.use_api_socket);
        self.replicas(at, service);
        for (key, space) in
            [("cgroup", &host.cgroup), ("ipc", &host.ipc), ("pid", &host.pid), ("uts", &host.uts)]
        {
            if let Some(text) = space.as_ref().filter(|text| text.starts_with("service:")) {
                let message = format!("`{key}: {text}` is not supported yet");
                let help = "only the network of another service can be shared: `network_mode`";
                self.refuse(&format!("{at}.{key}"), message, help);
            }
        }
        if host.volumes_from.iter().any(|text| !text.starts_with("container:")) {
            let message = "mounting the volumes of another service is not supported yet".to_owned();
            self.refuse(
                &format!("{at}.volumes_from"),
                message,
                "name the volumes in `volumes` of both services",
            );
        }
        if let Some(PullPolicy::Every { text, .. }) = &service.pull_policy {
            let message = format!("the pull policy `{text}` is not supported yet");
            self.refuse(&format!("{at}.pull_policy"), message, "known are always, missing, never and build");
        }
        if let Some(build) = &service.build {
            self.build(&format!("{at}.build"), build);
        }
        self.mounts(&format!("{at}.volumes"), service);
        for (network, attachment) in &service.networks {
            let Some(attachment) = attachment else { continue };
            let at = format!("{at}.networks.{network}");
            self.field(&format!("{at}.driver_opts"), !attachment.driver_opts.is_empty());
            self.field(&format!("{at}.gw_priority"), attachment.gw_priority != 0);
            self.field(&format!("{at}.interface_name"), attachment.interface_name.is_some());
            self.field(&format!("{at}.ipv6_address"), attachment.ipv6_address.is_some());
            self.field(&format!("{at}.link_local_ips"), !attachment.link_local_ips.is_empty());
            self.field(&format!("{at}.mac_address"), attachment.mac_address.is_some());
            self.field(&format!("{at}.priority"), attachment.priority != 0);
        }
        for grant in &service.secrets {
            self.grant(&format!("{at}.secrets"), "secret", grant, self.project.secrets.get(&grant.source));
        }
        for grant in &service.configs {
            self.grant(&format!("{at}.configs"), "config", grant, self.project.configs.get(&grant.source));
        }
    }

    fn replicas(&mut self, at: &str, service: &Service) {
        let reserved = service.deploy.as_ref().and_then(|deploy| deploy.resources.reservations.as_ref());
        self.field(
            &format!("{at}.deploy.resources.reservations.generic_resources"),
            reserved.is_some_and(|reserved| !reserved.generic_resources.is_empty()),
        );
        let count = service.replicas();
        if count == 1 {
            return;
        }
        let (key, path) =
            if service.host.scale.is_some() { ("scale", "scale") } else { ("replicas", "deploy.replicas") };
        let message = format!("`{key}: {count}` is not supported yet: a service is one container");
        let help = if count == 0 { "take the service out, or give it a profile" } else { "take it out" };
        self.refuse(&format!("{at}.{path}"), message, help);
    }

    fn build(&mut self, at: &str, build: &Build) {
        if build.remote {
            let message = "building from a URL is not supported yet".to_owned();
            self.refuse(&format!("{at}.context"), message, "clone it, and name the folder");
        }
        for (name, place) in &build.additional_contexts {
            if place.starts_with("service:") {
                let message = format!("the context `{name}` of another service's image is not supported yet");
                let at = format!("{at}.additional_contexts");
                self.refuse(&at, message, "name the image: `docker-image://…`");
            }
        }
        self.field(&format!("{at}.isolation"), build.isolation.is_some());
        self.field(&format!("{at}.platforms"), !build.platforms.is_empty());
    }

    fn mounts(&mut self, at: &str, service: &Service) {
        for mount in &service.volumes {
            match &mount.kind {
                MountKind::Image { .. } | MountKind::Pipe { .. } | MountKind::Cluster { .. } => {
                    let message = format!("mounts of type `{}` are not supported yet", mount.kind.word());
                    let help = "known are bind, volume and tmpfs";
                    self.refuse_at(&mount.span, at, message, help);
                }
                MountKind::Bind { recursive: Some(_), .. } => {
                    let message = "`recursive` of a bind mount is not supported yet".to_owned();
                    self.refuse_at(&mount.span, at, message, "take it out");
                }
                MountKind::Volume { labels, .. } if !labels.is_empty() => {
                    let message = "`labels` of a volume mount are not supported yet".to_owned();
                    self.refuse_at(
                        &mount.span,
                        at,
                        message,
                        "give the labels to the volume at the top level",
                    );
                }
                MountKind::Bind { .. } | MountKind::Volume { .. } | MountKind::Tmpfs { .. } => {}
            }
        }
    }

    fn grant(&mut self, at: &str, what: &str, grant: &Grant, shared: Option<&SharedFile>) {
        let Some(shared) = shared.filter(|shared| shared.file.is_none()) else { return };
        let of = match (shared.external, &shared.environment) {
            (true, _) => "from elsewhere",
            (false, Some(_)) => "from a variable",
            (false, None) => "with `content`",
        };
        let message = format!("the {what} `{}` {of} is not supported yet", grant.source);
        self.refuse_at(&grant.span, at, message, "put it into a file, and name that with `file`");
    }

    fn network(&mut self, at: &str, network: &Network) {
        self.field(&format!("{at}.enable_ipv4"), network.enable_ipv4.is_some());
        self.field(&format!("{at}.enable_ipv6"), network.enable_ipv6.is_some());
        self.field(&format!("{at}.ipam.options"), !network.ipam.options.is_empty());
    }
}

#[cfg(test)]
#[path = "refused_tests.rs"]
mod tests;
