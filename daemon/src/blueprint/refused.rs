//! What compose files may say and devd does not do yet. Every such field is refused here by its name and place, so that
//! none is ever ignored; whoever teaches the daemon a field takes it out of here.

use devd_compose::model::{Build, Grant, MountKind, Service, SharedFile, Span};
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
        self.field(&format!("{at}.models"), !host.models.is_empty());
        self.field(&format!("{at}.provider"), host.provider.is_some());
        self.field(&format!("{at}.use_api_socket"), host.use_api_socket);
        self.reserved(at, service);
        // What the engine shares of another container.
        for (key, space) in [("cgroup", &host.cgroup), ("uts", &host.uts)] {
            if let Some(text) = space.as_ref().filter(|text| text.starts_with("service:")) {
                let message = format!("`{key}: {text}`: no engine shares this namespace between containers");
                let help = "shared can be `network_mode`, `ipc` and `pid`; or take it out";
                self.refuse(&format!("{at}.{key}"), message, help);
            }
        }
        if let Some(build) = &service.build {
            self.build(&format!("{at}.build"), build);
        }
        self.mounts(&format!("{at}.volumes"), service);
        for grant in &service.secrets {
            let shared = self.project.secrets.get(&grant.source);
            self.grant(&format!("{at}.secrets"), "secret", grant, shared, service.read_only);
        }
        for grant in &service.configs {
            let shared = self.project.configs.get(&grant.source);
            self.grant(&format!("{at}.configs"), "config", grant, shared, service.read_only);
        }
    }

    fn reserved(&mut self, at: &str, service: &Service) {
        let reserved = service.deploy.as_ref().and_then(|deploy| deploy.resources.reservations.as_ref());
        self.field(
            &format!("{at}.deploy.resources.reservations.generic_resources"),
            reserved.is_some_and(|reserved| !reserved.generic_resources.is_empty()),
        );
    }

    fn build(&mut self, at: &str, build: &Build) {
        self.field(&format!("{at}.isolation"), build.isolation.is_some());
    }

    fn mounts(&mut self, at: &str, service: &Service) {
        for mount in &service.volumes {
            let reason = match &mount.kind {
                MountKind::Pipe { .. } => "named pipes are of Windows",
                MountKind::Cluster { .. } => "only a swarm has such volumes",
                MountKind::Bind { .. }
                | MountKind::Volume { .. }
                | MountKind::Tmpfs { .. }
                | MountKind::Image { .. } => continue,
            };
            let message = format!("a mount of type `{}`: {reason}", mount.kind.word());
            self.refuse_at(&mount.span, at, message, "known are bind, volume, tmpfs and image");
        }
    }

    fn grant(&mut self, at: &str, what: &str, grant: &Grant, shared: Option<&SharedFile>, read_only: bool) {
        let Some(shared) = shared.filter(|shared| shared.file.is_none()) else { return };
        let source = &grant.source;
        if shared.external {
            let message = format!("the {what} `{source}` is external: only a swarm keeps such");
            self.refuse_at(&grant.span, at, message, "put it into a file, and name that with `file`");
        } else if let (Some(variable), None) = (&shared.environment, &grant.content) {
            let message = format!("the {what} `{source}` is the value of {variable}, which is not set");
            self.refuse_at(&grant.span, at, message, "set it in the environment, or in `.env`");
        } else if read_only {
            let message = format!("the {what} `{source}` cannot be put into a container that is read-only");
            let help = "put it into a file, and name that with `file`: files are mounted";
            self.refuse_at(&grant.span, at, message, help);
        }
    }
}

#[cfg(test)]
#[path = "refused_tests.rs"]
mod tests;
