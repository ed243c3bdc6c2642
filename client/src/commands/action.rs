//! What `start`, `stop`, `restart` and `rebuild` have in common.

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::{Client, encode};
use crate::render::{addresses, progress, status};
use crate::signal::Signals;
use crate::{follow, names, project};
use clap::Args;
use devd_proto::{Accepted, ProjectName, ProjectStatus, ServiceStatus};

/// Which services, and whether to wait for them.
#[derive(Args, Debug)]
pub(crate) struct Action {
    /// The services
    #[arg(value_name = "SERVICE", required = true)]
    services: Vec<String>,
    /// Return at once; devd does it in the background
    #[arg(long)]
    no_wait: bool,
}

/// What is done, in the forms that are said.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    Start,
    Stop,
    Restart,
    Rebuild,
}

impl Verb {
    fn route(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Rebuild => "rebuild",
        }
    }

    fn ing(self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Stop => "stopping",
            Self::Restart => "restarting",
            Self::Rebuild => "rebuilding",
        }
    }
}

/// Asks for the action, and waits until it is done.
pub(crate) async fn run(
    context: &Context,
    connecting: impl Future<Output = Result<Client, Error>>,
    verb: Verb,
    action: Action,
) -> Result<Exit, Error> {
    let mut signals = Signals::new()?;
    let asked = tokio::select! {
        asked = ask(context, connecting, verb, &action.services) => asked,
        number = signals.next() => Err(Error::Interrupted(number)),
    };
    let (client, project, revision) = asked?;
    let ui = &context.ui;
    if action.no_wait {
        if ui.json {
            ui.value(&Accepted { revision })?;
        }
        return Ok(Exit::OK);
    }
    let doing = format!("{} {}", verb.ing(), action.services.join(", "));
    if !ui.json {
        ui.note(&format!("{doing} …"));
    }
    tokio::select! {
        settled = follow::until_settled(context, &client, &project, revision, &action.services) => {
            finish(context, settled?, &action.services)
        }
        number = signals.next() => {
            ui.note(&format!("\ninterrupted: devd goes on {doing}; `devd status` shows it"));
            Err(Error::Interrupted(number))
        }
    }
}

async fn ask(
    context: &Context,
    connecting: impl Future<Output = Result<Client, Error>>,
    verb: Verb,
    services: &[String],
) -> Result<(Client, ProjectName, u64), Error> {
    let client = connecting.await?;
    let project = project::name(context, &client).await?;
    let path = project::path(&project);
    if services.len() > 1 {
        // All or none: a wrong name must not be noticed half-way.
        let known = project::status(&client, &project).await?;
        names::check(services, known.services.iter().map(|s| &s.name), Some(&project))?;
    }
    let mut revision = 0;
    for service in services {
        let path = format!("{path}/services/{}/{}", encode(service), verb.route());
        let accepted: Accepted = client.post(&path, &serde_json::json!({})).await?;
        revision = revision.max(accepted.revision);
    }
    Ok((client, project, revision))
}

fn finish(context: &Context, mut settled: ProjectStatus, services: &[String]) -> Result<Exit, Error> {
    let ui = &context.ui;
    let is_meant = |service: &ServiceStatus| services.iter().any(|s| s == service.name.as_str());
    let exit =
        Exit::good(!settled.services.iter().any(|service| is_meant(service) && status::is_bad(service)));
    if ui.json {
        ui.value(&settled)?;
        return Ok(exit);
    }
    settled.services.retain(is_meant);
    ui.print(&addresses::table(&settled.services))?;
    for service in settled.services.iter().filter(|service| status::is_bad(service)) {
        ui.draw(&format!("\n{}", progress::trouble(service)));
    }
    Ok(exit)
}
