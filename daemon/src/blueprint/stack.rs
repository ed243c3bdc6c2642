//! Names, labels and specifications of one stack on the engine: the dev stack, or a test environment of its own.

use crate::engine::spec::{
    BuildSpec, ContainerSpec, EndpointSpec, NetworkSpec, OF_ENVIRONMENT, Shares, VolumeSpec, compose, label,
};
use devd_compose::Project;
use devd_compose::model::{Condition, NetworkMode, Service};
use devd_logic::EnvironmentId;
use devd_proto::{ProjectName, ServiceName};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The version of compose that devd's labels follow.
const COMPOSE_VERSION: &str = "2.40.3";

/// One project's resources under one name on the engine.
#[derive(Clone, Debug)]
pub struct Stack<'a> {
    project: &'a Project,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Dev,
    /// A test environment: private networks and volumes, no published ports, nothing that outlives it.
    Environment {
        name: String,
        project: ProjectName,
        id: EnvironmentId,
        tests_of: ServiceName,
    },
}

impl<'a> Stack<'a> {
    /// The stack that people work with, under compose's own names.
    pub fn dev(project: &'a Project) -> Self {
        Self { project, kind: Kind::Dev }
    }

    /// A test environment. It has a compose project name of its own, so that compose never takes its
    /// containers for orphans of the dev stack.
    pub fn environment(
        project: &'a Project,
        owner: &ProjectName,
        id: &EnvironmentId,
        tests_of: &ServiceName,
    ) -> Self {
        let name = format!("{owner}{OF_ENVIRONMENT}{id}");
        let kind =
            Kind::Environment { name, project: owner.clone(), id: id.clone(), tests_of: tests_of.clone() };
        Self { project, kind }
    }

    /// The stack's compose project name.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Dev => &self.project.name,
            Kind::Environment { name, .. } => name,
        }
    }

    /// The reference of a service's image.
    pub fn image(&self, service: &Service) -> String {
        match &self.kind {
            Kind::Environment { project, tests_of, .. } if service.image.is_none() => {
                format!("{project}-{tests_of}-{}", service.name)
            }
            Kind::Dev | Kind::Environment { .. } => service.image_name(self.name()),
        }
    }

    /// The name of a service's container of this number.
    pub fn container_name(&self, service: &Service, number: u32) -> String {
        match (&self.kind, &service.container_name) {
            (Kind::Dev, Some(name)) => name.clone(),
            (Kind::Dev | Kind::Environment { .. }, _) => format!("{}-{}-{number}", self.name(), service.name),
        }
    }

    /// How many containers a service is: for tests, one of each will do.
    fn count(&self, service: &Service) -> u32 {
        match &self.kind {
            Kind::Dev => service.replicas(),
            Kind::Environment { .. } => service.replicas().min(1),
        }
    }

    fn resource(&self, key: &str, name: &str, external: bool) -> String {
        match &self.kind {
            Kind::Environment { .. } if !external => format!("{}_{key}", self.name()),
            Kind::Dev | Kind::Environment { .. } => name.to_owned(),
        }
    }

    /// Labels that everything of the stack carries.
    fn labels(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = own.clone();
        let mut add = |key: &str, value: &str| labels.insert(key.to_owned(), value.to_owned());
        add(compose::PROJECT, self.name());
        add(compose::VERSION, COMPOSE_VERSION);
        match &self.kind {
            Kind::Dev => {
                add(label::PROJECT, &self.project.name);
            }
            Kind::Environment { project, id, tests_of, .. } => {
                add(label::PROJECT, project.as_str());
                add(label::ENVIRONMENT, id.as_str());
                add(label::TESTS_OF, tests_of.as_str());
            }
        }
        labels
    }

    /// The networks to create.
    pub fn networks(&self) -> impl Iterator<Item = NetworkSpec> {
        self.project.networks.iter().filter(|(_, network)| !network.external).map(|(key, network)| {
            let mut labels = self.labels(&network.labels);
            labels.insert(compose::NETWORK.to_owned(), key.clone());
            NetworkSpec { name: self.resource(key, &network.name, false), network: network.clone(), labels }
        })
    }

    /// The volumes to create.
    pub fn volumes(&self) -> impl Iterator<Item = VolumeSpec> {
        self.project.volumes.iter().filter(|(_, volume)| !volume.external).map(|(key, volume)| {
            let mut labels = self.labels(&volume.labels);
            labels.insert(compose::VOLUME.to_owned(), key.clone());
            VolumeSpec { name: self.resource(key, &volume.name, false), volume: volume.clone(), labels }
        })
    }

    /// How to build a service's image; none when it is not built.
    pub fn build(&self, service: &str) -> Option<BuildSpec> {
        let service = self.project.services.get(service)?;
        let mut build = service.build.clone()?;
        for place in build.additional_contexts.values_mut() {
            let other = place.strip_prefix("service:").and_then(|other| self.project.services.get(other));
            if let Some(image) = other.map(|other| self.image(other)) {
                *place = format!("docker-image://{image}");
            }
        }
        let mut labels = build.labels.clone();
        labels.insert(compose::PROJECT.to_owned(), self.name().to_owned());
        labels.insert(compose::SERVICE.to_owned(), service.name.clone());
        if let Kind::Environment { project, .. } = &self.kind {
            // An image outlives the environment: it must not carry the name of one run, or no two builds are the same.
            labels.insert(compose::PROJECT.to_owned(), project.as_str().to_owned());
        }
        labels.insert(compose::VERSION.to_owned(), COMPOSE_VERSION.to_owned());
        let platform = service.platform.clone().or_else(|| platform(&build.platforms));
        Some(BuildSpec { tag: self.image(service), build, labels, platform })
    }

    /// How to create a service's container of this number.
    pub fn container(&self, service: &str, number: u32) -> Option<ContainerSpec> {
        let service = self.project.services.get(service)?;
        let dev = matches!(self.kind, Kind::Dev);
        let mut labels = self.labels(&service.labels);
        let mut add = |key: &str, value: String| labels.insert(key.to_owned(), value);
        add(compose::SERVICE, service.name.clone());
        add(compose::NUMBER, number.to_string());
        add(compose::ONEOFF, "False".to_owned());
        add(compose::DEPENDS_ON, depends_on(service));
        add(compose::WORKING_DIR, self.project.dir.display().to_string());
        let files: Vec<String> = self.project.files.iter().map(|file| file.display().to_string()).collect();
        add(compose::CONFIG_FILES, files.join(","));
        let env = self.env(service);
        Some(ContainerSpec {
            name: self.container_name(service, number),
            image: self.image(service),
            env,
            networks: self.endpoints(service, number),
            volumes: self.volume_names(),
            shares: self.shares(service),
            labels,
            publish: dev,
            restart: dev,
            auto_remove: false,
            park: None,
            service: service.clone(),
        })
    }

    fn shares(&self, service: &Service) -> Shares {
        let container =
            |name: &str| self.project.services.get(name).map(|other| self.container_name(other, 1));
        let space = |mode: &Option<String>| mode.as_ref()?.strip_prefix("service:").and_then(container);
        let volumes = service.host.volumes_from.iter().filter(|text| !text.starts_with("container:"));
        let volumes = volumes.filter_map(|text| {
            let (name, access) = text.split_once(':').unwrap_or((text, "rw"));
            Some((container(name)?, access == "ro"))
        });
        let links = service.links.iter().filter(|_| service.is_on_bridge());
        Shares {
            network: match &service.network_mode {
                Some(NetworkMode::Service(other)) => container(other),
                Some(_) | None => None,
            },
            ipc: space(&service.host.ipc),
            pid: space(&service.host.pid),
            volumes: volumes.collect(),
            links: links.filter_map(|link| Some((container(&link.service)?, link.alias.clone()))).collect(),
        }
    }

    fn volume_names(&self) -> BTreeMap<String, String> {
        let volumes = self.project.volumes.iter();
        volumes
            .map(|(key, volume)| (key.clone(), self.resource(key, &volume.name, volume.external)))
            .collect()
    }

    /// `NAME=value` as the files say. A service that is built here runs in dev mode unless they say otherwise; tests
    /// and production images never do by themselves.
    fn env(&self, service: &Service) -> Vec<String> {
        let mut env: Vec<String> = service
            .environment
            .iter()
            .map(|(name, value)| {
                value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}={value}"))
            })
            .collect();
        if matches!(self.kind, Kind::Dev)
            && service.build.is_some()
            && !service.environment.contains_key("ENV")
        {
            env.push("ENV=dev".to_owned());
        }
        env
    }

    fn endpoints(&self, service: &Service, number: u32) -> Vec<EndpointSpec> {
        if service.network_mode.is_some() {
            return Vec::new();
        }
        let container = self.container_name(service, number);
        let mut networks: Vec<_> = service.networks.iter().collect();
        // The first one is the container's own; among equals the names decide.
        networks.sort_by_key(|(_, attachment)| Reverse(attachment.as_ref().map_or(0, |it| it.priority)));
        let endpoints = networks.into_iter().map(|(key, attachment)| {
            let network = self.project.networks.get(key);
            let name = network.map_or(key.as_str(), |network| &network.name);
            let mut aliases = vec![container.clone(), service.name.clone()];
            aliases.extend(attachment.iter().flat_map(|attachment| attachment.aliases.iter().cloned()));
            aliases.dedup();
            let from_elsewhere = service.host.external_links.iter().map(|link| match link.split_once(':') {
                Some(_) => link.clone(),
                None => format!("{link}:{link}"),
            });
            // The name of a service is an alias of its container on every network; only other names need a link.
            let links = service.links.iter().filter(|link| link.alias != link.service);
            let links = links.flat_map(|link| {
                let other = self.project.services.get(&link.service).into_iter();
                other.flat_map(|other| {
                    (1..=self.count(other))
                        .map(|number| format!("{}:{}", self.container_name(other, number), link.alias))
                })
            });
            EndpointSpec {
                network: self.resource(key, name, network.is_some_and(|network| network.external)),
                aliases,
                links: links.chain(from_elsewhere).collect(),
                attachment: attachment.clone().unwrap_or_default(),
            }
        });
        endpoints.collect()
    }
}

/// For which of several platforms an image is built that is to run here: this machine's, or else the first.
fn platform(platforms: &[String]) -> Option<String> {
    let here = match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        other => other,
    };
    platforms.iter().find(|platform| *platform == here).or(platforms.first()).cloned()
}

fn depends_on(service: &Service) -> String {
    let edges = service.depends_on.iter().map(|(name, dependency)| {
        let condition = match dependency.condition {
            Condition::Started => "service_started",
            Condition::Healthy => "service_healthy",
            Condition::Completed => "service_completed_successfully",
        };
        format!("{name}:{condition}:{}", dependency.restart)
    });
    edges.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::platform;

    #[test]
    fn an_image_is_built_to_run_here() {
        let native = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(platform(&texts(&["linux/s390x", native])).as_deref(), Some(native));
        assert_eq!(platform(&texts(&["linux/s390x", "linux/ppc64le"])).as_deref(), Some("linux/s390x"));
        assert_eq!(platform(&[]), None);
    }
}
