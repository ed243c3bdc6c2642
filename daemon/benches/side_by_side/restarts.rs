//! Case 3: from a save to the new code's answer, without what the service itself needs to start.
//!
//! The service's command marks its own begin, and its last act before it serves is another mark, with the word that was
//! saved. What lies between the two is the service's own.

use crate::guard;
use crate::marks::{self, Marks};
use crate::peers::{Compose, Peers};
use crate::table::{DEVD, Row};
use crate::world::{World, free_port, write};
use crate::{Sizes, say};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SERVER: &str = include_str!("server.py");

/// One service, in one of two manners.
#[derive(Debug)]
struct Served {
    root: PathBuf,
    project: String,
    marks: Marks,
    port: u16,
    manner: &'static str,
    saves: std::cell::Cell<u32>,
}

impl Served {
    fn new(world: &World, manner: &'static str) -> anyhow::Result<Self> {
        let (root, project) = world.project(manner)?;
        let marks = world.marks(manner)?;
        let this =
            Self { root, project, marks, port: free_port()?, manner, saves: std::cell::Cell::default() };
        let (command, port, volume) = (this.command(), this.port, &this.marks.volume);
        write(
            &this.root.join("docker-compose.yml"),
            &format!(
                "services:\n  app:\n    build: ./app\n    command: [\"sh\", \"-c\", \"{command}\"]\n    \
                 volumes: [\"./app:/src\", \"marks:/marks\"]\n    ports: [\"{port}:8000\"]\n\
                 volumes:\n  marks: {{external: true, name: {volume}}}\n"
            ),
        )?;
        // The same with copies instead of a mount, as `compose watch` wants it.
        write(
            &this.root.join("watch.yml"),
            &format!(
                "services:\n  app:\n    build: ./app\n    command: [\"sh\", \"-c\", \"{command}\"]\n    \
                 volumes: [\"marks:/marks\"]\n    ports: [\"{port}:8000\"]\n    \
                 develop: {{watch: [{{action: sync+restart, path: ./app, target: /src}}]}}\n\
                 volumes:\n  marks: {{external: true, name: {volume}}}\n"
            ),
        )?;
        write(&this.root.join("app/Dockerfile"), "FROM python:3-slim\nCOPY . /src\n")?;
        write(&this.root.join("app/server.py"), SERVER)?;
        this.save()?;
        this.save()?;
        Ok(this)
    }

    fn command(&self) -> String {
        format!("echo began >{}; exec python /src/server.py {}", marks::PATH, self.manner)
    }

    /// Saves another word than before, to the two files in turn: see `saves`.
    fn save(&self) -> anyhow::Result<(u32, Instant)> {
        let number = self.saves.get() + 1;
        self.saves.set(number);
        let file = Self::file(number);
        let at = Instant::now();
        write(&self.root.join(file), &number.to_string())?;
        Ok((number, at))
    }

    fn file(number: u32) -> &'static str {
        if number.is_multiple_of(2) { "app/even.txt" } else { "app/odd.txt" }
    }

    /// Waits for the answer of what was saved, and takes off what the service needed to start.
    fn served(&self, number: u32, saved: Instant) -> anyhow::Result<Duration> {
        let (began, listening) = self.marks.until_with(&format!("listening {number}"))?;
        let word = get(self.port)?;
        let answered = Instant::now();
        anyhow::ensure!(word.ends_with(&format!("\r\n\r\n{number}")), "it answered: {word}");
        let began = began.ok_or_else(|| anyhow::anyhow!("it listens and never began"))?;
        // A mark of the process before would be older than the save.
        anyhow::ensure!(began >= saved, "the service did not start anew");
        Ok((began - saved) + (answered - listening))
    }

    fn what(&self) -> String {
        match self.manner {
            "polite" => "save to the new code's answer, without the service's own start".to_owned(),
            _ => "the same, and PID 1 ignores TERM".to_owned(),
        }
    }
}

pub(crate) fn rows(world: &World, sizes: &Sizes, peers: &Peers) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for manner in ["polite", "stubborn"] {
        let served = Served::new(world, manner)?;
        // Ten seconds a round pass before the engine kills it.
        let rounds = if manner == "polite" { sizes.peers } else { sizes.slow };
        world.run(&served.root, &["up"])?;
        served.marks.until(&format!("listening {}", served.saves.get()))?;
        for (how, told) in [("", true), (", inotify alone", false)] {
            say(&format!("case 3: {} saves, {manner}{how}", sizes.restarts));
            let what = format!("{}{how}", served.what());
            let times = by_devd(world, &served, sizes.restarts, told)?;
            rows.push(Row::times(3, &what, DEVD, &times).at_most(50.0));
        }
        world.run(&served.root, &["down"])?;
        say(&format!("case 3: {rounds} times docker restart, {manner}"));
        let times = by_engine(&served, rounds)?;
        rows.push(Row::times(3, &served.what(), "docker restart", &times));
        if let Some(compose) = &peers.compose {
            say(&format!("case 3: {rounds} times {} restart, {manner}", compose.name));
            let times = by_compose(&served, compose, rounds)?;
            rows.push(Row::times(3, &served.what(), &format!("{} restart", compose.name), &times));
            if compose.watches() {
                say(&format!("case 3: {rounds} saves before {} watch, {manner}", compose.name));
                let times = by_compose_watch(&served, compose, rounds)?;
                let row =
                    Row::times(3, &served.what(), &format!("{} watch, sync+restart", compose.name), &times);
                rows.push(row.at_least_times(20.0));
            }
        }
        guard::remove_from_engine(&served.project);
    }
    Ok(rows)
}

fn by_devd(world: &World, served: &Served, rounds: u32, told: bool) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        world.until_quiet(&served.project, &[], 0)?;
        let (number, saved) = served.save()?;
        let path = Served::file(number);
        let hook =
            if told { Some(guard::start(&mut world.devd(&served.root, &["saved", path]))?) } else { None };
        times.push(served.served(number, saved)?);
        hook.map(guard::Process::wait).transpose()?;
    }
    Ok(times)
}

/// Saves, and runs a command at once that restarts the service.
fn by_command(served: &Served, rounds: u32, command: impl Fn() -> Command) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (number, saved) = served.save()?;
        let mut command = command();
        let restart = guard::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
        times.push(served.served(number, saved)?);
        restart.wait()?;
    }
    Ok(times)
}

fn by_engine(served: &Served, rounds: u32) -> anyhow::Result<Vec<Duration>> {
    let (command, volume) = (served.command(), &served.marks.volume);
    let (number, _) = served.save()?;
    let id = guard::docker(&[
        "run",
        "-d",
        "--label",
        &format!("{}={}", guard::LABEL, served.project),
        "-p",
        &format!("{}:8000", served.port),
        "-v",
        &format!("{}:/src", served.root.join("app").display()),
        "-v",
        &format!("{volume}:/marks"),
        "python:3-slim",
        "sh",
        "-c",
        &command,
    ])?;
    served.marks.until(&format!("listening {number}"))?;
    let times = by_command(served, rounds, || {
        let mut command = Command::new("docker");
        command.args(["restart", &id]);
        command
    })?;
    guard::docker(&["rm", "-f", &id])?;
    Ok(times)
}

fn by_compose(served: &Served, compose: &Compose, rounds: u32) -> anyhow::Result<Vec<Duration>> {
    let (file, project) = ("docker-compose.yml", format!("{}c", served.project));
    let (number, _) = served.save()?;
    compose.run(&served.root, file, &project, &["up", "-d"])?;
    served.marks.until(&format!("listening {number}"))?;
    let times =
        by_command(served, rounds, || compose.command(&served.root, file, &project, &["restart", "app"]))?;
    compose.run(&served.root, file, &project, &["down", "-t", "0"])?;
    Ok(times)
}

fn by_compose_watch(served: &Served, compose: &Compose, rounds: u32) -> anyhow::Result<Vec<Duration>> {
    let (file, project) = ("watch.yml", format!("{}w", served.project));
    let (number, _) = served.save()?;
    compose.run(&served.root, file, &project, &["up", "-d", "--build"])?;
    served.marks.until(&format!("listening {number}"))?;
    let mut command = compose.command(&served.root, file, &project, &["watch", "--no-up"]);
    let watch = guard::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    // It says in prose that it has begun to watch, and differently in every version.
    std::thread::sleep(Duration::from_secs(3));
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (number, saved) = served.save()?;
        times.push(served.served(number, saved)?);
        // It is deaf while it restarts, and does not say how long.
        std::thread::sleep(Duration::from_secs(1));
    }
    drop(watch);
    compose.run(&served.root, file, &project, &["down", "-t", "0"])?;
    Ok(times)
}

fn get(port: u16) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
