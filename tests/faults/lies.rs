//! Networks that lie: watches on which nothing arrives, that are told 410, that say everything twice, in the wrong order, or not at
//! all that something is gone; writes that are refused, lost or late.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kube::api::DeleteParams;
use serde_json::json;
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::eventually;
use tidegate_test_support::proxy::{Call, Fault, Handle};

use crate::agent::SOON;
use crate::course::PATIENCE;
use crate::installation::{Installation, RELIST, ready_is};
use crate::outages::STALE;
use crate::story::Story;

/// How long a connection on which nothing arrives is believed in: 40 s, and what follows on a busy machine.
const DEAD_CONNECTION: Duration = Duration::from_secs(75);

#[tokio::test(flavor = "multi_thread")]
async fn watches_on_which_nothing_arrives_are_noticed_and_made_anew() -> Result<()> {
    let (installation, controller) = Installation::start().await?;
    let story = Story::begin(&installation).await?;
    let gateway = &installation.gateways[0];
    let end = story.granted("er-1", "30s").await?;
    story.ask("er-2", "5m").await?;

    // Of the controller's watches those that run die, without a word; the gateway's way stays bad.
    let muted = Stopwatch::start();
    let gateway_blind = installation.gateways_way.fault(Fault::Mute, is_watch);
    {
        let _controller_blind = installation.way.fault(Fault::Mute, is_watch);
        story.fleet.decide(&story.fleet.bob, "er-2", "approve").await?;
    }
    story.ends_on_time("er-1", end, PATIENCE).await?;
    story.fleet.in_state("er-2", "Active", DEAD_CONNECTION).await?;
    println!("silent watches: an approval is seen after {:?}", muted.elapsed());
    ready_is(gateway.admin, false, STALE).await.context("the gateway")?;
    println!("silent watches: the gateway is not ready after {:?}", muted.elapsed());
    ensure!(muted.elapsed() <= STALE, "only after {:?}", muted.elapsed());
    ensure!(story.agent.all("started", "er-2").is_empty(), "nobody can have told the agent");
    controller.ready_is(true, SOON).await.context("the controller")?;

    drop(gateway_blind);
    story.agent.started("er-2", DEAD_CONNECTION).await?;
    story.fleet.decide(&story.fleet.bob, "er-2", "revoke").await?;
    story.agent.ended("er-2", PATIENCE).await?;
    story.works_again(&controller, "er-3").await
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_watch_says_wrongly_nothing_wrong_is_granted_and_it_mends_itself() -> Result<()> {
    let (installation, controller) = Installation::start_with(&RELIST).await?;
    let story = Story::begin(&installation).await?;

    told_410(&installation, &story).await.context("410")?;
    told_twice(&installation, &story).await.context("duplicates")?;
    told_in_the_wrong_order(&installation, &story).await.context("wrong order")?;
    not_told_of_the_end(&installation, &story).await.context("a hidden deletion")?;
    refused_lost_and_late(&installation, &story).await.context("refused, lost and late")?;
    story.works_again(&controller, "er-last").await
}

/// The history is gone, in the stream and as an answer; meanwhile something is decided.
async fn told_410(installation: &Installation, story: &Story<'_>) -> Result<()> {
    for (name, fault) in [("er-gone", Fault::Gone), ("er-410", Fault::Answer(410))] {
        story.ask(name, "5m").await?;
        let first = on_both(installation, Fault::Gone, is_watch);
        story.fleet.decide(&story.fleet.bob, name, "approve").await?;
        // A new watch: so those that ran have ended.
        all_hit(&first, name).await?;
        let rules = on_both(installation, fault, is_watch);
        drop(first);
        all_hit(&rules, name).await?;
        drop(rules);
        let back = Stopwatch::start();
        story.agent.started(name, PATIENCE).await?;
        println!("{fault:?}: the endpoint has the grant {:?} after it", back.elapsed());
        story.fleet.decide(&story.fleet.bob, name, "end").await?;
        story.agent.ended(name, PATIENCE).await?;
    }
    Ok(())
}

async fn all_hit(rules: &[Handle], what: &str) -> Result<()> {
    for rule in rules {
        rule.hit(what, PATIENCE).await?;
    }
    Ok(())
}

/// Everything comes twice; everything happens once.
async fn told_twice(installation: &Installation, story: &Story<'_>) -> Result<()> {
    let _rules = on_both(installation, Fault::Duplicate, is_watch);
    story.granted("er-twice", "5m").await?;
    story.fleet.decide(&story.fleet.bob, "er-twice", "revoke").await?;
    story.agent.ended("er-twice", PATIENCE).await?;
    let (begun, over) = (story.agent.all("started", "er-twice").len(), story.agent.all("ended", "er-twice").len());
    ensure!((begun, over) == (1, 1), "{begun} starts, {over} ends");
    Ok(())
}

/// An older state overtakes a newer one, in the caches of both servers.
async fn told_in_the_wrong_order(installation: &Installation, story: &Story<'_>) -> Result<()> {
    let rules = on_both(installation, Fault::Reorder, is_watch);
    let swapped = Stopwatch::start();
    // A list at times mends what a swapped event broke.
    story.granted("er-swapped", "5m").await?;
    story.fleet.decide(&story.fleet.bob, "er-swapped", "revoke").await?;
    story.fleet.in_state("er-swapped", "Revoked", PATIENCE * 2).await?;
    story.agent.ended("er-swapped", PATIENCE * 2).await?;
    println!("swapped events: granted and taken back in {:?}", swapped.elapsed());
    drop(rules);
    Ok(())
}

/// A policy that gives access ahead is deleted, and nobody is told: what it gives ends all the same.
async fn not_told_of_the_end(installation: &Installation, story: &Story<'_>) -> Result<()> {
    let (start, end) = (crate::fleet::in_seconds(0)?, crate::fleet::in_seconds(3600)?);
    let window = json!({"startTime": start.to_string(), "endTime": end.to_string()});
    story.fleet.policy("maintenance", json!({"type": "Window", "window": window})).await?;
    story.agent.started("maintenance", PATIENCE).await?;
    let rules = on_both(installation, Fault::Hide("DELETED"), is_watch);
    story.fleet.policies().await?.delete("maintenance", &DeleteParams::default()).await?;
    let deleted = Stopwatch::start();
    story.agent.ended("maintenance", PATIENCE).await?;
    println!("a hidden deletion: what the policy gave ended after {:?}", deleted.elapsed());
    drop(rules);
    Ok(())
}

/// The controller's writes to requests are refused, cut off, late, or their answers lost: in the end each is there once.
async fn refused_lost_and_late(installation: &Installation, story: &Story<'_>) -> Result<()> {
    let faults = [
        ("er-500", Fault::Answer(500)),
        ("er-503", Fault::Answer(503)),
        ("er-429", Fault::Answer(429)),
        ("er-cut", Fault::Cut),
        ("er-late", Fault::Delay(Duration::from_secs(8))),
    ];
    for (name, fault) in faults {
        story.ask(name, "5m").await?;
        let rule = installation.way.fault(fault, |call| call.is("update", "elevationrequests/status"));
        story.fleet.decide(&story.fleet.bob, name, "approve").await?;
        rule.hit(name, PATIENCE).await?;
        let status = story.fleet.requests().await?.get(name).await?.status.unwrap_or_default();
        ensure!(status.state.as_deref() == Some("Pending"), "{name} is {:?} though nothing was written", status.state);
        drop(rule);
        story.agent.started(name, PATIENCE).await?;
        story.fleet.decide(&story.fleet.bob, name, "revoke").await?;
        story.agent.ended(name, PATIENCE).await?;
    }
    // The answer of a write that was taken never comes: after 40 s nobody waits for it any more.
    story.ask("er-lost", "5m").await?;
    let lost = installation.way.fault_once(Fault::HoldAfter, 1, |call| call.is("update", "elevationrequests/status"));
    story.fleet.decide(&story.fleet.bob, "er-lost", "approve").await?;
    eventually("the lost answer", PATIENCE, async || if lost.held() == 1 { Ok(()) } else { bail!("not held") }).await?;
    story.agent.started("er-lost", PATIENCE).await?;
    drop(lost);
    story.fleet.decide(&story.fleet.bob, "er-lost", "revoke").await?;
    story.agent.ended("er-lost", PATIENCE).await?;
    Ok(())
}

fn is_watch(call: &Call) -> bool {
    call.verb == "watch"
}

fn on_both(installation: &Installation, fault: Fault, matches: fn(&Call) -> bool) -> [Handle; 2] {
    [&installation.way, &installation.gateways_way].map(|way| way.fault(fault, matches))
}
