//! One judgement of a request: from what is recorded, what has been decided and what time it is, to the next status, the
//! effects of getting there, and when to look again. Total and pure: the same input gives the same step in any process.
//!
//! The order inside a step: the clock first (what has ended is ended, whatever was decided meanwhile), then whether the
//! request may still be asked, then the decisions by slot, then the objects a grant hangs on, then the clock again.

use std::time::Duration;

use serde::Serialize;

use self::judgement::Judgement;
use crate::endpoint::Endpoint;
use crate::grant::GrantBody;
use crate::guard::Guard;
use crate::interval::Instant;
use crate::name::Identity;
use crate::policy::Policy;
use crate::request::{Lookup, Request, Status};

mod judgement;
#[cfg(test)]
mod tests;

/// A grant is signed at most this long before its start.
pub const SIGN_AHEAD: Duration = Duration::from_secs(3600);

/// What a request is judged on, besides itself.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The policy it names.
    pub policy: &'a Lookup<Policy>,
    /// The endpoint it names.
    pub endpoint: &'a Lookup<Endpoint>,
    /// Whether what people wrote can be believed.
    pub guard: &'a Guard,
}

/// What one judgement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The status to record; `None` where nothing can be recorded yet.
    pub status: Option<Status>,
    /// What happened, in order; each is told once.
    pub events: Vec<Event>,
    /// A grant to be signed and written together with the status.
    pub sign: Option<GrantBody>,
    /// When to judge again; `None` if only a change can matter.
    pub wake: Option<Instant>,
}

/// Something that happened to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// The decision it is about, by slot.
    pub slot: Option<u32>,
    /// The person whose decision it was.
    pub by: Option<Identity>,
    /// For people.
    pub message: String,
}

/// Reasons of Events, and of audit lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum EventKind {
    /// It waits until it is known who can be believed.
    Held,
    /// It may be asked; people are to decide.
    Accepted,
    /// It may not be asked.
    Declined,
    /// Enough approvals.
    Approved,
    /// Refused by a person.
    Denied,
    /// Nobody decided in time.
    TimedOut,
    /// Taken back while pending.
    Withdrawn,
    /// Access begins.
    Activated,
    /// The end was reached.
    Expired,
    /// Taken away before the end.
    Revoked,
    /// Given back before the end.
    Ended,
    /// A decision does not count.
    DecisionIgnored,
}

/// Judges a request.
#[must_use]
pub fn step(request: &Request, context: &Context<'_>, now: Instant) -> Step {
    let judged = request.judge(context.policy, context.endpoint, now);
    let Some(mut judgement) = Judgement::begin(request, &judged, context, now) else {
        return Step { status: request.status.clone(), events: Vec::new(), sign: None, wake: None };
    };
    judgement.time_out();
    judgement.doubt();
    judgement.advance();
    judgement.recheck();
    judgement.fold();
    judgement.deleted();
    judgement.objects_gone();
    judgement.advance();
    judgement.finish()
}

// === impl EventKind ===

impl EventKind {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "Held",
            Self::Accepted => "Accepted",
            Self::Declined => "Declined",
            Self::Approved => "Approved",
            Self::Denied => "Denied",
            Self::TimedOut => "TimedOut",
            Self::Withdrawn => "Withdrawn",
            Self::Activated => "Activated",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
            Self::Ended => "Ended",
            Self::DecisionIgnored => "DecisionIgnored",
        }
    }

    /// Should people look at it?
    #[must_use]
    pub fn is_warning(self) -> bool {
        match self {
            Self::Held | Self::Declined | Self::Denied | Self::TimedOut | Self::Revoked | Self::DecisionIgnored => true,
            Self::Accepted | Self::Approved | Self::Withdrawn | Self::Activated | Self::Expired | Self::Ended => false,
        }
    }
}
