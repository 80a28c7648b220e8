//! What a real API server makes of the chart. Each test that installs or uninstalls has a control plane of its own.

mod conform;
mod install;
mod notes;
mod processes;
mod upgrade;

use anyhow::{Context, Result};
use serde_json::Value;
use tidegate_test_support::{ControlPlane, Identity, assets};

use crate::helm::{Helm, RELEASE, chart};

/// Installs the chart as it is, with these settings on top, and waits until it is in force.
async fn install(control_plane: &ControlPlane, settings: &[&str]) -> Result<Helm> {
    let helm = Helm::of(control_plane.admin())?;
    let chart = chart();
    let args = ["install", RELEASE, &chart, "--create-namespace", "--wait=false"];
    helm.run(args.iter().chain(settings)).await?.ok()?;
    control_plane.in_force().await?;
    Ok(helm)
}

/// What the API server holds.
async fn get(who: &Identity, args: &[&str]) -> Result<Value> {
    let json = who.kubectl(["get", "-o", "json"].iter().chain(args)).await?.ok()?;
    serde_json::from_str(&json).with_context(|| format!("{args:?}"))
}

/// Applies the definitions of the Prometheus operator's kinds.
async fn know_monitors(admin: &Identity) -> Result<()> {
    let folder = assets::tool("prometheus-operator")?.display().to_string();
    admin.kubectl(["apply", "--server-side", "-f", &folder]).await?.ok()?;
    let established = ["wait", "--for=condition=Established", "--timeout=30s", "crd/podmonitors.monitoring.coreos.com"];
    admin.kubectl(established.iter().chain(&["crd/servicemonitors.monitoring.coreos.com"])).await?.ok()?;
    Ok(())
}
