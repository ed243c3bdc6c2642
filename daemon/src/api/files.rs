//! Files: an editor's save, and what a change would do.

use super::App;
use super::extract::{Answer, Body, Query};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use devd_proto::{Code, Decision, Problem, Saved, SavedRequest, Why, paths};
use serde::Deserialize;
use std::path::{Path as FsPath, PathBuf};

/// The path without dots, as the watcher and the projects know it: what leads out of a folder is not in it. The daemon's
/// current folder is nobody's business.
pub(super) fn absolute(path: &str) -> Result<PathBuf, Problem> {
    let wrong = |why| Err(Problem::new(Code::BadRequest, format!("{path:?} {why}")));
    if path.contains('\0') {
        return wrong("has a zero byte inside, which no path has");
    }
    match paths::absolute(FsPath::new(path)) {
        Ok(clean) if path.starts_with('/') => Ok(clean),
        _ => wrong("is not an absolute path"),
    }
}

/// These files changed on disk: acted on at once, without waiting for more.
#[utoipa::path(post, path = "/v1/saved", tag = "files", request_body = SavedRequest,
    responses((status = 202, body = Saved), (status = 400, body = Problem)))]
pub(super) async fn saved(
    State(app): State<App>,
    Body(request): Body<SavedRequest>,
) -> Result<(StatusCode, Json<Saved>), super::extract::Failure> {
    let paths = request.paths.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?;
    Ok((StatusCode::ACCEPTED, Json(app.registry.saved(paths).await?)))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyQuery {
    /// An absolute path; it need not exist.
    path: String,
}

/// What a change of a path does, and which rule decides.
#[utoipa::path(get, path = "/v1/why", tag = "files", params(WhyQuery),
    responses((status = 200, body = Why), (status = 400, body = Problem)))]
pub(super) async fn why(State(app): State<App>, Query(query): Query<WhyQuery>) -> Answer<Why> {
    let path = absolute(&query.path)?;
    let found = app.registry.surroundings().watcher.why(&path).await;
    let found = found.map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    let decisions: Vec<Decision> = found
        .into_iter()
        .map(|why| {
            let Some(decision) = why.decision else {
                return Decision {
                    project: why.project,
                    service: None,
                    action: "reload".to_owned(),
                    tests: false,
                    rule: why.text,
                    file: None,
                    line: None,
                };
            };
            let action = match decision.action {
                _ if decision.ignored => "ignored",
                Some(action) => action.as_str(),
                None => "none",
            };
            let rule = match &decision.tests_rule {
                Some(tests) if !decision.ignored => {
                    format!("{}; its tests: {}", decision.rule.text, tests.text)
                }
                Some(_) | None => decision.rule.text.clone(),
            };
            let place = decision.rule.place.as_ref();
            Decision {
                project: why.project,
                service: Some(decision.service.clone()),
                action: action.to_owned(),
                tests: decision.tests.runs() && !decision.ignored,
                file: place.map(|place| place.file.display().to_string()),
                line: place.and_then(|place| place.line),
                rule,
            }
        })
        .collect();
    let reason = decisions.is_empty().then(|| {
        if app.registry.all().is_empty() {
            "no project is registered: `devd up` in its folder registers one".to_owned()
        } else {
            "no registered project watches it".to_owned()
        }
    });
    Ok(Json(Why { path: path.display().to_string(), decisions, reason }))
}
