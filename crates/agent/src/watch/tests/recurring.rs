//! Rights that come back: each span has its own start and deadline, and one that is over stays over.

use super::*;
use crate::fixture::ahead;
use tidegate_core::access::Access;
use tidegate_core::recurring::{Recurring, Weekday, WeeklyWindow};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const ALL: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

/// Opens at this hour on these days for so many hours.
fn recurring(bench: &Bench, days: &[Weekday], start: &str, hours: i64, sequence: u64) -> Piece {
    let length = Duration::from_secs(u64::try_from(hours * HOUR).unwrap());
    let window = WeeklyWindow::new(days.iter().copied().collect(), start.parse().unwrap(), length).unwrap();
    let recurring = Recurring::new("UTC".parse().unwrap(), vec![window]).unwrap();
    bench.controller.policy(ahead(Access::Recurring { recurring }), sequence)
}

/// A bench whose fleet part is always fresh enough, with a window every day from 9 to 10; 0 is a Friday, 8 o'clock.
fn daily() -> (Bench, [Piece; 1]) {
    let mut bench = Bench::new();
    // Signed long ago, so that the clock can be set back by a day without being behind signed time.
    (bench.fleet.0.freshness, bench.fleet.1) = (Duration::from_secs(30 * 86_400), at(-DAY));
    let window = recurring(&bench, &ALL, "09:00", 1, 1);
    (bench, [window])
}

/// What is told of alice; bob's is the same.
fn alice(told: Vec<String>) -> Vec<String> {
    let told = told.into_iter().filter(|event| !event.contains("/bob"));
    told.map(|event| event.replace("window/alice", "it")).collect()
}

fn nothing_told() -> [&'static str; 0] {
    []
}

#[test]
fn each_span_is_announced_begins_and_expires_by_itself() {
    let (mut bench, parts) = daily();
    assert_eq!(alice(bench.apply(&parts, now(0))), ["upcoming it"]);
    for day in 0..3 {
        let nine = HOUR + day * DAY;
        bench.apply(&parts, now(nine - 1));
        assert_eq!(alice(bench.tick(now(nine))), ["started it"]);
        let row = &bench.watch.rows(now(nine))[0];
        assert_eq!((row.right.interval, row.left.as_secs()), (span(nine, nine + HOUR), 3600));
        assert_eq!(alice(bench.tick(now(nine + HOUR - 1))), nothing_told());
        assert_eq!(alice(bench.tick(now(nine + HOUR))), ["ended it Expired", "upcoming it"]);
        let row = &bench.watch.rows(now(nine + HOUR))[0];
        assert_eq!((row.standing, row.left.as_secs()), (Standing::Upcoming, 23 * 3600));
    }
    assert_eq!(bench.watch.memory().sights.len(), 2, "one right for each account, however many spans");
}

#[test]
fn where_one_span_ends_as_the_next_begins_both_are_told() {
    let (mut bench, _) = daily();
    let parts = [recurring(&bench, &ALL, "00:00", 24, 1)];
    assert_eq!(alice(bench.apply(&parts, now(0))), ["started it"]);
    // A pattern without gaps is cut at every Monday 00:00 UTC.
    let monday = 16 * HOUR + 2 * DAY;
    bench.apply(&parts, now(monday - 1));
    assert_eq!(alice(bench.tick(now(monday))), ["ended it Expired", "started it"]);
    assert_eq!(bench.watch.rows(now(monday))[0].left.as_secs(), 7 * 86_400);
}

#[test]
fn a_clock_set_back_revives_no_span() {
    for boot in [BOOT, "boot-2"] {
        let (mut bench, parts) = daily();
        bench.apply(&parts, now(0));
        bench.tick(now(HOUR));
        assert_eq!(alice(bench.tick(now(2 * HOUR))), ["ended it Expired", "upcoming it"]);
        bench.restart(boot, &parts, read(2 * HOUR, if boot == BOOT { 2 * HOUR } else { 0 }));
        let after = if boot == BOOT { 2 * HOUR } else { 0 };
        for (wall, passed) in [(HOUR + 10, 10), (HOUR + 1800, 20), (2 * HOUR - 1, 30)] {
            bench.apply(&parts, read(wall, after + passed));
            assert!(bench.watch.rows(read(wall, after + passed)).iter().all(|row| row.standing != Standing::Active));
        }
        bench.apply(&parts, read(HOUR + DAY, after + 40));
        let active = bench.watch.rows(read(HOUR + DAY, after + 40))[0].standing;
        assert_eq!(active, Standing::Active, "the next day's is another one");
    }
}

#[test]
fn a_span_that_ended_by_boot_time_alone_is_followed_by_the_next_one() {
    let (mut bench, parts) = daily();
    bench.apply(&parts, now(HOUR));
    assert_eq!(alice(bench.tick(read(HOUR + 1, 2 * HOUR))), ["ended it Expired"]);
    assert_eq!(alice(bench.tick(now(2 * HOUR + 1))), ["upcoming it"]);
    bench.apply(&parts, now(DAY));
    assert_eq!(alice(bench.tick(now(DAY + HOUR))), ["started it"]);
}

#[test]
fn a_span_that_began_by_a_clock_set_forward_is_not_given_again() {
    let (mut bench, parts) = daily();
    bench.apply(&parts, now(HOUR));
    // To tomorrow's span and back: today's is over, and tomorrow's has had its turn.
    assert_eq!(alice(bench.tick(read(HOUR + DAY, HOUR + 10))), ["ended it Expired", "started it"]);
    assert_eq!(alice(bench.tick(read(HOUR + 20, HOUR + 20))), ["ended it Absent"]);
    bench.apply(&parts, now(DAY));
    assert_eq!(alice(bench.tick(now(DAY + HOUR + 60))), nothing_told());
    bench.apply(&parts, now(2 * DAY));
    assert_eq!(alice(bench.tick(now(2 * DAY + HOUR))), ["started it"]);
}

#[test]
fn a_span_that_ended_while_the_agent_was_off_is_told_and_the_next_one_is_announced() {
    let (mut bench, parts) = daily();
    bench.apply(&parts, now(HOUR));
    assert_eq!(alice(bench.restart(BOOT, &parts, now(5 * HOUR))), ["ended it Expired", "upcoming it"]);
}

#[test]
fn an_edited_pattern_is_followed_and_does_not_revive_what_is_over() {
    let (mut bench, parts) = daily();
    bench.apply(&parts, now(HOUR));
    bench.fleet.0.policies = in_force(2);
    let longer = recurring(&bench, &ALL, "09:00", 2, 2);
    assert_eq!(alice(bench.apply(&[longer], now(HOUR + 60))), ["changed it"]);
    assert_eq!(bench.watch.rows(now(HOUR + 60))[0].left.as_secs(), 2 * 3600 - 60);
    assert_eq!(alice(bench.tick(now(3 * HOUR))), ["ended it Expired", "upcoming it"]);
    bench.fleet.0.policies = in_force(3);
    let shorter = recurring(&bench, &ALL, "09:00", 1, 3);
    let set_back = alice(bench.apply(&[shorter], read(HOUR + 120, 3 * HOUR + 10)));
    assert!(set_back.iter().all(|event| !event.starts_with("started")), "{set_back:?}");
}

#[test]
fn a_span_does_not_begin_without_contact_and_the_next_one_does() {
    let (mut bench, parts) = daily();
    bench.apply(&parts, now(0));
    let tomorrow = HOUR + DAY;
    bench.tick(now(HOUR));
    bench.tick(now(2 * HOUR));
    assert_eq!(alice(bench.tick(now(tomorrow))), ["withheld it Offline"]);
    assert_eq!(alice(bench.tick(now(tomorrow + HOUR))), ["ended it Expired", "upcoming it"]);
    bench.apply(&parts, now(2 * DAY));
    assert_eq!(alice(bench.tick(now(tomorrow + DAY))), ["started it"]);
}

#[test]
fn what_a_deleted_pattern_leaves_is_forgotten_after_a_week() {
    let (mut bench, parts) = daily();
    bench.apply(&parts, now(HOUR));
    bench.tick(now(2 * HOUR));
    bench.apply(&[], now(3 * HOUR));
    assert_eq!(bench.watch.memory().sights.len(), 2);
    bench.tick(now(9 * DAY));
    assert_eq!(bench.watch.memory().sights.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever the wall clock does, and however often the agent is restarted.
    #[test]
    fn no_span_is_active_for_longer_than_its_length_in_boot_time(
        steps in prop::collection::vec((0i64..3, -600..HOUR + 600, 0i64..1000, 0u8..3), 1..40),
    ) {
        let (mut bench, parts) = daily();
        let mut spent: BTreeMap<Instant, i64> = BTreeMap::new();
        let (mut boot, mut before): (i64, Option<Instant>) = (0, None);
        bench.apply(&parts, now(0));
        for (day, second, passed, what) in steps {
            boot += passed;
            // What was active until now was so for at most this step.
            if let Some(start) = before {
                *spent.entry(start).or_default() += passed;
            }
            // Around one of the spans.
            let reading = read(day * DAY + HOUR + second, boot);
            match what {
                0 => drop(bench.apply(&parts, reading)),
                1 => drop(bench.restart(BOOT, &parts, reading)),
                _ => drop(bench.tick(reading)),
            }
            let rows = bench.watch.rows(reading);
            let active = rows.iter().find(|row| row.standing == Standing::Active && row.right.account.as_str() == "alice");
            before = active.map(|row| row.right.interval.start);
            if let Some(start) = before {
                prop_assert!(spent.get(&start).copied().unwrap_or(0) < HOUR, "{spent:?}");
            }
        }
    }
}
