//! `devd logs`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::{Client, Lines, NDJSON, TEXT, encode};
use crate::render::style::{DIM, of_name, paint, warning};
use crate::{names, project};
use anstyle::Style;
use clap::Args;
use devd_proto::{Code, LogLine, ProjectName, ServiceName, ServiceStatus};
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Print what services wrote, or the output of a test run
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd logs                        everything there is, of all services
  devd logs -f --tail 20 web       the end of web's, and what comes
  devd logs --since 10m            the last ten minutes
  devd logs --run last-failed      the output of the newest test run that failed
  devd logs --run last -f web      of web's newest, while it runs

After `logs`, -f is --follow; a compose file stands before it (`devd -f FILE logs`) or behind --file.")]
pub(crate) struct Logs {
    /// Only these [default: all of the project]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only the last N lines of each service, or `all`
    #[arg(short = 'n', long, value_name = "N", default_value = "all", value_parser = tail)]
    tail: String,
    /// Only what is newer: a time (2026-05-01T12:00:00Z) or an age (30s, 10m, 2h)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Begin each line with when it was written
    #[arg(short, long)]
    timestamps: bool,
    /// Do not begin each line with its service
    #[arg(long)]
    no_log_prefix: bool,
    /// The output of a test run instead: its id (`devd runs`), `last` or `last-failed` (of SERVICE when one is named)
    #[arg(long, value_name = "ID", conflicts_with_all = ["tail", "since", "timestamps"])]
    run: Option<String>,
    /// A compose file instead of a search for one; repeatable
    #[arg(id = "file", long = "file", value_name = "FILE", help_heading = "Global options")]
    // The same id as the global flag, and so the same value; only the short name is `--follow`'s here.
    _file: Vec<PathBuf>,
}

fn tail(text: &str) -> Result<String, String> {
    if text == "all" || text.parse::<u32>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err("a number of lines, or `all`".to_owned())
    }
}

pub(crate) async fn run(context: &Context, logs: Logs) -> Result<Exit, Error> {
    let client = context.running().await?;
    if let Some(run) = &logs.run {
        let run = super::runs::find(context, &client, run, &logs.services).await?;
        let mut chunks = client.stream(&super::runs::log_path(&run, logs.follow), TEXT).await?;
        while let Some(bytes) = chunks.next().await? {
            context.ui.bytes(&bytes)?;
        }
        return Ok(Exit::OK);
    }
    let name = project::name(context, &client).await?;
    let mut asked = project::status(&client, &name).await?.services;
    names::check(&logs.services, asked.iter().map(|service| &service.name), Some(&name))?;
    if !logs.services.is_empty() {
        asked.retain(|service| logs.services.iter().any(|name| *name == service.name.as_str()));
    }
    let printer = Printer::new(context, &logs, &asked);
    let sources = open(context, &client, &name, &printer.sources, &logs).await?;
    if logs.follow { follow(&printer, sources).await } else { merge(&printer, sources).await }?;
    Ok(Exit::OK)
}

/// What has a log of its own: a service, or one of its containers where they are several.
struct Source {
    service: ServiceName,
    index: Option<u32>,
    style: Style,
}

impl Source {
    fn of(service: &ServiceStatus, style: Style) -> Vec<Self> {
        let one = |index| Self { service: service.name.clone(), index, style };
        let several = service.replicas.iter().map(|replica| one(Some(replica.index)));
        if service.replicas.is_empty() { vec![one(None)] } else { several.collect() }
    }

    fn name(&self) -> String {
        match self.index {
            Some(index) => format!("{}/{index}", self.service),
            None => self.service.to_string(),
        }
    }
}

/// One stream each. A service that never ran has no log; only who asked for it by name is told.
async fn open(
    context: &Context,
    client: &Client,
    project: &ProjectName,
    sources: &[Source],
    logs: &Logs,
) -> Result<Vec<Lines>, Error> {
    let mut lines = Vec::new();
    for source in sources {
        match client.stream(&path(project, source, logs), NDJSON).await {
            Ok(chunks) => lines.push(Lines::new(chunks)),
            Err(error) if error.is(Code::NotRunning) => {
                if !logs.services.is_empty() {
                    context.ui.note(&warning(&error.to_string()));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

fn path(project: &ProjectName, source: &Source, logs: &Logs) -> String {
    let mut path = format!(
        "{}/services/{}/logs?follow={}&tail={}&timestamps=true",
        project::path(project),
        encode(source.service.as_str()),
        logs.follow,
        logs.tail
    );
    if let Some(index) = source.index {
        path.push_str(&format!("&index={index}"));
    }
    if let Some(since) = &logs.since {
        path.push_str(&format!("&since={}", encode(since)));
    }
    path
}

/// What there is, in the order in which it was written: each stream is in order by itself.
async fn merge(printer: &Printer<'_>, mut sources: Vec<Lines>) -> Result<(), Error> {
    let mut heads: Vec<Option<LogLine>> = Vec::new();
    for source in &mut sources {
        heads.push(source.json().await?);
    }
    while let Some(first) = earliest(&heads) {
        if let Some(line) = heads[first].take() {
            printer.print(&line)?;
        }
        heads[first] = sources[first].json().await?;
    }
    Ok(())
}

fn earliest(heads: &[Option<LogLine>]) -> Option<usize> {
    let lines = heads.iter().enumerate().filter_map(|(index, head)| Some((index, head.as_ref()?)));
    lines.min_by(|a, b| a.1.time.cmp(&b.1.time)).map(|(index, _)| index)
}

/// What comes, in the order in which it comes.
async fn follow(printer: &Printer<'_>, sources: Vec<Lines>) -> Result<(), Error> {
    let (sender, mut receiver) = mpsc::channel(64);
    let mut readers = JoinSet::new();
    for mut source in sources {
        let sender = sender.clone();
        readers.spawn(async move {
            while let Some(line) = source.json::<LogLine>().await.transpose() {
                let ended = line.is_err();
                if sender.send(line).await.is_err() || ended {
                    return;
                }
            }
        });
    }
    drop(sender);
    while let Some(line) = receiver.recv().await {
        printer.print(&line?)?;
    }
    Ok(())
}

struct Printer<'a> {
    context: &'a Context,
    sources: Vec<Source>,
    width: usize,
    prefix: bool,
    timestamps: bool,
}

impl<'a> Printer<'a> {
    fn new(context: &'a Context, logs: &Logs, services: &[ServiceStatus]) -> Self {
        let sources: Vec<Source> =
            services.iter().enumerate().flat_map(|(i, service)| Source::of(service, of_name(i))).collect();
        Self {
            context,
            width: sources.iter().map(|source| source.name().chars().count()).max().unwrap_or(0),
            sources,
            prefix: !logs.no_log_prefix,
            timestamps: logs.timestamps,
        }
    }

    fn print(&self, line: &LogLine) -> Result<(), Error> {
        if self.context.ui.json {
            self.context.ui.value(line)
        } else {
            self.context.ui.line(&self.text(line))
        }
    }

    fn text(&self, line: &LogLine) -> String {
        let mut out = String::new();
        if self.prefix {
            let source = Source { service: line.service.clone(), index: line.index, style: Style::new() };
            let name = source.name();
            let style = self.sources.iter().find(|source| source.name() == name).map(|source| source.style);
            let name = format!("{name:width$} | ", width = self.width);
            out.push_str(&paint(style.unwrap_or_default(), &name));
        }
        if self.timestamps {
            out.push_str(&format!("{} ", paint(DIM, &line.time)));
        }
        out.push_str(&line.line);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_proto::Stream;

    #[test]
    fn the_earliest_head_is_next() {
        let line = |time: &str| {
            Some(LogLine {
                service: "web".into(),
                index: None,
                stream: Stream::Stdout,
                time: time.to_owned(),
                line: String::new(),
            })
        };
        assert_eq!(earliest(&[line("2026-01-02"), None, line("2026-01-01"), line("2026-01-01")]), Some(2));
        assert_eq!(earliest(&[None, None]), None);
    }

    #[test]
    fn a_tail_is_a_number_or_all() {
        assert!(tail("all").is_ok() && tail("20").is_ok());
        assert!(tail("-1").is_err() && tail("few").is_err());
    }
}
