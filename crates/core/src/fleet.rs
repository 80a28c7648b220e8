//! A fleet's settings, and its signed part: which policies are in force, what is locked, revoked and blocked. An agent takes
//! nothing for valid that this part does not name, so a gateway cannot keep in what is over.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::application::Blocklist;
use crate::endpoint::{Endpoint, FleetAccount};
use crate::grant::Requires;
use crate::interval::{Instant, seconds};
use crate::lock::{Effect, Lock};
use crate::name::{Account, Identity, PolicyName, Uid};
use crate::part::{Body, PartKind};
use crate::placement::PlacementBody;
use crate::target::EndpointTarget;

/// More grants than this cannot be named as revoked: the part has to fit.
pub const MAX_REVOKED: usize = 2000;
/// On more endpoints than this the accounts of a Lock are named without their endpoint.
pub const MAX_LOCKED_ENDPOINTS: usize = 500;
/// In the place of an endpoint's uid: every endpoint. No object has it.
const ANYWHERE: &str = "any";

/// A part is signed anew when so much of its freshness has passed: what agents hold is then never older than the freshness.
const RENEW: u32 = 2;

/// `spec` of a Fleet, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Pending and Scheduled requests that one person may have at a time, 1 to 16.
    pub max_open_requests: u32,
    /// The longest that a gateway could hide a revocation.
    pub freshness: Duration,
    /// Who is who on many endpoints.
    pub accounts: Vec<FleetAccount>,
    /// What "any application" leaves out.
    pub blocklists: Vec<Blocklist>,
}

/// The content of a fleet part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetBody {
    /// How long after `issuedTime` this can be relied on, in seconds.
    #[serde(with = "seconds")]
    pub freshness: Duration,
    /// `metadata.uid` of the Fleet that this is said of. Grants that were signed beside another one's part are void, whatever else is
    /// said: nobody knows any more which of them were revoked.
    pub object: Uid,
    /// Grants that were signed beside a part of a lower sequence are void: too many of them were revoked to be named.
    #[serde(rename = "voidBelow")]
    pub void_below: u64,
    /// When that was said for the first time. A grant that had ended by then was void already, and need not be named.
    #[serde(rename = "voidTime")]
    pub void_time: Instant,
    /// The policies in force, sorted by uid. One that is not here, or at another sequence, is not.
    pub policies: Vec<PolicyInForce>,
    /// Whom a Lock stops now, in the order of the Locks' names.
    pub locked: Vec<Locked>,
    /// Grants that ended before their time, until it is reached; sorted by uid.
    pub revoked: Vec<Revoked>,
    /// What "any application" leaves out.
    pub blocklists: Vec<Blocklist>,
}

/// A policy in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyInForce {
    /// Of the JitPolicy.
    pub uid: Uid,
    /// Of the version that is in force.
    pub sequence: u64,
}

/// Access that a Lock ends: every member that is given must match, none given is the whole fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// On which endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointTarget>,
    /// Whose accounts, by endpoint (`any`: on every one); the people themselves stay in the cluster. Absent: every account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<BTreeMap<Uid, BTreeSet<Account>>>,
    /// Under which policies; empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub policies: BTreeSet<PolicyName>,
    /// For the person; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A grant that ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revoked {
    /// Of the ElevationRequest.
    pub request: Uid,
    /// When it would have ended; from then on it need not be named.
    pub not_after: Instant,
}

/// What a fleet part is compiled from, besides the settings.
#[derive(Debug, Clone, Default)]
pub struct FleetView<'a> {
    /// Signed policies that are not suspended.
    pub policies: Vec<PolicyInForce>,
    /// Every Lock.
    pub locks: &'a [Lock],
    /// Every endpoint, with the fleet's accounts.
    pub endpoints: &'a [Endpoint],
    /// Grants that were taken away before their time, as the requests say.
    pub revoked: Vec<Revoked>,
    /// Grants that their own person gave back, as the requests say.
    pub given_back: Vec<Revoked>,
    /// The previous part. What it called revoked stays so: the requests may be gone meanwhile. `None`: there is none that can be read,
    /// so every grant of before is void.
    pub previous: Option<&'a FleetBody>,
    /// The sequence that the part will have, see [`crate::envelope::sequence_after`].
    pub sequence: u64,
    /// What is over can be left out now: the part is signed anyway.
    pub prune: bool,
}

impl Body for FleetBody {
    const KIND: PartKind = PartKind::Fleet;
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        let freshness = Duration::from_secs(15 * 60);
        Self { max_open_requests: 1, freshness, accounts: Vec::new(), blocklists: Vec::new() }
    }
}

impl Settings {
    /// The part of the Fleet of this uid, as of `now`: the same whatever the order in which things are given.
    #[must_use]
    pub fn compile(&self, object: &Uid, view: FleetView<'_>, now: Instant) -> FleetBody {
        let (revoked, (void_below, void_time)) = revoked(&view, now);
        let FleetView { policies, locks, endpoints, .. } = view;
        let policies = latest(policies.into_iter().map(|PolicyInForce { uid, sequence }| (uid, sequence)));
        let mut ending: Vec<&Lock> =
            locks.iter().filter(|lock| lock.effect == Effect::EndAccess && lock.is_in_force(now)).collect();
        ending.sort_by(|a, b| a.name.cmp(&b.name));
        FleetBody {
            freshness: self.freshness,
            object: object.clone(),
            void_below,
            void_time,
            policies: policies.into_iter().map(|(uid, sequence)| PolicyInForce { uid, sequence }).collect(),
            locked: ending.into_iter().map(|lock| Locked::of(lock, endpoints)).collect(),
            revoked,
            blocklists: self.blocklists.clone(),
        }
    }

    /// When a part that was signed at `issued_at` is signed anew even if nothing has changed.
    #[must_use]
    pub fn renew_at(&self, issued_at: Instant) -> Instant {
        issued_at.plus(self.freshness / RENEW)
    }
}

/// The grants to name, and below which sequence every grant is void since when. Too many to name: what people gave back themselves goes first, as
/// it is their own; then everything signed beside an earlier part is void, which ends more than it should and never less. It goes by
/// sequences and not by the time: a grant of the second in which this is signed may be of before or of after.
fn revoked(view: &FleetView<'_>, now: Instant) -> (Vec<Revoked>, (u64, Instant)) {
    let pairs = |list: &[Revoked]| -> Vec<(Uid, Instant)> {
        list.iter().map(|Revoked { request, not_after }| (request.clone(), *not_after)).collect()
    };
    let given_back = latest(pairs(&view.given_back).into_iter());
    let before = view.previous.map(|previous| pairs(&previous.revoked)).unwrap_or_default();
    let stays = |end: Instant| now < end || !view.prune;
    let kept = before.into_iter().filter(|(uid, end)| stays(*end) && !given_back.contains_key(uid));
    let taken = pairs(&view.revoked).into_iter().filter(|(_, end)| now < *end);
    let mut named = latest(kept.chain(taken));
    let all_until_now = (view.sequence, now);
    let void = view.previous.map_or(all_until_now, |previous| (previous.void_below, previous.void_time));
    if named.len() > MAX_REVOKED {
        return (Vec::new(), all_until_now);
    }
    let mut own: Vec<(Uid, Instant)> = given_back.into_iter().filter(|(_, end)| now < *end).collect();
    own.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let room = MAX_REVOKED - named.len();
    named.extend(own.into_iter().take(room));
    (named.into_iter().map(|(request, not_after)| Revoked { request, not_after }).collect(), void)
}

/// Those of the grants that ended before their time, each with the instant of that, which the next part has to name. What had ended when
/// everything was made void is void; were it named, too many would be too many again each time, and no new grant would last.
#[must_use]
pub fn to_name(
    ended: impl IntoIterator<Item = (Revoked, Option<Instant>)>,
    previous: Option<&FleetBody>,
) -> Vec<Revoked> {
    let is_void = |ended_at: Option<Instant>| previous.is_some_and(|part| part.had_voided(ended_at));
    ended.into_iter().filter(|(_, ended_at)| !is_void(*ended_at)).map(|(revoked, _)| revoked).collect()
}

/// Each uid once, with the greatest of its values.
fn latest<V: Ord>(values: impl Iterator<Item = (Uid, V)>) -> BTreeMap<Uid, V> {
    let values: BTreeSet<(Uid, V)> = values.collect();
    values.into_iter().collect()
}

// === impl FleetBody ===

impl FleetBody {
    /// Is this version of the policy in force?
    #[must_use]
    pub fn is_in_force(&self, policy: &Uid, sequence: u64) -> bool {
        self.sequence_of(policy) == Some(sequence)
    }

    /// Which version of the policy is in force.
    #[must_use]
    pub fn sequence_of(&self, policy: &Uid) -> Option<u64> {
        let found = self.policies.binary_search_by(|named| named.uid.cmp(policy)).ok()?;
        self.policies.get(found).map(|named| named.sequence)
    }

    /// Is a grant that was signed beside these parts void, whichever it is? Not asked of a part that is older than it requires.
    #[must_use]
    pub fn is_void(&self, requires: &Requires) -> bool {
        requires.object != self.object || requires.fleet < self.void_below
    }

    /// Is a grant that ended at this instant void, whichever it is? It was signed before its end, so beside an earlier part than the
    /// one that first called those void, which was signed after it. Within one second nobody knows what came first.
    #[must_use]
    pub fn had_voided(&self, ended_at: Option<Instant>) -> bool {
        ended_at.is_some_and(|ended_at| ended_at < self.void_time)
    }

    /// Did this grant end before its time?
    #[must_use]
    pub fn is_revoked(&self, request: &Uid) -> bool {
        self.revoked.iter().any(|named| named.request == *request)
    }

    /// The Lock that stops this account on this endpoint under this policy, if there is one.
    #[must_use]
    pub fn locked(&self, placement: &PlacementBody, account: &Account, policy: &PolicyName) -> Option<&Locked> {
        self.locked.iter().find(|locked| locked.stops(placement, account, policy))
    }

    /// The next instant at which this part has to say something else by itself. (What was revoked and is over by now harms nobody: it is
    /// left out when the part is signed anyway.)
    #[must_use]
    pub fn next_edge(locks: &[Lock], now: Instant) -> Option<Instant> {
        let ending = locks.iter().filter(|lock| lock.effect == Effect::EndAccess);
        ending.filter_map(|lock| lock.expires_at).filter(|edge| *edge > now).min()
    }
}

// === impl Locked ===

impl Locked {
    fn of(lock: &Lock, endpoints: &[Endpoint]) -> Self {
        let people = &lock.target.identities;
        let accounts = (!people.is_empty()).then(|| {
            let on = |endpoint: &Endpoint| {
                let known = endpoint.accounts.iter();
                let stopped = known.filter(|(_, entry)| {
                    let is = |person: &Identity| people.iter().any(|named| endpoint.is_same_person(person, named));
                    entry.identities.iter().any(is)
                });
                let stopped: BTreeSet<Account> = stopped.map(|(account, _)| account.clone()).collect();
                (!stopped.is_empty()).then(|| (endpoint.reference.uid.clone(), stopped))
            };
            let by_endpoint: BTreeMap<Uid, BTreeSet<Account>> = endpoints.iter().filter_map(on).collect();
            if by_endpoint.len() <= MAX_LOCKED_ENDPOINTS { by_endpoint } else { anywhere(by_endpoint) }
        });
        Self {
            endpoints: lock.target.endpoints.clone(),
            accounts,
            policies: lock.target.policies.clone(),
            message: lock.message.clone(),
        }
    }

    /// Is it about this endpoint?
    pub(crate) fn is_here(&self, placement: &PlacementBody) -> bool {
        self.endpoints.as_ref().is_none_or(|target| target.reaches(&placement.endpoint.name, &placement.labels))
    }

    /// Is it about this account, on this endpoint?
    pub(crate) fn is_about(&self, placement: &PlacementBody, account: &Account) -> bool {
        let named = |accounts: &BTreeMap<Uid, BTreeSet<Account>>| {
            accounts.iter().any(|(uid, accounts)| {
                (*uid == placement.endpoint.uid || uid.as_str() == ANYWHERE) && accounts.contains(account)
            })
        };
        self.accounts.as_ref().is_none_or(named)
    }

    fn stops(&self, placement: &PlacementBody, account: &Account, policy: &PolicyName) -> bool {
        self.is_here(placement)
            && self.is_about(placement, account)
            && (self.policies.is_empty() || self.policies.contains(policy))
    }
}

/// The same accounts on every endpoint: it stops more than it must, and fits into the part.
fn anywhere(by_endpoint: BTreeMap<Uid, BTreeSet<Account>>) -> BTreeMap<Uid, BTreeSet<Account>> {
    let all: BTreeSet<Account> = by_endpoint.into_values().flatten().collect();
    ANYWHERE.parse().map(|uid: Uid| BTreeMap::from([(uid, all)])).unwrap_or_default()
}
