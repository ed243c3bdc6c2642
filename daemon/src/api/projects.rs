//! Projects: register, show, forget, and what their files say.

use super::App;
use super::extract::{Answer, Body, Path, Query};
use super::files::absolute;
use crate::project::Also;
use crate::{problem, registry};
use axum::Json;
use axum::extract::State;
use devd_proto::{
    Config, Problem, ProjectName, ProjectSource, ProjectStatus, RegisterRequest, Registered, Removed,
    Resolved, Value,
};
use serde::Deserialize;

/// Registers a project and brings it up, or brings a registered one up to date.
#[utoipa::path(post, path = "/v1/projects", tag = "projects", request_body = RegisterRequest,
    responses((status = 200, body = Registered), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn register(
    State(app): State<App>,
    Body(request): Body<RegisterRequest>,
) -> Answer<Registered> {
    absolute(&request.dir)?;
    Ok(Json(app.registry.register(request).await?))
}

/// One project.
#[utoipa::path(get, path = "/v1/projects/{project}", tag = "projects", params(("project" = String, Path)),
    responses((status = 200, body = ProjectStatus), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Path(project): Path<ProjectName>) -> Answer<ProjectStatus> {
    app.registry.up_to_date().await;
    Ok(Json((*app.registry.get(&project)?.status()).clone()))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveQuery {
    /// Removes its volumes too.
    #[serde(default)]
    volumes: bool,
    /// Removes the images too that were built for it and have its name.
    #[serde(default)]
    images: bool,
}

/// Stops and removes everything of a project and forgets it; answers when it is gone.
#[utoipa::path(delete, path = "/v1/projects/{project}", tag = "projects",
    params(("project" = String, Path), RemoveQuery),
    responses((status = 200, body = Removed), (status = 404, body = Problem), (status = 502, body = Problem)))]
pub(super) async fn remove(
    State(app): State<App>,
    Path(project): Path<ProjectName>,
    Query(query): Query<RemoveQuery>,
) -> Answer<Removed> {
    let also = Also { volumes: query.volumes, images: query.images };
    Ok(Json(app.registry.remove(&project, also).await?))
}

/// Which project a folder and options mean.
#[utoipa::path(post, path = "/v1/resolve", tag = "projects", request_body = ProjectSource,
    responses((status = 200, body = Resolved), (status = 422, body = Problem)))]
pub(super) async fn resolve(State(app): State<App>, Body(source): Body<ProjectSource>) -> Answer<Resolved> {
    absolute(&source.dir)?;
    Ok(Json(app.registry.resolve(&source).await?))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigQuery {
    /// Shows the values of secrets that come from variables.
    #[serde(default)]
    secrets: bool,
    /// Tells the variables that the files are read with.
    #[serde(default)]
    environment: bool,
}

/// The project as devd understands it.
#[utoipa::path(post, path = "/v1/config", tag = "projects", params(ConfigQuery), request_body = ProjectSource,
    responses((status = 200, body = Config), (status = 422, body = Problem)))]
pub(super) async fn config(
    Query(query): Query<ConfigQuery>,
    Body(source): Body<ProjectSource>,
) -> Answer<Config> {
    absolute(&source.dir)?;
    let loaded = registry::load_files(source).await?;
    let project = if query.secrets { loaded.project.with_secret_values() } else { loaded.project };
    let hashes = project.services.iter();
    Ok(Json(Config {
        config: Value(devd_compose::to_json(&project)),
        yaml: devd_compose::to_yaml(&project),
        warnings: loaded.warnings.iter().map(problem::diagnostic).collect(),
        images: project.services.values().map(|service| service.image_name(&project.name)).collect(),
        profiles: project.profiles().into_iter().map(str::to_owned).collect(),
        hashes: hashes
            .map(|(name, service)| (name.clone(), devd_compose::printed_config_hash(service)))
            .collect(),
        environment: if query.environment { loaded.environment } else { Default::default() },
    }))
}
