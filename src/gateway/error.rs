//! What a caller is told when a call fails, and what only the log is told. Both leave here once, as problem+json (RFC 9457)
//! and as one log line.

use std::fmt::Display;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tidegate_core::wire::{Problem, ProblemCode};

/// A refused or failed call. The status follows from the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    pub(super) code: ProblemCode,
    external: String,
    internal: Option<String>,
    retry_after: Option<Duration>,
}

/// After how long a caller that was told 503 may come back, at the earliest.
const RETRY_AFTER: Duration = Duration::from_secs(5);

// === impl HttpError ===

impl HttpError {
    /// `external` is shown to the caller: what is wrong, where, and what to do.
    #[must_use]
    pub fn new(code: ProblemCode, external: impl Into<String>) -> Self {
        Self { code, external: external.into(), internal: None, retry_after: None }
    }

    /// Our own fault; the cause is logged and not shown.
    #[must_use]
    pub fn internal(cause: impl Display) -> Self {
        Self::new(ProblemCode::Internal, "The gateway failed; its log says why. Try again later.").because(cause)
    }

    /// Adds what only the log is told.
    #[must_use]
    pub fn because(self, cause: impl Display) -> Self {
        Self { internal: Some(cause.to_string()), ..self }
    }

    /// Says when the caller may come back; told in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let Self { code, external, internal, retry_after } = self;
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let cause = internal.as_deref().unwrap_or_default();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code = code.as_str(), detail = external, cause, "a call failed");
        } else {
            tracing::info!(code = code.as_str(), detail = external, cause, "a call was refused");
        }
        let body = serde_json::to_vec(&Problem::new(code, external)).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        let unasked = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER);
        if let Some(wait) = retry_after.or(unasked) {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
