//! The shipped agent against a small gateway over real TLS: from enrolment to the ends without a gateway.

mod agent;
mod clock;
mod credentials;
mod fixture;
mod gateway;
mod lying;
mod refusals;
mod status;

use std::sync::Arc;

use jiff::Timestamp;
use rcgen::{CertificateSigningRequestParams, ExtendedKeyUsagePurpose, PublicKeyData};
use tidegate_core::fleet::FleetBody;
use tidegate_core::name::Digest;
use tidegate_core::wire::{EnrollRequest, ProblemCode};

use crate::agent::{Agent, PATIENCE, command};
use crate::clock::from_now;
use crate::fixture::{Controller, Piece, Served, fleet_body};
use crate::gateway::{Call, Cluster, Face, Gateway};

/// Longer than any test: what lasts an hour does not end in one.
const HOUR: i64 = 3600;

fn state() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700)).tempdir().unwrap()
}

/// The placement, a fleet part of this moment, and these grants.
fn parts(controller: &Controller, grants: &[(&str, i64)]) -> Vec<Piece> {
    let grants = grants.iter().map(|(request, seconds)| controller.grant(request, from_now(*seconds)));
    base(controller, fleet_body(), 1).into_iter().chain(grants).collect()
}

/// The placement and this fleet part, signed now.
fn base(controller: &Controller, fleet: FleetBody, sequence: u64) -> Vec<Piece> {
    vec![controller.placement(1), controller.fleet(fleet, sequence, from_now(0).start)]
}

fn served(controller: &Controller, grants: &[(&str, i64)]) -> Served {
    Served::new(&parts(controller, grants), Vec::new())
}

/// An approved cluster with one gateway that serves these grants.
async fn cluster(grants: &[(&str, i64)]) -> (Arc<Cluster>, Gateway) {
    let cluster = Cluster::new();
    cluster.approve();
    cluster.serve(served(&cluster.controller, grants));
    let gateway = Gateway::start(&cluster).await;
    (cluster, gateway)
}

/// The next call that `is` the one.
async fn call(gateway: &mut Gateway, is: impl Fn(&Call) -> bool) -> Call {
    let found = async {
        loop {
            let call = gateway.calls.recv().await.expect("the gateway runs");
            if is(&call) {
                return call;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the gateway was not asked in time")
}

/// Digest of the key that this enrolment is for.
fn key_of(enrolment: &Call) -> String {
    let EnrollRequest { csr, .. } = serde_json::from_slice(&enrolment.body).unwrap();
    let csr = CertificateSigningRequestParams::from_pem(&csr).unwrap();
    Digest::of(&csr.public_key.subject_public_key_info()).to_string()
}

fn header<'a>(call: &'a Call, name: &str) -> &'a str {
    call.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn enrolment_waits_for_a_person_and_is_kept_over_restarts() {
    let (cluster, dir) = (Cluster::new(), state());
    let mut window = parts(&cluster.controller, &[("a", HOUR)]);
    window.push(cluster.controller.window(from_now(HOUR), 1));
    let etag = cluster.serve(Served::new(&window, Vec::new()));
    let mut gateway = Gateway::start(&cluster).await;
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    let pending = agent.event("enrolment", |e| e["state"] == "pending").await;
    let line = format!("kubectl certificate approve {}", pending["certificateSigningRequest"].as_str().unwrap());
    assert!(pending["message"].as_str().unwrap().ends_with(&line), "{pending}");
    let asked = call(&mut gateway, |call| call.path == "/v1/enroll").await;
    let key = pending["key"].as_str().unwrap().to_owned();
    assert_eq!(key, key_of(&asked));

    cluster.approve();
    agent.event("enrolment", |e| e["state"] == "enrolled").await;
    let started = agent.grant("started", "a").await;
    assert_eq!((&started["account"], &started["mode"]), (&"alice".into(), &"AnyApplication".into()));
    let given = agent.event("started", |e| e["source"]["kind"] == "policy" && e["account"] == "bob").await;
    assert_eq!(given["source"]["policy"], "window");
    let again = call(&mut gateway, |call| call.path == "/v1/enroll").await;
    assert_eq!(asked.body, again.body, "the same key asks again");
    let poll = call(&mut gateway, |call| header(call, "if-none-match") == etag).await;
    assert_eq!(header(&poll, "prefer"), "wait=55");
    assert!(!header(&poll, "tidegate-have").is_empty());
    assert_eq!(agent.seen("snapshot").len(), 1, "unchanged is no news");
    let (status, errors) = agent.stop().await;
    assert!(status.success() && errors.contains(&line), "{status} {errors}");
    assert!(errors.contains(&format!("tidegate-agent: key {key}\n")), "{errors}");

    drop(gateway);
    let mut agent = Agent::start(&["https://127.0.0.1:9"], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    assert!(agent.seen("connection").is_empty(), "it applies before any gateway answered");
    assert!(agent.stop().await.0.success());
}

#[tokio::test]
async fn a_server_that_is_not_the_gateway_is_asked_nothing() {
    let (cluster, gateway) = cluster(&[("a", HOUR)]).await;
    let stranger = Cluster::new();
    for (case, cluster2, face) in [
        ("another authority", &stranger, Face::proper()),
        ("an endpoint's certificate", &cluster, Face { usage: ExtendedKeyUsagePurpose::ClientAuth, ..Face::proper() }),
        ("another name", &cluster, Face { name: "127.0.0.2", ..Face::proper() }),
        ("TLS 1.2", &cluster, Face { version: &rustls::version::TLS12, ..Face::proper() }),
    ] {
        let dir = state();
        let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
        agent.grant("started", "a").await;
        agent.stop().await;
        let mut impostor = Gateway::with(cluster2, face, 0).await;
        let mut agent = Agent::start(&[&impostor.url], cluster.controller.pin(), dir.path());
        let lost = agent.event("connection", |e| e["up"] == false).await;
        assert!(lost["message"].as_str().unwrap().contains("no secure connection"), "{case}: {lost}");
        assert!(impostor.calls.try_recv().is_err(), "{case}: it was asked something");
        assert!(agent.seen("ended").is_empty(), "{case}: what applies goes on");
    }
}

#[tokio::test]
async fn a_grant_ends_at_its_deadline_with_the_gateway_gone() {
    let (cluster, gateway) = cluster(&[("short", 4), ("long", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "short").await;
    drop(gateway);
    let ended = agent.grant("ended", "short").await;
    assert_eq!(ended["reason"], "expired");
    let at = |field: &str| ended[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    let late = at("time").duration_since(at("endTime")).as_millis();
    assert!((0..1000).contains(&late), "{late} ms after its deadline");
    assert_eq!(agent.seen("ended").len(), 1);
}

#[tokio::test]
async fn what_may_not_begin_offline_begins_when_a_gateway_says_that_nothing_is_new() {
    let (cluster, gateway) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    agent.stop().await;
    std::fs::remove_file(dir.path().join("deadlines.json")).unwrap();
    let mut agent = Agent::start(&["https://127.0.0.1:9"], cluster.controller.pin(), dir.path());
    assert_eq!(agent.grant("withheld", "a").await["reason"], "offline");
    agent.event("connection", |e| e["up"] == false).await;
    assert!(agent.seen("started").is_empty());
    agent.stop().await;
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("withheld", "a").await;
    agent.grant("started", "a").await;
    assert_eq!(agent.seen("snapshot").len(), 1, "the one on disk");
}

#[tokio::test]
async fn when_a_gateway_is_gone_or_not_ready_the_next_one_goes_on_with_the_same_manifest() {
    let (cluster, first) = cluster(&[("a", HOUR)]).await;
    let mut second = Gateway::start(&cluster).await;
    let dir = state();
    let mut agent = Agent::start(&[&first.url, &second.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    drop(first);
    let poll = call(&mut second, |call| call.path == "/v1/snapshot").await;
    assert!(!header(&poll, "if-none-match").is_empty());
    cluster.fail(Some(ProblemCode::NotReady));
    let lost = agent.event("connection", |e| e["message"].as_str().unwrap().contains("NotReady")).await;
    assert_eq!(lost["up"], false);
    cluster.fail(None);
    cluster.serve(served(&cluster.controller, &[("b", HOUR)]));
    agent.grant("started", "b").await;
    assert_eq!(agent.seen("ended").len(), 1, "only what the new manifest leaves out ended");
}

#[tokio::test]
async fn a_spoiled_state_directory_is_mended_from_the_gateway() {
    let (cluster, gateway) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    agent.stop().await;
    for file in
        ["snapshot.json", "floors.json", "deadlines.json", "trust.json", "identity/certificate.pem", "identity/key.pem"]
    {
        let path = dir.path().join(file);
        let half = std::fs::metadata(&path).unwrap().len() / 2;
        std::fs::File::options().write(true).open(&path).unwrap().set_len(half).unwrap();
        let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
        agent.grant("started", "a").await;
        agent.stop().await;
        assert!(path.exists(), "{file} was not written anew");
    }
}

#[tokio::test]
async fn wrong_usage_is_told_apart_from_errors() {
    let output = command(&["watch", "--gateway", "http://x", "--endpoint", "a/b"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let dir = state();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (status, errors) = Agent::start(&["https://127.0.0.1:9"], Controller::new().pin(), &file).wait().await;
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains(file.to_str().unwrap()), "{errors}");
}
