//! What the controller writes in a minute in which nothing happens, from the API server's own audit log.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use tidegate_api::ElevationRequest;
use tidegate_test_support::ControlPlane;

use crate::fleet::{Fleet, is_in};
use crate::{controller, stop};

const MINUTE: Duration = Duration::from_secs(60);

/// With everything that has ended here, and so many active ones.
pub async fn section(control_plane: &ControlPlane, active: usize) -> Result<String> {
    let fleet = Fleet::create(control_plane, active).await?;
    let running = controller(control_plane).await?;
    fleet.ask(active, &json!({"duration": "1h"})).await?;
    fleet.approve(active).await?;
    fleet.until(active, |request| is_in(request, "Active")).await?;
    // Numbers in statuses follow within seconds, parts within two more; then nothing is left to say.
    tokio::time::sleep(MINUTE / 3).await;
    let before = writes(&fleet)?;
    tokio::time::sleep(MINUTE).await;
    let after = writes(&fleet)?;
    let all = Api::<ElevationRequest>::all(control_plane.admin().client().await?).list(&ListParams::default()).await?;
    let in_state = |state: &str| all.iter().filter(|request| is_in(request, state)).count();
    let (active, ended) = (in_state("Active"), in_state("Expired"));
    stop(&running).await?;
    let grown = |(what, count): (&String, &usize)| {
        let more = count - before.get(what).copied().unwrap_or_default();
        (more > 0).then(|| format!("{what} {more} times"))
    };
    let written: Vec<String> = after.iter().filter_map(grown).collect();
    let written = if written.is_empty() { "nothing".to_owned() } else { written.join(", ") };
    Ok(format!(
        "### At rest\nWith {active} active and {ended} ended requests the controller wrote in one minute: {written}. (The fleet part is \
         signed anew before half of the Fleet's freshness has passed: here every 7.5 minutes.)\n"
    ))
}

/// The controller's writes so far, by what was written; dry runs are none.
fn writes(fleet: &Fleet<'_>) -> Result<BTreeMap<String, usize>> {
    let path = fleet.control_plane.audit_log();
    let log = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut writes = BTreeMap::new();
    for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (verb, user) =
            (event["verb"].as_str().unwrap_or_default(), event["user"]["username"].as_str().unwrap_or_default());
        let is_read = ["get", "list", "watch"].contains(&verb);
        let is_dry = event["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun=All"));
        if is_read || is_dry || user != fleet.controller.user() {
            continue;
        }
        let object = &event["objectRef"];
        let what = [&object["resource"], &object["subresource"]].map(|part| part.as_str().unwrap_or_default());
        let what = what.join("/");
        *writes.entry(what.trim_end_matches('/').to_owned()).or_default() += 1;
    }
    Ok(writes)
}
