//! Every case of `decide`, then a model of several processes (`model`).

mod model;

use super::*;

const ME: &str = "me";

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn held_by(holder: &str, version: &str) -> Record {
    Record { holder: holder.to_owned(), transitions: 4, lasts: TIMES.lease, version: version.to_owned() }
}

/// Has read at 100 s what this Lease is.
fn read(record: Option<Record>) -> Known {
    let mut known = Known::default();
    known.saw(record, at(100_000));
    known
}

/// Leads since a write from 100 s to 100.3 s.
fn leader() -> Known {
    let mut known = Known::default();
    known.wrote(held_by(ME, "7"), at(100_000), at(100_300));
    known
}

fn next(known: &Known, now: u64) -> Action {
    decide(known, ME, &TIMES, at(now))
}

#[test]
fn nobody_writes_before_reading() {
    assert_eq!(next(&Known::default(), 0), Action::Read);
    let mut known = Known::default();
    known.failed(at(5_000));
    assert_eq!(next(&known, 5_499), Action::Wait(at(5_500)));
    assert_eq!(next(&known, 5_500), Action::Read);
}

#[test]
fn a_lease_that_is_not_there_or_held_by_nobody_is_taken_at_once() {
    assert_eq!(next(&read(None), 100_000), Action::Create);
    assert_eq!(next(&read(Some(held_by("", "7"))), 100_000), Action::Replace { transitions: 5 });
}

#[test]
fn a_lease_of_somebody_else_is_taken_once_it_has_not_changed_for_15_s() {
    let mut known = read(Some(held_by("other", "7")));
    assert_eq!(next(&known, 100_000), Action::Wait(at(100_500)));
    assert_eq!(next(&known, 100_500), Action::Read);
    for second in 101..115 {
        known.saw(Some(held_by("other", "7")), at(second * 1000));
        assert!(matches!(next(&known, second * 1000), Action::Wait(_)), "{second}");
    }
    known.saw(Some(held_by("other", "7")), at(114_800));
    assert_eq!(next(&known, 114_999), Action::Wait(at(115_000)), "its end comes before the next look");
    known.saw(Some(held_by("other", "7")), at(115_000));
    assert_eq!(next(&known, 115_000), Action::Replace { transitions: 5 });
    known.saw(Some(held_by("other", "8")), at(115_000));
    assert_eq!(next(&known, 115_000), Action::Wait(at(115_500)), "it was renewed");
}

#[test]
fn a_lease_lasts_as_long_as_its_holder_says_if_that_is_longer_and_at_most_a_minute() {
    for (says, lasts) in [(0, 15), (15, 15), (40, 40), (60, 60), (1_000_000, 60)] {
        let mut known = read(Some(Record { lasts: Duration::from_secs(says), ..held_by("other", "7") }));
        let end = 100_000 + lasts * 1000;
        known.asked = Some(at(end - 1));
        assert_eq!(next(&known, end - 1), Action::Wait(at(end)), "{says}");
        assert_eq!(next(&known, end), Action::Replace { transitions: 5 }, "{says}");
    }
}

#[test]
fn a_lease_that_was_deleted_is_still_its_holders_until_it_would_have_ended() {
    let mut known = read(Some(held_by("other", "7")));
    known.saw(None, at(101_000));
    assert_eq!(next(&known, 101_000), Action::Wait(at(101_500)), "its holder may not know yet");
    known.saw(None, at(115_000));
    assert_eq!(next(&known, 115_000), Action::Create);
    let mut known = read(Some(held_by("other", "7")));
    known.saw(Some(held_by("", "8")), at(101_000));
    known.saw(None, at(102_000));
    assert_eq!(next(&known, 102_000), Action::Create, "nobody held it any more");
}

#[test]
fn a_write_whose_answer_was_lost_is_found_by_reading_and_said_again() {
    let mut known = read(Some(held_by("", "7")));
    known.failed(at(100_500));
    assert_eq!(next(&known, 100_500), Action::Wait(at(101_000)));
    assert_eq!(next(&known, 101_000), Action::Read);
    known.saw(Some(held_by(ME, "8")), at(101_500));
    assert_eq!(known.leads_until(&TIMES), None, "it leads only after a write of which it knows when it was begun");
    assert_eq!(next(&known, 101_500), Action::Replace { transitions: 4 });
}

#[test]
fn the_leader_renews_every_2_s_from_the_start_of_the_last_renewal() {
    let known = leader();
    assert_eq!(next(&known, 100_300), Action::Wait(at(102_000)));
    assert_eq!(next(&known, 102_000), Action::Replace { transitions: 4 });
    assert_eq!(known.leads_until(&TIMES), Some(at(110_000)));
}

#[test]
fn a_leader_whose_call_failed_reads_again_and_renews_what_it_finds_its_own() {
    let mut known = leader();
    known.failed(at(105_000));
    assert_eq!(next(&known, 105_000), Action::Wait(at(105_500)));
    assert_eq!(next(&known, 105_500), Action::Read);
    known.saw(Some(held_by(ME, "9")), at(105_600));
    assert_eq!(next(&known, 105_600), Action::Replace { transitions: 4 });
    assert_eq!(known.leads_until(&TIMES), Some(at(110_000)), "reading prolongs nothing");
    known.failed(at(109_800));
    assert_eq!(next(&known, 109_800), Action::Wait(at(110_000)), "the end comes before the next try");
}

#[test]
fn the_leader_stands_down_at_the_renew_deadline_whatever_it_finds() {
    let known = leader();
    assert_ne!(next(&known, 109_999), Action::StandDown(Loss::Late));
    assert_eq!(next(&known, 110_000), Action::StandDown(Loss::Late));
    assert_eq!(next(&known, 1_000_000), Action::StandDown(Loss::Late));
}

#[test]
fn the_leader_stands_down_when_the_lease_is_not_its_own() {
    for (found, loss) in [
        (Some(held_by("other", "9")), Loss::Taken("other".to_owned())),
        (Some(held_by("", "9")), Loss::Gone),
        (None, Loss::Gone),
    ] {
        let mut known = leader();
        known.saw(found, at(103_000));
        assert_eq!(next(&known, 103_000), Action::StandDown(loss));
    }
}

#[test]
fn the_most_transitions_stay_the_most() {
    let known = read(Some(Record { transitions: i32::MAX, ..held_by("", "7") }));
    assert_eq!(next(&known, 100_000), Action::Replace { transitions: i32::MAX });
}

#[test]
fn whoever_leads_stops_well_before_anybody_may_follow() {
    assert!(TIMES.lease >= TIMES.renew_deadline * 3 / 2);
    assert!(TIMES.lease + TIMES.read_every <= Duration::from_secs(16), "a dead leader is followed within 17 s");
}
