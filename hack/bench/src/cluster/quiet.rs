//! What the controller writes in a minute in which nothing happens, from the API server's own audit log.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tidegate_api::ElevationRequest;
use tidegate_test_support::ControlPlane;
use tidegate_test_support::clock::Stopwatch;

use crate::calls::{Which, calls, more};
use crate::fleet::{Fleet, is_in};
use crate::{DEADLINE, controller, stop};

const MINUTE: Duration = Duration::from_secs(60);

/// With everything that has ended here, and so many active ones.
pub async fn section(control_plane: &ControlPlane, active: usize) -> Result<String> {
    let fleet = Fleet::create(control_plane, active).await?;
    let running = controller(control_plane).await?;
    fleet.ask(active, &json!({"duration": "1h"})).await?;
    fleet.approve(active).await?;
    fleet.until(active, |request| is_in(request, "Active")).await?;
    at_rest(&fleet).await?;
    let before = calls(&fleet, Which::Writes)?;
    tokio::time::sleep(MINUTE).await;
    let after = calls(&fleet, Which::Writes)?;
    let all = Api::<ElevationRequest>::all(control_plane.admin().client().await?).list(&ListParams::default()).await?;
    let in_state = |state: &str| all.iter().filter(|request| is_in(request, state)).count();
    let (active, ended) = (in_state("Active"), in_state("Expired"));
    stop(&running).await?;
    let written: Vec<String> =
        more(&before, &after).iter().map(|(what, times)| format!("{what} {times} times")).collect();
    let written = if written.is_empty() { "nothing".to_owned() } else { written.join(", ") };
    Ok(format!(
        "### At rest\nWith {active} active and {ended} ended requests the controller wrote in one minute: {written}. (The fleet part is \
         signed anew before half of the Fleet's freshness has passed: here every 7.5 minutes.)\n"
    ))
}

/// Until nothing is left to say: what has ended is let go, Events and numbers in statuses are written.
async fn at_rest(fleet: &Fleet<'_>) -> Result<()> {
    let watch = Stopwatch::start();
    let mut before = calls(fleet, Which::Writes)?;
    loop {
        tokio::time::sleep(MINUTE / 3).await;
        let after = calls(fleet, Which::Writes)?;
        if more(&before, &after).keys().all(|what| what == "update leases") {
            return Ok(());
        }
        ensure!(watch.elapsed() < DEADLINE, "still written: {:?}", more(&before, &after));
        before = after;
    }
}
