//! Requests in, problems out.

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use devd_proto::{Code, PROBLEM_JSON, Problem};
use serde::de::{Deserialize as _, DeserializeOwned, Deserializer, Error as _};
use std::time::Duration;

/// The largest request that makes sense: a caller's environment can have a megabyte.
pub(super) const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// A problem as an answer.
#[derive(Debug)]
pub(super) struct Failure(pub(super) Problem);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Names in it may be as long as a request.
        let problem = Problem { title: shortened(self.0.title), ..self.0 };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
    }
}

/// An answer, or a problem.
pub(super) type Answer<T> = Result<axum::Json<T>, Failure>;

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest text that a problem repeats of what it was asked.
const LONGEST: usize = 1000;

/// A JSON body, parsed strictly: an unknown field is refused by its name.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let too_large = || {
            let title = format!("the request's body is longer than {} MiB", MAX_REQUEST >> 20);
            Problem::new(Code::TooLarge, title)
        };
        // As it says itself, before any of it has come.
        if request.body().size_hint().lower() > MAX_REQUEST as u64 {
            return Err(too_large().into());
        }
        let bytes = tokio::time::timeout(PATIENCE, Bytes::from_request(request, state)).await;
        let bytes = bytes.map_err(|_| {
            let title = format!("the request's body did not come within {} s", PATIENCE.as_secs());
            Problem::new(Code::TooSlow, title)
        })?;
        let bytes = bytes.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            _ => Problem::new(Code::BadRequest, error.body_text()),
        })?;
        Ok(Self(parse(&bytes)?))
    }
}

/// Parses a body.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let title = format!("the request's body: {}", without_value(&error.to_string()));
        Problem::new(Code::BadRequest, shortened(title))
    })
}

/// What is wrong, without the value that is: `env` holds secrets, and whatever is said may be written down somewhere.
fn without_value(error: &str) -> String {
    for kind in ["invalid type: ", "invalid value: "] {
        let parts = error.strip_prefix(kind).and_then(|rest| rest.rsplit_once(", expected "));
        if let Some((found, expected)) = parts {
            let what = found.split([' ', '`', '"']).next().unwrap_or_default();
            return format!("{kind}{what}, expected {expected}");
        }
    }
    error.to_owned()
}

/// The text, or its beginning when it is long.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Query parameters, parsed strictly.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        if !is_text(parts.uri.query().unwrap_or_default()) {
            let title = "the query is not UTF-8 once its percent signs are read";
            return Err(Problem::new(Code::BadRequest, title).into());
        }
        let parsed = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        parsed
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Failure(Problem::new(Code::BadRequest, error.body_text())))
    }
}

/// Whether what is percent-encoded is UTF-8: else it would be read as something that nobody has said.
fn is_text(encoded: &str) -> bool {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let (mut bytes, mut rest) = (Vec::new(), encoded.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        match (first, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.extend(u8::try_from(high * 16 + low));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// The named segments of a path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let parsed = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        parsed
            .map(|axum::extract::Path(path)| Self(path))
            .map_err(|error| Failure(Problem::new(Code::BadRequest, error.body_text())))
    }
}

/// A query parameter that needs no value: `?follow` is `?follow=true`.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        other => Err(D::Error::custom(format!("{other:?} is neither true nor false"))),
    }
}
