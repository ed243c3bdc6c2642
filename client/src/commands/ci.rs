//! `devd ci`

mod daemon;
mod github;
mod junit;
#[cfg(test)]
mod samples;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::Client;
use crate::project;
use crate::render::style;
use crate::signal::Signals;
use clap::{Args, ValueEnum};
use daemon::Daemon;
use devd_proto::{
    ProjectName, RegisterRequest, Registered, Resolved, Run, RunRequest, RunsStarted, TestsState,
};
use std::path::PathBuf;

/// Run every service's tests once, for a CI server: nothing is watched, and nothing is left
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd ci                          build what the tests need, run them, clean up
  devd ci --junit report.xml       with a report that CI servers read
  devd ci --format github          with annotations at the lines that failed

It has a daemon of its own, under a project name of its own: a stack that runs stays as it is. Containers, networks, volumes \
and images that it made are gone when it ends, also after Ctrl-C. Exit code 0 when all passed, 1 when not.")]
pub(crate) struct Ci {
    /// Only the tests of these [default: of every service that has tests]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Write a report in JUnit's format
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also say what failed as this server wants it
    #[arg(long, value_name = "SERVER", value_enum)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Workflow commands of GitHub Actions
    Github,
}

pub(crate) async fn run(context: &Context, ci: Ci) -> Result<Exit, Error> {
    let mut signals = Signals::with_hangup()?;
    let daemon = tokio::select! {
        daemon = Daemon::start() => daemon?,
        number = signals.next() => return Err(Error::Interrupted(number)),
    };
    let outcome = tokio::select! {
        outcome = tests(context, &daemon.client, &ci) => outcome,
        number = signals.next() => Err(Error::Interrupted(number)),
    };
    if matches!(outcome, Err(Error::Interrupted(_))) && !context.ui.json {
        context.ui.note("\ncleaning up …");
    }
    let cleaned = daemon.end(&mut signals).await;
    let runs = outcome?;
    if let Some(file) = &ci.junit {
        let written = junit::report(&runs).and_then(|text| std::fs::write(file, text));
        written.map_err(|error| Error::local(format!("cannot write {}: {error}", file.display())))?;
    }
    if let Some(Format::Github) = ci.format
        && !context.ui.json
    {
        context.ui.print(&github::annotations(&runs, &github::workspace()))?;
    }
    let exit = super::test::report(context, runs)?;
    // A verdict is one also where something could not be removed.
    cleaned.map(|()| exit)
}

/// Runs them to their end.
async fn tests(context: &Context, client: &Client, ci: &Ci) -> Result<Vec<Run>, Error> {
    let found: Resolved = client.post("/v1/resolve", &project::source(&context.globals)?).await?;
    // Nobody else's containers have this name.
    let name = ProjectName::new(format!("{}-ci-{}", found.project, std::process::id()));
    let request = RegisterRequest {
        start: false,
        project_name: Some(name.to_string()),
        ..project::register(&context.globals)?
    };
    let registered: Registered = client.post("/v1/projects", &request).await?;
    for warning in &registered.warnings {
        context.ui.draw(&style::diagnostic(warning));
    }
    let status = project::status(client, &name).await?;
    let broken = status.services.iter().filter(|service| service.tests.state == TestsState::Error);
    let broken: Vec<String> = broken
        .map(|service| format!("{}: {}", service.name, service.tests.reason.as_deref().unwrap_or_default()))
        .collect();
    if !broken.is_empty() {
        return Err(Error::usage(format!("tests that cannot be read\n  {}", broken.join("\n  "))));
    }
    let request = RunRequest {
        project: name.clone(),
        services: ci.services.iter().map(|name| name.as_str().into()).collect(),
        args: Vec::new(),
        failed: false,
    };
    let started: RunsStarted = client.post("/v1/runs", &request).await?;
    if started.runs.is_empty() {
        context.ui.note("no service has tests");
        return Ok(Vec::new());
    }
    super::test::wait(context, client, &name, &started.runs).await
}
