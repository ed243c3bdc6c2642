//! `devd test`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::{Client, Lines, TEXT, encode};
use crate::project;
use crate::render::{runs, style};
use crate::signal::Signals;
use clap::Args;
use devd_proto::{
    ProjectName, RegisterRequest, Registered, Run, RunRequest, RunStarted, Runs, RunsStarted, TestsState,
    What,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Run tests now, in throwaway containers
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd test                       every service that has tests
  devd test web                   only web's
  devd test --failed              only what failed last
  devd test web -- -k login       with these arguments instead of the command's own
                                  (`python -m pytest -q` becomes `python -m pytest -k login`)

Each service's tests run in a container of their own, with the dependencies that their compose file names. \
Exit code 0 when all passed, 1 when not. Ctrl-C cancels the runs. The project need not be up: it is registered without \
its services, and its tests follow saves from then on, until `devd down`.")]
pub(crate) struct Test {
    /// Only the tests of these [default: of every service that has tests]
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// The tests of every service; the same as naming none
    #[arg(long, conflicts_with_all = ["services", "failed"])]
    all: bool,
    /// Only services whose newest run failed, or could not be run
    #[arg(long)]
    failed: bool,
    /// Print the ids of the runs and return at once; `devd logs --run ID -f` follows one
    #[arg(long)]
    no_wait: bool,
    /// Arguments for the tests' command instead of its own
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
}

pub(crate) async fn run(context: &Context, test: Test) -> Result<Exit, Error> {
    let mut signals = Signals::new()?;
    let no_wait = test.no_wait;
    let started = tokio::select! {
        started = start(context, test) => started,
        number = signals.next() => Err(Error::Interrupted(number)),
    };
    let (client, project, started) = started?;
    let ui = &context.ui;
    if started.runs.is_empty() {
        if ui.json {
            ui.value(&Runs::default())?;
        } else {
            ui.line("nothing to run")?;
        }
        return Ok(Exit::OK);
    }
    if no_wait {
        if ui.json {
            ui.value(&started)?;
        } else {
            for run in &started.runs {
                ui.line(&format!("{}  {}", run.id, run.service))?;
            }
        }
        return Ok(Exit::OK);
    }
    let outcome = tokio::select! {
        outcome = wait(context, &client, &project, &started.runs) => outcome,
        number = signals.next() => Err(Error::Interrupted(number)),
    };
    if outcome.is_err() {
        // Nobody waits for them any more: Ctrl-C, a closed pipe.
        cancel(context, &client, &started.runs, &mut signals).await;
    }
    report(context, outcome?)
}

async fn start(context: &Context, test: Test) -> Result<(Client, ProjectName, RunsStarted), Error> {
    let client = context.started().await?;
    let resolved = project::resolve(context, &client).await?;
    if !resolved.registered {
        let request = RegisterRequest { start: false, ..project::register(&context.globals)? };
        let registered: Registered = client.post("/v1/projects", &request).await?;
        for warning in &registered.warnings {
            context.ui.draw(&style::diagnostic(warning));
        }
    }
    let request = RunRequest {
        project: resolved.project.clone(),
        services: test.services.into_iter().map(Into::into).collect(),
        args: test.args,
        failed: test.failed,
    };
    let started = client.post("/v1/runs", &request).await?;
    Ok((client, resolved.project, started))
}

/// Shows the output as it comes, until every run has ended.
pub(super) async fn wait(
    context: &Context,
    client: &Client,
    project: &ProjectName,
    started: &[RunStarted],
) -> Result<Vec<Run>, Error> {
    if !context.ui.json {
        show(context, client, started).await?;
    }
    let mut runs = Vec::new();
    for run in started {
        runs.push(finished(client, project, run).await?);
    }
    Ok(runs)
}

async fn show(context: &Context, client: &Client, started: &[RunStarted]) -> Result<(), Error> {
    let ui = &context.ui;
    if let [run] = started {
        let mut chunks = client.stream(&super::runs::log_path(&run.id, true), TEXT).await?;
        while let Some(bytes) = chunks.next().await? {
            ui.bytes(&bytes)?;
        }
        return Ok(());
    }
    let width = started.iter().map(|run| run.service.as_str().chars().count()).max().unwrap_or(0);
    let (sender, mut receiver) = mpsc::channel(64);
    let mut readers = JoinSet::new();
    for (index, run) in started.iter().enumerate() {
        let mut lines = Lines::new(client.stream(&super::runs::log_path(&run.id, true), TEXT).await?);
        let sender = sender.clone();
        readers.spawn(async move {
            while let Some(line) = lines.next().await.transpose() {
                let ended = line.is_err();
                if sender.send((index, line)).await.is_err() || ended {
                    return;
                }
            }
        });
    }
    drop(sender);
    while let Some((index, line)) = receiver.recv().await {
        let prefix = style::paint(style::of_name(index), &format!("{:width$} | ", started[index].service));
        let line = line?;
        ui.line(&format!("{prefix}{}", String::from_utf8_lossy(&line).trim_end_matches('\r')))?;
    }
    Ok(())
}

/// The run once it has ended. Its output has as a rule, and so has it.
async fn finished(client: &Client, project: &ProjectName, started: &RunStarted) -> Result<Run, Error> {
    let path = format!("/v1/runs/{}", encode(started.id.as_str()));
    let run: Run = client.get(&path).await?;
    if has_ended(run.state) {
        return Ok(run);
    }
    // First listen, then look: an end after the look is heard.
    let mut events = client.events(Some(project.as_str())).await?;
    let run: Run = client.get(&path).await?;
    if has_ended(run.state) {
        return Ok(run);
    }
    loop {
        match events.next().await?.what {
            What::RunFinished { run } if run.id == started.id => return Ok(*run),
            What::Lost { .. } | What::Removed => {
                let run: Run = client.get(&path).await?;
                if has_ended(run.state) {
                    return Ok(run);
                }
            }
            What::RunFinished { .. }
            | What::RunStarted { .. }
            | What::Status { .. }
            | What::Service { .. }
            | What::Changed { .. } => {}
        }
    }
}

fn has_ended(state: TestsState) -> bool {
    match state {
        TestsState::Queued | TestsState::Running => false,
        TestsState::None
        | TestsState::Passed
        | TestsState::Failed
        | TestsState::Error
        | TestsState::Cancelled
        // Nobody knows when it would end.
        | TestsState::Unknown => true,
    }
}

async fn cancel(context: &Context, client: &Client, runs: &[RunStarted], signals: &mut Signals) {
    let cancelling = async {
        for run in runs {
            // Those that have ended cannot be cancelled, and need not be.
            _ = client.cancel(&format!("/v1/runs/{}", encode(run.id.as_str()))).await;
        }
    };
    if !context.ui.json {
        context.ui.note("\ncancelling …");
    }
    // A second Ctrl-C is for who cannot wait.
    tokio::select! {
        () = cancelling => {}
        _ = signals.next() => {}
    }
}

pub(super) fn report(context: &Context, runs: Vec<Run>) -> Result<Exit, Error> {
    let exit = Exit::good(runs.iter().all(|run| run.state == TestsState::Passed));
    if context.ui.json {
        context.ui.value(&Runs { runs, next: None })?;
    } else {
        let text: String = runs.iter().map(runs::result).collect();
        context.ui.print(&text)?;
    }
    Ok(exit)
}
