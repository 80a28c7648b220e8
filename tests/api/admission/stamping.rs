//! The short form `tidegate.dev/decide` where the API server cannot stamp slot and name, and what was written before the policies
//! were there: on a control plane of its own.

use std::time::Duration;

use anyhow::{Result, anyhow};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tidegate_api::ElevationRequest;
use tidegate_api::names::{DECIDE_ANNOTATION, DECISION_PREFIX};
use tidegate_test_support::{ControlPlane, eventually, objects};
use tokio::sync::OnceCell;

use super::DECISIONS;
use crate::fleet::{Fleet, Judged as _, POLICY, Tried, annotate};
use crate::refusals::Refusal;

/// How long a policy may take to come into force.
const IN_FORCE_DEADLINE: Duration = Duration::from_secs(60);

/// A control plane without the mutating policies, as a server before 1.36 is, shared by the tests here. In its namespace
/// default lie the requests `early` and `gap`, annotated before any policy was installed.
async fn plain_control_plane() -> Result<&'static ControlPlane> {
    static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();
    let start = async || -> Result<ControlPlane> {
        let control_plane = ControlPlane::start().await?;
        control_plane.apply("config/crd").await?;
        let admin = control_plane.admin();
        let requests: kube::Api<ElevationRequest> = kube::Api::namespaced(admin.client().await?, "default");
        let mut early = objects::request("early", POLICY, "ws-042", "alice", admin.user())?;
        early.metadata.annotations = Some([(NOTE.to_owned(), "before".to_owned())].into());
        eventually("the kind", IN_FORCE_DEADLINE, async || Ok(requests.create(&PostParams::default(), &early).await?))
            .await?;
        let mut gap = objects::request("gap", POLICY, "ws-042", "alice", admin.user())?;
        gap.metadata.annotations = Some([(format!("{DECISION_PREFIX}2"), format!("{} deny", admin.user()))].into());
        requests.create(&PostParams::default(), &gap).await?;
        control_plane.apply("config/default").await?;
        Ok(control_plane)
    };
    let shared = SHARED.get_or_init(async || start().await.map_err(|error| format!("{error:#}"))).await;
    shared.as_ref().map_err(|text| anyhow!("{text}"))
}

/// What is refused only here, for the page of refusals.
pub async fn refusals() -> Result<Vec<Refusal>> {
    let fleet = Fleet::on(plain_control_plane().await?, "refusals").await?;
    fleet.request_in_force("r", IN_FORCE_DEADLINE).await?;
    let short = fleet.merge(&fleet.bob, "r", &annotate(DECIDE_ANNOTATION, "approve")).await?;
    let requests: kube::Api<ElevationRequest> =
        kube::Api::namespaced(fleet.control_plane.admin().client().await?, "default");
    let changed = Patch::Merge(annotate(NOTE, "after"));
    let early = requests.patch("early", &PatchParams::default(), &changed).await;
    let refused = |what: &str, tried: Tried<ElevationRequest>| match tried {
        Err(kube::Error::Api(status)) => Ok(Refusal::new(what, &status, fleet.namespace.name())),
        Ok(_) | Err(_) => Err(anyhow!("{what}: this had to be refused")),
    };
    Ok(vec![refused("decide where nothing stamps", short)?, refused("an early annotation changed", early)?])
}

/// An annotation that is not ours.
const NOTE: &str = "example.org/note";

#[tokio::test]
async fn where_nothing_stamps_decide_is_refused_with_the_line_to_write() -> Result<()> {
    let fleet = Fleet::on(plain_control_plane().await?, "plain").await?;
    fleet.request_in_force("r", IN_FORCE_DEADLINE).await?;
    let rule = "this API server does not stamp decisions: write decision.tidegate.dev/1=\"bob@corp approve\" instead of \
        tidegate.dev/decide";
    let tried = fleet.merge(&fleet.bob, "r", &annotate(DECIDE_ANNOTATION, "approve")).await?;
    tried.refused("decide", DECISIONS, rule)?;
    fleet.decide(&fleet.bob, "r", 1, "bob@corp approve").await?.allowed("the long form")?;
    Ok(())
}

#[tokio::test]
async fn an_annotation_from_before_the_policies_can_go_but_not_change() -> Result<()> {
    let fleet = Fleet::on(plain_control_plane().await?, "early").await?;
    fleet.request_in_force("r", IN_FORCE_DEADLINE).await?;
    let admin = fleet.control_plane.admin();
    let requests: kube::Api<ElevationRequest> = kube::Api::namespaced(admin.client().await?, "default");
    // Nothing stays: others need the annotation.
    let dry_run = PatchParams::default().dry_run();
    let merge = async |patch| requests.patch("early", &dry_run, &Patch::Merge(patch)).await;
    let rule = "only a decision may be added to a request, no other annotation changed";
    merge(annotate(NOTE, "after")).await.refused("change", DECISIONS, rule)?;
    merge(json!({"metadata": {"annotations": {NOTE: null}}})).await.allowed("removal")?;
    Ok(())
}

#[tokio::test]
async fn a_slot_left_out_before_the_policies_cannot_be_filled_in_another_name() -> Result<()> {
    let fleet = Fleet::on(plain_control_plane().await?, "gap").await?;
    fleet.request_in_force("r", IN_FORCE_DEADLINE).await?;
    let requests: kube::Api<ElevationRequest> =
        kube::Api::namespaced(fleet.control_plane.admin().client().await?, "default");
    let forged = Patch::Merge(annotate(&format!("{DECISION_PREFIX}1"), "bob@corp approve"));
    let tried = requests.patch("gap", &PatchParams::default(), &forged).await;
    let rule = "decision.tidegate.dev/1 is not a key that can be set now: the next decision is decision.tidegate.dev/2";
    tried.refused("slot 1 under slot 2", DECISIONS, rule)
}
