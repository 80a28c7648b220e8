//! One case per edge of the state table.

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
fn the_granted_duration_is_the_approvers_else_the_askers_else_the_default() {
    for (asked, line, seconds) in [
        (None, "bob@corp approve", 1800),
        (Some(600), "bob@corp approve", 600),
        (Some(600), "bob@corp approve for=5m", 300),
        (Some(600), "bob@corp approve for=2h", 7200),
    ] {
        let mut request = request();
        request.wish.duration = asked.map(Duration::from_secs);
        let mut world = World::new(request);
        world.step(0);
        world.decide(line);
        world.step(0);
        assert_eq!(world.status().granted.unwrap().end, at(seconds), "{asked:?} {line}");
    }
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
fn nobody_approves_for_themselves_on_any_path() {
    for (who, wanted) in [
        ("alice@corp", "alice@corp asked for it"),
        ("alice-admin@corp", "is the person behind \"alice\" on ws-042"),
        ("olga@corp", "owns ws-042"),
    ] {
        let mut world = World::pending();
        world.decide(&format!("{who} approve"));
        assert_eq!(world.step(1), State::Pending);
        let (reason, message) = world.last_ignored();
        assert_eq!(reason, IgnoredReason::SelfApproval);
        assert!(message.contains(wanted), "{message}");
        assert!(world.signed.is_empty());
        // A decision that did not count locks nobody out.
        world.decide("bob@corp approve");
        assert_eq!(world.step(2), State::Active);
    }
}

#[test]
fn asked_on_behalf_neither_the_asker_nor_the_person_approves() {
    for who in ["help@corp", "alice@corp", "alice-admin@corp"] {
        let mut request = request();
        request.wish.requester = "help@corp".parse().unwrap();
        request.wish.on_behalf = true;
        let mut world = World::new(request);
        assert_eq!(world.step(0), State::Pending);
        world.decide(&format!("{who} approve"));
        assert_eq!(world.step(1), State::Pending, "{who}");
        assert_eq!(world.last_ignored().0, IgnoredReason::SelfApproval);
    }
}

#[test]
fn being_taken_off_the_account_makes_nobody_an_approver() {
    let mut request = request();
    request.wish.requester = "help@corp".parse().unwrap();
    request.wish.on_behalf = true;
    let mut world = World::new(request);
    world.step(0);
    let Lookup::Found(endpoint) = &mut world.endpoint else { unreachable!() };
    endpoint.accounts.get_mut(&"alice".parse().unwrap()).unwrap().identities = vec!["zoe@corp".parse().unwrap()];
    world.decide("alice@corp approve");
    assert_eq!(world.step(1), State::Pending);
    assert_eq!(world.last_ignored().0, IgnoredReason::SelfApproval);
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
fn approvals_outside_the_terms_do_not_count_and_say_what_would() {
    for (line, reason, wanted) in [
        (
            "bob@corp approve for=48h",
            IgnoredReason::DurationOutOfRange,
            "48h is above the maximum of 4h in dev-tools; this approval does not count. Approve again with 4h or less",
        ),
        ("bob@corp approve for=5s", IgnoredReason::DurationOutOfRange, "5s is below the minimum of 1m in dev-tools"),
        (
            "bob@corp approve stage=security",
            IgnoredReason::UnknownStage,
            "dev-tools has no stage security; its only stage is default",
        ),
        ("bob@corp deny stage=security", IgnoredReason::UnknownStage, "Decide again without stage="),
        ("nonsense", IgnoredReason::Malformed, "a decision must read"),
    ] {
        let mut world = World::pending();
        world.decide(line);
        assert_eq!(world.step(1), State::Pending);
        let (got, message) = world.last_ignored();
        assert_eq!(got, reason, "{line}");
        assert!(message.contains(wanted), "{message}");
        assert_eq!(world.events, [EventKind::Accepted, EventKind::DecisionIgnored]);
        world.step(2);
        assert_eq!(world.events.len(), 2, "an ignored decision is told once");
    }
}

#[test]
fn the_default_stage_may_be_named() {
    let mut world = World::pending();
    world.decide("bob@corp approve stage=default");
    assert_eq!(world.step(1), State::Active);
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
fn each_reason_against_a_request_declines_it_with_a_text_that_helps() {
    type Edit = fn(&mut World);
    let cases: [(DeclineReason, Edit, &str); 11] = [
        (DeclineReason::PolicyNotFound, |w| w.policy = Lookup::Missing, "no JitPolicy dev-tools"),
        (DeclineReason::PolicyNotReady, |w| w.policy = Lookup::Unreadable("bad window".into()), "bad window"),
        (
            DeclineReason::PolicyNotOnRequest,
            |w| {
                let mut p = policy();
                p.rules.access = Access::Window { window: Interval { start: at(0), end: at(9) } };
                w.policy = Lookup::Found(p);
            },
            "takes no requests",
        ),
        (DeclineReason::EndpointNotFound, |w| w.endpoint = Lookup::Missing, "no ManagedEndpoint ws-042"),
        (
            DeclineReason::EndpointNotTargeted,
            |w| {
                let mut e = endpoint();
                e.labels.clear();
                w.endpoint = Lookup::Found(e);
            },
            "ws-042 is not among the endpoints that dev-tools targets",
        ),
        (
            DeclineReason::AccountNotTargeted,
            |w| {
                let mut p = policy();
                p.rules.targets.accounts.except.names = BTreeSet::from(["alice".parse().unwrap()]);
                w.policy = Lookup::Found(p);
            },
            "\"alice\" on ws-042 is not among the accounts",
        ),
        (
            DeclineReason::AccountUnknown,
            |w| w.request.wish.account = "root".parse().unwrap(),
            "there alice@corp is \"alice\"",
        ),
        (
            DeclineReason::RequesterNotAccount,
            |w| w.request.wish.requester = "mallory@corp".parse().unwrap(),
            "mallory@corp is not the person behind \"alice\"",
        ),
        (DeclineReason::ReasonRequired, |w| w.request.wish.reason = "   ".into(), "requires a reason of at least 10"),
        (
            DeclineReason::ReasonTooShort,
            |w| w.request.wish.reason = " because  ".into(),
            "7 characters are fewer than the 10",
        ),
        (
            DeclineReason::DurationOutOfRange,
            |w| w.request.wish.duration = Some(Duration::from_secs(36 * 3600)),
            "36h is above the maximum of 4h in dev-tools; ask for 4h or less",
        ),
    ];
    for (reason, edit, wanted) in cases {
        let mut world = World::new(request());
        edit(&mut world);
        assert_eq!(world.step(0), State::Declined, "{reason}");
        assert_eq!(world.status().declined, Some(reason));
        assert!(world.status().message.contains(wanted), "{reason}: {}", world.status().message);
        world.decide("bob@corp approve");
        assert_eq!(world.step(1), State::Declined);
        assert!(world.signed.is_empty());
    }
}

#[test]
fn a_start_more_than_seven_days_ahead_is_declined() {
    let mut request = request();
    request.wish.start = Some(at(7 * 86_400 + 1));
    let mut world = World::new(request.clone());
    assert_eq!(world.step(0), State::Declined);
    assert_eq!(world.status().declined, Some(DeclineReason::StartTimeOutOfRange));
    request.wish.start = Some(at(7 * 86_400));
    assert_eq!(World::new(request).step(0), State::Pending);
}

#[test]
fn an_unknown_account_is_never_guessed() {
    let mut bare = endpoint();
    bare.accounts.insert("alice".parse().unwrap(), AccountEntry::default());
    let mut world = World::new(request());
    world.endpoint = Lookup::Found(bare);
    assert_eq!(world.step(0), State::Declined);
    assert_eq!(world.status().declined, Some(DeclineReason::AccountUnknown));
    assert!(world.status().message.contains("{name: alice, identities: [<user name>]}"));
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
