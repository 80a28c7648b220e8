//! What the admission guard's word and the record's own truth do to a request.

use super::*;
use crate::approval::rule::AutomaticRule;
use crate::elevation::Mode;
use crate::endpoint::Agent;
use crate::target::Platform;

#[test]
fn without_the_guard_a_request_is_held_and_goes_on_by_itself() {
    let mut world = World::new(request());
    world.guard = waiting();
    assert_eq!(world.step(0), State::Held);
    assert_eq!(world.wake, None);
    assert!(world.status().message.contains("checking the admission policies"));
    assert_eq!(world.status().accepted_at, None);
    world.guard = Guard::Passed;
    assert_eq!(world.step(500), State::Pending);
    assert_eq!(world.status().accepted_at, Some(at(500)), "the wait does not eat the pending timeout");
}

#[test]
fn decisions_on_a_held_request_wait_and_are_not_lost() {
    for (line, state) in
        [("bob@corp approve", State::Active), ("bob@corp deny", State::Denied), ("alice@corp end", State::Withdrawn)]
    {
        let mut world = World::new(request());
        world.guard = waiting();
        world.step(0);
        world.decide(line);
        assert_eq!(world.step(1), State::Held);
        assert!(world.status().decisions.is_empty() && !world.request.is_taken_up());
        world.guard = Guard::Passed;
        assert_eq!(world.step(2), state, "{line}");
        assert!(world.request.is_taken_up());
        world.decide("bob@corp revoke");
        assert!(!world.request.is_taken_up());
    }
}

#[test]
fn a_request_made_while_unprotected_is_declined_after_the_repair() {
    let mut world = World::new(request());
    world.guard = open();
    assert_eq!(world.step(0), State::Held);
    world.guard = Guard::Repaired;
    assert_eq!(world.step(1), State::Declined);
    assert_eq!(world.status().declined, Some(DeclineReason::AdmissionUnprotected));
}

#[test]
fn a_start_is_judged_when_a_held_request_is() {
    let mut request = request();
    request.wish.start = Some(at(7 * 86_400 + 10));
    let mut world = World::new(request);
    world.guard = waiting();
    world.step(0);
    world.guard = Guard::Passed;
    assert_eq!(world.step(1), State::Declined);
    assert_eq!(world.status().declined, Some(DeclineReason::StartTimeOutOfRange));
}

#[test]
fn an_approval_waits_for_the_guard_and_then_counts() {
    let mut world = World::pending();
    world.guard = waiting();
    world.decide("bob@corp approve");
    assert_eq!(world.step(1), State::Pending);
    assert!(world.status().decisions.is_empty());
    world.guard = Guard::Passed;
    assert_eq!(world.step(2), State::Active);
}

#[test]
fn an_approval_given_while_unprotected_never_counts() {
    for guard in [open(), Guard::Repaired] {
        let mut world = World::pending();
        world.guard = guard;
        world.decide("bob@corp approve");
        assert_eq!(world.step(1), State::Pending);
        assert_eq!(world.last_ignored(), (IgnoredReason::AdmissionUnprotected, UNPROTECTED));
        world.guard = Guard::Passed;
        assert_eq!(world.step(2), State::Pending);
        world.decide("bob@corp approve");
        assert_eq!(world.step(3), State::Active, "it can be given again");
    }
}

#[test]
fn what_ends_access_never_waits_for_the_guard() {
    for guard in [waiting(), open(), Guard::Repaired] {
        for (line, state) in
            [("eve@corp revoke", State::Revoked), ("bob@corp deny", State::Revoked), ("alice@corp end", State::Ended)]
        {
            let mut world = World::active();
            world.guard = guard.clone();
            world.decide(line);
            assert_eq!(world.step(20), state, "{guard:?} {line}");
        }
        let mut world = World::active();
        world.guard = guard.clone();
        assert_eq!(world.step(1810), State::Expired, "{guard:?}");
        let mut pending = World::pending();
        pending.guard = guard;
        assert_eq!(pending.step(3600), State::TimedOut);
    }
}

#[test]
fn a_record_that_does_not_follow_from_the_decisions_grants_nothing() {
    let forgeries: [fn(&mut World); 4] = [
        |w| w.request.decisions.clear(),
        |w| w.request.status.as_mut().unwrap().decisions.clear(),
        |w| w.request.status.as_mut().unwrap().granted.as_mut().unwrap().end = at(99_999),
        |w| drop(w.request.decisions.insert(1, "bob@corp deny".into())),
    ];
    for forge in forgeries {
        let mut world = World::scheduled();
        forge(&mut world);
        assert_eq!(world.step(10_000), State::Revoked);
        assert!(world.signed.is_empty());
    }
    // Out of nothing, as somebody who may write status could have it.
    let mut world = World::pending();
    let status = world.request.status.as_mut().unwrap();
    status.state = State::Active;
    status.granted = Some(Interval { start: at(0), end: at(99_999) });
    assert_eq!(world.step(10), State::Revoked);
    assert!(world.signed.is_empty());
}

#[test]
fn after_a_gap_an_approval_that_is_not_signed_is_taken_back() {
    let mut world = World::scheduled();
    assert!(!world.request.is_taken_up());
    world.guard = Guard::Repaired;
    assert_eq!(world.step(20), State::Revoked);
    let mut signed = World::active();
    signed.guard = Guard::Repaired;
    assert_eq!(signed.step(20), State::Active);
}

#[test]
fn nothing_new_starts_without_the_guard() {
    for guard in [waiting(), open()] {
        let mut request = request();
        request.wish.start = Some(at(10_000));
        let mut world = World::new(request);
        world.step(0);
        world.decide("bob@corp approve");
        world.step(5);
        world.guard = guard;
        assert_eq!(world.step(10_000), State::Scheduled);
        assert!(world.signed.is_empty());
        world.guard = Guard::Passed;
        assert_eq!(world.step(10_100), State::Active);
        assert_eq!(world.signed.len(), 1);
        assert_eq!(world.signed[0].not_after, at(11_800), "the end stays where it was");
    }
}

#[test]
fn a_grant_waits_for_a_policy_that_cannot_be_read() {
    let mut request = request();
    request.wish.start = Some(at(10_000));
    let mut world = World::new(request);
    world.step(0);
    world.decide("bob@corp approve");
    world.step(5);
    let readable = std::mem::replace(&mut world.policy, Lookup::Unreadable("spec.access".into()));
    assert_eq!(world.step(10_000), State::Scheduled);
    world.policy = readable;
    assert_eq!(world.step(10_001), State::Active);
}

#[test]
fn what_a_rule_approved_waits_for_an_endpoint_that_cannot_be_read() {
    let mut request = request();
    request.wish.start = Some(at(10_000));
    let program = serde_json::json!({"path": "/opt/toolchain/setup"});
    request.wish.application = Some(serde_json::from_value(program).unwrap());
    let mut world = World::new(request);
    world.endpoint().agent = Some(Agent { platform: Some(Platform::MacOs), ..Agent::default() });
    let item = serde_json::json!({"name": "toolchain", "folderPath": {"path": "/opt/Toolchain/**"}});
    let elevation = &mut world.policy().rules.elevation;
    elevation.mode = Mode::Application;
    elevation.applications = vec![serde_json::from_value(item).unwrap()];
    world.policy().rules.approval.automatic = vec![AutomaticRule {
        name: "toolchain".parse().unwrap(),
        accounts: None,
        endpoints: None,
        applications: vec!["toolchain".parse().unwrap()],
        max_duration: None,
    }];
    assert_eq!(world.step(0), State::Scheduled, "{}", world.status().message);
    let readable = std::mem::replace(&mut world.endpoint, Lookup::Unreadable("spec.accounts".into()));
    assert_eq!(world.step(10_000), State::Scheduled);
    world.endpoint = readable;
    assert_eq!(world.step(10_001), State::Active);
}
