//! The short form `tidegate.dev/decide`, where the API server stamps slot and name, and where it cannot; and what was written
//! before the policies were there.

use std::time::Duration;

use anyhow::{Result, anyhow};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tidegate_api::ElevationRequest;
use tidegate_api::names::{DECIDE_ANNOTATION, DECISION_PREFIX};
use tidegate_test_support::{ControlPlane, eventually, objects};
use tokio::sync::OnceCell;

use super::DECISIONS;
use crate::fleet::{Fleet, Judged as _, POLICY, annotate};

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

/// An annotation that is not ours.
const NOTE: &str = "example.org/note";

#[tokio::test]
async fn decide_becomes_the_next_decision_under_the_callers_name() -> Result<()> {
    let fleet = Fleet::new("decide").await?;
    if fleet.control_plane.minor() < 36 {
        return Ok(()); // There it is refused: see where_nothing_stamps_decide_is_refused_with_the_line_to_write.
    }
    fleet.request("r").await?;
    let decisions = [("approve for=30m: pairing for=9h", 1), ("deny", 2), ("revoke: no longer needed", 3)];
    for (text, slot) in decisions {
        let after = fleet.merge(&fleet.bob, "r", &annotate(DECIDE_ANNOTATION, text)).await?.allowed(text)?;
        let annotations = after.metadata.annotations.unwrap_or_default();
        assert_eq!(annotations.get(&format!("decision.tidegate.dev/{slot}")), Some(&format!("bob@corp {text}")));
        assert!(!annotations.contains_key(DECIDE_ANNOTATION), "{annotations:?}");
        assert_eq!(annotations.len(), slot, "{annotations:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stamped_decision_is_judged_like_any_other() -> Result<()> {
    let fleet = Fleet::new("judged").await?;
    if fleet.control_plane.minor() < 36 {
        return Ok(()); // There it is refused: see where_nothing_stamps_decide_is_refused_with_the_line_to_write.
    }
    fleet.request("r").await?;
    fleet.namespace.bind(&fleet.alice, "tidegate-approver").await?;
    let tried = fleet.merge(&fleet.alice, "r", &annotate(DECIDE_ANNOTATION, "approve")).await?;
    tried.refused("self-approval", DECISIONS, "nobody may approve their own request")?;
    let tried = fleet.merge(&fleet.bob, "r", &annotate(DECIDE_ANNOTATION, "approve for=45")).await?;
    tried.refused("for=45", DECISIONS, "a decision must read")?;
    let tried = fleet.merge(&fleet.bob, "r", &annotate(DECIDE_ANNOTATION, "alice@corp approve")).await?;
    tried.refused("a name before the verb", DECISIONS, "a decision must read")?;
    let tricky = fleet.control_plane.person("bob@corp approve:")?;
    fleet.namespace.bind(&tricky, "tidegate-approver").await?;
    let tried = fleet.merge(&tricky, "r", &annotate(DECIDE_ANNOTATION, "approve")).await?;
    tried.refused("a user named `bob@corp approve:`", DECISIONS, "a decision must start with your own user name")
}

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
    let merge = async |patch| requests.patch("early", &PatchParams::default(), &Patch::Merge(patch)).await;
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
