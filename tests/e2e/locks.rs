//! The stop switch: a Lock in each state of a request and on rights granted ahead, by endpoint, person, policy and fleet.

use anyhow::{Context, Result, ensure};
use kube::api::DeleteParams;
use serde_json::json;
use tidegate_test_support::eventually;

use crate::agent::SOON;
use crate::fleet::{Fleet, condition, in_seconds};
use crate::installation::shared;

#[tokio::test]
async fn a_lock_ends_what_is_granted_declines_what_waits_and_what_comes_and_counts() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "locked").await?;
    let agent = fleet.agent().await?;
    fleet.granted("er-active", "30m").await?;
    agent.started("er-active", SOON).await?;
    let mut later = fleet.wish("er-scheduled", "10m")?;
    later.spec.start_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(in_seconds(7200)?));
    fleet.ask_for(&later).await?;
    fleet.in_state("er-scheduled", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "er-scheduled", "approve").await?;
    fleet.in_state("er-scheduled", "Scheduled", SOON).await?;
    fleet.ask("er-pending", "10m").await?;
    fleet.in_state("er-pending", "Pending", SOON).await?;

    let spec = json!({
        "target": {"endpoints": {"names": ["ws-042"]}}, "effect": "EndAccess", "message": "Stolen laptop, INC-4711",
    });
    fleet.lock("stolen", spec).await?;
    let ended = agent.ended("er-active", SOON).await?;
    ensure!(["locked", "absent"].contains(&ended.0["reason"].as_str().unwrap_or_default()), "{}", ended.0);
    for name in ["er-active", "er-scheduled"] {
        let revoked = fleet.in_state(name, "Revoked", SOON).await?;
        assert_eq!(condition(&revoked, "Active")?.message, "stopped by Lock stolen: Stolen laptop, INC-4711", "{name}");
    }
    fleet.ask("er-new", "10m").await?;
    for name in ["er-pending", "er-new"] {
        let declined = fleet.in_state(name, "Declined", SOON).await?;
        let accepted = condition(&declined, "Accepted")?;
        assert_eq!(accepted.reason, "Locked", "{name}");
        assert!(accepted.message.contains("Stolen laptop, INC-4711"), "{name}: {}", accepted.message);
    }
    let locks = fleet.locks().await?;
    eventually("the count", SOON, async || {
        let status = locks.get("stolen").await?.status.unwrap_or_default();
        ensure!(status.ended == Some(2), "{status:?}");
        Ok(())
    })
    .await?;

    // Lifted, nothing of it comes back, and people can ask again.
    locks.delete("stolen", &DeleteParams::default()).await?;
    eventually("an accepted request", SOON, async || {
        let name = format!("er-{}", tidegate_test_support::clock::now().as_millisecond());
        fleet.ask(&name, "10m").await?;
        fleet.in_state(&name, "Pending", std::time::Duration::from_secs(2)).await
    })
    .await?;
    assert_eq!(agent.all("started", "er-active").len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_lock_that_declines_leaves_what_is_granted_and_expires() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "declining").await?;
    let agent = fleet.agent().await?;
    fleet.granted("er-active", "30m").await?;
    agent.started("er-active", SOON).await?;
    let end = in_seconds(8)?;
    let spec =
        json!({"target": {}, "effect": "DeclineNew", "message": "Change freeze", "expirationTime": end.to_string()});
    fleet.lock("freeze", spec).await?;
    fleet.ask("er-new", "10m").await?;
    let declined = fleet.in_state("er-new", "Declined", SOON).await?;
    let accepted = condition(&declined, "Accepted")?;
    assert_eq!(accepted.reason, "JitDisabled");
    assert!(accepted.message.contains(&format!("Lock freeze until {end}: Change freeze")), "{}", accepted.message);
    eventually("the Lock's end", SOON * 2, async || {
        let status = fleet.locks().await?.get("freeze").await?.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready").context("no Ready")?;
        ensure!(ready.reason == "Closed", "{ready:?}");
        Ok(())
    })
    .await?;
    fleet.ask("er-after", "10m").await?;
    fleet.in_state("er-after", "Pending", SOON).await?;
    fleet.in_state("er-active", "Active", SOON).await?;
    assert_eq!(agent.all("ended", "er-active").len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_lock_on_a_person_ends_rights_granted_ahead_to_the_persons_accounts_only() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "person").await?;
    let accounts = json!({"spec": {"accounts": [
        {"name": "alice", "identities": ["alice@corp"]}, {"name": "dana", "identities": ["dana@corp"]},
    ]}});
    let patch = kube::api::Patch::Merge(&accounts);
    fleet.endpoints().await?.patch("ws-042", &kube::api::PatchParams::default(), &patch).await?;
    let agent = fleet.agent().await?;
    let start = in_seconds(-60)?;
    fleet
        .policy("ahead", json!({"type": "Fixed", "fixed": {"startTime": start.to_string(), "duration": "1h"}}))
        .await?;
    let of = |event: &'static str, account: &'static str| {
        agent.all(event, "ahead").iter().filter(|report| report.0["account"] == account).count()
    };
    let both = async || {
        ensure!(of("started", "alice") == 1 && of("started", "dana") == 1, "not both have begun");
        Ok(())
    };
    eventually("both rights", SOON, both).await?;
    fleet.lock("mallory", json!({"target": {"identities": ["dana@corp"]}, "effect": "EndAccess"})).await?;
    eventually("dana's end", SOON, async || {
        ensure!(of("ended", "dana") == 1, "dana's right goes on");
        Ok(())
    })
    .await?;
    assert_eq!(of("ended", "alice"), 0);
    Ok(())
}

#[tokio::test]
async fn a_lock_on_an_approver_takes_the_approvals_back_and_lets_nobody_count_who_is_locked() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "approver").await?;
    fleet.granted("er-1", "30m").await?;
    fleet.lock("bob", json!({"target": {"identities": ["bob@corp"]}, "effect": "EndAccess"})).await?;
    fleet.in_state("er-1", "Revoked", SOON).await?;
    fleet.ask("er-2", "10m").await?;
    fleet.in_state("er-2", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "er-2", "approve").await?;
    let decision = fleet.decision("er-2", 1).await?;
    assert_eq!((decision.counted, decision.reason.as_deref()), (false, Some("Locked")));
    let dave = fleet.namespace.person("dave@corp", "tidegate-approver").await?;
    fleet.decide(&dave, "er-2", "approve").await?;
    fleet.in_state("er-2", "Active", SOON).await?;
    Ok(())
}
