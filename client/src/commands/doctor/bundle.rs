//! `devd doctor --bundle`: what somebody needs to see who is told of a defect, and nothing that is not theirs to see.

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::{Client, TEXT};
use crate::redact::Redactor;
use crate::service::systemd;
use crate::{commands::daemon, paths};
use devd_proto::{Doctor, Leftovers, Status, Version};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::env;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of the log, from its end.
const LINES: usize = 2000;

/// Variables whose names are told; no value is.
const TOLD: [&str; 6] = ["DEVD_", "DOCKER_", "BUILDKIT_", "COMPOSE_", "XDG_", "RUST_"];

/// Writes the archive, and says what is in it.
pub(super) async fn run(context: &Context, file: Option<PathBuf>, findings: Doctor) -> Result<Exit, Error> {
    let now = Timestamp::now();
    let file =
        file.unwrap_or_else(|| PathBuf::from(now.strftime("devd-bundle-%Y%m%d-%H%M%S.tar").to_string()));
    let variables = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let redactor = Redactor::new(env::home_dir().as_deref(), variables);
    let mut entries = Vec::new();
    let mut add = |name: &str, what: &'static str, text: String| {
        entries.push((name.to_owned(), what, redactor.text(&text)));
    };
    add(
        "versions.txt",
        "versions of devd and the system, and the names of variables",
        versions(context).await,
    );
    add("doctor.json", "what doctor finds", pretty(&findings));
    match context.running().await {
        Ok(client) => {
            add("status.json", "projects and services, without what they wrote", status(&client).await);
            add(
                "leftovers.json",
                "what devd has made on the engine",
                pretty_answer(client.get::<Leftovers>("/v1/leftovers").await),
            );
            add("metrics.txt", "numbers", metrics(&client).await);
        }
        Err(error) => add("daemon.txt", "why the daemon says nothing", format!("{error}\n")),
    }
    add("log.txt", "the last lines of the daemon's log", log().await);
    add("config.toml", "the settings", settings());

    write(&file, &entries, now).map_err(|error| {
        Error::local(format!("cannot write {}: {error}", file.display()))
            .help("devd doctor --bundle FILE puts it elsewhere")
    })?;
    if context.ui.json {
        let contents: Vec<&str> = entries.iter().map(|(name, ..)| name.as_str()).collect();
        context.ui.value(&json!({ "file": file, "contents": contents }))?;
        return Ok(Exit::OK);
    }
    let mut out = format!("{} holds:\n", file.display());
    for (name, what, text) in &entries {
        let _ = writeln!(out, "  {name:<16} {what} ({} bytes)", text.len());
    }
    out += "look through it before you send it: values that look like secrets and home folders were taken out, names were not\n";
    context.ui.print(&out)?;
    Ok(Exit::OK)
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|error| format!("{error}\n"), |text| format!("{text}\n"))
}

fn pretty_answer(answer: Result<impl serde::Serialize, Error>) -> String {
    answer.map_or_else(|error| format!("{error}\n"), |answer| pretty(&answer))
}

async fn versions(context: &Context) -> String {
    let mut out = format!("devd {}\n", env!("CARGO_PKG_VERSION"));
    if let Ok(client) = context.running().await {
        match client.get::<Version>("/v1/version").await {
            Ok(version) => {
                let Version { version, api, started_at, pid: _ } = version;
                let _ = writeln!(out, "devdd {version} (API {api}), started at {started_at}");
            }
            Err(error) => {
                let _ = writeln!(out, "devdd: {error}");
            }
        }
    }
    let system = rustix::system::uname();
    let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let _ = writeln!(out, "{} {} {}", part(system.sysname()), part(system.release()), part(system.machine()));
    let mut names: Vec<String> = env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    names.retain(|name| TOLD.iter().any(|begin| name.starts_with(begin)));
    names.sort();
    let _ = writeln!(out, "set: {}", names.join(" "));
    out
}

/// What the daemon knows, without what services wrote and without lines of compose files: both may hold anything.
async fn status(client: &Client) -> String {
    let status = match client.get::<Status>("/v1/status").await.map(serde_json::to_value) {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return format!("{error}\n"),
        Err(error) => return format!("{error}\n"),
    };
    pretty(&without_output(status))
}

fn without_output(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                *field = match (name.as_str(), field.take()) {
                    ("output", Value::Array(lines)) => json!(format!("{} lines left out", lines.len())),
                    ("rendered", _) => json!("left out"),
                    (_, field) => without_output(field),
                };
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_output(item.take());
            }
        }
        _ => {}
    }
    value
}

async fn metrics(client: &Client) -> String {
    let read = async {
        let mut chunks = client.stream("/metrics", TEXT).await?;
        let mut text = Vec::new();
        while let Some(chunk) = chunks.next().await? {
            text.extend_from_slice(&chunk);
        }
        Ok::<_, Error>(String::from_utf8_lossy(&text).into_owned())
    };
    read.await.unwrap_or_else(|error| format!("{error}\n"))
}

async fn log() -> String {
    let keeps = match paths::socket() {
        Ok(socket) => systemd::keeps(&socket).await,
        Err(_) => false,
    };
    if keeps {
        let mut command = Command::new("journalctl");
        let lines = LINES.to_string();
        command.args(["--user", "--unit", systemd::SERVICE, "--output", "short-iso", "--lines", &lines]);
        return match command.output() {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(error) => format!("journalctl: {error}\n"),
        };
    }
    let read = paths::state().map(|state| daemon::logs::last_lines(&state.join(daemon::logs::FILE), LINES));
    match read {
        Ok(Ok((text, _))) => String::from_utf8_lossy(&text).into_owned(),
        Ok(Err(error)) => format!("{error}\n"),
        Err(error) => format!("{error}\n"),
    }
}

fn settings() -> String {
    let path = match env::var_os("DEVD_CONFIG").filter(|path| !path.is_empty()) {
        Some(path) => Ok(PathBuf::from(path)),
        None => paths::config().map(|folder| folder.join("devd/config.toml")),
    };
    match path.map(std::fs::read_to_string) {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => format!("# {error}\n"),
        Err(error) => format!("# {error}\n"),
    }
}

fn write(file: &Path, entries: &[(String, &'static str, String)], now: Timestamp) -> std::io::Result<()> {
    let out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    let mut archive = tar::Builder::new(out);
    for (name, _, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(now.as_second()).unwrap_or_default());
        archive.append_data(&mut header, format!("devd-bundle/{name}"), text.as_bytes())?;
    }
    archive.into_inner()?.flush()
}
