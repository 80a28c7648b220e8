//! Walkthrough 4: a controller dies between the decision and the write; the next one comes to the same result.

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::PostParams;
use tidegate_api::names::CONTROLLER;
use tidegate_test_support::Controller;

use crate::agent::SOON;
use crate::fleet::Fleet;
use crate::installation::{READY, breakable};
use crate::writes;

#[tokio::test]
async fn a_controller_that_dies_between_decision_and_write_changes_nothing_about_the_result() -> Result<()> {
    let broken = breakable().await?;
    let fleet = Fleet::new(&broken.installation, "leader").await?;
    let agent = fleet.agent().await?;
    fleet.ask("er-1", "5m").await?;
    fleet.in_state("er-1", "Pending", SOON).await?;
    // The finalizer too, so that what is refused below is the grant.
    fleet.finalizer("er-1", true).await?;

    // It may still read and decide, but its word is refused: the moment between the two lasts as long as the test wants.
    let role = status_role(&fleet, |verbs| *verbs = vec!["get".to_owned()]).await?;
    let first = &broken.installation.controller;
    let before = first.process.stderr.position();
    fleet.decide(&fleet.bob, "er-1", "approve for=4m: go ahead").await?;
    let refused = |line: &str| line.contains("could not judge") && line.contains("writing status");
    first.process.stderr.wait_for("the refused grant", before, SOON, refused).await?;
    first.process.kill9()?;
    let pending = fleet.requests().await?.get("er-1").await?.status.context("no status")?;
    assert_eq!((pending.state.as_deref(), pending.decisions.len()), (Some("Pending"), 0), "nothing was written");
    status_role(&fleet, |verbs| *verbs = role.clone()).await?;

    let second = Controller::start_anew(broken.installation.control_plane).await?;
    second.ready(READY).await?;
    let status = fleet.in_state("er-1", "Active", SOON).await?.status.context("no status")?;
    assert_eq!(status.duration.as_deref(), Some("4m"));
    let [decision] = status.decisions.as_slice() else { anyhow::bail!("one decision: {:?}", status.decisions) };
    assert_eq!((decision.slot, decision.by.as_deref(), decision.counted), (1, Some("bob@corp"), true));
    assert!(status.signed.is_some());
    agent.started("er-1", SOON).await?;
    assert_eq!(agent.all("started", "er-1").len(), 1);
    let applied = ["wait", "--for=condition=Applied", "er/er-1", "--timeout=30s"];
    fleet.kubectl(&fleet.alice, &applied).await?.ok()?;
    // Pending, the finalizer, Active, and the endpoint's word.
    let expected = ["update status", "patch", "update status", "update status"];
    assert_eq!(writes::by("controller", &fleet, "er-1")?, expected, "nothing twice");
    let told = |controller: &Controller| {
        let lines = controller.process.stdout.lines();
        lines.iter().filter(|line| line.contains("\"event\":\"Activated\"") && line.contains(fleet.name())).count()
    };
    assert_eq!((told(first), told(&second)), (0, 1), "what was not written was not told");
    Ok(())
}

/// Changes the controller's verbs on the status of requests, and says what they were.
async fn status_role(fleet: &Fleet<'_>, change: impl FnOnce(&mut Vec<String>)) -> Result<Vec<String>> {
    let api: Api<ClusterRole> = Api::all(fleet.admin().client().await?);
    let mut role = api.get(CONTROLLER).await?;
    let is_status = |resources: &Vec<String>| resources.iter().any(|resource| resource == "elevationrequests/status");
    let rules = role.rules.iter_mut().flatten();
    let rule = rules.into_iter().find(|rule| rule.resources.as_ref().is_some_and(is_status));
    let rule = rule.context("no rule for the status of requests")?;
    let before = rule.verbs.clone();
    change(&mut rule.verbs);
    api.replace(CONTROLLER, &PostParams::default(), &role).await?;
    Ok(before)
}
