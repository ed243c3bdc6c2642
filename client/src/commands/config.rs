//! `devd config`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;
use crate::render::style;
use clap::Args;
use devd_proto::Config as Answer;
use serde_json::Value;
use std::collections::BTreeMap;

/// Print the project as devd understands it: canonical compose-spec, as YAML or with --json as JSON
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd config
  devd config --json | jq .services.web.ports
  devd config --hash '*'

It is what `docker compose config` prints. In a service's folder it is the registered project around that is printed, \
unless `-f` names a file. Values of `environment:` and `env_file:` are printed as they are; the values of secrets that \
come from variables only with --show-secrets. With --json, lists of names are JSON arrays, and hashes and variables \
JSON objects. Warnings go to standard error. Exit code 2 when the files do not load.")]
pub(crate) struct Config {
    #[command(flatten)]
    part: Part,
    /// Print the values of secrets that come from variables, too
    #[arg(long)]
    show_secrets: bool,
}

/// What is printed instead of the whole.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct Part {
    /// Print only the names of the services
    #[arg(long)]
    services: bool,
    /// Print only the images that the services run
    #[arg(long)]
    images: bool,
    /// Print only the names of the volumes that are used
    #[arg(long)]
    volumes: bool,
    /// Print only the names of the networks that are used
    #[arg(long)]
    networks: bool,
    /// Print only the profiles that the files name
    #[arg(long)]
    profiles: bool,
    /// Print the config hash of these services, or of all
    #[arg(long, value_name = "SERVICE,…|*")]
    hash: Option<String>,
    /// Print the variables that the files are read with
    #[arg(long)]
    environment: bool,
    /// Print nothing: only say whether the files load
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) async fn run(context: &Context, Config { part, show_secrets }: Config) -> Result<Exit, Error> {
    let client = context.started().await?;
    let mut source = project::source(&context.globals)?;
    // In a service's folder, too, the registered project around it is meant. Where files are named, those are.
    if source.files.is_empty() && !source.env.contains_key("COMPOSE_FILE") {
        let resolved = project::resolve(context, &client).await?;
        if resolved.registered && source.project_name.is_none() {
            source.dir = resolved.root;
        }
    }
    let asked = [("secrets", show_secrets), ("environment", part.environment)];
    let asked: Vec<String> =
        asked.iter().filter(|(_, asked)| *asked).map(|(name, _)| format!("{name}=true")).collect();
    let query = if asked.is_empty() { String::new() } else { format!("?{}", asked.join("&")) };
    let answer: Answer = client.post(&format!("/v1/config{query}"), &source).await?;
    for warning in &answer.warnings {
        context.ui.draw(&style::diagnostic(warning));
    }
    print(context, &part, &answer)?;
    Ok(Exit::OK)
}

fn print(context: &Context, part: &Part, answer: &Answer) -> Result<(), Error> {
    let keys = |section: &str| {
        let section = answer.config.0.get(section).and_then(Value::as_object);
        section.into_iter().flat_map(|map| map.keys().cloned()).collect::<Vec<_>>()
    };
    if part.quiet {
        Ok(())
    } else if part.services {
        names(context, &keys("services"))
    } else if part.volumes {
        names(context, &keys("volumes"))
    } else if part.networks {
        names(context, &keys("networks"))
    } else if part.images {
        names(context, &answer.images.iter().cloned().collect::<Vec<_>>())
    } else if part.profiles {
        names(context, &answer.profiles.iter().cloned().collect::<Vec<_>>())
    } else if let Some(wanted) = &part.hash {
        pairs(context, &hashes(answer, wanted)?, ' ')
    } else if part.environment {
        pairs(context, &answer.environment, '=')
    } else if context.ui.json {
        context.ui.value(&answer.config)
    } else {
        context.ui.line(answer.yaml.trim_end())
    }
}

fn hashes(answer: &Answer, wanted: &str) -> Result<BTreeMap<String, String>, Error> {
    if wanted == "*" {
        return Ok(answer.hashes.clone());
    }
    let mut found = BTreeMap::new();
    for name in wanted.split(',') {
        let Some(hash) = answer.hashes.get(name) else {
            let known: Vec<&str> = answer.hashes.keys().map(String::as_str).collect();
            let error = Error::usage(format!("there is no service `{name}`"));
            return Err(error.help(format!("its services are {}", known.join(", "))));
        };
        found.insert(name.to_owned(), hash.clone());
    }
    Ok(found)
}

/// One a line, or a JSON array.
fn names(context: &Context, names: &[String]) -> Result<(), Error> {
    if context.ui.json {
        return context.ui.value(&names);
    }
    names.iter().try_for_each(|name| context.ui.line(name))
}

/// One a line, or a JSON object.
fn pairs(context: &Context, pairs: &BTreeMap<String, String>, between: char) -> Result<(), Error> {
    if context.ui.json {
        return context.ui.value(pairs);
    }
    pairs.iter().try_for_each(|(name, value)| context.ui.line(&format!("{name}{between}{value}")))
}
