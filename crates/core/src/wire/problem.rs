//! Errors of the gateway as agents see them: RFC 9457 with a code from a closed list.

use serde::{Deserialize, Serialize};

/// The body of every error: `application/problem+json`, RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:tidegate:problem:<code>`
    pub r#type: String,
    /// The same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time and what to do; safe to show.
    pub detail: String,
    /// For programs.
    pub code: ProblemCode,
}

/// What can be wrong with a call. Closed here; may grow, so a reader meets [`ProblemCode::Unknown`] for what is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProblemCode {
    /// The gateway has not seen everything yet, or this endpoint's placement is not signed yet.
    NotReady,
    /// The route needs a client certificate.
    CertificateRequired,
    /// The certificate's endpoint is gone or was re-created.
    CertificateVoid,
    /// There is no ManagedEndpoint of this name.
    EndpointNotFound,
    /// The request is not of the expected form.
    BadRequest,
    /// A person refused.
    Denied,
    /// The body is above its limit.
    TooLarge,
    /// There is no such route.
    NotFound,
    /// The route has other methods.
    MethodNotAllowed,
    /// The gateway takes no more calls of this kind for now.
    TooManyRequests,
    /// The gateway has too much to do.
    Overloaded,
    /// The gateway's own fault.
    Internal,
    /// Only when read: a code of a newer gateway.
    #[serde(other)]
    Unknown,
}

// === impl Problem ===

impl Problem {
    /// A problem of this code; `detail` is shown to the caller.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("urn:tidegate:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
        }
    }
}

impl ProblemCode {
    /// The word, as in `code`; also a closed metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotReady => "NotReady",
            Self::CertificateRequired => "CertificateRequired",
            Self::CertificateVoid => "CertificateVoid",
            Self::EndpointNotFound => "EndpointNotFound",
            Self::BadRequest => "BadRequest",
            Self::Denied => "Denied",
            Self::TooLarge => "TooLarge",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::TooManyRequests => "TooManyRequests",
            Self::Overloaded => "Overloaded",
            Self::Internal => "Internal",
            Self::Unknown => "Unknown",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::CertificateRequired => 401,
            Self::CertificateVoid | Self::Denied => 403,
            Self::EndpointNotFound | Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TooLarge => 413,
            Self::TooManyRequests => 429,
            Self::Internal | Self::Unknown => 500,
            Self::NotReady | Self::Overloaded => 503,
        }
    }

    /// A short text, the same for every problem of this code.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::NotReady => "The gateway is not ready for this call",
            Self::CertificateRequired => "A client certificate is required",
            Self::CertificateVoid => "The client certificate is void",
            Self::EndpointNotFound => "The endpoint does not exist",
            Self::BadRequest => "The request is not valid",
            Self::Denied => "The request was denied",
            Self::TooLarge => "The request is too large",
            Self::NotFound => "There is no such route",
            Self::MethodNotAllowed => "The route does not have this method",
            Self::TooManyRequests => "Too many calls of this kind",
            Self::Overloaded => "The gateway is overloaded",
            Self::Internal => "The gateway failed",
            Self::Unknown => "The problem is not known here",
        }
    }
}
