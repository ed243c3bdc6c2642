//! `devd events`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;
use clap::Args;
use devd_proto::ProjectName;

/// Print what happens, as it happens: one JSON object a line
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd events                  of all projects
  devd events -C .             only of the one of this folder
  devd events | jq -r 'select(.kind == \"run_finished\") | .run.service + \" \" + .run.state'

It goes on until it is interrupted; exit code 3 when the daemon goes away.")]
pub(crate) struct Events {}

pub(crate) async fn run(context: &Context, Events {}: Events) -> Result<Exit, Error> {
    let client = context.started().await?;
    let project =
        if context.globals.name_a_project() { Some(project::name(context, &client).await?) } else { None };
    let mut events = client.events(project.as_ref().map(ProjectName::as_str)).await?;
    loop {
        // As it was sent: fields that this client does not know are for whoever reads them.
        let message = events.message().await?;
        context.ui.bytes(format!("{}\n", message.data.replace('\n', " ")).as_bytes())?;
    }
}
