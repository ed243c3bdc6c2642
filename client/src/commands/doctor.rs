//! `devd doctor`

mod bundle;
mod clean;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::style::{BAD, DIM, GOOD, HEADER, WARN, paint};
use crate::service::{self, Present, systemd};
use crate::{connect, launch, paths, version};
use clap::Args;
use devd_proto::{Doctor as Answer, Finding, FindingState, Version};
use std::path::PathBuf;

/// Check the engine, limits, socket and service file, and say how to mend each finding
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd doctor                     what is wrong, and how to mend it
  devd doctor --clean             what is left over on the engine and why; on a terminal it asks, and removes it
  devd doctor --clean --yes       without a question
  devd doctor --clean -p shop     only what was made for this project
  devd doctor --bundle            an archive for a bug report, without secrets; it says what is in it

Exit code 1 when something does not work, or is left over and still there.")]
pub(crate) struct Doctor {
    /// Show what devd has left on the engine that nobody needs, and remove it
    #[arg(long)]
    clean: bool,
    /// With --clean: volumes with data of projects that are not registered too
    #[arg(long, requires = "clean")]
    volumes: bool,
    /// With --clean: remove without a question
    #[arg(short, long, requires = "clean")]
    yes: bool,
    /// Write what a bug report needs into an archive: FILE, or one named by the time in the current folder
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with = "clean")]
    bundle: Option<Option<PathBuf>>,
}

pub(crate) async fn run(context: &Context, doctor: Doctor) -> Result<Exit, Error> {
    if doctor.clean {
        return clean::run(context, doctor.volumes, doctor.yes).await;
    }
    // It is one of the findings.
    version::say_nothing();
    // The daemon first: it makes what the others look at.
    let (daemon, theirs) = match daemon(context).await {
        Ok((daemon, theirs)) => (daemon, theirs),
        Err(error) => (finding("daemon", FindingState::Error, &error), Vec::new()),
    };
    let mut findings = vec![daemon, socket(), program(), service_file().await];
    findings.extend(theirs);
    let findings = Answer { findings };
    if let Some(file) = doctor.bundle {
        return bundle::run(context, file, findings).await;
    }
    let doctor = findings;
    if context.ui.json {
        context.ui.value(&doctor)?;
    } else {
        let text: String = doctor.findings.iter().map(line).collect();
        context.ui.print(&text)?;
    }
    Ok(Exit::good(doctor.findings.iter().all(|finding| finding.state != FindingState::Error)))
}

fn ok(check: &str, message: String) -> Finding {
    Finding { check: check.to_owned(), state: FindingState::Ok, message, help: None }
}

fn warning(check: &str, message: String, help: &str) -> Finding {
    let help = Some(help.to_owned());
    Finding { check: check.to_owned(), state: FindingState::Warning, message, help }
}

fn finding(check: &str, state: FindingState, error: &Error) -> Finding {
    let help = error.help_text().map(str::to_owned);
    Finding { check: check.to_owned(), state, message: error.to_string(), help }
}

fn socket() -> Finding {
    let looked = paths::socket().and_then(|socket| {
        let there = connect::check_folder(paths::folder_of(&socket))?;
        let state =
            if there { "its folder is yours alone" } else { "its folder is made when the daemon starts" };
        Ok(format!("{} ({state})", socket.display()))
    });
    looked.map_or_else(|error| finding("socket", FindingState::Error, &error), |text| ok("socket", text))
}

fn program() -> Finding {
    launch::find().map_or_else(
        |error| finding("devdd", FindingState::Error, &error),
        |program| ok("devdd", program.display().to_string()),
    )
}

async fn service_file() -> Finding {
    let looked = service::file().and_then(|file| Ok((service::present(&file)?, file)));
    let (present, file) = match looked {
        Ok(looked) => looked,
        Err(error) => return finding("service", FindingState::Warning, &error),
    };
    let whose = match present {
        Present::Ours => "",
        Present::Foreign => " (not written by devd)",
        Present::No => {
            let message = "devd does not start at login; projects come back with the first devd command";
            return warning("service", message.to_owned(), "devd install");
        }
    };
    let file = format!("{}{whose}", file.display());
    if cfg!(target_os = "macos") {
        return ok("service", file);
    }
    match systemd::are_enabled().await {
        Some(true) => ok("service", format!("{file} is enabled")),
        Some(false) => warning("service", format!("{file} is written, but not enabled"), systemd::ENABLE),
        None => {
            let help = format!("where it answers: {}", systemd::ENABLE);
            warning("service", format!("{file} is written, but systemd does not answer here"), &help)
        }
    }
}

/// The daemon, and what it finds itself.
async fn daemon(context: &Context) -> Result<(Finding, Vec<Finding>), Error> {
    let client = context.started().await?;
    let version: Version = client.get("/v1/version").await?;
    let own = env!("CARGO_PKG_VERSION");
    let running = if version.version == own {
        ok("daemon", format!("version {own} runs as pid {}", version.pid))
    } else {
        let message = format!("devd is {own}, and the daemon that runs is {}", version.version);
        warning("daemon", message, "devd daemon restart")
    };
    let theirs: Answer = client.get("/v1/doctor").await?;
    Ok((running, theirs.findings))
}

fn line(finding: &Finding) -> String {
    let mark = match finding.state {
        FindingState::Ok => paint(GOOD, "✓"),
        FindingState::Warning | FindingState::Unknown => paint(WARN, "!"),
        FindingState::Error => paint(BAD, "✗"),
    };
    let check = paint(HEADER, &finding.check);
    // A value is told with its name.
    let value = finding.message.strip_prefix(&finding.check).filter(|rest| rest.starts_with(" = "));
    let mut out = match value {
        Some(rest) => format!("{mark} {check}{rest}\n"),
        None => format!("{mark} {check}: {}\n", finding.message),
    };
    if let Some(help) = &finding.help {
        out.push_str(&format!("  {} {help}\n", paint(DIM, "help:")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_how_to_mend_it() {
        let text =
            line(&finding("daemon", FindingState::Error, &Error::unreachable("it is away").help("call it")));
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "✗ daemon: it is away\n  help: call it\n"
        );
        let limit = line(&ok("fs.x", "fs.x = 7: enough".to_owned()));
        assert_eq!(anstream::adapter::strip_str(&limit).to_string(), "✓ fs.x = 7: enough\n");
    }
}
