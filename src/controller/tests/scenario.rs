//! A mock API server that knows one request and what it refers to, and a context on it.

use std::sync::Mutex;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Resource;
use kube::client::Body;
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_api::ElevationRequest;
use tidegate_api::names::{DECISION_PREFIX, REVOKE_FINALIZER};
use tower::service_fn;

use tidegate_core::envelope::{self, Envelope};
use tidegate_core::guard::Guard;
use tidegate_core::part::PartKind;

use crate::controller::events::EventWriter;
use crate::controller::guard::Seal;
use crate::controller::*;
use crate::signing;

pub(super) const REQUEST: &str = "/apis/tidegate.dev/v1alpha1/namespaces/berlin/elevationrequests/er-1";
pub(super) const EVERY_REQUEST: &str = "/apis/tidegate.dev/v1alpha1/elevationrequests";
pub(super) const POLICY: &str = "/apis/tidegate.dev/v1alpha1/namespaces/berlin/jitpolicies/dev-tools";
pub(super) const ENDPOINT: &str = "/apis/tidegate.dev/v1alpha1/namespaces/berlin/managedendpoints/ws-042";
pub(super) const FLEET_PATH: &str = "/apis/tidegate.dev/v1alpha1/namespaces/berlin/fleets/fleet";
pub(super) const LOCKS: &str = "/apis/tidegate.dev/v1alpha1/namespaces/berlin/locks";
/// What is read to confirm the guard.
pub(super) const SEALED: [&str; 7] = [
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/jitpolicies.tidegate.dev",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/elevationrequests.tidegate.dev",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/managedendpoints.tidegate.dev",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/fleets.tidegate.dev",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/locks.tidegate.dev",
];
pub(super) const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/berlin/events";

pub(super) fn policy() -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "JitPolicy",
        "metadata": {"name": "dev-tools", "namespace": "berlin", "uid": "p-1", "generation": 1},
        "spec": {
            "targets": {"endpoints": {"selector": {}}, "accounts": {"everyone": true}},
            "elevation": {"mode": "AnyApplication"},
            "access": {"type": "OnRequest", "onRequest": {"duration": {"min": "1s"}}},
        },
    })
}

pub(super) fn endpoint() -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ManagedEndpoint",
        "metadata": {"name": "ws-042", "namespace": "berlin", "uid": "e-1"},
        "spec": {"accounts": [{"name": "alice", "identities": ["alice@corp"]}]},
        "status": {"signed": signed_at(5)},
    })
}

/// A fleet whose part calls the request revoked where `revoked` says so.
pub(super) fn fleet(revoked: bool) -> Value {
    let revoked: Vec<Value> =
        if revoked { vec![json!({"request": "r-1", "notAfter": "2036-01-01T00:00:00Z"})] } else { Vec::new() };
    let part = json!({
        "schema": 1, "trustDomain": "tidegate.test", "fleet": {"name": "berlin", "uid": "n-1"}, "sequence": 6,
        "issuedTime": "2026-11-22T10:00:00Z", "freshness": 900, "object": "f-1", "voidBelow": 0, "voidTime": "2026-11-22T09:00:00Z",
        "policies": [], "locked": [], "revoked": revoked,
        "blocklists": [],
    });
    let key = signing::signing_key(&signing::generate_key().unwrap()).unwrap();
    let envelope = Envelope::seal(PartKind::Fleet, part.to_string().into_bytes(), &key);
    let signed = envelope::Signed { digest: envelope.digest(), sequence: 6, envelope };
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "Fleet",
        "metadata": {"name": "fleet", "namespace": "berlin", "uid": "f-1"},
        "spec": {"maxOpenRequests": 2, "freshness": "15m"},
        "status": {"signed": convert::from_signed(&signed)},
    })
}

pub(super) fn signed_at(sequence: i64) -> Value {
    let envelope = json!({"payloadType": "x", "payload": "", "signatures": []});
    json!({"digest": format!("sha256:{}", "0".repeat(64)), "sequence": sequence, "envelope": envelope})
}

pub(super) fn request() -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ElevationRequest",
        "metadata": {"name": "er-1", "namespace": "berlin", "uid": "r-1", "generation": 1, "resourceVersion": "7"},
        "spec": {
            "policyName": "dev-tools", "endpointName": "ws-042", "account": "alice", "requester": "alice@corp",
            "reason": "Installing the toolchain",
        },
    })
}

/// What a mock API server was asked: `METHOD path`, and the bodies of what was written.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) calls: Vec<String>,
    pub(super) bodies: Vec<Value>,
}

/// Instead of an object's path: the policies are not the ones that were probed.
pub(super) const POLICIES_AS_PROBED: &str = "policies as probed";

/// A context whose API server knows the three objects and answers writes with what was sent; the call that begins with `failing` is
/// answered with this status.
pub(in crate::controller) struct Scenario {
    pub(in crate::controller) context: Arc<Context>,
    pub(super) event_writer: tokio::sync::Mutex<EventWriter>,
    pub(super) asked: Arc<Mutex<Asked>>,
}

pub(in crate::controller) fn scenario(
    failing: Option<(&'static str, StatusCode)>,
    absent: &[&'static str],
) -> Scenario {
    let asked = Arc::new(Mutex::new(Asked::default()));
    let (log, absent) = (Arc::clone(&asked), absent.to_vec());
    let api = service_fn(move |call: Request<Body>| {
        let (log, absent) = (Arc::clone(&log), absent.clone());
        async move {
            let line = format!("{} {}", call.method(), call.uri().path());
            let method = call.method().clone();
            let sent = call.into_body().collect().await?.to_bytes();
            let sent: Value = serde_json::from_slice(&sent).unwrap_or(Value::Null);
            let mut log = log.lock().unwrap();
            log.calls.push(line.clone());
            if method != Method::GET {
                log.bodies.push(sent.clone());
            }
            let refused = failing.filter(|(start, _)| line.starts_with(start)).map(|(_, status)| status);
            let known = [(POLICY, policy()), (ENDPOINT, endpoint()), (REQUEST, request()), (FLEET_PATH, fleet(false))];
            let meta = json!({"name": "decisions.tidegate.dev", "uid": "v-1", "generation": 2});
            let sealed =
                if absent.contains(&POLICIES_AS_PROBED) { vec![json!({"metadata": meta})] } else { Vec::new() };
            let listed = SEALED[..2].contains(&line.trim_start_matches("GET "));
            let found = known.into_iter().find(|(path, _)| line.ends_with(path) && !absent.contains(path));
            let (status, body) = match (refused, method) {
                (Some(status), _) => (status, json!({"kind": "Status", "code": status.as_u16(), "reason": "Refused"})),
                (None, Method::GET) if listed => {
                    (StatusCode::OK, json!({"kind": "PartialObjectMetadataList", "metadata": {}, "items": sealed}))
                }
                (None, Method::GET) if line.ends_with(EVERY_REQUEST) => {
                    (StatusCode::OK, json!({"kind": "ElevationRequestList", "metadata": {}, "items": [request()]}))
                }
                (None, Method::GET) if line.ends_with(LOCKS) => {
                    (StatusCode::OK, json!({"kind": "LockList", "metadata": {}, "items": []}))
                }
                (None, Method::GET) => match found {
                    Some((_, object)) => (StatusCode::OK, object),
                    None => (StatusCode::NOT_FOUND, json!({"kind": "Status", "code": 404, "reason": "NotFound"})),
                },
                (None, Method::PATCH | Method::DELETE) => (StatusCode::OK, request()),
                (None, _) => (StatusCode::OK, sent),
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            Ok::<_, tower::BoxError>(Response::builder().status(status).body(body).unwrap())
        }
    });
    let (context, event_writer) = context(Client::new(api, "default"));
    Scenario { context: Arc::new(context), event_writer: tokio::sync::Mutex::new(event_writer), asked }
}

pub(super) fn context(client: Client) -> (Context, EventWriter) {
    let (events, event_writer) = events::events(client.clone(), Traces::off());
    let ca = signing::Authority::generate("tidegate.test", clock::now()).unwrap();
    let keys = Keys {
        signing: signing::signing_key(&signing::generate_key().unwrap()).unwrap(),
        authority: signing::Authority::load(&ca.certificate, &ca.key).unwrap(),
    };
    let namespace = json!({"metadata": {"name": "berlin", "uid": "n-1"}});
    let context = Context {
        events,
        live: Live::default(),
        client,
        keys,
        trust_domain: "tidegate.test".to_owned(),
        policies: store(policy()),
        requests: store(request()),
        endpoints: store(endpoint()),
        fleets: store(fleet(false)),
        locks: reflector::store().0,
        certificates: reflector::store().0,
        certified: Index::new(|_| None),
        namespaces: store(namespace),
        metrics: ControllerMetrics::new(&Metrics::new("controller").unwrap()).unwrap(),
        traces: Traces::off(),
        guard: Arc::new(AdmissionGuard::found(Guard::Passed, Some(Seal::empty()))),
        ledgers: Ledgers::default(),
        suspended: false,
        retention: Duration::from_secs(720 * 3600),
    };
    (context, event_writer)
}

/// A cache that holds one object.
pub(super) fn store<K>(object: Value) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
{
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Apply(serde_json::from_value(object).unwrap()));
    store
}

/// One pass over the object: what was called, what was written, and whether the pass succeeded.
pub(super) async fn pass(scenario: &Scenario, object: Value) -> (Result<Action, Error>, Vec<String>, Vec<Value>) {
    let object: Guarded<ElevationRequest> = serde_json::from_value(object).unwrap();
    let result = request::reconcile(Arc::new(object), Arc::clone(&scenario.context)).await;
    scenario.event_writer.lock().await.write_waiting().await;
    let mut asked = scenario.asked.lock().unwrap();
    (result, std::mem::take(&mut asked.calls), std::mem::take(&mut asked.bodies))
}

/// The request as it stands after a pass that wrote a status.
pub(super) async fn judged(mut object: Value) -> Value {
    let (result, _, bodies) = pass(&scenario(None, &[]), object.clone()).await;
    result.unwrap();
    object["status"] = bodies[0]["status"].clone();
    object["metadata"]["finalizers"] = json!([REVOKE_FINALIZER]);
    object
}

pub(super) fn decided(mut object: Value, slot: u32, line: &str) -> Value {
    object["metadata"]["annotations"][format!("{DECISION_PREFIX}{slot}")] = json!(line);
    object
}

pub(super) fn call(method: &str, path: &str) -> String {
    format!("{method} {path}")
}

/// What is read before anything changes.
pub(super) fn reads() -> Vec<String> {
    [POLICY, ENDPOINT, FLEET_PATH, LOCKS].iter().chain(&SEALED).map(|path| call("GET", path)).collect()
}
