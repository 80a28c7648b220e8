//! What the tests of core's signed half share: keys with known seeds, and one of each kind of part, all for endpoint
//! ws-042.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Signed, sign};
use crate::grant::{GrantBody, PinnedPolicy};
use crate::interval::{Instant, Interval};
use crate::key::SigningKey;
use crate::keyring::KeyRing;
use crate::keyring::TrustedKey;
use crate::manifest::{ListedRequest, Manifest, PartEntry, PartName, RequestSummary};
use crate::name::{Digest, EndpointRef, FleetName, FleetRef, Named, Uid};
use crate::part::{Body, Header, PartKind, SCHEMA};
use crate::placement::{PlacedAccount, PlacementBody};
use crate::policy::{Access, DurationRule, Elevation, Mode, OnRequest, PolicyBody, PolicyRef, ReasonRule};
use crate::snapshot::Me;
use crate::state::State;
use crate::target::{AccountTarget, EndpointTarget, Selector, Targets};
use crate::wire::SnapshotBody;

pub(crate) const TRUST_DOMAIN: &str = "tidegate.local";
pub(crate) const POLICY_UID: &str = "0b7c1d5e-0000-4000-8000-000000000002";
pub(crate) const WINDOW_UID: &str = "0b7c1d5e-0000-4000-8000-000000000003";
pub(crate) const REQUEST_UID: &str = "0b7c1d5e-0000-4000-8000-000000000004";

/// 2026-11-22T10:00:00Z and `seconds` later.
pub(crate) fn at(seconds: i64) -> Instant {
    Instant::from_second(1_795_341_600 + seconds)
}

/// The key of this seed, wrapped as PKCS#8 version 1 (RFC 8410).
pub(crate) fn key_of_seed(seed: &[u8; 32]) -> SigningKey {
    let mut der = hex::decode("302e020100300506032b657004220420").unwrap();
    der.extend_from_slice(seed);
    SigningKey::from_pkcs8(&der).unwrap()
}

/// The controller's key in these tests.
pub(crate) fn key() -> SigningKey {
    key_of_seed(&[7; 32])
}

/// A key that nobody trusts.
pub(crate) fn stranger() -> SigningKey {
    key_of_seed(&[8; 32])
}

/// `key` with all roles of parts, until an hour from [`at`]`(0)`.
pub(crate) fn trusted(key: &SigningKey) -> TrustedKey {
    let roles = [PartKind::Placement, PartKind::Policy, PartKind::Grant].into();
    TrustedKey { public_key: key.public_key(), roles, expiration_time: at(3600) }
}

/// A ring with the controller's key only.
pub(crate) fn ring() -> KeyRing {
    KeyRing::new(TRUST_DOMAIN, vec![trusted(&key())])
}

pub(crate) fn uid(text: &str) -> Uid {
    text.parse().unwrap()
}

pub(crate) fn fleet() -> FleetRef {
    Named { name: "berlin".parse().unwrap(), uid: uid("0b7c1d5e-0000-4000-8000-00000000000f") }
}

pub(crate) fn endpoint() -> EndpointRef {
    Named { name: "ws-042".parse().unwrap(), uid: uid("0b7c1d5e-0000-4000-8000-000000000001") }
}

pub(crate) fn me() -> Me {
    Me { trust_domain: TRUST_DOMAIN.to_owned(), fleet: fleet().name, endpoint: endpoint() }
}

pub(crate) fn header(sequence: u64) -> Header {
    Header { schema: SCHEMA, trust_domain: TRUST_DOMAIN.to_owned(), fleet: fleet(), sequence, issued_time: at(0) }
}

pub(crate) fn placement() -> PlacementBody {
    let account = |name: &str, groups: &[&str]| PlacedAccount {
        name: name.parse().unwrap(),
        groups: groups.iter().map(|g| g.parse().unwrap()).collect(),
    };
    PlacementBody {
        endpoint: endpoint(),
        labels: [("team".to_owned(), "dev".to_owned())].into(),
        accounts: vec![account("alice", &["developers"]), account("bob", &[])],
    }
}

fn targets() -> Targets {
    let match_labels = [("team".to_owned(), "dev".to_owned())].into();
    Targets {
        endpoints: EndpointTarget::Selector(Selector { match_labels, match_expressions: Vec::new() }),
        accounts: AccountTarget { groups: ["developers".parse().unwrap()].into(), ..AccountTarget::default() },
    }
}

/// What people ask for: policy dev-tools.
pub(crate) fn policy() -> PolicyBody {
    PolicyBody {
        policy: PolicyRef { name: "dev-tools".parse().unwrap(), uid: uid(POLICY_UID), generation: 3 },
        targets: targets(),
        elevation: Elevation { mode: Mode::AnyApplication },
        access: Access::OnRequest {
            on_request: OnRequest {
                reason: ReasonRule { required: true, min_length: 10 },
                duration: DurationRule {
                    min: Duration::from_secs(300),
                    max: Duration::from_secs(86_400),
                    default: Duration::from_secs(1800),
                },
                pending_timeout: Duration::from_secs(3600),
            },
        },
    }
}

/// What is granted ahead: policy night-maintenance, from [`at`]`(100)` to [`at`]`(200)`.
pub(crate) fn window() -> PolicyBody {
    PolicyBody {
        policy: PolicyRef { name: "night-maintenance".parse().unwrap(), uid: uid(WINDOW_UID), generation: 1 },
        access: Access::Window { window: Interval { start: at(100), end: at(200) } },
        ..policy()
    }
}

/// Alice's grant, from [`at`]`(10)` to [`at`]`(20)`.
pub(crate) fn grant() -> GrantBody {
    GrantBody {
        endpoint: endpoint(),
        request: Named { name: "er-7d2kq".parse().unwrap(), uid: uid(REQUEST_UID) },
        account: "alice".parse().unwrap(),
        policy: PinnedPolicy {
            name: "dev-tools".parse().unwrap(),
            uid: uid(POLICY_UID),
            generation: 3,
            digest: Digest::of(b"rules"),
        },
        elevation: Elevation { mode: Mode::AnyApplication },
        not_before: at(10),
        not_after: at(20),
    }
}

pub(crate) fn signed<B: Body>(body: B, sequence: u64) -> Signed {
    sign(body, header(sequence), &key()).unwrap()
}

pub(crate) fn entry(name: PartName, signed: &Signed) -> PartEntry {
    PartEntry { name, digest: signed.digest, size: signed.envelope.payload.len() as u64 }
}

/// One of each part, at sequence 5.
pub(crate) fn parts() -> Vec<(PartName, Signed)> {
    vec![
        (PartName::Placement, signed(placement(), 5)),
        (PartName::Policy(uid(POLICY_UID)), signed(policy(), 5)),
        (PartName::Policy(uid(WINDOW_UID)), signed(window(), 5)),
        (PartName::Grant(uid(REQUEST_UID)), signed(grant(), 5)),
    ]
}

pub(crate) fn request(name: &str, state: State, since: i64) -> ListedRequest {
    let summary = RequestSummary {
        name: name.parse().unwrap(),
        uid: uid(&format!("uid-{name}")),
        account: "alice".parse().unwrap(),
        state,
        message: "Approved by bob@corp".to_owned(),
        expiration_time: state.is_granted().then(|| at(20)),
    };
    ListedRequest { since: at(since), summary }
}

/// The manifest of ws-042 with these parts.
pub(crate) fn manifest(parts: &[(PartName, Signed)]) -> Manifest {
    let entries = parts.iter().map(|(name, signed)| entry(name.clone(), signed)).collect();
    Manifest::new(fleet().name, endpoint(), entries, vec![request("er-7d2kq", State::Active, 0)])
}

/// What the gateway would answer with.
pub(crate) fn body(manifest: &Manifest, parts: &[(PartName, Signed)]) -> SnapshotBody {
    let parts: BTreeMap<_, _> = parts.iter().map(|(_, signed)| (signed.digest, signed.envelope.clone())).collect();
    SnapshotBody { manifest: serde_json::value::to_raw_value(manifest).unwrap(), parts }
}

/// Another fleet of the same name: the namespace was re-created.
pub(crate) fn fleet_of_old() -> FleetRef {
    Named { name: "berlin".parse::<FleetName>().unwrap(), uid: uid("gone") }
}
