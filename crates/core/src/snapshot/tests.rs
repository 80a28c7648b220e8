//! What refuses a manifest, what refuses a part, that absence always counts, what the fleet part says, and when rights hold.

mod absence;
mod accepted;
mod fleet;
mod parts;
mod properties;
mod refused;
mod rights;

use std::sync::LazyLock;

use super::*;
use crate::envelope::fixture::{
    self, POLICY_UID, REQUEST_UID, WINDOW_UID, at, body, fleet_of_old, header, key, manifest, me, parts, placement,
    ring, signed, stranger, uid,
};
use crate::envelope::{Signed, sign};
use crate::fleet::PolicyInForce;
use crate::floor::Floors;
use crate::key::SigningKey;
use crate::keyring::KeyRing;
use crate::name::FleetRef;
use crate::part::{Header, PartKind};
use crate::refusal::RefusalCode;

type Parts = Vec<(PartName, Signed)>;

static RING: LazyLock<KeyRing> = LazyLock::new(ring);

/// Of an agent that holds `before`, or nothing.
fn accept_next(before: Option<&Acceptance>, parts: &Parts) -> Result<Acceptance, ManifestRefusal> {
    let floors = before.map(|before| before.floors.clone()).unwrap_or_default();
    accept(&body(&manifest(parts), parts), &RING, &me(), before.map(|before| &before.snapshot), &floors)
}

fn accept_first(parts: &Parts) -> Result<Acceptance, ManifestRefusal> {
    accept_next(None, parts)
}

fn good() -> Acceptance {
    accept_first(&parts()).unwrap()
}

/// The usual parts with this one in the place of its namesake.
fn with(name: PartName, signed: Signed) -> Parts {
    replaced(parts(), name, signed)
}

fn replaced(mut parts: Parts, name: PartName, signed: Signed) -> Parts {
    parts.retain(|(other, _)| *other != name);
    parts.push((name, signed));
    parts
}

fn without(name: &PartName) -> Parts {
    parts().into_iter().filter(|(other, _)| other != name).collect()
}

fn grant_name() -> PartName {
    PartName::Grant(uid(REQUEST_UID))
}

fn policy_name() -> PartName {
    PartName::Policy(uid(POLICY_UID))
}

fn window_name() -> PartName {
    PartName::Policy(uid(WINDOW_UID))
}

/// A fleet part that names these policies, whatever else the usual one says.
fn naming(policies: &[(&str, u64)]) -> FleetBody {
    let policies = policies.iter().map(|(policy, sequence)| PolicyInForce { uid: uid(policy), sequence: *sequence });
    FleetBody { policies: policies.collect(), ..fixture::fleet_part() }
}

fn payload(kind: PartKind, payload: &str, key: &SigningKey) -> Signed {
    let envelope = Envelope::seal(kind, payload.as_bytes().to_vec(), key);
    Signed { digest: envelope.digest(), sequence: 0, envelope }
}

fn all_names() -> BTreeSet<PartName> {
    parts().into_iter().map(|(name, _)| name).collect()
}

fn codes(acceptance: &Acceptance) -> Vec<(PartName, RefusalCode)> {
    acceptance.refused.iter().map(|refused| (refused.name.clone(), refused.code)).collect()
}

fn right_names(snapshot: &Snapshot, second: i64) -> Vec<String> {
    let name = |right: Right| match right.source {
        RightSource::Grant { request, .. } => format!("{}: {}", right.account, request.name),
        RightSource::Policy { policy, .. } => format!("{}: {policy}", right.account),
    };
    snapshot.rights(at(second)).into_iter().map(name).collect()
}
