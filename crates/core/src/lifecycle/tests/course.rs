//! The course of a request: to the second, and what stays as it was while things around it change.

use super::*;

#[test]
fn an_acceptable_request_waits_until_its_pending_timeout() {
    let world = World::pending();
    assert_eq!(world.wake, Some(at(3600)));
    assert_eq!(world.status().accepted_at, Some(at(0)));
    assert_eq!(world.status().identity.as_ref().unwrap().as_str(), "alice@corp");
    assert_eq!(world.events, [EventKind::Accepted]);
    assert!(world.status().message.contains("until 1970-01-12T14:46:40Z"), "{}", world.status().message);
}

#[test]
fn pending_times_out_to_the_second() {
    let mut world = World::pending();
    assert_eq!(world.step(3599), State::Pending);
    assert_eq!(world.step(3600), State::TimedOut);
    assert_eq!(world.wake, None);
}

#[test]
fn an_approval_after_the_time_out_is_recorded_and_does_not_count() {
    let mut world = World::pending();
    world.decide("bob@corp approve");
    assert_eq!(world.step(3600), State::TimedOut);
    assert_eq!(world.last_ignored().0, IgnoredReason::TooLate);
    assert!(world.signed.is_empty());
}

#[test]
fn an_approval_activates_signs_and_expires_to_the_second() {
    let mut world = World::active();
    assert_eq!(world.status().granted, Some(Interval { start: at(10), end: at(10 + 1800) }));
    let [grant] = world.signed.as_slice() else { panic!("{:?}", world.signed) };
    assert_eq!((grant.not_before, grant.not_after), (at(10), at(1810)));
    assert_eq!(grant.endpoint.uid.as_str(), "e-1");
    assert_eq!(world.wake, Some(at(1810)));
    assert_eq!(world.step(1809), State::Active);
    assert_eq!(world.step(1810), State::Expired);
    assert_eq!(world.events, [EventKind::Accepted, EventKind::Approved, EventKind::Activated, EventKind::Expired]);
    assert_eq!(world.signed.len(), 1);
}

#[test]
fn final_decisions_end_a_pending_request() {
    for (line, state, denied) in [
        ("bob@corp deny: no", State::Denied, true),
        ("bob@corp revoke", State::Denied, true),
        ("alice@corp end", State::Withdrawn, false),
    ] {
        let mut world = World::pending();
        world.decide(line);
        assert_eq!(world.step(5), state, "{line}");
        assert_eq!(world.status().denied, denied, "{line}");
        world.decide("bob@corp approve");
        assert_eq!(world.step(6), state, "{line}");
        assert_eq!(world.last_ignored().0, IgnoredReason::TooLate);
        assert!(world.signed.is_empty());
    }
}

#[test]
fn final_decisions_end_a_granted_request() {
    for (line, state, denied) in [
        ("bob@corp deny", State::Revoked, true),
        ("eve@corp revoke: stolen", State::Revoked, false),
        ("alice@corp end", State::Ended, false),
    ] {
        let mut world = World::active();
        world.decide(line);
        assert_eq!(world.step(20), state, "{line}");
        assert_eq!(world.status().denied, denied, "{line}");
        assert_eq!(world.step(1810), state, "{line}: a final state stays");
    }
}

#[test]
fn an_endpoint_that_cannot_be_read_at_first_sight_declines_nobody() {
    let mut world = World::new(request());
    world.endpoint = Lookup::Unreadable("spec.accounts[0].name".into());
    assert_eq!(step(&world.request, &world.context(), at(0)).status, None);
    world.endpoint = Lookup::Found(endpoint());
    assert_eq!(world.step(1), State::Pending);
}

#[test]
fn what_was_granted_ends_though_policy_and_endpoint_cannot_be_read() {
    for (line, state) in [("eve@corp revoke", State::Revoked), ("alice@corp end", State::Ended)] {
        let mut world = World::active();
        world.policy = Lookup::Unreadable("the API server does not say".into());
        world.endpoint = Lookup::Unreadable("the API server does not say".into());
        world.decide(line);
        assert_eq!(world.step(20), state);
    }
    let mut world = World::active();
    world.policy = Lookup::Unreadable("the API server does not say".into());
    assert_eq!(world.step(1810), State::Expired);
}

#[test]
fn a_later_start_is_scheduled_signed_one_hour_ahead_and_active_to_the_second() {
    let mut request = request();
    request.wish.start = Some(at(10_000));
    let mut world = World::new(request);
    world.step(0);
    world.decide("bob@corp approve");
    assert_eq!(world.step(5), State::Scheduled);
    assert_eq!(world.wake, Some(at(6_400)));
    assert!(world.signed.is_empty());
    assert_eq!(world.step(6_400), State::Scheduled);
    assert_eq!(world.signed.len(), 1);
    assert_eq!(world.wake, Some(at(10_000)));
    assert_eq!(world.step(9_999), State::Scheduled);
    assert_eq!(world.step(10_000), State::Active);
    assert_eq!(world.wake, Some(at(11_800)));
    assert_eq!(world.step(11_800), State::Expired);
    assert_eq!(world.signed.len(), 1);
}

#[test]
fn a_scheduled_request_nobody_looked_at_until_its_end_expires_unsigned() {
    let mut request = request();
    request.wish.start = Some(at(10_000));
    let mut world = World::new(request);
    world.step(0);
    world.decide("bob@corp approve");
    world.step(5);
    assert_eq!(world.step(20_000), State::Expired);
    assert!(world.signed.is_empty());
}

#[test]
fn a_policy_changed_before_the_signature_takes_a_scheduled_approval_back() {
    let mut request = request();
    request.wish.start = Some(at(10_000));
    let mut world = World::new(request);
    world.step(0);
    world.decide("bob@corp approve");
    world.step(5);
    let Lookup::Found(policy) = &mut world.policy else { unreachable!() };
    policy.rules.targets.accounts.everyone = false;
    assert_eq!(world.step(6_400), State::Revoked);
    assert!(world.signed.is_empty());
}

#[test]
fn a_policy_that_is_not_the_accepted_one_declines_a_pending_request() {
    let edits: [fn(&mut Policy); 2] = [
        |p| p.rules.targets.accounts.except.names = BTreeSet::from(["carol".parse().unwrap()]),
        |p| p.reference.uid = "p-2".parse().unwrap(),
    ];
    for edit in edits {
        let mut world = World::pending();
        let Lookup::Found(policy) = &mut world.policy else { unreachable!() };
        edit(policy);
        world.decide("bob@corp approve");
        assert_eq!(world.step(1), State::Declined);
        assert_eq!(world.status().declined, Some(DeclineReason::PolicyChanged));
        assert!(world.signed.is_empty());
    }
}

#[test]
fn a_policy_of_a_new_generation_with_the_same_rules_changes_nothing() {
    let mut world = World::pending();
    let Lookup::Found(policy) = &mut world.policy else { unreachable!() };
    policy.reference.generation = 7;
    world.decide("bob@corp approve");
    assert_eq!(world.step(1), State::Active);
}

#[test]
fn an_edited_policy_or_changed_labels_change_nothing_that_was_granted() {
    let mut world = World::active();
    let Lookup::Found(policy) = &mut world.policy else { unreachable!() };
    policy.rules.targets.accounts.everyone = false;
    let Lookup::Found(endpoint) = &mut world.endpoint else { unreachable!() };
    endpoint.labels.clear();
    assert_eq!(world.step(20), State::Active);
    world.policy = Lookup::Unreadable("spec.access: unknown type".into());
    assert_eq!(world.step(21), State::Active);
}

#[test]
fn a_grant_does_not_outlive_its_policy_or_endpoint() {
    type Edit = fn(&mut World);
    let cases: [(Edit, &str); 4] = [
        (|w| w.policy = Lookup::Missing, "JitPolicy dev-tools was deleted"),
        (|w| w.endpoint = Lookup::Missing, "ManagedEndpoint ws-042 was deleted"),
        (
            |w| {
                let mut other = policy();
                other.reference.uid = "p-2".parse().unwrap();
                w.policy = Lookup::Found(other);
            },
            "JitPolicy dev-tools was deleted",
        ),
        (
            |w| {
                let mut other = endpoint();
                other.reference.uid = "e-2".parse().unwrap();
                w.endpoint = Lookup::Found(other);
            },
            "ManagedEndpoint ws-042 was deleted",
        ),
    ];
    for (edit, wanted) in cases {
        let mut world = World::active();
        edit(&mut world);
        assert_eq!(world.step(20), State::Revoked);
        assert_eq!(world.status().message, wanted);
    }
}

#[test]
fn deleting_takes_back_what_a_request_holds() {
    let mut pending = World::pending();
    pending.request.deleting = true;
    assert_eq!(pending.step(1), State::Withdrawn);
    let mut active = World::active();
    active.request.deleting = true;
    assert_eq!(active.step(20), State::Revoked);
    let mut fresh = World::new(request());
    fresh.request.deleting = true;
    assert_eq!(step(&fresh.request, &fresh.context(), at(0)).status, None);
}

#[test]
fn an_endpoint_that_cannot_be_read_stops_approvals_and_loses_nothing() {
    let mut world = World::pending();
    world.endpoint = Lookup::Unreadable("spec.accounts[0].name".into());
    world.decide("bob@corp approve");
    assert_eq!(world.step(1), State::Pending);
    assert!(world.status().decisions.is_empty());
    world.endpoint = Lookup::Found(endpoint());
    assert_eq!(world.step(2), State::Active);
}
