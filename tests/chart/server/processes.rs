//! The processes as the installed Deployments say, since nothing here runs Pods: the same arguments and environment, but for addresses and
//! folders, which the harness gives.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{ControlPlane, Controller, Gateway};

use super::get;
use crate::installation::{Installation, READY};

/// What the harness says itself; the rest is passed on.
const OF_THE_HARNESS: [&str; 5] = [
    "--namespace=tidegate-system",
    "--admin-address=0.0.0.0:8081",
    "--address=0.0.0.0:8443",
    "--tls-dir=",
    "--trust-dir=",
];

/// One controller and two gateways, ready.
pub async fn start(control_plane: &'static ControlPlane) -> Result<Installation> {
    let controller = controller(control_plane).await?;
    let gateways = [gateway(control_plane).await?, gateway(control_plane).await?];
    controller.ready(READY).await?;
    controller.guard_passes(READY).await?;
    for gateway in &gateways {
        gateway.ready(READY).await?;
    }
    Ok(Installation { control_plane, controller, gateways })
}

/// The controller as installed.
pub async fn controller(control_plane: &ControlPlane) -> Result<Controller> {
    let container = container(control_plane, "tidegate-controller").await?;
    ensure!(container["command"] == serde_json::json!(["/controller"]), "{container}");
    Controller::start_anew_with(control_plane, |command| as_installed(command, &container)).await
}

async fn gateway(control_plane: &ControlPlane) -> Result<Gateway> {
    let container = container(control_plane, "tidegate-gateway").await?;
    ensure!(container["command"] == serde_json::json!(["/gateway"]), "{container}");
    Gateway::start_with(control_plane, |command| as_installed(command, &container)).await
}

async fn container(control_plane: &ControlPlane, deployment: &str) -> Result<Value> {
    let deployment = get(control_plane.admin(), &["-n", SYSTEM_NAMESPACE, "deployment", deployment]).await?;
    deployment.pointer("/spec/template/spec/containers/0").cloned().context("a Deployment without a container")
}

fn as_installed(command: &mut Command, container: &Value) {
    let args = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    command.args(args.filter(|arg| !OF_THE_HARNESS.iter().any(|known| arg.starts_with(known))));
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default();
        // A field of the Pod: its name is the only one that is asked for.
        command.env(name, variable["value"].as_str().unwrap_or("pod-of-the-test"));
    }
}
