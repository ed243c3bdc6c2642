//! Numbers about the daemon, for Prometheus. Everything that takes time is a histogram in seconds since its event. Labels
//! have few values: words of devd's own, and the services of the registered projects.

use devd_proto::{EngineState, EngineStatus, ProjectStatus, Run, ServiceState};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// All of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    run_stages: Family<Stage, Histogram, fn() -> Histogram>,
    restart_stages: Family<Stage, Histogram, fn() -> Histogram>,
    runs: Family<Verdict, Counter>,
    engine_calls: Family<Call, Counter>,
    engine_errors: Family<Failure, Counter>,
    dropped: Family<What, Counter>,
    refused: Counter,
    gauges: Gauges,
    /// Held while text is made: its gauges are set for one reader at a time.
    registry: Arc<Mutex<Registry>>,
}

/// What is true at the moment of asking.
#[derive(Clone, Debug, Default)]
struct Gauges {
    uptime: Gauge,
    connected: Gauge,
    projects: Gauge,
    tasks: Gauge,
    clients: Gauge,
    environments: Gauge,
    folders: Gauge,
    queues: Family<Queue, Gauge>,
    running: Family<Service, Gauge>,
    restarts: Family<Service, Gauge>,
    warm: Family<Service, Gauge>,
}

/// What others count, at the moment of asking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// How long the daemon has run.
    pub uptime: Duration,
    /// Test environments in use or ready.
    pub environments: usize,
    /// Watched folders.
    pub folders: usize,
    /// File events that wait.
    pub events_waiting: usize,
    /// File events that were dropped.
    pub events_dropped: u64,
    /// Requests to the history that wait.
    pub history_waiting: usize,
    /// Bytes of runs' output that were left out.
    pub output_left_out: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verdict {
    verdict: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    call: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    call: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Service {
    project: String,
    service: String,
}

/// A client that is connected; it counts until this is dropped.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// From what nobody notices to what takes a build.
fn histogram() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0,
    ])
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// None of anything yet.
    pub fn new() -> Self {
        let family = || Family::new_with_constructor(histogram as fn() -> Histogram);
        let this = Self {
            run_stages: family(),
            restart_stages: family(),
            runs: Family::default(),
            engine_calls: Family::default(),
            engine_errors: Family::default(),
            dropped: Family::default(),
            refused: Counter::default(),
            gauges: Gauges::default(),
            registry: Arc::new(Mutex::new(Registry::with_prefix("devd"))),
        };
        this.register();
        this
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let Gauges {
            uptime,
            connected,
            projects,
            tasks,
            clients,
            environments,
            folders,
            queues,
            running,
            restarts,
            warm,
        } = self.gauges.clone();
        registry.register_with_unit("uptime", "How long the daemon has run", Unit::Seconds, uptime);
        registry.register("engine_connected", "Whether the container engine answers", connected);
        registry.register("engine_calls", "Requests to the engine", self.engine_calls.clone());
        let errors = "Requests to the engine that failed, by kind";
        registry.register("engine_errors", errors, self.engine_errors.clone());
        registry.register("projects", "Registered projects", projects);
        registry.register("tasks", "Tasks of the daemon that are under way", tasks);
        registry.register("clients", "Connections that are open", clients);
        registry.register("clients_refused", "Connections that were too many", self.refused.clone());
        registry.register("watched_folders", "Folders that are watched", folders);
        registry.register("queued", "What waits to be worked on", queues);
        registry.register("dropped", "What was dropped because there was too much", self.dropped.clone());
        registry.register("service_running", "Whether the service runs", running);
        registry.register("service_restarts", "Restarts by devd since the project was registered", restarts);
        registry.register("environments", "Test environments there are", environments);
        registry.register("environments_warm", "Test environments that stand ready", warm);
        registry.register("runs", "Test runs that ended, by verdict", self.runs.clone());
        let stages = "From the event that caused a test run to this stage of it";
        registry.register_with_unit("run_stage", stages, Unit::Seconds, self.run_stages.clone());
        let stages = "From the change that caused a restart to this stage of it";
        registry.register_with_unit("restart_stage", stages, Unit::Seconds, self.restart_stages.clone());
    }

    /// A run has ended.
    pub fn run(&self, run: &Run) {
        self.runs.get_or_create(&Verdict { verdict: run.state.as_str().to_owned() }).inc();
        for stage in &run.stages {
            let seconds = Duration::from_micros(stage.at_us).as_secs_f64();
            self.run_stages.get_or_create(&Stage { stage: stage.name.clone() }).observe(seconds);
        }
    }

    /// A restart has come so far.
    pub fn restart(&self, stage: &str, since_event: Duration) {
        self.restart_stages
            .get_or_create(&Stage { stage: stage.to_owned() })
            .observe(since_event.as_secs_f64());
    }

    /// The engine was asked for something; the kind of its error, if it failed.
    pub fn engine_call(&self, call: &'static str, error: Option<&'static str>) {
        self.engine_calls.get_or_create(&Call { call }).inc();
        if let Some(kind) = error {
            self.engine_errors.get_or_create(&Failure { call, kind }).inc();
        }
    }

    /// A client was let in.
    pub fn client(&self) -> Open {
        self.gauges.clients.inc();
        Open(self.gauges.clients.clone())
    }

    /// A client was one too many.
    pub fn client_refused(&self) {
        self.refused.inc();
    }

    /// Events were dropped for a reader that was too slow.
    pub fn missed_by_reader(&self, count: u64) {
        self.dropped.get_or_create(&What { what: "events" }).inc_by(count);
    }

    /// All of them as text.
    pub fn text(&self, engine: &EngineStatus, projects: &[Arc<ProjectStatus>], counts: &Counts) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.count(counts);
        let gauges = &self.gauges;
        gauges.connected.set(i64::from(engine.state == EngineState::Connected));
        gauges.projects.set(projects.len() as i64);
        let tasks = Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks());
        gauges.tasks.set(tasks as i64);
        for family in [&gauges.running, &gauges.restarts, &gauges.warm] {
            family.clear();
        }
        for project in projects {
            for service in &project.services {
                let labels = Service { project: project.name.to_string(), service: service.name.to_string() };
                let running = i64::from(service.state == ServiceState::Running);
                gauges.running.get_or_create(&labels).set(running);
                gauges.restarts.get_or_create(&labels).set(service.restarts.into());
                gauges.warm.get_or_create(&labels).set(service.tests.warm.into());
            }
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }

    /// Takes over what others count.
    fn count(&self, counts: &Counts) {
        let gauges = &self.gauges;
        gauges.uptime.set(counts.uptime.as_secs().cast_signed());
        gauges.environments.set(counts.environments as i64);
        gauges.folders.set(counts.folders as i64);
        for (queue, waiting) in [("file_events", counts.events_waiting), ("history", counts.history_waiting)]
        {
            gauges.queues.get_or_create(&Queue { queue }).set(waiting as i64);
        }
        for (what, count) in
            [("file_events", counts.events_dropped), ("output_bytes", counts.output_left_out)]
        {
            self.dropped.get_or_create(&What { what }).inner().store(count, Ordering::Relaxed);
        }
    }
}
