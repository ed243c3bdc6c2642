//! `devd down`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::Client;
use crate::project;
use clap::Args;
use devd_proto::{Code, ProjectName, Removed};

/// Stop and remove the project's containers and networks, and forget the project
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd down                the project of this folder
  devd down --volumes      its volumes too: the data in them is gone
  devd down -p shop        by name, from anywhere")]
pub(crate) struct Down {
    /// Remove its volumes too, with all that is in them
    #[arg(short, long)]
    volumes: bool,
}

pub(crate) async fn run(context: &Context, down: Down) -> Result<Exit, Error> {
    let client = match context.running().await {
        // Without a daemon nothing is known to be there, and nothing to be gone.
        Err(Error::NotRunning) => {
            return Err(Error::unreachable("devd is not running, so it cannot take anything down")
                .help("`devd daemon start`, then `devd down`"));
        }
        client => client?,
    };
    let ui = &context.ui;
    let name = project::name(context, &client).await?;
    if ui.is_live_on_stderr() {
        ui.draw(&format!("{name}: stopping …\r"));
    }
    match remove(&client, &name, down.volumes).await {
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

async fn remove(client: &Client, name: &ProjectName, volumes: bool) -> Result<Removed, Error> {
    client.delete(&format!("{}?volumes={volumes}", project::path(name))).await
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
