//! A project in memory.

use devd_logic::{Limits, Memory};
use devd_proto::{ProjectSource, Run, ServiceName, TestsState, What};
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
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) fake: Fake,
    pub(crate) handle: Handle,
    pub(crate) dir: TempDir,
    pub(crate) source: ProjectSource,
    /// Runs that ended.
    pub(crate) finished: Arc<Mutex<Vec<Run>>>,
    pub(crate) _state: TempDir,
}

pub(crate) const COMPOSE: &str = "
services:
  api:
    build: ./api
    ports: ['8001:8000']
    volumes: ['./api:/usr/src/app']
    depends_on: [db]
  db:
    image: redis:7
";

pub(crate) const TESTS: &str = "
services:
  tests:
    build: .
    command: python -m unittest
    volumes: ['.:/usr/src/app']
    depends_on: [db]
  db:
    image: redis:7
";

pub(crate) const UNITTEST_FAILURE: &str = "F
======================================================================
FAIL: test_it (test_api.Api.test_it)
----------------------------------------------------------------------
Traceback (most recent call last):
  File \"/usr/src/app/test_api.py\", line 5, in test_it
    self.assertEqual(1, 2)
AssertionError: 1 != 2

----------------------------------------------------------------------
Ran 1 test in 0.001s

FAILED (failures=1)
";

pub(crate) fn write(dir: &TempDir, path: &str, text: &str) {
    let path = dir.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub(crate) async fn bench() -> Bench {
    bench_with(Fake::default(), Memory::default()).await
}

/// With so much memory for environments that stand ready.
pub(crate) async fn bench_with_memory(fake: Fake, bytes: u64) -> Bench {
    make(fake, Memory::default(), bytes).await
}

pub(crate) async fn bench_with(fake: Fake, memory: Memory) -> Bench {
    make(fake, memory, 1 << 30).await
}

async fn make(fake: Fake, memory: Memory, bytes: u64) -> Bench {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = shop(&dir);
    let (notices, _) = tokio::sync::mpsc::unbounded_channel();
    let (watcher, history) = (Watcher::new(notices).unwrap(), History::open(state.path()).unwrap());
    let (handle, finished) = begin(&fake, watcher, history, &source, memory, bytes).await;
    handle.tell(Message::FilesKnown);
    Bench { fake, handle, dir, source, finished, _state: state }
}

/// A project on disk.
pub(crate) fn shop(dir: &TempDir) -> ProjectSource {
    write(dir, "shop/compose.yaml", COMPOSE);
    write(dir, "shop/api/compose.yaml", TESTS);
    write(dir, "shop/api/Dockerfile", "FROM scratch\n");
    ProjectSource {
        dir: dir.path().canonicalize().unwrap().join("shop").display().to_string(),
        env: BTreeMap::new(),
        ..ProjectSource::default()
    }
}

/// A project's loop, and the runs that ended in it.
pub(crate) async fn begin(
    fake: &Fake,
    watcher: Watcher,
    history: History,
    source: &ProjectSource,
    memory: Memory,
    bytes: u64,
) -> (Handle, Arc<Mutex<Vec<Run>>>) {
    let blueprint = Arc::new(Blueprint::load(source).unwrap());
    let hub = Hub::default();
    let finished = Arc::new(Mutex::new(Vec::new()));
    let (mut events, runs) = (hub.subscribe(None), Arc::clone(&finished));
    tokio::spawn(async move {
        while let Ok(event) = events.live.recv().await {
            if let What::RunFinished { run } = &event.what {
                runs.lock().unwrap().push((**run).clone());
            }
        }
    });
    let surroundings = Surroundings {
        engine: fake.clone(),
        watcher,
        history,
        hub,
        limits: Limits { runs: 2 },
        metrics: Metrics::new(),
        traces: Traces::default(),
        machine: Arc::new(Machine::new(bytes, Duration::from_secs(900), 2)),
    };
    (run::start(surroundings, blueprint, source.clone(), memory, || {}).await, finished)
}

impl Bench {
    /// Waits for a status; with the clock paused the limit is never waited for when something can still happen.
    pub(crate) async fn until(
        &self,
        what: &str,
        test: impl Fn(&devd_proto::ProjectStatus) -> bool,
    ) -> Arc<devd_proto::ProjectStatus> {
        until(&self.handle, &self.fake, what, test).await
    }

    pub(crate) async fn up(&self) {
        let revision =
            self.handle.ask(|reply| Request::Up { services: vec![], build: false, reply }).await.unwrap();
        self.until("up and tested", |status| {
            status.revision >= revision && status.settled && tests(status).state == TestsState::Passed
        })
        .await;
    }

    pub(crate) fn save(&self) {
        self.save_file("shop/api/main.py");
    }

    pub(crate) fn save_file(&self, path: &str) {
        let change = Change {
            path: self.dir.path().canonicalize().unwrap().join(path),
            kind: ChangeKind::Modified,
            service: ServiceName::from("api"),
            action: Some(Action::Restart),
            develop: None,
            tests: TestsEffect::Rerun,
            pushed: true,
            more: false,
            repeated: false,
        };
        self.handle.tell(Message::Changed(vec![change]));
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.fake.journal().iter().filter(|line| *line == what).count()
    }
}

/// As [`Bench::until`].
pub(crate) async fn until(
    handle: &Handle,
    fake: &Fake,
    what: &str,
    test: impl Fn(&devd_proto::ProjectStatus) -> bool,
) -> Arc<devd_proto::ProjectStatus> {
    let waiting = async {
        loop {
            let status = handle.status();
            if !status.services.is_empty() && test(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(3600), waiting).await {
        Ok(status) => status,
        Err(_) => panic!("never {what}: {:#?}\n{:#?}", handle.status(), fake.journal()),
    }
}

pub(crate) fn service<'a>(
    status: &'a devd_proto::ProjectStatus,
    name: &str,
) -> &'a devd_proto::ServiceStatus {
    status.services.iter().find(|service| service.name.as_str() == name).unwrap()
}

pub(crate) fn tests(status: &devd_proto::ProjectStatus) -> &devd_proto::TestsStatus {
    &service(status, "api").tests
}
