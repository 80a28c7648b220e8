//! An installation by helm: both processes run with what it says, forgeries are refused, and a second one does not fit in.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_test_support::servers::{SYSTEM_NAMESPACE, run_probe};
use tidegate_test_support::{ControlPlane, Said, eventually};

use super::{get, install, processes};
use crate::agent::SOON;
use crate::helm::{Helm, RELEASE, chart, objects};
use crate::installation::READY;

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn what_is_installed_runs_with_its_rights_and_forgeries_are_refused() -> Result<()> {
    let control_plane = Box::leak(Box::new(ControlPlane::start().await?));
    let helm = install(control_plane, &[]).await?;
    pods_are_restricted(control_plane, &helm).await?;
    let installation = processes::start(control_plane).await?;
    let made = ["-n", SYSTEM_NAMESPACE, "secret", "tidegate-signing", "tidegate-ca", "tidegate-gateway-tls"];
    let made = get(control_plane.admin(), &made).await?;
    let labels: Vec<&Value> =
        made["items"].as_array().into_iter().flatten().map(|key| &key["metadata"]["labels"]).collect();
    ensure!(
        labels.len() == 3 && labels.iter().all(|labels| labels.is_null()),
        "a tool would prune the keys: {labels:?}"
    );

    let said = probe(control_plane, &helm).await?;
    ensure!(said.success, "{said:?}");
    for policy in ["decisions.tidegate.dev", "status.tidegate.dev"] {
        ensure!(said.stdout.contains(&format!(", by {policy}: ")), "{}", said.stdout);
    }
    let said =
        control_plane.admin().kubectl(["delete", "validatingadmissionpolicybinding", "status.tidegate.dev"]).await?;
    said.ok()?;
    eventually("the probe's failure", READY, async || {
        let said = probe(control_plane, &helm).await?;
        let named = "FAILED   a status that is not the controller's is let through";
        ensure!(!said.success && said.stdout.contains(named), "{said:?}");
        Ok(())
    })
    .await?;

    second(control_plane).await?;
    drop(installation);
    own_keys(control_plane, &helm).await
}

/// The test's Pod: its command, as its ServiceAccount.
async fn probe(control_plane: &ControlPlane, helm: &Helm) -> Result<Said> {
    let pod = test_pod(helm).await?;
    let account = pod["spec"]["serviceAccountName"].as_str().context("no ServiceAccount")?;
    let identity = control_plane.service_account(SYSTEM_NAMESPACE, account).await?;
    let container = &pod["spec"]["containers"][0];
    ensure!(container["command"] == json!(["/controller"]), "{container}");
    let args = container["args"].as_array().context("no arguments")?;
    run_probe(&identity, args.iter().filter_map(Value::as_str)).await
}

async fn test_pod(helm: &Helm) -> Result<Value> {
    let hooks = objects(&helm.run(["get", "hooks", RELEASE]).await?.ok()?)?;
    ensure!(hooks.len() == 1, "there is one hook, the test: {hooks:?}");
    hooks.into_iter().next().context("no hook")
}

/// Every Pod of ours is let into a namespace that enforces `restricted`, by the API server's own judgement.
async fn pods_are_restricted(control_plane: &ControlPlane, helm: &Helm) -> Result<()> {
    let admin = control_plane.admin();
    admin.kubectl(["create", "namespace", "restricted"]).await?.ok()?;
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    admin.kubectl(["label", "namespace", "restricted", enforce]).await?.ok()?;
    let deployments = get(admin, &["-n", SYSTEM_NAMESPACE, "deployments"]).await?;
    let templates = deployments["items"].as_array().context("no Deployments")?;
    let mut pods: Vec<Value> =
        templates.iter().map(|deployment| deployment["spec"]["template"]["spec"].clone()).collect();
    pods.push(test_pod(helm).await?["spec"].clone());
    ensure!(pods.len() == 3, "{} kinds of Pods", pods.len());
    let mut loose = pods[0].clone();
    loose["containers"][0]["securityContext"] = json!({});
    let create = async |spec: &Value| -> Result<Said> {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried", "namespace": "restricted"}, "spec": spec});
        let file = control_plane.sandbox().fresh_file("manifests", "pod.json", &pod.to_string())?;
        admin.kubectl(["create", "--dry-run=server", "-f", &file.display().to_string()]).await
    };
    for pod in &pods {
        create(pod).await?.ok()?;
    }
    create(&loose).await?.refused("violates PodSecurity \"restricted:latest\"")?;
    Ok(())
}

/// There is one installation per cluster.
async fn second(control_plane: &ControlPlane) -> Result<()> {
    let helm = Helm::of(control_plane.admin())?;
    let said = helm.run(["install", "another", &chart(), "--wait=false"]).await?;
    said.refused("invalid ownership metadata").map(drop)
}

/// Keys of one's own: nothing is made in their place, and the controller goes on once they are there.
async fn own_keys(control_plane: &ControlPlane, helm: &Helm) -> Result<()> {
    let admin = control_plane.admin();
    let set = ["upgrade", RELEASE, &chart(), "--wait=false", "--set", "controller.signing.existingSecret=our-signing"]
        .map(str::to_owned);
    helm.run(set).await?.ok()?;
    let controller = processes::controller(control_plane).await?;
    let missing = |line: &str| line.contains("Secret our-signing is not there") && line.contains("--signing-secret");
    controller.process.stderr.wait_for("the missing key's line", 0, SOON, missing).await?;
    let key = get(admin, &["-n", SYSTEM_NAMESPACE, "secret", "tidegate-signing"]).await?;
    let own = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "our-signing", "namespace": SYSTEM_NAMESPACE}, "data": key["data"],
    });
    let file = control_plane.sandbox().fresh_file("manifests", "own-key.json", &own.to_string())?;
    admin.kubectl(["create", "-f", &file.display().to_string()]).await?.ok()?;
    admin.kubectl(["-n", SYSTEM_NAMESPACE, "delete", "secret", "tidegate-signing"]).await?.ok()?;
    controller.ready(Duration::from_secs(30)).await?;
    let made = admin.kubectl(["-n", SYSTEM_NAMESPACE, "get", "secret", "tidegate-signing"]).await?;
    made.refused("not found").map(drop)
}
