//! Snapshots: a manifest with all its parts, verified, and the rights that follow. [`accept()`] is the only way to one;
//! it is always the full state: what is not named is over.

mod accept;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

pub use self::accept::{Acceptance, ManifestRefusal, PartRefusal, accept};
use crate::envelope::Envelope;
use crate::grant::GrantBody;
use crate::interval::{Instant, Interval, Position};
use crate::manifest::{Manifest, PartName};
use crate::name::{Account, Digest, EndpointRef, FleetName, Named, PolicyName, RequestName, Uid};
use crate::part::Part;
use crate::placement::PlacementBody;
use crate::policy::{Access, Mode, PolicyBody};
use crate::select;
use crate::wire::SnapshotBody;

/// Who the agent is, by its own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The installation.
    pub trust_domain: String,
    /// The namespace.
    pub fleet: FleetName,
    /// Name and uid.
    pub endpoint: EndpointRef,
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
    /// By policy uid; whether one is for this endpoint is judged by the placement.
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
    /// When.
    pub interval: Interval,
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
        let policies = self.policies.values().map(|p| p.header.issued_time);
        let grants = self.grants.values().map(|g| g.header.issued_time);
        placement.chain(policies).chain(grants).max()
    }

    /// The rights that hold now or will, sorted by account, time and source; never one whose end is reached.
    #[must_use]
    pub fn rights(&self, now: Instant) -> Vec<Right> {
        let ahead = |right: &Right| {
            right.interval.start < right.interval.end && right.interval.position(now) != Position::After
        };
        let mut rights: Vec<Right> =
            self.granted().chain(self.policies.values().flat_map(|p| self.windows(&p.body))).filter(ahead).collect();
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

    fn granted(&self) -> impl Iterator<Item = Right> {
        self.grants.values().map(|Part { body, .. }| Right {
            source: RightSource::Grant { request: body.request.clone(), policy: body.policy.name.clone() },
            account: body.account.clone(),
            mode: body.elevation.mode,
            interval: body.interval(),
        })
    }

    /// What this policy grants ahead on this endpoint, for each account it reaches.
    fn windows(&self, policy: &PolicyBody) -> Vec<Right> {
        let Access::Window { window } = policy.access else {
            return Vec::new();
        };
        let placement = self.placement.as_ref().map(|p| &p.body).filter(|p| select::selects(p, policy));
        let accounts = placement.into_iter().flat_map(|p| &p.accounts);
        accounts
            .filter(|account| policy.targets.accounts.reaches(&account.name, &account.groups))
            .map(|account| Right {
                source: RightSource::Policy { policy: policy.policy.name.clone(), uid: policy.policy.uid.clone() },
                account: account.name.clone(),
                mode: policy.elevation.mode,
                interval: window,
            })
            .collect()
    }
}
