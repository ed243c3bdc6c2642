//! `devd rebuild`

use super::action::{self, Action, Verb};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use clap::Args;

/// Build services' images anew and recreate their containers
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  devd rebuild web")]
pub(crate) struct Rebuild {
    #[command(flatten)]
    action: Action,
}

pub(crate) async fn run(context: &Context, rebuild: Rebuild) -> Result<Exit, Error> {
    action::run(context, context.started(), Verb::Rebuild, rebuild.action).await
}
