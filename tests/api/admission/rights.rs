//! Who may give which decision.

use anyhow::Result;
use kube::api::PostParams;

use super::DECISIONS;
use crate::fleet::{Fleet, Judged as _, wish};

#[tokio::test]
async fn nobody_approves_their_own_request() -> Result<()> {
    let fleet = Fleet::new("self").await?;
    let rule = "nobody may approve their own request";
    fleet.request("r").await?;
    fleet.namespace.bind(&fleet.alice, "tidegate-approver").await?;
    fleet.decide(&fleet.alice, "r", 1, "alice@corp approve").await?.refused("by an approver", DECISIONS, rule)?;
    fleet.decide(&fleet.alice, "r", 1, "alice@corp deny").await?.allowed("denying one's own")?;

    let admin = fleet.control_plane.admin();
    fleet.requests(admin).await?.create(&PostParams::default(), &wish("admins", admin)?).await?;
    let text = format!("{} approve", admin.user());
    fleet.decide(admin, "admins", 1, &text).await?.refused("by a cluster admin", DECISIONS, rule)
}

#[tokio::test]
async fn nobody_decides_under_another_name() -> Result<()> {
    let fleet = Fleet::new("forged").await?;
    fleet.request("r").await?;
    let mine = |user: &str| format!("a decision must start with your own user name, {user}");
    let tried = fleet.decide(&fleet.bob, "r", 1, "carol@corp approve").await?;
    tried.refused("bob as carol", DECISIONS, &mine("bob@corp"))?;
    let tried = fleet.decide(&fleet.bob, "r", 1, "bob@corporation approve").await?;
    tried.refused("a name that begins like bob's", DECISIONS, &mine("bob@corp"))?;
    let admin = fleet.control_plane.admin();
    let tried = fleet.decide(admin, "r", 1, "bob@corp approve").await?;
    tried.refused("a cluster admin as bob", DECISIONS, &mine(admin.user()))?;
    // Names are compared as whole tokens: this one's own name, read by the grammar, is bob's with a comment.
    let tricky = fleet.control_plane.person("bob@corp approve:")?;
    fleet.namespace.bind(&tricky, "tidegate-approver").await?;
    let tried = fleet.decide(&tricky, "r", 1, "bob@corp approve: approve").await?;
    tried.refused("a user named `bob@corp approve:`", DECISIONS, &mine("bob@corp approve:"))
}

#[tokio::test]
async fn approve_and_deny_need_approve_on_that_policy_and_revoke_needs_revoke() -> Result<()> {
    let fleet = Fleet::new("verbs").await?;
    fleet.request("r").await?;
    // A requester may patch requests, and that is all.
    let carol = fleet.namespace.person("carol@corp", "tidegate-requester").await?;
    for verb in ["approve", "deny"] {
        let tried = fleet.decide(&carol, "r", 1, &format!("carol@corp {verb}")).await?;
        tried.refused(verb, DECISIONS, "approve on jitpolicies/dev-tools is required")?;
    }
    let tried = fleet.decide(&carol, "r", 1, "carol@corp revoke").await?;
    tried.refused("revoke", DECISIONS, "revoke on jitpolicies/dev-tools is required")?;

    fleet.grant(&carol, "approves", &[("jitpolicies", &["approve"])]).await?;
    fleet.decide(&carol, "r", 1, "carol@corp approve").await?.allowed("approve with approve")?;
    fleet.decide(&carol, "r", 2, "carol@corp deny").await?.allowed("deny with approve")?;
    let tried = fleet.decide(&carol, "r", 3, "carol@corp revoke").await?;
    tried.refused("revoke with approve", DECISIONS, "revoke on jitpolicies/dev-tools is required")
}

#[tokio::test]
async fn a_right_on_one_stage_is_a_right_on_that_stage_only() -> Result<()> {
    let fleet = Fleet::new("stages").await?;
    fleet.request("r").await?;
    let carol = fleet.control_plane.person("carol@corp")?;
    let rules: [(&str, &[&str]); 2] = [("elevationrequests", &["patch"]), ("jitpolicies/security", &["approve"])];
    fleet.grant(&carol, "security", &rules).await?;
    let rule = "approve on jitpolicies/dev-tools is required";
    fleet.decide(&carol, "r", 1, "carol@corp approve").await?.refused("the general form", DECISIONS, rule)?;
    fleet.decide(&carol, "r", 1, "carol@corp deny").await?.refused("the general form", DECISIONS, rule)?;
    let tried = fleet.decide(&carol, "r", 1, "carol@corp approve stage=managers").await?;
    tried.refused("another stage", DECISIONS, "or on its stage jitpolicies/managers")?;
    fleet.decide(&carol, "r", 1, "carol@corp approve stage=security").await?.allowed("approve for her stage")?;
    fleet.decide(&carol, "r", 2, "carol@corp deny stage=security").await?.allowed("deny for her stage")?;
    Ok(())
}

#[tokio::test]
async fn a_request_is_ended_by_its_requester_a_revoker_or_with_end_for_others() -> Result<()> {
    let fleet = Fleet::new("ending").await?;
    fleet.request("r").await?;
    let carol = fleet.namespace.person("carol@corp", "tidegate-requester").await?;
    let tried = fleet.decide(&carol, "r", 1, "carol@corp end").await?;
    tried.refused("another person", DECISIONS, "only the requester ends a request")?;
    fleet.decide(&fleet.alice, "r", 1, "alice@corp end").await?.allowed("the requester")?;
    fleet.decide(&fleet.bob, "r", 2, "bob@corp end").await?.allowed("a revoker")?;

    let gateway = fleet.gateway().await?;
    let text = format!("{} end", gateway.user());
    fleet.grant(&gateway, "gateway", &[("elevationrequests", &["patch"])]).await?;
    let tried = fleet.decide(&gateway, "r", 3, &text).await?;
    tried.refused("the gateway without the right", DECISIONS, "only the requester ends a request")?;
    fleet.grant(&gateway, "gateway-ends", &[("elevationrequests", &["end-for-others"])]).await?;
    fleet.decide(&gateway, "r", 3, &text).await?.allowed("the gateway with the right")?;
    Ok(())
}

#[tokio::test]
async fn a_program_decides_only_with_a_right_that_no_wildcard_carries() -> Result<()> {
    let fleet = Fleet::new("programs").await?;
    fleet.request("r").await?;
    let rule = "a service account needs decide-as-serviceaccount";
    // Any ServiceAccount will do; the gateway's is there and has no right to decide.
    let program = fleet.gateway().await?;
    let text = format!("{} approve", program.user());
    let approver: [(&str, &[&str]); 2] = [("elevationrequests", &["patch"]), ("jitpolicies", &["approve"])];
    fleet.grant(&program, "approver", &approver).await?;
    fleet.decide(&program, "r", 1, &text).await?.refused("with approve", DECISIONS, rule)?;
    fleet.grant(&program, "bot", &[("elevationrequests", &["decide-as-serviceaccount"])]).await?;
    fleet.decide(&program, "r", 1, &text).await?.allowed("with the right by name")?;
    fleet.grant(&program, "everything", &[("elevationrequests", &["*"])]).await?;
    fleet.decide(&program, "r", 2, &text).await?.refused("with the right by *", DECISIONS, rule)
}
