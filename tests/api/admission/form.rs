//! What a decision must look like: its key, its words, its length.

use anyhow::Result;
use serde_json::{Map, Value, json};
use tidegate_api::names::DECISION_PREFIX;

use super::DECISIONS;
use crate::fleet::{Fleet, Judged as _, annotate};

/// What a refusal for the wording shows to bob.
const FORM: &str = r#"a decision must read "bob@corp approve|deny|revoke|end[ for=45m][ stage=name][: comment]""#;

#[tokio::test]
async fn every_well_formed_decision_is_allowed() -> Result<()> {
    let fleet = Fleet::new("well-formed").await?;
    fleet.request("r").await?;
    let decisions = [
        "bob@corp approve",
        "bob@corp approve for=30m",
        "bob@corp approve for=1h30m stage=managers: pairing with Alice",
        "bob@corp approve: for=9h is what she asked for: no",
        "bob@corp deny stage=managers",
        "bob@corp deny: größer als nötig – 設定",
        "bob@corp revoke: stolen laptop",
        // The sample role has revoke, which is enough to end for others.
        "bob@corp end",
    ];
    for (index, text) in decisions.into_iter().enumerate() {
        fleet.decide(&fleet.bob, "r", index + 1, text).await?.allowed(text)?;
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_read_as_a_decision_is_refused_with_the_form() -> Result<()> {
    let fleet = Fleet::new("malformed").await?;
    fleet.request("r").await?;
    let too_long = format!("bob@corp deny: {}", "x".repeat(513));
    let attempts = [
        "",
        "approve",
        "bob@corp",
        "bob@corp allow",
        "bob@corp Approve",
        "bob@corp  approve",
        "bob@corp approve ",
        "bob@corp approve for=45",
        "bob@corp approve for=hh",
        "bob@corp approve for=1h1h1h1h",
        "bob@corp approve for=123456s",
        "bob@corp approve for=45m for=5m",
        "bob@corp approve stage=managers for=45m",
        "bob@corp approve stage=Managers",
        "bob@corp approve stage=",
        "bob@corp approve :no blank before the colon",
        "bob@corp approve: ",
        "bob@corp approve\n",
        "bob@corp approve: first\nbob@corp approve: second",
        too_long.as_str(),
        // ESC and other control characters, right-to-left marks, line and paragraph separators: they could fake a line.
        "bob@corp approve: \u{1b}[2Jcleared",
        "bob@corp approve: a\rb",
        "bob@corp approve: a\u{202e}b",
        "bob@corp approve: a\u{200f}b",
        "bob@corp approve: a\u{2028}b",
        "bob@corp approve: a\u{2029}b",
        "bob@corp\u{a0}approve",
    ];
    for text in attempts {
        let tried = fleet.decide(&fleet.bob, "r", 1, text).await?;
        tried.refused(&format!("{text:?}"), DECISIONS, FORM)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_would_do_nothing_is_refused_with_the_next_key() -> Result<()> {
    let fleet = Fleet::new("keys").await?;
    fleet.request("r").await?;
    let keys = [
        "tidegate.dev/Decide",
        "tidegate.dev/approve",
        "decisions.tidegate.dev/1",
        "xtidegate.dev/1",
        "decision.tidegate.dev/01",
        "decision.tidegate.dev/one",
        "example.org/note",
    ];
    for key in keys {
        let tried = fleet.merge(&fleet.bob, "r", &annotate(key, "bob@corp approve")).await?;
        let text = format!("{key} is not a key that can be set now: the next decision is decision.tidegate.dev/1");
        tried.refused(key, DECISIONS, &text)?;
    }
    Ok(())
}

#[tokio::test]
async fn decisions_take_the_next_slot_and_no_other() -> Result<()> {
    let fleet = Fleet::new("slots").await?;
    fleet.request("r").await?;
    let next = |slot: usize| format!("the next decision is decision.tidegate.dev/{slot}");
    let tried = fleet.decide(&fleet.bob, "r", 2, "bob@corp deny").await?;
    tried.refused("slot 2 before slot 1", DECISIONS, &next(1))?;
    fleet.decide(&fleet.bob, "r", 1, "bob@corp approve").await?.allowed("slot 1")?;
    let tried = fleet.decide(&fleet.bob, "r", 1, "bob@corp deny").await?;
    tried.refused("slot 1 again", DECISIONS, "a decision must not be changed or removed")?;
    let tried = fleet.decide(&fleet.bob, "r", 3, "bob@corp deny").await?;
    tried.refused("slot 3 before slot 2", DECISIONS, &next(2))
}

#[tokio::test]
async fn the_same_person_may_decide_again() -> Result<()> {
    let fleet = Fleet::new("again").await?;
    fleet.request("r").await?;
    fleet.decide(&fleet.bob, "r", 1, "bob@corp approve for=9h").await?.allowed("the first, which may not count")?;
    fleet.decide(&fleet.bob, "r", 2, "bob@corp approve for=30m").await?.allowed("the second")?;
    Ok(())
}

#[tokio::test]
async fn two_decisions_at_once_are_refused() -> Result<()> {
    let fleet = Fleet::new("two").await?;
    fleet.request("r").await?;
    let both = json!({"metadata": {"annotations": {
        format!("{DECISION_PREFIX}1"): "bob@corp approve",
        format!("{DECISION_PREFIX}2"): "bob@corp approve",
    }}});
    fleet.merge(&fleet.bob, "r", &both).await?.refused("two decisions", DECISIONS, "one decision at a time")
}

#[tokio::test]
async fn too_many_or_too_long_annotations_are_refused() -> Result<()> {
    let fleet = Fleet::new("many").await?;
    fleet.request("r").await?;
    let rule = "at most 64 annotations of 4096 characters each";
    let many: Map<String, Value> =
        (0..300).map(|n| (format!("{DECISION_PREFIX}{n}"), json!("bob@corp approve"))).collect();
    let tried = fleet.merge(&fleet.bob, "r", &json!({"metadata": {"annotations": many}})).await?;
    tried.refused("300 annotations", DECISIONS, rule)?;
    let tried = fleet.decide(&fleet.bob, "r", 1, &format!("bob@corp approve: {}", "x".repeat(4096))).await?;
    tried.refused("over 4096 characters", DECISIONS, rule)
}

#[tokio::test]
async fn there_is_always_room_to_revoke_and_to_end() -> Result<()> {
    let fleet = Fleet::new("room").await?;
    fleet.request("r").await?;
    let rule = "no more approvals after 32 decisions, no denials after 48";
    for slot in 1..=32 {
        fleet
            .decide(&fleet.bob, "r", slot, "bob@corp approve")
            .await?
            .allowed(&format!("approve as decision {slot}"))?;
    }
    fleet.decide(&fleet.bob, "r", 33, "bob@corp approve").await?.refused("approve as 33rd", DECISIONS, rule)?;
    for slot in 33..=48 {
        fleet.decide(&fleet.bob, "r", slot, "bob@corp deny").await?.allowed(&format!("deny as decision {slot}"))?;
    }
    fleet.decide(&fleet.bob, "r", 49, "bob@corp deny").await?.refused("deny as 49th", DECISIONS, rule)?;
    fleet.decide(&fleet.bob, "r", 49, "bob@corp revoke").await?.allowed("revoke as 49th")?;
    fleet.decide(&fleet.alice, "r", 50, "alice@corp end").await?.allowed("end as 50th")?;
    Ok(())
}
