//! One case per edge of the state table, then properties over random histories.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::decision::Verb;
use crate::endpoint::AccountEntry;
use crate::guard::UNPROTECTED;
use crate::interval::{Interval, Position, parse_duration};
use crate::name::{EndpointName, Named};
use crate::policy::{Access, DurationRule, Elevation, Mode, OnRequest, PolicyRef, ReasonRule, Rules};
use crate::reason::{DeclineReason, IgnoredReason};
use crate::request::Wish;
use crate::state::State;
use crate::target::{AccountTarget, EndpointTarget, Selector, Targets};

const T0: i64 = 1_000_000;

fn at(second: i64) -> Instant {
    Instant::from_second(T0 + second)
}

fn policy() -> Policy {
    let duration = |text: &str| parse_duration(text).unwrap();
    Policy {
        reference: PolicyRef { name: "dev-tools".parse().unwrap(), uid: "p-1".parse().unwrap(), generation: 1 },
        rules: Rules {
            targets: Targets {
                endpoints: EndpointTarget::Selector(Selector {
                    match_labels: BTreeMap::from([("team".to_owned(), "dev".to_owned())]),
                    match_expressions: Vec::new(),
                }),
                accounts: AccountTarget { everyone: true, ..AccountTarget::default() },
            },
            elevation: Elevation { mode: Mode::AnyApplication },
            access: Access::OnRequest {
                on_request: OnRequest {
                    reason: ReasonRule { required: true, min_length: 10 },
                    duration: DurationRule { min: duration("1m"), max: duration("4h"), default: duration("30m") },
                    pending_timeout: duration("1h"),
                },
            },
        },
    }
}

fn endpoint() -> Endpoint {
    let person = AccountEntry {
        identities: vec!["alice@corp".parse().unwrap(), "alice-admin@corp".parse().unwrap()],
        groups: BTreeSet::new(),
    };
    Endpoint {
        reference: Named { name: "ws-042".parse::<EndpointName>().unwrap(), uid: "e-1".parse().unwrap() },
        labels: BTreeMap::from([("team".to_owned(), "dev".to_owned())]),
        owner: Some("olga@corp".parse().unwrap()),
        accounts: BTreeMap::from([("alice".parse().unwrap(), person)]),
    }
}

fn request() -> Request {
    Request {
        reference: Named { name: "er-1".parse().unwrap(), uid: "r-1".parse().unwrap() },
        wish: Wish {
            policy: "dev-tools".parse().unwrap(),
            endpoint: "ws-042".parse().unwrap(),
            account: "alice".parse().unwrap(),
            requester: "alice@corp".parse().unwrap(),
            on_behalf: false,
            duration: None,
            reason: "Installing the toolchain".into(),
            start: None,
        },
        decisions: BTreeMap::new(),
        deleting: false,
        status: None,
    }
}

/// A small world in which time passes and people decide.
struct World {
    request: Request,
    policy: Lookup<Policy>,
    endpoint: Lookup<Endpoint>,
    guard: Guard,
    events: Vec<EventKind>,
    signed: Vec<GrantBody>,
    wake: Option<Instant>,
}

impl World {
    fn new(request: Request) -> Self {
        Self {
            request,
            policy: Lookup::Found(policy()),
            endpoint: Lookup::Found(endpoint()),
            guard: Guard::Passed,
            events: Vec::new(),
            signed: Vec::new(),
            wake: None,
        }
    }

    /// A world in which a request was accepted at second 0.
    fn pending() -> Self {
        let mut world = Self::new(request());
        assert_eq!(world.step(0), State::Pending);
        world
    }

    /// A world in which a request is Active since second 10, for 30 minutes.
    fn active() -> Self {
        let mut world = Self::pending();
        world.decide("bob@corp approve");
        assert_eq!(world.step(10), State::Active);
        world
    }

    fn context(&self) -> Context<'_> {
        Context { policy: &self.policy, endpoint: &self.endpoint, guard: &self.guard }
    }

    fn decide(&mut self, line: &str) {
        let slot = u32::try_from(self.request.decisions.len()).unwrap() + 1;
        self.request.decisions.insert(slot, line.into());
    }

    fn step(&mut self, second: i64) -> State {
        let step = step(&self.request, &self.context(), at(second));
        self.events.extend(step.events.iter().map(|e| e.kind));
        self.signed.extend(step.sign);
        self.wake = step.wake;
        self.request.status = step.status;
        self.status().state
    }

    fn status(&self) -> &Status {
        self.request.status.as_ref().unwrap()
    }

    fn last_ignored(&self) -> (IgnoredReason, &str) {
        let (reason, message) = self.status().decisions.last().unwrap().ignored.as_ref().unwrap();
        (*reason, message)
    }
}

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

fn waiting() -> Guard {
    Guard::Waiting("checking the admission policies".into())
}

fn open() -> Guard {
    Guard::Open("ValidatingAdmissionPolicy decisions.tidegate.dev is missing".into())
}

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

/// A request approved for a start far ahead, so not signed yet.
fn scheduled() -> World {
    let mut request = request();
    request.wish.start = Some(at(10_000));
    let mut world = World::new(request);
    world.step(0);
    world.decide("bob@corp approve");
    assert_eq!(world.step(5), State::Scheduled);
    world
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
        let mut world = scheduled();
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
    let mut world = scheduled();
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

// === properties ===

#[derive(Debug, Clone)]
enum Happening {
    Decide(String),
    Look(i64),
    Delete,
    EditPolicy,
    Guard(Guard),
}

fn happening() -> impl Strategy<Value = Happening> {
    let people = prop::sample::select(vec!["alice@corp", "alice-admin@corp", "olga@corp", "bob@corp", "carol@corp"]);
    let words = prop::sample::select(vec![
        "approve",
        "approve for=5m",
        "approve for=48h",
        "approve stage=x",
        "deny",
        "revoke",
        "end",
        "garbage",
    ]);
    prop_oneof![
        5 => (people, words).prop_map(|(who, word)| Happening::Decide(format!("{who} {word}"))),
        6 => (-5_000i64..20_000).prop_map(Happening::Look),
        1 => Just(Happening::Delete),
        1 => Just(Happening::EditPolicy),
        2 => prop::sample::select(vec![Guard::Passed, waiting(), open(), Guard::Repaired]).prop_map(Happening::Guard),
    ]
}

fn wish_start() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(-100i64..15_000)
}

fn others_approved(status: &Status) -> bool {
    let banned = ["alice@corp", "alice-admin@corp", "olga@corp"];
    status.decisions.iter().any(|d| {
        d.ignored.is_none()
            && d.verb == Some(Verb::Approve)
            && d.by.as_ref().is_some_and(|by| !banned.contains(&by.as_str()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_history_breaks_the_invariants(start in wish_start(), history in prop::collection::vec(happening(), 0..25)) {
        let mut request = request();
        request.wish.start = start.map(at);
        let mut world = World::new(request);
        world.step(0);
        let mut ended: Option<State> = None;
        for happening in history {
            match happening {
                Happening::Decide(line) => world.decide(&line),
                Happening::Delete => world.request.deleting = true,
                Happening::Guard(guard) => world.guard = guard,
                Happening::EditPolicy => {
                    if let Lookup::Found(p) = &mut world.policy {
                        p.rules.targets.accounts.except.names.insert("zoe".parse().unwrap());
                    }
                }
                Happening::Look(second) => {
                    let (believed, granted) = (world.guard == Guard::Passed, others_approved(world.status()));
                    let state = world.step(second);
                    let status = world.status();
                    if !granted && others_approved(status) {
                        prop_assert!(believed, "an approval counted without the guard");
                    }
                    if let Some(ended) = ended {
                        prop_assert_eq!(state, ended, "a final state is final");
                    }
                    ended = state.is_final().then_some(state);
                    if state.is_granted() || !world.signed.is_empty() {
                        prop_assert!(others_approved(status), "granted without another's approval");
                    }
                    if state == State::Active {
                        prop_assert!(status.granted.unwrap().position(at(second)) == Position::Inside);
                        prop_assert!(status.signed, "Active is written together with its grant");
                    }
                    prop_assert!(world.signed.len() <= 1, "signed twice");
                    if let Some(wake) = world.wake {
                        prop_assert!(wake > at(second), "a wake that is due already would spin");
                    }
                }
            }
        }
    }

    #[test]
    fn folding_at_once_or_one_by_one_gives_the_same_result(
        lines in prop::collection::vec(happening(), 0..10), repeats in 1usize..3,
    ) {
        let lines: Vec<String> = lines.into_iter().filter_map(|h| match h {
            Happening::Decide(line) => Some(line),
            Happening::Look(_) | Happening::Delete | Happening::EditPolicy | Happening::Guard(_) => None,
        }).collect();
        let mut once = World::pending();
        let mut each = World::pending();
        for line in &lines {
            once.decide(line);
            each.decide(line);
            for _ in 0..repeats {
                each.step(60);
            }
        }
        once.step(60);
        each.step(60);
        let plain = |world: &World| {
            let s = world.status();
            (s.state, s.denied, s.granted, s.decisions.clone())
        };
        prop_assert_eq!(plain(&once), plain(&each));
    }

    #[test]
    fn a_repeated_step_changes_nothing(second in 0i64..10_000, line in "(bob@corp|alice@corp) (approve|deny|end|revoke)") {
        let mut world = World::pending();
        world.decide(&line);
        world.step(second);
        let (before, events) = (world.status().clone(), world.events.len());
        world.step(second);
        prop_assert_eq!(&before, world.status());
        prop_assert_eq!(events, world.events.len());
    }
}
