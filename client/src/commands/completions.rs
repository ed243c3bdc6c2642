//! `devd completions`

use crate::cli::Cli;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// Print completions for a shell
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd completions bash > ~/.local/share/bash-completion/completions/devd
  devd completions zsh > ~/.zfunc/_devd          with ~/.zfunc in fpath
  devd completions fish > ~/.config/fish/completions/devd.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub(crate) fn run(context: &Context, completions: Completions) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut Cli::command(), "devd", &mut script);
    context.ui.bytes(&script)?;
    Ok(Exit::OK)
}
