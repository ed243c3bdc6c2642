//! Environments that stand ready for the next run.
//!
//! A shelf per suite. Whoever takes an environment from it has the next one made behind it; when none is ready but one
//! is in the making, that one is waited for. What differs from today's definition, or mounts what is not there any
//! more, is no use and goes.

use super::depth::{Needs, depth};
use super::environment::{self, Ready};
use super::held::Held;
use super::machine::{Machine, Share};
use super::{Job, RunError, snapshot};
use crate::engine::{Engine, Progress};
use crate::project::Message;
use devd_compose::model::Service;
use devd_logic::EnvironmentId;
use devd_proto::ServiceName;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The next one is made a little behind a run: the first moments are the run's own.
const BEHIND: Duration = Duration::from_millis(250);

/// When it is tried again to make one, after the engine did not answer.
const AGAIN: Duration = Duration::from_secs(2);

/// Keeping dependencies ready-made can fail because the machine is busy, or for ever.
const TRIES: u32 = 3;

/// How many times of taking are remembered.
const TAKES: usize = 8;

/// The environments of one project. Cheap to clone.
#[derive(Debug)]
pub struct Pool<E> {
    inner: Arc<Inner<E>>,
}

impl<E> Clone for Pool<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
struct Inner<E> {
    engine: E,
    sender: mpsc::UnboundedSender<Message>,
    machine: Arc<Machine>,
    shelves: Mutex<BTreeMap<ServiceName, Shelf>>,
    tasks: TaskTracker,
    end: CancellationToken,
    /// The last sign of life.
    life: watch::Sender<Instant>,
}

#[derive(Debug)]
struct Shelf {
    /// What is run in them; without a run.
    job: Job,
    /// Ends what is in the making.
    cancel: CancellationToken,
    ready: VecDeque<Stocked>,
    making: usize,
    /// Runs that wait for what is in the making.
    waiting: VecDeque<oneshot::Sender<Ready>>,
    takes: VecDeque<Instant>,
    took: Duration,
    cost: u64,
    /// The last one could not be made; the next run says why.
    failed: bool,
    /// How often it may still be tried to keep dependencies ready-made.
    tries: u32,
    /// Nobody touched anything for a while.
    asleep: bool,
}

#[derive(Debug)]
struct Stocked {
    ready: Ready,
    share: Share,
}

impl<E: Engine> Pool<E> {
    /// An empty one, which tells the loop how many there are.
    pub fn new(engine: E, sender: mpsc::UnboundedSender<Message>, machine: Arc<Machine>) -> Self {
        let inner = Inner {
            engine,
            sender,
            machine,
            shelves: Mutex::default(),
            tasks: TaskTracker::new(),
            end: CancellationToken::new(),
            life: watch::Sender::new(Instant::now()),
        };
        let this = Self { inner: Arc::new(inner) };
        let (idle, end) = (this.inner.machine.idle, this.inner.end.clone());
        // Weak: the pool must not keep itself.
        let (weak, life) = (Arc::downgrade(&this.inner), this.inner.life.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = sleep_when_idle(weak, life, idle) => {}
                () = end.cancelled() => {}
            }
        });
        this
    }

    /// The engine that they are on.
    pub fn engine(&self) -> &E {
        &self.inner.engine
    }

    /// Holds a new environment for the loop's logic.
    pub fn hold(&self) -> Held {
        Held::new(&self.inner.sender, &self.inner.machine)
    }

    /// Somebody works on the project.
    pub fn touch(&self) {
        self.inner.life.send_replace(Instant::now());
    }

    /// Keeps environments for this suite from now on: it can be run, and its images are there.
    pub fn stock(&self, job: Job) {
        let tests = job.suite.project.services.get(&job.suite.service);
        // Without a mount the code is in the image, and every save makes another one.
        if job.suite.settings.pool == 0 || tests.is_none_or(|tests| Service::binds(tests).next().is_none()) {
            return;
        }
        let service = job.service.clone();
        if self.shelves().get(&service).is_none_or(|shelf| shelf.job.definition != job.definition) {
            self.discard(&service);
            let shelf = Shelf {
                job,
                cancel: self.inner.end.child_token(),
                ready: VecDeque::new(),
                making: 0,
                waiting: VecDeque::new(),
                takes: VecDeque::new(),
                took: Duration::ZERO,
                cost: 0,
                failed: false,
                tries: TRIES,
                asleep: false,
            };
            self.shelves().insert(service.clone(), shelf);
        } else if let Some(shelf) = self.shelves().get_mut(&service) {
            shelf.failed = false;
        }
        self.replenish(service, Duration::ZERO);
    }

    /// Environments of this suite are of no use any more.
    pub fn discard(&self, service: &ServiceName) {
        let shelf = self.shelves().remove(service);
        if let Some(shelf) = shelf {
            shelf.cancel.cancel();
            self.tell(service, 0);
        }
    }

    /// Keeps those for which this holds.
    pub fn retain(&self, keep: impl Fn(&Job) -> bool) {
        let useless: Vec<ServiceName> = {
            let shelves = self.shelves();
            shelves
                .values()
                .filter(|shelf| !keep(&shelf.job))
                .map(|shelf| shelf.job.service.clone())
                .collect()
        };
        for service in useless {
            self.discard(&service);
        }
    }

    /// A container of this environment has ended. If it stands ready, it is of no use any more.
    pub fn broken(&self, environment: &EnvironmentId) {
        self.weed(|ready| ready.id() != environment);
    }

    /// The engine is back after it was gone: what stood ready may have ended meanwhile, and what could not be made
    /// may be possible now.
    pub fn look_over(&self) {
        for shelf in self.shelves().values_mut() {
            shelf.failed = false;
        }
        self.weed(Ready::is_fresh);
        let services: Vec<ServiceName> = self.shelves().keys().cloned().collect();
        for service in services {
            self.replenish(service, BEHIND);
        }
    }

    /// Removes what is of no use from the shelves, and has others made for it.
    fn weed(&self, mut is_of_use: impl FnMut(&mut Ready) -> bool) {
        let mut gone = Vec::new();
        let mut short = Vec::new();
        for (service, shelf) in self.shelves().iter_mut() {
            let before = shelf.ready.len();
            for mut stocked in std::mem::take(&mut shelf.ready) {
                if is_of_use(&mut stocked.ready) {
                    shelf.ready.push_back(stocked);
                } else {
                    gone.push(stocked);
                }
            }
            if shelf.ready.len() < before {
                short.push(service.clone());
            }
        }
        for service in short {
            self.count(&service);
            self.replenish(service, BEHIND);
        }
    }

    /// Ends everything; returns when nothing is in the making any more.
    pub async fn close(&self) {
        self.inner.end.cancel();
        self.retain(|_| false);
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// An environment for this run, if one is ready or about to be; `awaited` is called before that is waited for.
    pub async fn take(&self, job: &Job, awaited: impl Fn()) -> Option<Ready> {
        self.shelf_of(job, |shelf| {
            shelf.takes.truncate(TAKES - 1);
            shelf.takes.push_front(Instant::now());
        })?;
        self.replenish(job.service.clone(), BEHIND);
        loop {
            let next = self.shelf_of(job, |shelf| {
                if let Some(stocked) = shelf.ready.pop_front() {
                    return Next::Ready(Box::new(stocked.ready));
                }
                shelf.waiting.retain(|waiting| !waiting.is_closed());
                if shelf.making <= shelf.waiting.len() {
                    return Next::None;
                }
                let (give, get) = oneshot::channel();
                shelf.waiting.push_back(give);
                Next::Wait(get)
            })?;
            let mut ready = match next {
                Next::Ready(ready) => *ready,
                Next::Wait(ready) => {
                    awaited();
                    ready.await.ok()?
                }
                Next::None => return None,
            };
            self.count(&job.service);
            if ready.is_fresh() {
                return Some(ready);
            }
        }
    }

    fn shelves(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Shelf>> {
        self.inner.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the shelf of this job, if there is one of its very definition.
    fn shelf_of<T>(&self, job: &Job, act: impl FnOnce(&mut Shelf) -> T) -> Option<T> {
        let mut shelves = self.shelves();
        let shelf = shelves.get_mut(&job.service).filter(|shelf| shelf.job.definition == job.definition)?;
        Some(act(shelf))
    }

    fn count(&self, service: &ServiceName) {
        let count = self.shelves().get(service).map_or(0, |shelf| shelf.ready.len());
        self.tell(service, count);
    }

    fn tell(&self, service: &ServiceName, count: usize) {
        // The loop may have ended.
        let _ =
            self.inner.sender.send(Message::Warm(service.clone(), u32::try_from(count).unwrap_or(u32::MAX)));
    }

    /// Makes as many as are wanted.
    fn replenish(&self, service: ServiceName, behind: Duration) {
        let this = self.clone();
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(behind) => {}
                () = this.inner.end.cancelled() => return,
            }
            while let Some((job, cancel)) = this.begin(&service) {
                if this.make(&job, &cancel).await {
                    // On its own: the next one need not wait for it.
                    let keeper = this.clone();
                    this.inner.tasks.spawn(async move { keeper.keep(&job, &cancel).await });
                }
            }
        });
    }

    /// What to make next, if anything is missing.
    fn begin(&self, service: &ServiceName) -> Option<(Job, CancellationToken)> {
        let mut shelves = self.shelves();
        let shelf = shelves.get_mut(service)?;
        let takes: Vec<Duration> = shelf.takes.iter().map(Instant::elapsed).collect();
        let own: u64 = shelf.ready.iter().map(|stocked| stocked.share.bytes).sum();
        let wanted = depth(Needs {
            base: shelf.job.suite.settings.pool as usize,
            takes: &takes,
            making: shelf.took,
            cost: shelf.cost,
            memory: self.inner.machine.free().saturating_add(own),
        });
        shelf.waiting.retain(|waiting| !waiting.is_closed());
        let missing = shelf.ready.len() + shelf.making < wanted + shelf.waiting.len();
        if shelf.failed || shelf.asleep || shelf.cancel.is_cancelled() || !missing {
            return None;
        }
        shelf.making += 1;
        Some((shelf.job.clone(), shelf.cancel.clone()))
    }

    /// Makes one; whether its dependencies are worth keeping ready-made, and that is to be tried.
    async fn make(&self, job: &Job, cancel: &CancellationToken) -> bool {
        let engine = &self.inner.engine;
        let made = async {
            let _permit = tokio::select! {
                permit = self.inner.machine.making.acquire() => permit,
                () = cancel.cancelled() => return Err(RunError::Cancelled),
            };
            let began = Instant::now();
            let progress = Progress::none();
            let ready = environment::make(engine, job, self.hold(), &progress, cancel, |_| {}).await?;
            let took = began.elapsed();
            // Only the budget needs it.
            let memory = engine.memory(&ready.containers).await.unwrap_or_default();
            // Asked while it is surely there.
            let worth = if job.suite.settings.prepare.is_some() {
                !ready.keepers.is_empty()
            } else {
                engine.keeps_data(&ready.keepers).await.unwrap_or_default()
            };
            Ok((ready, memory, took, worth))
        };
        let made = made.await;
        let mut lost = false;
        let put = self.shelf_of(job, |shelf| {
            // A shelf of the same definition that was set up in the meantime knows nothing of this one.
            if cancel.is_cancelled() {
                return false;
            }
            shelf.making -= 1;
            match made {
                Ok((ready, memory, took, worth)) => {
                    (shelf.took, shelf.cost) = (took, memory);
                    shelf.put(ready, Share::take(&self.inner.machine, memory));
                    let tries = shelf.tries;
                    shelf.tries = if worth { tries.saturating_sub(1) } else { 0 };
                    worth && tries > 0
                }
                Err(error) => {
                    tracing::warn!(project = %job.project, service = %job.service, %error, "no environment was made ahead");
                    shelf.failed = true;
                    lost = matches!(error, RunError::Lost(_));
                    // They have to see to one themselves.
                    shelf.waiting.truncate(shelf.making);
                    false
                }
            }
        });
        if put.is_some() {
            self.count(&job.service);
        }
        if lost {
            self.make_again(job.clone());
        }
        put.unwrap_or_default()
    }

    /// That the engine did not answer says nothing of the environment; it need not have been lost, so that nobody would
    /// say that it is back.
    fn make_again(&self, job: Job) {
        let this = self.clone();
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = this.inner.end.cancelled() => return,
            }
            if this.shelf_of(&job, |shelf| shelf.failed = false).is_some() {
                this.replenish(job.service, Duration::ZERO);
            }
        });
    }

    /// Keeps the dependencies of a suite ready-made for all that are made from now on.
    async fn keep(&self, job: &Job, cancel: &CancellationToken) {
        let _permit = tokio::select! {
            permit = self.inner.machine.keeping.acquire() => permit,
            () = cancel.cancelled() => return,
        };
        match snapshot::make(&self.inner.engine, job, self.hold(), cancel).await {
            Ok(()) => {
                self.shelf_of(job, |shelf| shelf.tries = 0);
            }
            Err(RunError::Cancelled) => {}
            // They start from scratch as before.
            Err(error) => {
                tracing::warn!(project = %job.project, service = %job.service, %error, "dependencies of tests are not kept ready-made");
            }
        }
    }

    fn set_asleep(&self, asleep: bool) {
        let mut gone = Vec::new();
        let services: Vec<ServiceName> = {
            let mut shelves = self.shelves();
            for shelf in shelves.values_mut() {
                shelf.asleep = asleep;
                if asleep {
                    gone.extend(shelf.ready.drain(..));
                }
            }
            shelves.keys().cloned().collect()
        };
        drop(gone);
        for service in services {
            if asleep {
                self.count(&service);
            } else {
                self.replenish(service, BEHIND);
            }
        }
    }
}

enum Next {
    Ready(Box<Ready>),
    Wait(oneshot::Receiver<Ready>),
    None,
}

impl Shelf {
    /// To whoever has waited longest, or onto the shelf.
    fn put(&mut self, mut ready: Ready, share: Share) {
        while let Some(waiting) = self.waiting.pop_front() {
            match waiting.send(ready) {
                Ok(()) => return,
                // It waits no longer.
                Err(back) => ready = back,
            }
        }
        self.ready.push_back(Stocked { ready, share });
    }
}

/// Empties the shelves when nobody touched anything for a while, and fills them at the next sign of life.
async fn sleep_when_idle<E: Engine>(
    pool: std::sync::Weak<Inner<E>>,
    mut life: watch::Receiver<Instant>,
    idle: Duration,
) {
    loop {
        let last = *life.borrow_and_update();
        tokio::select! {
            () = tokio::time::sleep_until(last + idle) => {}
            changed = life.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            }
        }
        let Some(inner) = pool.upgrade() else { return };
        Pool { inner }.set_asleep(true);
        if life.changed().await.is_err() {
            return;
        }
        let Some(inner) = pool.upgrade() else { return };
        Pool { inner }.set_asleep(false);
    }
}
