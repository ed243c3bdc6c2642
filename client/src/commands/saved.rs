//! `devd saved`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::paths;
use clap::Args;
use devd_proto::{Saved as Answer, SavedRequest};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

/// An editor waits for this command: a daemon that does not answer by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tell devd that files were saved: the editor's save-hook
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd saved web/main.py

It prints nothing, never starts the daemon, and succeeds when none runs, so that an editor may call it on every \
save. devd watches the files anyway: this only makes it quicker, and works where watching does not. \
`devd hook EDITOR` prints what to put into an editor.")]
pub(crate) struct Saved {
    /// The files that were saved
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Report when nobody was told, with exit code 3
    #[arg(long)]
    strict: bool,
}

pub(crate) async fn run(context: &Context, saved: Saved) -> Result<Exit, Error> {
    let strict = saved.strict;
    crate::version::say_nothing();
    let told = match timeout(PATIENCE, tell(context, saved)).await {
        Ok(told) => told,
        Err(_) => Err(Error::unreachable(format!("devd does not answer within {} s", PATIENCE.as_secs()))
            .help("devd daemon status")),
    };
    match told {
        Ok(answer) if context.ui.json => context.ui.value(&answer)?,
        Ok(_) => {}
        Err(error) if strict => return Err(error),
        Err(_) => {}
    }
    Ok(Exit::OK)
}

async fn tell(context: &Context, saved: Saved) -> Result<Answer, Error> {
    let paths = saved
        .files
        .iter()
        .map(|file| paths::text(&paths::absolute(&in_dir(context, file))?))
        .collect::<Result<_, _>>()?;
    context.running().await?.post("/v1/saved", &SavedRequest { paths }).await
}

/// Relative to `-C` when it is given, else to the current folder.
pub(crate) fn in_dir(context: &Context, file: &std::path::Path) -> PathBuf {
    match &context.globals.dir {
        Some(dir) => dir.join(file),
        None => file.to_owned(),
    }
}
