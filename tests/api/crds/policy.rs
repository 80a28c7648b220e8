//! JitPolicy: whom it is for, what it says of itself.

mod access;
mod approval;
mod elevation;

use anyhow::Result;
use serde_json::{Value, json};
use tidegate_api::JitPolicy;
use tidegate_test_support::objects;

use super::{Case, Passes, Says, admin, judge, names, spec_of};

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
async fn platforms_and_versions_are_those_that_exist() -> Result<()> {
    let platforms = |words: Value| json!({"targets": {"platforms": words}});
    let version = |text: &str| json!({"targets": {"minAgentVersion": text}});
    judge_policy(vec![
        ("every platform", platforms(json!(["Linux", "Windows", "macOS"])), Passes),
        ("another platform", platforms(json!(["MacOS"])), Says("supported values: \"Linux\", \"Windows\", \"macOS\"")),
        ("a platform twice", platforms(json!(["Linux", "Linux"])), Says("Duplicate value")),
        ("three numbers", version("11.4.2"), Passes),
        ("two numbers", version("11.4"), Passes),
        ("a v", version("v1.2"), Passes),
        ("a kernel", version("6.1.0-18-amd64"), Passes),
        ("no version", version("banana"), Says("should match")),
        ("two dots", version("1..2"), Says("should match")),
        ("a dot at the end", version("1."), Says("should match")),
        ("a comparison", version(">=1.2"), Says("should match")),
    ])
    .await
}

#[tokio::test]
async fn reminders_and_offline_tolerance_are_lengths_of_time() -> Result<()> {
    let reminder = "give lengths of time from 1s to 24h, such as 5m or 1h30m";
    let tolerance = "give a length of time from 0s to 168h, such as 45m or 1h30m";
    let reminders = |texts: &[&str]| json!({"reminders": texts});
    judge_policy(vec![
        ("no reminders", reminders(&[]), Passes),
        ("8 reminders", reminders(&["24h", "8h", "1h", "30m", "10m", "5m", "1m", "1s"]), Passes),
        ("at the end itself", reminders(&["5m", "0s"]), Says(reminder)),
        ("over a day before", reminders(&["24h1s"]), Says(reminder)),
        ("words", reminders(&["banana"]), Says("reminders[0] in body should match")),
        ("never offline", json!({"offlineTolerance": "0s"}), Passes),
        ("a week offline", json!({"offlineTolerance": "168h"}), Passes),
        ("longer offline", json!({"offlineTolerance": "168h1s"}), Says(tolerance)),
        ("offline in words", json!({"offlineTolerance": "long"}), Says(tolerance)),
    ])
    .await
}

#[tokio::test]
async fn a_description_is_1024_characters_and_a_policy_can_be_suspended() -> Result<()> {
    judge_policy(vec![
        ("a description of 1024", json!({"description": "ü".repeat(1024)}), Passes),
        ("a description of 1025", json!({"description": "ü".repeat(1025)}), Says(": Too long")),
        ("suspended", json!({"suspended": true}), Passes),
        ("suspended in words", json!({"suspended": "yes"}), Says("must be of type boolean")),
    ])
    .await
}
