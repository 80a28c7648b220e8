//! What a manifest does not name is over, accepted or refused; and a bad part holds nothing up.

use super::*;
use crate::fleet::{Locked, Revoked};

#[test]
fn absence_ends_a_right_at_once() {
    let first = good();
    assert_eq!(right_names(&first.snapshot, 15), ["alice: er-7d2kq", "alice: night-maintenance"]);
    let body = body(&manifest(&without(&grant_name())), &[]);
    let second = accept(&body, &ring(), &me(), Some(&first.snapshot), &first.floors).unwrap();
    assert!(second.snapshot.grants.is_empty());
    assert_eq!(right_names(&second.snapshot, 15), ["alice: night-maintenance"]);
}

#[test]
fn absence_counts_in_a_refused_manifest_too() {
    let first = good().snapshot;
    let bad = vec![
        (PartName::Placement, sign(placement(), header(6), &stranger()).unwrap()),
        (PartName::Policy(uid(WINDOW_UID)), signed(fixture::window(), 5)),
    ];
    let refusal = accept(&body(&manifest(&bad), &bad), &ring(), &me(), Some(&first), &Floors::default()).unwrap_err();
    let kept = first.keep_named(&refusal.named.unwrap());
    assert!(kept.grants.is_empty());
    assert_eq!(kept.policies.keys().collect::<Vec<_>>(), [&uid(WINDOW_UID)]);
    assert_eq!(kept.placement, first.placement, "the last good one stays");
    assert_eq!(kept.manifest.parts.len(), 2);
    assert_eq!(kept.envelopes.len(), 2);
    let nothing = first.keep_named(&BTreeSet::new());
    assert_eq!((nothing.placement, nothing.policies.len(), nothing.envelopes.len()), (None, 0, 0));
}

#[test]
fn without_the_fleet_part_there_is_no_right_accepted_or_refused() {
    let first = good();
    let second = accept_next(Some(&first), &without(&PartName::Fleet)).unwrap();
    assert_eq!(second.snapshot.fleet, None);
    assert_eq!(
        codes(&second),
        [policy_name(), window_name(), grant_name()].map(|name| (name, RefusalCode::NotInForce))
    );
    assert!(right_names(&second.snapshot, 15).is_empty());
    let named: BTreeSet<PartName> = all_names().into_iter().filter(|name| *name != PartName::Fleet).collect();
    let kept = first.snapshot.keep_named(&named);
    assert_eq!(kept.fleet, None);
    assert_eq!((kept.policies.len(), kept.grants.len(), kept.envelopes.len()), (2, 1, 4));
    assert!(right_names(&kept, 15).is_empty());
    let mut broken = without(&PartName::Fleet);
    broken[0].1.envelope.signatures.clear();
    let left = accept_next(Some(&first), &broken).unwrap_err().left.unwrap();
    assert_eq!((left.snapshot.fleet, left.snapshot.policies.len()), (None, 0));
}

#[test]
fn a_refused_manifest_leaves_what_it_names_of_what_was_in_force() {
    let first = good();
    let mut broken = replaced(without(&policy_name()), grant_name(), signed(fixture::grant(), 6));
    broken.last_mut().unwrap().1.envelope.signatures.clear();
    let refusal = accept_next(Some(&first), &broken).unwrap_err();
    let left = refusal.left.unwrap();
    assert_eq!(left.snapshot, first.snapshot.keep_named(&refusal.named.unwrap()));
    assert_eq!(right_names(&left.snapshot, 15), ["alice: er-7d2kq", "alice: night-maintenance"]);
    assert_eq!(accept_first(&broken).unwrap_err().left, None, "nothing was in force");
}

#[test]
fn a_bad_part_does_not_hold_up_a_lock_or_a_revocation() {
    let locked = |policy: &str| {
        let policies = [policy.parse().unwrap()].into();
        Locked { endpoints: None, accounts: None, policies, message: String::new() }
    };
    let first = good();
    let bad = || sign(fixture::policy(), header(6), &stranger()).unwrap();
    for (what, says, expected) in [
        ("lock", FleetBody { locked: vec![locked("night-maintenance")], ..fixture::fleet_part() }, "alice: er-7d2kq"),
        (
            "revocation",
            FleetBody {
                revoked: vec![Revoked { request: uid(REQUEST_UID), not_after: at(20) }],
                ..fixture::fleet_part()
            },
            "alice: night-maintenance",
        ),
        ("suspension", naming(&[(POLICY_UID, 5)]), "alice: er-7d2kq"),
    ] {
        let parts = replaced(with(policy_name(), bad()), PartName::Fleet, signed(says, 6));
        let left = accept_next(Some(&first), &parts).unwrap_err().left.unwrap();
        assert_eq!(right_names(&left.snapshot, 15), [expected], "{what}");
        assert!(left.snapshot.policies.contains_key(&uid(POLICY_UID)), "{what}: the good version stays");
        assert_eq!(left.floors.get(&PartName::Fleet), 6, "{what}");
        let stored = left.snapshot.to_body().unwrap();
        let restarted = accept(&stored, &ring(), &me(), None, &left.floors).unwrap();
        assert_eq!(restarted.snapshot, left.snapshot, "{what}");
    }
    let removed = PlacementBody { accounts: Vec::new(), ..placement() };
    let parts = replaced(with(policy_name(), bad()), PartName::Placement, signed(removed, 6));
    let left = accept_next(Some(&first), &parts).unwrap_err().left.unwrap();
    assert_eq!(
        right_names(&left.snapshot, 15),
        ["alice: er-7d2kq"],
        "the account is gone, and with it what was granted ahead"
    );
}

#[test]
fn what_is_not_proven_or_older_changes_nothing_of_what_is_left() {
    let first = good();
    let nothing = || naming(&[]);
    let of_old = sign(nothing(), Header { fleet: fleet_of_old(), ..header(6) }, &key()).unwrap();
    for (what, fleet) in [
        ("stranger", sign(nothing(), header(6), &stranger()).unwrap()),
        ("older", signed(nothing(), 4)),
        ("fleet of the same name", of_old),
    ] {
        let bad = sign(fixture::policy(), header(6), &stranger()).unwrap();
        let parts = replaced(with(policy_name(), bad), PartName::Fleet, fleet);
        let left = accept_next(Some(&first), &parts).unwrap_err().left.unwrap();
        assert_eq!((left.snapshot, left.floors), (first.snapshot.clone(), first.floors.clone()), "{what}");
    }
}
