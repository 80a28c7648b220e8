//! The API server and its store stop, die and come back: access ends at the endpoint on time, nothing is granted that should not be,
//! readiness tells the truth, and nobody has to help.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::servers::admin_get;

use crate::course::PATIENCE;
use crate::installation::{Installation, ready_is};
use crate::story::Story;

/// A server whose caches are older than 90 s says so; the rest is for the question to be asked on a busy machine.
pub const STALE: Duration = Duration::from_secs(95);

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_stops_and_goes_on_is_survived_and_readiness_tells_the_truth() -> Result<()> {
    let (installation, controller) = Installation::start().await?;
    let story = Story::begin(&installation).await?;
    let end = story.granted("er-1", "40s").await?;
    story.ask("er-2", "5m").await?;
    let gateway = &installation.gateways[0];

    installation.control_plane.api_server.stop()?;
    let stopped = Stopwatch::start();
    story.ends_on_time("er-1", end, PATIENCE).await?;
    controller.ready_is(false, STALE).await.context("the controller")?;
    ready_is(gateway.admin, false, STALE).await.context("the gateway")?;
    let blind = stopped.elapsed();
    // The controller has lost the Lease meanwhile and begun anew.
    let servers =
        [("controller", controller.admin(), "not listed yet"), ("gateway", gateway.admin, "no watch progress for")];
    for (server, address, cause) in servers {
        let (_, causes) = admin_get(address, "/readyz").await?;
        ensure!(causes.contains(cause), "{server} says {causes}");
        let (alive, _) = admin_get(address, "/healthz").await?;
        ensure!(alive == 200, "{server} is alive: {alive}");
    }
    println!("API server stopped: both servers not ready after {blind:?}");
    ensure!(blind <= STALE, "only after {blind:?}");
    ensure!(controller.restarts() >= 1, "it cannot have renewed its Lease");

    installation.control_plane.api_server.cont()?;
    let back = Stopwatch::start();
    story.fleet.in_state("er-1", "Expired", PATIENCE * 2).await?;
    println!("API server stopped: status says Expired {:?} after it goes on", back.elapsed());
    story.fleet.in_state("er-2", "Pending", PATIENCE).await?;
    story.works_again(&controller, "er-3").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_killed_for_a_minute_and_a_killed_store_are_survived() -> Result<()> {
    let (installation, controller) = Installation::start().await?;
    let story = Story::begin(&installation).await?;
    let control_plane = installation.control_plane;

    // The outage lasts as long as this grant.
    let end = story.granted("er-1", "1m").await?;
    control_plane.api_server.kill9()?;
    story.ends_on_time("er-1", end, PATIENCE * 2).await?;
    control_plane.api_server_again()?;
    let back = Stopwatch::start();
    control_plane.answers().await?;
    story.fleet.in_state("er-1", "Expired", PATIENCE).await?;
    println!("API server killed for a minute: status says Expired {:?} after its start", back.elapsed());
    story.works_again(&controller, "er-2").await?;

    let end = story.granted("er-3", "15s").await?;
    control_plane.etcd.kill9()?;
    let unsaid = story.fleet.try_to_decide(&story.fleet.bob, "er-3", "revoke").await;
    ensure!(unsaid.is_err() || unsaid.is_ok_and(|said| !said.success), "nothing can be acknowledged without a store");
    story.ends_on_time("er-3", end, PATIENCE).await?;
    control_plane.etcd_again()?;
    let back = Stopwatch::start();
    control_plane.answers().await?;
    // A write that met the dead store is held by the API server for up to a minute, its own limit; the next try comes after that.
    story.fleet.in_state("er-3", "Expired", PATIENCE * 2).await?;
    println!("store killed: status says Expired {:?} after its start", back.elapsed());
    story.works_again(&controller, "er-4").await
}
