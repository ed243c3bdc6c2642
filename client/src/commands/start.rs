//! `devd start`

use super::action::{self, Action, Verb};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use clap::Args;

/// Start services that were stopped
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  devd start web")]
pub(crate) struct Start {
    #[command(flatten)]
    action: Action,
}

pub(crate) async fn run(context: &Context, start: Start) -> Result<Exit, Error> {
    action::run(context, context.started(), Verb::Start, start.action).await
}
