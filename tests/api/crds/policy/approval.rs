//! What a policy asks before a request is granted: automatic rules and stages.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::{Passes, Says, names};
use super::judge_policy;

fn approval(change: Value) -> Value {
    json!({"access": {"onRequest": {"approval": change}}})
}

fn stages(approvals: &[i64]) -> Value {
    let stage = |(name, approvals): (String, &i64)| json!({"name": name, "approvals": approvals});
    approval(json!({"stages": names(approvals.len()).into_iter().zip(approvals).map(stage).collect::<Vec<_>>()}))
}

fn stage(name: &str) -> Value {
    approval(json!({"stages": [{"name": name, "approvals": 1}]}))
}

/// A policy for the programs `toolchain` and `editor` with this automatic rule.
fn automatic(members: Value) -> Value {
    let mut rule = json!({"name": "trusted"});
    super::super::merge(&mut rule, &members);
    let item = |name: &str| json!({"name": name, "vendor": {"name": "v"}});
    let mut policy = approval(json!({"automatic": [rule]}));
    policy["elevation"] = json!({"mode": "Application", "applications": [item("toolchain"), item("editor")]});
    policy
}

#[tokio::test]
async fn stages_are_few_and_called_what_rbac_can_name() -> Result<()> {
    let sum = "stages ask for more than 16 approvals in all; ask for fewer";
    let reserved = "a stage cannot be called status or scale";
    judge_policy(vec![
        ("no stages", stages(&[]), Passes),
        ("two stages", stages(&[1, 2]), Passes),
        ("8 stages", stages(&[1; 8]), Passes),
        ("9 stages", stages(&[1; 9]), Says("must have at most 8 items")),
        ("16 approvals", stages(&[8, 8]), Passes),
        ("17 approvals", stages(&[8, 8, 1]), Says(sum)),
        ("no approvals", stages(&[0]), Says("should be greater than or equal to 1")),
        ("9 approvals in one", stages(&[9]), Says("should be less than or equal to 8")),
        ("security", stage("security"), Passes),
        ("63 characters", stage(&"s".repeat(63)), Passes),
        ("64 characters", stage(&"s".repeat(64)), Says(": Too long")),
        ("status", stage("status"), Says(reserved)),
        ("scale", stage("scale"), Says(reserved)),
        ("two words", stage("two words"), Says("should match")),
        ("a dot", stage("a.b"), Says("should match")),
        (
            "a name twice",
            approval(json!({"stages": [{"name": "a", "approvals": 1}, {"name": "a", "approvals": 2}]})),
            Says("Duplicate value"),
        ),
        ("no number", approval(json!({"stages": [{"name": "a"}]})), Says("approvals: Required value")),
    ])
    .await
}

#[tokio::test]
async fn automatic_rules_name_what_exists_within_a_day() -> Result<()> {
    let unlisted = "an automatic rule names an application that elevation.applications does not list";
    let duration = "give a length of time from 1s to 24h, such as 45m or 1h30m";
    let rules = |count: usize| {
        approval(json!({"automatic": names(count).iter().map(|name| json!({"name": name})).collect::<Vec<_>>()}))
    };
    let everything = json!({
        "accounts": {"groups": ["staff"], "except": {"names": ["root"]}},
        "endpoints": {"selector": {"matchLabels": {"tier": "low"}}},
        "applications": ["toolchain", "editor"],
        "maxDuration": "1h",
    });
    judge_policy(vec![
        ("a name alone", automatic(json!({})), Passes),
        ("every member", automatic(everything), Passes),
        ("16 rules", rules(16), Passes),
        ("17 rules", rules(17), Says("must have at most 16 items")),
        ("a name twice", approval(json!({"automatic": [{"name": "a"}, {"name": "a"}]})), Says("Duplicate value")),
        ("another application", automatic(json!({"applications": ["toolchain", "browser"]})), Says(unlisted)),
        (
            "no application is listed",
            approval(json!({"automatic": [{"name": "a", "applications": ["b"]}]})),
            Says(unlisted),
        ),
        ("none of the applications", automatic(json!({"applications": []})), Says("should have at least 1 items")),
        ("a day", automatic(json!({"maxDuration": "24h"})), Passes),
        ("more than a day", automatic(json!({"maxDuration": "25h"})), Says(duration)),
        ("nobody", automatic(json!({"accounts": {}})), Says("give either everyone: true, or names and/or groups")),
        ("no endpoints", automatic(json!({"endpoints": {}})), Says("give exactly one of names and selector")),
    ])
    .await
}
