//! The part of the Kubernetes API that reports use: ManagedEndpoints, whose status is patched by JSON patches (RFC 6902).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::objects::FLEET;

/// How the API takes patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// So many attempts lose a race first.
    Racing(u32),
    /// Every call fails.
    Down,
    /// No call is answered.
    Silent,
}

#[derive(Clone)]
pub struct EndpointStore(Arc<Mutex<State>>);

struct State {
    mood: Mood,
    objects: BTreeMap<String, Value>,
    /// What was asked for, with the query.
    patches: Vec<(String, Value)>,
}

impl EndpointStore {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State { mood: Mood::Well, objects: BTreeMap::new(), patches: Vec::new() })))
    }

    pub fn client(&self) -> Client {
        let store = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let store = store.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                assert_eq!(head.method, Method::PATCH);
                assert_eq!(head.headers["content-type"], "application/json-patch+json");
                let answered = store.patch(head.uri.path(), head.uri.query().unwrap_or_default(), &body);
                let Some((status, answer)) = answered else { std::future::pending().await };
                let body = Full::<Bytes>::from(answer.to_string());
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            }
        });
        Client::new(service, "default")
    }

    pub fn is(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    /// An object of this name and uid, with what the controller has written.
    pub fn create(&self, name: &str, uid: &str) {
        let object = json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ManagedEndpoint",
            "metadata": {"name": name, "namespace": FLEET, "uid": uid},
            "spec": {},
            "status": {"observedGeneration": 1},
        });
        self.0.lock().unwrap().objects.insert(name.to_owned(), object);
    }

    pub fn status(&self, name: &str) -> Value {
        self.0.lock().unwrap().objects[name]["status"].clone()
    }

    /// The queries and bodies of all attempts so far.
    pub fn patches(&self) -> Vec<(String, Value)> {
        self.0.lock().unwrap().patches.clone()
    }

    fn patch(&self, path: &str, query: &str, body: &[u8]) -> Option<(StatusCode, Value)> {
        let mut state = self.0.lock().unwrap();
        let patch: Value = serde_json::from_slice(body).unwrap();
        state.patches.push((query.to_owned(), patch.clone()));
        match state.mood {
            Mood::Well | Mood::Racing(0) => {}
            Mood::Racing(left) => {
                state.mood = Mood::Racing(left - 1);
                return Some(failure(StatusCode::CONFLICT, "Conflict"));
            }
            Mood::Down => return Some(failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
            Mood::Silent => return None,
        }
        let folder = format!("/apis/tidegate.dev/v1alpha1/namespaces/{FLEET}/managedendpoints/");
        let name = path.strip_prefix(&folder).and_then(|rest| rest.strip_suffix("/status")).unwrap();
        let Some(object) = state.objects.get_mut(name) else {
            return Some(failure(StatusCode::NOT_FOUND, "NotFound"));
        };
        let mut patched = object.clone();
        for operation in patch.as_array().unwrap() {
            if !apply(&mut patched, operation) {
                return Some(failure(StatusCode::UNPROCESSABLE_ENTITY, "Invalid"));
            }
        }
        object.clone_from(&patched);
        Some((StatusCode::OK, patched))
    }
}

/// One operation; `add` of `null` drops the key, as the API server does for what is not nullable.
fn apply(object: &mut Value, operation: &Value) -> bool {
    let text = |key: &str| operation[key].as_str().unwrap();
    let (folder, key) = text("path").rsplit_once('/').unwrap();
    let Some(parent) = object.pointer_mut(folder).and_then(Value::as_object_mut) else { return false };
    let value = operation["value"].clone();
    match text("op") {
        "test" => parent.get(key) == Some(&value),
        "add" if value.is_null() => {
            parent.remove(key);
            true
        }
        "add" => {
            parent.insert(key.to_owned(), value);
            true
        }
        other => panic!("{other} is not expected"),
    }
}

fn failure(status: StatusCode, reason: &str) -> (StatusCode, Value) {
    let code = status.as_u16();
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code,
    });
    (status, body)
}
