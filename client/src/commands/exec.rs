//! `devd exec`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::encode;
use crate::signal::guard;
use crate::terminal::{self, RawMode};
use crate::{project, pump};
use clap::Args;
use devd_proto::ExecRequest;
use std::io::{self, IsTerminal as _};

/// The protocol that the connection becomes.
const PROTOCOL: &str = "devd-exec";

/// Run a command in a service's running container
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd exec web python manage.py migrate
  devd exec -e DEBUG=1 -w /tmp web env
  cat dump.sql | devd exec db psql -U postgres

It has a terminal when standard input and output are one. The exit code is the command's.")]
pub(crate) struct Exec {
    #[command(flatten)]
    options: Options,
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) cmd: Vec<String>,
}

/// How the command runs; `devd shell` takes the same.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// No terminal, even where there is one
    #[arg(short = 'T', long = "no-tty")]
    no_tty: bool,
    /// An environment variable, NAME=VALUE or NAME; repeatable
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// A user instead of the container's
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// A folder instead of the container's working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Which container of a service that is several [default: the first]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    index: Option<u32>,
}

pub(crate) async fn run(context: &Context, exec: Exec) -> Result<Exit, Error> {
    execute(context, &exec.service, exec.cmd, exec.options).await
}

/// Runs a command, or the container's shell when there is none.
pub(crate) async fn execute(
    context: &Context,
    service: &str,
    cmd: Vec<String>,
    options: Options,
) -> Result<Exit, Error> {
    let tty = !options.no_tty && io::stdin().is_terminal() && io::stdout().is_terminal();
    let request = ExecRequest {
        cmd,
        tty,
        size: if tty { terminal::size(io::stdout()) } else { None },
        env: options.env.iter().map(|entry| with_value(entry)).collect(),
        user: options.user,
        workdir: options.workdir,
        index: options.index,
    };
    let connection = guard(async {
        let client = context.started().await?;
        let project = project::name(context, &client).await?;
        let path = format!("{}/services/{}/exec", project::path(&project), encode(service));
        client.upgrade(&path, &request, PROTOCOL).await
    })
    .await?;
    let _raw = if tty { Some(RawMode::enter()?) } else { None };
    pump::run(connection, tty).await
}

/// `NAME` alone passes this environment's value on, as docker does.
fn with_value(entry: &str) -> String {
    if entry.contains('=') {
        return entry.to_owned();
    }
    format!("{entry}={}", std::env::var(entry).unwrap_or_default())
}
