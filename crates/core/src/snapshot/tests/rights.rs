//! When rights hold, for whom, and how long they may be relied on.

use std::time::Duration;

use super::*;
use crate::endpoint::Agent;
use crate::envelope::fixture::{FIXED_UID, RECURRING_UID};
use crate::fleet::Locked;
use crate::target::{EndpointTarget, Platform};

#[test]
fn rights_are_current_and_upcoming_and_never_over() {
    let snapshot = good().snapshot;
    for (second, expected, edge) in [
        (0, vec!["alice: er-7d2kq", "alice: night-maintenance"], Some(10)),
        (10, vec!["alice: er-7d2kq", "alice: night-maintenance"], Some(20)),
        (19, vec!["alice: er-7d2kq", "alice: night-maintenance"], Some(20)),
        (20, vec!["alice: night-maintenance"], Some(100)),
        (199, vec!["alice: night-maintenance"], Some(200)),
        (200, vec![], None),
    ] {
        assert_eq!(right_names(&snapshot, second), expected, "{second}");
        assert_eq!(snapshot.next_edge(at(second)), edge.map(at), "{second}");
    }
}

#[test]
fn a_window_gives_rights_to_the_accounts_it_reaches_on_a_selected_endpoint_only() {
    let window_at = |change: &dyn Fn(&mut PlacementBody, &mut PolicyBody)| {
        let (mut placement, mut window) = (placement(), fixture::window());
        change(&mut placement, &mut window);
        let mut parts = with(PartName::Placement, signed(placement, 5));
        parts.retain(|(name, _)| *name != grant_name());
        let parts = replaced(parts, window_name(), signed(window, 5));
        right_names(&accept_first(&parts).unwrap().snapshot, 150)
    };
    let (alice, bob) = ("alice: night-maintenance", "bob: night-maintenance");
    assert_eq!(window_at(&|_, _| ()), [alice]);
    assert_eq!(window_at(&|_, w| w.targets.accounts.everyone = true), [alice, bob]);
    let except_alice = |w: &mut PolicyBody| w.targets.accounts.except.names = ["alice".parse().unwrap()].into();
    assert_eq!(window_at(&|_, w| except_alice(w)), [""; 0]);
    assert_eq!(window_at(&|p, _| p.labels.clear()), [""; 0]);
    assert_eq!(window_at(&|p, _| p.accounts.clear()), [""; 0]);
    assert_eq!(window_at(&|_, w| w.access = fixture::policy().access), [""; 0], "what is on request is not a right");
}

#[test]
fn an_interval_that_ends_before_it_starts_gives_no_right() {
    for (not_before, not_after) in [(20, 10), (20, 20)] {
        let grant = GrantBody { not_before: at(not_before), not_after: at(not_after), ..fixture::grant() };
        let parts = replaced(without(&window_name()), grant_name(), signed(grant, 5));
        let snapshot = accept_first(&parts).unwrap().snapshot;
        assert!((0..30).all(|second| snapshot.rights(at(second)).is_empty()));
    }
}

#[test]
fn what_is_granted_once_or_every_week_gives_rights_like_a_window() {
    let names = [FIXED_UID, RECURRING_UID].map(|uid| (uid, 5));
    let parts = vec![
        (PartName::Placement, signed(placement(), 5)),
        (PartName::Fleet, signed(naming(&names), 5)),
        (PartName::Policy(uid(FIXED_UID)), signed(fixture::fixed(), 5)),
        (PartName::Policy(uid(RECURRING_UID)), signed(fixture::recurring(), 5)),
    ];
    let agent = Agent {
        version: "1.4.0".parse().ok(),
        platform: Some(Platform::Linux),
        capabilities: ["protect", "logoff"].map(str::to_owned).into(),
    };
    let me = Me { agent, ..me() };
    let accepted = accept(&body(&manifest(&parts), &parts), &ring(), &me, None, &Floors::default()).unwrap();
    assert_eq!(codes(&accepted), []);
    let (once, weekly) = ("alice: first-days", "alice: sunday-noon");
    const WEEK: i64 = 7 * 86_400;
    for (second, expected, edge) in [
        (0, vec![once, weekly], 300),
        (399, vec![once, weekly], 400),
        (400, vec![weekly], 3600),
        (5399, vec![weekly], 5400),
        (5400, vec![weekly], 3600 + WEEK),
    ] {
        assert_eq!(right_names(&accepted.snapshot, second), expected, "{second}");
        assert_eq!(accepted.snapshot.next_edge(at(second)), Some(at(edge)), "{second}");
    }
    let next = &accepted.snapshot.rights(at(5400))[0];
    assert_eq!(next.interval, Interval { start: at(3600 + WEEK), end: at(5400 + WEEK) }, "the next span, not the last");
}

#[test]
fn a_right_may_start_while_the_fleet_part_is_not_older_than_freshness_and_tolerance() {
    let window = PolicyBody { offline_tolerance: Duration::ZERO, ..fixture::window() };
    let renewed = sign(fixture::fleet_part(), Header { issued_time: at(7), ..header(6) }, &key()).unwrap();
    let parts = replaced(with(window_name(), signed(window, 5)), PartName::Fleet, renewed);
    let rights = accept_first(&parts).unwrap().snapshot.rights(at(0));
    let by_tolerance: Vec<(u64, Instant)> =
        rights.iter().map(|right| (right.offline_tolerance.as_secs(), right.fresh_until)).collect();
    assert_eq!(by_tolerance, [(86_400, at(7 + 900 + 86_400)), (0, at(7 + 900))]);
}

#[test]
fn whom_a_lock_stops_has_no_right() {
    let everyone = Locked { endpoints: None, accounts: None, policies: [].into(), message: "INC-1".to_owned() };
    let here = |names: &[&str]| {
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        Locked { endpoints: Some(EndpointTarget::Names(names)), ..everyone.clone() }
    };
    let account = |endpoint: &str, account: &str| {
        let accounts = [(uid(endpoint), [account.parse().unwrap()].into())].into();
        Locked { accounts: Some(accounts), ..everyone.clone() }
    };
    let policy = |name: &str| Locked { policies: [name.parse().unwrap()].into(), ..everyone.clone() };
    let (ws, grant, window) = (fixture::endpoint().uid, "alice: er-7d2kq", "alice: night-maintenance");
    let by_labels = Locked { endpoints: Some(fixture::policy().targets.endpoints), ..everyone.clone() };
    let both = |one: Locked, other: Locked| Locked { policies: other.policies, ..one };
    for (what, locked, expected) in [
        ("nothing", vec![], vec![grant, window]),
        ("the fleet", vec![everyone.clone()], vec![]),
        ("this endpoint", vec![here(&["ws-042"])], vec![]),
        ("its labels", vec![by_labels], vec![]),
        ("another endpoint", vec![here(&["ws-043"])], vec![grant, window]),
        ("this account", vec![account(ws.as_str(), "alice")], vec![]),
        ("another account", vec![account(ws.as_str(), "bob")], vec![grant, window]),
        ("its namesake elsewhere", vec![account("other", "alice")], vec![grant, window]),
        ("nobody who is known", vec![Locked { accounts: Some([].into()), ..everyone.clone() }], vec![grant, window]),
        ("the policy of the grant", vec![policy("dev-tools")], vec![window]),
        ("the policy granted ahead", vec![policy("night-maintenance")], vec![grant]),
        ("two", vec![policy("dev-tools"), policy("night-maintenance")], vec![]),
        ("this policy elsewhere", vec![both(here(&["ws-043"]), policy("dev-tools"))], vec![grant, window]),
        ("this policy here", vec![both(here(&["ws-042"]), policy("dev-tools"))], vec![window]),
    ] {
        let fleet = FleetBody { locked, ..fixture::fleet_part() };
        let snapshot = accept_first(&with(PartName::Fleet, signed(fleet, 5))).unwrap().snapshot;
        assert_eq!(right_names(&snapshot, 15), expected, "{what}");
        assert_eq!(snapshot.next_edge(at(15)).is_some(), !expected.is_empty(), "{what}");
    }
}

#[test]
fn the_lock_that_stops_somebody_is_told_with_its_message() {
    let locked = |policy: &str, message: &str| {
        let policies = [policy.parse().unwrap()].into();
        Locked { endpoints: None, accounts: None, policies, message: message.to_owned() }
    };
    let fleet = FleetBody {
        locked: vec![locked("other", "not this"), locked("dev-tools", "INC-1"), locked("dev-tools", "INC-2")],
        ..fixture::fleet_part()
    };
    let stopped = |policy: &str| {
        let found = fleet.locked(&placement(), &"alice".parse().unwrap(), &policy.parse().unwrap());
        found.map(|locked| locked.message.as_str())
    };
    assert_eq!(stopped("dev-tools"), Some("INC-1"), "the first by the name of its Lock");
    assert_eq!(stopped("night-maintenance"), None);
}
