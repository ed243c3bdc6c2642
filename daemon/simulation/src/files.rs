//! The two projects' compose files, and how people edit them.

use devd_logic::{Condition, Desired, Need, Pull, Service, Suite};
use devd_proto::ServiceName;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The projects' names.
pub const PROJECTS: [&str; 2] = ["shop", "blog"];

/// What both pull.
pub const SHARED_IMAGE: &str = "redis:7";

/// A project's services.
pub fn services(project: usize) -> &'static [&'static str] {
    [["api", "db", "web"].as_slice(), ["app", "cache", "migrate"].as_slice()][project]
}

/// Those that are built here.
pub fn buildable(project: usize) -> &'static [&'static str] {
    [["api", "web"].as_slice(), ["app"].as_slice()][project]
}

/// Those that have tests.
pub fn suites(project: usize) -> &'static [&'static str] {
    buildable(project)
}

/// What a service needs.
fn needs(service: &str) -> &'static [(&'static str, Condition)] {
    match service {
        "api" => &[("db", Condition::Healthy)],
        "web" => &[("api", Condition::Started)],
        "migrate" => &[("cache", Condition::Started)],
        "app" => &[("migrate", Condition::Completed), ("cache", Condition::Started)],
        _ => &[],
    }
}

/// Whether it ends by itself, and others wait for that.
pub fn is_one_shot(service: &ServiceName) -> bool {
    service.as_str() == "migrate"
}

/// Whether it has a health check.
pub fn is_checked(service: &ServiceName) -> bool {
    matches!(service.as_str(), "db" | "cache")
}

/// What becomes of the files.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// What makes its container is another thing.
    Definition(&'static str, u8),
    /// It is built in another way.
    Build(&'static str, u8),
    /// Its tests are defined otherwise.
    Suite(&'static str, u8),
    /// So many containers.
    Scale(&'static str, u32),
    /// It is gone from the files.
    Dropped(&'static str),
    /// It is in the files again.
    Back(&'static str),
    /// Its tests run when it changes, or do not.
    OnChange(&'static str, bool),
    /// Another network is needed.
    Network(bool),
    /// The file does not load.
    Broken,
    /// The file loads again.
    Whole,
}

impl Edit {
    /// Any edit of a project's files.
    pub(crate) fn any(rng: &mut Rng, project: usize) -> Self {
        let of = |rng: &mut Rng, names: &'static [&'static str]| names[rng.usize(0..names.len())];
        match rng.u8(0..11) {
            0 | 1 => Self::Definition(of(rng, services(project)), rng.u8(1..4)),
            2 => Self::Build(of(rng, buildable(project)), rng.u8(1..4)),
            3 => Self::Suite(of(rng, suites(project)), rng.u8(1..4)),
            4 => Self::Scale(["web", "app"][project], rng.u32(0..4)),
            5 => Self::Dropped(["web", "migrate"][project]),
            6 => Self::Back(["web", "migrate"][project]),
            7 => Self::OnChange(of(rng, suites(project)), rng.bool()),
            8 => Self::Network(rng.bool()),
            9 => Self::Broken,
            _ => Self::Whole,
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Definition(service, n) => write!(f, "{service} is defined otherwise (v{n})"),
            Self::Build(service, n) => write!(f, "{service} is built otherwise (v{n})"),
            Self::Suite(service, n) => write!(f, "the tests of {service} are defined otherwise (v{n})"),
            Self::Scale(service, n) => write!(f, "{service} is {n} container(s)"),
            Self::Dropped(service) => write!(f, "without {service}"),
            Self::Back(service) => write!(f, "with {service}"),
            Self::OnChange(service, on) => write!(f, "tests of {service} on each change: {on}"),
            Self::Network(on) => write!(f, "another network: {on}"),
            Self::Broken => write!(f, "it does not load"),
            Self::Whole => write!(f, "it loads"),
        }
    }
}

/// What a project's files say.
#[derive(Clone, Debug, Default)]
pub struct Files {
    definitions: BTreeMap<&'static str, u8>,
    builds: BTreeMap<&'static str, u8>,
    suites: BTreeMap<&'static str, u8>,
    counts: BTreeMap<&'static str, u32>,
    dropped: BTreeSet<&'static str>,
    by_hand: BTreeSet<&'static str>,
    network: bool,
    /// They do not load.
    pub broken: bool,
}

impl Files {
    /// Somebody edits them.
    pub fn edit(&mut self, edit: &Edit) {
        match *edit {
            Edit::Definition(service, n) => _ = self.definitions.insert(service, n),
            Edit::Build(service, n) => _ = self.builds.insert(service, n),
            Edit::Suite(service, n) => _ = self.suites.insert(service, n),
            Edit::Scale(service, n) => _ = self.counts.insert(service, n),
            Edit::Dropped(service) => _ = self.dropped.insert(service),
            Edit::Back(service) => _ = self.dropped.remove(service),
            Edit::OnChange(service, true) => _ = self.by_hand.remove(service),
            Edit::OnChange(service, false) => _ = self.by_hand.insert(service),
            Edit::Network(on) => self.network = on,
            Edit::Broken => self.broken = true,
            Edit::Whole => self.broken = false,
        }
    }

    fn service(&self, project: usize, text: &'static str) -> Service {
        let version = self.definitions.get(text).copied().unwrap_or_default();
        let built = buildable(project).contains(&text) || text == "migrate";
        let pulled = matches!(text, "db" | "cache");
        Service {
            definition: format!("{text}-v{version}"),
            config_hash: format!("{text}-hash{version}"),
            image: if pulled { SHARED_IMAGE.to_owned() } else { format!("{}-{text}", PROJECTS[project]) },
            build: built.then(|| format!("v{}", self.builds.get(text).copied().unwrap_or_default())),
            bases: BTreeSet::new(),
            pull: if text == "cache" { Pull::Again } else { Pull::Missing },
            needs: needs(text)
                .iter()
                .map(|(name, condition)| Need {
                    service: ServiceName::from(*name),
                    condition: *condition,
                    required: true,
                })
                .collect(),
            shares: BTreeSet::new(),
            replica_of: None,
            absent: false,
        }
    }

    /// In the words of the logic.
    pub fn desired(&self, project: usize) -> Desired {
        let mut desired = Desired::default();
        for name in services(project).iter().filter(|name| !self.dropped.contains(*name)) {
            desired.services.insert(ServiceName::from(*name), self.service(project, name));
        }
        if let Some(app) = desired.services.get_mut("app") {
            app.shares.insert("cache".into());
        }
        for name in suites(project).iter().filter(|name| !self.dropped.contains(*name)) {
            let version = self.suites.get(name).copied().unwrap_or_default();
            let suite = Suite { definition: format!("v{version}"), on_change: !self.by_hand.contains(name) };
            desired.suites.insert(ServiceName::from(*name), suite);
        }
        for (name, count) in self.counts.iter().filter(|(_, count)| **count != 1) {
            desired.scale(&ServiceName::from(*name), *count);
        }
        desired.networks.insert(format!("{}_default", PROJECTS[project]));
        if self.network {
            desired.networks.insert(format!("{}_more", PROJECTS[project]));
        }
        desired.volumes.insert(format!("{}_data", PROJECTS[project]));
        desired
    }
}
