//! The shipped agent against a small gateway over real TLS: enrolment, the poll, what is refused, and ends without a
//! gateway.

mod agent;
mod clock;
mod fixture;
mod gateway;

use std::sync::Arc;

use jiff::Timestamp;
use rcgen::ExtendedKeyUsagePurpose;
use tidegate_core::wire::ProblemCode;

use crate::agent::{Agent, PATIENCE, command};
use crate::clock::from_now;
use crate::fixture::{Controller, Piece, Served};
use crate::gateway::{Call, Cluster, Face, Gateway};

/// Longer than any test: what lasts an hour does not end in one.
const HOUR: i64 = 3600;

fn state() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700)).tempdir().unwrap()
}

/// The placement and these grants.
fn parts(controller: &Controller, grants: &[(&str, i64)]) -> Vec<Piece> {
    let grants = grants.iter().map(|(request, seconds)| controller.grant(request, from_now(*seconds)));
    [controller.placement(1)].into_iter().chain(grants).collect()
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

    drop(gateway);
    let mut agent = Agent::start(&["https://127.0.0.1:9"], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    assert!(agent.seen("connection").is_empty(), "it applies before any gateway answered");
    assert!(agent.stop().await.0.success());
}

#[tokio::test]
async fn a_denied_enrolment_stops_the_agent_with_a_reason() {
    let (cluster, dir) = (Cluster::new(), state());
    cluster.deny();
    let gateway = Gateway::start(&cluster).await;
    let (status, errors) = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path()).wait().await;
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("was denied") && errors.contains("with a new key"), "{errors}");
    assert!(!dir.path().join("identity/key.pem").exists());
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
    assert!(gateway.calls.try_recv().is_err() && !dir.path().join("identity/key.pem").exists());
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
async fn a_forged_manifest_is_refused_and_absence_counts() {
    let (cluster, mut gateway) = cluster(&[("a", HOUR), ("b", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "b").await;

    let mut forged = parts(&cluster.controller, &[("b", HOUR), ("c", HOUR)]);
    forged[2].1.signatures[0].sig[0] ^= 1;
    let etag = cluster.serve(Served::new(&forged, Vec::new()));
    let refused = agent.event("refused", |_| true).await;
    assert_eq!(refused["code"], "bad_signature");
    assert_eq!(agent.grant("ended", "a").await["reason"], "absent");
    let said = call(&mut gateway, |call| !header(call, "tidegate-rejected").is_empty()).await;
    assert_eq!(header(&said, "tidegate-rejected"), format!("{etag}; code=bad_signature"));
    assert_eq!(header(&said, "if-none-match"), "", "nothing is applied exactly");

    cluster.serve(served(&cluster.controller, &[("d", HOUR)]));
    agent.grant("started", "d").await;
    let ended: Vec<_> = agent.seen("ended").iter().map(|e| e["source"]["request"].clone()).collect();
    assert_eq!(ended, ["a", "b"], "b went on until a good manifest left it out");
    assert_eq!(agent.seen("refused").len(), 1, "a refusal is told once");
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
async fn a_void_certificate_ends_everything_and_asks_for_a_new_one_with_a_new_key() {
    let (cluster, mut gateway) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    let first = call(&mut gateway, |call| call.path == "/v1/enroll").await;
    cluster.fail(Some(ProblemCode::CertificateVoid));
    assert_eq!(agent.grant("ended", "a").await["reason"], "certificateVoid");
    agent.event("enrolment", |e| e["state"] == "void").await;
    agent.event("enrolment", |e| e["state"] == "pending").await;
    let second = call(&mut gateway, |call| call.path == "/v1/enroll").await;
    assert_ne!(first.body, second.body);
    cluster.fail(None);
    cluster.approve();
    agent.grant("started", "a").await;
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
