//! Windows against tables of known clock changes, and spans against a plain reading of the same rules.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

/// `(days, start, seconds)` each, the days with blanks between them.
fn recurring(zone: &str, windows: &[(&str, &str, u64)]) -> Recurring {
    let windows = windows.iter().map(|(days, start, seconds)| {
        let days = days.split(' ').map(|day| day.parse().unwrap()).collect();
        WeeklyWindow::new(days, start.parse().unwrap(), Duration::from_secs(*seconds)).unwrap()
    });
    Recurring::new(zone.parse().unwrap(), windows.collect()).unwrap()
}

fn span(recurring: &Recurring, now: &str) -> (String, String) {
    let span = recurring.span(at(now)).unwrap();
    (span.start.to_string(), span.end.to_string())
}

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const EVERY_DAY: &str = "Mon Tue Wed Thu Fri Sat Sun";

#[test]
fn a_window_reaches_over_midnight_and_holds_its_start_and_not_its_end() {
    let nights = recurring("Europe/Berlin", &[("Mon Fri", "18:00", 14 * HOUR)]);
    let monday = ("2026-11-23T17:00:00Z".to_owned(), "2026-11-24T07:00:00Z".to_owned());
    let friday = ("2026-11-27T17:00:00Z".to_owned(), "2026-11-28T07:00:00Z".to_owned());
    for (now, expected) in [
        ("2026-11-22T10:00:00Z", &monday),
        ("2026-11-23T16:59:59Z", &monday),
        ("2026-11-23T17:00:00Z", &monday),
        ("2026-11-24T00:00:00Z", &monday),
        ("2026-11-24T06:59:59Z", &monday),
        ("2026-11-24T07:00:00Z", &friday),
        ("2026-11-28T06:59:59Z", &friday),
    ] {
        assert_eq!(&span(&nights, now), expected, "{now}");
    }
    assert_eq!(nights.next_edge(at("2026-11-23T16:59:59Z")), Some(at("2026-11-23T17:00:00Z")));
    assert_eq!(nights.next_edge(at("2026-11-23T17:00:00Z")), Some(at("2026-11-24T07:00:00Z")));
    assert_eq!(nights.next_edge(at("2026-11-24T07:00:00Z")), Some(at("2026-11-27T17:00:00Z")));
}

#[test]
fn a_window_wraps_from_sunday_to_monday() {
    let weekend = recurring("Asia/Tokyo", &[("Sun", "22:00", 4 * HOUR)]);
    let expected = ("2026-11-22T13:00:00Z".to_owned(), "2026-11-22T17:00:00Z".to_owned());
    assert_eq!(span(&weekend, "2026-11-16T00:00:00Z"), expected);
    assert_eq!(span(&weekend, "2026-11-22T16:59:59Z"), expected);
    assert_eq!(span(&weekend, "2026-11-22T17:00:00Z").0, "2026-11-29T13:00:00Z");
}

/// A window is open during each change of clocks, one opens in what the clocks leave out or repeat: both changes of
/// two years in three zones (`tzdata`, europe, northamerica, australasia). Zone, day, wall time of the opening, and
/// the span of an hour in UTC.
#[test]
fn a_window_opens_by_wall_time_and_counts_elapsed_time_over_clock_changes() {
    for (zone, start, opens, closes, hours) in [
        // Forwards at 02:00, so 14h from 18:00 on end at 09:00 and not 08:00.
        ("Europe/Berlin", "Sat 18:00", "2026-03-28T17:00:00Z", "2026-03-29T07:00:00Z", 14),
        ("Europe/Berlin", "Sat 18:00", "2027-03-27T17:00:00Z", "2027-03-28T07:00:00Z", 14),
        // In the gap: at its end, 03:00.
        ("Europe/Berlin", "Sun 02:00", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z", 1),
        ("Europe/Berlin", "Sun 02:30", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z", 1),
        ("Europe/Berlin", "Sun 02:59", "2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z", 1),
        ("Europe/Berlin", "Sun 03:00", "2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z", 1),
        ("Europe/Berlin", "Sun 01:59", "2027-03-28T00:59:00Z", "2027-03-28T01:59:00Z", 1),
        // Backwards at 03:00.
        ("Europe/Berlin", "Sat 18:00", "2026-10-24T16:00:00Z", "2026-10-25T06:00:00Z", 14),
        ("Europe/Berlin", "Sat 18:00", "2027-10-30T16:00:00Z", "2027-10-31T06:00:00Z", 14),
        // Twice: the first.
        ("Europe/Berlin", "Sun 02:30", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", 1),
        ("Europe/Berlin", "Sun 02:00", "2027-10-31T00:00:00Z", "2027-10-31T01:00:00Z", 1),
        ("Europe/Berlin", "Sun 03:00", "2027-10-31T02:00:00Z", "2027-10-31T03:00:00Z", 1),
        ("America/New_York", "Sat 18:00", "2026-03-07T23:00:00Z", "2026-03-08T13:00:00Z", 14),
        ("America/New_York", "Sun 02:30", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z", 1),
        ("America/New_York", "Sun 02:30", "2027-03-14T07:00:00Z", "2027-03-14T08:00:00Z", 1),
        ("America/New_York", "Sat 18:00", "2026-10-31T22:00:00Z", "2026-11-01T12:00:00Z", 14),
        ("America/New_York", "Sun 01:30", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", 1),
        ("America/New_York", "Sun 01:30", "2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z", 1),
        // By half an hour: backwards in April, forwards in October, both at 02:00.
        ("Australia/Lord_Howe", "Sat 18:00", "2026-04-04T07:00:00Z", "2026-04-04T21:00:00Z", 14),
        ("Australia/Lord_Howe", "Sun 01:45", "2026-04-04T14:45:00Z", "2026-04-04T15:45:00Z", 1),
        ("Australia/Lord_Howe", "Sun 01:45", "2027-04-03T14:45:00Z", "2027-04-03T15:45:00Z", 1),
        ("Australia/Lord_Howe", "Sun 02:00", "2027-04-03T15:30:00Z", "2027-04-03T16:30:00Z", 1),
        ("Australia/Lord_Howe", "Sat 18:00", "2026-10-03T07:30:00Z", "2026-10-03T21:30:00Z", 14),
        ("Australia/Lord_Howe", "Sun 02:15", "2026-10-03T15:30:00Z", "2026-10-03T16:30:00Z", 1),
        ("Australia/Lord_Howe", "Sun 02:15", "2027-10-02T15:30:00Z", "2027-10-02T16:30:00Z", 1),
        ("Australia/Lord_Howe", "Sun 02:30", "2027-10-02T15:30:00Z", "2027-10-02T16:30:00Z", 1),
        // No change in the same nights.
        ("Asia/Tokyo", "Sun 02:30", "2026-03-28T17:30:00Z", "2026-03-28T18:30:00Z", 1),
        ("Asia/Tokyo", "Sun 02:30", "2026-10-24T17:30:00Z", "2026-10-24T18:30:00Z", 1),
    ] {
        let (day, time) = start.split_once(' ').unwrap();
        let pattern = recurring(zone, &[(day, time, hours * HOUR)]);
        let expected = (opens.to_owned(), closes.to_owned());
        for now in [at(opens).minus(Duration::from_secs(3 * HOUR)), at(opens), at(closes).minus(Duration::from_secs(1))]
        {
            assert_eq!(span(&pattern, &now.to_string()), expected, "{zone} {start} at {now}");
        }
        assert!(pattern.span(at(closes)).unwrap().start > at(closes), "{zone} {start}");
    }
}

#[test]
fn a_day_that_a_zone_left_out_opens_its_window_at_the_next_instant_there_was() {
    // Samoa went from Thursday 2011-12-29 to Saturday 2011-12-31.
    let fridays = recurring("Pacific/Apia", &[("Fri", "12:00", HOUR)]);
    let expected = ("2011-12-30T10:00:00Z".to_owned(), "2011-12-30T11:00:00Z".to_owned());
    assert_eq!(span(&fridays, "2011-12-25T00:00:00Z"), expected);
}

#[test]
fn windows_that_overlap_or_touch_make_one_span() {
    let pattern = recurring(
        "UTC",
        &[("Mon", "08:00", 4 * HOUR), ("Mon", "12:00", HOUR), ("Mon", "12:30", 2 * HOUR), ("Mon", "14:31", MINUTE)],
    );
    let first = ("2026-11-23T08:00:00Z".to_owned(), "2026-11-23T14:30:00Z".to_owned());
    let second = ("2026-11-23T14:31:00Z".to_owned(), "2026-11-23T14:32:00Z".to_owned());
    for now in ["2026-11-22T00:00:00Z", "2026-11-23T08:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T14:29:59Z"] {
        assert_eq!(span(&pattern, now), first, "{now}");
    }
    assert_eq!(span(&pattern, "2026-11-23T14:30:00Z"), second);
}

#[test]
fn a_working_week_without_a_gap_is_not_cut() {
    // From Tuesday to the next Tuesday but for an hour: over a Monday 00:00 UTC, in one piece.
    let pattern = recurring("UTC", &[("Tue", "09:00", 167 * HOUR)]);
    let expected = ("2026-11-24T09:00:00Z".to_owned(), "2026-12-01T08:00:00Z".to_owned());
    assert_eq!(span(&pattern, "2026-11-30T00:00:00Z"), expected);
    assert_eq!(span(&pattern, "2026-11-24T08:59:59Z"), expected);
}

#[test]
fn a_pattern_without_gaps_is_cut_every_monday() {
    for always in [
        recurring("UTC", &[("Wed", "09:00", 168 * HOUR)]),
        recurring("UTC", &[(EVERY_DAY, "00:00", 24 * HOUR)]),
        recurring("Asia/Tokyo", &[("Mon Thu", "10:00", 100 * HOUR)]),
    ] {
        let mut now = at("2026-11-24T09:00:00Z");
        for (start, end) in [
            ("2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"),
            ("2026-12-07T00:00:00Z", "2026-12-14T00:00:00Z"),
        ] {
            assert_eq!(span(&always, &now.to_string()), (start.to_owned(), end.to_owned()));
            now = always.next_edge(now).unwrap();
        }
    }
}

#[test]
fn whole_days_leave_a_gap_where_clocks_go_back_and_none_where_they_go_forward() {
    let days = recurring("Europe/Berlin", &[(EVERY_DAY, "00:00", 24 * HOUR)]);
    // 2026-10-25 has 25 hours.
    assert_eq!(span(&days, "2026-10-25T21:59:59Z").1, "2026-10-25T22:00:00Z");
    assert_eq!(span(&days, "2026-10-25T22:00:00Z").0, "2026-10-25T23:00:00Z");
}

#[test]
fn there_is_no_span_after_the_last_instant() {
    let thursdays = recurring("UTC", &[("Thu", "21:00", 2 * HOUR)]);
    let last = Interval { start: at("9999-12-30T21:00:00Z"), end: Instant::MAX };
    assert_eq!(thursdays.span(last.start), Some(last));
    assert_eq!(thursdays.next_edge(Instant::MAX), None);
    // Would begin and end with the last instant.
    assert_eq!(recurring("UTC", &[("Thu", "22:00", HOUR)]).span(last.start), None);
}

#[test]
fn the_wire_form_is_stable_and_checked() {
    let text = r#"{"timeZone":"Europe/Berlin","windows":[{"days":["Mon","Fri"],"start":"18:00","duration":50400}]}"#;
    let parsed: Recurring = serde_json::from_str(text).unwrap();
    assert_eq!(parsed, recurring("Europe/Berlin", &[("Fri Mon", "18:00", 14 * HOUR)]));
    assert_eq!(serde_json::to_string(&parsed).unwrap(), text);

    let window = r#"{"days":["Mon","Fri"],"start":"18:00","duration":50400}"#;
    let windows = |count: usize| text.replace(window, &vec![window; count].join(","));
    assert!(serde_json::from_str::<Recurring>(&windows(16)).is_ok());
    for (bad, message) in [
        (windows(0), "0 windows are given; 1 to 16 are expected"),
        (windows(17), "17 windows are given; 1 to 16 are expected"),
        (text.replace(r#""Mon","Fri""#, ""), "a window has no days"),
        (text.replace("Fri", "Friday"), "unknown variant `Friday`"),
        (text.replace("50400", "0"), "open for 0 seconds; 1s to 168h are expected"),
        (text.replace("50400", "604801"), "open for 604801 seconds"),
        (text.replace("50400", "-1"), "invalid value"),
        (text.replace("18:00", "24:00"), "\"24:00\" is not a time of day; HH:MM from 00:00 to 23:59"),
        (text.replace("Berlin", "Atlantis"), "time zone \"Europe/Atlantis\" is not known"),
        (text.replace("start", "begin"), "unknown field `begin`"),
        (text.replace("windows", "slots"), "unknown field `slots`"),
    ] {
        let error = serde_json::from_str::<Recurring>(&bad).unwrap_err().to_string();
        assert!(error.contains(message), "{bad}: {error}");
    }
    assert!(serde_json::from_str::<Recurring>(&text.replace("50400", "604800")).is_ok());
}

#[test]
fn a_time_of_day_is_two_digits_each() {
    for text in ["00:00", "09:05", "23:59"] {
        assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
    }
    for bad in ["", "9:05", "09:5", "24:00", "23:60", "+9:05", "09:-5", "09:05:00", "0905", "09:05 ", "٠٩:٠٥", "-1:00"]
    {
        assert!(bad.parse::<TimeOfDay>().is_err(), "{bad:?}");
    }
    assert!("mon".parse::<Weekday>().unwrap_err().to_string().contains("one of Mon, Tue"));
}

#[test]
fn a_window_built_in_code_is_held_to_the_same_bounds() {
    let days = std::collections::BTreeSet::from([Weekday::Mon]);
    let window = |millis| WeeklyWindow::new(days.clone(), "18:00".parse().unwrap(), Duration::from_millis(millis));
    assert_eq!(window(999), Err(WindowError::Duration(0)));
    assert_eq!(window(1_999).unwrap().duration(), Duration::from_secs(1));
    assert!(window(604_800_999).is_ok());
    assert_eq!(window(604_801_000), Err(WindowError::Duration(604_801)));
    assert_eq!(Recurring::new("UTC".parse().unwrap(), vec![]), Err(WindowCountError(0)));
}

#[test]
fn an_unknown_zone_is_refused_with_what_was_probably_meant() {
    for (bad, message) in [
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("Germany/Berlin", "did you mean Europe/Berlin?"),
        ("America/New York", "did you mean America/New_York?"),
        ("utc", "UTC"),
        ("Etc/Unknown", "an IANA name such as Europe/Berlin is expected"),
        ("CEST", "an IANA name such as Europe/Berlin is expected"),
        ("+01:00", "an IANA name such as Europe/Berlin is expected"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "an IANA name such as Europe/Berlin is expected"),
        ("../../etc/passwd", "an IANA name such as Europe/Berlin is expected"),
        ("", "an IANA name such as Europe/Berlin is expected"),
    ] {
        let error = bad.parse::<ZoneName>().unwrap_err().to_string();
        assert!(error.contains(message) && error.starts_with("time zone"), "{bad:?}: {error}");
    }
    assert!("x".repeat(5000).parse::<ZoneName>().unwrap_err().to_string().len() < 200);
}

/// Zones with an hour, half an hour and two hours of summer time, on both halves of the globe, with odd offsets, with
/// changes just after midnight, and without changes. None left out a day since 1972, which the plain reading could
/// not follow.
const ZONES: [&str; 9] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Tokyo",
    "UTC",
    "Antarctica/Troll",
    "Pacific/Chatham",
    "Asia/Kathmandu",
    "America/St_Johns",
];

fn any_window() -> impl Strategy<Value = WeeklyWindow> {
    let days = prop_oneof![
        3 => prop::collection::btree_set(prop::sample::select(Weekday::ALL.to_vec()), 1..=7),
        1 => Just(Weekday::ALL.into_iter().collect()),
    ];
    // Nights of change more often than other times.
    let start = prop_oneof![(0u8..24, 0u8..60), (0u8..4, prop::sample::select(vec![0u8, 15, 30, 45]))]
        .prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}").parse().unwrap());
    let duration = prop_oneof![1..=604_800u64, 1..=48 * HOUR, (1..=168u64).prop_map(|hours| hours * HOUR)];
    (days, start, duration)
        .prop_map(|(days, start, seconds)| WeeklyWindow::new(days, start, Duration::from_secs(seconds)).unwrap())
}

fn any_recurring() -> impl Strategy<Value = Recurring> {
    (prop::sample::select(ZONES.to_vec()), prop::collection::vec(any_window(), 1..=4))
        .prop_map(|(zone, windows)| Recurring::new(zone.parse().unwrap(), windows).unwrap())
}

/// 1972 (before that, offsets had seconds) to 2105; half of them within ten days of a change of clocks in 2026.
fn any_now() -> impl Strategy<Value = Instant> {
    let changes = ["2026-03-08", "2026-03-29", "2026-04-05", "2026-09-27", "2026-10-04", "2026-10-25", "2026-11-01"];
    let near = (prop::sample::select(changes.to_vec()), -864_000i64..864_000)
        .prop_map(|(date, seconds)| at(&format!("{date}T00:00:00Z")).as_second() + seconds);
    prop_oneof![63_072_000i64..4_260_000_000, near].prop_map(Instant::from_second)
}

/// Is access open at `t`? Read plainly: some window opened, at most its duration ago. A wall time that does not exist
/// is sought minute by minute from before the gap.
fn is_open(recurring: &Recurring, t: Instant) -> bool {
    let zone = recurring.time_zone().zone();
    let local = |second: i64| zone.to_datetime(Timestamp::from_second(second).unwrap());
    let today = local(t.as_second()).date();
    (-9..=1).any(|days| {
        let date = today.checked_add(Span::new().days(days)).unwrap();
        recurring.windows().iter().any(|window| {
            let wall = date.at(window.start().hour(), window.start().minute(), 0, 0);
            let mut second = zone.to_timestamp(wall).unwrap().as_second();
            if local(second) != wall {
                second -= 6 * 3600;
                while local(second) < wall {
                    second += 60;
                }
            }
            let open = second..second + i64::try_from(window.duration().as_secs()).unwrap();
            window.days().contains(&Weekday::from(date.weekday())) && open.contains(&t.as_second())
        })
    })
}

fn is_cut(t: Instant) -> bool {
    (t.as_second() - MONDAY).rem_euclid(WEEK) == 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_span_is_the_same_from_everywhere_inside_and_before(
        recurring in any_recurring(), now in any_now(), part in 0.0..1.0f64,
    ) {
        let span = recurring.span(now).unwrap();
        prop_assert!(now < span.end && span.start < span.end && span.start.until(span.end) <= MAX_SPAN);
        let second = Duration::from_secs(1);
        let inside = span.start.plus(span.start.until(span.end).mul_f64(part));
        let before = now.plus(now.until(span.start).mul_f64(part));
        for other in [span.start, inside, before, span.end.minus(second)] {
            prop_assert_eq!(recurring.span(other), Some(span), "from {}", other);
        }
        prop_assert_eq!(recurring.next_edge(now), Some(if now < span.start { span.start } else { span.end }));
        let next = recurring.span(span.end).unwrap();
        prop_assert!(next.start >= span.end && next.end > span.end);
    }

    #[test]
    fn a_span_holds_exactly_what_a_plain_reading_holds(
        recurring in any_recurring(), now in any_now(), part in 0.0..1.0f64,
    ) {
        let span = recurring.span(now).unwrap();
        let second = Duration::from_secs(1);
        let inside = span.start.plus(span.start.until(span.end).mul_f64(part));
        for t in [span.start, inside, span.end.minus(second)] {
            prop_assert!(is_open(&recurring, t), "closed at {}", t);
        }
        let before = now.plus(now.until(span.start).mul_f64(part));
        prop_assert_eq!(is_open(&recurring, now), now >= span.start);
        prop_assert!(before >= span.start || !is_open(&recurring, before), "open at {}", before);
        prop_assert!(is_cut(span.start) || !is_open(&recurring, span.start.minus(second)));
        prop_assert!(is_cut(span.end) || !is_open(&recurring, span.end));
    }

    #[test]
    fn a_pattern_with_a_gap_each_week_is_not_cut(
        seconds in 1..165 * HOUR, day in 0usize..7, now in any_now(), zone in 0..ZONES.len(),
    ) {
        let day = Weekday::ALL[day].to_string();
        let span = recurring(ZONES[zone], &[(&day, "12:00", seconds)]).span(now).unwrap();
        prop_assert_eq!(span.start.until(span.end), Duration::from_secs(seconds));
    }

    #[test]
    fn no_instant_is_too_far(recurring in any_recurring(), second in any::<i64>(), end in 0i64..5_000_000) {
        for now in [Instant::from_second(second), Instant::from_second(Instant::MAX.as_second() - end)] {
            if let Some(span) = recurring.span(now) {
                prop_assert!(now < span.end && span.start < span.end);
                prop_assert_eq!(recurring.span(span.start), Some(span));
            }
        }
        prop_assert_eq!(recurring.span(Instant::MAX), None);
    }
}
