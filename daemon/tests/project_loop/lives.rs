//! One life of the daemon after the other, each in a runtime of its own, so that each ends like by a kill: what changed in
//! between is made up for, and nothing else is touched. What is on disk is what a test says: the watcher's sums of it are
//! its own affair, and that of the tests on a real engine.

use crate::bench::{begin, service, shop, tests, until};
use devd_logic::{Event, Memory};
use devd_proto::{ProjectSource, ProjectStatus, ServiceName, ServiceState, TestsState};
use devdd::engine::fake::Fake;
use devdd::history::History;
use devdd::project::{Also, Handle, Message, Request};
use devdd::watch::{Action, Change, ChangeKind, Contents, TestsEffect, Watcher};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// What outlives the daemon.
struct Lives {
    fake: Fake,
    dir: TempDir,
    source: ProjectSource,
    history: History,
    /// What is on disk for `api`.
    api: Contents,
    _state: TempDir,
}

/// One life.
struct Life<'a> {
    lives: &'a Lives,
    watcher: Watcher,
    handle: Handle,
}

impl Lives {
    fn new() -> Self {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let source = shop(&dir);
        let history = History::in_memory(state.path()).unwrap();
        let api = Contents { acted: 0, process: 1, image: 1 };
        Self { fake: Fake::default(), dir, source, history, api, _state: state }
    }

    /// What was asked of the engine for the dev stack in a life.
    fn asked(&self, life: impl AsyncFnOnce(&Life<'_>)) -> Vec<String> {
        let before = self.fake.journal().len();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            self.history.interrupt_runs().await.unwrap();
            // As the registry does it.
            let known = self.history.projects().await.unwrap().pop().map(|known| Memory {
                stopped: known.stopped,
                selected: known.selected,
                completed: known.completed,
            });
            let (notices, _) = tokio::sync::mpsc::unbounded_channel();
            let watcher = Watcher::new(notices).unwrap();
            let memory = known.unwrap_or_default();
            let (history, source) = (self.history.clone(), &self.source);
            let (handle, _) = begin(&self.fake, watcher.clone(), history, source, memory, 0).await;
            life(&Life { lives: self, watcher, handle }).await;
        });
        let services = ["shop-api", "shop-api-1", "shop-db-1"];
        let of_stack = |line: &String| line.split(' ').any(|word| services.contains(&word));
        self.fake.journal().into_iter().skip(before).filter(of_stack).collect()
    }
}

impl Life<'_> {
    /// All files were read.
    fn files_read(&self) {
        let shop = "shop".into();
        self.watcher.pretend(&shop, &"api".into(), 1, self.lives.api);
        self.watcher.pretend(&shop, &"db".into(), 0, Contents::default());
        self.handle.tell(Message::FilesKnown);
    }

    async fn until(&self, what: &str, test: impl Fn(&ProjectStatus) -> bool) -> Arc<ProjectStatus> {
        until(&self.handle, &self.lives.fake, what, test).await
    }

    /// Everything runs and is tested, and for a minute nothing happens.
    async fn comes_to_rest(&self) -> Arc<ProjectStatus> {
        let rests = |status: &ProjectStatus| {
            status.settled
                && status.services.iter().all(|service| service.state == ServiceState::Running)
                && tests(status).state == TestsState::Passed
                && tests(status).current
        };
        self.until("at rest", rests).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.until("at rest", rests).await
    }

    fn save(&self, action: Action) {
        let change = Change {
            path: self.lives.dir.path().canonicalize().unwrap().join("shop/api/main.py"),
            kind: ChangeKind::Modified,
            service: ServiceName::from("api"),
            action: Some(action),
            develop: None,
            tests: TestsEffect::None,
            pushed: true,
            more: false,
            repeated: false,
        };
        self.handle.tell(Message::Changed(vec![change]));
    }
}

async fn rests(life: &Life<'_>) {
    life.files_read();
    life.comes_to_rest().await;
}

/// The project is up, and its daemon is dead.
fn up() -> Lives {
    let lives = Lives::new();
    lives.asked(rests);
    lives
}

#[test]
fn what_was_saved_while_there_was_no_daemon_restarts_its_service_once_and_no_other() {
    let mut lives = up();
    lives.api.process += 1;
    let asked = lives.asked(async |life| {
        life.files_read();
        let status = life.comes_to_rest().await;
        let api = service(&status, "api");
        assert_eq!((api.restarts, service(&status, "db").restarts), (1, 0));
        assert_eq!(api.last_change.as_ref().unwrap().path, "files (while devd was not running)");
    });
    assert_eq!(asked, ["restart shop-api-1"]);
    assert_eq!(lives.asked(rests), Vec::<String>::new(), "the life before did that");
}

#[test]
fn where_nothing_was_saved_while_there_was_no_daemon_nothing_is_touched() {
    let lives = up();
    assert_eq!(lives.asked(rests), Vec::<String>::new());
}

/// The image was there before the project was: nobody knows what it was built from, and it is taken as it is. So it must
/// not be when this life knows better.
#[test]
fn a_rebuild_that_a_daemon_owed_when_it_died_is_done_by_the_next_one() {
    let lives = up();
    lives.asked(async |life| {
        let also = Also { volumes: false, images: false };
        life.handle.ask(|reply| Request::Down { also, reply }).await.unwrap().unwrap();
    });
    let asked = lives.asked(async |life| {
        let runs = |status: &ProjectStatus| {
            status.services.iter().all(|service| service.state == ServiceState::Running)
        };
        life.until("up", runs).await;
        // Nothing can be built any more, and that is known, when the first word of the files comes.
        lives.fake.set_gone(true);
        life.handle.tell(Message::Event(Event::EngineChanged));
        life.until("cut off", |status| service(status, "api").reason.is_some()).await;
        life.save(Action::Rebuild);
        life.files_read();
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    assert!(!asked.contains(&"build shop-api".to_owned()), "{asked:?}");
    lives.fake.set_gone(false);
    let asked = lives.asked(rests);
    assert_eq!(asked.iter().filter(|line| *line == "build shop-api").count(), 1, "{asked:?}");
    assert_eq!(lives.asked(rests), Vec::<String>::new(), "the life before did that");
}
