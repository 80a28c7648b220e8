//! The index as a plain struct: what an endpoint receives is a function of the objects alone, and no change is missed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidegate::gateway::Served;
use tidegate::gateway::index::{EndpointKey, FleetObject, Index, Key, Kind, Object, RequestObject};
use tidegate_core::manifest::{MAX_REQUESTS, Manifest};
use tidegate_core::name::Digest;
use tidegate_core::part::Part;
use tidegate_core::placement::PlacementBody;
use tidegate_core::policy::PolicyBody;
use tidegate_core::state::State;
use tidegate_core::wire::{Have, SnapshotBody};

use crate::objects::{
    endpoint, envelope_in, fleet, fleet_body, in_force, part_names, policy, request, request_with, requires,
};

const NAMES: [&str; 3] = ["ws-1", "ws-2", "ws-3"];

fn key(name: &str) -> EndpointKey {
    EndpointKey { fleet: fleet(), name: name.parse().unwrap() }
}

/// Names the first versions of dev-tools and ops-tools.
fn first_versions() -> Object {
    in_force(1, &[("dev-tools", 1), ("ops-tools", 1)])
}

/// The exact answer, or nothing.
fn answer(served: &Served, name: &str) -> Option<Vec<u8>> {
    Some(served.manifest(&key(name))?.answer(&Have::default()).unwrap())
}

fn parts(served: &Served, name: &str) -> Vec<String> {
    let answer: serde_json::Value = serde_json::from_slice(&answer(served, name).unwrap()).unwrap();
    part_names(&answer["manifest"]).into_iter().collect()
}

fn served(objects: impl IntoIterator<Item = Object>) -> Served {
    let served = Served::default();
    served.apply(first_versions());
    objects.into_iter().for_each(|object| served.apply(object));
    served
}

#[test]
fn an_endpoint_receives_its_placement_the_fleet_part_the_policies_that_select_it_and_its_grants() {
    let served = served([
        request("er-1", "ws-1", "uid-1", State::Active),
        request("er-2", "ws-2", "uid-2", State::Active),
        policy("dev-tools", 1, "dev"),
        policy("ops-tools", 1, "ops"),
        endpoint("ws-1", "uid-1", "dev"),
        endpoint("ws-2", "uid-2", "ops"),
    ]);
    assert_eq!(parts(&served, "ws-1"), ["fleet", "grant/er-1-uid", "placement", "policy/dev-tools-uid"]);
    assert_eq!(parts(&served, "ws-2"), ["fleet", "grant/er-2-uid", "placement", "policy/ops-tools-uid"]);
    assert_eq!(answer(&served, "ws-3"), None);
}

#[test]
fn a_grant_is_served_only_while_its_request_is_approved_and_not_ended() {
    for state in State::ALL {
        let served = served([endpoint("ws-1", "uid-1", "dev"), request("er-1", "ws-1", "uid-1", state)]);
        let is_served = parts(&served, "ws-1").contains(&"grant/er-1-uid".to_owned());
        assert_eq!(is_served, matches!(state, State::Scheduled | State::Active), "{state}");
    }
}

#[test]
fn a_request_that_is_being_deleted_gives_nothing_and_is_still_listed() {
    let Object::Request(active) = request("er-1", "ws-1", "uid-1", State::Active) else { unreachable!() };
    let served =
        served([endpoint("ws-1", "uid-1", "dev"), Object::Request(RequestObject { deleting: true, ..active })]);
    assert_eq!(parts(&served, "ws-1"), ["fleet", "placement"]);
    let body: SnapshotBody = serde_json::from_slice(&answer(&served, "ws-1").unwrap()).unwrap();
    let manifest = Manifest::parse(body.manifest.get().as_bytes()).unwrap();
    assert_eq!(manifest.requests.len(), 1);
}

#[test]
fn parts_that_were_signed_for_another_object_are_not_served() {
    let Object::Endpoint(mut moved) = endpoint("ws-1", "uid-1", "dev") else { unreachable!() };
    moved.uid = "uid-9".parse().unwrap();
    assert_eq!(answer(&served([Object::Endpoint(moved)]), "ws-1"), None, "placement of an earlier object");

    let Object::Policy(mut copied) = policy("dev-tools", 1, "dev") else { unreachable!() };
    copied.uid = "uid-9".parse().unwrap();
    let Object::Request(mut stolen) = request("er-1", "ws-1", "uid-1", State::Active) else { unreachable!() };
    stolen.name = "er-9".parse().unwrap();
    let elsewhere = request("er-2", "ws-1", "uid-0", State::Active);
    let served = served([endpoint("ws-1", "uid-1", "dev"), Object::Policy(copied), Object::Request(stolen), elsewhere]);
    assert_eq!(parts(&served, "ws-1"), ["fleet", "placement"]);
}

#[test]
fn a_part_of_another_namespace_is_not_served() {
    let hamburg = || "hamburg".parse().unwrap();
    let Object::Endpoint(mut there) = endpoint("ws-1", "uid-1", "dev") else { unreachable!() };
    let placement: Part<PlacementBody> = there.signed.take().unwrap().read_unverified().unwrap();
    there.fleet = hamburg();
    there.signed = Some(envelope_in("hamburg", 1, placement.body));
    let key = EndpointKey { fleet: hamburg(), name: "ws-1".parse().unwrap() };
    let fleet_of = |signed| Object::Fleet(FleetObject { fleet: hamburg(), signed: Some(signed) });
    let body = || fleet_body(&[("dev-tools", 1)], &[]);

    let served = served([Object::Endpoint(there), fleet_of(envelope_in("berlin", 1, body()))]);
    assert!(served.endpoint_uid(&key).is_some());
    assert!(served.manifest(&key).is_none(), "the fleet part is another fleet's");
    served.apply(fleet_of(envelope_in("hamburg", 1, body())));
    let Object::Policy(mut foreign) = policy("dev-tools", 1, "dev") else { unreachable!() };
    foreign.fleet = hamburg();
    served.apply(Object::Policy(foreign));
    let answer = served.manifest(&key).unwrap().answer(&Have::default()).unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(part_names(&answer["manifest"]).into_iter().collect::<Vec<_>>(), ["fleet", "placement"]);
}

#[test]
fn only_the_latest_requests_are_listed() {
    let many = (0..40).map(|n| request(&format!("er-{n}"), "ws-1", "uid-1", State::Ended));
    let served = served(many.chain([endpoint("ws-1", "uid-1", "dev")]));
    let body: SnapshotBody = serde_json::from_slice(&answer(&served, "ws-1").unwrap()).unwrap();
    assert_eq!(Manifest::parse(body.manifest.get().as_bytes()).unwrap().requests.len(), MAX_REQUESTS);
}

#[test]
fn every_part_in_an_answer_is_the_one_that_the_manifest_names() {
    let served = served([endpoint("ws-1", "uid-1", "dev"), policy("dev-tools", 1, "dev")]);
    let body: SnapshotBody = serde_json::from_slice(&answer(&served, "ws-1").unwrap()).unwrap();
    let manifest = Manifest::parse(body.manifest.get().as_bytes()).unwrap();
    assert_eq!(manifest.parts.len(), 3);
    for entry in &manifest.parts {
        let envelope = &body.parts[&entry.digest];
        assert_eq!(Digest::of(&envelope.payload), entry.digest);
        assert_eq!(u64::try_from(envelope.payload.len()).unwrap(), entry.size);
    }
    let have = Have::of([&manifest.parts[0].digest]);
    let rest = served.manifest(&key("ws-1")).unwrap().answer(&have).unwrap();
    let rest: SnapshotBody = serde_json::from_slice(&rest).unwrap();
    let missing: BTreeSet<Digest> = manifest.parts[1..].iter().map(|entry| entry.digest).collect();
    assert_eq!(rest.parts.into_keys().collect::<BTreeSet<_>>(), missing);
}

#[test]
fn a_change_touches_only_those_who_receive_it() {
    let mut index = Index::default();
    index.apply(first_versions());
    for (name, team) in [("ws-1", "dev"), ("ws-2", "ops")] {
        index.apply(endpoint(name, "uid-1", team));
    }
    assert_eq!(index.apply(policy("dev-tools", 1, "dev")), [key("ws-1")].into());
    assert_eq!(index.apply(policy("dev-tools", 1, "dev")), [].into(), "nothing differs");
    assert_eq!(index.apply(policy("dev-tools", 2, "ops")), [].into(), "the fleet part does not name it yet");
    let both: BTreeSet<EndpointKey> = [key("ws-1"), key("ws-2")].into();
    assert_eq!(index.apply(in_force(2, &[("dev-tools", 2)])), both, "left and joined");
    assert_eq!(index.apply(in_force(2, &[("dev-tools", 2)])), [].into(), "nothing differs");
    assert_eq!(index.reset(Kind::Fleet, Vec::new()), both);
    index.apply(in_force(2, &[("dev-tools", 2)]));
    assert_eq!(index.apply(request("er-1", "ws-2", "uid-1", State::Pending)), [key("ws-2")].into());
    assert_eq!(index.reset(Kind::Policy, vec![policy("dev-tools", 2, "ops")]), [].into());
    assert_eq!(index.reset(Kind::Policy, Vec::new()), [key("ws-2")].into());
}

#[derive(Debug, Clone)]
enum Event {
    Apply(Box<Object>),
    Delete(Key),
    Relist(Kind),
}

fn object() -> impl Strategy<Value = Object> {
    let sequences = || prop::collection::vec(0u64..4, NAMES.len());
    let name = || prop::sample::select(NAMES.to_vec());
    let uid = || prop::sample::select(vec!["uid-1", "uid-2"]);
    let team = || prop::sample::select(vec!["dev", "ops"]);
    let state = prop::sample::select(vec![State::Pending, State::Active, State::Revoked]);
    prop_oneof![
        (name(), uid(), team()).prop_map(|(name, uid, team)| endpoint(name, uid, team)),
        (1u64..4, sequences()).prop_map(|(sequence, named)| {
            in_force(sequence, &NAMES.into_iter().zip(named).filter(|(_, named)| *named > 0).collect::<Vec<_>>())
        }),
        (name(), 1i64..4, team()).prop_map(|(name, generation, team)| policy(name, generation, team)),
        (name(), name(), uid(), state, 1u64..4)
            .prop_map(|(name, at, uid, state, fleet)| { request_with(name, at, uid, state, requires(1, fleet)) }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(vec![Kind::Endpoint, Kind::Fleet, Kind::Policy, Kind::Request]);
    prop_oneof![
        6 => object().prop_map(|object| Event::Apply(Box::new(object))),
        2 => object().prop_map(|object| Event::Delete(object.key())),
        1 => kind.prop_map(Event::Relist),
    ]
}

fn of_kind(truth: &BTreeMap<Key, Object>, kind: Kind) -> Vec<Object> {
    truth.values().filter(|object| object.kind() == kind).cloned().collect()
}

fn index_names(served: &Served, name: &str) -> Option<BTreeSet<String>> {
    let answer: serde_json::Value = serde_json::from_slice(&answer(served, name)?).unwrap();
    Some(part_names(&answer["manifest"]))
}

/// Of a policy: its name and the sequence of what its object holds.
fn version(object: &Object) -> Option<(String, u64)> {
    match object {
        Object::Policy(policy) => {
            let part = policy.signed.as_ref()?.read_unverified::<PolicyBody>().unwrap();
            Some((policy.name.to_string(), part.header.sequence))
        }
        Object::Endpoint(_) | Object::Fleet(_) | Object::Request(_) => None,
    }
}

proptest! {
    #[test]
    fn answers_depend_on_the_objects_and_not_on_how_they_arrived(events in prop::collection::vec(event(), 0..40)) {
        let (mut truth, walked, mut index) = (BTreeMap::new(), Served::default(), Index::default());
        for event in events {
            let before: Vec<_> = NAMES.iter().map(|name| index.view(&key(name))).collect();
            // Rendered here, so that a change that forgets to drop it would show below.
            NAMES.iter().for_each(|name| drop(walked.manifest(&key(name))));
            let changed = match event {
                Event::Apply(object) => {
                    truth.insert(object.key(), *object.clone());
                    walked.apply(*object.clone());
                    index.apply(*object)
                }
                Event::Delete(key) => {
                    truth.remove(&key);
                    walked.delete(&key);
                    index.delete(&key)
                }
                Event::Relist(kind) => {
                    // While the watch was broken something of this kind went away unseen.
                    if let Some(gone) = of_kind(&truth, kind).first() {
                        truth.remove(&gone.key());
                    }
                    walked.reset(kind, of_kind(&truth, kind));
                    index.reset(kind, of_kind(&truth, kind))
                }
            };
            for (name, before) in NAMES.iter().zip(before) {
                let touched = changed.contains(&key(name));
                prop_assert!(touched || index.view(&key(name)) == before, "{name} changed and nobody was told");
            }
        }
        let rebuilt = Served::default();
        for kind in [Kind::Request, Kind::Endpoint, Kind::Policy, Kind::Fleet] {
            let mut objects = of_kind(&truth, kind);
            objects.reverse();
            rebuilt.reset(kind, objects);
        }
        for name in NAMES {
            let (walked, rebuilt) = (index_names(&walked, name), index_names(&rebuilt, name));
            prop_assert_eq!(walked.is_some(), rebuilt.is_some());
            let (walked, rebuilt) = (walked.unwrap_or_default(), rebuilt.unwrap_or_default());
            let kept = |part: &&String| part.starts_with("policy/");
            prop_assert!(rebuilt.is_subset(&walked) && walked.difference(&rebuilt).all(|part| kept(&part)));
        }
        // What may differ is an earlier version of a policy. Once the fleet part names none, nothing does.
        let versions: Vec<(String, u64)> = truth.values().filter_map(version).collect();
        let named: Vec<(&str, u64)> = versions.iter().map(|(name, sequence)| (name.as_str(), *sequence)).collect();
        for served in [&walked, &rebuilt] {
            served.apply(in_force(9, &named));
        }
        for name in NAMES {
            prop_assert_eq!(answer(&walked, name), answer(&rebuilt, name));
        }
    }
}
