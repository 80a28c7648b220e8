//! `POST /v1/enroll`: from an endpoint's certificate request to a CertificateSigningRequest that a person approves and the
//! controller signs. It creates and reads them, never approves.

mod allowance;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderValue, StatusCode, header};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tidegate_api::names::SIGNER_NAME;
use tidegate_core::name::{Digest, EndpointName, FleetName, Uid};
use tidegate_core::wire::{EnrollPending, EnrollRequest, EnrollResponse, ProblemCode, limit};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::allowance::Allowance;
use super::App;
use super::auth::no_such_endpoint;
use super::body;
use super::error::HttpError;
use super::index::EndpointKey;
use super::router::Held;
use crate::clock;
use crate::csr::Csr;

/// Lifetime of a certificate that is asked for, in seconds: 7 days.
const LIFETIME_SECONDS: i32 = 7 * 24 * 3600;
/// Enrolments that wait at the same time, each with a look at the API a second; one more is answered without waiting.
const WAITING: usize = 64;
/// After how many seconds a caller asks again: soon if this call has waited, for the next one waits too.
const RETRY_SOON: u16 = 1;
/// The same if this call could not wait.
const RETRY_LATER: u16 = 10;
/// Longest name of an object.
const MAX_NAME: usize = 253;

/// Passes certificate requests on.
#[derive(Debug)]
pub struct Enroller {
    requests: Api<CertificateSigningRequest>,
    waits: Waits,
    slots: Semaphore,
    allowance: Mutex<Allowance>,
}

/// How long one call waits for a certificate before it tells the caller that a person has to approve.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// The call that created the request: short, so that its caller soon knows whom to ask.
    pub first: Duration,
    /// Every later call.
    pub later: Duration,
}

/// A certificate request that passed the checks.
#[derive(Debug, Clone, Copy)]
struct Wish<'a> {
    endpoint: &'a EndpointKey,
    /// Of the CertificateSigningRequest.
    name: &'a str,
    /// The request as it came.
    pem: &'a str,
    csr: &'a Csr,
}

/// How far a CertificateSigningRequest has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    Waiting,
    Issued(String),
    Denied(String),
    Failed(String),
}

// === impl Enroller ===

impl Enroller {
    /// Passes on through this client.
    #[must_use]
    pub fn new(client: Client, waits: Waits) -> Self {
        Self { requests: Api::all(client), waits, slots: Semaphore::new(WAITING), allowance: Mutex::default() }
    }

    async fn enroll(&self, wish: Wish<'_>, held: &Held, stopping: &CancellationToken) -> Result<Response, HttpError> {
        let Wish { name, csr, .. } = wish;
        let (object, wait) = match self.existing(name).await? {
            Some(object) => (object, self.waits.later),
            None => self.create(wish).await?,
        };
        same_request(&object, csr)?;
        let slot = self.slots.try_acquire();
        let (wait, retry) = if slot.is_ok() { (wait, RETRY_SOON) } else { (Duration::ZERO, RETRY_LATER) };
        let settled = {
            let _held = held.begin();
            self.settled(name, object, wait, stopping).await?
        };
        match settled {
            Progress::Issued(certificate) => {
                tracing::info!(csr = name, "a certificate was handed out");
                Ok(Json(EnrollResponse { certificate }).into_response())
            }
            Progress::Waiting => Ok(pending(name, retry)),
            Progress::Denied(message) => Err(HttpError::new(
                ProblemCode::Denied,
                format!("CertificateSigningRequest {name} was denied: {message} Enrol with a new key to ask again."),
            )),
            Progress::Failed(message) => Err(HttpError::new(
                ProblemCode::BadRequest,
                format!(
                    "CertificateSigningRequest {name} was not signed: {message} Enrol with a new key to ask again."
                ),
            )),
        }
    }

    /// Creates the object, if the endpoint may; where one of this name exists by now, that one. With how long to wait for its
    /// certificate.
    async fn create(&self, wish: Wish<'_>) -> Result<(CertificateSigningRequest, Duration), HttpError> {
        let Wish { endpoint, name, pem, .. } = wish;
        self.allow(endpoint)?;
        match self.requests.create(&PostParams::default(), &object(name, pem)).await {
            Ok(created) => {
                tracing::info!(csr = name, "an endpoint asks for a certificate");
                Ok((created, self.waits.first))
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                Ok((self.get(name).await?, self.waits.later))
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    fn allow(&self, endpoint: &EndpointKey) -> Result<(), HttpError> {
        // Poisoning is ignored: a bucket is replaced as a whole.
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        allowance.take(endpoint, clock::monotonic()).map_err(|wait| {
            let text = format!(
                "Too many certificates were asked for lately, for {} or in all. Repeat this call later, with the same key.",
                endpoint.name
            );
            HttpError::new(ProblemCode::TooManyRequests, text).retry_after(wait)
        })
    }

    async fn existing(&self, name: &str) -> Result<Option<CertificateSigningRequest>, HttpError> {
        self.requests.get_opt(name).await.map_err(|error| unavailable(&error))
    }

    async fn get(&self, name: &str) -> Result<CertificateSigningRequest, HttpError> {
        self.requests.get(name).await.map_err(|error| unavailable(&error))
    }

    /// Looks again, less and less often, until something was decided or the wait is over.
    async fn settled(
        &self,
        name: &str,
        first: CertificateSigningRequest,
        wait: Duration,
        stopping: &CancellationToken,
    ) -> Result<Progress, HttpError> {
        let over = tokio::time::sleep(wait);
        tokio::pin!(over);
        let mut pause = Duration::from_millis(100);
        let mut seen = progress(&first);
        while seen == Progress::Waiting {
            tokio::select! {
                () = &mut over => break,
                () = stopping.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            seen = progress(&self.get(name).await?);
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        Ok(seen)
    }
}

/// Handles the route.
pub(super) async fn enroll(
    State(app): State<Arc<App>>,
    Extension(held): Extension<Held>,
    body: Body,
) -> Result<Response, HttpError> {
    app.ready()?;
    let request = read(body).await?;
    let csr =
        Csr::parse(&request.csr).map_err(|e| HttpError::new(ProblemCode::BadRequest, sentence(&e.to_string())))?;
    let key = EndpointKey { fleet: request.fleet.clone(), name: request.endpoint.clone() };
    let uid = app.served.endpoint_uid(&key).ok_or_else(|| {
        HttpError::new(ProblemCode::EndpointNotFound, no_such_endpoint(&request.fleet, request.endpoint.as_str()))
    })?;
    names_this_endpoint(&csr, &request, &app.trust.trust_domain())?;
    let name = object_name(&request.fleet, &request.endpoint, &uid, &csr.spki);
    let wish = Wish { endpoint: &key, name: &name, pem: &request.csr, csr: &csr };
    app.enroller.enroll(wish, &held, &app.stopping).await
}

async fn read(sent: Body) -> Result<EnrollRequest, HttpError> {
    let bytes = body::read(sent, limit::ENROLL, "An enrolment").await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| HttpError::new(ProblemCode::BadRequest, format!("The body is not an enrolment: {error}.")))
}

fn names_this_endpoint(csr: &Csr, request: &EnrollRequest, trust_domain: &str) -> Result<(), HttpError> {
    let id = &csr.id;
    if id.trust_domain == trust_domain && id.fleet == request.fleet && id.endpoint == request.endpoint {
        return Ok(());
    }
    let expected = format!("spiffe://{trust_domain}/fleet/{}/endpoint/{}", request.fleet, request.endpoint);
    Err(HttpError::new(
        ProblemCode::BadRequest,
        format!("The certificate signing request names {id}; {expected} is expected."),
    ))
}

/// `<fleet>.<endpoint>.<hash of endpoint uid and key>`, so that the same call finds the same object; of a long endpoint name
/// the end is left out.
fn object_name(fleet: &FleetName, endpoint: &EndpointName, uid: &Uid, spki: &[u8]) -> String {
    let hash = Digest::of(&[uid.as_str().as_bytes(), spki].concat()).to_hex();
    let hash = &hash[..16];
    let room = MAX_NAME - fleet.as_str().len() - hash.len() - 2;
    let endpoint = endpoint.as_str();
    let shown = endpoint[..endpoint.len().min(room)].trim_end_matches(['.', '-']);
    format!("{fleet}.{shown}.{hash}")
}

fn object(name: &str, pem: &str) -> CertificateSigningRequest {
    CertificateSigningRequest {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: CertificateSigningRequestSpec {
            request: ByteString(pem.as_bytes().to_vec()),
            signer_name: SIGNER_NAME.to_owned(),
            usages: Some(vec!["client auth".to_owned(), "digital signature".to_owned()]),
            expiration_seconds: Some(LIFETIME_SECONDS),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    }
}

/// An object of this name that was made by somebody else, for another key or signer, is not ours to wait for.
fn same_request(object: &CertificateSigningRequest, csr: &Csr) -> Result<(), HttpError> {
    let pem = String::from_utf8_lossy(&object.spec.request.0);
    let same_key = Csr::parse(&pem).is_ok_and(|other| other == *csr);
    if same_key && object.spec.signer_name == SIGNER_NAME {
        return Ok(());
    }
    let name = object.metadata.name.as_deref().unwrap_or_default();
    Err(HttpError::new(
        ProblemCode::Denied,
        format!("CertificateSigningRequest {name} exists and is not this one. Enrol with a new key."),
    ))
}

fn progress(object: &CertificateSigningRequest) -> Progress {
    let status = object.status.as_ref();
    let conditions = status.and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let message = |kind: &str| {
        let condition = conditions.iter().find(|c| c.type_ == kind && c.status == "True")?;
        Some(sentence(condition.message.as_deref().unwrap_or("no reason was given")))
    };
    if let Some(message) = message("Denied") {
        return Progress::Denied(message);
    }
    if let Some(message) = message("Failed") {
        return Progress::Failed(message);
    }
    match status.and_then(|s| s.certificate.as_ref()) {
        Some(certificate) => Progress::Issued(String::from_utf8_lossy(&certificate.0).into_owned()),
        None => Progress::Waiting,
    }
}

fn pending(name: &str, retry: u16) -> Response {
    let message = format!("Somebody has to approve: kubectl certificate approve {name}");
    let body = EnrollPending { certificate_signing_request: name.to_owned(), message };
    let retry = [(header::RETRY_AFTER, HeaderValue::from(retry))];
    (StatusCode::ACCEPTED, retry, Json(body)).into_response()
}

fn unavailable(error: &kube::Error) -> HttpError {
    HttpError::new(ProblemCode::Overloaded, "The Kubernetes API does not take the request now. Try again.")
        .because(error)
}

fn sentence(text: &str) -> String {
    let text: String = text.chars().take(512).collect();
    if text.ends_with(['.', '!', '?']) { text } else { format!("{text}.") }
}
