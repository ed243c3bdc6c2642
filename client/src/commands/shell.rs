//! `devd shell`

use super::exec::{self, Options};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use clap::Args;

/// Open a shell in a service's running container: bash where there is one, else sh
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  devd shell web")]
pub(crate) struct Shell {
    #[command(flatten)]
    options: Options,
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
}

pub(crate) async fn run(context: &Context, shell: Shell) -> Result<Exit, Error> {
    exec::execute(context, &shell.service, Vec::new(), shell.options).await
}
