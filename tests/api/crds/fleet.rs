//! Fleet.

use anyhow::Result;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};
use tidegate_api::Fleet;

use super::place::Place;
use super::{Passes, Says, admin, judge, names};
use crate::fleet::Judged as _;

fn account(name: &str) -> Value {
    json!({"name": name, "identities": ["dana@corp"], "endpoints": {"selector": {}}})
}

fn blocklist(change: &Value) -> Value {
    let mut list = json!({
        "name": "wallets",
        "endpoints": {"selector": {}},
        "applications": [{"name": "wallet", "vendor": {"name": "v"}}],
    });
    super::merge(&mut list, change);
    list
}

fn blocklists(change: Value) -> Value {
    json!({"blocklists": [blocklist(&change)]})
}

#[tokio::test]
async fn there_is_one_fleet_and_its_name_is_fleet() -> Result<()> {
    let place = Place::new::<Fleet>("one-fleet").await?;
    let other: DynamicObject = place.object("other", &json!({}))?;
    let tried = place.objects.create(&PostParams { dry_run: true, ..PostParams::default() }, &other).await;
    tried.refused("another name", "Fleet", "a namespace has one Fleet, and its name is fleet")
}

#[tokio::test]
async fn settings_are_bounded() -> Result<()> {
    let freshness = "give a length of time from 1m to 24h, such as 45m or 1h30m";
    let named = |name: &String| blocklist(&json!({"name": name}));
    let numbered = |count: usize| json!({"blocklists": names(count).iter().map(named).collect::<Vec<_>>()});
    let cases = vec![
        ("nothing", json!({}), Passes),
        ("one open request", json!({"maxOpenRequests": 1}), Passes),
        ("16 open requests", json!({"maxOpenRequests": 16}), Passes),
        ("none", json!({"maxOpenRequests": 0}), Says("should be greater than or equal to 1")),
        ("17 open requests", json!({"maxOpenRequests": 17}), Says("should be less than or equal to 16")),
        ("a minute", json!({"freshness": "1m"}), Passes),
        ("a day", json!({"freshness": "24h"}), Passes),
        ("less", json!({"freshness": "59s"}), Says(freshness)),
        ("more", json!({"freshness": "24h1s"}), Says(freshness)),
        ("words", json!({"freshness": "often"}), Says(freshness)),
        ("512 accounts", json!({"accounts": names(512).iter().map(|n| account(n)).collect::<Vec<_>>()}), Passes),
        (
            "513 accounts",
            json!({"accounts": names(513).iter().map(|n| account(n)).collect::<Vec<_>>()}),
            Says("must have at most 512 items"),
        ),
        ("a login of two people", json!({"accounts": [account("admin"), account("admin")]}), Passes),
        (
            "a login of nobody",
            json!({"accounts": [{"name": "a", "identities": [], "endpoints": {"selector": {}}}]}),
            Says("should have at least 1 items"),
        ),
        (
            "a login nowhere",
            json!({"accounts": [{"name": "a", "identities": ["a"]}]}),
            Says("endpoints: Required value"),
        ),
        (
            "a login on nothing",
            json!({"accounts": [{"name": "a", "identities": ["a"], "endpoints": {}}]}),
            Says("give exactly one of names and selector"),
        ),
        ("16 blocklists", numbered(16), Passes),
        ("17 blocklists", numbered(17), Says("must have at most 16 items")),
        (
            "a blocklist twice",
            json!({"blocklists": [blocklist(&json!({})), blocklist(&json!({}))]}),
            Says("Duplicate value"),
        ),
        ("absolute", blocklists(json!({"absolute": true, "platforms": ["Linux"]})), Passes),
        ("nothing blocked", blocklists(json!({"applications": []})), Says("should have at least 1 items")),
        (
            "an item without a rule",
            blocklists(json!({"applications": [{"name": "wallet"}]})),
            Says("give at least one of vendor, product"),
        ),
        ("another platform", blocklists(json!({"platforms": ["linux"]})), Says("supported values: \"Linux\"")),
    ];
    judge::<Fleet>(admin().await?, &json!({}), cases).await
}
