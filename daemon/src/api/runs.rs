//! Test runs.

use super::App;
use super::extract::{Answer, Body, Failure, Path, Query, flag};
use crate::history::{HistoryError, RunFilter};
use crate::hub::Subscription;
use crate::project::Request;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use devd_proto::{Code, Problem, ProjectName, Run, RunId, RunRequest, Runs, RunsStarted, ServiceName, What};
use futures_util::StreamExt as _;
use serde::Deserialize;

/// Runs tests now.
#[utoipa::path(post, path = "/v1/runs", tag = "runs", request_body = RunRequest,
    responses((status = 200, body = RunsStarted), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn start(State(app): State<App>, Body(request): Body<RunRequest>) -> Answer<RunsStarted> {
    let handle = app.registry.get(&request.project)?;
    // The tests are of what was saved before they were asked for.
    app.registry.up_to_date().await;
    let RunRequest { services, args, failed, project: _ } = request;
    let answer = handle.ask(|reply| Request::Test { services, args, failed, reply }).await;
    let runs = answer.unwrap_or_else(|| Err(Problem::new(Code::UnknownProject, "the project went down")))?;
    Ok(Json(RunsStarted { runs }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only of this project.
    project: Option<ProjectName>,
    /// Only of this service.
    service: Option<ServiceName>,
    /// At most so many; 50 by default, 500 at most.
    limit: Option<usize>,
    /// Only runs older than this one.
    before: Option<RunId>,
}

/// Runs, newest first.
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(ListQuery), responses((status = 200, body = Runs)))]
pub(super) async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Answer<Runs> {
    let ListQuery { project, service, limit, before } = query;
    let filter = RunFilter { project, service, limit, before };
    let before = filter.before.clone().unwrap_or_else(|| RunId::new(""));
    let runs = app.registry.surroundings().history.list(filter).await;
    Ok(Json(runs.map_err(|error| failure(&error, &before))?))
}

/// One run.
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, body = Run), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Path(id): Path<RunId>) -> Answer<Run> {
    let known = app.registry.surroundings().history.get(&id).await.map_err(|error| internal(&error))?;
    let run = match known {
        Some(run) => Some(run),
        None => awaited(&app, &id).await,
    };
    Ok(Json(run.ok_or_else(|| unknown(&id))?))
}

/// Ends a run.
#[utoipa::path(delete, path = "/v1/runs/{id}", tag = "runs", params(("id" = String, Path)),
    responses((status = 202), (status = 404, body = Problem)))]
pub(super) async fn cancel(State(app): State<App>, Path(id): Path<RunId>) -> Result<StatusCode, Failure> {
    let mut found = false;
    for handle in app.registry.all() {
        let run = id.clone();
        found |= handle.ask(|reply| Request::Cancel { run, reply }).await.unwrap_or(false);
    }
    if found { Ok(StatusCode::ACCEPTED) } else { Err(unknown(&id).into()) }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    /// Goes on until the run has ended.
    #[serde(default, deserialize_with = "flag")]
    follow: bool,
}

const PLAIN: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];

/// What a run wrote.
#[utoipa::path(get, path = "/v1/runs/{id}/log", tag = "runs", params(("id" = String, Path), LogQuery),
    responses((status = 200, content_type = "text/plain", body = String), (status = 404, body = Problem)))]
pub(super) async fn log(
    State(app): State<App>,
    Path(id): Path<RunId>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Failure> {
    // Heard from before it is looked for: a run that begins in between is not missed.
    let events = app.registry.surroundings().hub.subscribe(None);
    let history = &app.registry.surroundings().history;
    let mut log = history.log(&id, query.follow).await;
    if query.follow && matches!(log, Err(HistoryError::UnknownRun(_))) {
        if let Some(run) = awaited(&app, &id).await {
            tokio::select! {
                () = begun(events, &id, &run.project) => {}
                () = app.shutdown.cancelled() => {
                    return Err(Problem::new(Code::ShuttingDown, format!("devd goes down before {id} began")).into());
                }
            }
        }
        // Also where nobody waits for it: it may have begun and ended since the first look.
        log = history.log(&id, true).await;
        if matches!(log, Err(HistoryError::LogGone(_))) {
            // It was called off before it began, and has written nothing.
            return Ok((PLAIN, String::new()).into_response());
        }
    }
    let log = log.map_err(|error| failure(&error, &id))?;
    let bytes = log.into_stream().take_until(app.shutdown.cancelled_owned());
    Ok((PLAIN, axum::body::Body::from_stream(bytes)).into_response())
}

/// The run as its project knows it: the history has it when it began.
async fn awaited(app: &App, id: &RunId) -> Option<Run> {
    for handle in app.registry.all() {
        let run = id.clone();
        if let Some(run) = handle.ask(|reply| Request::Run { run, reply }).await.flatten() {
            return Some(run);
        }
    }
    None
}

/// Waits until a run begins, or never will because its project is gone.
async fn begun(mut events: Subscription, id: &RunId, project: &ProjectName) {
    loop {
        match events.live.recv().await {
            Ok(event) => match &event.what {
                What::RunStarted { run } | What::RunFinished { run } if run.id == *id => return,
                What::Removed if event.project == *project => return,
                _ => {}
            },
            // It may have been among the lost ones.
            Err(_) => return,
        }
    }
}

fn failure(error: &HistoryError, id: &RunId) -> Problem {
    match error {
        HistoryError::UnknownRun(_) | HistoryError::InvalidRunId(_) => unknown(id),
        HistoryError::LogGone(_) => Problem::new(Code::OutputGone, error.to_string())
            .help("the newest runs of each service keep theirs; `devd test` runs the tests again"),
        other => internal(other),
    }
}

fn unknown(id: &RunId) -> Problem {
    Problem::new(Code::UnknownRun, format!("no run {id}")).help("`devd runs` lists them")
}

fn internal(error: &impl ToString) -> Problem {
    Problem::new(Code::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Hub;
    use futures_util::FutureExt as _;

    #[test]
    fn a_run_of_a_project_that_goes_is_waited_for_no_longer() {
        let (hub, run) = (Hub::default(), RunId::from("shop-1"));
        let (shop, other) = (ProjectName::from("shop"), ProjectName::from("other"));
        let mut waiting = Box::pin(begun(hub.subscribe(None), &run, &shop));
        hub.tell(&other, What::Removed);
        assert_eq!(waiting.as_mut().now_or_never(), None);
        hub.tell(&shop, What::Removed);
        assert_eq!(waiting.as_mut().now_or_never(), Some(()));
    }
}
