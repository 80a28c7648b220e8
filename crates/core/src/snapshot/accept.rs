//! The way from received or stored bytes to a [`Snapshot`]. What is not proven refuses the manifest; what is proven but
//! not usable here counts as absent. Agents call it, before anything of a snapshot is used.

use std::collections::BTreeSet;

use super::{Me, Snapshot};
use crate::envelope::{Envelope, OpenError};
use crate::floor::Floors;
use crate::grant::GrantBody;
use crate::keyring::KeyRing;
use crate::manifest::{Manifest, PartEntry, PartName};
use crate::name::{Digest, FleetRef};
use crate::part::{Body, Header, Part};
use crate::placement::PlacementBody;
use crate::policy::PolicyBody;
use crate::refusal::RefusalCode;
use crate::select;
use crate::wire::{SnapshotBody, limit};

/// A manifest that was accepted. Persist `floors`, then `snapshot`, then use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The new state.
    pub snapshot: Snapshot,
    /// The floors it raises.
    pub floors: Floors,
    /// Parts that count as absent, in the manifest's order.
    pub refused: Vec<PartRefusal>,
}

/// A part that is proven but not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRefusal {
    /// Which part.
    pub name: PartName,
    /// Which version of it.
    pub digest: Digest,
    /// For the gateway.
    pub code: RefusalCode,
    /// For people.
    pub message: String,
}

/// A manifest that was refused as a whole; the last good state stays, except for what it no longer names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("manifest refused ({code}): {message}")]
pub struct ManifestRefusal {
    /// For the gateway.
    pub code: RefusalCode,
    /// For people.
    pub message: String,
    /// What it names, where it could be read and is this endpoint's: absence counts in a refused manifest too, see
    /// [`Snapshot::keep_named`].
    pub named: Option<BTreeSet<PartName>>,
}

/// Verifies a received or stored snapshot. A part that `body` leaves out is taken from `previous`, and everything is
/// verified again, whatever its source.
///
/// # Errors
/// [`ManifestRefusal`] if the manifest cannot be read, is another endpoint's, or names a part that is missing, not as
/// named, too large, or not proven to be the controller's for this endpoint.
pub fn accept(
    body: &SnapshotBody,
    ring: &KeyRing,
    me: &Me,
    previous: Option<&Snapshot>,
    floors: &Floors,
) -> Result<Acceptance, ManifestRefusal> {
    let refuse = |code, message, named| ManifestRefusal { code, message, named };
    let manifest =
        Manifest::parse(body.manifest.get().as_bytes()).map_err(|e| refuse(e.code(), e.to_string(), None))?;
    if manifest.fleet != me.fleet || manifest.endpoint != me.endpoint || ring.trust_domain() != me.trust_domain {
        let message = format!("it is for endpoint {} of fleet {}", manifest.endpoint.name, manifest.fleet);
        return Err(refuse(RefusalCode::WrongEndpoint, message, None));
    }
    let named = manifest.parts.iter().map(|entry| entry.name.clone()).collect();
    let snapshot = Snapshot::without_parts(&manifest);
    let acceptance = Acceptance { snapshot, floors: floors.clone(), refused: Vec::new() };
    let mut judge = Judge { body, ring, me, previous, acceptance };
    let judged = manifest.parts.iter().try_for_each(|entry| judge.take(entry)).and_then(|()| judge.one_fleet());
    match judged {
        Ok(()) => Ok(judge.acceptance),
        Err(NotProven(code, message)) => Err(refuse(code, message, Some(named))),
    }
}

/// Why a manifest is refused because of one of its parts.
struct NotProven(RefusalCode, String);

/// One run of [`accept`] over the parts of a manifest.
struct Judge<'a> {
    body: &'a SnapshotBody,
    ring: &'a KeyRing,
    me: &'a Me,
    previous: Option<&'a Snapshot>,
    acceptance: Acceptance,
}

// === impl Judge ===

impl<'a> Judge<'a> {
    /// Judges one entry of the manifest.
    fn take(&mut self, entry: &PartEntry) -> Result<(), NotProven> {
        let me = &self.me.endpoint;
        match &entry.name {
            PartName::Placement => {
                let owned = |body: &PlacementBody| body.endpoint == *me;
                let kept = self.previous.and_then(|p| p.placement.as_ref());
                self.acceptance.snapshot.placement = self.part(entry, kept, owned)?;
            }
            PartName::Policy(uid) => {
                let kept = self.previous.and_then(|p| p.policies.get(uid));
                let part = self.part(entry, kept, |body: &PolicyBody| body.policy.uid == *uid)?;
                self.acceptance.snapshot.policies.extend(part.map(|part| (uid.clone(), part)));
            }
            PartName::Grant(uid) => {
                let owned = |body: &GrantBody| select::is_for(me, body) && body.request.uid == *uid;
                let kept = self.previous.and_then(|p| p.grants.get(uid));
                let part = self.part(entry, kept, owned)?;
                self.acceptance.snapshot.grants.extend(part.map(|part| (uid.clone(), part)));
            }
        }
        Ok(())
    }

    /// The part to use for this entry, if there is one; `kept` is the version in use, which stays if this one is older.
    fn part<B: Body + Clone>(
        &mut self,
        entry: &PartEntry,
        kept: Option<&Part<B>>,
        owned: impl Fn(&B) -> bool,
    ) -> Result<Option<Part<B>>, NotProven> {
        let envelope = self.envelope(entry)?;
        let part = match envelope.open::<B>(self.ring) {
            Ok(part) => part,
            Err(e @ OpenError::Part(_)) => {
                self.refuse(entry, e.code(), e.to_string());
                return Ok(None);
            }
            Err(e) => return Err(NotProven(e.code(), format!("{}: {e}", entry.name))),
        };
        if part.header.fleet.name != self.me.fleet || !owned(&part.body) {
            let message = format!("{} is signed for another fleet, endpoint or object", entry.name);
            return Err(NotProven(RefusalCode::WrongEndpoint, message));
        }
        let floor = self.acceptance.floors.get(&entry.name);
        if part.header.sequence < floor {
            self.refuse(entry, RefusalCode::Rollback, format!("sequence {} is below {floor}", part.header.sequence));
            let kept = kept.filter(|kept| kept.header.sequence >= floor);
            return Ok(kept.cloned().filter(|_| self.keep(&entry.name)));
        }
        self.acceptance.floors.raise(&entry.name, part.header.sequence);
        self.hold(entry.clone(), envelope.clone());
        Ok(Some(part))
    }

    /// The envelope of this entry, exactly as named.
    fn envelope(&self, entry: &PartEntry) -> Result<&'a Envelope, NotProven> {
        let held = || self.previous.and_then(|previous| previous.envelopes.get(&entry.digest));
        let not_as_named = |what: &str| NotProven(RefusalCode::Truncated, format!("{} {what}", entry.name));
        let envelope =
            self.body.parts.get(&entry.digest).or_else(held).ok_or_else(|| not_as_named("is not in the snapshot"))?;
        if entry.size > limit::PART as u64 || envelope.payload.len() > limit::PART {
            let message = format!("{} is above {} bytes", entry.name, limit::PART);
            return Err(NotProven(RefusalCode::TooLarge, message));
        }
        if envelope.digest() != entry.digest || envelope.payload.len() as u64 != entry.size {
            return Err(not_as_named("has not the digest and size that the manifest names"));
        }
        Ok(envelope)
    }

    /// Keeps the previous version of a part; false if there is none.
    fn keep(&mut self, name: &PartName) -> bool {
        let previous = self.previous.and_then(|p| {
            let entry = p.manifest.part(name)?;
            Some((entry.clone(), p.envelopes.get(&entry.digest)?.clone()))
        });
        let found = previous.is_some();
        if let Some((entry, envelope)) = previous {
            self.hold(entry, envelope);
        }
        found
    }

    fn hold(&mut self, entry: PartEntry, envelope: Envelope) {
        self.acceptance.snapshot.envelopes.insert(entry.digest, envelope);
        self.acceptance.snapshot.manifest.parts.push(entry);
    }

    fn refuse(&mut self, entry: &PartEntry, code: RefusalCode, message: String) {
        self.acceptance.refused.push(PartRefusal { name: entry.name.clone(), digest: entry.digest, code, message });
    }

    /// The certificate does not carry the fleet's uid, the placement does: whatever comes with it must be of the same
    /// fleet, not of a deleted one of the same name.
    fn one_fleet(&self) -> Result<(), NotProven> {
        let snapshot = &self.acceptance.snapshot;
        let Some(placement) = &snapshot.placement else {
            return Ok(());
        };
        let fleet: &FleetRef = &placement.header.fleet;
        let mut headers =
            snapshot.policies.values().map(|p| &p.header).chain(snapshot.grants.values().map(|g| &g.header));
        if headers.all(|Header { fleet: other, .. }| other == fleet) {
            return Ok(());
        }
        let message = format!("a part is signed for another fleet than {} of uid {}", fleet.name, fleet.uid);
        Err(NotProven(RefusalCode::WrongEndpoint, message))
    }
}
