//! What hangs when the controller is gone for good, and how to free it; how to uninstall. Every command is read from
//! `docs/uninstall.md` and run as it stands there.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use tidegate_api::names::GROUP;
use tidegate_test_support::{ControlPlane, Controller, Identity, Said, assets, eventually};

use crate::agent::SOON;
use crate::deletion::{Case, Place, REQUEST};
use crate::fleet::Fleet;
use crate::installation::{Installation, READY, breakable};

/// How long Kubernetes may take to clear a namespace or a definition.
const CLEARED: Duration = Duration::from_secs(60);

/// The commands of the page under this mark.
fn commands(mark: &str) -> Result<String> {
    let page = std::fs::read_to_string(assets::repository().join("docs/uninstall.md"))?;
    let after = page.split_once(&format!("<!-- run: {mark} -->\n```sh\n")).with_context(|| format!("no {mark}"))?.1;
    Ok(after.split_once("```").context("a block without an end")?.0.to_owned())
}

async fn run(mark: &str, who: &Identity) -> Result<Said> {
    who.shell(assets::repository(), &commands(mark)?).await
}

/// What takes the rest away. The page says to leave its first line out where there are no mutating policies.
fn removal(control_plane: &ControlPlane) -> Result<String> {
    let commands = commands("remove")?;
    if control_plane.minor() >= 36 {
        return Ok(commands);
    }
    let (first, rest) = commands.split_once('\n').context("one line")?;
    ensure!(first.ends_with("config/admission/mutating"), "{first}");
    Ok(rest.to_owned())
}

async fn gone(fleet: &Fleet<'_>) -> Result<()> {
    let requests = fleet.requests().await?;
    eventually("the end of the request", SOON, async || match requests.get_opt(REQUEST).await? {
        None => Ok(()),
        Some(left) => bail!("{:?}", left.metadata.finalizers),
    })
    .await
}

#[tokio::test]
async fn what_hangs_without_a_controller_is_freed_as_the_page_says() -> Result<()> {
    let broken = breakable().await?;
    let mut cases = Vec::new();
    for place in [Place::Pending, Place::Approved, Place::Signed, Place::Active, Place::Active] {
        cases.push(Case::prepare(&broken.installation, "hangs", place).await?);
    }
    for case in &cases {
        case.fleet.finalizer(REQUEST, true).await?;
    }
    broken.installation.controller.process.kill9()?;
    // One goes with its namespace, the others by themselves.
    let (with_namespace, alone) = cases.split_last().context("no case")?;
    let admin = with_namespace.fleet.admin();
    let namespaces: Api<Namespace> = Api::all(admin.client().await?);
    namespaces.delete(with_namespace.fleet.name(), &DeleteParams::default()).await?;
    for case in alone {
        case.fleet.requests().await?.delete(REQUEST, &DeleteParams::default()).await?;
    }
    eventually("the namespace that hangs", CLEARED, async || {
        let status = namespaces.get(with_namespace.fleet.name()).await?.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let hangs = conditions.iter().find(|c| c.type_ == "NamespaceFinalizersRemaining" && c.status == "True");
        ensure!(
            hangs.is_some_and(|c| c.message.as_ref().is_some_and(|m| m.contains("tidegate.dev/revoke"))),
            "{conditions:?}"
        );
        Ok(())
    })
    .await?;
    let hanging = run("look", admin).await?.ok()?;
    for case in &cases {
        ensure!(
            hanging.contains(&format!("{} {REQUEST}\n", case.fleet.name())),
            "{:?} is not in {hanging}",
            case.place
        );
    }
    let own_name = ["patch", &format!("er/{REQUEST}"), "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#];
    let tried = alone[0].fleet.kubectl(admin, &own_name).await?;
    tried.refused("only the controller removes the finalizer tidegate.dev/revoke")?;

    run("stay", admin).await?.ok()?;
    run("free", admin).await?.ok()?;
    for case in alone {
        gone(&case.fleet).await.with_context(|| format!("{:?}", case.place))?;
        if let Some(agent) = &case.agent {
            agent.ended(REQUEST, SOON).await?;
        }
    }
    eventually("the end of the namespace", CLEARED, async || {
        match namespaces.get_opt(with_namespace.fleet.name()).await? {
            None => Ok(()),
            Some(left) => bail!("{:?}", left.status),
        }
    })
    .await
}

/// The definitions of our kinds that are there.
async fn definitions(admin: &Identity) -> Result<Vec<String>> {
    let api: Api<CustomResourceDefinition> = Api::all(admin.client().await?);
    let all = api.list(&ListParams::default()).await?;
    Ok(all.iter().filter(|crd| crd.spec.group == GROUP).map(ResourceExt::name_any).collect())
}

async fn nothing_is_left(admin: &Identity) -> Result<()> {
    eventually("the end of our definitions", CLEARED, async || {
        let left = definitions(admin).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn uninstalled_in_order_nothing_is_left_and_in_the_wrong_order_it_is_freed_as_the_page_says() -> Result<()> {
    let installation = Installation::alone().await?;
    let control_plane = installation.control_plane;
    let admin = control_plane.admin();
    let fleet = Fleet::new(&installation, "bye").await?;
    let agent = fleet.agent().await?;
    fleet.granted(REQUEST, "30m").await?;
    agent.started(REQUEST, SOON).await?;
    run("end", admin).await?.ok()?;
    gone(&fleet).await?;
    agent.ended(REQUEST, SOON).await?;
    admin.shell(assets::repository(), &removal(control_plane)?).await?.ok()?;
    nothing_is_left(admin).await?;

    control_plane.install().await?;
    // Without its rights it could not keep its Lease, and has ended by itself.
    installation.controller.process.ended(SOON * 3).await?;
    let next = Controller::start_anew(control_plane).await?;
    next.guard_passes(READY).await?;
    let fleet = Fleet::new(&installation, "wrong-order").await?;
    fleet.granted(REQUEST, "30m").await?;
    fleet.finalizer(REQUEST, true).await?;
    next.process.kill9()?;
    // Everything at once: the command would wait for what hangs.
    let remove = removal(control_plane)?.replace("kubectl delete", "kubectl delete --wait=false");
    admin.shell(assets::repository(), &remove).await?.ok()?;
    eventually("the definition that hangs", CLEARED, async || {
        let left = definitions(admin).await?;
        ensure!(left == ["elevationrequests.tidegate.dev"], "{left:?}");
        Ok(())
    })
    .await?;
    // A policy that is gone is in force for some seconds more.
    eventually("the rest to be let go", CLEARED, async || run("free-rest", admin).await?.ok()).await?;
    nothing_is_left(admin).await
}
