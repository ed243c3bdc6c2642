//! bollard's errors in our words.

use super::clean::clean;
use crate::engine::EngineError;
use bollard::errors::Error;

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        if let Error::DockerResponseServerError { status_code, message } = error {
            return from_status(status_code, &message);
        }
        let unreachable = matches!(
            error,
            Error::RequestTimeoutError
                | Error::IOError { .. }
                | Error::HttpClientError { .. }
                | Error::HyperResponseError { .. }
                | Error::HyperLegacyError { .. }
                | Error::SocketNotFoundError(_)
        );
        if unreachable {
            return Self::Unreachable(with_sources(&error));
        }
        if let Error::DockerStreamError { error } = error {
            return Self::Refused(clean(&error));
        }
        Self::Refused(format!("the engine's answer is not understood: {error}"))
    }
}

/// What an HTTP status other than success means.
pub(super) fn from_status(status: u16, message: &str) -> EngineError {
    let message = match clean(message) {
        message if message.is_empty() => format!("the engine answered {status} without saying why"),
        message => message,
    };
    match status {
        404 => EngineError::NotFound(message),
        500.. if is_half_gone(&message) => EngineError::Unreachable(message),
        _ => EngineError::Refused(message),
    }
}

/// Docker answers, and its containerd does not: it was killed, or is on its way up. That says nothing of what was asked.
fn is_half_gone(message: &str) -> bool {
    [": unavailable", "transport is closing", "ttrpc: closed", "error reading from server: EOF"]
        .iter()
        .any(|sign| message.contains(sign))
}

/// An error with what it comes from: hyper says only "error sending request" by itself.
pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// Success when something is gone already.
pub(super) fn gone_is_fine<T: Default>(result: Result<T, EngineError>) -> Result<T, EngineError> {
    if let Err(EngineError::NotFound(_)) = result { Ok(T::default()) } else { result }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_whose_containerd_is_gone_has_refused_nothing() {
        let dialing = "connection error: desc = \"transport: Error while dialing dial unix /run/containerd.sock: \
                       connect: connection refused\": unavailable";
        for message in [dialing, "transport is closing: unavailable", "ttrpc: closed: unknown"] {
            assert!(matches!(from_status(500, message), EngineError::Unreachable(_)), "{message}");
        }
        let refused = "driver failed programming external connectivity: port is already allocated";
        assert!(matches!(from_status(500, refused), EngineError::Refused(_)));
        assert!(matches!(
            from_status(404, "no such image: unavailable: unavailable"),
            EngineError::NotFound(_)
        ));
    }
}
