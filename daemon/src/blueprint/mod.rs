//! A project as the daemon works with it: what its compose files say, resolved into what is asked of the engine
//! ([`stack`]), of the logic ([`Blueprint::desired`]) and of the watcher ([`watching`]).

pub mod preparation;
mod refused;
mod stack;
mod watching;

use devd_compose::model::{self, Condition as ComposeCondition, PullPolicy};
use devd_compose::{Diagnostic, LoadError, Options, Project, Suite};
use devd_logic::{Condition, Desired, Need, Pull, replica};
use devd_proto::{ProjectName, ProjectSource, ServiceName};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub use stack::Stack;

/// Everything a project's files say, and their tests' files with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    /// False for a stand-in: the project's files do not load, and nothing but its name and folder is known.
    pub loaded: bool,
    /// The project's name.
    pub name: ProjectName,
    /// The project. Services that only serve as tests are not among its services.
    pub project: Project,
    /// Tests by the service whose they are.
    pub suites: BTreeMap<ServiceName, Suite>,
    /// Suites whose files do not load; their services run all the same.
    pub broken_suites: BTreeMap<ServiceName, Diagnostic>,
    /// What the files say that their writer may not mean.
    pub warnings: Vec<Diagnostic>,
    /// Every file whose change means reading everything again.
    pub inputs: BTreeSet<PathBuf>,
    /// The variables of the caller's environment that mattered.
    pub env_used: BTreeMap<String, String>,
}

/// What a client says about a project, as the loader takes it.
pub fn options(source: &ProjectSource) -> Options {
    let paths = |texts: &[String]| texts.iter().map(PathBuf::from).collect();
    Options {
        dir: PathBuf::from(&source.dir),
        files: paths(&source.files),
        profiles: source.profiles.clone(),
        project_name: source.project_name.clone(),
        env_files: paths(&source.env_files),
        env: source.env.clone(),
    }
}

impl Blueprint {
    /// A project of which only the name and the folder are known.
    pub fn empty(name: ProjectName, dir: PathBuf) -> Self {
        let project = Project { name: name.to_string(), dir, ..Project::default() };
        Self {
            loaded: false,
            name,
            project,
            suites: BTreeMap::new(),
            broken_suites: BTreeMap::new(),
            warnings: Vec::new(),
            inputs: BTreeSet::new(),
            env_used: BTreeMap::new(),
        }
    }

    /// Reads a project's files. Blocks on the disk.
    pub fn load(source: &ProjectSource) -> Result<Self, LoadError> {
        let options = options(source);
        let loaded = devd_compose::load(&options)?;
        let refused = refused::fields(&loaded.project);
        if !refused.is_empty() {
            return Err(LoadError { diagnostics: refused, inputs: loaded.inputs });
        }
        let mut blueprint = Self {
            loaded: true,
            name: ProjectName::new(loaded.project.name.clone()),
            suites: BTreeMap::new(),
            broken_suites: BTreeMap::new(),
            warnings: loaded.warnings,
            inputs: loaded.inputs,
            env_used: loaded.env_used,
            project: loaded.project,
        };
        let names: Vec<String> = blueprint.project.services.keys().cloned().collect();
        let only_tests = devd_compose::suite_services(&blueprint.project);
        for name in names.iter().filter(|name| !only_tests.contains(*name)) {
            blueprint.find_suite(name, &options);
        }
        for name in &only_tests {
            blueprint.project.services.remove(name);
        }
        Ok(blueprint)
    }

    fn find_suite(&mut self, name: &str, options: &Options) {
        let service = ServiceName::from(name);
        match devd_compose::find_suite(&self.project, name, options) {
            Ok(None) => {}
            Ok(Some(suite)) => {
                if let Some(first) = refused::fields(&suite.project).into_iter().next() {
                    self.inputs.extend(suite.inputs);
                    self.broken_suites.insert(service, first);
                    return;
                }
                self.inputs.extend(suite.inputs.iter().cloned());
                self.warnings.extend(suite.warnings.iter().cloned());
                self.suites.insert(service, suite);
            }
            Err(error) => {
                self.inputs.extend(error.inputs);
                if let Some(first) = error.diagnostics.into_iter().next() {
                    self.broken_suites.insert(service, first);
                }
            }
        }
    }

    /// Tests whose file does not load stay as they were before, and so do the files that are watched for them: what is
    /// saved meanwhile is not lost.
    pub fn keep_broken_suites(&mut self, before: &Self) {
        for name in self.broken_suites.keys() {
            if let Some(suite) = before.suites.get(name) {
                self.suites.insert(name.clone(), suite.clone());
            }
        }
    }

    /// The dev stack.
    pub fn stack(&self) -> Stack<'_> {
        Stack::dev(&self.project)
    }

    /// A service of the dev stack, by its own name or one of [`replica`].
    pub fn service(&self, name: &ServiceName) -> Option<&model::Service> {
        self.project.services.get(replica::service(name).as_str())
    }

    /// What decisions need to know.
    pub fn desired(&self) -> Desired {
        let stack = self.stack();
        let services = self.project.services.iter().map(|(name, service)| {
            let desired = devd_logic::Service {
                definition: definition(&stack, name),
                config_hash: devd_compose::config_hash(service),
                image: stack.image(service),
                build: service.build.as_ref().map(|build| digest([json(build)])),
                bases: service.build.iter().flat_map(bases).collect(),
                pull: match service.pull_policy {
                    Some(PullPolicy::Never | PullPolicy::Build) => Pull::Never,
                    Some(PullPolicy::Always | PullPolicy::Every { .. }) => Pull::Again,
                    Some(PullPolicy::Missing | PullPolicy::Refresh) | None => Pull::Missing,
                },
                needs: needs(service),
                shares: service.shares().map(ServiceName::from).collect(),
                replica_of: None,
                absent: false,
            };
            (ServiceName::from(name.as_str()), desired)
        });
        let networks = self.project.networks.values().filter(|network| !network.external);
        let volumes = self.project.volumes.values().filter(|volume| !volume.external);
        let suites = self.suites.iter().map(|(name, suite)| {
            let definition = suite_definition(suite);
            (name.clone(), devd_logic::Suite { definition, on_change: suite.settings.on_change })
        });
        let mut desired = Desired {
            services: services.collect(),
            suites: suites.collect(),
            networks: networks.map(|network| network.name.clone()).collect(),
            volumes: volumes.map(|volume| volume.name.clone()).collect(),
        };
        for (name, service) in self.project.services.iter().filter(|(_, service)| service.replicas() != 1) {
            desired.scale(&ServiceName::from(name.as_str()), service.replicas());
        }
        desired
    }
}

fn bases(build: &model::Build) -> impl Iterator<Item = ServiceName> {
    build
        .additional_contexts
        .values()
        .filter_map(|place| place.strip_prefix("service:"))
        .map(ServiceName::from)
}

fn needs(service: &model::Service) -> Vec<Need> {
    let depends = service.depends_on.iter().map(|(name, dependency)| Need {
        service: ServiceName::from(name.as_str()),
        condition: match dependency.condition {
            ComposeCondition::Started => Condition::Started,
            ComposeCondition::Healthy => Condition::Healthy,
            ComposeCondition::Completed => Condition::Completed,
        },
        required: dependency.required,
    });
    // Who shares a namespace needs its owner to run. Links order nothing where they are only names.
    let shared = service.shares().filter(|name| !service.depends_on.contains_key(*name));
    let shared = shared.map(|name| Need {
        service: ServiceName::from(name),
        condition: Condition::Started,
        required: true,
    });
    depends.chain(shared).collect()
}

/// A digest of all that makes a service's container.
fn definition(stack: &Stack<'_>, name: &str) -> String {
    let Some(spec) = stack.container(name, 1) else { return String::new() };
    let parts = spec.env.iter().chain([&spec.name, &spec.image]).chain(spec.volumes.values());
    let endpoints = spec.networks.iter().map(|endpoint| format!("{endpoint:?}"));
    digest(
        [devd_compose::service_hash_input(&spec.service)].into_iter().chain(parts.cloned()).chain(endpoints),
    )
}

/// A digest of all that makes the environment of a service's tests.
fn suite_definition(suite: &Suite) -> String {
    let needed = suite.project.closure(&suite.service);
    let services = needed.iter().chain([&suite.service]).filter_map(|name| suite.project.services.get(name));
    let services = services.flat_map(|service| {
        [devd_compose::service_hash_input(service), service.build.as_ref().map(json).unwrap_or_default()]
    });
    let rest = [json(&suite.project.networks), json(&suite.project.volumes), suite.service.clone()];
    digest(services.chain(rest))
}

fn json(value: &impl serde::Serialize) -> String {
    // What the loader made has no maps with odd keys, the only thing that JSON would refuse.
    serde_json::to_string(value).unwrap_or_default()
}

fn digest(parts: impl IntoIterator<Item = String>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
