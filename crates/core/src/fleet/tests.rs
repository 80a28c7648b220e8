//! What a fleet part says at a given time, that the order of things never shows in it, and when it has to say something else.

use proptest::prelude::*;

use super::*;
use crate::endpoint::AccountEntry;
use crate::envelope::fixture::{self, at, uid};
use crate::grant::Requires;
use crate::lock::LockTarget;
use crate::name::{EndpointName, Named};

fn settings() -> Settings {
    Settings::default()
}

/// The Fleet that everything here is said of.
fn object() -> Uid {
    uid("fleet-object")
}

fn lock(name: &str, effect: Effect, target: LockTarget) -> Lock {
    Lock { name: name.parse().unwrap(), target, effect, message: format!("because of {name}"), expires_at: None }
}

fn ending(name: &str, target: LockTarget) -> Lock {
    lock(name, Effect::EndAccess, target)
}

fn identities(people: &[&str]) -> LockTarget {
    LockTarget { identities: people.iter().map(|person| person.parse().unwrap()).collect(), ..LockTarget::default() }
}

/// An endpoint of uid `uid-<name>` with these accounts and the people behind them.
fn endpoint(name: &str, accounts: &[(&str, &[&str])]) -> Endpoint {
    let entry = |people: &[&str]| AccountEntry {
        identities: people.iter().map(|person| person.parse().unwrap()).collect(),
        groups: BTreeSet::new(),
    };
    Endpoint {
        reference: Named { name: name.parse::<EndpointName>().unwrap(), uid: uid(&format!("uid-{name}")) },
        labels: [].into(),
        owner: None,
        people: Vec::new(),
        accounts: accounts.iter().map(|(account, people)| (account.parse().unwrap(), entry(people))).collect(),
        agent: None,
    }
}

fn in_force(policy: &str, sequence: u64) -> PolicyInForce {
    PolicyInForce { uid: uid(policy), sequence }
}

fn revoked(request: &str, until: i64) -> Revoked {
    Revoked { request: uid(request), not_after: at(until) }
}

fn locked_at(locks: &[Lock], second: i64) -> Vec<String> {
    let body = settings().compile(&object(), FleetView { locks, ..FleetView::default() }, at(second));
    body.locked.into_iter().map(|locked| locked.message).collect()
}

// === what is in it ===

#[test]
fn policies_are_found_by_uid_and_hold_at_their_sequence_only() {
    let policies = vec![in_force("c", 3), in_force("a", 1), in_force("b", 2)];
    let body = settings().compile(&object(), FleetView { policies, ..FleetView::default() }, at(0));
    assert_eq!(body.policies, [in_force("a", 1), in_force("b", 2), in_force("c", 3)]);
    for (policy, sequence) in [("a", Some(1)), ("b", Some(2)), ("c", Some(3)), ("d", None), ("", None)] {
        let found = policy.parse().ok().and_then(|policy| body.sequence_of(&policy));
        assert_eq!(found, sequence, "{policy}");
    }
    for (sequence, expected) in [(1, false), (2, true), (3, false)] {
        assert_eq!(body.is_in_force(&uid("b"), sequence), expected, "{sequence}");
    }
}

#[test]
fn settings_are_taken_over() {
    let settings = Settings {
        freshness: Duration::from_secs(60),
        blocklists: fixture::full_fleet_part().blocklists,
        ..Settings::default()
    };
    let body = settings.compile(&object(), FleetView::default(), at(0));
    assert_eq!((body.freshness, body.blocklists), (settings.freshness, settings.blocklists));
    assert_eq!((body.policies, body.locked, body.revoked), (vec![], vec![], vec![]));
}

#[test]
fn a_fleet_without_settings_has_those_of_the_manual() {
    let Settings { max_open_requests, freshness, accounts, blocklists } = settings();
    assert_eq!((max_open_requests, freshness.as_secs(), accounts.len(), blocklists.len()), (1, 900, 0, 0));
}

// === locks ===

#[test]
fn a_lock_of_people_names_their_accounts_on_every_endpoint_and_not_the_people() {
    let endpoints = [
        endpoint("ws-1", &[("alice", &["alice@corp", "alice-admin@corp"]), ("bob", &["bob@corp"])]),
        endpoint("ws-2", &[("al", &["alice-admin@corp"]), ("shared", &["bob@corp", "alice-admin@corp"])]),
        endpoint("ws-3", &[("bob", &["bob@corp"]), ("alice", &[])]),
    ];
    let locks = [ending("stolen", identities(&["alice-admin@corp", "nobody@corp"]))];
    let body = settings().compile(
        &object(),
        FleetView { locks: &locks, endpoints: &endpoints, ..FleetView::default() },
        at(0),
    );
    let accounts = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<BTreeSet<Account>>();
    let expected = [(uid("uid-ws-1"), accounts(&["alice"])), (uid("uid-ws-2"), accounts(&["al", "shared"]))];
    assert_eq!(body.locked[0].accounts, Some(expected.into()));
    assert!(!serde_json::to_string(&body).unwrap().contains("@corp"), "people stay in the cluster");
}

#[test]
fn a_lock_of_people_without_an_account_stops_nobody_and_one_of_nobody_in_particular_stops_all() {
    let endpoints = [endpoint("ws-1", &[("alice", &["alice@corp"])])];
    let locks = [ending("everybody", LockTarget::default()), ending("stranger", identities(&["stranger@corp"]))];
    let body = settings().compile(
        &object(),
        FleetView { locks: &locks, endpoints: &endpoints, ..FleetView::default() },
        at(0),
    );
    assert_eq!(body.locked.iter().map(|locked| locked.accounts.clone()).collect::<Vec<_>>(), [None, Some([].into())]);
    let mut placement = endpoints[0].placement();
    let (alice, policy) = ("alice".parse().unwrap(), "dev-tools".parse().unwrap());
    let stopped = |body: &FleetBody, placement: &_| body.locked(placement, &alice, &policy).is_some();
    assert!(stopped(&body, &placement));
    let only_stranger = FleetBody { locked: body.locked[1..].to_vec(), ..body };
    assert!(!stopped(&only_stranger, &placement));
    placement.accounts.clear();
    assert!(!stopped(&only_stranger, &placement));
}

#[test]
fn a_lock_keeps_its_endpoints_policies_and_message() {
    let target = LockTarget {
        endpoints: Some(fixture::policy().targets.endpoints),
        policies: ["dev-tools".parse().unwrap()].into(),
        ..LockTarget::default()
    };
    let locks = [ending("stolen", target.clone())];
    let body = settings().compile(&object(), FleetView { locks: &locks, ..FleetView::default() }, at(0));
    let LockTarget { endpoints, policies, .. } = target;
    assert_eq!(body.locked, [Locked { endpoints, accounts: None, policies, message: "because of stolen".to_owned() }]);
}

#[test]
fn locks_that_are_over_or_only_decline_are_not_in_it() {
    let all = LockTarget::default;
    let until = |name: &str, second| Lock { expires_at: Some(at(second)), ..ending(name, all()) };
    let locks =
        [until("later", 10), lock("declines", Effect::DeclineNew, all()), ending("always", all()), until("now", 5)];
    for (second, expected) in [(4, vec!["always", "later", "now"]), (5, vec!["always", "later"]), (10, vec!["always"])]
    {
        let expected: Vec<String> = expected.into_iter().map(|name| format!("because of {name}")).collect();
        assert_eq!(locked_at(&locks, second), expected, "{second}");
    }
}

// === revoked ===

/// A part that called these revoked.
fn previous(revoked: Vec<Revoked>) -> FleetBody {
    FleetBody { revoked, ..fixture::fleet_part() }
}

#[test]
fn a_revoked_grant_is_carried_over_until_it_would_have_ended_and_left_out_when_the_part_is_signed_anyway() {
    let before = previous(vec![revoked("r-1", 10)]);
    for (second, prune, carried) in
        [(0, false, true), (9, true, true), (10, false, true), (10, true, false), (11, true, false)]
    {
        let body = settings().compile(
            &object(),
            FleetView { previous: Some(&before), prune, ..FleetView::default() },
            at(second),
        );
        assert_eq!(body.is_revoked(&uid("r-1")), carried, "{second}: the request itself is gone");
        assert!(!body.is_revoked(&uid("r-2")));
    }
}

#[test]
fn without_a_previous_part_every_grant_of_before_is_void_and_that_is_carried_over() {
    let first = settings().compile(&object(), FleetView { sequence: 7, ..FleetView::default() }, at(100));
    let next = FleetView { previous: Some(&first), sequence: 8, ..FleetView::default() };
    let next = settings().compile(&object(), next, at(200));
    let signed_beside = |sequence, object: Uid| Requires { placement: 1, fleet: sequence, object };
    for part in [first, next] {
        for (sequence, void) in [(0, true), (6, true), (7, false), (8, false)] {
            assert_eq!(part.is_void(&signed_beside(sequence, object())), void, "{sequence}");
            assert!(part.is_void(&signed_beside(sequence, uid("deleted"))), "a Fleet that is gone");
        }
    }
}

#[test]
fn too_many_to_name_first_leaves_out_what_people_gave_back_and_then_voids_all() {
    let many = |prefix: &str, count: usize| -> Vec<Revoked> {
        (0..count).map(|n| revoked(&format!("{prefix}-{n}"), 50)).collect()
    };
    let before = previous(Vec::new());
    let body = |taken: usize, given_back: usize| {
        let (revoked, given_back) = (many("r", taken), many("g", given_back));
        settings().compile(
            &object(),
            FleetView { revoked, given_back, previous: Some(&before), sequence: 9, ..FleetView::default() },
            at(7),
        )
    };
    let full = body(MAX_REVOKED - 1, 5);
    assert_eq!((full.revoked.len(), full.void_below), (MAX_REVOKED, before.void_below));
    assert!(full.is_revoked(&uid(&format!("r-{}", MAX_REVOKED - 2))), "what was taken away is named");
    let over = body(MAX_REVOKED + 1, 0);
    assert_eq!((over.revoked.len(), over.void_below), (0, 9));
    let bytes = serde_json::to_vec(&full).unwrap().len();
    assert!(bytes < crate::policy::MAX_COMPILED, "{bytes}");
}

#[test]
fn what_had_ended_when_all_was_void_is_not_named_again_and_new_grants_last() {
    let many = || (0..=MAX_REVOKED).map(|n| (revoked(&format!("r-{n}"), 1_000), Some(at(6))));
    let pass = |ended: Vec<(Revoked, Option<Instant>)>, previous: &FleetBody, sequence, second| {
        let revoked = to_name(ended, Some(previous));
        settings().compile(
            &object(),
            FleetView { revoked, previous: Some(previous), sequence, ..FleetView::default() },
            at(second),
        )
    };
    let voided = pass(many().collect(), &previous(Vec::new()), 9, 7);
    assert_eq!((voided.void_below, voided.void_time, voided.revoked.len()), (9, at(7), 0));
    let grant = Requires { placement: 1, fleet: 9, object: object() };
    // In the same second it may have been signed beside this part, later it was; and one whose end is not known is named.
    let later = [
        (revoked("same", 1_000), Some(at(7))),
        (revoked("later", 1_000), Some(at(8))),
        (revoked("unknown", 1_000), None),
    ];
    let next = pass(many().chain(later).collect(), &voided, 10, 9);
    assert_eq!((next.void_below, next.void_time), (9, at(7)));
    assert!(!next.is_void(&grant), "what was granted since lasts");
    assert_eq!(
        next.revoked.iter().map(|named| named.request.as_str()).collect::<Vec<_>>(),
        ["later", "same", "unknown"]
    );
    assert!(next.had_voided(Some(at(6))) && !next.had_voided(Some(at(7))) && !next.had_voided(None));
}

#[test]
fn what_was_given_back_is_not_carried_over_as_taken_away() {
    let before = previous(vec![revoked("r-1", 50)]);
    let given_back = vec![revoked("r-1", 50)];
    let view = FleetView { given_back, previous: Some(&before), ..FleetView::default() };
    assert_eq!(settings().compile(&object(), view, at(7)).revoked, [revoked("r-1", 50)]);
}

#[test]
fn what_is_named_twice_is_in_it_once_with_the_later_end_and_version() {
    let before = previous(vec![revoked("r-1", 20), revoked("r-2", 5)]);
    let view = FleetView {
        revoked: vec![revoked("r-1", 10), revoked("r-2", 5)],
        previous: Some(&before),
        policies: vec![in_force("a", 2), in_force("a", 1)],
        ..FleetView::default()
    };
    let body = settings().compile(&object(), view, at(0));
    assert_eq!(body.revoked, [revoked("r-1", 20), revoked("r-2", 5)]);
    assert_eq!(body.policies, [in_force("a", 2)]);
}

// === time ===

#[test]
fn a_part_is_renewed_at_half_its_freshness() {
    assert_eq!(settings().renew_at(at(0)), at(450));
    assert_eq!(Settings { freshness: Duration::from_secs(61), ..settings() }.renew_at(at(0)), at(30));
}

#[test]
fn the_next_edge_is_the_next_end_of_a_lock_that_is_in_the_part() {
    let until = |effect, second| Lock { expires_at: Some(at(second)), ..lock("x", effect, LockTarget::default()) };
    let (ends, declines) = (|second| until(Effect::EndAccess, second), |second| until(Effect::DeclineNew, second));
    let forever = || ending("forever", LockTarget::default());
    for (what, locks, expected) in [
        ("nothing", vec![], None),
        ("a lock without end", vec![forever()], None),
        ("locks", vec![ends(30), forever(), ends(20)], Some(20)),
        ("a lock that is over", vec![ends(10)], None),
        ("a lock that is not in the part", vec![declines(20)], None),
    ] {
        assert_eq!(FleetBody::next_edge(&locks, at(10)), expected.map(at), "{what}");
    }
}

#[test]
fn a_lock_on_very_many_endpoints_names_the_accounts_everywhere() {
    let endpoints: Vec<Endpoint> =
        (0..=MAX_LOCKED_ENDPOINTS).map(|n| endpoint(&format!("ws-{n}"), &[("eve", &["eve@corp"])])).collect();
    let locks = [ending("eve", identities(&["eve@corp"]))];
    let stopped = |endpoints: &[Endpoint]| {
        let body = settings().compile(&object(), FleetView { locks: &locks, endpoints, ..FleetView::default() }, at(0));
        let (eve, bob) = ("eve".parse().unwrap(), "bob".parse().unwrap());
        let on = endpoint("elsewhere", &[]).placement();
        let policy = "dev-tools".parse().unwrap();
        (body.locked(&on, &eve, &policy).is_some(), body.locked(&on, &bob, &policy).is_some())
    };
    assert_eq!(stopped(&endpoints), (true, false));
    assert_eq!(stopped(&endpoints[1..]), (false, false));
}

// === order ===

fn any_lock() -> impl Strategy<Value = Lock> {
    let people = prop::collection::vec(prop::sample::select(vec!["alice@corp", "bob@corp", "eve@corp"]), 0..3);
    (any::<bool>(), people, prop::option::of(0i64..20)).prop_map(|(ends, people, until)| Lock {
        expires_at: until.map(at),
        ..lock("unnamed", if ends { Effect::EndAccess } else { Effect::DeclineNew }, identities(&people))
    })
}

/// Each with a name of its own, as the API server gives them.
fn named(locks: Vec<Lock>) -> Vec<Lock> {
    let named = |(n, lock): (usize, Lock)| Lock {
        name: format!("lock-{n}").parse().unwrap(),
        message: format!("message {n}"),
        ..lock
    };
    locks.into_iter().enumerate().map(named).collect()
}

fn shuffled<T: Clone + std::fmt::Debug + 'static>(
    items: impl Strategy<Value = Vec<T>>,
) -> impl Strategy<Value = (Vec<T>, Vec<T>)> {
    items.prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn the_order_of_things_never_shows(
        policies in shuffled(prop::collection::vec(("[a-d]", 1u64..4).prop_map(|(p, s)| in_force(&p, s)), 0..5)),
        locks in shuffled(prop::collection::vec(any_lock(), 0..4).prop_map(named)),
        revoked in shuffled(prop::collection::vec(("[a-d]", 0i64..20).prop_map(|(r, s)| revoked(&r, s)), 0..6)),
        endpoints in shuffled(Just(vec![
            endpoint("ws-1", &[("alice", &["alice@corp"]), ("bob", &["bob@corp"])]),
            endpoint("ws-2", &[("alice", &["alice@corp", "eve@corp"])]),
        ])),
        second in 0i64..20,
    ) {
        // Which of them were given back is told by their ends, whatever the order.
        let split = |all: Vec<Revoked>| -> (Vec<Revoked>, Vec<Revoked>) {
            all.into_iter().partition(|revoked| revoked.not_after.as_second() % 2 == 0)
        };
        let ((one, one_back), (other, other_back)) = (split(revoked.0), split(revoked.1));
        let view = FleetView {
            policies: policies.0,
            locks: &locks.0,
            endpoints: &endpoints.0,
            given_back: one_back,
            revoked: one,
            ..FleetView::default()
        };
        let body = settings().compile(&object(), view, at(second));
        let view = FleetView {
            policies: policies.1,
            locks: &locks.1,
            endpoints: &endpoints.1,
            given_back: other_back,
            revoked: other,
            ..FleetView::default()
        };
        prop_assert_eq!(&body, &settings().compile(&object(), view, at(second)));
        prop_assert!(body.policies.is_sorted_by(|a, b| a.uid < b.uid), "each uid once");
        prop_assert!(body.revoked.is_sorted_by(|a, b| a.request < b.request), "each uid once");
        prop_assert!(body.revoked.iter().all(|revoked| at(second) < revoked.not_after));
    }
}
