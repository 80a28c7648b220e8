//! Walkthrough 3: whatever takes a right away, the endpoint ends it at once, and nothing brings it back.

use anyhow::{Context, Result, ensure};
use kube::api::DeleteParams;
use tidegate_test_support::eventually;

use crate::agent::{SOON, Watching};
use crate::fleet::{ENDPOINT, Fleet, POLICY, condition};
use crate::installation::shared;
use crate::writes;

/// A fleet with an agent where `er-1` holds for longer than any test takes.
async fn elevated(prefix: &str) -> Result<(Fleet<'static>, Watching)> {
    let fleet = Fleet::new(shared().await?, prefix).await?;
    let agent = fleet.agent().await?;
    fleet.granted("er-1", "30m").await?;
    agent.started("er-1", SOON).await?;
    Ok((fleet, agent))
}

async fn ends(agent: &Watching, reason: &str) -> Result<()> {
    let ended = agent.ended("er-1", SOON).await?;
    ensure!(ended.0["reason"] == reason, "{reason} was expected: {}", ended.0);
    Ok(())
}

#[tokio::test]
async fn a_revoked_grant_ends_at_the_endpoint_with_one_write() -> Result<()> {
    let (fleet, agent) = elevated("revoke").await?;
    fleet.decide(&fleet.bob, "er-1", "revoke: the ticket was closed").await?;
    ends(&agent, "absent").await?;
    let request = fleet.in_state("er-1", "Revoked", SOON).await?;
    let active = condition(&request, "Active")?;
    assert_eq!((active.status.as_str(), active.reason.as_str()), ("False", "Revoked"));
    assert!(active.message.contains("revoked by bob@corp: the ticket was closed"), "{}", active.message);
    assert!(request.status.context("no status")?.signed.is_none());

    fleet.finalizer("er-1", false).await?;
    // The revocation, its record, and once the fleet part names it the finalizer; in between the endpoint confirms the end.
    let all = writes::of(&fleet, "er-1")?;
    let revocation = all.iter().rposition(|write| write == "bob: patch").context("no revocation")?;
    let after: Vec<&str> = all[revocation + 1..].iter().map(String::as_str).collect();
    let last = after.iter().filter(|write| **write == "controller: patch").count();
    assert_eq!((after.first(), last), (Some(&"controller: update status"), 1), "{all:?}");

    // Final: nobody can approve it again.
    fleet.decide(&fleet.bob, "er-1", "approve").await?;
    assert_eq!(fleet.decision("er-1", 3).await?.reason.as_deref(), Some("TooLate"));
    fleet.in_state("er-1", "Revoked", SOON).await?;
    assert_eq!(agent.all("started", "er-1").len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_deleted_request_is_revoked_and_then_gone() -> Result<()> {
    let (fleet, agent) = elevated("delete").await?;
    fleet.requests().await?.delete("er-1", &DeleteParams::default()).await?;
    ends(&agent, "absent").await?;
    eventually("the request's end", SOON, async || match fleet.requests().await?.get_opt("er-1").await? {
        None => Ok(()),
        Some(request) => anyhow::bail!("finalizers {:?}, status {:?}", request.metadata.finalizers, request.status),
    })
    .await?;
    let stdout = &fleet.installation.controller.process.stdout;
    let line = |line: &str| {
        line.contains(fleet.name()) && line.contains("\"Revoked\"") && line.contains("the request was deleted")
    };
    stdout.wait_for("the audit line", 0, SOON, line).await?;
    Ok(())
}

#[tokio::test]
async fn what_the_requester_gives_back_ends() -> Result<()> {
    let (fleet, agent) = elevated("end").await?;
    fleet.decide(&fleet.alice, "er-1", "end: done early").await?;
    ends(&agent, "absent").await?;
    fleet.in_state("er-1", "Ended", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn a_denial_after_the_approval_revokes() -> Result<()> {
    let (fleet, agent) = elevated("deny").await?;
    fleet.decide(&fleet.bob, "er-1", "deny: on second thoughts").await?;
    ends(&agent, "absent").await?;
    let request = fleet.in_state("er-1", "Revoked", SOON).await?;
    assert_eq!(condition(&request, "Denied")?.status, "True");
    Ok(())
}

#[tokio::test]
async fn a_grant_ends_with_its_policy() -> Result<()> {
    let (fleet, agent) = elevated("policy").await?;
    fleet.policies().await?.delete(POLICY, &DeleteParams::default()).await?;
    ends(&agent, "absent").await?;
    let request = fleet.in_state("er-1", "Revoked", SOON).await?;
    let message = condition(&request, "Active")?.message;
    assert!(message.contains("JitPolicy dev-tools was deleted"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_changed_policy_leaves_what_it_granted() -> Result<()> {
    let (fleet, agent) = elevated("edit").await?;
    fleet.ask("er-2", "10m").await?;
    fleet.in_state("er-2", "Pending", SOON).await?;
    fleet
        .change_policy(|policy| {
            if let Some(on_request) = &mut policy.spec.access.on_request {
                on_request.duration.max = "2h".to_owned();
            }
        })
        .await?;
    let declined = fleet.in_state("er-2", "Declined", SOON).await?;
    assert_eq!(condition(&declined, "Accepted")?.reason, "PolicyChanged", "what people saw is what is granted");
    fleet.in_state("er-1", "Active", SOON).await?;
    assert_eq!(agent.all("ended", "er-1").len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_grant_ends_with_its_endpoint() -> Result<()> {
    let (fleet, agent) = elevated("endpoint").await?;
    fleet.endpoints().await?.delete(ENDPOINT, &DeleteParams::default()).await?;
    ends(&agent, "certificateVoid").await?;
    let request = fleet.in_state("er-1", "Revoked", SOON).await?;
    let message = condition(&request, "Active")?.message;
    assert!(message.contains("ManagedEndpoint ws-042 was deleted"), "{message}");
    Ok(())
}
