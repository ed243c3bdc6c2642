//! Requests without a connection, for those who throw odd ones at it.

use super::extract::{Query, parse};
use super::{events, logs, projects, runs};
use axum::extract::FromRequestParts;
use axum::http::{Request, Uri};
use devd_proto::frame;
use devd_proto::{BuildRequest, ExecRequest, ProjectSource, RegisterRequest, RunRequest, SavedRequest};
use futures_util::FutureExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The first byte says what the others are.
pub fn request(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 8 {
        0 => body::<RegisterRequest>(bytes),
        1 => body::<ProjectSource>(bytes),
        2 => body::<BuildRequest>(bytes),
        3 => body::<RunRequest>(bytes),
        4 => body::<SavedRequest>(bytes),
        5 => body::<ExecRequest>(bytes),
        6 => queries(bytes),
        _ => frames(bytes),
    }
}

/// What is understood means the same when it is written anew; what is not is refused in so many words.
fn body<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    match parse::<T>(bytes) {
        Ok(understood) => {
            let written = serde_json::to_vec(&understood).unwrap_or_default();
            let again = parse::<T>(&written).unwrap_or_else(|error| panic!("{error:?}: {understood:?}"));
            assert_eq!(again, understood);
        }
        Err(problem) => {
            assert_eq!(problem.status, 400);
            assert!(problem.title.chars().count() < 1100, "{}", problem.title);
        }
    }
}

fn queries(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(uri) = format!("/?{text}").parse::<Uri>() else { return };
    query::<events::EventsQuery>(&uri);
    query::<projects::RemoveQuery>(&uri);
    query::<projects::ConfigQuery>(&uri);
    query::<runs::ListQuery>(&uri);
    query::<runs::LogQuery>(&uri);
    if let Some(query) = query::<logs::LogsQuery>(&uri) {
        let _ = query.parse();
    }
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Option<T> {
    let (mut parts, ()) = Request::builder().uri(uri).body(()).ok()?.into_parts();
    let parsed = Query::<T>::from_request_parts(&mut parts, &()).now_or_never()?;
    parsed.ok().map(|Query(query)| query)
}

/// However it comes, frame by frame or byte by byte, it is the same.
fn frames(bytes: &[u8]) {
    let whole = decoded(&[bytes]);
    assert_eq!(decoded(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    let written: Vec<u8> = whole.iter().flat_map(|(kind, payload)| frame::encode(*kind, payload)).collect();
    assert!(bytes.starts_with(&written));
}

fn decoded(chunks: &[&[u8]]) -> Vec<(frame::Kind, Vec<u8>)> {
    let (mut buffer, mut frames) = (Vec::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match frame::decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(frame::Malformed) => return frames,
            }
        }
    }
    frames
}
