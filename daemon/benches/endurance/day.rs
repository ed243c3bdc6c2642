//! A day of work on the engine in memory, whose clock jumps over what nobody needs to wait for.

use crate::soak::{self, Sample};
use crate::{Flags, process, say};
use anyhow::Context as _;
use devd_logic::{Limits, Memory};
use devd_proto::{ProjectSource, ProjectStatus, ServiceName, TestsState};
use devdd::blueprint::Blueprint;
use devdd::engine::fake::Fake;
use devdd::history::History;
use devdd::hub::Hub;
use devdd::project::run::{self, Surroundings};
use devdd::project::{Handle, Message, Request};
use devdd::system::metrics::Metrics;
use devdd::system::traces::Traces;
use devdd::warm::machine::Machine;
use devdd::watch::{Action, Change, ChangeKind, TestsEffect, Watcher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const SERVICES: usize = 10;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A person who is at it all day.
const SAVE: Duration = Duration::from_secs(2);
const SAMPLE: Duration = Duration::from_secs(120);
const NAME: &str = "day";

/// Whether everything stayed flat.
pub(crate) fn run(flags: Flags) -> anyhow::Result<bool> {
    let flags = Flags { lasts: DAY, ..flags };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    let began = std::time::Instant::now();
    let (samples, saves) = runtime.block_on(day())?;
    let (text, flat) = soak::show(&samples);
    println!("\n{}", crate::heading("a day on the engine in memory", &flags)?);
    println!(
        "{SERVICES} services with tests, {saves} saves and as many runs in {:.0} s\n\n{text}",
        began.elapsed().as_secs_f64()
    );
    Ok(flat)
}

async fn day() -> anyhow::Result<(Vec<Sample>, u32)> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().canonicalize()?.join(NAME);
    write(&root)?;
    let source = ProjectSource { dir: root.display().to_string(), ..ProjectSource::default() };
    let blueprint =
        Arc::new(Blueprint::load(&source).map_err(|error| anyhow::anyhow!("{:?}", error.diagnostics))?);
    let fake = Fake::default();
    let surroundings = Surroundings {
        engine: fake.clone(),
        // The files do not change: what is saved is said.
        watcher: Watcher::new(tokio::sync::mpsc::unbounded_channel().0)?,
        history: History::open(&folder.path().join("state"))?,
        hub: Hub::default(),
        limits: Limits { runs: 2 },
        metrics: Metrics::new(),
        traces: Traces::default(),
        machine: Arc::new(Machine::new(1 << 30, Duration::from_secs(900), 2)),
    };
    let handle = run::start(surroundings, blueprint, source, Memory::default(), || {}).await;
    handle.tell(Message::FilesKnown);
    handle
        .ask(|reply| Request::Up { services: Vec::new(), build: false, reply })
        .await
        .context("it ended")?;
    until_tested(&handle).await?;
    say("a day begins");
    let began = Instant::now();
    let (mut samples, mut saves, mut next) = (Vec::new(), 0, began);
    while began.elapsed() < DAY {
        handle.tell(save(&root, saves));
        saves += 1;
        tokio::time::sleep(SAVE).await;
        until_tested(&handle).await?;
        // What the engine remembers is not the daemon's memory.
        fake.forget_past();
        if Instant::now() >= next {
            let used = process::used(std::process::id())?;
            let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
            samples.push([
                used.rss_kib as f64 / 1024.0,
                used.descriptors as f64,
                used.threads as f64,
                tasks as f64,
            ]);
            if samples.len().is_multiple_of(90) {
                say(&format!("{} hours", began.elapsed().as_secs() / 3600));
            }
            next += SAMPLE;
        }
    }
    handle.ask(|reply| Request::Close { reply }).await.context("it ended")?;
    Ok((samples, saves))
}

fn write(root: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(root)?;
    let mut compose = "services:\n".to_owned();
    for number in 0..SERVICES {
        std::fs::create_dir_all(root.join(format!("s{number}/app")))?;
        let tests = "services:\n  tests:\n    image: busybox:1\n    command: sh /app/test.sh\n    volumes: ['./app:/app']\n";
        std::fs::write(root.join(format!("s{number}/tests.yaml")), tests)?;
        compose += &format!(
            "  s{number}:\n    image: busybox:1\n    volumes: ['./s{number}/app:/app']\n    x-devd: {{tests: {{file: s{number}/tests.yaml}}}}\n"
        );
    }
    std::fs::write(root.join("compose.yaml"), compose)?;
    Ok(())
}

fn save(root: &Path, number: u32) -> Message {
    let service = number as usize % SERVICES;
    Message::Changed(vec![Change {
        path: root.join(format!("s{service}/app/main.py")),
        kind: ChangeKind::Modified,
        service: ServiceName::from(format!("s{service}").as_str()),
        action: Some(Action::Restart),
        develop: None,
        tests: TestsEffect::Rerun,
        pushed: true,
        more: false,
        repeated: false,
    }])
}

async fn until_tested(handle: &Handle) -> anyhow::Result<()> {
    let is_tested = |status: &ProjectStatus| {
        let passed =
            |it: &devd_proto::ServiceStatus| it.tests.current && it.tests.state == TestsState::Passed;
        status.settled && status.services.len() == SERVICES && status.services.iter().all(passed)
    };
    let began = std::time::Instant::now();
    while !is_tested(&handle.status()) {
        anyhow::ensure!(began.elapsed() < Duration::from_secs(120), "never tested: {:?}", handle.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
