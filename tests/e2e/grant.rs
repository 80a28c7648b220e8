//! Walkthrough 1: somebody asks, somebody else approves, the endpoint knows; with no more writes than the design names, and
//! with everything told that happened.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidegate_test_support::eventually;

use crate::agent::SOON;
use crate::fleet::{ENDPOINT, Fleet, POLICY, condition, in_seconds};
use crate::installation::shared;
use crate::writes;

#[tokio::test]
async fn an_approved_request_reaches_the_endpoint_with_one_write_after_the_approval() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "grant").await?;
    let agent = fleet.agent().await?;

    let request = fleet.granted("er-1", "5m").await?;
    let started = agent.started("er-1", SOON).await?;

    let status = request.status.context("an active request has a status")?;
    let (start, end) = (status.start_time.context("no start")?.0, status.expiration_time.context("no end")?.0);
    assert_eq!(
        (started.start()?, started.end()?),
        (start, end),
        "what the controller said is what the endpoint was told"
    );
    assert_eq!(end.duration_since(start).as_secs(), 300);
    assert_eq!(started.0["account"], "alice");
    assert_eq!(started.0["source"]["policy"], POLICY);
    assert_eq!(status.identity.as_deref(), Some("alice@corp"));

    let expected =
        ["alice: create", "controller: update status", "controller: patch", "bob: patch", "controller: update status"];
    // The endpoint's word follows at once: it may be written already.
    let mut all = writes::of(&fleet, "er-1")?;
    let word = all.split_off(expected.len().min(all.len()));
    assert_eq!(all, expected);
    ensure!(word.is_empty() || word == ["controller: update status"], "{word:?}");
    Ok(())
}

#[tokio::test]
async fn an_approval_sets_the_duration_and_never_leaves_the_policys_range() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "shorter").await?;
    fleet.ask("er-1", "20m").await?;
    fleet.in_state("er-1", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "er-1", "approve for=7m: this will do").await?;
    let status = fleet.in_state("er-1", "Active", SOON).await?.status.context("no status")?;
    assert_eq!(status.duration.as_deref(), Some("7m"));

    fleet.ask("er-2", "20m").await?;
    fleet.in_state("er-2", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "er-2", "approve for=2h").await?;
    let ignored = fleet.decision("er-2", 1).await?;
    assert_eq!((ignored.counted, ignored.reason.as_deref()), (false, Some("DurationOutOfRange")));
    let message = ignored.message.context("no message")?;
    assert!(message.contains("2h is above the maximum of 1h in dev-tools"), "{message}");
    fleet.in_state("er-2", "Pending", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn every_transition_of_a_life_is_one_audit_line_and_one_event() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "life").await?;
    let request = fleet.granted("er-1", "2s").await?;
    let uid = request.metadata.uid.context("no uid")?;
    fleet.kubectl(&fleet.alice, &["wait", "--for=condition=Finished", "er/er-1", "--timeout=30s"]).await?.ok()?;
    fleet.in_state("er-1", "Expired", SOON).await?;
    fleet.finalizer("er-1", false).await?;

    let stdout = &fleet.installation.controller.process.stdout;
    stdout.wait_for("the last audit line", 0, SOON, |line| line.contains(&uid) && line.contains("\"Expired\"")).await?;
    let lines: Vec<Value> = stdout.lines().iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    let ours: Vec<&Value> = lines.iter().filter(|line| line["RequestIdentifier"] == uid.as_str()).collect();
    let told: Vec<&str> = ours.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(told, ["Accepted", "Approved", "Activated", "Expired"]);
    for line in &ours {
        for (field, value) in [
            ("target", "audit"),
            ("fleet", fleet.name()),
            ("request", "er-1"),
            ("policy", POLICY),
            ("endpoint", ENDPOINT),
            ("account", "alice"),
            ("requester", "alice@corp"),
        ] {
            assert_eq!(line[field], value, "{field} in {line}");
        }
    }
    assert_eq!(ours[1]["by"], "bob@corp");

    let events = eventually("an Event for each", SOON, async || {
        let events = fleet.kubectl(fleet.admin(), &["get", "events", "-o", "json"]).await?.ok()?;
        let events: Value = serde_json::from_str(&events)?;
        let items = events["items"].as_array().context("no items")?;
        let ours = items.iter().filter(|event| event["involvedObject"]["uid"] == uid.as_str());
        let reasons: BTreeSet<String> = ours.filter_map(|event| event["reason"].as_str().map(str::to_owned)).collect();
        ensure!(reasons.len() == 4, "{reasons:?}");
        Ok(reasons)
    });
    assert_eq!(events.await?, ["Accepted", "Activated", "Approved", "Expired"].map(str::to_owned).into());

    let [granted, ended] = [["update status", "patch", "update status"].as_slice(), &["update status", "patch"]];
    assert_eq!(
        writes::by("controller", &fleet, "er-1")?,
        [granted, ended].concat(),
        "twice a status and the finalizer"
    );
    Ok(())
}

#[tokio::test]
async fn a_request_that_nobody_decides_times_out_to_the_second() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "pending").await?;
    fleet
        .change_policy(|policy| {
            if let Some(on_request) = &mut policy.spec.access.on_request {
                on_request.pending_timeout = "3s".to_owned();
            }
        })
        .await?;
    fleet.ask("er-1", "5m").await?;
    let accepted = fleet.in_state("er-1", "Pending", SOON).await?;
    let accepted = condition(&accepted, "Accepted")?.last_transition_time.0;
    let finished = fleet.in_state("er-1", "TimedOut", SOON).await?;
    let finished = condition(&finished, "Finished")?;
    assert_eq!(finished.status, "True");
    // Whole seconds on both sides.
    let waited = finished.last_transition_time.0.duration_since(accepted).as_secs();
    assert!((3..=4).contains(&waited), "{waited} s");
    Ok(())
}

#[tokio::test]
async fn a_start_in_the_future_is_kept_by_controller_and_endpoint() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "later").await?;
    let agent = fleet.agent().await?;
    let start = in_seconds(15)?;
    let mut wish = fleet.wish("er-1", "5m")?;
    wish.spec.start_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(start));
    fleet.ask_for(&wish).await?;
    fleet.in_state("er-1", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "er-1", "approve").await?;
    fleet.in_state("er-1", "Scheduled", SOON).await?;
    let upcoming = agent.report("the announcement", 0, SOON, |r| r.is("upcoming", "er-1")).await?;
    assert_eq!(upcoming.start()?, start);

    agent.started("er-1", SOON).await?.is_on_time(start)?;
    let active = fleet.in_state("er-1", "Active", SOON).await?;
    let since = condition(&active, "Active")?.last_transition_time.0;
    assert!((0..=1).contains(&since.duration_since(start).as_secs()), "Active since {since}, not {start}");
    Ok(())
}
