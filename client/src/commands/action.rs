//! What `start`, `stop`, `restart` and `rebuild` have in common.

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::{Client, encode};
use crate::render::{addresses, progress, status};
use crate::{follow, names, project};
use clap::Args;
use devd_proto::{Accepted, ServiceStatus};

/// Which services, and whether to wait for them.
#[derive(Args, Debug)]
pub(crate) struct Action {
    /// The services
    #[arg(value_name = "SERVICE", required = true)]
    services: Vec<String>,
    /// Return at once
    #[arg(long)]
    no_wait: bool,
}

/// Asks for the action, and waits until it is done.
pub(crate) async fn run(
    context: &Context,
    client: &Client,
    what: &str,
    action: Action,
) -> Result<Exit, Error> {
    let project = project::name(context, client).await?;
    let path = project::path(&project);
    if action.services.len() > 1 {
        // All or none: a wrong name must not be noticed half-way.
        let known = project::status(client, &project).await?;
        names::check(&action.services, known.services.iter().map(|s| &s.name), Some(&project))?;
    }
    let mut revision = 0;
    for service in &action.services {
        let path = format!("{path}/services/{}/{what}", encode(service));
        let accepted: Accepted = client.post(&path, &serde_json::json!({})).await?;
        revision = revision.max(accepted.revision);
    }
    let ui = &context.ui;
    if action.no_wait {
        if ui.json {
            ui.value(&Accepted { revision })?;
        }
        return Ok(Exit::OK);
    }
    let mut settled = follow::until_settled(context, client, &project, revision).await?;
    let is_meant = |service: &ServiceStatus| action.services.iter().any(|s| s == service.name.as_str());
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
