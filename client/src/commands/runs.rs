//! `devd runs`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::{Client, encode};
use crate::render::runs::{details, table};
use crate::{names, project};
use clap::{Args, Subcommand};
use devd_proto::{Code, Problem, ProjectName, Run, RunId, Runs as Page, TestsState};
use jiff::Timestamp;

/// List the test runs of a project, newest first, or show one
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  devd runs                        the newest of this project
  devd runs web --limit 5          the newest of one service
  devd runs show                   all about the newest
  devd runs show last-failed       all about the newest that failed
  devd logs --run last-failed      and its output"
)]
pub(crate) struct Runs {
    /// Only this service's
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All about one run: its command, cause, times and the tests that failed
    Show {
        /// The run's id, `last` or `last-failed`
        #[arg(value_name = "ID", default_value = "last")]
        id: String,
    },
}

/// How many runs are asked for at once when one is looked for.
const PAGE: u32 = 100;

pub(crate) async fn run(context: &Context, runs: Runs) -> Result<Exit, Error> {
    let client = context.running().await?;
    let ui = &context.ui;
    if let Some(Action::Show { id }) = runs.action {
        let id = find(context, &client, &id, &[]).await?;
        let run: Run = client.get(&format!("/v1/runs/{}", encode(id.as_str()))).await?;
        if ui.json { ui.value(&run) } else { ui.print(&details(&run, Timestamp::now())) }?;
        return Ok(Exit::OK);
    }
    let project = project::name(context, &client).await?;
    let page: Page = client.get(&path(&project, runs.service.as_deref(), runs.limit, None)).await?;
    if page.runs.is_empty() {
        check(&client, &project, runs.service.as_slice()).await?;
    }
    if ui.json {
        ui.value(&page)?;
    } else if page.runs.is_empty() {
        let whose = match &runs.service {
            Some(service) => format!("{project}/{service}"),
            None => project.to_string(),
        };
        ui.line(&format!("no test runs of {whose} yet: devd test"))?;
    } else {
        ui.print(&table(&page.runs, Timestamp::now()))?;
    }
    Ok(Exit::OK)
}

/// Where there are no runs, a name that is none may be why. One that has runs may be of a service that is no more.
async fn check(client: &Client, project: &ProjectName, services: &[String]) -> Result<(), Error> {
    if services.is_empty() {
        return Ok(());
    }
    match project::status(client, project).await {
        Ok(known) => names::check(services, known.services.iter().map(|s| &s.name), Some(project)),
        // Its history outlives it.
        Err(error) if error.is(Code::UnknownProject) => Ok(()),
        Err(error) => Err(error),
    }
}

fn path(project: &ProjectName, service: Option<&str>, limit: u32, before: Option<&RunId>) -> String {
    let mut path = format!("/v1/runs?project={}&limit={limit}", encode(project.as_str()));
    if let Some(service) = service {
        path.push_str(&format!("&service={}", encode(service)));
    }
    if let Some(before) = before {
        path.push_str(&format!("&before={}", encode(before.as_str())));
    }
    path
}

pub(crate) fn log_path(run: &RunId, follow: bool) -> String {
    format!("/v1/runs/{}/log?follow={follow}", encode(run.as_str()))
}

/// The id that is meant: itself, or the newest, or the newest that failed, of these services or of all.
pub(crate) async fn find(
    context: &Context,
    client: &Client,
    id: &str,
    services: &[String],
) -> Result<RunId, Error> {
    let is_wanted: fn(&Run) -> bool = match id {
        "last" => |_| true,
        "last-failed" => |run| matches!(run.state, TestsState::Failed | TestsState::Error),
        id => return Ok(RunId::new(id)),
    };
    let project = project::name(context, client).await?;
    let service = if let [service] = services { Some(service.as_str()) } else { None };
    let mut before = None;
    loop {
        let page: Page = client.get(&path(&project, service, PAGE, before.as_ref())).await?;
        let of_services =
            |run: &&Run| services.is_empty() || services.iter().any(|s| s == run.service.as_str());
        if let Some(run) = page.runs.iter().filter(of_services).find(|run| is_wanted(run)) {
            return Ok(run.id.clone());
        }
        before = page.next;
        if before.is_none() {
            check(client, &project, services).await?;
            let what = if id == "last" { "no test run" } else { "no test run that failed" };
            let whose =
                if services.is_empty() { String::new() } else { format!(" of {}", services.join(", ")) };
            let problem = Problem::new(Code::UnknownRun, format!("{project} has {what}{whose}"));
            return Err(problem.help("`devd runs` lists them, `devd test` makes one").into());
        }
    }
}
