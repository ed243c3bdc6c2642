//! The event stream.

use super::App;
use super::extract::{Failure, Query};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use devd_proto::{Event, ProjectName, What};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Only events of this project.
    project: Option<ProjectName>,
}

/// Everything that happens, as server-sent events; `Last-Event-ID` resumes.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventsQuery),
    responses((status = 200, content_type = "text/event-stream", body = Event)))]
pub(super) async fn stream(
    State(app): State<App>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Failure> {
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let subscription = app.registry.surroundings().hub.subscribe(seen);
    let none = ProjectName::new("");
    let lost = |count: u64, id: u64, project: &ProjectName| {
        let (at, project) = (crate::clock::now_text(), project.clone());
        Arc::new(Event { id, at, project, what: What::Lost { count } })
    };
    let project = query.project.clone().unwrap_or(none);
    let first = (subscription.lost > 0).then(|| lost(subscription.lost, subscription.last, &project));
    let last = subscription.last;
    let live = BroadcastStream::new(subscription.live).map(move |event| {
        event.unwrap_or_else(|BroadcastStreamRecvError::Lagged(count)| lost(count, last, &project))
    });
    let all = stream::iter(first).chain(stream::iter(subscription.missed)).chain(live);
    let wanted = all.filter(move |event| {
        let wanted = query.project.as_ref().is_none_or(|project| event.project == *project);
        std::future::ready(wanted)
    });
    let events = wanted.map(|event| Ok(encode(&event))).take_until(app.shutdown.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn encode(event: &Event) -> SseEvent {
    let kind = match &event.what {
        What::Status { .. } => "status",
        What::Service { .. } => "service",
        What::Changed { .. } => "changed",
        What::RunStarted { .. } => "run_started",
        What::RunFinished { .. } => "run_finished",
        What::Removed => "removed",
        What::Lost { .. } => "lost",
    };
    let data = serde_json::to_string(event).unwrap_or_default();
    SseEvent::default().id(event.id.to_string()).event(kind).data(data)
}
