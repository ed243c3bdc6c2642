//! `devd uninstall`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::service::{self, launchd, systemd};
use clap::Args;
use serde_json::json;

/// Take `devd install` back: devd does not start at login any more
#[derive(Args, Debug)]
#[command(after_help = "Projects and their services are not touched: `devd down` takes those down.")]
pub(crate) struct Uninstall {
    /// Remove service files that devd did not write
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(context: &Context, uninstall: Uninstall) -> Result<Exit, Error> {
    let files = if cfg!(target_os = "macos") {
        vec![launchd::file()?]
    } else {
        let folder = systemd::folder()?;
        vec![folder.join(systemd::SOCKET), folder.join(systemd::SERVICE)]
    };
    let mut is_there = false;
    for file in &files {
        is_there |= service::present(file)? != service::Present::No;
    }
    if is_there {
        // It may not run, or not be loaded; what counts is that the files go.
        if cfg!(target_os = "macos") {
            launchd::unload().await;
        } else {
            systemd::control(&["disable", "--now", systemd::SOCKET, systemd::SERVICE]).await;
        }
    }
    let mut removed = Vec::new();
    for file in &files {
        if service::remove(file, uninstall.force)? {
            removed.push(file);
        }
    }
    if !removed.is_empty() && cfg!(target_os = "linux") {
        systemd::control(&["daemon-reload"]).await;
    }
    if context.ui.json {
        context.ui.value(&json!({ "files": removed }))?;
    } else if removed.is_empty() {
        context.ui.line("nothing to do: devd is not installed to start at login")?;
    } else {
        for file in removed {
            context.ui.line(&format!("removed {}", file.display()))?;
        }
    }
    Ok(Exit::OK)
}
