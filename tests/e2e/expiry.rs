//! Walkthrough 2: everything ends at its own deadline, whoever is dead by then.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use kube::api::PostParams;
use tidegate_api::ElevationRequest;
use tidegate_test_support::{clock, objects};

use crate::agent::{SOON, Watching, on_time};
use crate::fleet::{ENDPOINT, Fleet, in_seconds};
use crate::installation::{Installation, breakable, shared};

/// Long enough to kill somebody meanwhile.
const GRANT: &str = "10s";

#[tokio::test]
async fn a_grant_ends_at_the_endpoint_within_1_s_and_in_the_status_within_2_s() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "expiry").await?;
    let agent = fleet.agent().await?;
    let deadline = deadline(&fleet.granted("er-1", GRANT).await?)?;
    agent.started("er-1", SOON).await?;

    let expired = fleet.in_state("er-1", "Expired", SOON * 2).await?;
    on_time("status says Expired", clock::now(), deadline, SignedDuration::from_secs(2))?;
    assert!(expired.status.context("no status")?.signed.is_none(), "an expired grant is not served any longer");
    let ended = agent.ended("er-1", SOON).await?;
    ended.is_on_time(deadline)?;
    assert_eq!(ended.0["reason"], "expired");
    assert_eq!(agent.all("started", "er-1").len(), 1);
    assert_eq!(agent.all("ended", "er-1").len(), 1);
    Ok(())
}

#[tokio::test]
async fn with_the_controller_dead_a_grant_ends_on_time_and_does_not_come_back() -> Result<()> {
    let broken = breakable().await?;
    let fleet = Fleet::new(&broken.installation, "orphaned").await?;
    let agent = fleet.agent().await?;
    let deadline = deadline(&fleet.granted("er-1", GRANT).await?)?;
    agent.started("er-1", SOON).await?;
    broken.installation.controller.process.kill9()?;
    agent.ended("er-1", SOON * 2).await?.is_on_time(deadline)?;

    // The gateway knows no clock: it still serves the part. An agent that remembers nothing of it has to refuse it by itself.
    let still = fleet.requests().await?.get("er-1").await?.status.context("no status")?;
    assert_eq!(still.state.as_deref(), Some("Active"), "nobody is there to say otherwise");
    let folder = agent.agent.folder.clone();
    drop(agent);
    for forgotten in ["deadlines.json", "snapshot.json"] {
        std::fs::remove_file(folder.join("state").join(forgotten)).with_context(|| forgotten.to_owned())?;
    }
    let gateways: Vec<_> = broken.installation.gateways.iter().collect();
    let again = Watching::start_in(broken.installation.control_plane, folder, &gateways, &fleet.endpoint())?;
    let snapshot = again.report("a snapshot", 0, SOON, |r| r.0["event"] == "snapshot").await?;
    assert_eq!(snapshot.0["rights"], 0, "{}", snapshot.0);
    // The requests of a snapshot are reported after its rights: by then a start would have been said.
    again.report("the request", 0, SOON, |r| r.0["event"] == "request" && r.0["request"] == "er-1").await?;
    assert_eq!(again.all("started", "er-1").len(), 0);
    Ok(())
}

#[tokio::test]
async fn with_the_gateways_dead_a_grant_ends_on_time() -> Result<()> {
    let broken = breakable().await?;
    let fleet = Fleet::new(&broken.installation, "cut-off").await?;
    let agent = fleet.agent().await?;
    let deadline = deadline(&fleet.granted("er-1", GRANT).await?)?;
    agent.started("er-1", SOON).await?;
    for gateway in &broken.installation.gateways {
        gateway.process.kill9()?;
    }
    let ended = agent.ended("er-1", SOON * 2).await?;
    ended.is_on_time(deadline)?;
    assert_eq!(ended.0["reason"], "expired");
    Ok(())
}

#[tokio::test]
async fn an_agent_that_was_killed_ends_the_grant_at_its_first_deadline() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "restarted").await?;
    let agent = fleet.agent().await?;
    let deadline = deadline(&fleet.granted("er-1", GRANT).await?)?;
    agent.started("er-1", SOON).await?;
    agent.agent.process.kill9()?;
    // No gateway: what it knows is on its disk.
    let Installation { control_plane, gateways: [gateway, _], .. } = fleet.installation;
    let again = Watching::start_offline(control_plane, agent.agent.folder.clone(), &[gateway], &fleet.endpoint())?;
    again.started("er-1", SOON).await?;
    again.ended("er-1", SOON * 2).await?.is_on_time(deadline)
}

#[tokio::test]
async fn a_window_opens_and_closes_on_time_without_a_request() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "window").await?;
    let agent = fleet.agent().await?;
    let (start, end) = (in_seconds(10)?, in_seconds(14)?);
    let policy = objects::policy_in_window("maintenance", start, end)?;
    fleet.policies().await?.create(&PostParams::default(), &policy).await?;

    let upcoming = agent.report("the announcement", 0, SOON, |r| r.is("upcoming", "maintenance")).await?;
    assert_eq!((upcoming.start()?, upcoming.end()?), (start, end));
    assert_eq!(upcoming.0["account"], "alice", "everyone on {ENDPOINT}");
    agent.started("maintenance", SOON).await?.is_on_time(start)?;
    let ended = agent.ended("maintenance", SOON).await?;
    ended.is_on_time(end)?;
    assert_eq!(ended.0["reason"], "expired");
    Ok(())
}

fn deadline(request: &ElevationRequest) -> Result<Timestamp> {
    let end = request.status.as_ref().and_then(|status| status.expiration_time.as_ref());
    Ok(end.context("an active request has an expirationTime")?.0)
}
