//! Upgrade, downgrade and the end of an installation, with a right granted: it keeps its deadline, the kinds stay, nothing hangs. There is
//! no release yet, so the chart before this one is this one under an older number and with other values.

use anyhow::{Context, Result, ensure};
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{ControlPlane, Gateway, eventually};

use super::{get, install, processes};
use crate::agent::{SOON, Watching};
use crate::fleet::Fleet;
use crate::helm::{Helm, RELEASE, chart};
use crate::installation::{Installation, READY};

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn a_granted_right_keeps_its_deadline_through_upgrade_downgrade_and_uninstall() -> Result<()> {
    let control_plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await?));
    let helm = older(control_plane).await?;
    let installation = processes::start(control_plane).await?;
    let fleet = Fleet::new(&installation, "upgrade").await?;
    let (name, alice, bob) = (fleet.name().to_owned(), fleet.alice.clone(), fleet.bob.clone());
    let (agent, endpoint) = (fleet.agent().await?, fleet.endpoint());
    let granted = fleet.granted("er-1", "30m").await?.status.context("no status")?.expiration_time.context("no end")?.0;
    let told = agent.started("er-1", SOON).await?.end()?;
    assert_eq!(told, granted);
    drop(fleet);
    drop(installation);

    let upgrade = ["upgrade", RELEASE, &chart(), "--wait=false", "--reset-values"].map(str::to_owned);
    helm.run(upgrade).await?.ok()?;
    assert_eq!(version(&helm).await?, env!("CARGO_PKG_VERSION"));
    let installation = processes::start(control_plane).await?;
    ensure!(end(control_plane, &name).await? == granted.to_string(), "the upgrade moved the end");
    // The new version judges what comes.
    let again = format!("--namespace={name}");
    let wish = tidegate_test_support::objects::request("er-2", "dev-tools", "ws-042", "alice", alice.user())?;
    let file = control_plane.sandbox().fresh_file("manifests", "er-2.json", &serde_json::to_string(&wish)?)?;
    alice.kubectl(["create", &again, "-f", &file.display().to_string()]).await?.ok()?;
    pending(control_plane, &name, "er-2").await?;
    drop(installation);

    helm.run(["rollback", RELEASE, "1", "--wait=false"]).await?.ok()?;
    assert_eq!(version(&helm).await?, OLDER);
    let installation = processes::start(control_plane).await?;
    ensure!(end(control_plane, &name).await? == granted.to_string(), "the downgrade moved the end");
    // Without any gateway it went on; on this machine the new ones have other ports, so the agent is told anew.
    assert_eq!(agent.all("ended", "er-1").len(), 0, "the endpoint never lost it");
    let folder = agent.agent.folder.clone();
    drop(agent);
    let gateways: Vec<&Gateway> = installation.gateways.iter().collect();
    let agent = Watching::start_in(control_plane, folder, &gateways, &endpoint)?;
    assert_eq!(agent.started("er-1", SOON).await?.end()?, granted);

    // As the README says: what is granted is revoked, and requests go while the controller can still let them go.
    let decision = format!("decision.tidegate.dev/2={} revoke", bob.user());
    bob.kubectl(["annotate", &again, "er/er-1", &decision]).await?.ok()?;
    agent.ended("er-1", SOON).await?;
    control_plane.admin().kubectl(["delete", &again, "er", "--all", "--timeout=30s"]).await?.ok()?;
    uninstall(control_plane, &helm, &name, (installation, agent)).await
}

const OLDER: &str = "0.0.1";

/// This chart under an older number, with values that are not the default.
async fn older(control_plane: &ControlPlane) -> Result<Helm> {
    let packer = Helm::alone()?;
    let folder = packer.folder().display().to_string();
    packer.run(["package", &chart(), "--version", OLDER, "--destination", &folder]).await?.ok()?;
    let package = format!("{folder}/tidegate-{OLDER}.tgz");
    let helm = Helm::of(control_plane.admin())?;
    let values =
        "controller.replicas=1,networkPolicy.enabled=false,gateway.service.type=NodePort,rbac.aggregateToView=false";
    let args = ["install", RELEASE, &package, "--create-namespace", "--wait=false", "--set", values];
    helm.run(args).await?.ok()?;
    control_plane.in_force().await?;
    Ok(helm)
}

async fn version(helm: &Helm) -> Result<String> {
    let list = helm.run(["list", "--output", "json"]).await?.ok()?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let chart = list[0]["chart"].as_str().context("no release")?;
    ensure!(list[0]["status"] == "deployed", "{list}");
    Ok(chart.trim_start_matches("tidegate-").to_owned())
}

/// `status.expirationTime` of the granted request.
async fn end(control_plane: &ControlPlane, namespace: &str) -> Result<String> {
    let request = get(control_plane.admin(), &["-n", namespace, "er", "er-1"]).await?;
    ensure!(request["status"]["state"] == "Active", "{}", request["status"]);
    Ok(request["status"]["expirationTime"].as_str().context("no end")?.to_owned())
}

async fn pending(control_plane: &ControlPlane, namespace: &str, name: &str) -> Result<()> {
    eventually("the new request", READY, async || {
        let request = get(control_plane.admin(), &["-n", namespace, "er", name]).await?;
        ensure!(request["status"]["state"] == "Pending", "{}", request["status"]);
        Ok(())
    })
    .await
}

/// The kinds and the keys stay with what people wrote; policies, rights and processes go; and namespaces can be deleted.
async fn uninstall(
    control_plane: &ControlPlane,
    helm: &Helm,
    fleet: &str,
    running: (Installation, Watching),
) -> Result<()> {
    let admin = control_plane.admin();
    helm.run(["uninstall", RELEASE, "--wait", "--timeout", "60s"]).await?.ok()?;
    drop(running);
    let definitions = get(admin, &["crd", "-l", "app.kubernetes.io/name=tidegate"]).await?;
    assert_eq!(definitions["items"].as_array().map(Vec::len), Some(5), "the kinds stay");
    ensure!(get(admin, &["-n", fleet, "jitpolicy", "dev-tools"]).await?["spec"].is_object(), "policies stay");
    get(admin, &["-n", SYSTEM_NAMESPACE, "secret", "tidegate-signing", "tidegate-ca"]).await?;
    for gone in ["validatingadmissionpolicies", "clusterroles", "clusterrolebindings"] {
        let left = get(admin, &[gone, "-l", "app.kubernetes.io/name=tidegate"]).await?;
        assert_eq!(left["items"].as_array().map(Vec::len), Some(0), "{gone}");
    }
    for namespace in [fleet, SYSTEM_NAMESPACE] {
        admin.kubectl(["delete", "namespace", namespace, "--timeout=50s"]).await?.ok()?;
    }
    // What stayed takes up a new installation.
    install(control_plane, &[]).await?;
    Ok(())
}
