//! The inside of a daemon that can be ended and begun again, and a project for it.

use devd_logic::Limits;
use devd_proto::{
    Event, Problem, ProjectName, ProjectStatus, RegisterRequest, Run, RunId, RunStarted, ServiceName,
    ServiceStatus, TestsState, TestsStatus, What,
};
use devdd::engine::fake::{Fake, TestsBehaviour};
use devdd::history::History;
use devdd::hub::{Hub, Subscription};
use devdd::project::run::Surroundings;
use devdd::project::{Handle, Request, Verb};
use devdd::registry::Registry;
use devdd::system::metrics::Metrics;
use devdd::system::traces::Traces;
use devdd::warm::machine::Machine;
use devdd::watch::Watcher;
use futures_util::StreamExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::broadcast::error::RecvError;

/// Nothing here takes so long; what does has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A service with tests in a file of their own, which no container and no image sees, and one that it needs.
pub(crate) const COMPOSE: &str = "
services:
  api:
    image: python:3
    volumes: ['./api/src:/app']
    depends_on: [db]
    x-devd: {tests: {file: api/tests.yaml}}
  db:
    image: redis:7
";

/// The tests of `api`: they see its code, and files of their own.
pub(crate) const TESTS: &str = "
services:
  tests:
    image: python:3
    command: python -m unittest
    volumes: ['./src:/app', './tests:/tests']
";

/// A daemon on the world in memory, with the project `shop` in a folder of its own.
pub(crate) struct World {
    pub fake: Fake,
    pub registry: Registry<Fake>,
    dir: TempDir,
}

impl World {
    /// A daemon that knows no project.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fake = Fake::default();
        fake.tests_behave(quick(0));
        let world = Self::begin(dir, fake).await;
        world.write("compose.yaml", COMPOSE);
        world.write("api/tests.yaml", TESTS);
        world.write("api/src/main.py", "print(1)\n");
        world.write("api/tests/test_main.py", "import main\n");
        world
    }

    /// A daemon whose project runs and is tested.
    pub(crate) async fn up() -> Self {
        let world = Self::new().await;
        world.register("shop").await.unwrap();
        world.until("up and tested", |status| status.settled && tests(status).current).await;
        world
    }

    async fn begin(dir: TempDir, fake: Fake) -> Self {
        let (notices, received) = tokio::sync::mpsc::unbounded_channel();
        let surroundings = Surroundings {
            engine: fake.clone(),
            watcher: Watcher::new(notices).unwrap(),
            history: History::open(&dir.path().join("state")).unwrap(),
            hub: Hub::default(),
            limits: Limits { runs: 2 },
            metrics: Metrics::new(),
            traces: Traces::default(),
            // Nothing stands ready: what is made, is made for a run.
            machine: Arc::new(Machine::new(0, Duration::from_secs(900), 2)),
        };
        let registry = Registry::new(surroundings, received);
        registry.restore().await;
        Self { fake, registry, dir }
    }

    /// Ends the daemon; `meanwhile` happens while there is none; begins another one.
    pub(crate) async fn restart_after(self, meanwhile: impl FnOnce(&Self)) -> Self {
        self.registry.close().await;
        self.history().close().await;
        meanwhile(&self);
        Self::begin(self.dir, self.fake).await
    }

    /// Ends the daemon and begins another one.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(|_| ()).await
    }

    pub(crate) fn history(&self) -> &History {
        &self.registry.surroundings().history
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("shop").join(path)
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Registers a folder beside the project's, or the project's own, and has it started.
    pub(crate) async fn register(&self, folder: &str) -> Result<u64, Problem> {
        let dir = self.path("..").canonicalize().unwrap().join(folder).display().to_string();
        let request = RegisterRequest { dir, start: true, ..RegisterRequest::default() };
        Ok(self.registry.register(request).await?.revision)
    }

    pub(crate) fn handle(&self) -> Handle {
        self.registry.get(&shop()).unwrap()
    }

    /// Waits until the project is so.
    pub(crate) async fn until(
        &self,
        what: &str,
        test: impl Fn(&ProjectStatus) -> bool,
    ) -> Arc<ProjectStatus> {
        let mut events = self.listen();
        let waiting = async {
            loop {
                let handle = self.handle();
                handle.ask(|reply| Request::Flush { reply }).await;
                let status = handle.status();
                if test(&status) {
                    return status;
                }
                // Whatever it was: how it is now is what counts.
                let _ = events.live.recv().await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(status) => status,
            Err(_) => panic!("never {what}: {:#?}\n{:#?}", self.handle().status(), self.fake.journal()),
        }
    }

    /// Waits until the tests have a verdict that holds, and that is another one than `before`.
    pub(crate) async fn until_tested_again(&self, before: &TestsStatus) -> Arc<ProjectStatus> {
        self.until("tested again", |status| tests(status).current && tests(status).run != before.run).await
    }

    /// Hears of every event from now on.
    pub(crate) fn listen(&self) -> Subscription {
        self.registry.surroundings().hub.subscribe(None)
    }

    /// How the tests of `api` are, as somebody who asks now would be told.
    pub(crate) async fn tests(&self) -> TestsStatus {
        self.registry.up_to_date().await;
        tests(&self.handle().status()).clone()
    }

    pub(crate) async fn test(&self, args: &[&str], failed: bool) -> Result<Vec<RunStarted>, Problem> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let ask = |reply| Request::Test { services: vec!["api".into()], args, failed, reply };
        self.handle().ask(ask).await.unwrap()
    }

    /// Has the tests run with arguments; the run's id.
    pub(crate) async fn request(&self, args: &[&str]) -> RunId {
        let started = self.test(args, false).await.unwrap();
        assert_eq!(started.len(), 1);
        started[0].id.clone()
    }

    /// Waits until the tests of a run have written something.
    pub(crate) async fn until_written(&self, run: &RunId) {
        let log = self.history().log(run, true).await.unwrap().into_stream();
        let written = tokio::time::timeout(PATIENCE, std::pin::pin!(log).next()).await;
        assert!(matches!(written, Ok(Some(Ok(_)))), "{written:?}");
    }

    pub(crate) async fn verb(&self, service: &str, verb: Verb) {
        let service = ServiceName::from(service);
        self.handle().ask(|reply| Request::Service { service, verb, reply }).await.unwrap().unwrap();
    }

    /// Names of the containers there are.
    pub(crate) fn containers(&self) -> Vec<String> {
        let mut names = self.fake.containers();
        names.sort();
        names
    }

    /// What was asked of the engine that begins with `what`.
    pub(crate) fn asked(&self, what: &str) -> Vec<String> {
        self.fake.journal().into_iter().filter(|line| line.starts_with(what)).collect()
    }
}

/// Waits for an event.
pub(crate) async fn heard(events: &mut Subscription, what: &str, test: impl Fn(&What) -> bool) -> Arc<Event> {
    let waiting = async {
        loop {
            match events.live.recv().await {
                Ok(event) if test(&event.what) => return event,
                Ok(_) => {}
                Err(error @ (RecvError::Lagged(_) | RecvError::Closed)) => panic!("{what}: {error}"),
            }
        }
    };
    let heard = tokio::time::timeout(PATIENCE, waiting).await;
    heard.unwrap_or_else(|_| panic!("never heard: {what}"))
}

/// Waits until a run has ended.
pub(crate) async fn ended(events: &mut Subscription, id: &RunId) -> Run {
    let event = heard(events, "the end of a run", |what| match what {
        What::RunFinished { run } => run.id == *id,
        _ => false,
    });
    match &event.await.what {
        What::RunFinished { run } => (**run).clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn shop() -> ProjectName {
    "shop".into()
}

pub(crate) fn service<'a>(status: &'a ProjectStatus, name: &str) -> &'a ServiceStatus {
    status.services.iter().find(|service| service.name.as_str() == name).unwrap()
}

/// How the tests of `api` are; nothing while the service is not known.
pub(crate) fn tests(status: &ProjectStatus) -> &TestsStatus {
    static NONE: TestsStatus = TestsStatus {
        state: TestsState::None,
        current: false,
        run: None,
        started_at: None,
        duration_ms: None,
        passed: None,
        failed: None,
        skipped: None,
        reason: None,
        warm: 0,
    };
    status.services.iter().find(|it| it.name.as_str() == "api").map_or(&NONE, |it| &it.tests)
}

/// Tests that end at once.
pub(crate) fn quick(exit: i64) -> TestsBehaviour {
    TestsBehaviour { exit, takes: Duration::from_millis(1), ..TestsBehaviour::default() }
}

/// Tests that do not end as long as a test of ours goes on.
pub(crate) fn endless() -> TestsBehaviour {
    TestsBehaviour { takes: Duration::from_secs(100_000), ..TestsBehaviour::default() }
}
