//! Key and certificate: when they are replaced, and that they are kept while a clock, a gateway or a person says no.

use std::path::Path;

use tidegate_core::wire::ProblemCode;

use crate::agent::Agent;
use crate::fixture::{Controller, FAR};
use crate::gateway::{Call, Cluster, Face, Gateway};
use crate::{HOUR, call, cluster, served, state};

fn is_enrolment(call: &Call) -> bool {
    call.path == "/v1/enroll"
}

/// Key and certificate on disk.
fn identity(state: &Path) -> [String; 2] {
    ["key.pem", "certificate.pem"].map(|file| std::fs::read_to_string(state.join("identity").join(file)).unwrap())
}

/// The calls seen until now.
fn calls(gateway: &mut Gateway) -> Vec<Call> {
    std::iter::from_fn(|| gateway.calls.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_denied_enrolment_stops_the_agent_and_a_restart_does_not_ask_again() {
    let (cluster, dir) = (Cluster::new(), state());
    cluster.deny();
    let mut gateway = Gateway::start(&cluster).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let (status, errors) = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path()).wait().await;
        assert_eq!(status.code(), Some(1));
        assert!(errors.contains("was denied") && errors.contains("next-key.pem"), "{errors}");
        told.push(errors);
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(calls(&mut gateway).iter().filter(|call| is_enrolment(call)).count(), 1);

    std::fs::remove_file(dir.path().join("identity/next-key.pem")).unwrap();
    let (_, errors) = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path()).wait().await;
    assert!(errors.contains("was denied"), "{errors}");
    assert_eq!(calls(&mut gateway).iter().filter(|call| is_enrolment(call)).count(), 1, "with a new key it asks again");
}

#[tokio::test]
async fn a_wrong_pin_is_refused_before_anything_is_shown_to_the_gateway() {
    let (cluster, mut gateway) = cluster(&[]).await;
    let dir = state();
    let agent = Agent::start(&[&gateway.url], Controller::new().pin(), dir.path());
    let (status, errors) = agent.wait().await;
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("--trust") && errors.contains(&cluster.controller.pin().to_string()), "{errors}");
    assert_eq!(call(&mut gateway, |_| true).await.path, "/v1/trust");
    assert!(gateway.calls.try_recv().is_err() && !dir.path().join("identity/next-key.pem").exists());
}

#[tokio::test]
async fn a_gateway_that_fails_the_pin_is_passed_over_and_only_if_all_do_the_agent_gives_up() {
    let (cluster, gateway) = cluster(&[("a", HOUR)]).await;
    let impostor = Gateway::start(&Cluster::new()).await;
    let dir = state();
    let mut agent = Agent::start(&[&impostor.url, &gateway.url], cluster.controller.pin(), dir.path());
    let passed = agent.event("connection", |e| e["up"] == false).await;
    assert!(passed["message"].as_str().unwrap().contains("--trust"), "{passed}");
    agent.grant("started", "a").await;
    agent.stop().await;

    let dir = state();
    let agent = Agent::start(&[&impostor.url, &gateway.url], Controller::new().pin(), dir.path());
    let (status, errors) = agent.wait().await;
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("all 2 gateways") && errors.contains(&gateway.url), "{errors}");
}

#[tokio::test]
async fn one_word_that_the_certificate_is_void_ends_everything_and_costs_no_key() {
    let (cluster, mut gateway) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    let before = identity(dir.path());
    call(&mut gateway, is_enrolment).await;
    cluster.fail(Some(ProblemCode::CertificateVoid));
    assert_eq!(agent.grant("ended", "a").await["reason"], "certificateVoid");
    assert!(!dir.path().join("snapshot.json").exists(), "a restart does not show it either");
    for _ in 0..3 {
        call(&mut gateway, |call| call.path == "/v1/snapshot").await;
    }
    cluster.fail(None);
    agent.grant("started", "a").await;
    assert_eq!(identity(dir.path()), before);
    assert!(!calls(&mut gateway).iter().any(is_enrolment), "nobody was asked for another certificate");
}

#[tokio::test]
async fn a_void_certificate_is_replaced_when_the_gateway_insists_or_another_one_confirms_it() {
    for (gateways, patience) in [(1, "2s"), (2, "1h")] {
        let (cluster, mut gateway) = cluster(&[("a", HOUR)]).await;
        let other = Gateway::start(&cluster).await;
        let urls = [gateway.url.clone(), other.url.clone()];
        let urls: Vec<&str> = urls.iter().take(gateways).map(String::as_str).collect();
        let dir = state();
        let flags = ["--max-backoff", "1s", "--void-patience", patience];
        let mut agent = Agent::start_with(&urls, cluster.controller.pin(), dir.path(), &flags);
        agent.grant("started", "a").await;
        let first = call(&mut gateway, is_enrolment).await;
        let before = identity(dir.path());
        cluster.fail(Some(ProblemCode::CertificateVoid));
        assert_eq!(agent.grant("ended", "a").await["reason"], "certificateVoid");
        agent.event("enrolment", |e| e["state"] == "void").await;
        let pending = agent.event("enrolment", |e| e["state"] == "pending").await;
        assert_ne!(pending["key"], crate::key_of(&first), "{gateways} gateways: a new key");
        assert_eq!(identity(dir.path()), before, "kept until the new certificate is here");
        cluster.fail(None);
        cluster.approve();
        agent.grant("started", "a").await;
    }
}

/// An agent that holds a certificate which ended long ago, enrolled through a gateway whose clock is slow.
async fn expired(cluster: &std::sync::Arc<Cluster>, dir: &Path) -> (Agent, Gateway) {
    cluster.issue_until(2000);
    let slow = Gateway::with(cluster, Face { slow: true, ..Face::proper() }, 0).await;
    let mut agent = Agent::start(&[&slow.url], cluster.controller.pin(), dir);
    agent.grant("started", "a").await;
    (agent, slow)
}

#[tokio::test]
async fn a_certificate_that_expired_by_the_clock_is_used_as_long_as_the_gateway_takes_it() {
    let (cluster, _) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let (mut agent, mut gateway) = expired(&cluster, dir.path()).await;
    let before = identity(dir.path());
    for request in ["b", "c"] {
        cluster.serve(served(&cluster.controller, &[("a", HOUR), (request, HOUR)]));
        agent.grant("started", request).await;
    }
    assert_eq!(identity(dir.path()), before);
    assert_eq!(calls(&mut gateway).iter().filter(|call| is_enrolment(call)).count(), 1);
}

#[tokio::test]
async fn an_expired_certificate_is_replaced_once_a_gateway_has_refused_it_and_the_new_one_is_here() {
    let (cluster, gateway) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let (agent, _slow) = expired(&cluster, dir.path()).await;
    agent.stop().await;
    let before = identity(dir.path());
    cluster.fail(None);
    cluster.issue_until(FAR);

    let mut agent = Agent::start(&["https://127.0.0.1:9", &gateway.url], cluster.controller.pin(), dir.path());
    agent.event("connection", |e| e["up"] == false).await;
    assert!(agent.seen("enrolment").is_empty(), "no gateway has said anything yet");
    agent.event("enrolment", |e| e["state"] == "void").await;
    agent.event("enrolment", |e| e["state"] == "pending").await;
    assert_eq!(identity(dir.path()), before);
    cluster.approve();
    agent.event("enrolment", |e| e["state"] == "enrolled").await;
    cluster.serve(served(&cluster.controller, &[("a", HOUR), ("b", HOUR)]));
    agent.grant("started", "b").await;
    let after = identity(dir.path());
    assert!(after[0] != before[0] && after[1] != before[1]);
    assert!(!dir.path().join("identity/next-key.pem").exists());
    assert!(agent.seen("ended").is_empty(), "what applied went on, to its own deadline");
}

#[tokio::test]
async fn a_replacement_that_broke_off_after_the_certificate_is_completed() {
    let (cluster, gateway) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    agent.stop().await;
    let whole = identity(dir.path());
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let folder = dir.path().join("identity");
    std::fs::rename(folder.join("key.pem"), folder.join("next-key.pem")).unwrap();
    std::fs::write(folder.join("key.pem"), other).unwrap();
    let mut agent = Agent::start(&["https://127.0.0.1:9"], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    assert_eq!(identity(dir.path()), whole);
    assert!(!folder.join("next-key.pem").exists());
}
