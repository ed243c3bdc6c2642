//! A Docker engine of the harness's own, which may be killed: its data on a file system in memory that can be filled.
//!
//! `scripts/endurance` has made namespaces for it: its networks, mounts and processes are nobody else's, and end with
//! the harness.

use crate::http::{self, Answer};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// How large the engine's file system is.
const SIZE: &str = "1536m";

#[derive(Debug)]
pub(crate) struct Engine {
    folder: PathBuf,
    socket: PathBuf,
    cgroup: String,
    dockerd: Option<Child>,
    /// It could only be started without what it knew of its networks.
    pub(crate) forgetful: bool,
}

/// A container as the engine lists it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) service: String,
    /// The test environment that it belongs to.
    pub(crate) environment: Option<String>,
    pub(crate) state: String,
    /// The names of its networks.
    pub(crate) networks: Vec<String>,
}

/// A network as the engine lists it.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// There can be several of one name.
    pub(crate) id: String,
    pub(crate) name: String,
    /// The test environment that it belongs to.
    pub(crate) environment: Option<String>,
}

impl Engine {
    /// Starts one with these images, which lie in a file.
    pub(crate) fn new(folder: &Path, socket: &Path, cgroup: &str, images: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("engine");
        std::fs::create_dir_all(&folder)?;
        command("mount", &["-t", "tmpfs", "-o", &format!("size={SIZE}"), "engine", &text(&folder)])?;
        let mut engine = Self {
            folder,
            socket: socket.to_owned(),
            cgroup: cgroup.to_owned(),
            dockerd: None,
            forgetful: false,
        };
        engine.start(false)?;
        command("docker", &["load", "--quiet", "--input", &text(images)])?;
        Ok(engine)
    }

    /// Starts it, and waits until it answers. `live_restore`: it leaves running containers alone at its start.
    pub(crate) fn start(&mut self, live_restore: bool) -> anyhow::Result<Instant> {
        self.forgetful = false;
        match self.try_start(live_restore) {
            Err(error) => {
                // Docker 20.10 cannot read a network that it was killed amid making, and panics at every start. Its users
                // remove this file then, and with it all networks.
                crate::say(&format!("{error:#}: its networks are given up"));
                self.kill()?;
                std::fs::remove_file(self.folder.join("data/network/files/local-kv.db"))?;
                self.forgetful = true;
                self.try_start(live_restore)
            }
            started => started,
        }
    }

    fn try_start(&mut self, live_restore: bool) -> anyhow::Result<Instant> {
        let log =
            File::options().create(true).append(true).open(self.folder.with_file_name("dockerd.log"))?;
        for stale in ["docker.pid", "exec/containerd/containerd.pid"] {
            // What a killed one left names a process that is somebody else's by now, perhaps.
            _ = std::fs::remove_file(self.folder.join(stale));
        }
        let of = |name: &str| text(&self.folder.join(name));
        let mut dockerd = Command::new("dockerd");
        dockerd
            .args(["--data-root", &of("data"), "--exec-root", &of("exec"), "--pidfile", &of("docker.pid")])
            .args(["--host", &format!("unix://{}", text(&self.socket)), "--group", "root"])
            .args(["--bip", "10.213.0.1/24", "--default-address-pool", "base=10.214.0.0/16,size=24"])
            .args(["--cgroup-parent", &self.cgroup, "--log-level", "warn"])
            .env_remove("DOCKER_HOST")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if live_restore {
            dockerd.arg("--live-restore");
        }
        self.dockerd = Some(dockerd.spawn().context("dockerd")?);
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            let ended = self.dockerd.as_mut().map(Child::try_wait).transpose()?.flatten();
            anyhow::ensure!(ended.is_none(), "dockerd ended at once: see its log");
            anyhow::ensure!(Instant::now() < deadline, "dockerd does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Instant::now())
    }

    pub(crate) fn answers(&self) -> bool {
        http::ask(&self.socket, "GET /_ping", None, Duration::from_secs(5)).is_ok_and(|it| it.is_ok())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut dockerd) = self.dockerd.take() {
            let containerd = self.containerd();
            dockerd.kill()?;
            dockerd.wait()?;
            // Its containerd ends with it, or the next one could not start.
            if let Some(pid) = containerd {
                crate::process::kill(pid);
                crate::process::until_gone(pid);
            }
        }
        Ok(())
    }

    /// The process of its containerd.
    pub(crate) fn containerd(&self) -> Option<u32> {
        let file = self.folder.join("exec/containerd/containerd.pid");
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    }

    /// Where its data lies.
    pub(crate) fn disk(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn ask(&self, request: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        http::ask(&self.socket, request, body, PATIENCE)
    }

    fn list(&self, what: &str) -> anyhow::Result<Value> {
        self.ask(&format!("GET {what}"), None)?.json()
    }

    /// Every container there is.
    pub(crate) fn containers(&self) -> anyhow::Result<Vec<Listed>> {
        let all = self.list("/containers/json?all=1")?;
        let of = |it: &Value| {
            let label = |name: &str| it["Labels"][name].as_str().map(str::to_owned);
            let networks = it["NetworkSettings"]["Networks"].as_object();
            Listed {
                id: it["Id"].as_str().unwrap_or_default().to_owned(),
                service: label("com.docker.compose.service").unwrap_or_default(),
                environment: label("dev.devd.environment"),
                state: it["State"].as_str().unwrap_or_default().to_owned(),
                networks: networks.into_iter().flat_map(|it| it.keys().cloned()).collect(),
            }
        };
        let mut all: Vec<Listed> = all.as_array().context("containers")?.iter().map(of).collect();
        // An engine that was killed amid removing it lists it for as long as it runs, and says that there is none.
        all.retain(|it| {
            let inspected = || self.ask(&format!("GET /containers/{}/json", it.id), None);
            it.state != "dead" || inspected().is_ok_and(|answer| answer.code != 404)
        });
        Ok(all)
    }

    /// The networks that the engine does not bring itself.
    pub(crate) fn networks(&self) -> anyhow::Result<Vec<Network>> {
        let all = self.list("/networks")?;
        let own = |name: &str| matches!(name, "bridge" | "host" | "none");
        let of = |it: &Value| {
            let name = it["Name"].as_str()?.to_owned();
            let id = it["Id"].as_str()?.to_owned();
            let environment = it["Labels"]["dev.devd.environment"].as_str().map(str::to_owned);
            (!own(&name)).then_some(Network { id, name, environment })
        };
        Ok(all.as_array().context("networks")?.iter().filter_map(of).collect())
    }

    /// Volumes that no container uses.
    pub(crate) fn unused_volumes(&self) -> anyhow::Result<Vec<String>> {
        // {"dangling":["true"]}
        let all = self.list("/volumes?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D")?;
        let volumes = all["Volumes"].as_array().into_iter().flatten();
        Ok(volumes.filter_map(|it| it["Name"].as_str().map(str::to_owned)).collect())
    }

    pub(crate) fn images(&self) -> anyhow::Result<usize> {
        Ok(self.list("/images/json?all=1")?.as_array().map_or(0, Vec::len))
    }

    pub(crate) fn inspect(&self, container: &str) -> anyhow::Result<Value> {
        self.list(&format!("/containers/{container}/json"))
    }

    /// Does something to a container, which may be gone by now: `kill`, `stop?t=1`, `pause`, `unpause`, `start`.
    pub(crate) fn act(&self, container: &str, what: &str) -> anyhow::Result<bool> {
        Ok(self.ask(&format!("POST /containers/{container}/{what}"), None)?.is_ok())
    }

    pub(crate) fn remove(&self, container: &str) -> anyhow::Result<bool> {
        Ok(self.ask(&format!("DELETE /containers/{container}?force=1&v=1"), None)?.is_ok())
    }

    /// Takes a network from under its containers.
    pub(crate) fn remove_network(&self, id: &str) -> anyhow::Result<bool> {
        let network = self.list(&format!("/networks/{id}"))?;
        for container in network["Containers"].as_object().into_iter().flat_map(|it| it.keys()) {
            let body = json!({ "Container": container, "Force": true });
            self.ask(&format!("POST /networks/{id}/disconnect"), Some(&body))?;
        }
        Ok(self.ask(&format!("DELETE /networks/{id}"), None)?.is_ok())
    }

    /// Removes all containers, networks and volumes.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        for container in self.containers()? {
            self.act(&container.id, "unpause")?;
            self.remove(&container.id)?;
        }
        for network in self.networks()? {
            self.remove_network(&network.id)?;
        }
        for volume in self.unused_volumes()? {
            self.ask(&format!("DELETE /volumes/{volume}?force=1"), None)?;
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        _ = self.clear();
        _ = self.kill();
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command and expects it to succeed.
pub(crate) fn command(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new(program).args(args).stdin(Stdio::null()).output().context(program.to_owned())?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program} {args:?}: {error}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
