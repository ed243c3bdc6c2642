//! Numbers about the daemon, for Prometheus. Everything that takes time is a histogram in seconds since its event.

use devd_proto::{EngineState, EngineStatus, ProjectStatus, Run, ServiceState};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// All of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    run_stages: Family<Stage, Histogram, fn() -> Histogram>,
    restart_stages: Family<Stage, Histogram, fn() -> Histogram>,
    runs: Family<Verdict, Counter>,
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
    running: Family<Service, Gauge>,
    restarts: Family<Service, Gauge>,
    warm: Family<Service, Gauge>,
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
struct Service {
    project: String,
    service: String,
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
        let (run_stages, restart_stages, runs) = (family(), family(), Family::default());
        let gauges = Gauges::default();
        let mut registry = Registry::with_prefix("devd");
        let Gauges { uptime, connected, projects, tasks, running, restarts, warm } = gauges.clone();
        registry.register_with_unit("uptime", "How long the daemon has run", Unit::Seconds, uptime);
        registry.register("engine_connected", "Whether the container engine answers", connected);
        registry.register("projects", "Registered projects", projects);
        registry.register("tasks", "Tasks of the daemon that are under way", tasks);
        registry.register("service_running", "Whether the service runs", running);
        registry.register("service_restarts", "Restarts by devd since the project was registered", restarts);
        registry.register("environments_warm", "Test environments that stand ready", warm);
        registry.register("runs", "Test runs that ended, by verdict", runs.clone());
        let stages = "From the event that caused a test run to this stage of it";
        registry.register_with_unit("run_stage", stages, Unit::Seconds, run_stages.clone());
        let stages = "From the change that caused a restart to this stage of it";
        registry.register_with_unit("restart_stage", stages, Unit::Seconds, restart_stages.clone());
        Self { run_stages, restart_stages, runs, gauges, registry: Arc::new(Mutex::new(registry)) }
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

    /// All of them as text.
    pub fn text(&self, engine: &EngineStatus, projects: &[Arc<ProjectStatus>], uptime: Duration) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let gauges = &self.gauges;
        gauges.uptime.set(uptime.as_secs().cast_signed());
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
}
