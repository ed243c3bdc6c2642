//! What can be wrong with the machine, and how to mend it.

use super::program::Program;
use devd_proto::{EngineState, EngineStatus, Finding, FindingState};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Looks at everything. Blocks on the disk.
pub fn examine(engine: &EngineStatus, state_dir: &Path, program: Option<&Program>) -> Vec<Finding> {
    let mut findings = vec![engine_finding(engine), state_finding(state_dir)];
    findings.extend(program.and_then(program_finding));
    findings.extend(limit("fs.inotify.max_user_watches", 65_536, "folders can be watched"));
    findings.extend(limit("fs.inotify.max_queued_events", 16_384, "file events can wait to be read"));
    findings.extend(limit("fs.inotify.max_user_instances", 16, "programs can watch files"));
    findings
}

fn finding(check: &str, state: FindingState, message: String, help: Option<String>) -> Finding {
    Finding { check: check.to_owned(), state, message, help }
}

fn engine_finding(engine: &EngineStatus) -> Finding {
    match engine.state {
        EngineState::Connected => {
            let message = format!("{} {} at {}", engine.kind, engine.version, engine.endpoint);
            finding("engine", FindingState::Ok, message, None)
        }
        EngineState::Disconnected | EngineState::Unknown => {
            let message = engine.error.clone().unwrap_or_else(|| "it does not answer".to_owned());
            let help = "start Docker (`sudo systemctl start docker`), or say where it is by DOCKER_HOST; \
                        on Linux your user must be in the group docker";
            finding("engine", FindingState::Error, message, Some(help.to_owned()))
        }
    }
}

/// The daemon's own program, when it is not the one on disk any more.
fn program_finding(program: &Program) -> Option<Finding> {
    let message = format!("{} was replaced since the daemon was started from it", program.path().display());
    let help = Some("devd daemon restart (services keep running)".to_owned());
    program.is_replaced().then(|| finding("program", FindingState::Warning, message, help))
}

fn state_finding(state_dir: &Path) -> Finding {
    let file = state_dir.join(".doctor");
    // Of a daemon that was killed while it looked.
    let _ = std::fs::remove_file(&file);
    // Never through a link, and never into what is there.
    let wrote = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    let wrote = wrote.and_then(|_| std::fs::remove_file(&file));
    match wrote {
        Ok(()) => finding("state", FindingState::Ok, format!("{} can be written", state_dir.display()), None),
        Err(error) => {
            let message = format!("{} cannot be written: {error}", state_dir.display());
            let help = "free some space, or put state elsewhere by DEVD_STATE_DIR".to_owned();
            finding("state", FindingState::Error, message, Some(help))
        }
    }
}

fn limit(name: &str, enough: u64, what: &str) -> Option<Finding> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let value: u64 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let message = format!("{value} {what}");
    Some(if value >= enough {
        finding(name, FindingState::Ok, message, None)
    } else {
        let help =
            format!("echo {name}={enough} | sudo tee /etc/sysctl.d/60-devd.conf && sudo sysctl --system");
        finding(name, FindingState::Warning, message, Some(help))
    })
}
