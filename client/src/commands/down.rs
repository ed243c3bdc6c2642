//! `devd down`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::Client;
use crate::project;
use crate::signal::Signals;
use clap::Args;
use devd_proto::{Code, ProjectName, Removed};

/// Stop and remove the project's containers and networks, and forget the project
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd down                the project of this folder
  devd down --volumes      its volumes too: the data in them is gone
  devd down --rmi local    the images too that were built for it
  devd down -p shop        by name, from anywhere")]
pub(crate) struct Down {
    /// Remove its volumes too, with all that is in them
    #[arg(short, long)]
    volumes: bool,
    /// Remove images too: `local` are those that were built for it and have its name
    #[arg(long, value_name = "WHICH", value_parser = ["local"])]
    rmi: Option<String>,
}

pub(crate) async fn run(context: &Context, down: Down) -> Result<Exit, Error> {
    let mut signals = Signals::new()?;
    let found = tokio::select! {
        found = find(context) => found,
        number = signals.next() => Err(Error::Interrupted(number)),
    };
    let (client, name, services) = found?;
    let ui = &context.ui;
    if let Some(services) = &services
        && !ui.json
    {
        let which = if services.is_empty() { String::new() } else { format!(": {}", services.join(", ")) };
        ui.note(&format!("stopping {name}{which} …"));
    }
    let removed = tokio::select! {
        removed = remove(&client, &name, down.volumes, down.rmi.is_some()) => removed,
        number = signals.next() => {
            ui.note(&format!("\ninterrupted: devd goes on taking {name} down; `devd status` shows it"));
            return Err(Error::Interrupted(number));
        }
    };
    match removed {
        Ok(removed) if ui.json => ui.value(&removed)?,
        Ok(removed) => ui.line(&format!("{name}: removed {}; devd has forgotten it", said(&removed)))?,
        Err(error) if error.is(Code::UnknownProject) && ui.json => ui.value(&Removed::default())?,
        Err(error) if error.is(Code::UnknownProject) => {
            ui.line(&format!("nothing to do: {name} is not registered"))?;
        }
        Err(error) => return Err(error),
    }
    Ok(Exit::OK)
}

/// The project that is meant, and its services that there are, if it is registered.
async fn find(context: &Context) -> Result<(Client, ProjectName, Option<Vec<String>>), Error> {
    // A daemon that died has left everything running.
    let client = context.started().await?;
    let name = project::name(context, &client).await?;
    let services = match project::status(&client, &name).await {
        Ok(status) => {
            let there = status.services.into_iter().filter(|service| service.container.is_some());
            Some(there.map(|service| service.name.to_string()).collect())
        }
        Err(error) if error.is(Code::UnknownProject) => None,
        Err(error) => return Err(error),
    };
    Ok((client, name, services))
}

async fn remove(client: &Client, name: &ProjectName, volumes: bool, images: bool) -> Result<Removed, Error> {
    // An older daemon knows nothing of images, and need not when nobody asks for them.
    let images = if images { "&images=true" } else { "" };
    client.delete(&format!("{}?volumes={volumes}{images}", project::path(name))).await
}

fn said(removed: &Removed) -> String {
    let counted: Vec<String> =
        [(removed.containers, "container"), (removed.networks, "network"), (removed.volumes, "volume")]
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
            .collect();
    if counted.is_empty() { "nothing".to_owned() } else { counted.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_counted() {
        assert_eq!(said(&Removed { containers: 3, networks: 1, volumes: 0 }), "3 containers, 1 network");
        assert_eq!(said(&Removed::default()), "nothing");
    }
}
