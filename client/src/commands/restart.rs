//! `devd restart`

use super::action::{self, Action};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use clap::Args;

/// Restart services by hand
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  devd restart web")]
pub(crate) struct Restart {
    #[command(flatten)]
    action: Action,
}

pub(crate) async fn run(context: &Context, restart: Restart) -> Result<Exit, Error> {
    let client = context.started().await?;
    action::run(context, &client, "restart", restart.action).await
}
