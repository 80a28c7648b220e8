//! An ElevationRequest, checked, with what has been recorded of it so far; and its acceptance: may it be asked at all?

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decision::Verb;
use crate::endpoint::{AccountEntry, Endpoint};
use crate::grant::PinnedPolicy;
use crate::interval::{Instant, Interval, format_duration};
use crate::name::{Account, EndpointName, Identity, Named, PolicyName, RequestName, StageName, Uid};
use crate::policy::{Access, OnRequest, Policy};
use crate::reason::{Decline, DeclineReason, IgnoredReason};
use crate::state::State;

/// The furthest ahead that a request may begin.
pub const MAX_START_AHEAD: Duration = Duration::from_secs(7 * 24 * 3600);

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
    /// How long; absent means the policy's default.
    pub duration: Option<Duration>,
    /// Why.
    pub reason: String,
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
    /// When access holds, once approved.
    pub granted: Option<Interval>,
    /// The grant has been signed.
    pub signed: bool,
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

/// What acceptance establishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The policy's terms.
    pub terms: &'a OnRequest,
    /// The policy, pinned.
    pub policy: PinnedPolicy,
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// The account on it.
    pub account: &'a AccountEntry,
    /// The person behind the account.
    pub identity: Identity,
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

    /// May this be asked under this policy on this endpoint?
    ///
    /// # Errors
    /// Every reason against it, unsorted.
    pub fn judge<'a>(
        &self,
        policy: &'a Lookup<Policy>,
        endpoint: &'a Lookup<Endpoint>,
        now: Instant,
    ) -> Result<Accepted<'a>, Vec<Decline>> {
        let mut against = Vec::new();
        let policy = self.policy(policy, &mut against);
        let endpoint = self.endpoint(endpoint, &mut against);
        if let Some((policy, terms)) = policy {
            self.judge_terms(policy, terms, &mut against);
        }
        let person = endpoint.and_then(|endpoint| self.judge_account(endpoint, &mut against));
        if let (Some((policy, _)), Some(endpoint)) = (policy, endpoint) {
            self.judge_targets(policy, endpoint, &mut against);
        }
        // The start is judged once, when the request comes in: waiting for approval must not decline it.
        if !self.is_judged() {
            self.judge_start(now, &mut against);
        }
        match (policy, endpoint, person) {
            (Some((policy, terms)), Some(endpoint), Some((account, identity))) if against.is_empty() => Ok(Accepted {
                terms,
                policy: PinnedPolicy {
                    name: policy.reference.name.clone(),
                    uid: policy.reference.uid.clone(),
                    generation: policy.reference.generation,
                    digest: policy.rules.digest(),
                },
                endpoint,
                account,
                identity,
            }),
            _ => Err(against),
        }
    }

    fn policy<'a>(
        &self,
        lookup: &'a Lookup<Policy>,
        against: &mut Vec<Decline>,
    ) -> Option<(&'a Policy, &'a OnRequest)> {
        let name = &self.wish.policy;
        let (reason, message) = match lookup {
            Lookup::Found(policy) => match &policy.rules.access {
                Access::OnRequest { on_request } => return Some((policy, on_request)),
                Access::Window { .. } => (
                    DeclineReason::PolicyNotOnRequest,
                    format!("JitPolicy {name} grants access ahead and takes no requests"),
                ),
            },
            Lookup::Missing => (
                DeclineReason::PolicyNotFound,
                format!("there is no JitPolicy {name} in this namespace: kubectl get jp lists them"),
            ),
            Lookup::Unreadable(why) => (DeclineReason::PolicyNotReady, format!("JitPolicy {name} is not ready: {why}")),
        };
        against.push(Decline { reason, message });
        None
    }

    fn endpoint<'a>(&self, lookup: &'a Lookup<Endpoint>, against: &mut Vec<Decline>) -> Option<&'a Endpoint> {
        let name = &self.wish.endpoint;
        let why = match lookup {
            Lookup::Found(endpoint) => return Some(endpoint),
            Lookup::Missing => {
                format!("there is no ManagedEndpoint {name} in this namespace: kubectl get managedendpoints lists them")
            }
            Lookup::Unreadable(why) => format!("ManagedEndpoint {name} cannot be used: {why}"),
        };
        against.push(Decline { reason: DeclineReason::EndpointNotFound, message: why });
        None
    }

    fn judge_terms(&self, policy: &Policy, terms: &OnRequest, against: &mut Vec<Decline>) {
        let name = &policy.reference.name;
        let length = self.wish.reason.trim().chars().count();
        let min_length = usize::try_from(terms.reason.min_length).unwrap_or(usize::MAX);
        if length == 0 && terms.reason.required {
            against.push(Decline {
                reason: DeclineReason::ReasonRequired,
                message: match min_length {
                    0 => format!("spec.reason: {name} requires a reason"),
                    _ => format!("spec.reason: {name} requires a reason of at least {min_length} characters"),
                },
            });
        } else if length > 0 && length < min_length {
            against.push(Decline {
                reason: DeclineReason::ReasonTooShort,
                message: format!(
                    "spec.reason: {length} characters are fewer than the {min_length} that {name} requires"
                ),
            });
        }
        if let Some(duration) = self.wish.duration.filter(|d| !terms.duration.allows(*d)) {
            let (min, max) = (terms.duration.min, terms.duration.max);
            let (relation, bound, advice) =
                if duration > max { ("above the maximum", max, "less") } else { ("below the minimum", min, "more") };
            let (asked, bound) = (format_duration(duration), format_duration(bound));
            against.push(Decline {
                reason: DeclineReason::DurationOutOfRange,
                message: format!(
                    "spec.duration: {asked} is {relation} of {bound} in {name}; ask for {bound} or {advice}"
                ),
            });
        }
    }

    fn judge_targets(&self, policy: &Policy, endpoint: &Endpoint, against: &mut Vec<Decline>) {
        let (name, on) = (&policy.reference.name, &endpoint.reference.name);
        let targets = &policy.rules.targets;
        if !targets.endpoints.reaches(on, &endpoint.labels) {
            against.push(Decline {
                reason: DeclineReason::EndpointNotTargeted,
                message: format!("spec.endpointName: {on} is not among the endpoints that {name} targets"),
            });
        }
        let account = &self.wish.account;
        let entry = endpoint.accounts.get(account);
        if entry.is_some_and(|entry| !targets.accounts.reaches(account, &entry.groups)) {
            against.push(Decline {
                reason: DeclineReason::AccountNotTargeted,
                message: format!("spec.account: \"{account}\" on {on} is not among the accounts that {name} targets"),
            });
        }
    }

    fn judge_account<'a>(
        &self,
        endpoint: &'a Endpoint,
        against: &mut Vec<Decline>,
    ) -> Option<(&'a AccountEntry, Identity)> {
        let (account, requester, on) = (&self.wish.account, &self.wish.requester, &endpoint.reference.name);
        let known = endpoint.accounts.get(account).and_then(|e| e.identities.first().map(|main| (e, main)));
        let Some((entry, main)) = known else {
            against.push(Decline {
                reason: DeclineReason::AccountUnknown,
                message: unknown_account(account, requester, endpoint),
            });
            return None;
        };
        if !self.wish.on_behalf && !entry.identities.contains(requester) {
            against.push(Decline {
                reason: DeclineReason::RequesterNotAccount,
                message: format!(
                    "spec.account: {requester} is not the person behind \"{account}\" on {on}; ask for your own account, or on behalf of its person (spec.onBehalf, which needs create-for-others)"
                ),
            });
        }
        Some((entry, main.clone()))
    }

    fn judge_start(&self, now: Instant, against: &mut Vec<Decline>) {
        let latest = now.plus(MAX_START_AHEAD);
        if let Some(start) = self.wish.start.filter(|start| *start > latest) {
            against.push(Decline {
                reason: DeclineReason::StartTimeOutOfRange,
                message: format!("spec.startTime: {start} is more than 7 days ahead; ask for {latest} or earlier"),
            });
        }
    }
}

/// Says who the person is on this endpoint, if that is known, else which line would make the account known.
fn unknown_account(account: &Account, requester: &Identity, endpoint: &Endpoint) -> String {
    let on = &endpoint.reference.name;
    let own = endpoint.accounts.iter().find(|(_, entry)| entry.identities.contains(requester));
    match own {
        Some((login, _)) if login != account => {
            format!("spec.account: \"{account}\" is not known on {on}; there {requester} is \"{login}\"")
        }
        _ => format!(
            "spec.account: nobody is recorded as the person behind \"{account}\" on {on}: an administrator adds {{name: {account}, identities: [<user name>]}} to spec.accounts of ManagedEndpoint {on}"
        ),
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
