//! `devd status`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::Client;
use crate::render::status::{engine, is_bad, projects, tests_are_bad};
use crate::{names, paths, project};
use clap::Args;
use devd_proto::{
    Code, EngineState, Problem, ProjectName, ProjectState, ProjectStatus, Status as Everything, What,
};
use jiff::Timestamp;
use std::path::Path;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Show how everything is: services, ports, changes, test verdicts
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd status              every project
  devd status -C .         only the one of this folder
  devd status web db       only these services
  devd status --watch      and keep it live
  devd status --json       for programs

A verdict with `stale` is about files that have changed since. Exit code 1 when something is down, or when what \
is on disk now fails its tests.")]
pub(crate) struct Status {
    /// Only these [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Keep it live; with --json one object a line
    #[arg(short, long)]
    watch: bool,
}

pub(crate) async fn run(context: &Context, status: Status) -> Result<Exit, Error> {
    let client = context.running().await?;
    let selection = Selection::of(context, &client, status.services).await?;
    if status.watch {
        return watch(context, &client, &selection).await;
    }
    let everything = selection.apply(client.get("/v1/status").await?)?;
    if context.ui.json {
        context.ui.value(&everything)?;
    } else {
        context.ui.print(&text(&everything))?;
    }
    Ok(exit(&everything))
}

fn text(everything: &Everything) -> String {
    let mut out = engine(&everything.daemon).unwrap_or_default();
    out.push_str(&projects(&everything.projects, Timestamp::now()));
    if everything.projects.is_empty() {
        out.push_str("no projects: `devd up` in a folder with a compose file starts one\n");
    }
    out
}

fn exit(everything: &Everything) -> Exit {
    let is_good = |project: &ProjectStatus| {
        project.state != ProjectState::Invalid
            && project.services.iter().all(|service| !is_bad(service) && !tests_are_bad(service))
    };
    match everything.daemon.engine.state {
        EngineState::Disconnected | EngineState::Unknown => Exit::NO_ENGINE,
        EngineState::Connected => Exit::good(everything.projects.iter().all(is_good)),
    }
}

/// What of everything was asked for.
struct Selection {
    project: Option<ProjectName>,
    services: Vec<String>,
    folder: Option<std::path::PathBuf>,
}

impl Selection {
    async fn of(context: &Context, client: &Client, services: Vec<String>) -> Result<Self, Error> {
        let project =
            if context.globals.name_a_project() { Some(project::name(context, client).await?) } else { None };
        // A service without a project is one of the project that one stands in, where there is one.
        let folder = if services.is_empty() { None } else { paths::absolute(Path::new(".")).ok() };
        Ok(Self { project, services, folder })
    }

    fn apply(&self, mut everything: Everything) -> Result<Everything, Error> {
        let wanted = self.project.clone().or_else(|| self.around(&everything.projects));
        if let Some(name) = &wanted {
            everything.projects.retain(|project| project.name == *name);
            if everything.projects.is_empty() {
                let problem = Problem::new(Code::UnknownProject, format!("{name} is not registered"));
                return Err(problem.help("`devd up` registers and starts it").into());
            }
        }
        if !self.services.is_empty() {
            let known = everything.projects.iter().flat_map(|project| &project.services);
            names::check(&self.services, known.map(|service| &service.name), wanted.as_ref())?;
            for project in &mut everything.projects {
                project.services.retain(|service| self.services.iter().any(|s| s == service.name.as_str()));
            }
            everything.projects.retain(|project| !project.services.is_empty());
        }
        Ok(everything)
    }

    fn around(&self, projects: &[ProjectStatus]) -> Option<ProjectName> {
        let folder = self.folder.as_deref()?;
        projects
            .iter()
            .filter(|project| folder.starts_with(&project.root))
            .max_by_key(|project| project.root.len())
            .map(|project| project.name.clone())
    }
}

/// How often the ages on the screen are counted on. Nothing is asked for then.
const TICK: Duration = Duration::from_secs(1);

async fn watch(context: &Context, client: &Client, selection: &Selection) -> Result<Exit, Error> {
    let ui = &context.ui;
    // First listen, then look: whatever happens after the look is heard.
    let mut events = client.events(selection.project.as_ref().map(ProjectName::as_str)).await?;
    let mut everything: Everything = client.get("/v1/status").await?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.reset();
    let mut changed = true;
    loop {
        let shown = selection.apply(everything.clone())?;
        if ui.json {
            if changed {
                ui.value(&shown)?;
            }
        } else if ui.is_live() {
            ui.print(&frame(&text(&shown), ui.size().1))?;
        } else if changed {
            ui.line(&text(&shown))?;
        }
        changed = true;
        tokio::select! {
            event = events.next() => match event?.what {
                What::Status { status } => put(&mut everything.projects, *status),
                What::Removed | What::Lost { .. } => everything = client.get("/v1/status").await?,
                What::Service { .. } | What::Changed { .. } | What::RunStarted { .. } | What::RunFinished { .. } => {
                    changed = false;
                }
            },
            _ = tick.tick(), if ui.is_live() => changed = false,
        }
    }
}

fn put(projects: &mut Vec<ProjectStatus>, status: ProjectStatus) {
    match projects.iter_mut().find(|project| project.name == status.name) {
        Some(project) => *project = status,
        None => {
            projects.push(status);
            projects.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
}

/// The whole screen drawn over, without a flicker and without a line too many: long ones are cut by the terminal.
fn frame(text: &str, rows: usize) -> String {
    let lines: Vec<&str> = text.lines().take(rows.saturating_sub(1).max(1)).collect();
    let body: String = lines.iter().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[?7l\x1b[H{body}\x1b[J\x1b[?7h")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::status::test::{project, service};
    use devd_proto::{DaemonStatus, EngineStatus, Health, ServiceState, TestsState};

    fn everything(projects: Vec<ProjectStatus>) -> Everything {
        let engine = EngineStatus {
            state: EngineState::Connected,
            kind: "docker".to_owned(),
            version: "20".to_owned(),
            endpoint: "unix:///x".to_owned(),
            error: None,
        };
        let daemon =
            DaemonStatus { version: "0.1.0".to_owned(), pid: 1, uptime_ms: 1, replaced: false, engine };
        Everything { daemon, projects }
    }

    fn shop() -> ProjectStatus {
        project(vec![service("db", ServiceState::Running), service("web", ServiceState::Running)])
    }

    fn selection(services: &[&str], folder: Option<&str>) -> Selection {
        Selection {
            project: None,
            services: services.iter().map(|s| (*s).to_owned()).collect(),
            folder: folder.map(Into::into),
        }
    }

    #[test]
    fn the_exit_code_is_about_now() {
        assert_eq!(exit(&everything(vec![shop()])), Exit::OK);
        let with = |change: fn(&mut devd_proto::ServiceStatus)| {
            let mut project = shop();
            change(&mut project.services[0]);
            exit(&everything(vec![project]))
        };
        assert_eq!(with(|s| s.state = ServiceState::Backoff), Exit::BAD);
        assert_eq!(with(|s| s.state = ServiceState::Starting), Exit::OK);
        assert_eq!(with(|s| s.health = Health::Unhealthy), Exit::BAD);
        assert_eq!(with(|s| s.tests.state = TestsState::Failed), Exit::OK);
        assert_eq!(with(|s| (s.tests.state, s.tests.current) = (TestsState::Failed, true)), Exit::BAD);
        let mut away = everything(vec![shop()]);
        away.daemon.engine.state = EngineState::Disconnected;
        assert_eq!(exit(&away), Exit::NO_ENGINE);
    }

    #[test]
    fn a_service_is_looked_for_where_one_stands_first() {
        let mut other = shop();
        (other.name, other.root) = ("blog".into(), "/home/ann/blog".to_owned());
        let both = everything(vec![other, shop()]);
        let here = selection(&["web"], Some("/home/ann/shop/src")).apply(both.clone()).unwrap();
        assert_eq!(here.projects.len(), 1);
        assert_eq!((here.projects[0].name.as_str(), here.projects[0].services.len()), ("shop", 1));
        assert_eq!(selection(&["web"], Some("/tmp")).apply(both.clone()).unwrap().projects.len(), 2);
        let error = selection(&["wbe"], Some("/tmp")).apply(both).unwrap_err();
        assert_eq!(error.exit(), Exit::USAGE);
        assert_eq!(error.help_text(), Some("did you mean `web`?"));
    }
}
