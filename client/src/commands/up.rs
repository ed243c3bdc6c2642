//! `devd up`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::Client;
use crate::render::{addresses, progress, status, style};
use crate::signal::Signals;
use crate::{follow, project};
use clap::Args;
use devd_proto::{ProjectState, ProjectStatus, RegisterRequest, Registered, ServiceState};

/// Bring the project up, wait until it is, and keep it so
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd up                  everything, in dependency order
  devd up web              web and what it depends on
  devd -C ~/shop up --no-wait
  devd up --build          build images even when they are there

From then on devd restarts services on save and when they die, and reruns their tests. `devd down` ends it.")]
pub(crate) struct Up {
    /// Only these, and what they depend on [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Return at once; devd goes on in the background
    #[arg(long)]
    no_wait: bool,
    /// Build images even when they are there
    #[arg(long)]
    build: bool,
}

pub(crate) async fn run(context: &Context, up: Up) -> Result<Exit, Error> {
    let mut signals = Signals::new()?;
    let no_wait = up.no_wait;
    let registered = tokio::select! {
        registered = register(context, up) => registered,
        number = signals.next() => Err(Error::Interrupted(number)),
    };
    let (client, registered) = registered?;
    let ui = &context.ui;
    for warning in &registered.warnings {
        ui.draw(&style::diagnostic(warning));
    }
    if no_wait {
        if ui.json {
            ui.value(&registered)?;
        } else {
            ui.line(&format!("{} is on its way up: devd status", registered.project))?;
        }
        return Ok(Exit::OK);
    }
    tokio::select! {
        settled = follow::until_settled(context, &client, &registered.project, registered.revision, &[]) => {
            finish(context, &settled?)
        }
        number = signals.next() => {
            let project = &registered.project;
            ui.note(&format!(
                "\ninterrupted: devd goes on bringing {project} up; `devd status` shows it, `devd down` takes it down"
            ));
            Err(Error::Interrupted(number))
        }
    }
}

async fn register(context: &Context, up: Up) -> Result<(Client, Registered), Error> {
    let request = RegisterRequest {
        services: up.services.into_iter().map(Into::into).collect(),
        build: up.build,
        ..project::register(&context.globals)?
    };
    let client = context.started().await?;
    let registered = client.post("/v1/projects", &request).await?;
    Ok((client, registered))
}

fn finish(context: &Context, project: &ProjectStatus) -> Result<Exit, Error> {
    let ui = &context.ui;
    let exit = Exit::good(project.state == ProjectState::Running);
    if ui.json {
        ui.value(project)?;
        return Ok(exit);
    }
    ui.print(&addresses::table(&project.services))?;
    if let Some(error) = &project.error {
        ui.draw(&style::diagnostic(error));
    }
    for service in &project.services {
        if status::is_bad(service) || (exit != Exit::OK && service.state == ServiceState::Pending) {
            ui.draw(&format!("\n{}", progress::trouble(service)));
        }
    }
    Ok(exit)
}
