//! What controller and gateway do for each policy and endpoint, in fleets of three sizes: the cost of an item must not depend on
//! how many others there are.

use anyhow::Context;
use serde_json::json;
use tidegate::gateway::index::{EndpointKey, EndpointObject, FleetObject, Index, Object, PolicyObject, RequestObject};
use tidegate_core::endpoint::Agent;
use tidegate_core::grant::GrantBody;
use tidegate_core::manifest::{ListedRequest, Manifest, PartEntry, PartName, RequestSummary};
use tidegate_core::name::Digest;
use tidegate_core::policy::Policy;
use tidegate_core::state::State;
use tidegate_core::target::Platform;

use crate::fleet::{endpoint, fleet, fleet_part, header, key, now, placement, policy, signed, uid};
use crate::measure::{Line, Subject, measure};
use crate::report::Section;

/// Policies of the fleets; each has as many endpoints, and ten times as many requests.
const SIZES: [usize; 3] = [10, 100, 1_000];
/// Rules of each policy.
const RULES: usize = 8;

/// Compiling a policy and signing the part.
pub fn compile(rounds: usize, effort: usize) -> anyhow::Result<Section> {
    let key = key()?;
    let header = header()?;
    let mut subjects = Vec::new();
    for (size, name) in
        SIZES.into_iter().zip(["fleet of 10 policies", "fleet of 100 policies", "fleet of 1,000 policies"])
    {
        let policies = policies(size)?;
        let (key, header) = (&key, header.clone());
        subjects.push(Subject::new(name, (1, "policy"), 1_000 * effort, move |number| {
            let body = policies[number % policies.len()].compile();
            let signed = tidegate_core::envelope::sign(body, header.clone(), key);
            std::hint::black_box(&signed);
        }));
    }
    let lines = measure(subjects, rounds);
    Ok(Section {
        title: "Compile",
        about: "A policy with 8 applications is compiled into its part, serialised and signed (Ed25519), as the controller does \
                for each generation.",
        findings: flatness(&lines).into_iter().collect(),
        lines,
    })
}

/// Finding what an endpoint receives.
pub fn select(rounds: usize, effort: usize) -> anyhow::Result<Section> {
    let mut subjects = Vec::new();
    for (size, name) in SIZES.into_iter().zip([
        "10 policies, 100 requests",
        "100 policies, 1,000 requests",
        "1,000 policies, 10,000 requests",
    ]) {
        let (index, keys) = index(size)?;
        subjects.push(Subject::new(name, (size, "policies"), 200 * effort, move |number| {
            std::hint::black_box(index.view(&keys[number % keys.len()]));
        }));
    }
    let lines = measure(subjects, rounds);
    Ok(Section {
        title: "Select",
        about: "The gateway's view of one endpoint: every policy of the fleet is asked whether it is for this endpoint (one of ten \
                is), and the endpoint's own ten requests, one of them with a grant, are added.",
        findings: flatness(&lines).into_iter().collect(),
        lines,
    })
}

/// Rendering a manifest.
pub fn render(rounds: usize, effort: usize) -> anyhow::Result<Section> {
    let mut subjects = Vec::new();
    for (size, name) in
        SIZES.into_iter().zip(["manifest of 10 parts", "manifest of 100 parts", "manifest of 1,000 parts"])
    {
        let entries = (0..size).map(|number| {
            let digest = Digest::of(&number.to_le_bytes());
            Ok(PartEntry { name: PartName::Policy(uid(number, 0xb)?), digest, size: 4_096 })
        });
        let entries: Vec<PartEntry> = entries.collect::<anyhow::Result<_>>()?;
        let (fleet, endpoint, requests) = (fleet()?.name, endpoint(0)?, listed()?);
        subjects.push(Subject::new(name, (size, "parts"), 200 * effort, move |_| {
            let manifest = Manifest::new(fleet.clone(), endpoint.clone(), entries.clone(), requests.clone());
            std::hint::black_box(manifest.to_bytes());
        }));
    }
    let lines = measure(subjects, rounds);
    Ok(Section {
        title: "Manifest",
        about: "A manifest is sorted and serialised, with ten requests. It is done once per change of an endpoint's view, for all who ask.",
        findings: flatness(&lines).into_iter().collect(),
        lines,
    })
}

/// Does an item cost more where there are ten times as many? The smallest fleet does not tell: what each operation costs once
/// counts most there.
fn flatness(lines: &[Line]) -> Option<String> {
    let [.., some, many] = lines else { return None };
    let times = many.per_item() / some.per_item();
    Some(format!("{}: an item costs {times:.2} times what it does in {}", many.name, some.name))
}

fn policies(count: usize) -> anyhow::Result<Vec<Policy>> {
    let policies = (0..count).map(|number| {
        let endpoints = json!({"selector": {"matchLabels": {"team": format!("t{}", number % 10)}}});
        policy(number, &endpoints, number * RULES..(number + 1) * RULES)
    });
    policies.collect()
}

/// What a gateway knows of a fleet with so many policies.
fn index(size: usize) -> anyhow::Result<(Index, Vec<EndpointKey>)> {
    let key = key()?;
    let fleet = fleet()?.name;
    let policies = policies(size)?;
    let mut index = Index::default();
    index.apply(Object::Fleet(FleetObject {
        fleet: fleet.clone(),
        signed: Some(signed(fleet_part(&policies)?, &key)?.envelope),
    }));
    for policy in &policies {
        index.apply(Object::Policy(PolicyObject {
            fleet: fleet.clone(),
            name: policy.reference.name.clone(),
            uid: policy.reference.uid.clone(),
            signed: Some(signed(policy.compile(), &key)?.envelope),
        }));
    }
    let mut keys = Vec::new();
    for number in 0..size {
        let endpoint = endpoint(number)?;
        keys.push(EndpointKey { fleet: fleet.clone(), name: endpoint.name.clone() });
        index.apply(Object::Endpoint(EndpointObject {
            fleet: fleet.clone(),
            name: endpoint.name,
            uid: endpoint.uid,
            agent: Some(Agent { platform: Some(Platform::Linux), ..Agent::default() }),
            reported: Default::default(),
            signed: Some(signed(placement(number)?, &key)?.envelope),
        }));
    }
    for number in 0..size * 10 {
        index.apply(request(number, size, &policies, &key)?);
    }
    Ok((index, keys))
}

/// Ten requests an endpoint; every tenth is active.
fn request(
    number: usize,
    size: usize,
    policies: &[Policy],
    key: &tidegate_core::key::SigningKey,
) -> anyhow::Result<Object> {
    let endpoint = endpoint(number % size)?;
    let is_active = number / size == 0;
    let (name, uid) = (format!("er-{number}"), uid(number, 0xa)?);
    let grant = || -> anyhow::Result<GrantBody> {
        let policy = policies.get(number % size).context("a policy")?;
        Ok(serde_json::from_value(json!({
            "endpoint": endpoint, "request": {"name": name, "uid": uid}, "account": "alice",
            "policy": {
                "name": policy.reference.name, "uid": policy.reference.uid, "generation": 1, "digest": policy.rules.digest(),
            },
            "elevation": policy.compile().elevation,
            "notBefore": now(), "notAfter": now().plus(std::time::Duration::from_secs(1800)), "offlineTolerance": 3600,
            "requires": {"placement": 5, "fleet": 5},
        }))?)
    };
    Ok(Object::Request(RequestObject {
        fleet: fleet()?.name,
        name: name.parse()?,
        uid: uid.clone(),
        endpoint: endpoint.name.clone(),
        endpoint_uid: Some(endpoint.uid.clone()),
        account: "alice".parse()?,
        state: Some(if is_active { State::Active } else { State::Expired }),
        message: "Approved by bob@corp".to_owned(),
        expiration_time: Some(now()),
        since: now(),
        deleting: false,
        signed: if is_active { Some(signed(grant()?, key)?.envelope) } else { None },
    }))
}

fn listed() -> anyhow::Result<Vec<ListedRequest>> {
    let one = |number: usize| {
        let summary = RequestSummary {
            name: format!("er-{number}").parse()?,
            uid: uid(number, 0xa)?,
            account: "alice".parse()?,
            state: State::Expired,
            message: "Approved by bob@corp".to_owned(),
            expiration_time: Some(now()),
        };
        Ok(ListedRequest { since: now(), summary })
    };
    (0..10).map(one).collect()
}
