//! The exact calls of a candidate against a mock API server, and what they do to the gate. When they are made is `decide`'s.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;
use crate::runtime::Shut;

const ME: &str = "ws-1_00000000";
const ALL: &str = "/apis/coordination.k8s.io/v1/namespaces/tide/leases";
const ONE: &str = "/apis/coordination.k8s.io/v1/namespaces/tide/leases/tidegate-controller";

/// What was asked: method, path and body.
type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A candidate whose API server holds this Lease (none if null), and answers writes with this code.
fn candidate(lease: Value, writes: u16) -> (Candidate, Asked) {
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let api = service_fn(move |call: Request<Body>| {
        let (log, lease) = (Arc::clone(&log), lease.clone());
        async move {
            let (method, path) = (call.method().to_string(), call.uri().path().to_owned());
            let sent = call.into_body().collect().await?.to_bytes();
            let sent: Value = serde_json::from_slice(&sent).unwrap_or(Value::Null);
            let reason = |code| if code == 404 { "NotFound" } else { "Refused" };
            let refusal = |code: u16| (code, json!({"kind": "Status", "code": code, "reason": reason(code)}));
            let (code, body) = match method.as_str() {
                "GET" if lease.is_null() => refusal(404),
                "GET" => (200, lease),
                _ if writes < 300 => (writes, sent.clone()),
                _ => refusal(writes),
            };
            log.lock().unwrap().push((method, path, sent));
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            Ok::<_, tower::BoxError>(Response::builder().status(code).body(body).unwrap())
        }
    });
    (Candidate::new(Client::new(api, "default"), "tide", ME, WriteGate::default()), asked)
}

fn lease(holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "tidegate-controller", "namespace": "tide", "resourceVersion": "7", "labels": {"a": "b"}},
        "spec": {
            "holderIdentity": holder, "leaseTransitions": 3, "leaseDurationSeconds": 15,
            "acquireTime": "2026-11-22T10:00:00.000001Z", "renewTime": "2026-11-22T10:05:00.000001Z",
        },
    })
}

fn calls(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().map(|(method, path, _)| format!("{method} {path}")).collect()
}

fn last(asked: &Asked) -> Value {
    asked.lock().unwrap().last().unwrap().2.clone()
}

fn open(candidate: &Candidate) -> Result<(), Shut> {
    candidate.gate.check(clock::boot())
}

#[tokio::test]
async fn the_first_makes_the_lease() {
    let (mut candidate, asked) = candidate(Value::Null, 201);
    for _ in 0..2 {
        assert_eq!(candidate.act().await, Ok(Duration::ZERO));
    }
    assert_eq!(calls(&asked), [format!("GET {ONE}"), format!("POST {ALL}")]);
    let spec = &last(&asked)["spec"];
    assert_eq!((&spec["holderIdentity"], &spec["leaseTransitions"]), (&json!(ME), &json!(0)));
    assert_eq!(spec["leaseDurationSeconds"], 15);
    assert_eq!(spec["acquireTime"], spec["renewTime"]);
    assert_eq!(open(&candidate), Ok(()));
    assert!(candidate.act().await.unwrap() > Duration::ZERO, "it renews later");
}

#[tokio::test]
async fn a_free_lease_is_taken_over_the_version_that_was_read_and_the_change_of_hands_is_counted_in_that_write() {
    let (mut candidate, asked) = candidate(lease(""), 200);
    candidate.act().await.unwrap();
    candidate.act().await.unwrap();
    assert_eq!(calls(&asked), [format!("GET {ONE}"), format!("PUT {ONE}")]);
    let taken = last(&asked);
    assert_eq!((&taken["metadata"]["resourceVersion"], &taken["metadata"]["labels"]["a"]), (&json!("7"), &json!("b")));
    assert_eq!((&taken["spec"]["holderIdentity"], &taken["spec"]["leaseTransitions"]), (&json!(ME), &json!(4)));
    assert_ne!(taken["spec"]["acquireTime"], "2026-11-22T10:00:00.000001Z");

    candidate.write(4).await;
    let renewed = last(&asked);
    assert_eq!((&renewed["spec"]["holderIdentity"], &renewed["spec"]["leaseTransitions"]), (&json!(ME), &json!(4)));
    assert_eq!(renewed["spec"]["acquireTime"], taken["spec"]["acquireTime"], "a renewal is no acquisition");
}

#[tokio::test]
async fn a_lost_race_opens_no_gate_and_is_followed_by_a_look() {
    for refusal in [409, 403, 500] {
        let (mut candidate, asked) = candidate(lease(""), refusal);
        candidate.act().await.unwrap();
        candidate.act().await.unwrap();
        assert_eq!(open(&candidate), Err(Shut), "{refusal}");
        assert!(candidate.act().await.unwrap() > Duration::ZERO, "{refusal}: not at once");
        assert!(candidate.known.in_doubt(), "{refusal}: nothing is written before it has been read again");
        assert_eq!(calls(&asked), [format!("GET {ONE}"), format!("PUT {ONE}")], "{refusal}");
    }
}

#[tokio::test]
async fn a_lease_is_given_back_by_whoever_is_in_it_and_nobody_else() {
    let (mut candidate, asked) = candidate(lease("somebody"), 200);
    candidate.act().await.unwrap();
    candidate.give_back().await;
    assert_eq!(calls(&asked), [format!("GET {ONE}")], "it is not its own");

    candidate.write(4).await;
    candidate.give_back().await;
    let given = last(&asked);
    assert_eq!((&given["spec"]["holderIdentity"], &given["spec"]["leaseTransitions"]), (&json!(""), &json!(4)));
    assert_eq!(given["metadata"]["resourceVersion"], "7");
    assert_eq!(calls(&asked).len(), 3, "once");
}

#[tokio::test]
async fn whoever_is_told_to_stop_shuts_the_gate_and_then_gives_back() {
    let (mut candidate, asked) = candidate(lease(""), 200);
    candidate.act().await.unwrap();
    candidate.act().await.unwrap();
    let (gate, told) = (candidate.gate.clone(), CancellationToken::new());
    told.cancel();
    assert_eq!(candidate.hold(told).await, Ok(()));
    assert_eq!(gate.check(clock::boot()), Err(Shut));
    assert_eq!(last(&asked)["spec"]["holderIdentity"], "");
}

#[tokio::test]
async fn whoever_finds_another_in_the_lease_shuts_the_gate_and_writes_nothing() {
    let (mut candidate, asked) = candidate(lease("somebody"), 200);
    candidate.write(4).await;
    assert_eq!(open(&candidate), Ok(()));
    candidate.read().await;
    let gate = candidate.gate.clone();
    let lost = candidate.hold(CancellationToken::new()).await;
    assert_eq!(lost, Err(Loss::Taken("somebody".to_owned())));
    assert_eq!(gate.check(clock::boot()), Err(Shut));
    assert_eq!(calls(&asked), [format!("POST {ALL}"), format!("GET {ONE}")], "nothing after the look");
}
