//! What the fleet part decides, and what is withheld from an agent that cannot use it.

use std::collections::BTreeSet;

use tidegate::gateway::Served;
use tidegate::gateway::index::{EndpointKey, EndpointObject, FleetObject, Kind, Object};
use tidegate_core::elevation::OnExpiry;
use tidegate_core::endpoint::Agent;
use tidegate_core::fleet::FleetBody;
use tidegate_core::manifest::{Manifest, PartName};
use tidegate_core::name::Digest;
use tidegate_core::policy::PolicyBody;
use tidegate_core::state::State;
use tidegate_core::target::Platform;
use tidegate_core::wire::{Have, SnapshotBody};

use crate::objects::{
    endpoint, envelope, fleet, fleet_body, fleet_part, in_force, policy, policy_with, request, request_with, requires,
    uid,
};

fn served(objects: impl IntoIterator<Item = Object>) -> Served {
    let served = Served::default();
    served.apply(endpoint("ws-1", "uid-1", "dev"));
    objects.into_iter().for_each(|object| served.apply(object));
    served
}

fn manifest(served: &Served) -> Manifest {
    let key = EndpointKey { fleet: fleet(), name: "ws-1".parse().unwrap() };
    let answer = served.manifest(&key).unwrap().answer(&Have::default()).unwrap();
    let body: SnapshotBody = serde_json::from_slice(&answer).unwrap();
    Manifest::parse(body.manifest.get().as_bytes()).unwrap()
}

/// The digest of what is served of dev-tools.
fn dev_tools(served: &Served) -> Option<Digest> {
    manifest(served).part(&PartName::Policy(uid("dev-tools-uid"))).map(|entry| entry.digest)
}

/// The digest of this version of dev-tools.
fn version(generation: i64) -> Option<Digest> {
    let Object::Policy(object) = policy("dev-tools", generation, "dev") else { unreachable!() };
    object.signed.map(|envelope| envelope.digest())
}

fn has_grant(served: &Served, name: &str) -> bool {
    manifest(served).part(&PartName::Grant(uid(&format!("{name}-uid")))).is_some()
}

fn policies(served: &Served) -> BTreeSet<String> {
    let names = manifest(served).parts.into_iter().map(|entry| entry.name.to_string());
    names.filter(|name| name.starts_with("policy/")).collect()
}

#[test]
fn the_fleet_part_is_served_to_every_endpoint_as_it_is_signed() {
    let part = in_force(7, &[("dev-tools", 1)]);
    let served = served([part.clone()]);
    let Object::Fleet(object) = part else { unreachable!() };
    let entry = manifest(&served).part(&PartName::Fleet).cloned().unwrap();
    assert_eq!(entry.digest, object.signed.unwrap().digest());
}

#[test]
fn a_policy_that_the_fleet_part_does_not_name_is_not_served() {
    let served = served([policy("dev-tools", 1, "dev"), in_force(1, &[])]);
    assert_eq!(dev_tools(&served), None);
    served.apply(in_force(2, &[("dev-tools", 2)]));
    assert_eq!(dev_tools(&served), None, "another version is named");
    served.apply(in_force(3, &[("dev-tools", 1)]));
    assert_eq!(dev_tools(&served), version(1));
    served.apply(in_force(4, &[]));
    assert_eq!(dev_tools(&served), None, "suspended");
}

#[test]
fn an_edit_opens_no_gap_when_the_policy_comes_before_the_fleet_part() {
    let served = served([policy("dev-tools", 1, "dev"), in_force(1, &[("dev-tools", 1)])]);
    served.apply(policy("dev-tools", 2, "dev"));
    assert_eq!(dev_tools(&served), version(1), "it stays in force until the fleet part names the new one");
    served.reset(Kind::Policy, vec![policy("dev-tools", 2, "dev")]);
    assert_eq!(dev_tools(&served), version(1), "a list read again holds only the new one");
    served.apply(in_force(2, &[("dev-tools", 1)]));
    assert_eq!(dev_tools(&served), version(1), "signed anew for another reason");
    served.apply(in_force(3, &[("dev-tools", 2)]));
    assert_eq!(dev_tools(&served), version(2));
}

#[test]
fn a_version_in_force_is_there_after_edits_faster_than_the_fleet_part() {
    let served = served([policy("dev-tools", 1, "dev"), in_force(1, &[("dev-tools", 1)])]);
    for generation in 2..=9 {
        served.apply(policy("dev-tools", generation, "dev"));
        assert_eq!(dev_tools(&served), version(1));
    }
    served.apply(in_force(2, &[("dev-tools", 8)]));
    assert_eq!(dev_tools(&served), version(8), "not the last edit, but one of the latest");
    served.apply(in_force(3, &[("dev-tools", 9)]));
    assert_eq!(dev_tools(&served), version(9));
    served.apply(in_force(4, &[("dev-tools", 8)]));
    assert_eq!(dev_tools(&served), None, "what was replaced is over");
}

#[test]
fn a_fleet_part_that_comes_before_the_policy_waits_for_it() {
    let served = served([policy("dev-tools", 1, "dev"), in_force(1, &[("dev-tools", 1)])]);
    served.apply(in_force(2, &[("dev-tools", 2)]));
    assert_eq!(dev_tools(&served), None, "an agent would refuse the first version beside this fleet part");
    served.apply(policy("dev-tools", 2, "dev"));
    assert_eq!(dev_tools(&served), version(2));
}

#[test]
fn a_deleted_policy_is_over_at_once_whatever_the_fleet_part_names() {
    let served = served([policy("dev-tools", 1, "dev"), in_force(1, &[("dev-tools", 1)])]);
    served.apply(policy("dev-tools", 2, "dev"));
    served.delete(&policy("dev-tools", 2, "dev").key());
    assert_eq!(dev_tools(&served), None);

    served.apply(policy("dev-tools", 1, "dev"));
    let Object::Policy(mut anew) = policy_with("dev-tools", 2, "dev", |body| body.policy.uid = uid("other")) else {
        unreachable!()
    };
    anew.uid = uid("other");
    served.apply(Object::Policy(anew));
    assert_eq!(policies(&served), [].into(), "made again under its name, it is another policy");
}

#[test]
fn a_grant_is_served_once_fleet_part_and_placement_are_as_new_as_it_requires() {
    for requires in [requires(1, 3), requires(2, 2)] {
        let grant = request_with("er-1", "ws-1", "uid-1", State::Active, requires.clone());
        let served = served([in_force(2, &[]), grant]);
        assert!(!has_grant(&served, "er-1"), "{requires:?}");
        assert_eq!(manifest(&served).requests.len(), 1, "it is listed all the same");
        served.apply(in_force(3, &[]));
        assert_eq!(has_grant(&served, "er-1"), requires.placement == 1, "{requires:?}");
    }
}

#[test]
fn a_grant_that_the_fleet_part_calls_revoked_is_left_out_whatever_its_request_says() {
    let grants = ["er-1", "er-2"].map(|name| request(name, "ws-1", "uid-1", State::Active));
    let served = served(grants.into_iter().chain([fleet_part(1, &[], &["er-1"])]));
    assert!(!has_grant(&served, "er-1") && has_grant(&served, "er-2"));
}

#[test]
fn a_grant_is_served_where_an_agent_would_take_it_and_not_where_its_time_is_void() {
    let beside = |object: &str, void_below| {
        let body = FleetBody { object: uid(object), void_below, ..fleet_body(&[], &[]) };
        Object::Fleet(FleetObject { fleet: fleet(), signed: Some(envelope(5, body)) })
    };
    let signed_beside = requires(1, 3);
    let grant = || request_with("er-1", "ws-1", "uid-1", State::Active, signed_beside.clone());
    let same = signed_beside.object.as_str();
    for (object, void_below, serves) in [(same, 3, true), (same, 4, false), ("made-anew", 0, false)] {
        assert_eq!(has_grant(&served([beside(object, void_below), grant()]), "er-1"), serves, "{object} {void_below}");
    }
}

fn with_agent(agent: Option<Agent>) -> Object {
    let Object::Endpoint(object) = endpoint("ws-1", "uid-1", "dev") else { unreachable!() };
    Object::Endpoint(EndpointObject { agent, ..object })
}

fn agent(version: &str, platform: Option<Platform>, capabilities: &[&str]) -> Agent {
    let capabilities = capabilities.iter().map(|word| (*word).to_owned()).collect();
    Agent { version: version.parse().ok(), platform, capabilities }
}

#[test]
fn a_policy_that_the_agent_cannot_use_is_withheld_and_its_others_are_not() {
    let linux = |body: &mut PolicyBody| body.targets.platforms = [Platform::Linux].into();
    let new = |body: &mut PolicyBody| body.targets.min_agent_version = "2.0".parse().ok();
    let able = |body: &mut PolicyBody| body.elevation.on_expiry = OnExpiry::LogOff;
    let served = served([
        policy("plain", 1, "dev"),
        policy_with("linux", 1, "dev", linux),
        policy_with("new", 1, "dev", new),
        policy_with("able", 1, "dev", able),
        in_force(1, &[("plain", 1), ("linux", 1), ("new", 1), ("able", 1)]),
    ]);
    for (what, agent, usable) in [
        ("unknown", None, vec![]),
        ("says nothing that reads", Some(agent("garbage", None, &[])), vec![]),
        ("another platform", Some(agent("2.0", Some(Platform::Windows), &["logoff"])), vec!["able", "new"]),
        ("too old", Some(agent("1.9", Some(Platform::Linux), &["logoff"])), vec!["able", "linux"]),
        ("not able", Some(agent("2.0", Some(Platform::Linux), &["protect"])), vec!["linux", "new"]),
        ("all of it", Some(agent("2.1", Some(Platform::Linux), &["logoff"])), vec!["able", "linux", "new"]),
    ] {
        served.apply(with_agent(agent));
        let expected: BTreeSet<String> =
            usable.into_iter().chain(["plain"]).map(|name| format!("policy/{name}-uid")).collect();
        assert_eq!(policies(&served), expected, "{what}");
    }
}
