//! An ElevationRequest, checked, with what has been recorded of it so far. Whether it may be asked at all is `acceptance`'s.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::application::Requested;
use crate::decision::Verb;
use crate::grant::PinnedPolicy;
use crate::interval::{Instant, Interval};
use crate::name::{Account, EndpointName, Identity, Named, PolicyName, RequestName, StageName, Uid};
use crate::reason::{DeclineReason, IgnoredReason};
use crate::state::State;

/// An ElevationRequest as the API server holds it, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Name and uid.
    pub reference: Named<RequestName>,
    /// What is asked for; never changes.
    pub wish: Wish,
    /// The decision annotations by slot, as written.
    pub decisions: BTreeMap<u32, String>,
    /// Somebody deletes the object.
    pub deleting: bool,
    /// `spec.attestation` has been verified: the endpoint's own agent signed the wish.
    pub attested: bool,
    /// What has been recorded; `None` until the first judgement.
    pub status: Option<Status>,
}

/// `spec` of an ElevationRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Under which policy.
    pub policy: PolicyName,
    /// On which endpoint.
    pub endpoint: EndpointName,
    /// For which login.
    pub account: Account,
    /// Who asks; the API server has checked that it was the caller.
    pub requester: Identity,
    /// The requester asks for another person.
    pub on_behalf: bool,
    /// Which program; absent: whatever the policy elevates.
    pub application: Option<Requested>,
    /// How long; absent means the policy's default.
    pub duration: Option<Duration>,
    /// Why.
    pub reason: String,
    /// The ticket it belongs to; may be empty.
    pub ticket: String,
    /// From when; absent means at once.
    pub start: Option<Instant>,
}

/// What has been recorded of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where it stands.
    pub state: State,
    /// Why it stands there, for people.
    pub message: String,
    /// The reason, where it was declined.
    pub declined: Option<DeclineReason>,
    /// A counted deny ended it.
    pub denied: bool,
    /// When it was accepted; `pendingTimeout` counts from here.
    pub accepted_at: Option<Instant>,
    /// The person behind the account.
    pub identity: Option<Identity>,
    /// The policy as accepted.
    pub policy: Option<PinnedPolicy>,
    /// The endpoint object as accepted.
    pub endpoint_uid: Option<Uid>,
    /// Every decision seen, by slot.
    pub decisions: Vec<FoldedDecision>,
    /// The rule that approved by itself.
    pub rule: Option<StageName>,
    /// How far each stage has come, in the policy's order; none for what a rule approved.
    pub stages: Vec<StageProgress>,
    /// When access holds, once approved.
    pub granted: Option<Interval>,
    /// The grant has been signed.
    pub signed: bool,
}

/// How far a stage has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageProgress {
    /// Which.
    pub name: StageName,
    /// Approvals counted.
    pub approved: u32,
    /// Approvals needed.
    pub approvals: u32,
}

/// One decision as it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedDecision {
    /// Its slot, from 1.
    pub slot: u32,
    /// Who decided; `None` for a line that does not follow the grammar.
    pub by: Option<Identity>,
    /// What; `None` likewise.
    pub verb: Option<Verb>,
    /// `for=`
    pub duration: Option<Duration>,
    /// `stage=`
    pub stage: Option<StageName>,
    /// Comment.
    pub comment: Option<String>,
    /// When the controller first saw it.
    pub observed_at: Instant,
    /// Why it does not count; `None` if it counts.
    pub ignored: Option<(IgnoredReason, String)>,
}

/// The answer to looking for an object that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It exists and passed its checks.
    Found(T),
    /// It does not exist: asked of the API server, not of a cache.
    Missing,
    /// It exists and cannot be used; why.
    Unreadable(String),
}

// === impl Request ===

impl Request {
    /// Has it been judged? One that is held has not.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.state != State::Held)
    }

    /// Has everything that people wrote been judged, and is all that was granted signed? What is not could still be forged.
    #[must_use]
    pub fn is_taken_up(&self) -> bool {
        let seen = self.status.iter().flat_map(|status| &status.decisions).map(|d| d.slot).max().unwrap_or(0);
        let unsigned = self.status.as_ref().is_some_and(|status| status.state.is_granted() && !status.signed);
        self.is_judged() && !unsigned && self.decisions.keys().all(|slot| *slot <= seen)
    }
}

// === impl FoldedDecision ===

impl FoldedDecision {
    /// Is it an approval that counts?
    #[must_use]
    pub fn is_counted_approval(&self) -> bool {
        self.verb == Some(Verb::Approve) && self.ignored.is_none()
    }
}

// === impl Lookup ===

impl<T> Lookup<T> {
    /// The object, if it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(object) => Some(object),
            Self::Missing | Self::Unreadable(_) => None,
        }
    }
}
