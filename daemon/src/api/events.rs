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
#[into_params(parameter_in = Query)]
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
    let lost = subscription.lost.map(|count| Err(BroadcastStreamRecvError::Lagged(count)));
    let missed = subscription.missed.into_iter().map(Ok);
    let all = stream::iter(lost).chain(stream::iter(missed)).chain(BroadcastStream::new(subscription.live));
    let metrics = app.registry.surroundings().metrics.clone();
    let all = all.inspect(move |event| {
        if let Err(BroadcastStreamRecvError::Lagged(count)) = event {
            metrics.missed_by_reader(*count);
        }
    });
    let all = all.map(numbered(subscription.after, query.project.clone()));
    let wanted = all.filter(move |event| {
        let wanted = query.project.as_ref().is_none_or(|project| event.project == *project);
        std::future::ready(wanted)
    });
    let events = wanted.map(|event| Ok(encode(&event))).take_until(app.shutdown.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Gaps as events. A gap has the id of the event before it: a reader that comes back with it gets what is still kept.
fn numbered(
    after: u64,
    project: Option<ProjectName>,
) -> impl FnMut(Result<Arc<Event>, BroadcastStreamRecvError>) -> Arc<Event> {
    let mut last = after;
    let project = project.unwrap_or_else(|| ProjectName::new(""));
    move |event| match event {
        Ok(event) => {
            last = event.id;
            event
        }
        Err(BroadcastStreamRecvError::Lagged(count)) => {
            let (at, project) = (crate::clock::now_text(), project.clone());
            Arc::new(Event { id: last, at, project, what: What::Lost { count } })
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_go_back_also_over_a_gap() {
        let event = |id| {
            let (at, project) = (String::new(), ProjectName::from("shop"));
            Ok(Arc::new(Event { id, at, project, what: What::Removed }))
        };
        let gap = || Err(BroadcastStreamRecvError::Lagged(3));
        let all = [gap(), event(11), event(12), gap(), event(16)];
        let ids: Vec<u64> = all.into_iter().map(numbered(10, None)).map(|event| event.id).collect();
        assert_eq!(ids, [10, 11, 12, 12, 16]);
    }
}
