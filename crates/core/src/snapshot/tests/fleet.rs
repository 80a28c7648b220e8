//! The fleet part: what it does not name, or calls revoked, is not in force, however long a gateway keeps it in.

use super::*;
use crate::fleet::Revoked;
use crate::grant::Requires;

#[test]
fn an_older_fleet_part_is_a_rollback_and_the_newer_one_stays() {
    let revoked = vec![Revoked { request: uid(REQUEST_UID), not_after: at(20) }];
    let newer = FleetBody { revoked, ..naming(&[(POLICY_UID, 5)]) };
    let second = accept_first(&with(PartName::Fleet, signed(newer.clone(), 6))).unwrap();
    let third = accept_next(Some(&second), &parts()).unwrap();
    let not_in_force = |name| (name, RefusalCode::NotInForce);
    let expected = [(PartName::Fleet, RefusalCode::Rollback), not_in_force(window_name()), not_in_force(grant_name())];
    assert_eq!(codes(&third), expected);
    assert_eq!(third.snapshot.fleet.as_ref().map(|fleet| &fleet.body), Some(&newer));
    assert!(right_names(&third.snapshot, 15).is_empty());
    let restarted = accept(&third.snapshot.to_body().unwrap(), &ring(), &me(), None, &third.floors).unwrap();
    assert_eq!((restarted.snapshot, restarted.refused), (third.snapshot, Vec::new()));
}

#[test]
fn a_fleet_part_left_out_and_brought_back_older_stays_absent() {
    let second = accept_first(&with(PartName::Fleet, signed(naming(&[]), 6))).unwrap();
    let third = accept_next(Some(&second), &without(&PartName::Fleet)).unwrap();
    assert_eq!(third.floors.get(&PartName::Fleet), 6, "its floor stays");
    let fourth = accept_next(Some(&third), &parts()).unwrap();
    assert_eq!(codes(&fourth)[0], (PartName::Fleet, RefusalCode::Rollback));
    assert_eq!(fourth.snapshot.fleet, None);
    assert!(right_names(&fourth.snapshot, 15).is_empty());
}

#[test]
fn a_policy_that_the_fleet_part_does_not_name_is_not_in_force() {
    let without_window = with(PartName::Fleet, signed(naming(&[(POLICY_UID, 5)]), 6));
    for before in [None, Some(good())] {
        let accepted = accept_next(before.as_ref(), &without_window).unwrap();
        assert_eq!(codes(&accepted), [(window_name(), RefusalCode::NotInForce)]);
        assert!(!accepted.snapshot.policies.contains_key(&uid(WINDOW_UID)), "nor the version that was in use");
        assert_eq!(accepted.snapshot.manifest.part(&window_name()), None);
        assert_eq!(right_names(&accepted.snapshot, 15), ["alice: er-7d2kq"]);
    }
}

#[test]
fn an_edit_opens_no_gap_the_previous_version_stays_until_the_fleet_part_names_the_new_one() {
    let longer = PolicyBody {
        access: crate::access::Access::Window { window: Interval { start: at(100), end: at(250) } },
        ..fixture::window()
    };
    let ends = |acceptance: &Acceptance| {
        acceptance.snapshot.rights(at(150)).iter().map(|r| r.interval.end).collect::<Vec<_>>()
    };
    let first = good();
    let early = with(window_name(), signed(longer.clone(), 6));
    let second = accept_next(Some(&first), &early).unwrap();
    assert_eq!(codes(&second), [(window_name(), RefusalCode::NotInForce)]);
    assert_eq!(second.refused[0].message, "it is version 6, and the fleet part names version 5");
    assert_eq!(ends(&second), [at(200)], "the version in force stays");
    assert_eq!(second.snapshot, first.snapshot);
    assert_eq!(second.floors, first.floors, "what is not in force raises no floor");
    let fresh = accept_first(&early).unwrap();
    assert_eq!((ends(&fresh), fresh.floors.get(&window_name())), (vec![], 0), "without it nothing is in force");
    let named = replaced(early, PartName::Fleet, signed(naming(&[(POLICY_UID, 5), (WINDOW_UID, 6)]), 6));
    let third = accept_next(Some(&second), &named).unwrap();
    assert_eq!((codes(&third), ends(&third)), (vec![], vec![at(250)]));
}

#[test]
fn an_older_version_of_a_policy_ends_once_the_fleet_part_names_a_newer_one() {
    let first = good();
    let named = with(PartName::Fleet, signed(naming(&[(POLICY_UID, 5), (WINDOW_UID, 6)]), 6));
    let second = accept_next(Some(&first), &named).unwrap();
    assert_eq!(codes(&second), [(window_name(), RefusalCode::NotInForce)]);
    assert_eq!(right_names(&second.snapshot, 15), ["alice: er-7d2kq"]);
}

#[test]
fn a_revoked_grant_is_not_in_force_though_it_is_kept_in() {
    let revoking = |request: &str| {
        let revoked = vec![Revoked { request: uid(request), not_after: at(20) }];
        with(PartName::Fleet, signed(FleetBody { revoked, ..fixture::fleet_part() }, 6))
    };
    for before in [None, Some(good())] {
        let accepted = accept_next(before.as_ref(), &revoking(REQUEST_UID)).unwrap();
        assert_eq!(codes(&accepted), [(grant_name(), RefusalCode::NotInForce)]);
        assert_eq!(right_names(&accepted.snapshot, 15), ["alice: night-maintenance"]);
        assert_eq!(codes(&accept_next(before.as_ref(), &revoking("another")).unwrap()), []);
    }
}

#[test]
fn a_grant_wants_parts_that_are_as_new_as_when_it_was_signed() {
    for (placement, fleet, used) in [(5, 5, true), (0, 0, true), (6, 5, false), (5, 6, false)] {
        let grant = GrantBody { requires: fixture::requires(placement, fleet), ..fixture::grant() };
        let accepted = accept_first(&with(grant_name(), signed(grant, 5))).unwrap();
        let expected = (!used).then(|| (grant_name(), RefusalCode::NotInForce));
        assert_eq!(codes(&accepted), Vec::from_iter(expected), "{placement} {fleet}");
        assert_eq!(accepted.snapshot.grants.is_empty(), !used);
    }
    let without_placement = accept_first(&without(&PartName::Placement)).unwrap();
    assert_eq!(codes(&without_placement), [(grant_name(), RefusalCode::NotInForce)]);
}

#[test]
fn a_grant_of_before_is_void_and_one_of_after_is_in_force_though_both_are_of_the_same_second() {
    // Everything here is issued at the same instant: what tells them apart is beside which part each was signed.
    let fleet = |object: &str, void_below| FleetBody { object: uid(object), void_below, ..fixture::fleet_part() };
    let grant = |object: &str, fleet| GrantBody {
        requires: Requires { object: uid(object), ..fixture::requires(5, fleet) },
        ..fixture::grant()
    };
    let same = fixture::FLEET_UID;
    for (what, object, signed_beside, used) in [
        ("the part before the one that voids", same, 5, false),
        ("the part that voids", same, 6, true),
        ("a part of the Fleet that was deleted", "deleted", 6, false),
    ] {
        let parts = replaced(
            with(PartName::Fleet, signed(fleet(same, 6), 6)),
            grant_name(),
            signed(grant(object, signed_beside), 5),
        );
        let first = accept_first(&parts).unwrap();
        assert_eq!(first.snapshot.grants.is_empty(), !used, "{what}");
        assert_eq!(codes(&first), Vec::from_iter((!used).then(|| (grant_name(), RefusalCode::NotInForce))), "{what}");
    }
    for anew in [fleet(same, 6), fleet("made-anew", 0)] {
        let next = accept_next(Some(&good()), &with(PartName::Fleet, signed(anew, 6))).unwrap();
        assert_eq!(next.refused[0].message, "the fleet part calls every grant of its time void");
        assert_eq!(right_names(&next.snapshot, 15), ["alice: night-maintenance"], "what was in use ends");
    }
}

#[test]
fn a_policy_without_a_placement_is_kept_and_gives_no_right() {
    let parts: Parts = without(&PartName::Placement).into_iter().filter(|(name, _)| *name != grant_name()).collect();
    let accepted = accept_first(&parts).unwrap();
    assert_eq!((codes(&accepted), accepted.snapshot.policies.len()), (vec![], 2));
    assert!(right_names(&accepted.snapshot, 15).is_empty());
}

#[test]
fn a_fleet_part_that_is_not_understood_counts_as_absent_its_older_version_too() {
    let bytes = String::from_utf8(signed(fixture::fleet_part(), 6).envelope.payload).unwrap();
    let richer = bytes.replacen("\"freshness\"", "\"curfew\":true,\"freshness\"", 1);
    let parts = with(PartName::Fleet, payload(PartKind::Fleet, &richer, &key()));
    let accepted = accept_next(Some(&good()), &parts).unwrap();
    assert_eq!(codes(&accepted)[0], (PartName::Fleet, RefusalCode::UnknownRule));
    assert_eq!(accepted.snapshot.fleet, None);
    assert!(right_names(&accepted.snapshot, 15).is_empty());
}
