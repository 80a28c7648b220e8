//! ManagedEndpoint.

use anyhow::Result;
use serde_json::{Value, json};
use tidegate_api::ManagedEndpoint;
use tidegate_test_support::objects;

use super::{Passes, Says, admin, judge, names, spec_of};

fn account(name: &str) -> Value {
    json!({"name": name, "identities": ["alice@corp"]})
}

fn accounts(count: usize) -> Value {
    json!({"accounts": names(count).iter().map(|name| account(name)).collect::<Vec<_>>()})
}

fn identities(count: usize) -> Value {
    json!({"accounts": [{"name": "alice", "identities": names(count)}]})
}

#[tokio::test]
async fn accounts_say_who_is_who_once_each() -> Result<()> {
    let valid = spec_of(&objects::endpoint("ws-042", "alice@corp", "alice")?)?;
    let cases = vec![
        ("no owner", json!({"owner": null}), Passes),
        ("an owner with a blank", json!({"owner": "alice at corp"}), Says("owner in body should match")),
        ("no accounts", json!({"accounts": null}), Passes),
        ("64 accounts", accounts(64), Passes),
        ("65 accounts", accounts(65), Says("must have at most 64 items")),
        ("an account twice", json!({"accounts": [account("alice"), account("alice")]}), Says("Duplicate value")),
        ("16 identities", identities(16), Passes),
        ("17 identities", identities(17), Says("must have at most 16 items")),
        ("no identities", identities(0), Says("should have at least 1 items")),
        (
            "an identity with a blank",
            json!({"accounts": [{"name": "alice", "identities": ["alice at corp"]}]}),
            Says("should match"),
        ),
        (
            "65 groups",
            json!({"accounts": [{"name": "a", "identities": ["a"], "groups": names(65)}]}),
            Says("must have at most 64 items"),
        ),
    ];
    judge::<ManagedEndpoint>(admin().await?, &valid, cases).await
}
