//! Stages, quorum and rules that approve by themselves, with kubectl and the rights that are shipped.

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tidegate_test_support::{Identity, objects};

use crate::agent::SOON;
use crate::fleet::{ENDPOINT, Fleet, condition};
use crate::installation::shared;

/// `who` may approve one stage of a policy and nothing else.
async fn may_approve_stage(fleet: &Fleet<'_>, who: &Identity, policy: &str, stage: &str) -> Result<()> {
    let name = format!("{stage}-{}", who.user().split('@').next().unwrap_or_default());
    let role: Role = serde_json::from_value(json!({"metadata": {"name": name}, "rules": [
        {"apiGroups": ["tidegate.dev"], "resources": ["elevationrequests"], "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": ["tidegate.dev"], "resources": [format!("jitpolicies/{stage}")], "resourceNames": [policy], "verbs": ["approve"]},
    ]}))?;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": who.user()}],
    }))?;
    let admin = fleet.admin().client().await?;
    Api::namespaced(admin.clone(), fleet.name()).create(&PostParams::default(), &role).await?;
    Api::namespaced(admin, fleet.name()).create(&PostParams::default(), &binding).await?;
    Ok(())
}

#[tokio::test]
async fn all_stages_must_be_met_by_distinct_people_and_the_shortest_time_counts() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "stages").await?;
    let mut policy = objects::policy_on_request("two-stages")?;
    if let Some(terms) = &mut policy.spec.access.on_request {
        terms.approval = Some(serde_json::from_value(
            json!({"stages": [{"name": "managers", "approvals": 1}, {"name": "security", "approvals": 2}]}),
        )?);
    }
    fleet.policies().await?.create(&PostParams::default(), &policy).await?;
    let [sam, sue] = ["sam@corp", "sue@corp"].map(|user| fleet.installation.control_plane.person(user));
    let (sam, sue) = (sam?, sue?);
    for who in [&sam, &sue] {
        may_approve_stage(&fleet, who, "two-stages", "security").await?;
    }
    let mut wish = objects::request("er-1", "two-stages", ENDPOINT, "alice", fleet.alice.user())?;
    wish.spec.duration = Some("30m".to_owned());
    fleet.ask_for(&wish).await?;
    let pending = fleet.in_state("er-1", "Pending", SOON).await?;
    let message = condition(&pending, "Active")?.message;
    assert!(message.contains("1 approval (stage managers) and 2 approvals (stage security)"), "{message}");

    // Who may approve one stage cannot approve in general.
    let refused = fleet.try_to_decide(&sam, "er-1", "approve").await?;
    assert!(refused.stderr.contains("approve"), "{}", refused.stderr);
    fleet.decide(&sam, "er-1", "approve for=20m stage=security").await?;
    fleet.decision("er-1", 1).await?;
    fleet.decide(&fleet.bob, "er-1", "approve for=25m").await?;
    assert_eq!(fleet.decision("er-1", 2).await?.stage.as_deref(), Some("managers"), "the first unmet stage");
    fleet.decide(&fleet.bob, "er-1", "approve stage=security").await?;
    let again = fleet.decision("er-1", 3).await?;
    assert_eq!((again.counted, again.reason.as_deref()), (false, Some("DuplicateApproval")));
    fleet.in_state("er-1", "Pending", SOON).await?;
    fleet.decide(&sue, "er-1", "approve stage=security").await?;
    let active = fleet.in_state("er-1", "Active", SOON).await?.status.context("no status")?;
    assert_eq!(active.duration.as_deref(), Some("20m"));
    let stages = active.approval.context("no approval")?.stages;
    let counts: Vec<(&str, i64, i64)> = stages.iter().map(|s| (s.name.as_str(), s.approved, s.approvals)).collect();
    assert_eq!(counts, [("managers", 1, 1), ("security", 2, 2)]);
    Ok(())
}

#[tokio::test]
async fn a_rule_approves_by_itself_what_it_matches_and_leaves_the_rest_to_people() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "rules").await?;
    let mut policy = objects::policy_on_request("trusting")?;
    if let Some(terms) = &mut policy.spec.access.on_request {
        let rule = json!({"name": "short", "accounts": {"names": ["alice"]}, "maxDuration": "5m"});
        terms.approval = Some(serde_json::from_value(json!({"automatic": [rule]}))?);
    }
    fleet.policies().await?.create(&PostParams::default(), &policy).await?;
    let agent = fleet.agent().await?;
    let ask = async |name: &str, duration: &str| -> Result<()> {
        let mut wish = objects::request(name, "trusting", ENDPOINT, "alice", fleet.alice.user())?;
        wish.spec.duration = Some(duration.to_owned());
        fleet.ask_for(&wish).await
    };
    ask("er-short", "5m").await?;
    let active = fleet.in_state("er-short", "Active", SOON).await?;
    agent.started("er-short", SOON).await?;
    let approved = condition(&active, "Approved")?;
    assert_eq!((approved.status.as_str(), approved.message.as_str()), ("True", "approved by rule short"));
    assert_eq!(active.status.and_then(|s| s.approval).and_then(|a| a.rule).as_deref(), Some("short"));
    ask("er-long", "6m").await?;
    let pending = fleet.in_state("er-long", "Pending", SOON).await?;
    assert_eq!(pending.status.and_then(|s| s.approval).and_then(|a| a.rule), None);
    Ok(())
}
