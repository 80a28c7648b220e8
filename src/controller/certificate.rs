//! Signs the CertificateSigningRequests of endpoints that somebody has approved. Every field of a certificate is the
//! controller's own; nothing is taken from a request but its key and which endpoint it names.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use kube::api::PostParams;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use tidegate_api::names::{CONTROLLER, SIGNER_NAME};
use tidegate_api::{Certificate, ManagedEndpoint};
use tidegate_core::endpoint::Endpoint;
use tidegate_core::interval::Instant;
use tidegate_core::name::Uid;
use tidegate_core::spiffe::EndpointId;

use super::error::Error;
use super::{Context, Guarded, requeue};
use crate::csr::Csr;
use crate::metrics::CertificateResult;
use crate::signing::ENDPOINT_LIFETIME;
use crate::{clock, convert, signing};

/// Usages an endpoint may ask for.
const USAGES: [&str; 2] = ["client auth", "digital signature"];

/// One pass over a request: approved and not yet answered, it is signed or marked as failed.
///
/// # Errors
/// See [`Error`].
pub async fn reconcile(object: Arc<CertificateSigningRequest>, context: Arc<Context>) -> Result<Action, Error> {
    if !is_due(&object) {
        return Ok(requeue(None));
    }
    let now = clock::now();
    let mut changed = object.as_ref().clone();
    let status = changed.status.get_or_insert_default();
    let result = match check(&object, &context).await? {
        Ok((csr, id)) => {
            let lifetime = lifetime(object.spec.expiration_seconds);
            let certificate = context.keys.authority.issue_endpoint(&id, &csr.spki, lifetime, now)?;
            tracing::info!(request = object.name_any(), endpoint = %id, "signed an endpoint certificate");
            status.certificate = Some(ByteString(certificate.into_bytes()));
            CertificateResult::Signed
        }
        Err(message) => {
            tracing::warn!(request = object.name_any(), message, "an approved certificate request cannot be signed");
            status.conditions.get_or_insert_default().push(failed(message, now));
            CertificateResult::Failed
        }
    };
    let api = Api::<CertificateSigningRequest>::all(context.client.clone());
    let params = PostParams { field_manager: Some(CONTROLLER.to_owned()), ..PostParams::default() };
    let replaced = api.replace_status(&object.name_any(), &params, &changed).await;
    replaced.map_err(|source| Error::Write { what: "certificate", source })?;
    context.metrics.certified(result);
    Ok(requeue(None))
}

fn is_due(object: &CertificateSigningRequest) -> bool {
    let status = object.status.as_ref();
    let has = |type_: &str| conditions(status).iter().any(|c| c.type_ == type_ && c.status == "True");
    let answered = status.is_some_and(|status| status.certificate.is_some());
    // The watch asks for our signer only; signing rests on no filter.
    object.spec.signer_name == SIGNER_NAME && has("Approved") && !has("Denied") && !has("Failed") && !answered
}

fn conditions(status: Option<&CertificateSigningRequestStatus>) -> &[CertificateSigningRequestCondition] {
    status.and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

/// The key and the full name of the endpoint, or why this request can never be signed.
async fn check(
    object: &CertificateSigningRequest,
    context: &Context,
) -> Result<Result<(Csr, EndpointId), String>, Error> {
    let usages = object.spec.usages.as_deref().unwrap_or_default();
    if let Some(usage) = usages.iter().find(|usage| !USAGES.contains(&usage.as_str())) {
        return Ok(Err(format!("usage {usage:?} is not for endpoints; only client auth and digital signature are")));
    }
    let parsed = std::str::from_utf8(&object.spec.request.0).map_err(|e| e.to_string());
    let csr = match parsed.and_then(|pem| Csr::parse(pem).map_err(|e| e.to_string())) {
        Ok(csr) => csr,
        Err(message) => return Ok(Err(message)),
    };
    if csr.id.trust_domain != context.trust_domain {
        return Ok(Err(format!("it is for trust domain {}, not {}", csr.id.trust_domain, context.trust_domain)));
    }
    let api = Api::<ManagedEndpoint>::namespaced(context.client.clone(), csr.id.fleet.as_str());
    let found = api.get_metadata_opt(csr.id.endpoint.as_str()).await;
    let found = found.map_err(|source| Error::Fetch { what: "ManagedEndpoint", source: Arc::new(source) })?;
    let uid = found.and_then(|object| object.metadata.uid).and_then(|uid| uid.parse::<Uid>().ok());
    Ok(match uid {
        Some(uid) => {
            let id = EndpointId { uid: Some(uid), ..csr.id.clone() };
            Ok((csr, id))
        }
        None => Err(format!("there is no ManagedEndpoint {} in namespace {}", csr.id.endpoint, csr.id.fleet)),
    })
}

fn lifetime(seconds: Option<i32>) -> Duration {
    let asked = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    asked.map_or(ENDPOINT_LIFETIME, |asked| asked.min(ENDPOINT_LIFETIME))
}

fn failed(message: String, now: Instant) -> CertificateSigningRequestCondition {
    CertificateSigningRequestCondition {
        type_: "Failed".to_owned(),
        status: "True".to_owned(),
        reason: Some("NotSignable".to_owned()),
        message: Some(message),
        last_transition_time: Some(convert::time(now)),
        last_update_time: Some(convert::time(now)),
    }
}

/// The endpoint that a request is about, to look at it again once the certificate is there.
pub fn endpoint_of(object: &CertificateSigningRequest) -> Option<ObjectRef<Guarded<ManagedEndpoint>>> {
    let csr = Csr::parse(std::str::from_utf8(&object.spec.request.0).ok()?).ok()?;
    Some(ObjectRef::new(csr.id.endpoint.as_str()).within(csr.id.fleet.as_str()))
}

/// The certificate that this request brought this endpoint, if it did.
pub fn issued_to(object: &CertificateSigningRequest, trust_domain: &str, endpoint: &Endpoint) -> Option<Certificate> {
    let pem = object.status.as_ref()?.certificate.as_ref()?;
    let facts = signing::facts(&pem.0).ok()?;
    let [uri] = facts.uris.as_slice() else { return None };
    let id: EndpointId = uri.parse().ok()?;
    let own = id.trust_domain == trust_domain && id.reference().as_ref() == Some(&endpoint.reference);
    own.then(|| convert::certificate(facts.serial, facts.key, facts.not_after))
}
