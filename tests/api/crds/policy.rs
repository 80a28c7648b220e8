//! JitPolicy.

use anyhow::Result;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tidegate_api::JitPolicy;
use tidegate_test_support::objects;

use super::{Case, Passes, Says, admin, judge, names, spec_of};
use crate::fleet::Fleet;

async fn judge_policy(cases: Vec<Case>) -> Result<()> {
    let valid = spec_of(&objects::policy_on_request("p")?)?;
    judge::<JitPolicy>(admin().await?, &valid, cases).await
}

fn endpoints(targets: Value) -> Value {
    json!({"targets": {"endpoints": targets}})
}

fn accounts(targets: Value) -> Value {
    json!({"targets": {"accounts": targets}})
}

fn on_request(change: Value) -> Value {
    json!({"access": {"onRequest": change}})
}

fn duration(min: &str, default: &str, max: &str) -> Value {
    on_request(json!({"duration": {"min": min, "default": default, "max": max}}))
}

fn window(start: &str, end: &str) -> Value {
    json!({"access": {"type": "Window", "onRequest": null, "window": {"startTime": start, "endTime": end}}})
}

#[tokio::test]
async fn endpoints_are_named_or_selected() -> Result<()> {
    let one_of = "give exactly one of names and selector";
    let values = "In and NotIn need values, Exists and DoesNotExist must have none";
    let expression = |operator: &str, values: Value| {
        endpoints(json!({"selector": {"matchExpressions": [{"key": "team", "operator": operator, "values": values}]}}))
    };
    judge_policy(vec![
        ("every endpoint", endpoints(json!({"selector": {}})), Passes),
        ("names", endpoints(json!({"selector": null, "names": ["ws-042", "ws.043"]})), Passes),
        ("both", endpoints(json!({"names": ["ws-042"]})), Says(one_of)),
        ("neither", endpoints(json!({"selector": null})), Says(one_of)),
        ("no names", endpoints(json!({"selector": null, "names": []})), Says("should have at least 1 items")),
        ("256 names", endpoints(json!({"selector": null, "names": names(256)})), Passes),
        ("257 names", endpoints(json!({"selector": null, "names": names(257)})), Says("must have at most 256 items")),
        ("a name twice", endpoints(json!({"selector": null, "names": ["a", "a"]})), Says("Duplicate value")),
        ("a path as a name", endpoints(json!({"selector": null, "names": ["a/b"]})), Says("should match")),
        ("labels", endpoints(json!({"selector": {"matchLabels": {"example.org/team": "dev", "tier": ""}}})), Passes),
        ("no label value", endpoints(json!({"selector": {"matchLabels": {"team": "d e v"}}})), Says("should match")),
        ("In with values", expression("In", json!(["dev"])), Passes),
        ("In without values", expression("In", json!([])), Says(values)),
        ("Exists without values", expression("Exists", json!([])), Passes),
        ("Exists with values", expression("Exists", json!(["dev"])), Says(values)),
        ("an unknown operator", expression("Like", json!(["dev"])), Says("Unsupported value: \"Like\"")),
    ])
    .await
}

#[tokio::test]
async fn accounts_are_everyone_or_named() -> Result<()> {
    let one_of = "give either everyone: true, or names and/or groups";
    judge_policy(vec![
        ("everyone", accounts(json!({"everyone": true})), Passes),
        ("names", accounts(json!({"everyone": null, "names": ["alice", "CORP\\Alice Example"]})), Passes),
        ("names, everyone false", accounts(json!({"everyone": false, "names": ["alice"]})), Passes),
        ("names and groups", accounts(json!({"everyone": null, "names": ["alice"], "groups": ["developers"]})), Passes),
        ("everyone but some", accounts(json!({"except": {"names": ["root"], "groups": ["guests"]}})), Passes),
        ("everyone and names", accounts(json!({"names": ["alice"]})), Says(one_of)),
        ("nobody", accounts(json!({"everyone": null})), Says(one_of)),
        ("everyone false alone", accounts(json!({"everyone": false})), Says(one_of)),
        ("64 names", accounts(json!({"everyone": null, "names": names(64)})), Passes),
        ("65 names", accounts(json!({"everyone": null, "names": names(65)})), Says("must have at most 64 items")),
        ("65 groups left out", accounts(json!({"except": {"groups": names(65)}})), Says("must have at most 64 items")),
        ("a blank at the end", accounts(json!({"everyone": null, "names": ["alice "]})), Says("should match")),
        ("257 characters", accounts(json!({"everyone": null, "names": ["a".repeat(257)]})), Says(": Too long")),
    ])
    .await
}

#[tokio::test]
async fn access_has_the_member_of_its_type_and_no_other() -> Result<()> {
    let window_rule = "window belongs to type: Window, and is required there";
    let request_rule =
        "onRequest belongs to type: OnRequest, and is required there (onRequest: {} takes every default)";
    let span = json!({"startTime": "2027-01-01T00:00:00Z", "endTime": "2027-01-02T00:00:00Z"});
    judge_policy(vec![
        ("OnRequest", json!({"access": {"type": "OnRequest", "onRequest": {}}}), Passes),
        ("Window", json!({"access": {"type": "Window", "onRequest": null, "window": span}}), Passes),
        ("OnRequest without", json!({"access": {"onRequest": null}}), Says(request_rule)),
        ("OnRequest with a window", json!({"access": {"window": span}}), Says(window_rule)),
        ("Window without", json!({"access": {"type": "Window", "onRequest": null}}), Says(window_rule)),
        ("Window with onRequest", json!({"access": {"type": "Window", "window": span}}), Says(request_rule)),
        ("another type", json!({"access": {"type": "Sometimes"}}), Says("supported values: \"Window\", \"OnRequest\"")),
        ("another mode", json!({"elevation": {"mode": "Everything"}}), Says("supported values: \"AnyApplication\"")),
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
async fn texts_and_numbers_are_bounded() -> Result<()> {
    judge_policy(vec![
        ("minLength 0", on_request(json!({"reason": {"minLength": 0}})), Passes),
        ("minLength 512", on_request(json!({"reason": {"minLength": 512}})), Passes),
        ("minLength 513", on_request(json!({"reason": {"minLength": 513}})), Says("less than or equal to 512")),
        ("minLength -1", on_request(json!({"reason": {"minLength": -1}})), Says("greater than or equal to 0")),
        ("a description of 1024", json!({"description": "ü".repeat(1024)}), Passes),
        ("a description of 1025", json!({"description": "ü".repeat(1025)}), Says(": Too long")),
    ])
    .await
}

#[tokio::test]
async fn defaults_are_filled_in_and_an_unseen_policy_says_so() -> Result<()> {
    let fleet = Fleet::new("defaults").await?;
    let policies: Api<JitPolicy> = Api::namespaced(fleet.control_plane.admin().client().await?, fleet.namespace.name());
    let mut wanted = objects::policy_on_request("p")?;
    // What a person writes who takes every default; the struct fills in the same.
    wanted.spec.access.on_request = Some(serde_json::from_value(json!({}))?);
    let as_written = serde_json::from_value(json!({"apiVersion": "tidegate.dev/v1alpha1", "kind": "JitPolicy",
        "metadata": {"name": "p"}, "spec": {"targets": wanted.spec.targets, "elevation": wanted.spec.elevation,
        "access": {"type": "OnRequest", "onRequest": {}}}}))?;
    let resource = kube::api::ApiResource::erase::<JitPolicy>(&());
    let raw: Api<kube::api::DynamicObject> =
        Api::namespaced_with(fleet.control_plane.admin().client().await?, fleet.namespace.name(), &resource);
    raw.create(&PostParams::default(), &as_written).await?;

    let stored = policies.get("p").await?;
    assert_eq!(stored.spec, wanted.spec);
    assert_eq!(stored.status.and_then(|status| status.observed_generation), Some(-1));
    Ok(())
}
