//! What the gateway is told: everything that has begun here, and its end until somebody knows it.

use super::*;
use tidegate_core::refusal::RefusalCode;
use tidegate_core::wire::{GrantReport, StatusReport};

/// The grants of the report: name, begun and ended, in seconds.
fn grants(bench: &Bench) -> Vec<(String, i64, Option<i64>)> {
    let report = bench.watch.report();
    assert_eq!(report.check(), Ok(()));
    let seconds = |time: Instant| time.as_second() - EPOCH;
    let told = |grant: GrantReport| {
        assert_eq!(grant.terminated_processes, grant.ended_time.map(|_| 0));
        (grant.request_uid.to_string(), seconds(grant.applied_time.unwrap()), grant.ended_time.map(seconds))
    };
    report.grants.into_iter().map(told).collect()
}

fn running(name: &str, begun: i64) -> (String, i64, Option<i64>) {
    (format!("{name}-uid"), begun, None)
}

fn ended(name: &str, begun: i64, ended: i64) -> (String, i64, Option<i64>) {
    (format!("{name}-uid"), begun, Some(ended))
}

#[test]
fn a_grant_is_reported_from_its_begin_and_a_right_granted_ahead_is_not() {
    let mut bench = Bench::new();
    let parts = [bench.grant("a", 0, 600), bench.grant("b", 0, 600), bench.controller.window(span(0, 600), 1)];
    assert_eq!(bench.watch.report(), StatusReport { applied: None, grants: Vec::new(), ..bench.watch.report() });
    bench.load(&parts[..1], now(5));
    assert_eq!(grants(&bench), [], "withheld is not begun");
    bench.apply(&parts[..1], now(6));
    bench.apply(&parts, now(7));
    assert_eq!(grants(&bench), [running("a", 6), running("b", 7)]);
    assert_eq!(bench.restart(BOOT, &parts, now(8)).len(), 4);
    assert_eq!(grants(&bench), [running("a", 6), running("b", 7)], "a restart begins nothing");
}

#[test]
fn an_end_is_reported_until_a_gateway_knows_it_and_the_grant_left_the_manifest() {
    let mut bench = Bench::new();
    let parts = [bench.grant("a", 0, 600)];
    bench.apply(&parts, now(0));
    let before = bench.watch.report();
    bench.tick(now(600));
    assert_eq!(grants(&bench), [ended("a", 0, 600)]);
    bench.watch.settle(&before);
    bench.apply(&[], now(601));
    assert_eq!(grants(&bench), [ended("a", 0, 600)], "what was taken did not say so");
    bench.apply(&parts, now(602));
    bench.watch.settle(&bench.watch.report());
    assert_eq!(grants(&bench), [ended("a", 0, 600)], "the manifest still names it");
    bench.restart(BOOT, &[], now(603));
    assert_eq!(grants(&bench), []);
}

#[test]
fn an_end_by_a_reboot_is_reported() {
    let mut bench = Bench::new();
    let parts = [bench.grant("a", 0, 600)];
    bench.apply(&parts, now(0));
    assert_eq!(bench.restart("boot-2", &parts, read(100, 0)), ["ended a Reboot"]);
    assert_eq!(grants(&bench), [ended("a", 0, 100)]);
}

#[test]
fn a_grant_that_was_gone_and_came_back_is_reported_with_its_first_begin() {
    let mut bench = Bench::new();
    let parts = [bench.grant("a", 0, 600)];
    bench.apply(&parts, now(0));
    bench.apply(&[], now(10));
    assert_eq!(grants(&bench), [ended("a", 0, 10)]);
    bench.watch.settle(&bench.watch.report());
    bench.apply(&parts, now(20));
    assert_eq!(grants(&bench), [running("a", 0)]);
    bench.apply(&[], now(30));
    assert_eq!(grants(&bench), [ended("a", 0, 30)], "the first end is not this one");
}

#[test]
fn a_grant_that_was_gone_when_the_computer_was_started_anew_does_not_come_back() {
    let mut bench = Bench::new();
    let parts = [bench.grant("a", 0, 600)];
    bench.apply(&parts, now(0));
    bench.apply(&[], now(10));
    assert_eq!(bench.restart("boot-2", &parts, read(20, 0)), [""; 0]);
    assert_eq!(bench.apply(&parts, read(30, 10)), [""; 0]);
    assert_eq!(grants(&bench), [ended("a", 0, 10)]);
}

#[test]
fn what_runs_is_reported_before_ends_and_ends_that_nobody_knows_before_those_that_are_known() {
    let mut bench = Bench::new();
    let many = |bench: &Bench, first: usize| -> Vec<Piece> {
        (first..first + 40).map(|n| bench.grant(&format!("g{n:03}"), 0, 600)).collect()
    };
    let (known, unknown, runs) = (many(&bench, 0), many(&bench, 100), many(&bench, 200));
    bench.apply(&known, now(0));
    bench.apply(&[], now(1));
    bench.watch.settle(&bench.watch.report());
    // A lying gateway keeps the known ones in: what matters still finds its place.
    bench.apply(&[known.clone(), unknown].concat(), now(2));
    bench.apply(&known, now(3));
    bench.apply(&runs, now(4));
    let told = grants(&bench);
    assert_eq!(told.len(), 64);
    assert_eq!(told.iter().filter(|(name, ..)| name.starts_with("g2")).count(), 40);
}

#[test]
fn refusals_are_reported_within_bounds_the_manifest_first() {
    let mut bench = Bench::new();
    let refusal = |n: usize| PartRefusal {
        name: format!("policy/p{n}").parse().unwrap(),
        digest: Digest::of(&[u8::try_from(n).unwrap()]),
        code: RefusalCode::NotInForce,
        message: "\u{1b}[2Jé".repeat(300),
    };
    let mut view = bench.view(&[], Vec::new());
    view.refused = (0..20).map(refusal).collect();
    let (digest, code) = (Digest::of(b"manifest"), RefusalCode::BadSignature);
    view.refused_manifest = Some(RefusedManifest { digest, code, message: "forged".to_owned() });
    let applied = view.applied;
    bench.watch.apply(view, now(0));
    let report = bench.watch.report();
    assert_eq!(report.check(), Ok(()));
    assert_eq!(report.applied.map(|applied| applied.manifest), applied);
    assert_eq!((report.rejected[0].digest, report.rejected[0].code.as_str()), (digest, "bad_signature"));
    assert_eq!(report.rejected.len(), 16);
}
