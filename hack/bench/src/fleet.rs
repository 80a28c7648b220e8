//! A fleet by number: policies, endpoints, requests, signed as the controller signs them, and the programs that their rules are
//! about. The same numbers give the same fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tidegate_core::application::{Arguments, Attr, Facts};
use tidegate_core::approval::rule::ApprovalRules;
use tidegate_core::endpoint::Agent;
use tidegate_core::envelope::{Envelope, Signed, sign};
use tidegate_core::fleet::{FleetBody, PolicyInForce};
use tidegate_core::floor::Floors;
use tidegate_core::interval::Instant;
use tidegate_core::key::SigningKey;
use tidegate_core::keyring::{KeyRing, TrustedKey};
use tidegate_core::manifest::{Manifest, PartEntry, PartName};
use tidegate_core::name::{Digest, EndpointRef, FleetRef, Named, Uid};
use tidegate_core::part::{Body, Header, PartKind, SCHEMA};
use tidegate_core::placement::PlacementBody;
use tidegate_core::policy::{Policy, PolicyRef, Rules};
use tidegate_core::snapshot::{Me, Snapshot, accept};
use tidegate_core::target::Platform;
use tidegate_core::wire::SnapshotBody;

/// Rules of one policy, the most that the API takes.
pub const LISTED: usize = 64;
/// When everything is signed and judged, in seconds since 1970.
pub const NOW: i64 = 1_795_341_600;
const TRUST_DOMAIN: &str = "tidegate.local";

/// The instant at which everything happens.
pub fn now() -> Instant {
    Instant::from_second(NOW)
}

/// A signing key whose seed everybody knows.
pub fn key() -> anyhow::Result<SigningKey> {
    // RFC 8410: PKCS#8 around 32 bytes of seed.
    const HEAD: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    SigningKey::from_pkcs8(&[HEAD.as_slice(), &[7; 32]].concat()).context("the key")
}

/// The fleet.
pub fn fleet() -> anyhow::Result<FleetRef> {
    Ok(Named { name: "berlin".parse()?, uid: "f-1".parse()? })
}

/// The header of every part.
pub fn header() -> anyhow::Result<Header> {
    let trust_domain = TRUST_DOMAIN.to_owned();
    Ok(Header { schema: SCHEMA, trust_domain, fleet: fleet()?, sequence: 5, issued_time: now() })
}

/// Endpoint number `number`.
pub fn endpoint(number: usize) -> anyhow::Result<EndpointRef> {
    Ok(Named { name: format!("ws-{number}").parse()?, uid: uid(number, 0xe)? })
}

/// A uid like those of Kubernetes.
pub fn uid(number: usize, kind: u8) -> anyhow::Result<Uid> {
    Ok(format!("{number:08x}-0000-4000-8000-0000000000{kind:02x}").parse()?)
}

/// The placement of an endpoint: one of ten teams.
pub fn placement(number: usize) -> anyhow::Result<PlacementBody> {
    Ok(serde_json::from_value(json!({
        "endpoint": endpoint(number)?,
        "labels": {"team": format!("t{}", number % 10)},
        "accounts": [{"name": "alice", "groups": ["developers"]}],
    }))?)
}

/// The program that rule `number` covers.
pub fn path(number: usize) -> String {
    format!("/opt/app-{number}/bin/run")
}

/// Its digest, in hex.
pub fn digest(number: usize) -> String {
    Digest::of(&number.to_le_bytes()).to_hex()
}

/// Rules of four sorts: two exact paths, a folder with an exception, a digest.
fn item(number: usize) -> Value {
    let name = format!("app-{number}");
    match number % 4 {
        0 | 1 => json!({"name": name, "folderPath": {"path": path(number)}}),
        2 => json!({
            "name": name,
            "folderPath": {"path": format!("/opt/app-{number}/**")},
            "except": [{"folderPath": {"path": format!("/opt/app-{number}/bin/sh")}}],
        }),
        _ => json!({"name": name, "fileHash": {"sha256": [digest(number)]}}),
    }
}

/// Policy `number` for these endpoints, with the rules of these numbers, granted ahead around [`now`].
pub fn policy(number: usize, endpoints: &Value, rules: impl Iterator<Item = usize>) -> anyhow::Result<Policy> {
    let window = json!({"startTime": now().minus(HOUR), "endTime": now().plus(HOUR)});
    let elevation = json!({
        "mode": "Application", "scope": "Listed", "includeBlocklisted": false, "runAs": "root", "authentication": "Required",
        "childProcesses": "Track", "protections": [], "onExpiry": "Terminate", "applications": rules.map(item).collect::<Vec<_>>(),
    });
    Ok(Policy {
        reference: PolicyRef { name: format!("policy-{number}").parse()?, uid: uid(number, 0xb)?, generation: 1 },
        suspended: false,
        rules: Rules {
            targets: serde_json::from_value(json!({
                "endpoints": endpoints, "accounts": {"everyone": false, "groups": ["developers"], "except": {}},
            }))?,
            elevation: serde_json::from_value(elevation)?,
            access: serde_json::from_value(json!({"type": "Window", "window": window}))?,
            approval: ApprovalRules::default(),
            reminders: Vec::new(),
            offline_tolerance: HOUR,
        },
    })
}

const HOUR: Duration = Duration::from_secs(3600);

/// The fleet part that names these policies.
pub fn fleet_part(policies: &[Policy]) -> anyhow::Result<FleetBody> {
    let mut in_force: Vec<_> =
        policies.iter().map(|policy| PolicyInForce { uid: policy.reference.uid.clone(), sequence: 5 }).collect();
    in_force.sort();
    Ok(FleetBody {
        freshness: HOUR,
        object: "0b7c1d5e-0000-4000-8000-0000000000fe".parse()?,
        void_below: 0,
        void_time: Instant::from_second(0),
        policies: in_force,
        locked: Vec::new(),
        revoked: Vec::new(),
        blocklists: Vec::new(),
    })
}

/// A part, signed.
pub fn signed<B: Body>(body: B, key: &SigningKey) -> anyhow::Result<Signed> {
    Ok(sign(body, header()?, key)?)
}

/// What endpoint 0 holds that was given so many rules: signed, sent and accepted.
pub fn snapshot(rules: usize) -> anyhow::Result<Snapshot> {
    let key = key()?;
    let policies = (0..rules.div_ceil(LISTED))
        .map(|number| policy(number, &json!({"selector": {}}), number * LISTED..rules.min((number + 1) * LISTED)));
    let policies: Vec<Policy> = policies.collect::<Result<_, _>>()?;
    let mut parts: Vec<(PartName, Envelope)> = vec![
        (PartName::Placement, signed(placement(0)?, &key)?.envelope),
        (PartName::Fleet, signed(fleet_part(&policies)?, &key)?.envelope),
    ];
    for policy in &policies {
        parts.push((PartName::Policy(policy.reference.uid.clone()), signed(policy.compile(), &key)?.envelope));
    }
    let entry = |(name, envelope): &(PartName, Envelope)| PartEntry {
        name: name.clone(),
        digest: envelope.digest(),
        size: envelope.payload.len() as u64,
    };
    let manifest = Manifest::new(fleet()?.name, endpoint(0)?, parts.iter().map(entry).collect(), Vec::new());
    let parts: BTreeMap<Digest, Envelope> =
        parts.into_iter().map(|(_, envelope)| (envelope.digest(), envelope)).collect();
    let body = SnapshotBody { manifest: serde_json::value::to_raw_value(&manifest)?, parts };
    let roles = [PartKind::Placement, PartKind::Fleet, PartKind::Policy, PartKind::Grant].into();
    let trusted = TrustedKey { public_key: key.public_key(), roles, expiration_time: now().plus(HOUR) };
    let me = Me {
        trust_domain: TRUST_DOMAIN.to_owned(),
        fleet: fleet()?.name,
        endpoint: endpoint(0)?,
        agent: Agent { platform: Some(Platform::Linux), ..Agent::default() },
    };
    let accepted = accept(&body, &KeyRing::new(TRUST_DOMAIN, vec![trusted]), &me, None, &Floors::default());
    let accepted = accepted.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    anyhow::ensure!(accepted.refused.is_empty(), "refused: {:?}", accepted.refused.first());
    Ok(accepted.snapshot)
}

/// Program `number` as an agent measures it: three of four are covered, by rule `number`.
pub fn program(number: usize) -> anyhow::Result<Facts> {
    let (path, digest) = if number % 8 < 6 {
        (path(number), digest(number))
    } else {
        (format!("/home/alice/app-{number}/bin/run"), digest(usize::MAX - number))
    };
    let path = Attr::Known(path.parse()?);
    Ok(Facts {
        platform: Some(Platform::Linux),
        resolved_path: path.clone(),
        path,
        sha256: Attr::Known(digest.parse()?),
        sha512: Attr::Absent,
        vendor: Attr::Known("Example GmbH".to_owned()),
        product: Attr::Known("app".to_owned()),
        version: Attr::Known("1.2.3".parse()?),
        verified_executable: Attr::Absent,
        store_app: Attr::Absent,
        clsid: Attr::Absent,
        arguments: Attr::Known(Arguments::These(Vec::new())),
        secure: Attr::Known(true),
    })
}
