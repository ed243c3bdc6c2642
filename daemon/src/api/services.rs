//! What is done with one service by hand.

use super::App;
use super::extract::{Answer, Path};
use crate::problem;
use crate::project::{Handle, Request, Verb};
use axum::Json;
use axum::extract::State;
use devd_proto::{Accepted, Code, Problem, ProjectName, ServiceName, ServiceStatus};

async fn perform(app: App, project: ProjectName, service: ServiceName, verb: Verb) -> Answer<Accepted> {
    let handle = app.registry.get(&project)?;
    let answer = handle.ask(|reply| Request::Service { service, verb, reply }).await;
    let revision =
        answer.unwrap_or_else(|| Err(Problem::new(Code::UnknownProject, "the project went down")))?;
    Ok(Json(Accepted { revision }))
}

/// Starts a service, and what it needs.
#[utoipa::path(post, path = "/v1/projects/{project}/services/{service}/start", tag = "services",
    params(("project" = String, Path), ("service" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn start(
    State(app): State<App>,
    Path((project, service)): Path<(ProjectName, ServiceName)>,
) -> Answer<Accepted> {
    perform(app, project, service, Verb::Start).await
}

/// Stops a service and leaves it stopped.
#[utoipa::path(post, path = "/v1/projects/{project}/services/{service}/stop", tag = "services",
    params(("project" = String, Path), ("service" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn stop(
    State(app): State<App>,
    Path((project, service)): Path<(ProjectName, ServiceName)>,
) -> Answer<Accepted> {
    perform(app, project, service, Verb::Stop).await
}

/// Restarts a service.
#[utoipa::path(post, path = "/v1/projects/{project}/services/{service}/restart", tag = "services",
    params(("project" = String, Path), ("service" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn restart(
    State(app): State<App>,
    Path((project, service)): Path<(ProjectName, ServiceName)>,
) -> Answer<Accepted> {
    perform(app, project, service, Verb::Restart).await
}

/// Builds a service's image and makes its container anew.
#[utoipa::path(post, path = "/v1/projects/{project}/services/{service}/rebuild", tag = "services",
    params(("project" = String, Path), ("service" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn rebuild(
    State(app): State<App>,
    Path((project, service)): Path<(ProjectName, ServiceName)>,
) -> Answer<Accepted> {
    perform(app, project, service, Verb::Rebuild).await
}

/// How a service is.
pub(super) fn status(handle: &Handle, service: &ServiceName) -> Result<ServiceStatus, Problem> {
    let status = handle.status();
    let found = status.services.iter().find(|it| it.name == *service);
    found.cloned().ok_or_else(|| {
        let known = status.services.iter().map(|it| it.name.as_str());
        problem::unknown_service(&handle.name, service, known)
    })
}

/// The id of a container of a service: of the first one, unless the service is several and it is said which.
pub(super) fn container(
    app: &App,
    project: &ProjectName,
    service: &ServiceName,
    index: Option<u32>,
) -> Result<String, Problem> {
    let handle = app.registry.get(project)?;
    let status = status(&handle, service)?;
    check_index(&status, index)?;
    let replica = status.replicas.into_iter().find(|replica| Some(replica.index) == index);
    let container = replica.map_or(status.container, |replica| replica.container);
    let container = container.ok_or_else(|| {
        let help = format!("`devd start {service}` starts it");
        Problem::new(Code::NotRunning, format!("{service} has no container")).help(help)
    })?;
    Ok(container.id)
}

/// Whether a service has a container of this number.
pub(super) fn check_index(service: &ServiceStatus, index: Option<u32>) -> Result<(), Problem> {
    let count = service.replicas.len().max(1);
    if index.is_none_or(|index| (1..=count).contains(&(index as usize))) {
        return Ok(());
    }
    let title = format!("there is no container {} of {}", index.unwrap_or_default(), service.name);
    let help =
        if count == 1 { "it is one container".to_owned() } else { format!("they go from 1 to {count}") };
    Err(Problem::new(Code::BadRequest, title).help(help))
}
