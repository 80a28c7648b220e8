//! Snapshots: a manifest with all its parts, verified, and the rights that follow. [`accept()`] is the only way to one;
//! it is always the full state: what is not named is over.

mod accept;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::value::RawValue;

pub use self::accept::{Acceptance, ManifestRefusal, PartRefusal, accept};
use crate::elevation::Mode;
use crate::endpoint::Agent;
use crate::envelope::Envelope;
use crate::fleet::FleetBody;
use crate::grant::GrantBody;
use crate::interval::{Instant, Interval, Position};
use crate::manifest::{Manifest, PartName};
use crate::name::{Account, Digest, EndpointRef, FleetName, Named, PolicyName, RequestName, Uid};
use crate::part::Part;
use crate::placement::PlacementBody;
use crate::policy::{PolicyBody, PolicyRef};
use crate::select;
use crate::wire::SnapshotBody;

/// Who the agent is: by its own certificate, and what it knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The installation.
    pub trust_domain: String,
    /// The namespace.
    pub fleet: FleetName,
    /// Name and uid.
    pub endpoint: EndpointRef,
    /// Its version, platform and capabilities.
    pub agent: Agent,
}

/// The verified state of one endpoint. Its fields are read by whoever likes; only [`accept()`] and
/// [`Snapshot::keep_named`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Names exactly the parts below: as received, except that a refused part is gone or replaced by the newer one
    /// kept.
    pub manifest: Manifest,
    /// Who this endpoint is; without it no policy is selected.
    pub placement: Option<Part<PlacementBody>>,
    /// What is in force; without it nothing is.
    pub fleet: Option<Part<FleetBody>>,
    /// By policy uid, each in force; whether one is for this endpoint is judged by the placement.
    pub policies: BTreeMap<Uid, Part<PolicyBody>>,
    /// By request uid.
    pub grants: BTreeMap<Uid, Part<GrantBody>>,
    /// The signed bytes of every part above.
    pub envelopes: BTreeMap<Digest, Envelope>,
}

/// Access of one account for one span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// What gives it.
    pub source: RightSource,
    /// The login that is elevated.
    pub account: Account,
    /// How much is elevated.
    pub mode: Mode,
    /// When; of a right that recurs the current or next span.
    pub interval: Interval,
    /// How long after the last authenticated contact it may still start.
    pub offline_tolerance: Duration,
    /// The last instant at which it may start by the age of the fleet part.
    pub fresh_until: Instant,
}

/// What gives a right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RightSource {
    /// An approved request.
    Grant {
        /// The request.
        request: Named<RequestName>,
        /// The policy it was made under.
        policy: PolicyName,
    },
    /// A policy that grants ahead.
    Policy {
        /// Name of the policy.
        policy: PolicyName,
        /// Its uid.
        uid: Uid,
    },
}

// === impl Snapshot ===

impl Snapshot {
    fn without_parts(manifest: &Manifest) -> Self {
        Self {
            manifest: Manifest { parts: Vec::new(), ..manifest.clone() },
            placement: None,
            fleet: None,
            policies: BTreeMap::new(),
            grants: BTreeMap::new(),
            envelopes: BTreeMap::new(),
        }
    }

    /// Drops every part that is not named: what a refused manifest no longer names is over as well.
    #[must_use]
    pub fn keep_named(&self, named: &BTreeSet<PartName>) -> Self {
        let mut kept = self.clone();
        kept.manifest.parts.retain(|entry| named.contains(&entry.name));
        kept.placement = kept.placement.filter(|_| named.contains(&PartName::Placement));
        kept.fleet = kept.fleet.filter(|_| named.contains(&PartName::Fleet));
        kept.policies.retain(|uid, _| named.contains(&PartName::Policy(uid.clone())));
        kept.grants.retain(|uid, _| named.contains(&PartName::Grant(uid.clone())));
        let digests: BTreeSet<Digest> = kept.manifest.parts.iter().map(|entry| entry.digest).collect();
        kept.envelopes.retain(|digest, _| digests.contains(digest));
        kept
    }

    /// What to store: given back to [`accept()`] with the same keys and floors it gives this snapshot again.
    ///
    /// # Errors
    /// Those of the serialiser; there are none for a manifest.
    pub fn to_body(&self) -> Result<SnapshotBody, serde_json::Error> {
        let manifest: Box<RawValue> = serde_json::value::to_raw_value(&self.manifest)?;
        Ok(SnapshotBody { manifest, parts: self.envelopes.clone() })
    }

    /// The newest `issuedTime` of the parts: a floor under the agent's clock. `None` without parts.
    #[must_use]
    pub fn issued_time(&self) -> Option<Instant> {
        let placement = self.placement.iter().map(|p| p.header.issued_time);
        let fleet = self.fleet.iter().map(|f| f.header.issued_time);
        let policies = self.policies.values().map(|p| p.header.issued_time);
        let grants = self.grants.values().map(|g| g.header.issued_time);
        placement.chain(fleet).chain(policies).chain(grants).max()
    }

    /// The rights that hold now or will, sorted by account, time and source; never one whose end is reached, or that a Lock stops.
    #[must_use]
    pub fn rights(&self, now: Instant) -> Vec<Right> {
        let Some((placement, fleet)) = self.placement.as_ref().zip(self.fleet.as_ref()) else { return Vec::new() };
        let view = View { placement: &placement.body, fleet: &fleet.body, issued_at: fleet.header.issued_time };
        let ahead = |right: &Right| {
            right.interval.start < right.interval.end && right.interval.position(now) != Position::After
        };
        let granted = self.grants.values().filter_map(|grant| view.granted(&grant.body));
        let given = self.policies.values().flat_map(|policy| view.given_ahead(&policy.body, now));
        let mut rights: Vec<Right> = granted.chain(given).filter(ahead).collect();
        rights.sort_by(|a, b| {
            let key = |r: &'_ Right| (r.interval.start, r.interval.end);
            a.account.cmp(&b.account).then_with(|| key(a).cmp(&key(b))).then_with(|| a.source.cmp(&b.source))
        });
        rights
    }

    /// The next instant at which a right begins or ends.
    #[must_use]
    pub fn next_edge(&self, now: Instant) -> Option<Instant> {
        self.rights(now).iter().filter_map(|right| right.interval.next_edge(now)).min()
    }
}

/// What rights are judged by.
struct View<'a> {
    placement: &'a PlacementBody,
    fleet: &'a FleetBody,
    issued_at: Instant,
}

impl View<'_> {
    fn granted(&self, grant: &GrantBody) -> Option<Right> {
        let locked = self.fleet.locked(self.placement, &grant.account, &grant.policy.name).is_some();
        (!locked).then(|| Right {
            source: RightSource::Grant { request: grant.request.named(), policy: grant.policy.name.clone() },
            account: grant.account.clone(),
            mode: grant.elevation.mode,
            interval: grant.interval(),
            offline_tolerance: grant.offline_tolerance,
            fresh_until: self.fresh_until(grant.offline_tolerance),
        })
    }

    /// What this policy grants ahead on this endpoint, for each account it reaches.
    fn given_ahead(&self, policy: &PolicyBody, now: Instant) -> Vec<Right> {
        let Some(interval) = policy.access.span(now).filter(|_| select::selects(self.placement, policy)) else {
            return Vec::new();
        };
        let PolicyRef { name, uid, .. } = &policy.policy;
        let reached = self.placement.accounts.iter().filter(|account| {
            policy.targets.accounts.reaches(&account.name, &account.groups)
                && self.fleet.locked(self.placement, &account.name, name).is_none()
        });
        reached
            .map(|account| Right {
                source: RightSource::Policy { policy: name.clone(), uid: uid.clone() },
                account: account.name.clone(),
                mode: policy.elevation.mode,
                interval,
                offline_tolerance: policy.offline_tolerance,
                fresh_until: self.fresh_until(policy.offline_tolerance),
            })
            .collect()
    }

    fn fresh_until(&self, offline_tolerance: Duration) -> Instant {
        self.issued_at.plus(self.fleet.freshness).plus(offline_tolerance)
    }
}
