//! `devd stop`

use super::action::{self, Action, Verb};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use clap::Args;

/// Stop services; devd leaves them stopped
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  devd stop web

`devd start web` starts it again; `devd up` too.")]
pub(crate) struct Stop {
    #[command(flatten)]
    action: Action,
}

pub(crate) async fn run(context: &Context, stop: Stop) -> Result<Exit, Error> {
    action::run(context, context.started(), Verb::Stop, stop.action).await
}
