//! When a policy gives access: four forms, and what a request must bring.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::{Passes, Says, merge};
use super::judge_policy;

fn on_request(change: Value) -> Value {
    json!({"access": {"onRequest": change}})
}

fn duration(min: &str, default: &str, max: &str) -> Value {
    on_request(json!({"duration": {"min": min, "default": default, "max": max}}))
}

fn window(start: &str, end: &str) -> Value {
    json!({"access": {"type": "Window", "onRequest": null, "window": {"startTime": start, "endTime": end}}})
}

fn fixed(start: &str, duration: &str) -> Value {
    json!({"access": {"type": "Fixed", "onRequest": null, "fixed": {"startTime": start, "duration": duration}}})
}

fn week() -> Value {
    json!({"timeZone": "Europe/Berlin", "windows": [{"days": ["Mon", "Fri"], "start": "18:00", "duration": "14h"}]})
}

fn recurring(change: Value) -> Value {
    let mut recurring = week();
    merge(&mut recurring, &change);
    json!({"access": {"type": "Recurring", "onRequest": null, "recurring": recurring}})
}

/// A policy with one weekly window, changed.
fn weekly(change: Value) -> Value {
    let mut window = week()["windows"][0].clone();
    merge(&mut window, &change);
    recurring(json!({"windows": [window]}))
}

#[tokio::test]
async fn access_has_the_member_of_its_type_and_no_other() -> Result<()> {
    let fixed_rule = "fixed belongs to type: Fixed, and is required there";
    let window_rule = "window belongs to type: Window, and is required there";
    let recurring_rule = "recurring belongs to type: Recurring, and is required there";
    let request_rule =
        "onRequest belongs to type: OnRequest, and is required there (onRequest: {} takes every default)";
    let span = json!({"startTime": "2027-01-01T00:00:00Z", "endTime": "2027-01-02T00:00:00Z"});
    judge_policy(vec![
        ("OnRequest", json!({"access": {"type": "OnRequest", "onRequest": {}}}), Passes),
        ("Window", json!({"access": {"type": "Window", "onRequest": null, "window": span}}), Passes),
        ("Fixed", fixed("2027-01-01T00:00:00Z", "8h"), Passes),
        ("Recurring", recurring(json!({})), Passes),
        ("Fixed without", json!({"access": {"type": "Fixed", "onRequest": null}}), Says(fixed_rule)),
        ("Recurring without", json!({"access": {"type": "Recurring", "onRequest": null}}), Says(recurring_rule)),
        (
            "fixed beside OnRequest",
            json!({"access": {"fixed": {"startTime": "2027-01-01T00:00:00Z", "duration": "8h"}}}),
            Says(fixed_rule),
        ),
        ("recurring beside OnRequest", json!({"access": {"recurring": week()}}), Says(recurring_rule)),
        ("OnRequest without", json!({"access": {"onRequest": null}}), Says(request_rule)),
        ("OnRequest with a window", json!({"access": {"window": span}}), Says(window_rule)),
        ("Window without", json!({"access": {"type": "Window", "onRequest": null}}), Says(window_rule)),
        ("Window with onRequest", json!({"access": {"type": "Window", "window": span}}), Says(request_rule)),
        (
            "another type",
            json!({"access": {"type": "Sometimes"}}),
            Says("supported values: \"Fixed\", \"Window\", \"Recurring\", \"OnRequest\""),
        ),
    ])
    .await
}

#[tokio::test]
async fn a_window_ends_after_it_starts_and_is_written_in_utc_seconds() -> Result<()> {
    let order = "endTime must be after startTime";
    judge_policy(vec![
        ("a second", window("2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z"), Passes),
        ("nothing", window("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"), Says(order)),
        ("backwards", window("2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), Says(order)),
        ("fractions", window("2027-01-01T00:00:00.5Z", "2027-01-02T00:00:00Z"), Says("startTime in body should match")),
        (
            "an offset",
            window("2027-01-01T00:00:00Z", "2027-01-02T00:00:00+02:00"),
            Says("endTime in body should match"),
        ),
        ("no such day", window("2027-01-01T00:00:00Z", "2027-02-30T00:00:00Z"), Says("must be of type date-time")),
        (
            "no end",
            json!({"access": {"type": "Window", "onRequest": null, "window": {"startTime": "2027-01-01T00:00:00Z"}}}),
            Says("endTime: Required value"),
        ),
    ])
    .await
}

#[tokio::test]
async fn durations_are_compared_as_values_and_stay_within_a_day() -> Result<()> {
    let range = "1s <= min <= default <= max <= 24h is required";
    let timeout = "give a length of time from 1s to 168h, such as 45m or 1h30m";
    judge_policy(vec![
        ("the widest", duration("1s", "30m", "24h"), Passes),
        ("the narrowest", duration("86400s", "1440m", "24h"), Passes),
        ("text would say otherwise", duration("90s", "10m", "2h"), Passes),
        ("min 0", duration("0s", "30m", "24h"), Says(range)),
        ("max over a day", duration("5m", "30m", "24h1s"), Says(range)),
        ("default below min", duration("5m", "4m", "1h"), Says("but min is 5m, default is 4m and max is 1h")),
        ("default above max", duration("5m", "2h", "1h"), Says(range)),
        ("no duration", duration("5m", "banana", "1h"), Says("but min is 5m, default is banana and max is 1h")),
        ("days", duration("5m", "30m", "1d"), Says("should match")),
        ("pendingTimeout 168h", on_request(json!({"pendingTimeout": "168h"})), Passes),
        ("pendingTimeout above", on_request(json!({"pendingTimeout": "168h1s"})), Says(timeout)),
        ("pendingTimeout 0", on_request(json!({"pendingTimeout": "0s"})), Says(timeout)),
        ("pendingTimeout in words", on_request(json!({"pendingTimeout": "soon"})), Says(timeout)),
    ])
    .await
}

#[tokio::test]
async fn fixed_access_lasts_a_second_to_a_year() -> Result<()> {
    let rule = "give a length of time from 1s to 8760h, such as 45m or 1h30m";
    let start = "2027-01-01T00:00:00Z";
    judge_policy(vec![
        ("a second", fixed(start, "1s"), Passes),
        ("a year", fixed(start, "8760h"), Passes),
        ("more than a year", fixed(start, "8760h1s"), Says(rule)),
        ("nothing", fixed(start, "0s"), Says(rule)),
        ("words", fixed(start, "long"), Says(rule)),
        (
            "no start",
            json!({"access": {"type": "Fixed", "onRequest": null, "fixed": {"duration": "8h"}}}),
            Says("startTime: Required value"),
        ),
        (
            "no length",
            json!({"access": {"type": "Fixed", "onRequest": null, "fixed": {"startTime": start}}}),
            Says("duration: Required value"),
        ),
    ])
    .await
}

#[tokio::test]
async fn recurring_windows_begin_at_a_time_of_days_of_the_week() -> Result<()> {
    let rule = "give a length of time from 1s to 168h, such as 45m or 1h30m";
    let window = &week()["windows"][0];
    judge_policy(vec![
        ("UTC", recurring(json!({"timeZone": "UTC"})), Passes),
        ("three parts", recurring(json!({"timeZone": "America/Argentina/Buenos_Aires"})), Passes),
        ("an offset for a zone", recurring(json!({"timeZone": "Etc/GMT+5"})), Passes),
        (
            "a path for a zone",
            recurring(json!({"timeZone": "../../etc/passwd"})),
            Says("timeZone in body should match"),
        ),
        ("an absolute path", recurring(json!({"timeZone": "/usr/share/zoneinfo/UTC"})), Says("should match")),
        ("no zone", recurring(json!({"timeZone": null})), Says("timeZone: Required value")),
        ("16 windows", recurring(json!({"windows": vec![window; 16]})), Passes),
        ("17 windows", recurring(json!({"windows": vec![window; 17]})), Says("must have at most 16 items")),
        ("no windows", recurring(json!({"windows": []})), Says("should have at least 1 items")),
        ("every day", weekly(json!({"days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]})), Passes),
        ("no day", weekly(json!({"days": []})), Says("should have at least 1 items")),
        ("a day twice", weekly(json!({"days": ["Mon", "Mon"]})), Says("Duplicate value")),
        ("a day in full", weekly(json!({"days": ["Monday"]})), Says("supported values: \"Mon\"")),
        ("midnight", weekly(json!({"start": "00:00"})), Passes),
        ("the last minute", weekly(json!({"start": "23:59"})), Passes),
        ("24:00", weekly(json!({"start": "24:00"})), Says("start in body should match")),
        ("one digit", weekly(json!({"start": "8:00"})), Says("start in body should")),
        ("a number, as YAML reads it", weekly(json!({"start": 1080})), Says("must be of type string")),
        ("a week", weekly(json!({"duration": "168h"})), Passes),
        ("more than a week", weekly(json!({"duration": "168h1s"})), Says(rule)),
        ("nothing", weekly(json!({"duration": "0s"})), Says(rule)),
    ])
    .await
}

#[tokio::test]
async fn reason_and_ticket_have_bounds_and_patterns() -> Result<()> {
    judge_policy(vec![
        ("minLength 0", on_request(json!({"reason": {"minLength": 0}})), Passes),
        ("minLength 512", on_request(json!({"reason": {"minLength": 512}})), Passes),
        ("minLength 513", on_request(json!({"reason": {"minLength": 513}})), Says("less than or equal to 512")),
        ("minLength -1", on_request(json!({"reason": {"minLength": -1}})), Says("greater than or equal to 0")),
        ("no pattern", on_request(json!({"reason": {"pattern": ""}})), Passes),
        ("a pattern of 256", on_request(json!({"reason": {"pattern": "ü".repeat(256)}})), Passes),
        ("a pattern of 257", on_request(json!({"reason": {"pattern": "ü".repeat(257)}})), Says(": Too long")),
        ("no ticket rule", on_request(json!({"ticket": {}})), Passes),
        ("a ticket", on_request(json!({"ticket": {"required": true, "pattern": "^[A-Z]+-[0-9]+$"}})), Passes),
        ("a pattern of 257", on_request(json!({"ticket": {"pattern": "x".repeat(257)}})), Says(": Too long")),
    ])
    .await
}
