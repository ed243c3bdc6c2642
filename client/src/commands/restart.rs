//! `devd restart`

use super::action::{self, Action, Verb};
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
    action::run(context, context.started(), Verb::Restart, restart.action).await
}
