//! What a JitPolicy says, checked, and its compilation into the part that endpoints receive. Who may approve is not here: that
//! is RBAC.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::interval::{Instant, Interval, Position, seconds};
use crate::name::{Digest, PolicyName, Uid};
use crate::part::{Body, PartKind};
use crate::target::Targets;

/// A JitPolicy that passed its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which object and which generation of it this is.
    pub reference: PolicyRef,
    /// What it says.
    pub rules: Rules,
}

/// A policy by name, uid and `metadata.generation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRef {
    /// `metadata.name`
    pub name: PolicyName,
    /// `metadata.uid`
    pub uid: Uid,
    /// `metadata.generation`, counted by the API server from 1.
    pub generation: i64,
}

/// The content of a policy that matters to a grant. Its digest is pinned in a request when it is accepted: what people
/// saw is what is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Whom it reaches.
    pub targets: Targets,
    /// What is elevated and how.
    pub elevation: Elevation,
    /// When access exists or how it is asked for.
    pub access: Access,
}

/// What a policy elevates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elevation {
    /// How much is elevated.
    pub mode: Mode,
}

/// How much a policy elevates. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Any application that needs elevation.
    AnyApplication,
}

/// How a policy gives access. May grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Access {
    /// Granted ahead for one span of time: no request is needed.
    Window {
        /// When it holds.
        window: Interval,
    },
    /// Somebody asks and somebody approves.
    OnRequest {
        /// What a request must be like.
        on_request: OnRequest,
    },
}

/// `access.onRequest`: what a request must be like, and how long it may wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnRequest {
    /// What the stated reason must be like.
    pub reason: ReasonRule,
    /// How long access may last.
    pub duration: DurationRule,
    /// How long a request waits for decisions, counted from its acceptance.
    #[serde(with = "seconds")]
    pub pending_timeout: Duration,
}

/// Bounds of the stated reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReasonRule {
    /// A request without a reason is declined.
    pub required: bool,
    /// Fewest characters of a given reason (surrounding blanks do not count), at most 512.
    pub min_length: u32,
}

/// Bounds of the granted duration: `1s <= min <= default <= max <= 24h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DurationRule {
    /// Shortest.
    #[serde(with = "seconds")]
    pub min: Duration,
    /// Longest.
    #[serde(with = "seconds")]
    pub max: Duration,
    /// Granted where neither request nor approval names one.
    #[serde(with = "seconds")]
    pub default: Duration,
}

/// The content of a policy part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    /// Which policy.
    pub policy: PolicyRef,
    /// Whom it reaches.
    pub targets: Targets,
    /// What it elevates.
    pub elevation: Elevation,
    /// When or on which terms.
    pub access: Access,
}

impl Body for PolicyBody {
    const KIND: PartKind = PartKind::Policy;
}

/// How a policy stands: the reason of its `Ready=True`. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Signed and in force, or ready to be asked under.
    Compiled,
    /// Its window is over.
    Closed,
    /// It reaches no endpoint.
    NoEndpoints,
}

// === impl Policy ===

impl Policy {
    /// The part that endpoints receive.
    #[must_use]
    pub fn compile(&self) -> PolicyBody {
        let Rules { targets, elevation, access } = self.rules.clone();
        PolicyBody { policy: self.reference.clone(), targets, elevation, access }
    }
}

impl Policy {
    /// How the policy stands now that it reaches `matched` of the fleet's `total` endpoints, with the text for people.
    #[must_use]
    pub fn standing(&self, matched: usize, total: usize, now: Instant) -> (Standing, String) {
        let over = match &self.rules.access {
            Access::Window { window } if window.position(now) == Position::After => Some(window.end),
            Access::Window { .. } | Access::OnRequest { .. } => None,
        };
        match over {
            Some(end) => (Standing::Closed, format!("the window ended at {end}")),
            None if matched == 0 => {
                (Standing::NoEndpoints, format!("{} matches none of {total} endpoints", self.rules.targets.endpoints))
            }
            None => (Standing::Compiled, format!("signed for {matched} of {total} endpoints")),
        }
    }

    /// When [`Policy::standing`] may change by itself.
    #[must_use]
    pub fn wake(&self, now: Instant) -> Option<Instant> {
        match &self.rules.access {
            Access::Window { window } => window.next_edge(now),
            Access::OnRequest { .. } => None,
        }
    }
}

impl Rules {
    /// SHA-256 over the rules as JSON: equal rules have equal digests, whatever the object's generation or description.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Structs of strings and integers always serialise.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Standing {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compiled => "Compiled",
            Self::Closed => "Closed",
            Self::NoEndpoints => "NoEndpoints",
        }
    }
}

impl DurationRule {
    /// Is `duration` inside `[min, max]`?
    #[must_use]
    pub fn allows(&self, duration: Duration) -> bool {
        self.min <= duration && duration <= self.max
    }
}
