//! Cases 1 and 2: from a save to the first act of the test's process, and to the verdict.
//!
//! The tests are a shell script in the folder that is saved to. Its first act is a mark with a number that the save
//! brought, its last another. So what runs is what was saved, and the time in between is the tests' own.
//!
//! Two files are saved in turn: one file that changes right after every run looks like tests that write into their own
//! folder, and devd waits longer and longer before it believes in a person.

use crate::guard;
use crate::marks::{self, Marks};
use crate::peers::{Compose, Peers};
use crate::table::{DEVD, Row, stages};
use crate::world::{World, write};
use crate::{Sizes, say};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FIRST: &str = "save to the tests' first act, warm";
const VERDICT: &str = "save to the verdict, without the tests' own time, warm";
pub(crate) const SERVICE: &str = "app";
/// The files that are saved, and the variable that each sets.
const FILES: [(&str, &str); 2] = [("app/one.sh", "one"), ("app/two.sh", "two")];

/// A project whose one service has these tests, with a database beside them.
#[derive(Debug)]
pub(crate) struct Tested {
    pub(crate) root: PathBuf,
    pub(crate) project: String,
    pub(crate) marks: Marks,
    /// What the tests take by themselves.
    takes: &'static str,
    /// The numbers that are in the files.
    saves: std::cell::Cell<[u32; 2]>,
}

/// A save, as it was done.
#[derive(Debug)]
pub(crate) struct Save {
    /// What the tests add to their marks.
    word: String,
    /// Before the file was opened.
    pub(crate) at: Instant,
    file: &'static str,
}

impl Save {
    /// The mark that the tests make first.
    pub(crate) fn began(&self) -> String {
        format!("began {}", self.word)
    }

    /// The mark that they make last.
    pub(crate) fn ended(&self) -> String {
        format!("ended {}", self.word)
    }
}

/// The database beside the tests.
pub(crate) const REDIS: &str = "image: redis:7";
pub(crate) const POSTGRES: &str = "image: postgres:15\n    environment: {POSTGRES_PASSWORD: secret}\n    \
                                   healthcheck: {test: [CMD, pg_isready, -q, -h, 127.0.0.1], interval: 1s}";

impl Tested {
    pub(crate) fn new(world: &World, suffix: &str, takes: &'static str) -> anyhow::Result<Self> {
        Self::with(world, suffix, takes, REDIS)
    }

    pub(crate) fn with(
        world: &World,
        suffix: &str,
        takes: &'static str,
        database: &str,
    ) -> anyhow::Result<Self> {
        let (root, project) = world.project(suffix)?;
        let marks = world.marks(suffix)?;
        let this = Self { root, project, marks, takes, saves: std::cell::Cell::default() };
        this.pool(1)?;
        let condition = if database.contains("healthcheck") { "service_healthy" } else { "service_started" };
        let volume = &this.marks.volume;
        write(
            &this.root.join("app/docker-compose.yml"),
            &format!(
                "services:\n  tests:\n    image: busybox:1\n    command: sh /src/test.sh\n    \
                 volumes: [\".:/src\", \"marks:/marks\"]\n    depends_on: {{db: {{condition: {condition}}}}}\n  \
                 db:\n    {database}\n\
                 volumes:\n  marks: {{external: true, name: {volume}}}\n"
            ),
        )?;
        let (fifo, takes) = (marks::PATH, this.takes);
        write(
            &this.root.join("app/test.sh"),
            &format!(
                ". /src/one.sh\n. /src/two.sh\necho began $one $two >{fifo}\necho test $one $two\nsleep {takes}\n\
                 echo ended $one $two >{fifo}\n"
            ),
        )?;
        this.save_to(1)?;
        this.save_to(0)?;
        Ok(this)
    }

    /// Says how many environments are to stand ready.
    pub(crate) fn pool(&self, environments: u32) -> anyhow::Result<()> {
        let tests = format!("{{file: app/docker-compose.yml, pool: {environments}}}");
        let compose = "services:\n  app:\n    image: busybox:1\n    command: sleep 1000000\n    volumes: [\"./app:/src\"]";
        write(&self.root.join("docker-compose.yml"), &format!("{compose}\n    x-devd: {{tests: {tests}}}\n"))
    }

    /// Saves other tests than before, to the file that was not saved last.
    pub(crate) fn save(&self) -> anyhow::Result<Save> {
        let last = self.saves.get();
        self.save_to(if last[0] > last[1] { 1 } else { 0 })
    }

    /// Saves other tests than before to one of the files.
    pub(crate) fn save_to(&self, place: usize) -> anyhow::Result<Save> {
        let mut saves = self.saves.get();
        saves[place] += 1 + saves[0].max(saves[1]) - saves[place];
        self.saves.set(saves);
        let (file, variable) = FILES[place];
        let at = Instant::now();
        write(&self.root.join(file), &format!("{variable}={}\n", saves[place]))?;
        Ok(Save { word: format!("{} {}", saves[0], saves[1]), at, file })
    }

    /// Has it run by devd, its first verdict included.
    pub(crate) fn up(&self, world: &World) -> anyhow::Result<()> {
        world.run(&self.root, &["up"])?;
        self.until_ready(world)
    }

    /// Waits until the next save finds everything as a person's next save does.
    pub(crate) fn until_ready(&self, world: &World) -> anyhow::Result<()> {
        world.until_quiet(&self.project, &[SERVICE], 1)
    }
}

/// What one round showed.
#[derive(Debug, Default)]
struct Times {
    first: Vec<Duration>,
    beyond: Vec<Duration>,
}

impl Times {
    fn add(&mut self, saved: Instant, began: Instant, ended: Instant, known: Instant) {
        self.first.push(began - saved);
        self.beyond.push((began - saved) + (known - ended));
    }

    fn rows(&self, who: &str) -> [Row; 2] {
        [Row::times(1, FIRST, who, &self.first), Row::times(2, VERDICT, who, &self.beyond)]
    }
}

pub(crate) fn rows(world: &World, sizes: &Sizes, peers: &Peers) -> anyhow::Result<Vec<Row>> {
    let tested = Tested::new(world, "saves", "0.1")?;
    tested.up(world)?;
    let mut rows = Vec::new();
    for (how, told, bound) in [("`devd saved`", true, 10.0), ("inotify alone", false, 40.0)] {
        say(&format!("cases 1 and 2: {} saves, {how}", sizes.saves));
        let (times, runs) = by_devd(world, &tested, sizes.saves, told)?;
        let cold = runs.iter().filter(|run| is_cold(run)).count();
        let note =
            if cold == 0 { how.to_owned() } else { format!("{how}; {cold} of them found nothing ready") };
        // The peers are compared with the way that an editor's hook goes.
        let suffix = if told { "" } else { ", inotify alone" };
        for (row, bound) in times.rows(DEVD).into_iter().zip([bound, 25.0]) {
            let what = format!("{}{suffix}", row.what);
            let row = row.named(what);
            rows.push(row.at_most(bound).note(note.clone()));
        }
        rows.extend(stages(1, how, &runs));
    }
    // From here on devd must not run what the peers are to run.
    world.run(&tested.root, &["down"])?;
    if let Some(compose) = &peers.compose {
        say(&format!("cases 1 and 2: {} times {} run", sizes.peers, compose.name));
        let times = by_compose(&tested, compose, sizes.peers)?;
        let [first, verdict] = times.rows(&format!("{} run --rm tests", compose.name));
        rows.push(first.at_least_times(40.0).note("its db was up already"));
        rows.push(verdict.note("its db was up already"));
    }
    say(&format!("cases 1 and 2: {} times docker run and docker exec", sizes.peers));
    let times = by_engine(&tested, sizes.peers, &["run", "--rm"])?;
    rows.extend(times.rows("docker run --rm").map(|row| row.note("no db, no network of its own")));
    let container = container(&tested)?;
    let times = by_engine(&tested, sizes.peers, &["exec", &container])?;
    rows.extend(times.rows("docker exec").map(|row| row.note("in a container that others used")));
    if let Some(version) = &peers.watchexec {
        say(&format!("case 1: {} saves before watchexec {version}", sizes.peers));
        let first = by_watchexec(&tested, sizes.peers, &container)?;
        rows.push(
            Row::times(1, FIRST, "watchexec, docker exec", &first).note("in a container that others used"),
        );
    }
    guard::remove_from_engine(&tested.project);
    Ok(rows)
}

/// Whether a run found no environment ready.
pub(crate) fn is_cold(run: &Value) -> bool {
    run["stages"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|stage| stage["name"] == "cold" || stage["name"] == "awaited")
}

fn by_devd(world: &World, tested: &Tested, rounds: u32, told: bool) -> anyhow::Result<(Times, Vec<Value>)> {
    let mut times = Times::default();
    let mut ids = Vec::new();
    for _ in 0..rounds {
        tested.until_ready(world)?;
        let from = world.events.now();
        let save = tested.save()?;
        // As an editor's hook does it: the process is started, and nobody waits for it.
        let hook = if told {
            Some(guard::start(&mut world.devd(&tested.root, &["saved", save.file]))?)
        } else {
            None
        };
        let began = tested.marks.until(&save.began())?;
        let ended = tested.marks.until(&save.ended())?;
        let (known, event) = world.events.until("a verdict", from, |event| {
            event["kind"] == "run_finished" && event["run"]["service"] == SERVICE
        })?;
        anyhow::ensure!(event["run"]["state"] == "passed", "the tests did not pass: {:#}", event["run"]);
        hook.map(guard::Process::wait).transpose()?;
        times.add(save.at, began, ended, known);
        ids.push(event["run"]["id"].as_str().unwrap_or_default().to_owned());
    }
    let runs = world.runs(&tested.root, &ids)?;
    Ok((times, runs))
}

/// Nobody watches: the command is given the moment that the save is done.
fn by_compose(tested: &Tested, compose: &Compose, rounds: u32) -> anyhow::Result<Times> {
    let project = format!("{}c", tested.project);
    let (file, folder) = ("docker-compose.yml", tested.root.join("app"));
    compose.run(&folder, file, &project, &["up", "-d", "db"])?;
    let mut times = Times::default();
    // The first one is not counted.
    for round in 0..=rounds {
        let save = tested.save()?;
        let mut command = compose.command(&folder, file, &project, &["run", "--rm", "-T", "tests"]);
        let times = if round == 0 { &mut Times::default() } else { &mut times };
        measured(tested, &mut command, &save, times)?;
    }
    compose.run(&folder, file, &project, &["down", "-t", "0"])?;
    Ok(times)
}

fn by_engine(tested: &Tested, rounds: u32, words: &[&str]) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for round in 0..=rounds {
        let save = tested.save()?;
        let mut command = Command::new("docker");
        command.args(words);
        if words[0] == "run" {
            command.args(mounts(tested)).arg("busybox:1");
        }
        command.args(["sh", "/src/test.sh"]);
        let times = if round == 0 { &mut Times::default() } else { &mut times };
        measured(tested, &mut command, &save, times)?;
    }
    Ok(times)
}

/// A command that runs the tests, and ends when the verdict is known.
fn measured(tested: &Tested, command: &mut Command, save: &Save, times: &mut Times) -> anyhow::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let process = guard::start(command)?;
    let began = tested.marks.until(&save.began())?;
    let ended = tested.marks.until(&save.ended())?;
    let status = process.wait()?;
    let known = Instant::now();
    anyhow::ensure!(status.success(), "{command:?}: {status}");
    times.add(save.at, began, ended, known);
    Ok(())
}

fn mounts(tested: &Tested) -> [String; 6] {
    let source = tested.root.join("app");
    [
        "--label".to_owned(),
        format!("{}={}", guard::LABEL, tested.project),
        "-v".to_owned(),
        format!("{}:/src", source.display()),
        "-v".to_owned(),
        format!("{}:/marks", tested.marks.volume),
    ]
}

/// A container for `docker exec`.
fn container(tested: &Tested) -> anyhow::Result<String> {
    let mounts = mounts(tested);
    let mut args = vec!["run", "-d", "--init"];
    args.extend(mounts.iter().map(String::as_str));
    args.extend(["busybox:1", "sleep", "1000000"]);
    guard::docker(&args)
}

fn by_watchexec(tested: &Tested, rounds: u32, container: &str) -> anyhow::Result<Vec<Duration>> {
    let mut command = Command::new("watchexec");
    command.args([
        "--postpone",
        "-q",
        "-n",
        "-w",
        "app",
        "--",
        "docker",
        "exec",
        container,
        "sh",
        "/src/test.sh",
    ]);
    command.current_dir(&tested.root).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let watchexec = guard::start(&mut command)?;
    // It says nowhere that it has begun to watch.
    std::thread::sleep(Duration::from_secs(1));
    let mut times = Vec::new();
    for _ in 0..rounds {
        let save = tested.save()?;
        times.push(tested.marks.until(&save.began())? - save.at);
        tested.marks.until(&save.ended())?;
        // Its command must have ended as well, or the next save would be one during a run.
        std::thread::sleep(Duration::from_millis(300));
    }
    drop(watchexec);
    Ok(times)
}
