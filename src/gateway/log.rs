//! What the gateway logs of a grant on its way: a line for each step of each grant, never for each poll. Fields are named as the
//! controller names them, so that `request_uid` finds the lines of both servers. No token and nothing that a person wrote.

use super::index::EndpointKey;
use crate::traces::Traces;

/// A step on the way of a grant through a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is in the first answer that carries it to an agent that has not had it.
    HandedOut,
    /// The agent said that it applied it, and that is written.
    Reported,
}

/// One line: the grant of this request has come so far at this endpoint.
pub(super) fn grant(step: Step, key: &EndpointKey, request_uid: &str, traces: &Traces) {
    tracing::info!(
        event = step.as_str(),
        fleet = %key.fleet,
        request_uid,
        trace_id = traces.of(request_uid).map(tracing::field::display),
        endpoint = %key.name,
        "{}",
        step.message()
    );
}

// === impl Step ===

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::HandedOut => "HandedOut",
            Self::Reported => "Reported",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::HandedOut => "a grant was handed out",
            Self::Reported => "an agent reported that it applied a grant",
        }
    }
}
