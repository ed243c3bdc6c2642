//! `devd man`

use crate::cli::Cli;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use clap::{Args, CommandFactory as _};
use clap_mangen::Man as Page;
use std::fs;
use std::path::PathBuf;

/// Print the manual page, or write one for each command
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd man | man -l -
  devd man --dir ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Write devd.1, devd-up.1, … into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, man: Man) -> Result<Exit, Error> {
    let Some(dir) = man.dir else {
        let mut page = Vec::new();
        Page::new(Cli::command()).render(&mut page)?;
        context.ui.bytes(&page)?;
        return Ok(Exit::OK);
    };
    fs::create_dir_all(&dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &dir))
        .map_err(|error| Error::local(format!("cannot write into {}: {error}", dir.display())))?;
    context.ui.line(&format!("the pages are in {}", dir.display()))?;
    Ok(Exit::OK)
}
