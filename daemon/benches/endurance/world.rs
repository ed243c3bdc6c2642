//! An engine, a daemon and a project together: brought up, waited for, and looked over.

use crate::chance::Chance;
use crate::daemon::{Daemon, Manner, Programs};
use crate::engine::{Engine, command, text};
use crate::load::{self, Load};
use crate::process;
use crate::shop::{OFF, ONCE, STILL, Shop, TESTED};
use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What has not recovered after this has not recovered.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where everything is, as the script that starts this has made it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) engine: PathBuf,
    pub(crate) cgroup: String,
    pub(crate) images: PathBuf,
    pub(crate) programs: PathBuf,
}

impl Place {
    pub(crate) fn of_environment() -> anyhow::Result<Self> {
        let of =
            |name: &str| std::env::var(name).with_context(|| format!("{name} is not set: scripts/torture"));
        let host = of("DOCKER_HOST")?;
        let folder = PathBuf::from(of("DEVD_ENDURANCE_FOLDER")?);
        Ok(Self {
            engine: host.strip_prefix("unix://").context("DOCKER_HOST is no unix socket")?.into(),
            cgroup: of("DEVD_ENDURANCE_CGROUP")?,
            images: folder.join("images.tar"),
            programs: of("DEVD_BENCH_BIN")?.into(),
            folder,
        })
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) shop: Arc<Shop>,
    pub(crate) load: Load,
    pub(crate) daemon: Daemon,
    pub(crate) engine: Engine,
    /// What the daemon had when all was well for the first time.
    usual: process::Used,
}

/// When things were as they should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calm {
    /// Every service ran.
    pub(crate) up: Instant,
    /// Nothing was under way, and every verdict was the right one.
    pub(crate) all: Instant,
}

/// Which process stands for each service that nobody touches.
pub(crate) type Identities = BTreeMap<&'static str, String>;

impl World {
    pub(crate) fn new(place: &Place, seed: u64) -> anyhow::Result<Self> {
        let mut chance = Chance::of(seed);
        let engine = Engine::new(&place.folder, &place.engine, &place.cgroup, &place.images)?;
        let shop = Arc::new(Shop::new(&place.folder)?);
        let mut daemon = Daemon::new(&place.folder, &Programs::of(&place.programs)?)?;
        for (folder, size) in
            [(daemon.state(), "size=32m,mode=700"), (daemon.state().join("runs"), "size=256m,mode=700")]
        {
            std::fs::create_dir_all(&folder)?;
            command("mount", &["-t", "tmpfs", "-o", size, "state", &text(&folder)])?;
        }
        daemon.start(&Manner::default())?;
        let load = Load::new(&shop, daemon.socket(), Chance::of(chance.next()));
        let mut world = Self { chance, shop, load, daemon, engine, usual: process::Used::default() };
        world.up()?;
        world.usual = world.used()?;
        Ok(world)
    }

    /// Brings the project up, as a user does.
    pub(crate) fn up(&self) -> anyhow::Result<()> {
        self.daemon.run(&self.shop.root, &["up"])?;
        self.daemon.run(&self.shop.root, &["stop", OFF])?;
        self.calm(Instant::now())?;
        Ok(())
    }

    /// Begins anew after something that could not be mended.
    pub(crate) fn reset(&mut self) -> anyhow::Result<()> {
        self.daemon.kill()?;
        self.engine.kill()?;
        self.engine.start(false)?;
        self.engine.clear()?;
        empty(&self.daemon.state())?;
        self.daemon.start(&Manner::default())?;
        self.up()
    }

    /// How long the engine needs to start what runs, one after the other, when nobody helps it.
    pub(crate) fn own_need(&mut self) -> anyhow::Result<Duration> {
        self.daemon.kill()?;
        let mut services = self.engine.containers()?;
        services.retain(|it| it.environment.is_none() && it.state == "running");
        for service in &services {
            self.engine.act(&service.id, "stop?t=0")?;
        }
        let began = Instant::now();
        for service in &services {
            anyhow::ensure!(self.engine.act(&service.id, "start")?, "{} cannot be started", service.service);
        }
        let took = began.elapsed();
        self.daemon.start(&Manner::default())?;
        Ok(took)
    }

    pub(crate) fn used(&self) -> anyhow::Result<process::Used> {
        process::used(self.daemon.pid().context("there is no daemon")?)
    }

    pub(crate) fn status(&self) -> anyhow::Result<Value> {
        let status = self.daemon.ask("GET /v1/status", None, Duration::from_secs(5))?.json()?;
        Ok(load::project(&status, &self.shop.name).clone())
    }

    /// Waits until everything is as it should be. Nobody saves meanwhile.
    pub(crate) fn calm(&self, since: Instant) -> anyhow::Result<Calm> {
        let mut up = None;
        loop {
            let status = self.status();
            let asked = Instant::now();
            let missing = match &status {
                Ok(status) => {
                    if up.is_none() && self.services_missing(status).is_none() && self.services_run() {
                        up = Some(asked);
                    }
                    self.missing(status)
                }
                Err(error) => Some(format!("no status: {error:#}")),
            };
            match (missing, up) {
                (None, Some(up)) => return Ok(Calm { up, all: asked }),
                (missing, _) if since.elapsed() > PATIENCE => {
                    let missing = missing.unwrap_or_default();
                    anyhow::bail!("{missing}; status {}", status.unwrap_or_default());
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Whether the engine says so too: a status is only as new as the daemon's last look.
    fn services_run(&self) -> bool {
        let Ok(containers) = self.engine.containers() else { return false };
        TESTED.iter().chain(&STILL).all(|name| {
            let mut mine = containers.iter().filter(|it| it.environment.is_none() && it.service == *name);
            mine.any(|it| it.state == "running")
        })
    }

    /// The first service that is not as it should be.
    fn services_missing(&self, status: &Value) -> Option<String> {
        let is = |name: &str, wanted: &str| {
            let state = &load::service(status, name)["state"];
            (state != wanted).then(|| format!("{name} is {state}, not {wanted}"))
        };
        let running = TESTED.iter().chain(&STILL).find_map(|name| is(name, "running"));
        running.or_else(|| is(ONCE, "completed")).or_else(|| is(OFF, "stopped"))
    }

    /// What is not as it should be.
    fn missing(&self, status: &Value) -> Option<String> {
        let services = self.services_missing(status);
        let tests = || {
            TESTED.iter().find_map(|name| {
                let tests = &load::service(status, name)["tests"];
                let wanted = self.shop.content(name)?.verdict();
                let right = tests["current"] == true && tests["state"] == wanted;
                (!right).then(|| format!("the tests of {name} are {}, not {wanted}", tests["state"]))
            })
        };
        let settled = || (status["settled"] != true).then(|| "not settled".to_owned());
        services.or_else(tests).or_else(settled)
    }

    /// Which process stands for each service that nobody touches.
    pub(crate) fn identities(&self) -> anyhow::Result<Identities> {
        let containers = self.engine.containers()?;
        let mut identities = Identities::new();
        for name in STILL.into_iter().chain([ONCE]) {
            let found = containers.iter().filter(|it| it.environment.is_none() && it.service == name);
            let mut text = Vec::new();
            for container in found {
                let facts = self.engine.inspect(&container.id)?;
                let state = &facts["State"];
                let children = process::children(state["Pid"].as_u64().unwrap_or_default());
                text.push(format!("{} {} {children:?}", facts["Id"], state["StartedAt"]));
            }
            identities.insert(name, text.join(" "));
        }
        Ok(identities)
    }

    /// What is there and should not be, or is not there and should. Nobody saves meanwhile. What is still being removed
    /// gets some time for that: what was refused is tried again after pauses of up to half a minute.
    pub(crate) fn leftovers(&self) -> anyhow::Result<Vec<String>> {
        let began = Instant::now();
        loop {
            let found = self.leftovers_now();
            match found {
                Ok(found) if found.is_empty() => return Ok(found),
                found if began.elapsed() > Duration::from_secs(45) => return found,
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn leftovers_now(&self) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        let status = self.status()?;
        let warm: u64 =
            TESTED.iter().filter_map(|name| load::service(&status, name)["tests"]["warm"].as_u64()).sum();
        let containers = self.engine.containers()?;
        let environments: BTreeSet<_> = containers.iter().filter_map(|it| it.environment.clone()).collect();
        if environments.len() as u64 != warm {
            found.push(format!("{} test environments, {warm} of them ready", environments.len()));
        }
        let wanted = TESTED.into_iter().chain(STILL).chain([ONCE, OFF]);
        for name in wanted.clone() {
            let mine: Vec<_> =
                containers.iter().filter(|it| it.environment.is_none() && it.service == name).collect();
            let state = if matches!(name, ONCE | OFF) { "exited" } else { "running" };
            let network = format!("{}_default", self.shop.name);
            match mine[..] {
                [one] if one.state == state && one.networks == [network] => {}
                // Stopped before it was ever started.
                [one] if name == OFF && one.state == "created" => {}
                _ => found.push(format!("containers of {name}: {mine:?}")),
            }
        }
        let names: BTreeSet<_> = wanted.collect();
        let odd =
            |it: &&crate::engine::Listed| it.environment.is_none() && !names.contains(it.service.as_str());
        found.extend(containers.iter().filter(odd).map(|it| format!("a container of {}", it.service)));
        // Environments with stopped containers in them are of no use.
        let dead = containers.iter().filter(|it| it.environment.is_some() && it.state != "running");
        found.extend(dead.map(|it| format!("{} {} in a test environment", it.service, it.state)));
        let mut names = BTreeSet::new();
        for network in self.engine.networks()? {
            let known = match &network.environment {
                Some(environment) => environments.contains(environment),
                None => network.name == format!("{}_default", self.shop.name),
            };
            // A second one of the same name is one too many.
            if !known || !names.insert(network.name.clone()) {
                found.push(format!("network {}", network.name));
            }
        }
        let volumes = self.engine.unused_volumes()?;
        found.extend(volumes.iter().map(|volume| format!("volume {volume}")));
        found.extend(self.leftover_files()?);
        let daemons = process::running("devdd")?;
        if daemons.len() != 1 {
            found.push(format!("{} daemons", daemons.len()));
        }
        let used = self.used()?;
        if self.usual.descriptors > 0 && used.descriptors > self.usual.descriptors + 16 {
            found.push(format!("{} file descriptors, {} usually", used.descriptors, self.usual.descriptors));
        }
        if self.usual.threads > 0 && used.threads > self.usual.threads + 16 {
            found.push(format!("{} threads, {} usually", used.threads, self.usual.threads));
        }
        Ok(found)
    }

    /// Logs of no run, and files in the state folder that nobody knows.
    fn leftover_files(&self) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        let runs = self.runs()?;
        for entry in std::fs::read_dir(self.daemon.state().join("runs"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !runs.contains_key(name.trim_end_matches(".log")) {
                found.push(format!("the log {name} of no run"));
            }
        }
        for entry in std::fs::read_dir(self.daemon.state())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let known =
                matches!(name.as_str(), "runs" | "lock" | "lease" | "park") || name.starts_with("history.db");
            if !known {
                found.push(format!("the file {name} in the state folder"));
            }
        }
        Ok(found)
    }

    /// Removes the logs of runs that the history does not know: devd keeps them for a month, for whoever looks into a
    /// database that was put aside.
    pub(crate) fn remove_strays(&self) -> anyhow::Result<()> {
        let runs = self.runs()?;
        for entry in std::fs::read_dir(self.daemon.state().join("runs"))? {
            let path = entry?.path();
            let run = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !runs.contains_key(&run) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The rows of the history: how each run stands.
    pub(crate) fn runs(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let path = self.daemon.state().join("history.db");
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        let mut statement = connection.prepare("SELECT id, state FROM runs")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Runs that the daemon said had ended and that the history knows otherwise, or that have ended and never say so.
    pub(crate) fn lost_runs(&self) -> anyhow::Result<Vec<String>> {
        let finished = self.daemon.finished();
        let began = Instant::now();
        loop {
            let rows = self.runs()?;
            let mut lost = Vec::new();
            for (id, state) in &finished {
                match rows.get(id) {
                    Some(stored) if stored == state => {}
                    stored => lost.push(format!("run {id} {state}, and in the history {stored:?}")),
                }
            }
            let endless = rows.iter().filter(|(_, state)| *state == "running");
            lost.extend(endless.map(|(id, _)| format!("run {id} is still said to run")));
            // What could not be written is tried again once a second.
            if lost.is_empty() || began.elapsed() > Duration::from_secs(3) {
                return Ok(lost);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs that could not be run, or whose tests did not see what they were to see.
    /// `full`: logs may be cut off.
    pub(crate) fn wrong_runs(&self, full: bool) -> anyhow::Result<Vec<String>> {
        let status = self.status()?;
        let mut wrong = Vec::new();
        for name in TESTED {
            let Some(content) = self.shop.content(name) else { continue };
            let run = &load::service(&status, name)["tests"]["run"];
            let run = run.as_str().context("no run")?;
            let log = self.daemon.ask(&format!("GET /v1/runs/{run}/log"), None, Duration::from_secs(5))?;
            let expected = format!("tested {}\n", content.number);
            if !log.body.ends_with(&expected) && log.is_ok() && !(full && log.body.is_empty()) {
                wrong.push(format!("run {run} of {name} wrote {:?}, not {expected:?}", log.body));
            }
        }
        Ok(wrong)
    }
}

/// Removes the files of a folder and of those in it, which may be file systems of their own.
fn empty(folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            empty(&entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
