//! The grant: the signed permission that an approved request receives. It carries its own end, so nobody has to be awake for
//! access to stop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::application::GrantedApplication;
use crate::elevation::Elevation;
use crate::interval::{Instant, Interval, seconds};
use crate::name::{Account, Digest, EndpointRef, Named, PolicyName, RequestName, Uid};
use crate::part::{Body, PartKind};
use crate::policy::list_of_seconds;

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
    pub request: GrantedRequest,
    /// The login that is elevated.
    pub account: Account,
    /// What was approved.
    pub policy: PinnedPolicy,
    /// What is elevated and how; with `application` its list of applications is empty.
    pub elevation: Elevation,
    /// The one program that was asked for and approved; never the policy's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<GrantedApplication>,
    /// First second of access.
    pub not_before: Instant,
    /// First second after access.
    pub not_after: Instant,
    /// How long before the end the person is reminded.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "list_of_seconds")]
    pub reminders: Vec<Duration>,
    /// How long after the last authenticated contact an agent still starts elevation.
    #[serde(with = "seconds")]
    pub offline_tolerance: Duration,
    /// What the agent must have at least: an older view of the fleet may lack what speaks against this grant.
    pub requires: Requires,
}

/// The request that a grant answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedRequest {
    /// `metadata.name`
    pub name: RequestName,
    /// `metadata.uid`; RequestIdentifier of every event of this grant.
    pub uid: Uid,
    /// `spec.ticket`; TicketIdentifier of every event of this grant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ticket: String,
}

/// The parts that were in force when a grant was signed, by their sequences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requires {
    /// Of the endpoint's placement.
    pub placement: u64,
    /// Of the fleet part.
    pub fleet: u64,
    /// [`crate::fleet::FleetBody::object`] of that fleet part.
    pub object: Uid,
}

impl Body for GrantBody {
    const KIND: PartKind = PartKind::Grant;
}

impl GrantedRequest {
    /// Name and uid.
    #[must_use]
    pub fn named(&self) -> Named<RequestName> {
        Named { name: self.name.clone(), uid: self.uid.clone() }
    }
}

impl GrantBody {
    /// When access holds.
    #[must_use]
    pub fn interval(&self) -> Interval {
        Interval { start: self.not_before, end: self.not_after }
    }
}
