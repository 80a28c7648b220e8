//! The long poll: what it answers, when it wakes, and that nobody is left waiting.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Full;
use tidegate::gateway::index::Key;
use tidegate_core::manifest::etag;
use tidegate_core::refusal::RefusalCode;
use tidegate_core::state::State;
use tidegate_core::wire::{Have, Rejected, SnapshotBody};

use crate::client::{Answer, Connection, Protocol, call, poll};
use crate::gate::{Gate, SOON};
use crate::objects::{
    endpoint, fleet, in_force, part_names, policy, request, request_with, requires, unsigned_endpoint,
};

const HOLD: Duration = Duration::from_secs(55);
const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

async fn gate() -> Gate {
    Gate::with([
        endpoint("ws-1", "uid-1", "dev"),
        endpoint("ws-2", "uid-2", "ops"),
        policy("dev-tools", 1, "dev"),
        request("er-1", "ws-1", "uid-1", State::Active),
    ])
    .await
}

async fn first(gate: &Gate) -> Answer {
    call(gate, Some(&gate.identity("ws-1")), poll(None, HOLD)).await
}

/// The headers that every answer to a poll has.
fn paced(headers: &HeaderMap) -> [&str; 3] {
    ["preference-applied", "tidegate-next-poll", "tidegate-reconnect-window"]
        .map(|name| headers[name].to_str().unwrap())
}

#[tokio::test]
async fn the_first_poll_is_answered_at_once_with_everything() {
    let gate = gate().await;
    let answer = first(&gate).await;
    assert_eq!(answer.status, 200);
    assert_eq!(paced(&answer.headers), ["wait=55", "0", "5"]);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body: SnapshotBody = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        answer.etag(),
        etag(body.manifest.get().as_bytes()),
        "the tag is the hash of the manifest's exact bytes"
    );
    assert_eq!(body.parts.len(), 4);
    let names: Vec<_> = part_names(&answer.json()["manifest"]).into_iter().collect();
    assert_eq!(names, ["fleet", "grant/er-1-uid", "placement", "policy/dev-tools-uid"]);
}

#[tokio::test]
async fn an_endpoint_sees_nothing_of_another() {
    let gate = gate().await;
    let answer = call(&gate, Some(&gate.identity("ws-2")), poll(None, HOLD)).await;
    assert_eq!(part_names(&answer.json()["manifest"]).into_iter().collect::<Vec<_>>(), ["fleet", "placement"]);
    assert_eq!(answer.json()["manifest"]["requests"], serde_json::json!([]));
}

#[tokio::test]
async fn a_known_manifest_without_wait_is_304_at_once() {
    let gate = gate().await;
    let tag = first(&gate).await.etag();
    let answer = call(&gate, Some(&gate.identity("ws-1")), poll(Some(&tag), Duration::ZERO)).await;
    assert_eq!((answer.status.as_u16(), answer.body.len(), answer.etag()), (304, 0, tag));
    assert_eq!(paced(&answer.headers), ["wait=0", "0", "5"]);
}

#[tokio::test]
async fn a_hold_is_capped_by_the_gateway_and_ends_with_304() {
    let gate = Gate::start(Duration::from_secs(1)).await;
    gate.served.apply(endpoint("ws-1", "uid-1", "dev"));
    gate.becomes_ready();
    let tag = first(&gate).await.etag();
    let answer = call(&gate, Some(&gate.identity("ws-1")), poll(Some(&tag), HOLD)).await;
    assert_eq!(answer.status, 304);
    assert_eq!(answer.header("preference-applied"), Some("wait=1"));
}

/// A poll of an agent that refused this manifest.
fn refusing(applied: Option<&str>, refused: &str, code: RefusalCode, wait: Duration) -> Request<Full<Bytes>> {
    let mut request = poll(applied, wait);
    let rejected = Rejected { manifest: refused.to_owned(), code };
    request.headers_mut().insert("tidegate-rejected", rejected.to_string().parse().unwrap());
    request
}

#[tokio::test]
async fn a_refused_manifest_is_not_sent_again_and_a_revocation_after_it_is_sent_at_once() {
    for applied in [None, Some("\"an earlier one\"")] {
        let gate = gate().await;
        let tag = first(&gate).await.etag();
        let mut agent = Connection::open(&gate, Some(&gate.identity("ws-1")), Protocol::Http1).await.unwrap();
        let poll = refusing(applied, &tag, RefusalCode::BadSignature, HOLD);
        let (answer, ()) = tokio::join!(agent.send(poll), async {
            gate.waiters(1).await;
            gate.served.apply(request("er-1", "ws-1", "uid-1", State::Revoked));
        });
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200);
        assert_ne!(answer.etag(), tag);
        assert!(!part_names(&answer.json()["manifest"]).contains("grant/er-1-uid"));
    }
}

#[tokio::test]
async fn a_manifest_that_was_neither_applied_nor_refused_is_sent_at_once() {
    let gate = gate().await;
    let poll = refusing(Some("\"applied\""), "\"refused\"", RefusalCode::Rollback, HOLD);
    assert_eq!(call(&gate, Some(&gate.identity("ws-1")), poll).await.status, 200);
    gate.assert_metric("tidegate_gateway_waiters 0");
    // It is not about this manifest.
    gate.assert_metric("tidegate_gateway_rejected_total{code=\"rollback\"} 0");
}

#[tokio::test]
async fn a_refusal_is_counted_once_by_its_code_however_often_it_is_said() {
    let gate = gate().await;
    let identity = gate.identity("ws-1");
    let tag = first(&gate).await.etag();
    for _ in 0..3 {
        let poll = refusing(None, &tag, RefusalCode::WrongKey, Duration::ZERO);
        assert_eq!(call(&gate, Some(&identity), poll).await.status, 304);
    }
    gate.assert_metric("tidegate_gateway_rejected_total{code=\"wrong_key\"} 1");
    gate.served.apply(in_force(2, &[("dev-tools", 1)]));
    let tag = first(&gate).await.etag();
    let poll = refusing(None, &tag, RefusalCode::WrongKey, Duration::ZERO);
    assert_eq!(call(&gate, Some(&identity), poll).await.status, 304);
    gate.assert_metric("tidegate_gateway_rejected_total{code=\"wrong_key\"} 2");
}

#[tokio::test]
async fn parts_that_the_agent_has_are_left_out() {
    let gate = gate().await;
    let body: SnapshotBody = serde_json::from_slice(&first(&gate).await.body).unwrap();
    let mut again = poll(None, HOLD);
    again.headers_mut().insert("tidegate-have", Have::of(body.parts.keys()).to_string().parse().unwrap());
    let answer = call(&gate, Some(&gate.identity("ws-1")), again).await;
    assert_eq!(answer.json()["parts"], serde_json::json!({}));
    assert_eq!(answer.json()["manifest"]["parts"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_held_poll_wakes_when_a_grant_appears() {
    for protocol in BOTH {
        let gate = gate().await;
        let tag = first(&gate).await.etag();
        let mut agent = Connection::open(&gate, Some(&gate.identity("ws-1")), protocol).await.unwrap();
        let (answer, ()) = tokio::join!(agent.send(poll(Some(&tag), HOLD)), async {
            gate.waiters(1).await;
            gate.served.apply(request("er-2", "ws-1", "uid-1", State::Active));
        });
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{protocol:?}");
        assert!(part_names(&answer.json()["manifest"]).contains("grant/er-2-uid"));
        gate.waiters(0).await;
    }
}

#[tokio::test]
async fn a_held_poll_sleeps_through_changes_of_others() {
    let gate = gate().await;
    let tag = first(&gate).await.etag();
    let mut agent = Connection::open(&gate, Some(&gate.identity("ws-1")), Protocol::Http1).await.unwrap();
    let (answer, ()) = tokio::join!(agent.send(poll(Some(&tag), HOLD)), async {
        gate.waiters(1).await;
        gate.served.apply(request("er-2", "ws-2", "uid-2", State::Active));
        gate.served.apply(policy("dev-tools", 1, "dev"));
        gate.served.apply(policy("dev-tools", 2, "dev"));
        // Every wake-up so far has been handled once a call on another connection is answered.
        first(&gate).await;
        gate.waiters(1).await;
        gate.stopping.cancel();
    });
    assert_eq!(answer.unwrap().status, 304);
}

#[tokio::test]
async fn revoked_grant_is_absent_from_the_next_manifest() {
    let gate = gate().await;
    let tag = first(&gate).await.etag();
    let mut agent = Connection::open(&gate, Some(&gate.identity("ws-1")), Protocol::Http1).await.unwrap();
    let (answer, ()) = tokio::join!(agent.send(poll(Some(&tag), HOLD)), async {
        gate.waiters(1).await;
        gate.served.apply(request("er-1", "ws-1", "uid-1", State::Revoked));
    });
    let manifest = &answer.unwrap().json()["manifest"];
    assert!(!part_names(manifest).contains("grant/er-1-uid"));
    assert_eq!(manifest["requests"][0]["state"], "Revoked");

    gate.delete_request("er-1");
    assert_eq!(first(&gate).await.json()["manifest"]["requests"], serde_json::json!([]), "its object is gone");
}

#[tokio::test]
async fn two_gateways_fed_in_different_order_answer_with_the_same_etag() {
    let one = gate().await;
    let other = Gate::with([
        request("er-1", "ws-1", "uid-1", State::Pending),
        policy("ops-tools", 1, "ops"),
        policy("dev-tools", 1, "dev"),
        endpoint("ws-1", "uid-0", "ops"),
        request("er-1", "ws-1", "uid-1", State::Active),
        endpoint("ws-1", "uid-1", "dev"),
    ])
    .await;
    let answer = first(&one).await;
    assert_eq!(answer.etag(), first(&other).await.etag());
    let held = poll(Some(&answer.etag()), Duration::ZERO);
    assert_eq!(call(&other, Some(&other.identity("ws-1")), held).await.status, 304, "an agent may change gateways");
}

#[tokio::test]
async fn a_gateway_that_is_not_ready_says_so_and_shows_nothing() {
    let gate = Gate::start(HOLD).await;
    gate.served.apply(endpoint("ws-1", "uid-1", "dev"));
    let identity = gate.authority.endpoint("ws-404", "uid-404");
    let answer = call(&gate, Some(&identity), poll(None, HOLD)).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "NotReady"), "unknown is not yet void");
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(paced(&answer.headers), ["wait=55", "5", "5"]);
    gate.becomes_ready();
    assert_eq!(call(&gate, Some(&identity), poll(None, HOLD)).await.problem(), "CertificateVoid");
    assert_eq!(first(&gate).await.status, 200);
}

#[tokio::test]
async fn an_endpoint_without_signed_placement_waits_with_503() {
    let gate = Gate::with([unsigned_endpoint("ws-1", "uid-1")]).await;
    let answer = first(&gate).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "NotReady"));
    gate.served.apply(endpoint("ws-1", "uid-1", "dev"));
    assert_eq!(first(&gate).await.status, 200);
}

#[tokio::test]
async fn without_a_signed_fleet_part_there_is_503_and_never_an_empty_snapshot() {
    let gate = gate().await;
    gate.served.delete(&Key::Fleet(fleet()));
    let answer = first(&gate).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "NotReady"));
    gate.served.apply(in_force(2, &[]));
    assert_eq!(first(&gate).await.status, 200);
}

#[tokio::test]
async fn a_held_poll_wakes_when_the_fleet_part_is_signed_anew() {
    let gate = gate().await;
    let tag = first(&gate).await.etag();
    let mut agent = Connection::open(&gate, Some(&gate.identity("ws-1")), Protocol::Http2).await.unwrap();
    let (answer, ()) = tokio::join!(agent.send(poll(Some(&tag), HOLD)), async {
        gate.waiters(1).await;
        gate.served.apply(in_force(2, &[("dev-tools", 1)]));
    });
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200);
    assert_ne!(answer.etag(), tag);
}

#[tokio::test]
async fn a_held_poll_wakes_when_the_fleet_part_has_caught_up_with_a_grant() {
    let gate = gate().await;
    let newer = requires(1, 2);
    gate.served.apply(request_with("er-2", "ws-1", "uid-1", State::Active, newer));
    let answer = first(&gate).await;
    assert!(!part_names(&answer.json()["manifest"]).contains("grant/er-2-uid"), "an agent would refuse it");
    let mut agent = Connection::open(&gate, Some(&gate.identity("ws-1")), Protocol::Http1).await.unwrap();
    let (answer, ()) = tokio::join!(agent.send(poll(Some(&answer.etag()), HOLD)), async {
        gate.waiters(1).await;
        gate.served.apply(in_force(2, &[("dev-tools", 1)]));
    });
    assert!(part_names(&answer.unwrap().json()["manifest"]).contains("grant/er-2-uid"));
}

#[tokio::test]
async fn a_poll_ends_with_403_when_its_endpoint_is_created_anew() {
    let gate = gate().await;
    let tag = first(&gate).await.etag();
    let mut agent = Connection::open(&gate, Some(&gate.identity("ws-1")), Protocol::Http1).await.unwrap();
    let (answer, ()) = tokio::join!(agent.send(poll(Some(&tag), HOLD)), async {
        gate.waiters(1).await;
        gate.served.apply(endpoint("ws-1", "uid-9", "dev"));
    });
    let answer = answer.unwrap();
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (403, "CertificateVoid"));
    assert_eq!(paced(&answer.headers), ["wait=55", "5", "5"]);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_waiter() {
    for protocol in BOTH {
        let gate = gate().await;
        let tag = first(&gate).await.etag();
        let mut agent = Connection::open(&gate, Some(&gate.identity("ws-1")), protocol).await.unwrap();
        let held = tokio::spawn(async move { agent.send(poll(Some(&tag), HOLD)).await });
        gate.waiters(1).await;
        held.abort();
        gate.waiters(0).await;
    }
}

#[tokio::test]
async fn every_held_poll_of_an_endpoint_wakes() {
    let gate = gate().await;
    let tag = first(&gate).await.etag();
    let identity = gate.identity("ws-1");
    let mut agents = Vec::new();
    for _ in 0..8 {
        agents.push(Connection::open(&gate, Some(&identity), Protocol::Http2).await.unwrap());
    }
    let polls = agents.iter_mut().map(|agent| agent.send(poll(Some(&tag), HOLD)));
    let (answers, ()) = tokio::join!(tokio::time::timeout(SOON, futures::future::join_all(polls)), async {
        gate.waiters(8).await;
        gate.served.apply(in_force(2, &[("dev-tools", 1)]));
    });
    assert!(answers.unwrap().into_iter().all(|answer| answer.unwrap().status == 200));
    gate.waiters(0).await;
}
