//! Tables and properties of timekeeping. True time is 1,800,000,000 s after 1970 when the boot-time clock shows 1,000 s.

use proptest::prelude::*;

use super::*;

const TRUE: i64 = 1_800_000_000;
const BOOT: u64 = 1_000;

fn millis(millis: i64) -> SignedDuration {
    SignedDuration::from_millis(millis)
}

/// All clocks `after` milliseconds later, the wall clock wrong by `wrong` milliseconds.
fn readings(after: u64, wrong: i64) -> Readings {
    let boot = Duration::from_secs(BOOT) + Duration::from_millis(after);
    let wall = SignedDuration::from_secs(TRUE) + millis(i64::try_from(after).unwrap() + wrong);
    Readings { wall, boot, awake: boot }
}

/// An answer that came `after` milliseconds from the beginning, took `took` and was stamped in the middle, by a server whose clock is
/// wrong by `skew` milliseconds.
fn answer(after: u64, took: u64, skew: i64) -> Answer {
    let received = Duration::from_secs(BOOT) + Duration::from_millis(after);
    let stamped = TRUE * 1_000 + i64::try_from(after).unwrap() - i64::try_from(took / 2).unwrap() + skew;
    let sent = received.saturating_sub(Duration::from_millis(took));
    Answer { date: Instant::from_second(stamped.div_euclid(1_000)), sent, received }
}

/// How many milliseconds an estimate is ahead of true time.
fn wrong(estimate: Estimate) -> i64 {
    let at = readings(0, 0);
    i64::try_from((estimate.utc(at.boot) - at.wall).as_millis()).unwrap()
}

/// What is kept after a wall clock that agrees was confirmed once.
fn confirmed() -> Estimate {
    let start = readings(5_000, 0);
    Estimate::by_wall(&start).correct(&start, &answer(5_000, 10, 0))
}

#[test]
fn a_wall_clock_that_agrees_is_taken_to_the_millisecond_whatever_the_second_is_cut_to() {
    for after in [0, 1, 499, 500, 999] {
        let now = readings(5_000 + after, 137);
        let estimate = Estimate::by_wall(&now).correct(&now, &answer(5_000 + after, 10, 0));
        assert_eq!(wrong(estimate), 137, "{after}");
        assert!(estimate.confirmed);
    }
}

#[test]
fn a_server_started_with_a_wrong_wall_clock_takes_the_first_answer() {
    for hours in [-1, 1] {
        let now = readings(5_200, hours * 3_600_000);
        let before = Estimate::by_wall(&now);
        assert_eq!(wrong(before), hours * 3_600_000);
        let after = before.correct(&now, &answer(5_200, 10, 0));
        assert!(wrong(after).abs() <= 510, "{} ms", wrong(after));
        assert!(after.jumped(&before));
    }
}

#[test]
fn a_step_of_the_wall_clock_changes_nothing_and_stepping_back_neither() {
    let kept = confirmed();
    for step in [-3_600_000, -600_000, -3_000, 3_000, 600_000, 3_600_000] {
        let during = kept.correct(&readings(60_000, step), &answer(60_000, 10, 0));
        assert_eq!(wrong(during), 0, "{step}");
        let after = during.correct(&readings(90_000, 0), &answer(90_000, 10, 0));
        assert_eq!(wrong(after), 0, "{step}");
    }
}

#[test]
fn an_api_server_whose_clock_is_set_is_followed() {
    let kept = confirmed();
    for skew in [-600_000, 600_000] {
        let after = kept.correct(&readings(60_000, 0), &answer(60_000, 10, skew));
        assert!((wrong(after) - skew).abs() <= 510, "{} ms", wrong(after));
        assert!(after.jumped(&kept));
        let back = after.correct(&readings(90_000, 0), &answer(90_000, 10, 0));
        assert_eq!(wrong(back), 0);
    }
}

#[test]
fn a_boot_time_clock_that_lost_time_is_set_right_by_the_wall_clock_or_else_by_the_server() {
    let kept = confirmed();
    // A virtual machine that was frozen: neither of its clocks counted.
    let by_server = kept.correct(&readings(60_000, 0), &answer(60_000, 10, 30_000));
    assert!((wrong(by_server) - 30_000).abs() <= 510);
    let by_wall = kept.correct(&readings(60_000, 30_000), &answer(60_000, 10, 30_000));
    assert_eq!(wrong(by_wall), 30_000);
}

#[test]
fn a_slow_answer_corrects_nothing_once_a_quick_one_has_been_heard() {
    let kept = confirmed();
    assert_eq!(kept.correct(&readings(60_000, 0), &answer(60_000, 1_001, 600_000)), kept);
    let now = readings(60_000, 3_600_000);
    let rough = Estimate::by_wall(&now).correct(&now, &answer(60_000, 9_000, 0));
    assert!(wrong(rough).abs() <= 5_000, "{} ms", wrong(rough));
    let exact = rough.correct(&now, &answer(60_500, 10, 0));
    assert!(wrong(exact).abs() <= 510, "the first quick one is taken: {} ms", wrong(exact));
}

#[test]
fn a_step_and_a_sleep_are_noticed_and_slewing_is_not() {
    let before = readings(0, 0);
    assert_eq!(readings(1_000, 1_900).since(&before), []);
    assert_eq!(readings(1_000, 600_000).since(&before), [Noticed::Stepped(millis(600_000))]);
    assert_eq!(readings(1_000, -3_600_000).since(&before), [Noticed::Stepped(millis(-3_600_000))]);
    let mut woken = readings(100_000, 0);
    woken.awake = Duration::from_secs(BOOT + 1);
    assert_eq!(woken.since(&before), [Noticed::Slept(Duration::from_secs(99))]);
    woken.wall -= millis(600_000);
    assert_eq!(woken.since(&before), [Noticed::Slept(Duration::from_secs(99)), Noticed::Stepped(millis(-600_000))]);
}

#[test]
fn now_is_cut_to_the_second_and_until_is_not() {
    let at = readings(700, 0);
    let estimate = Estimate::by_wall(&at);
    assert_eq!(estimate.now(at.boot), Instant::from_second(TRUE));
    assert_eq!(estimate.until(Instant::from_second(TRUE + 2), at.boot), Duration::from_millis(1_300));
    assert_eq!(estimate.until(Instant::from_second(TRUE), at.boot), Duration::ZERO);
    let early = Estimate { offset: millis(-1_500), confirmed: false };
    assert_eq!(early.now(Duration::ZERO), Instant::from_second(-2), "cut towards the past");
}

/// Moments at which answers come, how long each took, how wrong the wall clock is by then and which server answers.
fn answers() -> impl Strategy<Value = Vec<(u64, u64, i64, bool)>> {
    prop::collection::vec((1..60_000u64, 0..3_000u64, -7_200_000..7_200_000i64, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn however_the_wall_clock_is_set_the_time_stays_near_the_servers(steps in answers()) {
        let (mut after, mut estimate) = (5_000, None);
        for (pause, took, wall, _) in steps {
            after += pause;
            let now = readings(after, wall);
            let before = estimate.unwrap_or_else(|| Estimate::by_wall(&now));
            let next = before.correct(&now, &answer(after, took, 0));
            if next.confirmed {
                // Far less than the clock of an agent may be behind; a wall clock that is further off is never taken.
                prop_assert!(wrong(next).abs() <= 6_000, "{} ms", wrong(next));
            }
            estimate = Some(next);
        }
    }

    #[test]
    fn servers_a_second_apart_that_answer_in_turns_do_not_make_the_time_swing(
        steps in answers(), wall in -10_000..10_000i64, apart in 0..1_000i64,
    ) {
        let (mut after, mut moves) = (5_000, 0);
        let mut estimate = Estimate::by_wall(&readings(after, wall));
        for (pause, took, _, other) in steps {
            after += pause;
            let answer = answer(after, took % 1_000, if other { apart } else { 0 });
            let next = estimate.correct(&readings(after, wall), &answer);
            moves += usize::from(next.offset != estimate.offset);
            estimate = next;
        }
        // To the first answer, and to the wall clock once an answer agrees with it.
        prop_assert!(moves <= 2, "{moves} corrections");
    }

    #[test]
    fn any_answer_is_taken_without_a_panic(
        date in any::<i64>(), sent in any::<u64>(), received in any::<u64>(), wall in any::<i64>(), boot in any::<u64>(),
    ) {
        let (sent, received) = (Duration::from_secs(sent), Duration::from_secs(received));
        let boot = Duration::from_secs(boot);
        let now = Readings { wall: SignedDuration::from_secs(wall), boot, awake: boot };
        let next = Estimate::by_wall(&now).correct(&now, &Answer { date: Instant::from_second(date), sent, received });
        let _ = (next.now(boot), next.until(Instant::MAX, boot), now.since(&readings(0, 0)));
    }
}
