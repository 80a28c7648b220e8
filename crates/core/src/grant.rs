//! The grant: the signed permission that an approved request receives. It carries its own end, so nobody has to be awake for
//! access to stop.

use serde::{Deserialize, Serialize};

use crate::interval::{Instant, Interval};
use crate::name::{Account, Digest, EndpointRef, Named, PolicyName, RequestName, Uid};
use crate::part::{Body, PartKind};
use crate::policy::Elevation;

/// The policy as it was when the request was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedPolicy {
    /// `metadata.name`
    pub name: PolicyName,
    /// `metadata.uid`
    pub uid: Uid,
    /// `metadata.generation`
    pub generation: i64,
    /// [`crate::policy::Rules::digest`]
    pub digest: Digest,
}

/// The content of a grant part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantBody {
    /// The only endpoint it holds on.
    pub endpoint: EndpointRef,
    /// The request it answers.
    pub request: Named<RequestName>,
    /// The login that is elevated.
    pub account: Account,
    /// What was approved.
    pub policy: PinnedPolicy,
    /// What is elevated.
    pub elevation: Elevation,
    /// First second of access.
    pub not_before: Instant,
    /// First second after access.
    pub not_after: Instant,
}

impl Body for GrantBody {
    const KIND: PartKind = PartKind::Grant;
}

impl GrantBody {
    /// When access holds.
    #[must_use]
    pub fn interval(&self) -> Interval {
        Interval { start: self.not_before, end: self.not_after }
    }
}
