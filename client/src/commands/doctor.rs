//! `devd doctor`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::style::{BAD, DIM, GOOD, HEADER, WARN, paint};
use crate::service::{self, Present};
use crate::{connect, launch, paths};
use clap::Args;
use devd_proto::{Doctor as Answer, Finding, FindingState, Version};

/// Check the engine, limits, socket and service file, and say how to mend each finding
#[derive(Args, Debug)]
#[command(after_help = "Exit code 1 when something does not work.")]
pub(crate) struct Doctor {}

pub(crate) async fn run(context: &Context, Doctor {}: Doctor) -> Result<Exit, Error> {
    let mut findings = vec![socket(), program(), service_file()];
    match daemon(context).await {
        Ok(theirs) => findings.extend(theirs),
        Err(error) => findings.push(finding("daemon", FindingState::Error, &error)),
    }
    let doctor = Answer { findings };
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

fn service_file() -> Finding {
    let looked = service::file().and_then(|file| Ok((service::present(&file)?, file)));
    let (state, message, help) = match looked {
        Err(error) => return finding("service", FindingState::Warning, &error),
        Ok((Present::Ours, file)) => (FindingState::Ok, file.display().to_string(), None),
        Ok((Present::Foreign, file)) => {
            (FindingState::Ok, format!("{} (not written by devd)", file.display()), None)
        }
        Ok((Present::No, _)) => (
            FindingState::Warning,
            "devd does not start at login; projects come back with the first devd command".to_owned(),
            Some("devd install".to_owned()),
        ),
    };
    Finding { check: "service".to_owned(), state, message, help }
}

async fn daemon(context: &Context) -> Result<Vec<Finding>, Error> {
    let client = context.started().await?;
    let version: Version = client.get("/v1/version").await?;
    let own = env!("CARGO_PKG_VERSION");
    let running = if version.version == own {
        ok("daemon", format!("version {own} runs as pid {}", version.pid))
    } else {
        Finding {
            check: "daemon".to_owned(),
            state: FindingState::Warning,
            message: format!("devd is {own}, and the daemon that runs is {}", version.version),
            help: Some("devd daemon restart".to_owned()),
        }
    };
    let theirs: Answer = client.get("/v1/doctor").await?;
    Ok([vec![running], theirs.findings].concat())
}

fn line(finding: &Finding) -> String {
    let mark = match finding.state {
        FindingState::Ok => paint(GOOD, "✓"),
        FindingState::Warning => paint(WARN, "!"),
        FindingState::Error => paint(BAD, "✗"),
    };
    let mut out = format!("{mark} {}: {}\n", paint(HEADER, &finding.check), finding.message);
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
    }
}
