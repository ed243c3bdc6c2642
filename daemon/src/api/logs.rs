//! What services write.

use super::App;
use super::extract::{Failure, Path, Query, flag};
use super::services::{check_index, container, status};
use crate::engine::spec::LogQuery;
use crate::engine::{Engine as _, LogLine};
use crate::project::follow::follow;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use devd_logic::replica;
use devd_proto::{Code, Problem, ProjectName, ServiceName};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsQuery {
    /// Goes on as more is written, over restarts and new containers, until the project is gone.
    #[serde(default, deserialize_with = "flag")]
    follow: bool,
    /// Only so many lines from the end; `all` is the default.
    #[serde(default)]
    tail: Option<String>,
    /// Only lines since then: RFC 3339, seconds since 1970, or a duration such as `10m`.
    #[serde(default)]
    since: Option<String>,
    /// Which container of a service that is several, from 1; else the first.
    #[serde(default)]
    index: Option<u32>,
    /// Begins each line of plain text with its time.
    #[serde(default, deserialize_with = "flag")]
    timestamps: bool,
}

impl LogsQuery {
    pub(super) fn parse(&self) -> Result<LogQuery, Problem> {
        let bad = |what: &str, text: &str, help: &str| {
            Err(Problem::new(Code::BadRequest, format!("{what}: {text:?} makes no sense")).help(help))
        };
        let tail = match self.tail.as_deref() {
            None | Some("all") => None,
            Some(text) => match text.parse() {
                Ok(lines) => Some(lines),
                Err(_) => return bad("tail", text, "a number of lines, or all"),
            },
        };
        let since = match self.since.as_deref() {
            None => None,
            Some(text) => match since(text, Timestamp::now()) {
                Some(since) => Some(since),
                None => {
                    return bad(
                        "since",
                        text,
                        "a time such as 2026-11-23T08:00:00Z, or how long ago: 90s, 10m, 2h",
                    );
                }
            },
        };
        Ok(LogQuery { follow: self.follow, tail, since })
    }
}

/// A point in time as people write it.
fn since(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    if let Ok(seconds) = text.parse() {
        return Timestamp::from_second(seconds).ok();
    }
    let ago: jiff::SignedDuration = text.parse().ok()?;
    now.checked_sub(ago).ok()
}

/// A service's log, as `text/plain` or, by `Accept`, as `application/x-ndjson` of `LogLine`.
#[utoipa::path(get, path = "/v1/projects/{project}/services/{service}/logs", tag = "services",
    params(("project" = String, Path), ("service" = String, Path), LogsQuery),
    responses((status = 200, content_type = "text/plain", body = String), (status = 404, body = Problem)))]
pub(super) async fn service(
    State(app): State<App>,
    Path((project, service)): Path<(ProjectName, ServiceName)>,
    Query(query): Query<LogsQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let engine = &app.registry.surroundings().engine;
    let lines = if query.follow {
        let handle = app.registry.get(&project)?;
        check_index(&status(&handle, &service)?, query.index)?;
        let name = replica::name(&service, query.index.unwrap_or(1));
        follow(&handle, engine.clone(), name, query.parse()?).boxed()
    } else {
        engine.logs(&container(&app, &project, &service, query.index)?, query.parse()?)
    };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let ndjson = accept.contains("application/x-ndjson");
    let (timestamps, index) = (query.timestamps, query.index);
    let bytes = lines.map(move |line| {
        let line = line.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(if ndjson { json(&service, index, line) } else { plain(line, timestamps) })
    });
    let bytes = bytes.take_until(app.shutdown.cancelled_owned());
    let kind = if ndjson { "application/x-ndjson" } else { "text/plain; charset=utf-8" };
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(bytes)).into_response())
}

fn plain(line: LogLine, timestamps: bool) -> Vec<u8> {
    let text = if timestamps { format!("{} {}\n", line.time, line.line) } else { format!("{}\n", line.line) };
    text.into_bytes()
}

fn json(service: &ServiceName, index: Option<u32>, line: LogLine) -> Vec<u8> {
    let LogLine { stream, time, line } = line;
    let line = devd_proto::LogLine { service: service.clone(), index, stream, time, line };
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn a_time_can_be_said_in_three_ways() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let hour = Some("2026-11-23T11:00:00Z".parse().unwrap());
        assert_eq!(since("2026-11-23T11:00:00Z", now), hour);
        assert_eq!(since("1795431600", now), hour);
        assert_eq!(since("60m", now), hour);
        assert_eq!(since("1h", now), hour);
        assert_eq!(since("yesterday", now), None);
        assert_eq!(since("99999999999999", now), None);
    }
}
