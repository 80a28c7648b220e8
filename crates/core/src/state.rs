//! The states of a request: the reason of its `Active` condition, a closed list.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `status.state` of an ElevationRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Not judged yet: it is not known whether the API server checks who writes what.
    Held,
    /// Accepted, waiting for decisions.
    Pending,
    /// Refused without a person.
    Declined,
    /// Refused by a person.
    Denied,
    /// Taken back while pending.
    Withdrawn,
    /// Nobody decided in time.
    TimedOut,
    /// Approved, begins later.
    Scheduled,
    /// Access holds.
    Active,
    /// The end was reached.
    Expired,
    /// Taken away before its end.
    Revoked,
    /// Given back before its end.
    Ended,
}

impl State {
    /// Every state, in the order of a request's life.
    pub const ALL: [Self; 11] = [
        Self::Held,
        Self::Pending,
        Self::Declined,
        Self::Denied,
        Self::Withdrawn,
        Self::TimedOut,
        Self::Scheduled,
        Self::Active,
        Self::Expired,
        Self::Revoked,
        Self::Ended,
    ];

    /// A final state never changes again.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Held | Self::Pending | Self::Scheduled | Self::Active => false,
            Self::Declined
            | Self::Denied
            | Self::Withdrawn
            | Self::TimedOut
            | Self::Expired
            | Self::Revoked
            | Self::Ended => true,
        }
    }

    /// Approved and not ended: a grant may be in force now or later.
    #[must_use]
    pub fn is_granted(self) -> bool {
        matches!(self, Self::Scheduled | Self::Active)
    }

    /// The word, as in `status.state`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "Held",
            Self::Pending => "Pending",
            Self::Declined => "Declined",
            Self::Denied => "Denied",
            Self::Withdrawn => "Withdrawn",
            Self::TimedOut => "TimedOut",
            Self::Scheduled => "Scheduled",
            Self::Active => "Active",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
            Self::Ended => "Ended",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
