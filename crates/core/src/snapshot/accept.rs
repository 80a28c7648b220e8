//! The way from received or stored bytes to a [`Snapshot`]. What is not proven refuses the manifest; what is proven but
//! not usable here counts as absent. Agents call it, before anything of a snapshot is used.

use std::collections::BTreeSet;

use super::{Me, Snapshot};
use crate::envelope::{Envelope, OpenError};
use crate::fleet::FleetBody;
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

/// A manifest that was refused as a whole; the last good state stays, except for what is over.
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
    /// What stays in force, to be persisted and used like an accepted manifest. Of what was in force what this manifest
    /// names, judged by the newer placement and fleet part that came with it where those are proven: a bad part must not
    /// hold up a revocation or a Lock. `None` where there was nothing, or where `named` is `None`: then nothing changes.
    pub left: Option<Box<Acceptance>>,
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
    let refuse = |code, message| ManifestRefusal { code, message, named: None, left: None };
    let manifest = Manifest::parse(body.manifest.get().as_bytes()).map_err(|e| refuse(e.code(), e.to_string()))?;
    if manifest.fleet != me.fleet || manifest.endpoint != me.endpoint || ring.trust_domain() != me.trust_domain {
        let message = format!("it is for endpoint {} of fleet {}", manifest.endpoint.name, manifest.fleet);
        return Err(refuse(RefusalCode::WrongEndpoint, message));
    }
    let mut judge = Judge { body, ring, me, previous, acceptance: Acceptance::nothing(&manifest, floors) };
    let judged = manifest.parts.iter().try_for_each(|entry| judge.take(entry)).and_then(|()| judge.one_fleet());
    match judged {
        Ok(()) => Ok(judge.acceptance),
        Err(NotProven(code, message)) => {
            let named = manifest.parts.iter().map(|entry| entry.name.clone()).collect();
            let left = previous.map(|previous| Box::new(judge.left(&manifest, previous, floors)));
            Err(ManifestRefusal { code, message, named: Some(named), left })
        }
    }
}

/// Why a manifest is refused because of one of its parts.
struct NotProven(RefusalCode, String);

/// Why a proven part is not used.
type NotUsable = (RefusalCode, String);

/// One run of [`accept`] over the parts of a manifest.
struct Judge<'a> {
    body: &'a SnapshotBody,
    ring: &'a KeyRing,
    me: &'a Me,
    previous: Option<&'a Snapshot>,
    acceptance: Acceptance,
}

// === impl Acceptance ===

impl Acceptance {
    /// None of the parts yet.
    fn nothing(manifest: &Manifest, floors: &Floors) -> Self {
        Self { snapshot: Snapshot::without_parts(manifest), floors: floors.clone(), refused: Vec::new() }
    }
}

// === impl Judge ===

impl<'a> Judge<'a> {
    /// Judges one entry of the manifest. The order of names puts placement and fleet before what depends on them.
    fn take(&mut self, entry: &PartEntry) -> Result<(), NotProven> {
        let me = self.me;
        match &entry.name {
            PartName::Placement => {
                let owned = |body: &PlacementBody| body.endpoint == me.endpoint;
                self.acceptance.snapshot.placement = self.part(entry, owned, |_, _| Ok(()))?;
            }
            PartName::Fleet => {
                self.acceptance.snapshot.fleet = self.part(entry, |_: &FleetBody| true, |_, _| Ok(()))?;
            }
            PartName::Policy(uid) => {
                let owned = |body: &PolicyBody| body.policy.uid == *uid;
                let usable = |part: &_, snapshot: &Snapshot| usable_policy(part, snapshot.fleet.as_ref(), me);
                let part = self.part(entry, owned, usable)?;
                self.acceptance.snapshot.policies.extend(part.map(|part| (uid.clone(), part)));
            }
            PartName::Grant(uid) => {
                let owned = |body: &GrantBody| select::is_for(&me.endpoint, body) && body.request.uid == *uid;
                let usable = |part: &_, snapshot: &Snapshot| usable_grant(part, snapshot, me);
                let part = self.part(entry, owned, usable)?;
                self.acceptance.snapshot.grants.extend(part.map(|part| (uid.clone(), part)));
            }
        }
        Ok(())
    }

    /// The part to use for this entry, if there is one: where this one is older or not usable, the version in use, if that is
    /// usable still.
    fn part<B: Body>(
        &mut self,
        entry: &PartEntry,
        owned: impl Fn(&B) -> bool,
        usable: impl Fn(&Part<B>, &Snapshot) -> Result<(), NotUsable>,
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
        let usable = |part: &Part<B>, snapshot: &Snapshot| match part.header.sequence {
            sequence if sequence < floor => {
                Err((RefusalCode::Rollback, format!("sequence {sequence} is below {floor}")))
            }
            _ => usable(part, snapshot),
        };
        if let Err((code, message)) = usable(&part, &self.acceptance.snapshot) {
            self.refuse(entry, code, message);
            return Ok(self.held(&entry.name, |part| owned(&part.body), usable));
        }
        self.acceptance.floors.raise(&entry.name, part.header.sequence);
        self.hold(entry.clone(), envelope.clone());
        Ok(Some(part))
    }

    /// The version in use, if it stays. It is verified again: the key that signed it may be gone.
    fn held<B: Body>(
        &mut self,
        name: &PartName,
        owned: impl Fn(&Part<B>) -> bool,
        usable: impl Fn(&Part<B>, &Snapshot) -> Result<(), NotUsable>,
    ) -> Option<Part<B>> {
        let previous = self.previous?;
        let entry = previous.manifest.part(name)?;
        let envelope = previous.envelopes.get(&entry.digest)?;
        let part = envelope.open::<B>(self.ring).ok()?;
        if part.header.fleet.name != self.me.fleet || !owned(&part) {
            return None;
        }
        usable(&part, &self.acceptance.snapshot).ok()?;
        self.hold(entry.clone(), envelope.clone());
        Some(part)
    }

    /// What stays in force beside a refused manifest, see [`ManifestRefusal::left`].
    fn left(mut self, manifest: &Manifest, previous: &Snapshot, floors: &Floors) -> Acceptance {
        for with_newer in [true, false] {
            self.acceptance = Acceptance::nothing(&previous.manifest, floors);
            for entry in &manifest.parts {
                let newer = match &entry.name {
                    PartName::Placement | PartName::Fleet => with_newer && self.take(entry).is_ok(),
                    PartName::Policy(_) | PartName::Grant(_) => false,
                };
                let held = previous.manifest.part(&entry.name).filter(|_| !newer);
                // What is not proven any more, because its key is gone, does not stay.
                let _ = held.map(|held| self.take(held));
            }
            if self.one_fleet().is_ok() {
                break;
            }
        }
        self.acceptance
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
        let policies = snapshot.policies.values().map(|p| &p.header);
        let grants = snapshot.grants.values().map(|g| &g.header);
        let mut headers = snapshot.fleet.iter().map(|f| &f.header).chain(policies).chain(grants);
        if headers.all(|Header { fleet: other, .. }| other == fleet) {
            return Ok(());
        }
        let message = format!("a part is signed for another fleet than {} of uid {}", fleet.name, fleet.uid);
        Err(NotProven(RefusalCode::WrongEndpoint, message))
    }
}

/// A policy counts only at the sequence that the fleet part names, and where all of it can be enforced.
fn usable_policy(part: &Part<PolicyBody>, fleet: Option<&Part<FleetBody>>, me: &Me) -> Result<(), NotUsable> {
    let named = fleet.and_then(|fleet| fleet.body.sequence_of(&part.body.policy.uid));
    if named != Some(part.header.sequence) {
        let named = named.map_or("no version of it".to_owned(), |sequence| format!("version {sequence}"));
        let message = format!("it is version {}, and the fleet part names {named}", part.header.sequence);
        return Err((RefusalCode::NotInForce, message));
    }
    match select::withheld(&part.body.targets, &part.body.elevation, Some(&me.agent)) {
        None => Ok(()),
        Some(withheld) => Err((RefusalCode::NotEnforceable, format!("not for this endpoint: {withheld}"))),
    }
}

/// A grant counts unless it was revoked or is void, and only beside parts that are at least as new as when it was signed.
fn usable_grant(part: &Part<GrantBody>, snapshot: &Snapshot, me: &Me) -> Result<(), NotUsable> {
    let grant = &part.body;
    let not_in_force = |message: String| Err((RefusalCode::NotInForce, message));
    let Some((placement, fleet)) = snapshot.placement.as_ref().zip(snapshot.fleet.as_ref()) else {
        return not_in_force("there is no placement or no fleet part beside it".to_owned());
    };
    let beside = (fleet.header.sequence, &fleet.body);
    if let Some(why) = select::not_in_force(grant, placement.header.sequence, beside) {
        return not_in_force(why.to_string());
    }
    match grant.elevation.needs().into_iter().find(|word| !me.agent.capabilities.contains(*word)) {
        None => Ok(()),
        Some(word) => Err((RefusalCode::NotEnforceable, format!("this agent cannot do what it asks for ({word})"))),
    }
}
