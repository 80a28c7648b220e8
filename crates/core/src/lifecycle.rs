//! One judgement of a request: from what is recorded, what has been decided and what time it is, to the next status, the
//! effects of getting there, and when to look again. Total and pure: the same input gives the same step in any process.
//!
//! The order inside a step: the clock first (what has ended is ended, whatever was decided meanwhile), then whether the
//! request may still be asked, then the decisions by slot, then the objects a grant hangs on and the Locks, then the clock
//! again.

use std::time::Duration;

use serde::Serialize;

use self::judgement::Judgement;
use crate::acceptance::{self, Against};
use crate::endpoint::Endpoint;
use crate::fleet::Settings;
use crate::grant::{GrantBody, Requires};
use crate::guard::Guard;
use crate::interval::Instant;
use crate::ledger::OpenRequests;
use crate::lock::Switches;
use crate::name::Identity;
use crate::policy::Policy;
use crate::request::{Lookup, Request, Status};

#[cfg(test)]
pub(crate) mod fixture;
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
    /// The endpoint it names, with the fleet's accounts.
    pub endpoint: &'a Lookup<Endpoint>,
    /// What the fleet says.
    pub fleet: &'a Fleet,
    /// What the person has open beside it.
    pub open: &'a OpenRequests,
    /// Whether what people wrote can be believed.
    pub guard: &'a Guard,
}

/// What a fleet says about a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Its settings.
    pub settings: Settings,
    /// What stops elevation at the moment.
    pub switches: Switches,
    /// The signed parts that a grant is to require; `None` until both are signed, and nothing is granted before.
    pub requires: Option<Requires>,
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
    /// Until when a pending request waits for decisions.
    pub pending_until: Option<Instant>,
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
    /// The endpoint confirms that access took effect there.
    Applied,
    /// It was kept long enough after its end, and its object is gone. Of audit lines only.
    Removed,
}

/// Judges a request.
#[must_use]
pub fn step(request: &Request, context: &Context<'_>, now: Instant) -> Step {
    let Context { policy, endpoint, fleet, open, guard: _ } = *context;
    let against = Against { policy, endpoint, settings: &fleet.settings, switches: &fleet.switches, open };
    let judged = acceptance::judge(request, &against, now);
    let Some(mut judgement) = Judgement::begin(request, &judged, context, now) else {
        let (status, events) = (request.status.clone(), Vec::new());
        return Step { status, events, sign: None, pending_until: None, wake: None };
    };
    judgement.time_out();
    judgement.doubt();
    judgement.advance();
    judgement.recheck();
    judgement.fold();
    judgement.deleted();
    judgement.objects_gone();
    judgement.locked();
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
            Self::Applied => "Applied",
            Self::Removed => "Removed",
        }
    }

    /// Should people look at it?
    #[must_use]
    pub fn is_warning(self) -> bool {
        match self {
            Self::Held | Self::Declined | Self::Denied | Self::TimedOut | Self::Revoked | Self::DecisionIgnored => true,
            Self::Accepted
            | Self::Approved
            | Self::Withdrawn
            | Self::Activated
            | Self::Expired
            | Self::Ended
            | Self::Applied
            | Self::Removed => false,
        }
    }
}
