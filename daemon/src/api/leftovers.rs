//! What devd has left on the engine, and its removal.

use super::App;
use super::extract::{Answer, Body, Query};
use axum::Json;
use axum::extract::State;
use devd_proto::{CleanRequest, Leftovers, Problem};
use serde::Deserialize;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LeftoversQuery {
    /// Counts volumes with data among what could be removed.
    #[serde(default)]
    volumes: bool,
}

/// Everything that a devd has made on the engine: what is left over, what is not, and why.
#[utoipa::path(get, path = "/v1/leftovers", tag = "daemon", params(LeftoversQuery),
    responses((status = 200, body = Leftovers), (status = 502, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Query(query): Query<LeftoversQuery>) -> Answer<Leftovers> {
    Ok(Json(app.registry.leftovers(query.volumes).await?))
}

/// Removes those of them that are named and still are left over.
#[utoipa::path(post, path = "/v1/leftovers", tag = "daemon", request_body = CleanRequest,
    responses((status = 200, body = Leftovers), (status = 502, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn clean(State(app): State<App>, Body(request): Body<CleanRequest>) -> Answer<Leftovers> {
    Ok(Json(app.registry.clean(&request.ids, request.volumes).await?))
}
