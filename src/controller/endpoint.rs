//! ManagedEndpoint: parse, sign the placement, say whether its agent is enrolled.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use tidegate_api::names::condition;
use tidegate_api::{Certificate, ManagedEndpoint, ManagedEndpointStatus};
use tidegate_core::endpoint::{Endpoint, enrolment};

use super::error::Error;
use super::{Context, Guarded, apply, certificate, read, requeue};
use crate::clock;
use crate::convert::{self, Wanted};

/// One pass over an endpoint.
///
/// # Errors
/// See [`Error`].
pub async fn reconcile(object: Arc<Guarded<ManagedEndpoint>>, context: Arc<Context>) -> Result<Action, Error> {
    let object = read(&object)?;
    let endpoint = convert::endpoint(object)?;
    let now = clock::now();
    let certificate = newest_certificate(object, &endpoint, &context);
    let end = certificate.as_ref().map(|certificate| convert::instant(&certificate.expiration_time));
    let enrolment = enrolment(end, now);
    let enrolled = Wanted {
        type_: condition::ENROLLED,
        status: Some(enrolment.enrolled),
        reason: enrolment.reason.to_owned(),
        message: enrolment.message,
    };
    let fleet = context.fleet(&object.namespace().unwrap_or_default()).await?;
    let previous = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let status = ManagedEndpointStatus {
        observed_generation: generation,
        conditions: convert::merge(&previous.conditions, vec![enrolled], generation, &convert::time(now)),
        certificate,
        signed: context.sign(previous.signed, endpoint.placement(), &fleet, now)?,
    };
    if object.status.as_ref() != Some(&status) {
        let mut changed = object.clone();
        changed.status = Some(status);
        apply::status(&context.client, &changed).await?;
    }
    Ok(requeue(enrolment.wake))
}

/// The certificate issued last: the API server forgets signing requests after an hour, so what is recorded stays until a later
/// one is seen.
fn newest_certificate(object: &ManagedEndpoint, endpoint: &Endpoint, context: &Context) -> Option<Certificate> {
    let recorded = object.status.as_ref().and_then(|status| status.certificate.clone());
    let issued = context.certificates.state();
    let issued = issued.iter().filter_map(|csr| certificate::issued_to(csr, &context.trust_domain, endpoint));
    recorded.into_iter().chain(issued).max_by_key(|certificate| certificate.expiration_time.0)
}
