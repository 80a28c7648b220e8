//! `PUT /v1/status`: what is written into an endpoint's status, and what is not.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tidegate::gateway::index::{EndpointKey, EndpointObject, Object, Reported};
use tidegate_core::name::Digest;
use tidegate_core::state::State;
use tidegate_core::wire::limit;

use crate::client::{Answer, Connection, Protocol, call, request as http_request};
use crate::endpoint_store::Mood;
use crate::gate::Gate;
use crate::objects::{endpoint, fleet, in_force, policy, request};

/// A gateway with ws-1, which exists in the API too, and a request for it and one for ws-2.
async fn gate() -> Gate {
    let gate = Gate::with([
        endpoint("ws-1", "uid-1", "dev"),
        endpoint("ws-2", "uid-2", "dev"),
        policy("dev-tools", 1, "dev"),
        request("er-1", "ws-1", "uid-1", State::Active),
        request("er-2", "ws-2", "uid-2", State::Active),
    ])
    .await;
    gate.endpoints.create("ws-1", "uid-1");
    gate
}

fn manifest(gate: &Gate) -> Digest {
    let key = EndpointKey { fleet: fleet(), name: "ws-1".parse().unwrap() };
    gate.served.manifest(&key).unwrap().digest()
}

fn report(applied: Option<Digest>) -> Value {
    let mut report = json!({
        "agent": {
            "version": "0.1.0", "platform": "Linux", "architecture": "x86_64", "capabilities": ["protect", "logoff"],
        },
        "grants": [{"requestUid": "er-1-uid", "appliedTime": "2026-11-22T10:00:00Z"}],
    });
    if let Some(manifest) = applied {
        report["applied"] = json!({"manifest": manifest});
    }
    report
}

async fn put(gate: &Gate, report: impl ToString) -> Answer {
    call(gate, Some(&gate.identity("ws-1")), http_request(Method::PUT, "/v1/status", report.to_string())).await
}

/// As [`put`], of a report that is taken.
async fn told(gate: &Gate, report: &Value) {
    let answer = put(gate, report).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{}", String::from_utf8_lossy(&answer.body));
}

/// The watch delivers what is in the API now.
fn watched(gate: &Gate) {
    let status: tidegate_api::ManagedEndpointStatus = serde_json::from_value(gate.endpoints.status("ws-1")).unwrap();
    let reported =
        Reported { agent: status.agent, applied: status.applied, rejected: status.rejected, grants: status.grants };
    let Object::Endpoint(object) = endpoint("ws-1", "uid-1", "dev") else { unreachable!() };
    gate.served.apply(Object::Endpoint(EndpointObject { reported: Arc::new(reported), ..object }));
}

/// The paths of an attempt's operations.
fn paths(patch: &Value) -> Vec<&str> {
    patch.as_array().unwrap().iter().map(|operation| operation["path"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_report_is_written_into_the_gateways_keys_and_no_other() {
    let gate = gate().await;
    let manifest = manifest(&gate);
    let mut full = report(Some(manifest));
    let digest = Digest::of(b"part");
    full["rejected"] = json!([
        {"digest": digest, "code": "not_enforceable", "message": "no cgroup v2 here"},
        {"digest": Digest::of(b"other"), "code": "rollback"},
    ]);
    told(&gate, &full).await;
    let status = gate.endpoints.status("ws-1");
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(
        status["agent"],
        json!({"version": "0.1.0", "platform": "Linux", "architecture": "x86_64", "capabilities": ["logoff", "protect"]})
    );
    assert_eq!(status["applied"]["manifest"], json!(manifest));
    assert!(status["applied"]["time"].is_string());
    let first = json!({"digest": digest, "code": "not_enforceable", "message": "no cgroup v2 here"});
    assert_eq!(status["rejected"], first);
    assert_eq!(status["grants"], json!([{"requestUID": "er-1-uid", "appliedTime": "2026-11-22T10:00:00Z"}]));

    let [(query, patch)] = &gate.endpoints.patches()[..] else { panic!("one write") };
    assert!(query.contains("fieldManager=tidegate-gateway"), "{query}");
    assert_eq!(patch[0], json!({"op": "test", "path": "/metadata/uid", "value": "uid-1"}));
    let keys = ["/metadata/uid", "/status/agent", "/status/applied", "/status/rejected", "/status/grants"];
    assert_eq!(paths(patch), keys);
}

#[tokio::test]
async fn what_the_status_says_already_is_not_written_again_and_what_is_over_is_removed() {
    let gate = gate().await;
    let mut first = report(Some(manifest(&gate)));
    first["rejected"] = json!([{"digest": Digest::of(b"part"), "code": "rollback"}]);
    told(&gate, &first).await;
    watched(&gate);
    for _ in 0..3 {
        told(&gate, &first).await;
    }
    assert_eq!(gate.endpoints.patches().len(), 1, "there is no heartbeat");

    let time = gate.endpoints.status("ws-1")["applied"]["time"].clone();
    first["rejected"] = json!([]);
    told(&gate, &first).await;
    let patches = gate.endpoints.patches();
    assert_eq!(paths(&patches[1].1), ["/metadata/uid", "/status/rejected"], "only what differs");
    let status = gate.endpoints.status("ws-1");
    assert_eq!(status.get("rejected"), None);
    assert_eq!(status["applied"]["time"], time);
}

#[tokio::test]
async fn a_fleet_part_that_is_signed_anew_causes_no_write_and_any_other_change_does() {
    let gate = gate().await;
    let old = manifest(&gate);
    told(&gate, &report(Some(old))).await;
    watched(&gate);
    for sequence in 2..5 {
        gate.served.apply(in_force(sequence, &[("dev-tools", 1), ("ops-tools", 1)]));
        assert_ne!(manifest(&gate), old);
        told(&gate, &report(Some(manifest(&gate)))).await;
    }
    assert_eq!(gate.endpoints.patches().len(), 1);

    gate.served.apply(in_force(5, &[]));
    told(&gate, &report(Some(manifest(&gate)))).await;
    assert_eq!(gate.endpoints.patches().len(), 2, "the policy is gone too");
    assert_eq!(gate.endpoints.status("ws-1")["applied"]["manifest"], json!(manifest(&gate)));
    watched(&gate);

    gate.served.apply(in_force(6, &[]));
    let mut other = report(Some(manifest(&gate)));
    other["agent"]["version"] = json!("0.2.0");
    told(&gate, &other).await;
    let patches = gate.endpoints.patches();
    assert_eq!(paths(&patches[2].1), ["/metadata/uid", "/status/agent", "/status/applied"], "together with another");
}

#[tokio::test]
async fn another_gateway_that_has_watched_the_write_needs_none_of_its_own() {
    let gate = gate().await;
    let applied = json!({"manifest": manifest(&gate), "time": "2026-11-22T10:00:00Z"});
    let facts = json!({
        "version": "0.1.0", "platform": "Linux", "architecture": "x86_64", "capabilities": ["logoff", "protect"],
    });
    let Object::Endpoint(object) = endpoint("ws-1", "uid-1", "dev") else { unreachable!() };
    let reported = Reported {
        agent: serde_json::from_value(facts).unwrap(),
        applied: serde_json::from_value(applied).unwrap(),
        ..Reported::default()
    };
    gate.served.apply(Object::Endpoint(EndpointObject { reported: Arc::new(reported), ..object }));
    gate.served.apply(in_force(2, &[("dev-tools", 1), ("ops-tools", 1)]));
    let mut quiet = report(Some(manifest(&gate)));
    quiet["grants"] = json!([]);
    told(&gate, &quiet).await;
    assert_eq!(gate.endpoints.patches(), []);
}

#[tokio::test]
async fn an_agent_has_nothing_to_say_of_what_is_not_its_own() {
    let gate = gate().await;
    let mut report = report(None);
    report["grants"] = json!(["er-2-uid", "nobody", "er-1-uid", "dev-tools-uid"].map(|uid| json!({"requestUid": uid})));
    told(&gate, &report).await;
    let expected = json!([{"requestUID": "dev-tools-uid"}, {"requestUID": "er-1-uid"}]);
    assert_eq!(gate.endpoints.status("ws-1")["grants"], expected, "its request, and a policy that reaches it");
}

#[tokio::test]
async fn a_report_that_is_no_report_or_out_of_bounds_is_refused_by_its_code() {
    let gate = gate().await;
    let mut unknown = report(None);
    unknown["conditions"] = json!([]);
    let mut long = report(None);
    long["agent"]["version"] = json!("v".repeat(65));
    for bad in [String::new(), "{}".to_owned(), unknown.to_string(), long.to_string()] {
        let answer = put(&gate, &bad).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "BadRequest"), "{bad}");
    }
    let answer = put(&gate, &long).await;
    assert!(answer.json()["detail"].as_str().unwrap().contains("agent.version"), "it names the field");
    let large = report(None).to_string() + &" ".repeat(limit::STATUS);
    let answer = put(&gate, large).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (413, "TooLarge"));
    assert_eq!(gate.endpoints.patches(), []);
}

#[tokio::test]
async fn a_report_needs_a_certificate_and_a_signed_placement() {
    let gate = gate().await;
    let anonymous = http_request(Method::PUT, "/v1/status", report(None).to_string());
    assert_eq!(call(&gate, None, anonymous).await.problem(), "CertificateRequired");
    let void = gate.authority.endpoint("ws-1", "uid-0");
    let sent = http_request(Method::PUT, "/v1/status", report(None).to_string());
    assert_eq!(call(&gate, Some(&void), sent).await.problem(), "CertificateVoid");
    gate.served.apply(crate::objects::unsigned_endpoint("ws-1", "uid-1"));
    assert_eq!(put(&gate, report(None)).await.problem(), "NotReady");
    assert_eq!(gate.endpoints.patches(), []);
}

#[tokio::test]
async fn an_object_that_was_created_anew_is_not_written() {
    let gate = gate().await;
    gate.endpoints.create("ws-1", "uid-9");
    let answer = put(&gate, report(None)).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "Overloaded"));
    assert_eq!(gate.endpoints.status("ws-1"), json!({"observedGeneration": 1}));
}

#[tokio::test]
async fn a_lost_race_is_tried_again_once_and_an_api_that_fails_is_503_with_a_time() {
    let gate = gate().await;
    gate.endpoints.is(Mood::Racing(1));
    told(&gate, &report(None)).await;
    assert_eq!(gate.endpoints.patches().len(), 2);
    for (mood, attempts) in [(Mood::Racing(9), 2), (Mood::Down, 1), (Mood::Silent, 1)] {
        let before = gate.endpoints.patches().len();
        gate.endpoints.is(mood);
        let answer = put(&gate, report(Some(Digest::of(b"new")))).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "Overloaded"), "{mood:?}");
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(gate.endpoints.patches().len() - before, attempts, "{mood:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_reports_all_the_time_is_told_to_wait_and_others_are_not() {
    let gate = gate().await;
    gate.endpoints.create("ws-2", "uid-2");
    let send = || http_request(Method::PUT, "/v1/status", report(None).to_string());
    let mut agent = Connection::open(&gate, Some(&gate.identity("ws-1")), Protocol::Http2).await.unwrap();
    let mut refused = None;
    // Twenty at once and one every 2 s: of so many one is refused, however slow the machine is.
    for _ in 0..100 {
        let answer = agent.send(send()).await.unwrap();
        if answer.status != 204 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a refusal");
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (429, "TooManyRequests"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(Duration::from_secs(wait) <= Duration::from_secs(2), "{wait} s");
    assert_eq!(call(&gate, Some(&gate.identity("ws-2")), send()).await.status, 204);
}
