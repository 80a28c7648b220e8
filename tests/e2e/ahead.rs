//! Rights granted ahead: nobody asks, nobody approves; they begin and end by themselves, and by whatever takes a policy out of force.

use anyhow::{Context, Result, ensure};
use jiff::SignedDuration;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tidegate_api::JitPolicy;
use tidegate_test_support::{clock, eventually};

use crate::agent::{SOON, Watching};
use crate::fleet::{Fleet, in_seconds};
use crate::installation::shared;

/// A right that began a minute ago and holds for an hour.
async fn held(prefix: &str) -> Result<(Fleet<'static>, Watching)> {
    let fleet = Fleet::new(shared().await?, prefix).await?;
    let agent = fleet.agent().await?;
    let start = in_seconds(-60)?;
    fleet
        .policy("ahead", json!({"type": "Fixed", "fixed": {"startTime": start.to_string(), "duration": "1h"}}))
        .await?;
    agent.started("ahead", SOON).await?;
    Ok((fleet, agent))
}

/// The reason of the policy's `Ready`, and its message, as soon as the reason is this one.
async fn ready(fleet: &Fleet<'_>, name: &str, reason: &str) -> Result<(JitPolicy, String)> {
    let api = fleet.policies().await?;
    eventually(&format!("{reason} of {name}"), SOON, async || {
        let policy = api.get(name).await?;
        let conditions = policy.status.clone().unwrap_or_default().conditions;
        let ready = conditions.iter().find(|c| c.type_ == "Ready").context("no Ready")?.clone();
        ensure!(ready.reason == reason, "{ready:?}");
        Ok((policy, ready.message))
    })
    .await
}

#[tokio::test]
async fn a_fixed_right_opens_and_closes_on_time_and_its_policy_says_so() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "fixed").await?;
    let agent = fleet.agent().await?;
    let start = in_seconds(6)?;
    fleet
        .policy("ahead", json!({"type": "Fixed", "fixed": {"startTime": start.to_string(), "duration": "3s"}}))
        .await?;
    let end = start.checked_add(SignedDuration::from_secs(3))?;
    let begun = agent.started("ahead", SOON * 2).await?;
    begun.is_on_time(start)?;
    assert_eq!((begun.start()?, begun.end()?), (start, end));
    let closed = agent.ended("ahead", SOON).await?;
    closed.is_on_time(end)?;
    assert_eq!(closed.0["reason"], "expired");
    let (policy, message) = ready(&fleet, "ahead", "Closed").await?;
    assert!(message.contains(&end.to_string()), "{message}");
    let span = policy.status.and_then(|status| status.access).context("no span")?;
    assert_eq!((span.start_time.0, span.end_time.0), (start, end));
    Ok(())
}

#[tokio::test]
async fn a_recurring_right_comes_again_and_the_policy_shows_the_current_or_next_span() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "recurring").await?;
    let agent = fleet.agent().await?;
    // Every day from this minute or the last one on: open now.
    let minute = clock::now().checked_sub(SignedDuration::from_secs(60))?;
    let start = minute.strftime("%H:%M").to_string();
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let windows = json!([{"days": days, "start": start, "duration": "10h"}]);
    fleet.policy("ahead", json!({"type": "Recurring", "recurring": {"timeZone": "UTC", "windows": windows}})).await?;
    let begun = agent.started("ahead", SOON).await?;
    assert_eq!(begun.end()?.duration_since(begun.start()?).as_hours(), 10);
    let (policy, _) = ready(&fleet, "ahead", "Compiled").await?;
    let span = policy.status.and_then(|status| status.access).context("no span")?;
    assert_eq!((span.start_time.0, span.end_time.0), (begun.start()?, begun.end()?));
    Ok(())
}

#[tokio::test]
async fn a_zone_that_does_not_exist_is_named_and_the_last_good_version_stays_in_force() -> Result<()> {
    let (fleet, agent) = held("zone").await?;
    let windows = json!([{"days": ["Mon"], "start": "18:00", "duration": "1h"}]);
    let access =
        json!({"type": "Recurring", "fixed": null, "recurring": {"timeZone": "Europe/Berlim", "windows": windows}});
    let patch = Patch::Merge(json!({"spec": {"access": access}}));
    fleet.policies().await?.patch("ahead", &PatchParams::default(), &patch).await?;
    let (_, message) = ready(&fleet, "ahead", "Invalid").await?;
    assert!(message.contains("spec.access.recurring.timeZone") && message.contains("Europe/Berlin"), "{message}");
    assert!(message.contains("the last version that was right stays in force"), "{message}");
    assert_eq!(agent.all("ended", "ahead").len(), 0);
    Ok(())
}

#[tokio::test]
async fn suspending_a_policy_ends_what_it_grants_ahead_and_resuming_brings_it_back() -> Result<()> {
    let (fleet, agent) = held("suspended").await?;
    let suspend = |suspended: bool| Patch::Merge(json!({"spec": {"suspended": suspended}}));
    let api = fleet.policies().await?;
    api.patch("ahead", &PatchParams::default(), &suspend(true)).await?;
    let ended = agent.ended("ahead", SOON).await?;
    assert_eq!(ended.0["reason"], "absent");
    ready(&fleet, "ahead", "Suspended").await?;
    api.patch("ahead", &PatchParams::default(), &suspend(false)).await?;
    eventually("the right again", SOON, async || {
        let starts = agent.all("started", "ahead").len();
        ensure!(starts == 2, "{starts} starts");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deleted_policy_takes_its_right_along_and_an_edit_opens_no_gap() -> Result<()> {
    let (fleet, agent) = held("edited").await?;
    let api = fleet.policies().await?;
    let patch = Patch::Merge(json!({"spec": {"description": "edited", "reminders": ["2m"]}}));
    let edited = api.patch("ahead", &PatchParams::default(), &patch).await?;
    eventually("the edit at the endpoint", SOON, async || {
        let fleet_part = fleet.fleets().await?.get("fleet").await?.status.unwrap_or_default().signed;
        let policy = api.get("ahead").await?.status.unwrap_or_default();
        ensure!(policy.observed_generation == edited.metadata.generation, "not seen yet");
        let (sequence, named) = (policy.signed.context("unsigned")?.sequence, fleet_part.context("no part")?.sequence);
        ensure!(named > sequence, "the fleet part {named} is older than the policy {sequence}");
        Ok(())
    })
    .await?;
    assert_eq!(agent.all("ended", "ahead").len(), 0);
    api.delete("ahead", &DeleteParams::default()).await?;
    agent.ended("ahead", SOON).await?;
    assert_eq!((agent.all("started", "ahead").len(), agent.all("ended", "ahead").len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_policy_for_another_platform_is_withheld_and_counted() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "withheld").await?;
    let agent = fleet.agent().await?;
    let start = in_seconds(-60)?;
    let access = json!({"type": "Fixed", "fixed": {"startTime": start.to_string(), "duration": "1h"}});
    for (name, target) in [("windows", json!({"platforms": ["Windows"]})), ("later", json!({"minAgentVersion": "99"}))]
    {
        let policy = fleet.policy(name, access.clone()).await?;
        let mut changed = policy.clone();
        changed.spec.targets = serde_json::from_value(merged(serde_json::to_value(&policy.spec.targets)?, target))?;
        let api = fleet.policies().await?;
        eventually("the targets", SOON, async || {
            let mut newest = api.get(name).await?;
            newest.spec.targets = changed.spec.targets.clone();
            Ok(api.replace(name, &Default::default(), &newest).await?)
        })
        .await?;
        eventually("the count", SOON, async || {
            let endpoints = api.get(name).await?.status.unwrap_or_default().endpoints.context("no counts")?;
            ensure!((endpoints.matched, endpoints.withheld) == (1, 1), "{endpoints:?}");
            Ok(())
        })
        .await?;
    }
    fleet.policy("both", access).await?;
    agent.started("both", SOON).await?;
    Ok(())
}

fn merged(mut into: serde_json::Value, from: serde_json::Value) -> serde_json::Value {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.clone());
    }
    into
}
