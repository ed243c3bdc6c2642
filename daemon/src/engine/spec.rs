//! What is asked of an engine: complete and resolved, so that an adapter has nothing to look up and nothing to choose.

use devd_compose::model::{Attachment, Build, Network, Service, Volume};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Labels of devd's own; compose's are in [`compose`].
pub mod label {
    /// The project that something belongs to, on everything devd made.
    pub const PROJECT: &str = "dev.devd.project";
    /// The digest of the definition a container was made from, on containers of the dev stack.
    pub const DEFINITION: &str = "dev.devd.definition";
    /// The test environment that something is a part of.
    pub const ENVIRONMENT: &str = "dev.devd.environment";
    /// The park under which a container's processes run: the digest of its program.
    pub const PARK: &str = "dev.devd.park";
    /// Whose tests, on all parts of a test environment, and on snapshots of its dependencies.
    pub const TESTS_OF: &str = "dev.devd.tests-of";
    /// The key of the snapshot that an image is a part of.
    pub const SNAPSHOT: &str = "dev.devd.snapshot";
    /// What something is a part of: `service`, `tests` or `snapshot`. On everything devd made.
    pub const ROLE: &str = "dev.devd.role";
    /// Whose daemon made something: the id in that one's state folder. On everything devd made but images that are
    /// built, which would be others for each state folder, and must be those that compose builds.
    pub const LEASE: &str = "dev.devd.lease";
    /// Where that state folder is, as `host:path`: by that others see whether whoever could know of it is gone.
    pub const STATE: &str = "dev.devd.state";
}

/// Labels that `docker compose`, Docker Desktop and lazydocker recognise a stack by. Case matters in their values.
pub mod compose {
    /// The project.
    pub const PROJECT: &str = "com.docker.compose.project";
    /// The service.
    pub const SERVICE: &str = "com.docker.compose.service";
    /// Its presence is what most commands of compose filter by.
    pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
    /// From 1.
    pub const NUMBER: &str = "com.docker.compose.container-number";
    /// `False` or `True`.
    pub const ONEOFF: &str = "com.docker.compose.oneoff";
    /// The id of the image.
    pub const IMAGE: &str = "com.docker.compose.image";
    /// `service:condition:restart`, comma separated.
    pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
    /// Absolute paths, comma separated.
    pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
    /// The project's folder.
    pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
    /// The version of compose that a container claims to be made by.
    pub const VERSION: &str = "com.docker.compose.version";
    /// The network's key in the files.
    pub const NETWORK: &str = "com.docker.compose.network";
    /// The volume's key in the files.
    pub const VOLUME: &str = "com.docker.compose.volume";
}

/// Between the project and the id in the name of an environment's stack: `shop-devd-7-1`.
pub const OF_ENVIRONMENT: &str = "-devd-";

/// One operation. Safe to repeat: what is there already, or gone already, is success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Creates a network.
    CreateNetwork(NetworkSpec),
    /// Creates a volume.
    CreateVolume(VolumeSpec),
    /// Pulls an image.
    Pull {
        /// Its reference.
        image: String,
        /// `os/arch`, when the file says so.
        platform: Option<String>,
        /// Not when the one that is there came less long ago.
        unless_since: Option<Duration>,
    },
    /// Builds an image.
    Build(Box<BuildSpec>),
    /// Pushes an image to its registry.
    Push {
        /// Its reference.
        image: String,
    },
    /// Creates a container; [`super::Applied::id`] is its id.
    Create(Box<ContainerSpec>),
    /// Starts a container.
    Start(String),
    /// Stops a container by its own stop signal and grace period.
    Stop(String),
    /// Stops a container and starts it again.
    Restart {
        /// The container.
        container: String,
        /// How long its process may take to stop; `None` is the container's own grace period.
        grace: Option<Duration>,
    },
    /// Sends a signal to a container's first process.
    Signal(String, String),
    /// Brings files of a container up to date with files of the host: what is there is copied, what is not is removed.
    Sync {
        /// The container; it need not run, unless something is to be removed.
        container: String,
        /// Paths on the host and in the container.
        files: Vec<(PathBuf, String)>,
    },
    /// Stops a container by its own signal and grace period, and removes it with its anonymous volumes.
    Remove(String),
    /// Removes a container at once with its anonymous volumes.
    Kill(String),
    /// Removes a network.
    RemoveNetwork(String),
    /// Removes a volume with its data.
    RemoveVolume(String),
    /// Removes an image, unless something uses it.
    RemoveImage(String),
    /// Keeps a stopped container with what is in its volumes as an image; [`super::Applied::id`] is its id.
    Snapshot(Box<SnapshotSpec>),
    /// Removes the images that were built for a project and have its name. One that is in use stays.
    RemoveImages {
        /// Whose.
        project: String,
    },
    /// Removes snapshots of a project.
    RemoveSnapshots {
        /// The project.
        project: String,
        /// Only of these tests' dependencies, and not the newest ones.
        beyond: Option<Newest>,
    },
    /// Removes, at once, every container, network and volume of a test environment.
    RemoveEnvironment {
        /// The project.
        project: String,
        /// The environment.
        environment: String,
    },
}

/// A network to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Its name at the engine.
    pub name: String,
    /// What the files say of it.
    pub network: Network,
    /// All its labels; the files' own are among them.
    pub labels: BTreeMap<String, String>,
}

/// A volume to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Its name at the engine.
    pub name: String,
    /// What the files say of it.
    pub volume: Volume,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
}

/// An image to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildSpec {
    /// The reference it gets.
    pub tag: String,
    /// What the files say of it.
    pub build: Build,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// `os/arch`.
    pub platform: Option<String>,
}

/// A container to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// The image's reference.
    pub image: String,
    /// What the files say of it. Its `networks`, `environment`, `volumes` of named volumes, `labels`, `container_name`,
    /// `image` and everything of `service:…` are replaced by the resolved ones below.
    pub service: Service,
    /// `NAME=value`, or `NAME` alone to unset what the image sets.
    pub env: Vec<String>,
    /// The networks by engine name, the one to create it on first; empty with a `network_mode`.
    pub networks: Vec<EndpointSpec>,
    /// The engine names of the volumes that the service names, by their keys in the files.
    pub volumes: BTreeMap<String, String>,
    /// What it shares with other containers of the project.
    pub shares: Shares,
    /// All its labels, without [`compose::IMAGE`], which only the engine knows: the adapter adds it.
    pub labels: BTreeMap<String, String>,
    /// Publishes the service's ports on the host.
    pub publish: bool,
    /// The engine restarts it by the file's own policy.
    pub restart: bool,
    /// Removes it when its process has ended.
    pub auto_remove: bool,
    /// Puts its process under the park, where that can run.
    pub park: Option<Park>,
}

/// What a container uses of others as its own, by the names of those. In the service it is `service:…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Whose network.
    pub network: Option<String>,
    /// Whose shared memory and semaphores.
    pub ipc: Option<String>,
    /// Whose processes it sees.
    pub pid: Option<String>,
    /// Whose volumes, and whether only to read.
    pub volumes: Vec<(String, bool)>,
    /// Who has which name on the engine's own network.
    pub links: Vec<(String, String)>,
}

impl Shares {
    /// Whether it can only run while another container does.
    pub fn namespaces(&self) -> bool {
        self.network.is_some() || self.ipc.is_some() || self.pid.is_some()
    }

    /// The other containers.
    pub fn containers(&self) -> impl Iterator<Item = &String> {
        let namespaces = [&self.network, &self.ipc, &self.pid];
        let links = self.links.iter().map(|(name, _)| name);
        namespaces.into_iter().flatten().chain(self.volumes.iter().map(|(name, _)| name)).chain(links)
    }
}

/// A container of which nothing is said.
#[cfg(test)]
pub(crate) fn plain() -> ContainerSpec {
    ContainerSpec {
        name: "shop-api-1".to_owned(),
        image: "shop-api".to_owned(),
        service: Service::default(),
        env: Vec::new(),
        networks: Vec::new(),
        volumes: BTreeMap::new(),
        shares: Shares::default(),
        labels: BTreeMap::new(),
        publish: false,
        restart: false,
        auto_remove: false,
        park: None,
    }
}

/// What the park does in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Park {
    /// Runs the command, and restarts it in place.
    Serve,
    /// Waits for the word to run the command once.
    Wait {
        /// Something is to be fetched from the container when it has ended: whoever made it removes it.
        stays: bool,
    },
}

/// An image to make of a container, from which others start where it stopped.
///
/// It has no volumes of its own: what they hold is in the image itself, so that a container made from it writes into
/// its own layer and shares nothing, and nothing is copied before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSpec {
    /// The stopped container.
    pub container: String,
    /// The reference that the image gets.
    pub image: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Labels of what is only there while it is made.
    pub scaffold: BTreeMap<String, String>,
    /// Copies all files into one layer, as happens anyway where the engine cannot use layers of the container's image
    /// again.
    pub flat: bool,
}

/// Which snapshots of one suite stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Whose tests.
    pub tests_of: String,
    /// This key, in any case.
    pub key: String,
    /// So many others.
    pub others: usize,
}

/// A container's place on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSpec {
    /// The network's engine name.
    pub network: String,
    /// The names it answers to there.
    pub aliases: Vec<String>,
    /// Names under which it sees other containers: `container:alias`.
    pub links: Vec<String>,
    /// What the files say of it. Its aliases are among those above.
    pub attachment: Attachment,
}

/// A command to run in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// The command and its arguments.
    pub cmd: Vec<String>,
    /// Allocates a terminal of this size: columns, rows.
    pub tty: Option<(u16, u16)>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// A user instead of the container's.
    pub user: Option<String>,
    /// A folder instead of the container's working directory.
    pub workdir: Option<String>,
    /// Extended privileges.
    pub privileged: bool,
}

/// Which part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Goes on as more is written.
    pub follow: bool,
    /// Only so many lines from the end.
    pub tail: Option<u64>,
    /// Only lines since then, lines of that very moment included.
    pub since: Option<jiff::Timestamp>,
}

/// How a health check is run. What the file does not say comes from the image, what that does not say from Docker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `CMD …` or `CMD-SHELL …`.
    pub test: Vec<String>,
    /// Between two checks, once it is up.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Failures in this time from the start do not count.
    pub start_period: Duration,
}

/// Where an engine might be, most likely first, each with why it was thought of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `unix:///…`, `tcp://…`.
    pub endpoint: String,
    /// `DOCKER_HOST`, `context colima`, `Docker's usual socket`.
    pub why: String,
    /// A folder with certificates, for TLS.
    pub certificates: Option<PathBuf>,
}
