//! How an endpoint gets its certificate: a person approves it, and it is worth as much as the object it was made for.

use anyhow::{Context, Result};
use kube::api::{DeleteParams, PostParams};
use tidegate_test_support::objects;

use crate::agent::{SOON, Watching};
use crate::fleet::{ENDPOINT, Fleet};
use crate::installation::{Installation, shared};
use crate::poll::Certified;

#[tokio::test]
async fn an_endpoint_waits_for_a_person_and_says_what_that_person_has_to_type() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "enrol").await?;
    let agent = start(&fleet)?;
    let csr = fleet.certificate_request(&[]).await?;
    let told = agent.report("what it waits for", 0, SOON * 3, |r| r.0["state"] == "pending").await?;
    assert_eq!(told.0["certificateSigningRequest"], csr.as_str());
    let message = told.0["message"].as_str().context("no message")?;
    assert!(message.contains(&format!("kubectl certificate approve {csr}")), "{message}");

    let refused = fleet.kubectl(&fleet.bob, &["certificate", "approve", &csr]).await?;
    refused.refused("User \"bob@corp\" cannot")?;
    fleet.kubectl(&fleet.carol, &["certificate", "approve", &csr]).await?.ok()?;
    agent.report("the certificate", 0, SOON * 3, |r| r.0["state"] == "enrolled").await?;
    let endpoint = fleet.kubectl(&fleet.carol, &["wait", "--for=condition=Enrolled", "managedendpoint", ENDPOINT]);
    endpoint.await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_denied_endpoint_stops_and_says_who_said_no() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "denied").await?;
    let agent = start(&fleet)?;
    let csr = fleet.certificate_request(&[]).await?;
    fleet.kubectl(&fleet.carol, &["certificate", "deny", &csr]).await?.ok()?;
    let told = agent.report("the denial", 0, SOON * 3, |r| r.0["state"] == "denied").await?;
    let message = told.0["message"].as_str().context("no message")?;
    assert!(message.contains("was denied") && message.contains("start the agent again"), "{message}");
    assert_eq!(agent.agent.process.ended(SOON).await?.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_pin_that_does_not_match_stops_the_agent_before_it_says_anything() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "pin").await?;
    let Installation { control_plane, gateways: [gateway, _], .. } = fleet.installation;
    let agent = Watching::start_with_pin(control_plane, gateway, &fleet.endpoint(), &"0".repeat(64))?;
    assert_eq!(agent.agent.process.ended(SOON).await?.code(), Some(1));
    let said = agent.agent.process.stderr.tail(10);
    assert!(said.contains("trust bundle") && said.contains("refused"), "{said}");
    Ok(())
}

#[tokio::test]
async fn an_endpoint_made_anew_voids_the_old_certificate_and_its_grants() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "anew").await?;
    let agent = fleet.agent().await?;
    let old = Certified::of(&agent.agent.folder)?;
    let first = fleet.certificate_request(&[]).await?;
    fleet.granted("er-1", "30m").await?;
    agent.started("er-1", SOON).await?;

    let endpoints = fleet.endpoints().await?;
    endpoints.delete(ENDPOINT, &DeleteParams::default()).await?;
    endpoints.create(&PostParams::default(), &objects::endpoint(ENDPOINT, "alice@corp", "alice")?).await?;
    let ended = agent.ended("er-1", SOON).await?;
    assert_eq!(ended.0["reason"], "certificateVoid");
    agent.report("the void certificate", 0, SOON, |r| r.0["state"] == "void").await?;
    let [gateway, _] = &fleet.installation.gateways;
    let answer = old.poll(gateway.agents).await?;
    assert_eq!((answer.status, answer.body["code"].as_str()), (403, Some("CertificateVoid")), "{answer:?}");
    fleet.in_state("er-1", "Revoked", SOON).await?;

    // It asks anew, with a new key, and a person has to agree again.
    let second = fleet.certificate_request(&[&first]).await?;
    let after = agent.agent.process.stdout.position();
    fleet.kubectl(&fleet.carol, &["certificate", "approve", &second]).await?.ok()?;
    agent.report("the new certificate", 0, SOON * 3, |r| r.0["state"] == "enrolled" && said_after(r, &ended)).await?;
    agent.report("a snapshot for the new endpoint", after, SOON, |r| r.0["event"] == "snapshot").await?;
    Ok(())
}

fn start(fleet: &Fleet<'_>) -> Result<Watching> {
    let [gateway, _] = &fleet.installation.gateways;
    Watching::start(fleet.installation.control_plane, &[gateway], &fleet.endpoint())
}

fn said_after(report: &crate::agent::Report, other: &crate::agent::Report) -> bool {
    matches!((report.time(), other.time()), (Ok(this), Ok(that)) if this > that)
}
