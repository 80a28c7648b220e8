//! The clock rules under every jump: tables with sentence names, and properties over arbitrary readings.

use proptest::prelude::*;

use super::*;

const EPOCH: i64 = 1_800_000_000;

fn at(second: i64) -> Instant {
    Instant::from_second(EPOCH + second)
}

/// A reading of both clocks, in seconds after an arbitrary zero.
fn read(wall: i64, boot: u64) -> Now {
    Now { wall: Timestamp::from(at(wall)), boot: Duration::from_secs(boot) }
}

fn floor(signed: i64, seen_at_boot: u64) -> Floor {
    Floor { signed: at(signed), seen: Duration::from_secs(seen_at_boot) }
}

fn interval(start: i64, end: i64) -> Interval {
    Interval { start: at(start), end: at(end) }
}

fn seen(span: Interval, floor: &Floor, now: Now) -> Deadline {
    Deadline::at_first_sight(span, floor.trusted(now), now)
}

fn reached(deadline: &Deadline, floor: &Floor, now: Now) -> bool {
    deadline.is_reached(floor.trusted(now), now)
}

#[test]
fn a_right_ends_exactly_at_its_end() {
    let floor = floor(0, 1000);
    let deadline = seen(interval(0, 600), &floor, read(0, 1000));
    assert!(!reached(&deadline, &floor, read(599, 1599)));
    assert!(reached(&deadline, &floor, read(600, 1600)));
}

#[test]
fn fractions_of_a_second_count() {
    let floor = floor(0, 1000);
    let half = Duration::from_millis(500);
    let first = Now { wall: later(Timestamp::from(at(0)), half), boot: Duration::from_secs(1000) };
    let deadline = seen(interval(0, 10), &floor, first);
    assert_eq!(deadline.left(floor.trusted(first), first), Duration::from_millis(9500));
}

#[test]
fn a_clock_set_back_does_not_lengthen_a_right() {
    let floor = floor(0, 1000);
    let deadline = seen(interval(0, 600), &floor, read(0, 1000));
    assert!(!reached(&deadline, &floor, read(-7200, 1599)));
    assert!(reached(&deadline, &floor, read(-7200, 1600)));
}

#[test]
fn a_clock_set_back_after_the_end_does_not_revive_a_right() {
    let floor = floor(0, 1000);
    let deadline = seen(interval(0, 600), &floor, read(0, 1000));
    assert!(reached(&deadline, &floor, read(601, 1601)));
    assert!(reached(&deadline, &floor, read(0, 1602)));
}

#[test]
fn a_clock_set_forward_ends_a_right_early() {
    let floor = floor(0, 1000);
    let deadline = seen(interval(0, 600), &floor, read(0, 1000));
    assert!(reached(&deadline, &floor, read(7200, 1010)));
}

#[test]
fn sleep_counts_although_the_wall_clock_stood_still() {
    let floor = floor(0, 1000);
    let deadline = seen(interval(0, 600), &floor, read(0, 1000));
    assert!(reached(&deadline, &floor, read(5, 1000 + 86_400)));
}

#[test]
fn a_right_seen_before_its_start_keeps_its_whole_length() {
    let floor = floor(0, 1000);
    let span = interval(3600, 4200);
    let deadline = seen(span, &floor, read(0, 1000));
    assert!(!reached(&deadline, &floor, read(3600, 4600)));
    let begun = deadline.begun(span, read(3600, 4600));
    assert!(!reached(&begun, &floor, read(4199, 5199)));
    assert!(reached(&begun, &floor, read(4200, 5200)));
}

#[test]
fn a_right_that_began_by_a_clock_set_forward_lasts_no_longer_than_its_length() {
    let floor = floor(0, 1000);
    let span = interval(3600, 4200);
    let deadline = seen(span, &floor, read(0, 1000));
    // Set to the start, begun, and set back: the boot-time clock alone decides.
    let begun = deadline.begun(span, read(3600, 1010));
    assert!(!reached(&begun, &floor, read(0, 1609)));
    assert!(reached(&begun, &floor, read(0, 1610)));
}

#[test]
fn a_right_first_seen_with_a_slow_wall_clock_ends_by_signed_time() {
    let floor = floor(500, 1000);
    let deadline = seen(interval(0, 600), &floor, read(-100_000, 1000));
    assert!(!reached(&deadline, &floor, read(-100_000, 1099)));
    assert!(reached(&deadline, &floor, read(-100_000, 1100)));
}

#[test]
fn a_wall_clock_behind_signed_time_is_not_sound() {
    let floor = floor(0, 1000);
    assert!(floor.trusted(read(-60, 1000)).wall_is_sound);
    assert!(!floor.trusted(read(-61, 1000)).wall_is_sound);
    assert!(!floor.trusted(read(0, 1061)).wall_is_sound, "the floor rises with boot-time");
    assert!(floor.trusted(read(100_000, 1000)).wall_is_sound);
    assert!(Floor::none().trusted(read(0, 5)).wall_is_sound);
}

#[test]
fn the_floor_takes_the_newest_signed_time_and_never_falls() {
    let mut floor = Floor::none();
    floor.raise(at(100), read(0, 10));
    assert_eq!(floor.trusted(read(0, 10)).instant(), at(100));
    floor.raise(at(50), read(0, 20));
    assert_eq!(floor.trusted(read(0, 20)).instant(), at(110));
    floor.raise(at(105), read(0, 20));
    assert_eq!(floor.trusted(read(0, 20)).instant(), at(110), "110 is already certain");
    floor.raise(at(200), read(0, 20));
    assert_eq!(floor.trusted(read(0, 20)).instant(), at(200));
    assert_eq!(floor.after_reboot().trusted(read(0, 30)).instant(), at(230));
}

proptest! {
    #[test]
    fn no_right_outlives_its_length_in_boot_time(
        start in -10_000i64..10_000, length in 0i64..10_000, signed in -10_000i64..10_000,
        first in -20_000i64..20_000, then in -20_000i64..20_000, booted in 0u64..10_000, passed in 0u64..50_000,
    ) {
        let floor = floor(signed, booted);
        let span = interval(start, start + length);
        let now = read(first, booted);
        let begun = seen(span, &floor, now).begun(span, now);
        let later = read(then, booted + passed);
        let certain = signed + i64::try_from(passed).unwrap();
        if passed >= u64::try_from(length).unwrap() || then >= start + length || certain >= start + length {
            prop_assert!(reached(&begun, &floor, later));
        }
    }

    #[test]
    fn once_ended_it_stays_ended_whatever_the_wall_clock_says(
        length in 1i64..10_000, first in -20_000i64..20_000, wall in -20_000i64..20_000,
        passed in 0u64..20_000, more in 0u64..20_000,
    ) {
        let floor = floor(0, 1000);
        let span = interval(0, length);
        let now = read(first, 1000);
        let deadline = seen(span, &floor, now);
        // With a wall clock that keeps to the floor the boot-time deadline is the only one that matters afterwards.
        if reached(&deadline, &floor, read(-20_000, 1000 + passed)) {
            prop_assert!(reached(&deadline, &floor, read(wall, 1000 + passed + more)));
        }
    }

    #[test]
    fn trusted_time_is_never_behind_signed_time_and_grows_with_boot_time(
        signed in -10_000i64..10_000, wall in -20_000i64..20_000, seen in 0u64..1000, passed in 0u64..10_000,
    ) {
        let floor = floor(signed, seen);
        let first = floor.trusted(read(wall, seen));
        let second = floor.trusted(read(wall, seen + passed));
        prop_assert!(first.instant() >= at(signed) && second.time >= first.time);
    }

    #[test]
    fn what_is_left_never_grows_while_the_wall_clock_runs_forward(
        length in 0i64..10_000, step in 0i64..20_000, passed in 0u64..20_000,
    ) {
        let floor = floor(0, 1000);
        let deadline = seen(interval(0, length), &floor, read(0, 1000));
        let (before, after) = (read(0, 1000), read(step, 1000 + passed));
        prop_assert!(deadline.left(floor.trusted(after), after) <= deadline.left(floor.trusted(before), before));
    }
}
