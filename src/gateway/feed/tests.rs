//! From watch events to the index: relists, deletions, and objects that do not parse.

use futures::stream;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use std::time::Duration;
use tidegate_core::fleet::FleetBody;
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

fn fleet_called(name: &str, status: Value) -> DeserializeGuard<Fleet> {
    guarded(json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "Fleet",
        "metadata": {"name": name, "namespace": "berlin", "uid": "uid-f", "resourceVersion": "1"},
        "spec": {},
        "status": status,
    }))
}

/// The fleet part, without which nobody has a manifest.
async fn with_fleet(served: &Served, readiness: &Readiness) {
    let (policies, locked, revoked, blocklists) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let body = FleetBody {
        freshness: Duration::from_secs(900),
        object: "uid-f".parse().unwrap(),
        void_below: 0,
        void_time: Instant::from_second(0),
        policies,
        locked,
        revoked,
        blocklists,
    };
    let fleet = fleet_called("fleet", json!({"signed": signed(body)}));
    after(served, readiness, vec![Event::Apply(fleet)]).await;
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
    with_fleet(&served, &readiness).await;
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
    with_fleet(&served, &readiness).await;
    after(&served, &readiness, vec![Event::Apply(endpoint("ws-1", json!({})))]).await;
    assert!(served.manifest(&key("ws-1")).is_some());
    after(&served, &readiness, vec![Event::Delete(endpoint("ws-1", json!({})))]).await;
    assert!(served.endpoint_uid(&key("ws-1")).is_none());
}

#[tokio::test]
async fn an_endpoint_that_does_not_parse_keeps_its_certificate_and_has_no_manifest() {
    let (served, readiness) = (Served::default(), Readiness::new(&[PLURAL]));
    with_fleet(&served, &readiness).await;
    after(&served, &readiness, vec![Event::Apply(endpoint("ws-1", json!({})))]).await;
    assert!(served.manifest(&key("ws-1")).is_some());
    let broken = endpoint("ws-1", json!({"accounts": 7}));
    assert!(broken.0.is_err());
    after(&served, &readiness, vec![Event::Apply(broken)]).await;
    assert_eq!(served.endpoint_uid(&key("ws-1")).unwrap().as_str(), "uid-1");
    assert!(served.manifest(&key("ws-1")).is_none());
}

#[tokio::test]
async fn the_fleet_part_is_that_of_the_one_fleet_of_the_namespace() {
    let (served, readiness) = (Served::default(), Readiness::new(&[PLURAL]));
    with_fleet(&served, &readiness).await;
    after(&served, &readiness, vec![Event::Apply(endpoint("ws-1", json!({})))]).await;
    let before = served.manifest(&key("ws-1")).unwrap();
    for event in [Event::Apply(fleet_called("other", json!({}))), Event::Delete(fleet_called("other", json!({})))] {
        after(&served, &readiness, vec![event]).await;
        assert_eq!(served.manifest(&key("ws-1")).unwrap().etag(), before.etag());
    }
    after(&served, &readiness, vec![Event::Apply(fleet_called("fleet", json!({})))]).await;
    assert!(served.manifest(&key("ws-1")).is_none(), "nothing is signed");
}

#[test]
fn an_endpoint_is_read_with_what_its_agent_said() {
    let status = json!({
        "agent": {"version": "v1.2", "platform": "Amiga", "capabilities": ["logoff"]},
        "applied": {"manifest": "sha256:00", "time": "2026-11-22T10:00:00Z"},
        "grants": [{"requestUID": "uid-er"}],
    });
    let object: ManagedEndpoint = serde_json::from_value(json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ManagedEndpoint",
        "metadata": {"name": "ws-1", "namespace": "berlin", "uid": "uid-1"}, "spec": {}, "status": status,
    }))
    .unwrap();
    let Some(Object::Endpoint(read)) = object.object() else { panic!("an endpoint") };
    let agent = read.agent.unwrap();
    assert_eq!(agent.version, "v1.2".parse().ok());
    assert_eq!(agent.platform, None, "a word that nobody knows is not said");
    assert!(agent.capabilities.contains("logoff"));
    assert_eq!(read.reported.applied.as_ref().unwrap().manifest, "sha256:00");
    assert_eq!(read.reported.grants.len(), 1);
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
