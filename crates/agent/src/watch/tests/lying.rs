//! A gateway that lies or freezes, under injected clocks: what it can gain ends with the fleet part's freshness and the
//! policy's offline tolerance, and what it says honestly takes effect at once. What enters a snapshot at all is held's.

use super::*;
use crate::fixture::{FRESHNESS, ahead, grant, revoked};
use tidegate_core::access::Access;
use tidegate_core::fleet::Locked;

const HOUR: i64 = 3600;

/// How a gateway freezes.
#[derive(Debug, Clone, Copy)]
enum Freeze {
    /// The same snapshot for ever.
    Same,
    /// "Nothing new" for ever.
    Unchanged,
    /// No answer any more.
    Silent,
}

fn locked(message: &str) -> Vec<Locked> {
    let message = message.to_owned();
    vec![Locked { endpoints: None, accounts: None, policies: Default::default(), message }]
}

/// Alice's grant runs; from `start` on a window for everyone would, with a tolerance of an hour for both.
fn scene(bench: &Bench, start: i64) -> [Piece; 2] {
    let offline_tolerance = Duration::from_secs(3600);
    let window = ahead(Access::Window { window: span(start, start + 10 * HOUR) });
    [
        bench.controller.granted(GrantBody { offline_tolerance, ..grant("runs", span(0, 5 * HOUR)) }),
        bench.controller.policy(PolicyBody { offline_tolerance, ..window }, 1),
    ]
}

/// The frozen gateway is asked now and then until this second.
fn frozen(bench: &mut Bench, parts: &[Piece], how: Freeze, until: i64) -> Vec<String> {
    let mut told = Vec::new();
    for second in (300..=until).step_by(300) {
        told.extend(match how {
            Freeze::Same | Freeze::Unchanged => bench.apply(parts, now(second)),
            Freeze::Silent => bench.tick(now(second)),
        });
    }
    told
}

#[test]
fn under_a_frozen_gateway_nothing_begins_after_freshness_and_tolerance_and_what_runs_ends_by_itself() {
    let last = i64::try_from(FRESHNESS.as_secs()).unwrap() + HOUR;
    for how in [Freeze::Same, Freeze::Unchanged, Freeze::Silent] {
        let mut bench = Bench::new();
        let parts = scene(&bench, last + 60);
        assert_eq!(bench.apply(&parts, now(0))[0], "started runs", "{how:?}");
        let withheld = ["withheld window/alice Offline", "withheld window/bob Offline"];
        let told = frozen(&mut bench, &parts, how, 20 * HOUR);
        let ends = ["ended window/alice Expired", "ended window/bob Expired"];
        assert_eq!(told, [&withheld[..], &["ended runs Expired"], &ends].concat(), "{how:?}");
    }
}

#[test]
fn a_gateway_that_is_merely_quiet_holds_nothing_up() {
    let last = i64::try_from(FRESHNESS.as_secs()).unwrap() + HOUR;
    for how in [Freeze::Same, Freeze::Unchanged] {
        let mut bench = Bench::new();
        let parts = scene(&bench, last);
        bench.apply(&parts, now(0));
        let told = frozen(&mut bench, &parts, how, last);
        assert_eq!(told, ["started window/alice", "started window/bob"], "{how:?}");
    }
}

#[test]
fn when_the_honest_gateway_is_back_what_was_revoked_meanwhile_ends_at_once() {
    let mut bench = Bench::new();
    let parts = scene(&bench, HOUR);
    bench.apply(&parts, now(0));
    frozen(&mut bench, &parts, Freeze::Unchanged, 2 * HOUR);
    (bench.fleet.0.revoked, bench.fleet.1) = (revoked("runs"), at(2 * HOUR));
    let told = bench.apply(&parts[1..], now(2 * HOUR + 1));
    assert_eq!(told, ["ended runs Absent"]);
}

#[test]
fn a_revoked_grant_and_an_old_policy_that_are_kept_in_end_with_the_fleet_part() {
    let mut bench = Bench::new();
    let parts = scene(&bench, 0);
    assert_eq!(bench.apply(&parts, now(0)).len(), 3);
    bench.fleet.0.revoked = revoked("runs");
    assert_eq!(bench.apply(&parts, now(1)), ["ended runs Absent"]);
    bench.fleet.0.policies = Vec::new();
    assert_eq!(bench.apply(&parts, now(2)), ["ended window/alice Absent", "ended window/bob Absent"]);
}

#[test]
fn without_the_fleet_part_everything_ends() {
    let mut bench = Bench::new();
    let parts = scene(&bench, 0);
    bench.apply(&parts, now(0));
    let mut view = bench.view(&parts, Vec::new());
    let mut snapshot = (*view.snapshot.unwrap()).clone();
    snapshot.fleet = None;
    (view.snapshot, view.contact) = (Some(Arc::new(snapshot)), Some(now(1).boot));
    let told = told(bench.watch.apply(view, now(1)));
    assert_eq!(told, ["ended window/alice Absent", "ended window/bob Absent", "ended runs Absent"]);
}

#[test]
fn a_lock_ends_what_runs_with_its_message_although_the_parts_are_kept_in() {
    let mut bench = Bench::new();
    let parts = scene(&bench, 0);
    bench.apply(&parts, now(0));
    bench.fleet.0.locked = locked("stolen, call \u{1b}[2J4711");
    let told = bench.apply(&parts, now(1));
    let said = r"Locked stolen, call \u{1b}[2J4711";
    assert_eq!(told, ["window/alice", "window/bob", "runs"].map(|name| format!("ended {name} {said}")));
    assert!(bench.watch.rows(now(1)).is_empty());
    bench.fleet.0.locked.clear();
    let told = bench.apply(&parts[1..], now(2));
    assert_eq!(told, ["started window/alice", "started window/bob"], "what is granted ahead comes back");
}

#[test]
fn a_locked_grant_that_left_the_manifest_is_still_told_as_locked() {
    let mut bench = Bench::new();
    let parts = scene(&bench, 0);
    bench.apply(&parts, now(0));
    bench.fleet.0.locked = locked("");
    bench.fleet.0.locked[0].policies = ["dev-tools".parse().unwrap()].into();
    assert_eq!(bench.apply(&parts[1..], now(1)), ["ended runs Locked"]);
}
