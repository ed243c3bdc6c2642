//! `devd config`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;
use crate::render::style;
use clap::Args;
use devd_proto::Config as Answer;

/// Print the project as devd understands it: canonical compose-spec, as YAML or with --json as JSON
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd config
  devd config --json | jq .services.web.ports

In a service's folder it is the registered project around that is printed, unless `-f` names a file. \
Warnings go to standard error. Exit code 2 when the files do not load.")]
pub(crate) struct Config {}

pub(crate) async fn run(context: &Context, Config {}: Config) -> Result<Exit, Error> {
    let client = context.started().await?;
    let mut source = project::source(&context.globals)?;
    // In a service's folder, too, the registered project around it is meant. Where files are named, those are.
    if source.files.is_empty() && !source.env.contains_key("COMPOSE_FILE") {
        let resolved = project::resolve(context, &client).await?;
        if resolved.registered && source.project_name.is_none() {
            source.dir = resolved.root;
        }
    }
    let answer: Answer = client.post("/v1/config", &source).await?;
    for warning in &answer.warnings {
        context.ui.draw(&style::diagnostic(warning));
    }
    if context.ui.json {
        context.ui.value(&answer.config)?;
    } else {
        context.ui.line(answer.yaml.trim_end())?;
    }
    Ok(Exit::OK)
}
