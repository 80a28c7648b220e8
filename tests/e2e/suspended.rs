//! The switch of the whole installation: with `--suspended` nothing is granted, and the metrics say so.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use tidegate_test_support::Controller;
use tidegate_test_support::servers::admin_get;

use crate::agent::SOON;
use crate::fleet::Fleet;
use crate::installation::{READY, breakable};

/// What the controller says of the switch.
async fn says(controller: &Controller) -> Result<String> {
    let (_, metrics) = admin_get(controller.admin, "/metrics").await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix("tidegate_suspended "));
    Ok(line.context("no such metric")?.to_owned())
}

#[tokio::test]
async fn a_suspended_installation_declines_and_the_metric_of_the_leader_alone_says_so() -> Result<()> {
    let mut broken = breakable().await?;
    let installation = &mut broken.installation;
    let control_plane = installation.control_plane;
    ensure!(says(&installation.controller).await? == "0", "nobody has switched it off");
    let suspend = |command: &mut Command| {
        command.arg("--suspended");
    };
    let standby = Controller::start_with(control_plane, suspend).await?;
    standby.ready(READY).await?;
    ensure!(says(&standby).await? == "0", "what it was started with is not in force");

    installation.controller.process.sigterm()?;
    installation.controller.process.ended(SOON).await?;
    standby.guard_passes(READY).await?;
    ensure!(says(&standby).await? == "1", "now it is");
    installation.controller = standby;
    let fleet = Fleet::new(installation, "suspended").await?;
    fleet.ask("er-1", "10m").await?;
    let declined = fleet.in_state("er-1", "Declined", SOON).await?;
    let status = serde_json::to_string(&declined.status)?;
    ensure!(status.contains("JitDisabled"), "{status}");
    Ok(())
}
