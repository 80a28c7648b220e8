//! From watch events to the index: relists, deletions, and objects that do not parse.

use futures::stream;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use std::time::Duration;
use tidegate_core::name::{EndpointRef, Named};
use tidegate_core::part::{Body, Header, Part, SCHEMA};
use tidegate_core::placement::PlacementBody;

use super::super::index::EndpointKey;
use super::*;

const PLURAL: &str = "managedendpoints";

fn guarded<K: Fed>(object: Value) -> DeserializeGuard<K> {
    serde_json::from_value(object).unwrap()
}

fn endpoint(name: &str, spec: Value) -> DeserializeGuard<ManagedEndpoint> {
    let body = PlacementBody {
        endpoint: EndpointRef { name: name.parse().unwrap(), uid: "uid-1".parse().unwrap() },
        labels: [].into(),
        accounts: Vec::new(),
    };
    guarded(json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ManagedEndpoint",
        "metadata": {"name": name, "namespace": "berlin", "uid": "uid-1", "resourceVersion": "1"},
        "spec": spec,
        "status": {"signed": signed(body)},
    }))
}

fn signed<B: Body>(body: B) -> Value {
    let fleet = Named { name: "berlin".parse().unwrap(), uid: "fleet-uid".parse().unwrap() };
    let issued_time = Instant::from_second(1000);
    let header = Header { schema: SCHEMA, trust_domain: "tidegate.test".to_owned(), fleet, sequence: 1, issued_time };
    let envelope = Envelope {
        payload_type: B::KIND.payload_type().to_owned(),
        payload: Part { header, body }.to_bytes().unwrap(),
        signatures: Vec::new(),
    };
    let mut signed = json!({"digest": envelope.digest(), "sequence": 1});
    signed["envelope"] = serde_json::from_str(&envelope.to_json()).unwrap();
    signed
}

async fn after<K: Fed>(served: &Served, readiness: &Readiness, events: Vec<Event<DeserializeGuard<K>>>) {
    consume(stream::iter(events.into_iter().map(Ok)), served, readiness).await;
}

fn key(name: &str) -> EndpointKey {
    EndpointKey { fleet: "berlin".parse().unwrap(), name: name.parse().unwrap() }
}

#[tokio::test]
async fn a_list_counts_only_once_it_is_complete_and_replaces_what_was_there() {
    let (served, readiness) = (Served::default(), Readiness::new(&[PLURAL]));
    let listed = |name| Event::InitApply(endpoint(name, json!({})));
    after(&served, &readiness, vec![Event::Init, listed("ws-1")]).await;
    assert!(served.endpoint_uid(&key("ws-1")).is_none(), "half a list");
    assert!(readiness.fresh(Duration::ZERO).is_err());

    after(&served, &readiness, vec![Event::Init, listed("ws-1"), listed("ws-2"), Event::InitDone]).await;
    assert!(served.manifest(&key("ws-1")).is_some() && served.manifest(&key("ws-2")).is_some());
    assert!(readiness.fresh(Duration::ZERO).is_ok());

    after(&served, &readiness, vec![Event::Init, listed("ws-0"), Event::Init, listed("ws-2"), Event::InitDone]).await;
    assert!(served.endpoint_uid(&key("ws-0")).is_none(), "of a list that was begun anew");
    assert!(served.endpoint_uid(&key("ws-1")).is_none(), "gone while nobody watched");
    assert!(served.manifest(&key("ws-2")).is_some());
}

#[tokio::test]
async fn a_deleted_object_is_gone() {
    let (served, readiness) = (Served::default(), Readiness::new(&[PLURAL]));
    after(&served, &readiness, vec![Event::Apply(endpoint("ws-1", json!({})))]).await;
    assert!(served.manifest(&key("ws-1")).is_some());
    after(&served, &readiness, vec![Event::Delete(endpoint("ws-1", json!({})))]).await;
    assert!(served.endpoint_uid(&key("ws-1")).is_none());
}

#[tokio::test]
async fn an_endpoint_that_does_not_parse_keeps_its_certificate_and_has_no_manifest() {
    let (served, readiness) = (Served::default(), Readiness::new(&[PLURAL]));
    after(&served, &readiness, vec![Event::Apply(endpoint("ws-1", json!({})))]).await;
    let broken = endpoint("ws-1", json!({"accounts": 7}));
    assert!(broken.0.is_err());
    after(&served, &readiness, vec![Event::Apply(broken)]).await;
    assert_eq!(served.endpoint_uid(&key("ws-1")).unwrap().as_str(), "uid-1");
    assert!(served.manifest(&key("ws-1")).is_none());
}

#[test]
fn a_request_is_read_with_what_its_endpoint_shows() {
    let request: ElevationRequest = serde_json::from_value(json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ElevationRequest",
        "metadata": {
            "name": "er-1", "namespace": "berlin", "uid": "uid-er", "creationTimestamp": "2026-11-22T10:00:00Z",
            "deletionTimestamp": "2026-11-22T12:00:00Z",
        },
        "spec": {"policyName": "dev-tools", "endpointName": "ws-1", "account": "alice"},
        "status": {
            "state": "Ended", "endpoint": {"uid": "uid-1"}, "expirationTime": "2026-11-22T11:30:00Z",
            "conditions": [
                condition("Active", "False", "given back"),
                condition("Finished", "True", "done"),
            ],
        },
    }))
    .unwrap();
    let Some(Object::Request(read)) = request.object() else { panic!("a request") };
    assert_eq!(read.state, Some(State::Ended));
    assert_eq!(read.message, "given back");
    assert_eq!(read.since.to_string(), "2026-11-22T11:00:00Z", "the end counts, not the creation");
    assert_eq!(read.expiration_time.unwrap().to_string(), "2026-11-22T11:30:00Z");
    assert_eq!(read.endpoint_uid.unwrap().as_str(), "uid-1");
    assert!(read.deleting);
}

fn condition(kind: &str, status: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": "Ended", "message": message,
        "lastTransitionTime": "2026-11-22T11:00:00Z",
    })
}
