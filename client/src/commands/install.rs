//! `devd install`

use super::daemon;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::service::{self, launchd, systemd};
use crate::{launch, paths};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

/// Start devd at login: a systemd user unit with its socket on Linux, a launchd agent on macOS
#[derive(Args, Debug)]
#[command(after_help = "`devd uninstall` takes it back.")]
pub(crate) struct Install {
    /// Overwrite service files that devd did not write
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(context: &Context, install: Install) -> Result<Exit, Error> {
    let program = launch::find()?;
    let socket = paths::socket()?;
    let environment = service::kept_environment()?;
    let (files, is_active) = if cfg!(target_os = "macos") {
        let file = launchd::file()?;
        let log = paths::state()?.join("devdd.log");
        let plist = launchd::plist(&program, &socket, &log, &environment);
        put(context, &[(file.clone(), plist)], install.force)?;
        hand_over(context, &socket).await?;
        let loaded = launchd::load(&file).await;
        if !loaded {
            say(context, &format!("launchctl did not take it; try: {}", by_hand(&[&file])))?;
        }
        (vec![file], loaded)
    } else {
        let folder = systemd::folder()?;
        // Where the socket is the usual one, the unit says so in systemd's own words.
        let elsewhere = env::var_os("DEVD_SOCKET").is_some_and(|path| !path.is_empty());
        let confined = !systemd::docker_is_a_snap(&env::var_os("PATH").unwrap_or_default());
        if !confined {
            say(
                context,
                "docker is a snap here, whose launcher a confined service could not run: devd is not confined",
            )?;
        }
        let files = [
            (folder.join(systemd::SERVICE), systemd::service_unit(&program, &environment, confined)),
            (folder.join(systemd::SOCKET), systemd::socket_unit(elsewhere.then_some(socket.as_path()))),
        ];
        put(context, &files, install.force)?;
        let active = enable(context, &socket).await?;
        (files.into_iter().map(|(file, _)| file).collect(), active)
    };
    for (name, value) in &environment {
        say(context, &format!("kept from this environment: {name}={value}"))?;
    }
    if context.ui.json {
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        let help = (!is_active).then(|| by_hand(&files));
        let value = json!({ "files": files, "active": is_active, "environment": environment, "help": help });
        context.ui.value(&value)?;
    } else if is_active {
        context.ui.line("devd starts at login from now on")?;
    }
    Ok(Exit::OK)
}

fn put(context: &Context, files: &[(PathBuf, String)], force: bool) -> Result<(), Error> {
    // All or none.
    for (file, _) in files {
        service::check(file, force)?;
    }
    for (file, text) in files {
        service::write(file, text)?;
        say(context, &format!("wrote {}", file.display()))?;
    }
    Ok(())
}

async fn enable(context: &Context, socket: &Path) -> Result<bool, Error> {
    if !systemd::control(&["daemon-reload"]).await {
        say(
            context,
            &format!(
                "systemctl --user does not answer here. Where it does, run:\n  systemctl --user daemon-reload\n  {}",
                systemd::ENABLE
            ),
        )?;
        return Ok(false);
    }
    hand_over(context, socket).await?;
    // The service too: after a login the projects come back before anybody asks for them.
    let enabled = systemd::control(&["enable", "--now", systemd::SOCKET, systemd::SERVICE]).await;
    if !enabled {
        return Err(Error::local("systemd did not start devd").help(format!(
            "systemctl --user status {} {}",
            systemd::SOCKET,
            systemd::SERVICE
        )));
    }
    Ok(true)
}

/// A daemon that runs by itself makes room for the service manager's.
async fn hand_over(context: &Context, socket: &Path) -> Result<(), Error> {
    if systemd::keeps(socket).await {
        return Ok(());
    }
    match daemon::terminate().await {
        Ok(pid) => {
            say(context, &format!("stopped the devdd that ran by itself (pid {pid}); services keep running"))
        }
        Err(Error::NotRunning) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What the service manager did not do.
fn by_hand(files: &[impl AsRef<Path>]) -> String {
    match files {
        [file] if cfg!(target_os = "macos") => format!("launchctl load -w '{}'", file.as_ref().display()),
        _ => format!("systemctl --user daemon-reload && {}", systemd::ENABLE),
    }
}

/// A step on the way, for people: the object for programs has its outcome.
fn say(context: &Context, text: &str) -> Result<(), Error> {
    if context.ui.json { Ok(()) } else { context.ui.line(text) }
}
