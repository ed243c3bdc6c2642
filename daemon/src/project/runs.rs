//! Test runs: from a wish to a verdict in the history.

use super::Message;
use crate::clock;
use crate::engine::{Engine, Progress};
use crate::history::History;
use crate::hub::Hub;
use crate::report;
use crate::system::traces::Trace;
use crate::warm::pool::Pool;
use crate::warm::{self, Job, RunError, Stage};
use devd_logic::{Moment, Outcome};
use devd_proto::{Run, RunId, Stream, TestsState, What};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A run under way.
#[derive(Debug)]
pub struct Live {
    /// What is known of it so far.
    pub run: Run,
    /// Ends it.
    pub cancel: CancellationToken,
    /// What runs it.
    pub task: JoinHandle<()>,
    /// When what caused it was learned of.
    pub event: Moment,
    /// The trace of the save that it is for.
    pub trace: Trace,
}

/// A run that ended.
#[derive(Debug)]
pub struct Done {
    /// All of it, as it is in the history.
    pub run: Run,
    /// What the logic makes of it.
    pub outcome: Outcome,
    /// It was the images that were to be built first, and that was not done.
    pub build_owed: bool,
}

/// Records the beginning of a run, and then tells it: who hears of a run may ask for it.
pub async fn begins(history: History, hub: Hub, run: Run) {
    if let Err(error) = history.begin(&run).await {
        tracing::error!(run = %run.id, %error, "a run could not be recorded");
    }
    hub.tell(&run.project.clone(), What::RunStarted { run: Box::new(run) });
}

/// Runs a job, caused by an event of that time, and reports, also when that panics: a run that never ended would be
/// waited for for ever.
pub async fn execute<E: Engine>(
    pool: Pool<E>,
    history: History,
    job: Job,
    run: Run,
    event: Instant,
    cancel: CancellationToken,
    sender: mpsc::UnboundedSender<Message>,
) {
    let mut lost = run.clone();
    let work = tokio::spawn(work(pool, history.clone(), job, run, event, cancel, sender.clone()));
    if let Err(error) = work.await {
        tracing::error!(run = %lost.id, %error, "a run was lost to a defect in devd");
        let result = Err(RunError::NotRun(format!("a defect in devd: {error}")));
        let outcome = conclude(&mut lost, result, Duration::ZERO);
        lost.finished_at = Some(clock::now_text());
        if let Err(error) = history.finish(&lost).await {
            tracing::error!(run = %lost.id, %error, "a run could not be recorded");
        }
        let _ = sender.send(Message::RunDone(Box::new(Done { run: lost, outcome, build_owed: false })));
    }
}

async fn work<E: Engine>(
    pool: Pool<E>,
    history: History,
    job: Job,
    mut run: Run,
    event: Instant,
    cancel: CancellationToken,
    sender: mpsc::UnboundedSender<Message>,
) {
    let began = Instant::now();
    let (output, chunks) = mpsc::channel(64);
    let (progress, lines) = mpsc::channel(64);
    let sink = tokio::spawn(write(history.clone(), run.id.clone(), chunks, lines));
    // Passed through a closure that several waits share; never held over an await.
    let stages = Mutex::new(Vec::new());
    let stage = |stage: Stage| {
        let name = match stage {
            Stage::Awaited => "awaited",
            Stage::Warm => "warm",
            Stage::Cold => "cold",
            Stage::Images => "images",
            Stage::Ready => "ready",
            Stage::Released => "released",
        };
        let mut stages = stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.push(stage_at(name, event.elapsed()));
    };
    let result = warm::run(&pool, &job, output, &Progress::to(progress), &cancel, stage).await;
    let written = sink.await.unwrap_or_default();
    let (took, done) = (began.elapsed(), event.elapsed());
    run.finished_at = Some(clock::now_text());
    run.duration_ms = Some(took.as_millis() as u64);
    run.stages.extend(stages.into_inner().unwrap_or_else(PoisonError::into_inner));
    let built = run.stages.iter().any(|stage| stage.name == "images");
    if let Some(first) = written.first_output {
        run.stages.push(stage_at("first_output", first.duration_since(event)));
    }
    run.stages.push(stage_at("done", done));
    let paths = paths(&job);
    let reported = result.as_ref().ok().and_then(|ended| report::junit(&ended.reports, &paths));
    let summary = reported.or_else(|| written.parser.and_then(|parser| parser.finish(&paths)));
    if let Ok(ended) = &result {
        run.reason.clone_from(&ended.damage);
    }
    let result = result.map(|ended| ended.code);
    if let Some(summary) = summary {
        (run.passed, run.failed, run.skipped) = (summary.passed, summary.failed, summary.skipped);
        run.failures = summary.failures;
    }
    let outcome = conclude(&mut run, result, took);
    let build_owed = job.build && !built;
    if let Err(error) = history.finish(&run).await {
        tracing::error!(run = %run.id, %error, "a run could not be recorded");
    }
    let _ = sender.send(Message::RunDone(Box::new(Done { run, outcome, build_owed })));
}

/// Records and tells the end of a run that has not begun.
pub async fn never_begins(history: History, hub: Hub, mut run: Run) {
    run.state = TestsState::Cancelled;
    run.finished_at = Some(clock::now_text());
    if let Err(error) = history.finish(&run).await {
        tracing::error!(run = %run.id, %error, "a run could not be recorded");
    }
    hub.tell(&run.project.clone(), What::RunFinished { run: Box::new(run) });
}

/// A stage for people.
pub fn stage_at(name: &str, at: Duration) -> devd_proto::Stage {
    devd_proto::Stage { name: name.to_owned(), at_us: at.as_micros() as u64 }
}

fn conclude(run: &mut Run, result: Result<i64, RunError>, took: Duration) -> Outcome {
    match result {
        Ok(0) => {
            run.exit_code = Some(0);
            run.state = TestsState::Passed;
            Outcome::Passed { took }
        }
        Ok(code) => {
            run.exit_code = Some(code);
            run.state = TestsState::Failed;
            Outcome::Failed { took }
        }
        Err(error @ RunError::TimedOut(_)) => {
            run.reason = Some(error.to_string());
            run.state = TestsState::Failed;
            Outcome::Failed { took }
        }
        Err(RunError::NotRun(reason)) => {
            run.reason = Some(reason.clone());
            run.state = TestsState::Error;
            Outcome::Error(reason)
        }
        Err(error @ (RunError::Lost(_) | RunError::Damaged(_))) => {
            run.reason = Some(error.to_string());
            run.state = TestsState::Cancelled;
            Outcome::Lost
        }
        Err(RunError::Cancelled) => {
            run.state = TestsState::Cancelled;
            Outcome::Cancelled
        }
    }
}

/// Where the tests' files are on the host.
fn paths(job: &Job) -> report::PathMap {
    let Some(tests) = job.suite.project.services.get(&job.suite.service) else {
        return report::PathMap::default();
    };
    let mounts = tests.binds().map(|(source, mount)| (mount.target.clone(), source.to_owned()));
    report::PathMap::new(mounts.collect(), tests.working_dir.clone())
}

#[derive(Default)]
struct Written {
    first_output: Option<Instant>,
    parser: Option<report::Parser>,
}

/// Writes what the tests write to the run's log and reads the results from it.
async fn write(
    history: History,
    run: RunId,
    mut chunks: mpsc::Receiver<(Stream, bytes::Bytes)>,
    mut lines: mpsc::Receiver<String>,
) -> Written {
    let mut written = Written { first_output: None, parser: Some(report::Parser::new()) };
    let mut log = match history.log_writer(&run) {
        Ok(log) => Some(log),
        Err(error) => {
            tracing::error!(%run, %error, "no log can be written");
            None
        }
    };
    let mut building = true;
    loop {
        let (stream, bytes) = tokio::select! {
            biased;
            line = lines.recv(), if building => match line {
                Some(line) => {
                    if let Some(log) = &mut log {
                        log.write(format!("{line}\n").as_bytes());
                    }
                    continue;
                }
                None => { building = false; continue; }
            },
            chunk = chunks.recv() => match chunk {
                Some(chunk) => chunk,
                None => break,
            },
        };
        written.first_output.get_or_insert_with(Instant::now);
        if let Some(log) = &mut log {
            log.write(&bytes);
        }
        if let Some(parser) = &mut written.parser {
            parser.feed(stream, &bytes);
        }
    }
    if let Some(log) = log {
        log.finish();
    }
    written
}
