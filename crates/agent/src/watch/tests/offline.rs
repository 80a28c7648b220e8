//! Without contact, or with an old fleet part, nothing new begins, and what runs goes on to its own end.

use super::*;
use crate::contact::LONGEST_ANSWER;
use crate::fixture::{FRESHNESS, TOLERANCE, grant};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap()
}

/// A grant that may begin for so long without contact.
fn tolerant(bench: &Bench, request: &str, (start, end): (i64, i64), tolerance: i64) -> Piece {
    let offline_tolerance = Duration::from_secs(u64::try_from(tolerance).unwrap());
    bench.controller.granted(GrantBody { offline_tolerance, ..grant(request, span(start, end)) })
}

/// A fleet part that can be relied on for ever: only contact counts.
fn ever_fresh(mut bench: Bench) -> Bench {
    bench.fleet.0.freshness = Duration::from_secs(1_000_000_000);
    bench
}

/// These parts and contact now, with nothing signed later than now.
fn answer(bench: &mut Bench, parts: &[Piece], now: Now) -> Vec<String> {
    let mut view = bench.view(parts, Vec::new());
    (view.signed, view.contact) = (bench.fleet.1, Some(now.boot));
    told(bench.watch.apply(view, now))
}

#[test]
fn before_any_gateway_has_answered_nothing_begins() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    assert_eq!(bench.load(std::slice::from_ref(&grant), now(5)), ["withheld a Offline"]);
    let rows = bench.watch.rows(now(5));
    assert_eq!((rows[0].standing, rows[0].left.as_secs()), (Standing::Withheld(Obstacle::Offline), 595));
    assert_eq!(bench.tick(now(6)), [""; 0], "that is told once");
    assert_eq!(bench.apply(&[grant], now(7)), ["started a"]);
}

#[test]
fn what_has_begun_runs_to_its_deadline_however_long_nobody_answers() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 10 * DAY);
    assert_eq!(bench.apply(std::slice::from_ref(&grant), now(0)), ["started a"]);
    for second in [HOUR, 2 * DAY, 10 * DAY - 1] {
        assert_eq!(bench.tick(now(second)), [""; 0]);
        assert_eq!(bench.restart(BOOT, std::slice::from_ref(&grant), now(second)), ["started a"]);
    }
    assert_eq!(bench.tick(now(10 * DAY)), ["ended a Expired"]);
}

#[test]
fn contact_counts_for_the_offline_tolerance_and_one_held_poll() {
    let longest = seconds(LONGEST_ANSWER);
    for (tolerance, start, told) in [
        (0, longest, "started a"),
        (0, longest + 1, "withheld a Offline"),
        (HOUR, HOUR + longest, "started a"),
        (HOUR, HOUR + longest + 1, "withheld a Offline"),
    ] {
        let mut bench = ever_fresh(Bench::new());
        let grant = tolerant(&bench, "a", (start, start + HOUR), tolerance);
        assert_eq!(answer(&mut bench, &[grant], now(0)), ["upcoming a"]);
        assert_eq!(bench.tick(now(start)), [told], "{tolerance} {start}");
    }
}

#[test]
fn what_was_withheld_begins_when_a_gateway_answers_again() {
    let mut bench = ever_fresh(Bench::new());
    let parts = [tolerant(&bench, "a", (HOUR, 2 * HOUR), 0)];
    answer(&mut bench, &parts, now(0));
    assert_eq!(bench.tick(now(HOUR)), ["withheld a Offline"]);
    assert_eq!(answer(&mut bench, &parts, now(HOUR + 60)), ["started a"]);
    assert_eq!(bench.tick(now(2 * HOUR)), ["ended a Expired"]);
}

#[test]
fn a_right_that_was_withheld_to_its_end_is_told_to_be_over() {
    let mut bench = ever_fresh(Bench::new());
    let parts = [tolerant(&bench, "a", (HOUR, 2 * HOUR), 0)];
    answer(&mut bench, &parts, now(0));
    bench.tick(now(HOUR));
    assert_eq!(bench.tick(now(2 * HOUR)), ["ended a Expired"]);
    assert_eq!(bench.watch.report().grants, [], "it never began here");
}

#[test]
fn the_fleet_part_ages_although_a_gateway_answers_all_the_time() {
    let freshness = seconds(FRESHNESS);
    for (tolerance, start, told) in [
        (0, freshness, "started a"),
        (0, freshness + 1, "withheld a Offline"),
        (HOUR, freshness + HOUR, "started a"),
        (HOUR, freshness + HOUR + 1, "withheld a Offline"),
    ] {
        let mut bench = Bench::new();
        let parts = [tolerant(&bench, "a", (start, start + HOUR), tolerance)];
        answer(&mut bench, &parts, now(0));
        assert_eq!(answer(&mut bench, &parts, now(start)), [told], "{tolerance} {start}");
    }
}

#[test]
fn a_newer_fleet_part_lets_begin_what_an_old_one_withheld() {
    let mut bench = Bench::new();
    let parts = [tolerant(&bench, "a", (HOUR, 2 * HOUR), 0)];
    answer(&mut bench, &parts, now(0));
    assert_eq!(answer(&mut bench, &parts, now(HOUR)), ["withheld a Offline"]);
    bench.fleet.1 = at(HOUR + 10);
    assert_eq!(answer(&mut bench, &parts, now(HOUR + 20)), ["started a"]);
}

#[test]
fn neither_a_restart_nor_a_boot_is_contact() {
    let start = HOUR + seconds(LONGEST_ANSWER) + 1;
    for boot in [BOOT, "boot-2"] {
        for (start, expected) in [(start, "withheld a Offline"), (start - 1, "started a")] {
            let mut bench = ever_fresh(Bench::new());
            let parts = [tolerant(&bench, "a", (0, DAY), HOUR)];
            answer(&mut bench, &[], now(0));
            let reading = if boot == BOOT { now(start) } else { read(start, 0) };
            assert_eq!(bench.restart(boot, &parts, reading), [expected], "{boot}");
        }
    }
}

#[test]
fn a_contact_that_is_not_remembered_is_none() {
    let mut bench = Bench::new();
    let parts = [bench.grant("a", 0, DAY)];
    answer(&mut bench, &[], now(0));
    bench.watch = Watch::resume(None, BOOT.to_owned()).0;
    assert_eq!(bench.load(&parts, now(1)), ["withheld a Offline"]);
}

#[test]
fn a_memory_of_an_earlier_version_is_read_and_knows_of_no_contact() {
    let mut bench = Bench::new();
    let parts = [bench.grant("a", 0, DAY), bench.grant("b", 10, DAY)];
    answer(&mut bench, &parts, now(0));
    let mut stored = serde_json::to_value(bench.watch.memory()).unwrap();
    stored.as_object_mut().unwrap().remove("contact");
    for sight in stored["sights"].as_array_mut().unwrap() {
        for field in ["version", "appliedAt", "settled"] {
            sight.as_object_mut().unwrap().remove(field);
        }
    }
    bench.watch = Watch::resume(Some(serde_json::from_value(stored).unwrap()), BOOT.to_owned()).0;
    assert_eq!(bench.load(&parts, now(20)), ["started a", "withheld b Offline"]);
}

#[test]
fn each_new_obstacle_is_told_once() {
    let mut bench = Bench::new();
    let parts = [tolerant(&bench, "a", (100, DAY), 0)];
    answer(&mut bench, &parts, now(0));
    assert_eq!(bench.tick(read(-3600, 100)), ["clock false", "withheld a Clock"]);
    assert_eq!(bench.tick(read(-3599, 101)), [""; 0]);
    assert_eq!(bench.tick(now(102)), ["clock true", "withheld a Offline"]);
    assert_eq!(bench.tick(now(103)), [""; 0]);
    assert_eq!(answer(&mut bench, &parts, now(104)), ["started a"]);
}

#[test]
fn the_default_tolerance_of_these_tests_is_a_day() {
    let mut bench = ever_fresh(Bench::new());
    let begins = seconds(TOLERANCE + LONGEST_ANSWER) + 1;
    let parts = [bench.grant("a", begins, begins + HOUR)];
    answer(&mut bench, &parts, now(0));
    assert_eq!(bench.tick(now(begins)), ["withheld a Offline"]);
}

proptest! {
    /// Whatever the wall clock says, however often the agent is restarted, and whenever a gateway answers.
    #[test]
    fn nothing_begins_longer_after_contact_than_is_tolerated(
        steps in prop::collection::vec((-2000i64..20_000, 0i64..300, 0u8..4), 1..40),
    ) {
        let mut bench = ever_fresh(Bench::new());
        let parts = [tolerant(&bench, "a", (3000, 90_000), 600)];
        let (mut boot, mut contact) = (0, 0);
        answer(&mut bench, &parts, now(0));
        let mut was_active = false;
        for (wall, passed, what) in steps {
            boot += passed;
            let reading = read(wall, boot);
            match what {
                0 => {
                    contact = boot;
                    drop(answer(&mut bench, &parts, reading));
                }
                1 => drop(bench.restart(BOOT, &parts, reading)),
                _ => drop(bench.tick(reading)),
            }
            let active = bench.watch.rows(reading).iter().any(|row| row.standing == Standing::Active);
            prop_assert!(was_active || !active || boot - contact <= 675, "began {} s after contact", boot - contact);
            was_active = active;
        }
    }
}
