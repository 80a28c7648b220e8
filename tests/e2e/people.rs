//! Who may do what, seen from the end: by admission where the API server can see it, else by the controller.

use anyhow::{Context, Result};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::agent::SOON;
use crate::fleet::{ENDPOINT, Fleet, condition};
use crate::installation::shared;
use crate::writes;

#[tokio::test]
async fn nobody_approves_for_themselves_or_in_another_name() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "people").await?;
    fleet.namespace.bind(&fleet.alice, "tidegate-approver").await?;
    let mallory = fleet.namespace.person("mallory@corp", "tidegate-approver").await?;
    fleet.ask("er-1", "5m").await?;
    fleet.in_state("er-1", "Pending", SOON).await?;

    let own = fleet.try_to_decide(&fleet.alice, "er-1", "approve").await?;
    own.refused("nobody may approve their own request")?;
    let forged = "decision.tidegate.dev/1=bob@corp approve";
    let said = fleet.kubectl(&mallory, &["annotate", "er/er-1", forged]).await?;
    said.refused("a decision must start with your own user name, mallory@corp")?;
    let request = fleet.in_state("er-1", "Pending", SOON).await?;
    assert!(request.status.context("no status")?.decisions.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_further_login_of_the_person_does_not_count() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "logins").await?;
    let identities = ["alice@corp", "alice-admin@corp"];
    let spec = json!({"spec": {"owner": "dave@corp", "accounts": [{"name": "alice", "identities": identities}]}});
    fleet.endpoints().await?.patch(ENDPOINT, &PatchParams::default(), &Patch::Merge(&spec)).await?;
    let further = fleet.namespace.person("alice-admin@corp", "tidegate-approver").await?;
    let owner = fleet.namespace.person("dave@corp", "tidegate-approver").await?;
    fleet.ask("er-1", "5m").await?;
    fleet.in_state("er-1", "Pending", SOON).await?;

    for (slot, who, why) in [(1, &further, "is alice@corp under another name"), (2, &owner, "owns ws-042")] {
        // The API server cannot know; it lets both pass.
        fleet.decide(who, "er-1", "approve").await?;
        let decision = fleet.decision("er-1", slot).await?;
        assert_eq!((decision.counted, decision.reason.as_deref()), (false, Some("SelfApproval")));
        let message = decision.message.context("no message")?;
        assert!(message.contains(why), "{message}");
        fleet.in_state("er-1", "Pending", SOON).await?;
    }
    // What did not count locks nobody out.
    fleet.decide(&fleet.bob, "er-1", "approve").await?;
    fleet.in_state("er-1", "Active", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn only_the_accounts_person_gets_it_and_is_told_why_not() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "declined").await?;
    let erin = fleet.namespace.person("erin@corp", "tidegate-requester").await?;
    let mut wish = fleet.wish("er-1", "5m")?;
    wish.spec.requester = Some(erin.user().to_owned());
    wish.spec.reason = "short".to_owned();
    let file = serde_json::to_string(&wish)?;
    let file = fleet.installation.control_plane.sandbox().fresh_file("manifests", "request.json", &file)?;
    let file = file.to_str().context("the sandbox's path is no text")?;
    fleet.kubectl(&erin, &["create", "-f", file]).await?.ok()?;

    let request = fleet.in_state("er-1", "Declined", SOON).await?;
    let accepted = condition(&request, "Accepted")?;
    assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("False", "RequesterNotAccount"));
    assert!(
        accepted.message.contains("erin@corp") && accepted.message.contains("fewer than the 10"),
        "every reason: {accepted:?}"
    );
    assert_eq!(condition(&request, "Finished")?.status, "True");
    assert_eq!(writes::by("controller", &fleet, "er-1")?, ["update status"], "a declined request gets no finalizer");
    Ok(())
}

#[tokio::test]
async fn a_forged_status_is_refused_even_to_a_cluster_admin() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "forged").await?;
    fleet.ask("er-1", "5m").await?;
    fleet.in_state("er-1", "Pending", SOON).await?;
    let patch = r#"{"status":{"state":"Active"}}"#;
    let args = ["patch", "er/er-1", "--subresource=status", "--type=merge", "-p", patch];
    fleet.kubectl(fleet.admin(), &args).await?.refused("status.tidegate.dev")?;
    fleet.in_state("er-1", "Pending", SOON).await?;
    Ok(())
}
