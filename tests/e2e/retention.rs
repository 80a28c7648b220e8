//! Ended requests are kept for the retention and then go; what is open stays, and nothing that ended comes back with them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::ListParams;
use tidegate::convert;
use tidegate_core::fleet::FleetBody;
use tidegate_test_support::{Controller, eventually};

use crate::agent::SOON;
use crate::fleet::Fleet;
use crate::installation::{READY, breakable};
use crate::writes;

/// Shorter than anybody would choose it.
const RETENTION: Duration = Duration::from_secs(3);

#[tokio::test]
async fn what_has_ended_goes_after_the_retention_and_what_is_open_stays() -> Result<()> {
    let mut broken = breakable().await?;
    broken.installation.controller.process.sigterm()?;
    broken.installation.controller.process.ended(SOON).await?;
    let control_plane = broken.installation.control_plane;
    let short = |command: &mut Command| {
        command.arg(format!("--retention={}s", RETENTION.as_secs()));
    };
    broken.installation.controller = Controller::start_anew_with(control_plane, short).await?;
    broken.installation.controller.ready(READY).await?;
    let fleet = Fleet::new(&broken.installation, "retention").await?;
    let agent = fleet.agent().await?;

    fleet.granted("er-active", "30m").await?;
    fleet.ask("er-pending", "30m").await?;
    let revoked = fleet.granted("er-revoked", "30m").await?;
    agent.started("er-revoked", SOON).await?;
    fleet.decide(&fleet.bob, "er-revoked", "revoke").await?;
    fleet.granted("er-expired", "3s").await?;
    fleet.ask("er-withdrawn", "30m").await?;
    fleet.in_state("er-withdrawn", "Pending", SOON).await?;
    fleet.decide(&fleet.alice, "er-withdrawn", "end").await?;
    let mut declined = fleet.wish("er-declined", "30m")?;
    declined.spec.account = "nobody".to_owned();
    fleet.ask_for(&declined).await?;

    eventually("the end of what has ended", SOON * 2, async || {
        let left = fleet.requests().await?.list(&ListParams::default()).await?;
        let names: Vec<String> = left.iter().map(ResourceExt::name_any).collect();
        ensure!(names == ["er-active", "er-pending"], "there are {names:?}");
        Ok(())
    })
    .await?;
    for gone in ["er-revoked", "er-expired", "er-withdrawn", "er-declined"] {
        let all = writes::of(&fleet, gone)?;
        let deletions: Vec<&String> = all.iter().filter(|write| write.contains("delete")).collect();
        ensure!(deletions == ["controller: delete"], "{gone}: {all:?}");
        let line = |line: &str| line.contains("\"event\":\"Removed\"") && line.contains(&format!("\"{gone}\""));
        broken.installation.controller.process.stdout.wait_for("the audit line", 0, SOON, line).await?;
    }
    // Gone from the API, and still revoked for an endpoint that is served the old grant.
    let settings = fleet.fleets().await?.get("fleet").await?;
    let signed = settings.status.and_then(|status| status.signed).context("the fleet part is not signed")?;
    let part = convert::signed(&signed)?.envelope.read_unverified::<FleetBody>()?;
    ensure!(part.body.is_revoked(&revoked.uid().context("no uid")?.parse()?), "{:?}", part.body);
    fleet.in_state("er-active", "Active", SOON).await?;
    ensure!(agent.all("ended", "er-active").is_empty() && agent.all("started", "er-revoked").len() == 1);
    Ok(())
}
