//! Who may create a request, and with what.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PostParams;
use tidegate_api::names::{DECIDE_ANNOTATION, REVOKE_FINALIZER};

use super::DECISIONS;
use crate::fleet::{Fleet, Judged as _, wish};

fn post() -> PostParams {
    PostParams::default()
}

#[tokio::test]
async fn an_absent_requester_is_stamped_with_the_caller() -> Result<()> {
    let fleet = Fleet::new("stamped").await?;
    if fleet.control_plane.minor() < 36 {
        return Ok(()); // Without mutating policies there is nothing that stamps: see the next test.
    }
    let mut request = wish("r", &fleet.alice)?;
    request.spec.requester = None;
    let created =
        fleet.requests(&fleet.alice).await?.create(&post(), &request).await.allowed("create without requester")?;
    assert_eq!(created.spec.requester.as_deref(), Some("alice@corp"));
    Ok(())
}

#[tokio::test]
async fn another_requester_than_the_caller_is_refused() -> Result<()> {
    let fleet = Fleet::new("requester").await?;
    let tried = fleet.requests(&fleet.alice).await?.create(&post(), &wish("r", &fleet.bob)?).await;
    tried.refused("create for bob", DECISIONS, "spec.requester must be your own user name, alice@corp")?;
    let admin = fleet.control_plane.admin();
    let tried = fleet.requests(admin).await?.create(&post(), &wish("r", &fleet.bob)?).await;
    tried.refused("create for bob by a cluster admin", DECISIONS, "spec.requester must be your own user name")
}

#[tokio::test]
async fn on_behalf_needs_create_for_others() -> Result<()> {
    let fleet = Fleet::new("behalf").await?;
    let mut request = wish("r", &fleet.alice)?;
    request.spec.on_behalf = true;
    let requests = fleet.requests(&fleet.alice).await?;
    let tried = requests.create(&post(), &request).await;
    tried.refused("onBehalf", DECISIONS, "spec.onBehalf needs create-for-others on elevationrequests")?;

    fleet.grant(&fleet.alice, "help-desk", &[("elevationrequests", &["create-for-others"])]).await?;
    requests.create(&post(), &request).await.allowed("onBehalf with the right")?;
    Ok(())
}

#[tokio::test]
async fn asking_needs_request_on_that_policy() -> Result<()> {
    let fleet = Fleet::new("asking").await?;
    let carol = fleet.control_plane.person("carol@corp")?;
    fleet.grant(&carol, "creator", &[("elevationrequests", &["create"])]).await?;
    let requests = fleet.requests(&carol).await?;
    let tried = requests.create(&post(), &wish("r", &carol)?).await;
    tried.refused("no right to request", DECISIONS, "request on jitpolicies/dev-tools is required")?;

    fleet.grant(&carol, "asker", &[("jitpolicies", &["request"])]).await?;
    requests.create(&post(), &wish("r", &carol)?).await.allowed("with the right to request")?;
    Ok(())
}

#[tokio::test]
async fn a_request_is_born_without_annotations() -> Result<()> {
    let fleet = Fleet::new("born").await?;
    let requests = fleet.requests(&fleet.alice).await?;
    // Two are what a restored backup brings, and what somebody tries who approves while asking.
    for key in ["decision.tidegate.dev/1", DECIDE_ANNOTATION, "example.org/note"] {
        let mut request = wish("r", &fleet.alice)?;
        request.metadata.annotations = Some(BTreeMap::from([(key.to_owned(), "alice@corp approve".to_owned())]));
        let tried = requests.create(&post(), &request).await;
        tried.refused(key, DECISIONS, "a request must not be created with annotations")?;
    }
    let mut request = wish("r", &fleet.alice)?;
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    request.metadata.annotations = Some(BTreeMap::from([(key.to_owned(), "{}".to_owned())]));
    requests.create(&post(), &request).await.allowed(key)?;
    Ok(())
}

#[tokio::test]
async fn a_request_is_born_without_owners_and_finalizers() -> Result<()> {
    let fleet = Fleet::new("owned").await?;
    let requests = fleet.requests(&fleet.alice).await?;
    let rule = "a request must not be created with ownerReferences or finalizers";

    let mut request = wish("r", &fleet.alice)?;
    request.metadata.finalizers = Some(vec![REVOKE_FINALIZER.to_owned()]);
    requests.create(&post(), &request).await.refused("finalizer", DECISIONS, rule)?;

    let mut request = wish("r", &fleet.alice)?;
    request.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: "owner".to_owned(),
        uid: "00000000-0000-0000-0000-000000000000".to_owned(),
        ..OwnerReference::default()
    }]);
    requests.create(&post(), &request).await.refused("owner", DECISIONS, rule)
}
