//! What the gateways are to each other and to an endpoint: interchangeable, and silent rather than wrong.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use tidegate_api::names::GATEWAY;
use tidegate_test_support::servers::admin_get;
use tidegate_test_support::{Gateway, eventually};

use crate::agent::SOON;
use crate::fleet::Fleet;
use crate::installation::{READY, breakable, shared};
use crate::poll::Certified;

#[tokio::test]
async fn two_gateways_give_an_endpoint_the_same_manifest() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "replicas").await?;
    let agent = fleet.agent().await?;
    let certified = Certified::of(&agent.agent.folder)?;
    let mut tags = Vec::new();
    for name in [None, Some("er-1"), Some("er-2")] {
        if let Some(name) = name {
            fleet.granted(name, "5m").await?;
            agent.started(name, SOON).await?;
        }
        // The other one's watch may be some milliseconds behind.
        let [one, other] = &fleet.installation.gateways;
        let tag = eventually("the same ETag from both", SOON, async || {
            let (one, other) = (certified.poll(one.agents).await?, certified.poll(other.agents).await?);
            ensure!((one.status, other.status) == (200, 200), "{one:?} {other:?}");
            ensure!(one.etag == other.etag && one.body == other.body, "{:?} and {:?}", one.etag, other.etag);
            ensure!(name.is_none_or(|name| one.body.to_string().contains(name)), "it is from before {name:?}");
            one.etag.context("no ETag")
        })
        .await?;
        ensure!(!tags.contains(&tag), "the ETag stayed {tag} although there is {name:?}");
        tags.push(tag);
    }
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_has_not_seen_everything_answers_503() -> Result<()> {
    let broken = breakable().await?;
    let fleet = Fleet::new(&broken.installation, "blind").await?;
    let agent = fleet.agent().await?;
    let certified = Certified::of(&agent.agent.folder)?;

    let api: Api<ClusterRoleBinding> = Api::all(fleet.admin().client().await?);
    let mut binding = api.get(GATEWAY).await?;
    api.delete(GATEWAY, &DeleteParams::default()).await?;
    eventually("the loss of the gateway's rights", SOON, async || {
        let account = format!("--as=system:serviceaccount:tidegate-system:{GATEWAY}");
        let said = fleet.kubectl(fleet.admin(), &["auth", "can-i", "list", "jitpolicies", &account]).await?;
        ensure!(said.stdout.trim() == "no", "{said:?}");
        Ok(())
    })
    .await?;
    let blind = Gateway::start(broken.installation.control_plane).await?;
    let answer = certified.poll(blind.agents).await?;
    assert_eq!((answer.status, answer.body["code"].as_str()), (503, Some("NotReady")), "{answer:?}");
    assert!(answer.etag.is_none() && answer.body["manifest"].is_null(), "{answer:?}");
    assert_eq!(admin_get(blind.admin, "/readyz").await?.0, 503);
    assert_eq!(admin_get(blind.admin, "/healthz").await?.0, 200, "not ready is no reason to restart it");

    binding.metadata.resource_version = None;
    binding.metadata.uid = None;
    api.create(&PostParams::default(), &binding).await?;
    blind.ready(READY).await?;
    assert_eq!(certified.poll(blind.agents).await?.status, 200);
    Ok(())
}
