//! The part of the Kubernetes API that enrolment uses: CertificateSigningRequests, created and read.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use kube::Client;
use kube::client::Body;

const COLLECTION: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

#[derive(Clone)]
pub struct CsrStore {
    /// By name; `None` while the API is down.
    objects: Arc<Mutex<Option<BTreeMap<String, CertificateSigningRequest>>>>,
    reads: Arc<AtomicU32>,
}

impl CsrStore {
    pub fn new() -> Self {
        Self { objects: Arc::new(Mutex::new(Some(BTreeMap::new()))), reads: Arc::new(AtomicU32::new(0)) }
    }

    pub fn client(&self) -> Client {
        let store = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let store = store.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (status, answer) = store.answer(&head.method, head.uri.path(), &body);
                let response = Response::builder().status(status).body(Full::<Bytes>::from(answer)).unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        Client::new(service, "default")
    }

    /// From now on every call fails.
    pub fn break_down(&self) {
        *self.objects.lock().unwrap() = None;
    }

    /// How many objects were asked for so far.
    pub fn reads(&self) -> u32 {
        self.reads.load(Ordering::SeqCst)
    }

    pub fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    pub fn get(&self, name: &str) -> CertificateSigningRequest {
        self.objects.lock().unwrap().as_ref().unwrap()[name].clone()
    }

    pub fn put(&self, name: &str, object: CertificateSigningRequest) {
        self.objects.lock().unwrap().as_mut().unwrap().insert(name.to_owned(), object);
    }

    /// The controller has signed.
    pub fn issue(&self, name: &str, certificate: &str) {
        self.set_status(name, |status| status.certificate = Some(ByteString(certificate.as_bytes().to_vec())));
    }

    /// `Denied` by a person, `Failed` by the controller.
    pub fn refuse(&self, name: &str, kind: &str, message: &str) {
        let condition = CertificateSigningRequestCondition {
            type_: kind.to_owned(),
            status: "True".to_owned(),
            message: Some(message.to_owned()),
            ..CertificateSigningRequestCondition::default()
        };
        self.set_status(name, |status| status.conditions = Some(vec![condition]));
    }

    fn set_status(&self, name: &str, set: impl FnOnce(&mut CertificateSigningRequestStatus)) {
        let mut object = self.get(name);
        set(object.status.get_or_insert_default());
        self.put(name, object);
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Vec<u8>) {
        let mut objects = self.objects.lock().unwrap();
        let Some(objects) = objects.as_mut() else {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        };
        if *method == Method::POST && path == COLLECTION {
            let object: CertificateSigningRequest = serde_json::from_slice(body).unwrap();
            let name = object.metadata.name.clone().unwrap();
            if objects.contains_key(&name) {
                return failure(StatusCode::CONFLICT, "AlreadyExists");
            }
            objects.insert(name, object.clone());
            return (StatusCode::CREATED, serde_json::to_vec(&object).unwrap());
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        let name = path.strip_prefix(COLLECTION).and_then(|rest| rest.strip_prefix('/'));
        match name.filter(|_| *method == Method::GET).and_then(|name| objects.get(name)) {
            Some(object) => (StatusCode::OK, serde_json::to_vec(object).unwrap()),
            None => failure(StatusCode::NOT_FOUND, "NotFound"),
        }
    }
}

fn failure(status: StatusCode, reason: &str) -> (StatusCode, Vec<u8>) {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": status.as_u16(),
    });
    (status, body.to_string().into_bytes())
}
