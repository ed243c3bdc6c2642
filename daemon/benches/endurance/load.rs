//! What goes on all the time: somebody saves, and somebody looks at the verdicts.

use crate::chance::Chance;
use crate::http;
use crate::shop::{Shop, TESTED};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks at the verdicts.
const LOOK: Duration = Duration::from_millis(150);

#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    shop: Arc<Shop>,
    socket: PathBuf,
    saving: AtomicBool,
    saves: AtomicU64,
    looks: AtomicU64,
    wrong: Mutex<Vec<String>>,
    /// Held for one save.
    turn: Mutex<Chance>,
}

impl Load {
    /// Begins to look; saves begin with [`Load::go`].
    pub(crate) fn new(shop: &Arc<Shop>, socket: PathBuf, chance: Chance) -> Self {
        let shared = Arc::new(Shared {
            shop: Arc::clone(shop),
            socket,
            saving: AtomicBool::new(false),
            saves: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            wrong: Mutex::default(),
            turn: Mutex::new(chance),
        });
        let (saver, looker) = (Arc::clone(&shared), Arc::clone(&shared));
        std::thread::spawn(move || saver.save_for_ever());
        std::thread::spawn(move || looker.look_for_ever());
        Self { shared }
    }

    pub(crate) fn go(&self) {
        self.shared.saving.store(true, Ordering::SeqCst);
    }

    /// No save is under way when this returns, and none begins.
    pub(crate) fn pause(&self) {
        self.shared.saving.store(false, Ordering::SeqCst);
        drop(self.shared.chance());
    }

    pub(crate) fn saves(&self) -> u64 {
        self.shared.saves.load(Ordering::Relaxed)
    }

    pub(crate) fn looks(&self) -> u64 {
        self.shared.looks.load(Ordering::Relaxed)
    }

    /// Verdicts that were shown as current and were not, since this was asked last.
    pub(crate) fn wrong(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn chance(&self) -> MutexGuard<'_, Chance> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save_for_ever(&self) {
        loop {
            let pause = {
                let mut chance = self.chance();
                if self.saving.load(Ordering::SeqCst) {
                    self.save(&mut chance);
                }
                chance.millis(100, 900)
            };
            std::thread::sleep(pause);
        }
    }

    fn save(&self, chance: &mut Chance) {
        let Some(service) = chance.pick(&TESTED) else { return };
        // Most code passes its tests.
        let passes = chance.below(4) != 0;
        match self.shop.save(service, passes, chance.coin()) {
            Ok(path) if chance.coin() => {
                // As an editor's hook does: whether anybody hears it or not.
                let body = json!({ "paths": [path] });
                _ = http::ask(&self.socket, "POST /v1/saved", Some(&body), Duration::from_millis(500));
            }
            Ok(_) => {}
            Err(error) => eprintln!("a save failed: {error:#}"),
        }
        self.saves.fetch_add(1, Ordering::Relaxed);
    }

    fn look_for_ever(&self) {
        loop {
            std::thread::sleep(LOOK);
            let before = TESTED.map(|service| self.shop.content(service));
            let asked = Instant::now();
            let Ok(answer) = http::ask(&self.socket, "GET /v1/status", None, Duration::from_secs(1)) else {
                continue;
            };
            let Ok(status) = answer.json() else { continue };
            self.looks.fetch_add(1, Ordering::Relaxed);
            for (service, before) in TESTED.into_iter().zip(before) {
                // Only what was the same before and after the question has one right answer.
                let Some(content) = before.filter(|_| self.shop.content(service) == before) else { continue };
                let tests = tests_of(&status, &self.shop.name, service);
                let told = tests["state"].as_str().unwrap_or_default();
                let is_verdict = matches!(told, "passed" | "failed");
                if is_verdict && tests["current"] == true && told != content.verdict() {
                    let wrong = format!(
                        "{service} {told} as run {}, and save {} is {} ({} ms)",
                        tests["run"],
                        content.number,
                        content.verdict(),
                        asked.elapsed().as_millis()
                    );
                    self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(wrong);
                }
            }
        }
    }
}

/// A project's part of a status.
pub(crate) fn project<'a>(status: &'a Value, name: &str) -> &'a Value {
    named(&status["projects"], name)
}

/// A service of a project's status.
pub(crate) fn service<'a>(project: &'a Value, name: &str) -> &'a Value {
    named(&project["services"], name)
}

fn named<'a>(all: &'a Value, name: &str) -> &'a Value {
    let found = all.as_array().and_then(|all| all.iter().find(|it| it["name"] == name));
    found.unwrap_or(&Value::Null)
}

fn tests_of<'a>(status: &'a Value, shop: &str, name: &str) -> &'a Value {
    &service(project(status, shop), name)["tests"]
}
