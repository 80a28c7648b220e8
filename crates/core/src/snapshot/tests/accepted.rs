//! What is accepted, and where its parts may come from.

use super::*;

#[test]
fn a_proven_snapshot_is_accepted_with_all_its_parts() {
    let Acceptance { snapshot, floors, refused } = good();
    assert_eq!(refused, []);
    assert_eq!(snapshot.manifest, manifest(&parts()));
    assert_eq!(snapshot.placement.as_ref().map(|p| &p.body), Some(&placement()));
    assert_eq!(snapshot.policies.keys().collect::<Vec<_>>(), [&uid(POLICY_UID), &uid(WINDOW_UID)]);
    assert_eq!(snapshot.grants[&uid(REQUEST_UID)].body, fixture::grant());
    assert_eq!(snapshot.issued_time(), Some(at(0)));
    assert_eq!(snapshot.fleet.as_ref().map(|f| &f.body), Some(&fixture::fleet_part()));
    for name in [PartName::Placement, PartName::Fleet, policy_name(), window_name()] {
        assert_eq!(floors.get(&name), 5, "{name}");
    }
}

#[test]
fn the_newest_issued_time_of_any_part_counts() {
    for name in all_names() {
        let later = Header { issued_time: at(30), ..header(5) };
        let signed = match &name {
            PartName::Placement => sign(placement(), later, &key()),
            PartName::Fleet => sign(fixture::fleet_part(), later, &key()),
            PartName::Policy(uid) if uid.as_str() == POLICY_UID => sign(fixture::policy(), later, &key()),
            PartName::Policy(_) => sign(fixture::window(), later, &key()),
            PartName::Grant(_) => sign(fixture::grant(), later, &key()),
        };
        let snapshot = accept_first(&with(name.clone(), signed.unwrap())).unwrap().snapshot;
        assert_eq!(snapshot.issued_time(), Some(at(30)), "{name}");
    }
}

#[test]
fn what_is_stored_gives_the_same_snapshot_again() {
    let first = good();
    let text = serde_json::to_string(&first.snapshot.to_body().unwrap()).unwrap();
    let stored: SnapshotBody = serde_json::from_str(&text).unwrap();
    let again = accept(&stored, &ring(), &me(), None, &first.floors).unwrap();
    assert_eq!(again, first);
}

#[test]
fn a_part_that_the_body_leaves_out_is_taken_from_the_previous_snapshot() {
    let first = good();
    let empty = body(&manifest(&parts()), &[]);
    let again = accept(&empty, &ring(), &me(), Some(&first.snapshot), &first.floors).unwrap();
    assert_eq!(again.snapshot, first.snapshot);
    let refusal = accept(&empty, &ring(), &me(), None, &first.floors).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Truncated);
}

#[test]
fn a_held_part_is_verified_again_with_the_keys_of_now() {
    let first = good();
    let other_keys = KeyRing::new(me().trust_domain, vec![fixture::trusted(&stranger())]);
    let refusal = accept(&body(&manifest(&parts()), &[]), &other_keys, &me(), Some(&first.snapshot), &first.floors);
    assert_eq!(refusal.unwrap_err().code, RefusalCode::WrongKey);
}

#[test]
fn parts_that_the_manifest_does_not_name_are_ignored() {
    let all = parts();
    let named: Parts = all.iter().filter(|(name, _)| *name != grant_name()).cloned().collect();
    let acceptance = accept(&body(&manifest(&named), &all), &ring(), &me(), None, &Floors::default()).unwrap();
    assert!(acceptance.snapshot.grants.is_empty());
    assert_eq!(acceptance.snapshot.envelopes.len(), named.len());
}
