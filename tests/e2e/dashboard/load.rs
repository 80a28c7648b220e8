//! A small load in which everything happens that the dashboard shows.

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::prometheus::Prometheus;
use crate::agent::{SOON, Watching};
use crate::fleet::{Fleet, POLICY, in_seconds};
use crate::installation::Installation;

/// Grants that run out, one after the other.
const ROUNDS: usize = 8;

/// Runs it; gives what has to live on until the last scrape.
pub async fn run<'a>(installation: &'a Installation, prometheus: &Prometheus) -> Result<(Fleet<'a>, Watching)> {
    let fleet = Fleet::new(installation, "dashboard").await?;
    let agent = fleet.agent().await?;
    what_is_wrong(&fleet).await?;
    fleet.ask("er-waits", "10m").await?;
    scheduled(&fleet).await?;
    for round in 0..ROUNDS {
        let name = format!("er-{round}");
        fleet.granted(&name, "3s").await?;
        agent.ended(&name, SOON).await?;
        fleet.in_state(&name, "Expired", SOON).await?;
    }
    for (name, who, decision, state) in [
        ("er-revoked", &fleet.bob, "revoke: the ticket was closed", "Revoked"),
        ("er-ended", &fleet.alice, "end", "Ended"),
    ] {
        fleet.granted(name, "10m").await?;
        agent.started(name, SOON).await?;
        fleet.decide(who, name, decision).await?;
        fleet.in_state(name, state, SOON).await?;
    }
    fleet.ask("er-denied", "10m").await?;
    fleet.in_state("er-denied", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "er-denied", "deny: not today").await?;
    fleet.in_state("er-denied", "Denied", SOON).await?;
    locked(&fleet, prometheus).await?;
    Ok((fleet, agent))
}

/// A policy that is switched off, and a request for too long.
async fn what_is_wrong(fleet: &Fleet<'_>) -> Result<()> {
    let policies = fleet.policies().await?;
    let mut suspended = policies.get(POLICY).await?;
    suspended.metadata = Default::default();
    suspended.metadata.name = Some("switched-off".to_owned());
    suspended.status = None;
    suspended.spec.suspended = true;
    policies.create(&PostParams::default(), &suspended).await?;
    fleet.ask("er-too-long", "9h").await?;
    fleet.in_state("er-too-long", "Declined", SOON).await?;
    Ok(())
}

async fn scheduled(fleet: &Fleet<'_>) -> Result<()> {
    let mut later = fleet.wish("er-later", "10m")?;
    later.spec.start_time = Some(Time(in_seconds(7200)?));
    fleet.ask_for(&later).await?;
    fleet.in_state("er-later", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "er-later", "approve").await?;
    fleet.in_state("er-later", "Scheduled", SOON).await?;
    Ok(())
}

/// A Lock that ends a grant, and is lifted.
async fn locked(fleet: &Fleet<'_>, prometheus: &Prometheus) -> Result<()> {
    fleet.granted("er-locked", "10m").await?;
    let spec = json!({"target": {"policies": [POLICY]}, "effect": "EndAccess", "message": "INC-4711"});
    fleet.lock("stop", spec).await?;
    fleet.in_state("er-locked", "Revoked", SOON).await?;
    fleet.ask("er-stopped", "10m").await?;
    fleet.in_state("er-stopped", "Declined", SOON).await?;
    prometheus.sees("sum(tidegate_locks) == 1").await?;
    fleet.locks().await?.delete("stop", &DeleteParams::default()).await?;
    fleet.granted("er-after", "10m").await?;
    prometheus.sees("sum(tidegate_locks) == 0 and sum(tidegate_elevation_requests{state=\"Active\"}) == 1").await
}
