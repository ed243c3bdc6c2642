//! Requests in, problems out.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use devd_proto::{Code, PROBLEM_JSON, Problem};
use serde::de::{Deserialize as _, DeserializeOwned, Deserializer, Error as _};

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
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
    }
}

/// An answer, or a problem.
pub(super) type Answer<T> = Result<axum::Json<T>, Failure>;

/// A JSON body, parsed strictly: an unknown field is refused by its name.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|error| Failure(Problem::new(Code::BadRequest, error.body_text())))?;
        let parsed = serde_json::from_slice(&bytes);
        parsed
            .map(Self)
            .map_err(|error| Failure(Problem::new(Code::BadRequest, format!("the request's body: {error}"))))
    }
}

/// Query parameters, parsed strictly.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let parsed = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        parsed
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Failure(Problem::new(Code::BadRequest, error.body_text())))
    }
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
