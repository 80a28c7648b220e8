//! What the tests of core's signed half share: keys with known seeds, and one of each kind of part, all for endpoint
//! ws-042.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Signed, sign};
use crate::access::{Access, DurationRule, ReasonRule, Terms, TicketRule};
use crate::application::{Application, Blocklist};
use crate::elevation::{Authentication, ChildProcesses, Elevation, Mode, OnExpiry, Protection, Scope};
use crate::endpoint::Agent;
use crate::fleet::{FleetBody, Locked, PolicyInForce, Revoked};
use crate::grant::{GrantBody, GrantedRequest, PinnedPolicy, Requires};
use crate::interval::{Instant, Interval};
use crate::key::SigningKey;
use crate::keyring::KeyRing;
use crate::keyring::TrustedKey;
use crate::manifest::{ListedRequest, Manifest, PartEntry, PartName, RequestSummary};
use crate::name::{Digest, EndpointRef, FleetName, FleetRef, Named, Uid};
use crate::part::{Body, Header, PartKind, SCHEMA};
use crate::placement::{PlacedAccount, PlacementBody};
use crate::policy::{PolicyBody, PolicyRef};
use crate::recurring::{Recurring, Weekday, WeeklyWindow};
use crate::snapshot::Me;
use crate::state::State;
use crate::target::{AccountSet, AccountTarget, EndpointTarget, Platform, Selector, Targets};
use crate::wire::SnapshotBody;

pub(crate) const TRUST_DOMAIN: &str = "tidegate.local";
pub(crate) const POLICY_UID: &str = "0b7c1d5e-0000-4000-8000-000000000002";
pub(crate) const WINDOW_UID: &str = "0b7c1d5e-0000-4000-8000-000000000003";
pub(crate) const FIXED_UID: &str = "0b7c1d5e-0000-4000-8000-000000000005";
pub(crate) const RECURRING_UID: &str = "0b7c1d5e-0000-4000-8000-000000000006";
pub(crate) const FLEET_UID: &str = "0b7c1d5e-0000-4000-8000-000000000007";
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
    let roles = [PartKind::Placement, PartKind::Fleet, PartKind::Policy, PartKind::Grant].into();
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
    Me { trust_domain: TRUST_DOMAIN.to_owned(), fleet: fleet().name, endpoint: endpoint(), agent: Agent::default() }
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
        platforms: [].into(),
        min_agent_version: None,
    }
}

/// Any application, as root.
pub(crate) fn elevation() -> Elevation {
    Elevation {
        mode: Mode::AnyApplication,
        scope: Scope::Listed,
        include_blocklisted: false,
        applications: Vec::new(),
        run_as: "root".parse().unwrap(),
        authentication: Authentication::Required,
        child_processes: ChildProcesses::Track,
        protections: [].into(),
        on_expiry: OnExpiry::Terminate,
    }
}

/// Both policies in force at sequence 5, reliable for 15 minutes.
pub(crate) fn fleet_part() -> FleetBody {
    let in_force = |text: &str| PolicyInForce { uid: uid(text), sequence: 5 };
    FleetBody {
        freshness: Duration::from_secs(900),
        object: uid(FLEET_UID),
        void_below: 0,
        void_time: at(-3600),
        policies: vec![in_force(POLICY_UID), in_force(WINDOW_UID)],
        locked: Vec::new(),
        revoked: Vec::new(),
        blocklists: Vec::new(),
    }
}

/// What people ask for: policy dev-tools.
pub(crate) fn policy() -> PolicyBody {
    PolicyBody {
        policy: PolicyRef { name: "dev-tools".parse().unwrap(), uid: uid(POLICY_UID), generation: 3 },
        targets: targets(),
        elevation: elevation(),
        access: Access::OnRequest {
            on_request: Terms {
                reason: ReasonRule { required: true, min_length: 10, pattern: None },
                ticket: TicketRule::default(),
                duration: DurationRule {
                    min: Duration::from_secs(300),
                    max: Duration::from_secs(86_400),
                    default: Duration::from_secs(1800),
                },
                pending_timeout: Duration::from_secs(3600),
            },
        },
        reminders: vec![Duration::from_secs(300), Duration::from_secs(60)],
        offline_tolerance: Duration::from_secs(86_400),
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

/// What is granted ahead once: policy first-days, from [`at`]`(300)` to [`at`]`(400)`.
pub(crate) fn fixed() -> PolicyBody {
    PolicyBody {
        policy: PolicyRef { name: "first-days".parse().unwrap(), uid: uid(FIXED_UID), generation: 1 },
        access: Access::Fixed { fixed: Interval { start: at(300), end: at(400) } },
        ..policy()
    }
}

/// What comes back every week: policy sunday-noon, Sundays from 12:00 to 12:30 in Berlin, which is from [`at`]`(3600)` to
/// [`at`]`(5400)`. It says everything that a policy can say.
pub(crate) fn recurring() -> PolicyBody {
    let noon = WeeklyWindow::new([Weekday::Sun].into(), "12:00".parse().unwrap(), Duration::from_secs(1800)).unwrap();
    let policy = policy();
    PolicyBody {
        policy: PolicyRef { name: "sunday-noon".parse().unwrap(), uid: uid(RECURRING_UID), generation: 2 },
        targets: Targets {
            endpoints: of_json(json!({"selector": {
                "matchLabels": {"team": "dev"},
                "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["high"]}],
            }})),
            accounts: AccountTarget {
                names: ["alice".parse().unwrap()].into(),
                except: AccountSet {
                    names: ["eve".parse().unwrap()].into(),
                    groups: ["guests".parse().unwrap()].into(),
                },
                ..policy.targets.accounts
            },
            platforms: [Platform::Linux, Platform::MacOs].into(),
            min_agent_version: "1.4.0".parse().ok(),
        },
        elevation: Elevation {
            mode: Mode::Application,
            applications: vec![application()],
            protections: [Protection::PrivilegedAccounts, Protection::Agent].into(),
            on_expiry: OnExpiry::LogOff,
            ..elevation()
        },
        access: Access::Recurring { recurring: Recurring::new("Europe/Berlin".parse().unwrap(), vec![noon]).unwrap() },
        ..policy
    }
}

/// An item of every rule type.
fn application() -> Application {
    of_json(json!({
        "name": "toolchain",
        "vendor": {"name": "Example GmbH"},
        "product": {"name": "toolchain", "minVersion": "2.1"},
        "verifiedExecutable": {"name": "setup"},
        "fileHash": {"sha256": ["ab".repeat(32)], "sha512": ["cd".repeat(64)]},
        "storeApp": {"id": "org.example.Toolchain"},
        "folderPath": {"path": "/opt/toolchain/**"},
        "clsid": {"id": "{3AD05575-8857-4850-9277-11B85BDB8E09}"},
        "arguments": ["install"],
        "except": [{"folderPath": {"path": "/opt/toolchain/bin/sh"}}],
    }))
}

/// A fleet part that says everything it can say.
pub(crate) fn full_fleet_part() -> FleetBody {
    FleetBody {
        locked: vec![Locked {
            endpoints: Some(targets().endpoints),
            accounts: Some([(endpoint().uid, ["alice".parse().unwrap()].into())].into()),
            policies: ["dev-tools".parse().unwrap()].into(),
            message: "INC-4711: ask security".to_owned(),
        }],
        revoked: vec![Revoked { request: uid(REQUEST_UID), not_after: at(20) }],
        blocklists: vec![Blocklist {
            name: "never".parse().unwrap(),
            endpoints: EndpointTarget::Names([endpoint().name].into()),
            platforms: [Platform::Linux].into(),
            applications: vec![application()],
            absolute: true,
        }],
        ..fleet_part()
    }
}

/// [`grant`] for one program, of which everything was stated.
pub(crate) fn grant_of_application() -> GrantBody {
    GrantBody {
        elevation: Elevation { mode: Mode::Application, ..elevation() },
        application: Some(of_json(json!({
            "path": "/opt/toolchain/setup",
            "arguments": ["install"],
            "sha256": "ab".repeat(32),
            "vendor": "Example GmbH",
            "product": "toolchain",
            "version": "2.1.3",
        }))),
        ..grant()
    }
}

fn of_json<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The parts of these sequences, of the Fleet of [`fleet_part`].
pub(crate) fn requires(placement: u64, fleet: u64) -> Requires {
    Requires { placement, fleet, object: uid(FLEET_UID) }
}

/// Alice's grant, from [`at`]`(10)` to [`at`]`(20)`.
pub(crate) fn grant() -> GrantBody {
    GrantBody {
        endpoint: endpoint(),
        request: GrantedRequest {
            name: "er-7d2kq".parse().unwrap(),
            uid: uid(REQUEST_UID),
            ticket: "INC-2211".to_owned(),
        },
        account: "alice".parse().unwrap(),
        policy: PinnedPolicy {
            name: "dev-tools".parse().unwrap(),
            uid: uid(POLICY_UID),
            generation: 3,
            digest: Digest::of(b"rules"),
        },
        elevation: elevation(),
        application: None,
        not_before: at(10),
        not_after: at(20),
        reminders: vec![Duration::from_secs(300), Duration::from_secs(60)],
        offline_tolerance: Duration::from_secs(86_400),
        requires: requires(5, 5),
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
        (PartName::Fleet, signed(fleet_part(), 5)),
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
