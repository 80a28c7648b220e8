//! ManagedEndpoint: parse, sign the placement, say whether its agent is enrolled.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use tidegate_api::names::condition;
use tidegate_api::{Certificate, ManagedEndpoint, ManagedEndpointStatus};
use tidegate_core::endpoint::{Endpoint, enrolment};
use tidegate_core::interval::Instant;
use tidegate_core::lock::{Lock, Switches};

use super::error::Error;
use super::{Context, Guarded, apply, certificate, fleet, read, requeue};
use crate::clock;
use crate::convert::{self, Wanted};

/// One pass over an endpoint.
///
/// # Errors
/// See [`Error`].
pub async fn reconcile(object: Arc<Guarded<ManagedEndpoint>>, context: Arc<Context>) -> Result<Action, Error> {
    let object = read(&object)?;
    let namespace = object.namespace().unwrap_or_default();
    let endpoint = convert::endpoint(object)?.with_accounts_of(&context.settings(&namespace).accounts);
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
    let switches = context.locks_of(Some(&namespace));
    let locked = locked(&switches, &endpoint, now);
    let fleet = context.fleet(&namespace).await?;
    let previous = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let status = ManagedEndpointStatus {
        observed_generation: generation,
        conditions: convert::merge(&previous.conditions, vec![enrolled, locked], generation, &convert::time(now)),
        certificate,
        signed: context.sign(previous.signed.clone(), endpoint.placement(), &fleet, now)?,
        // The rest is the gateway's.
        ..previous
    };
    let is_joined = status.certificate.is_some() && object.metadata.deletion_timestamp.is_none();
    apply::status_if_changed(&context.client, object, status).await?;
    if is_joined {
        fleet::ensure(&context, &namespace).await?;
    }
    Ok(requeue(enrolment.wake.into_iter().chain(switches.next_edge(now)).min()))
}

/// Whether a Lock stops everything here.
fn locked(switches: &Switches, endpoint: &Endpoint, now: Instant) -> Wanted {
    let lock = switches.of_endpoint(endpoint, now);
    Wanted {
        type_: condition::LOCKED,
        status: Some(lock.is_some()),
        reason: lock.map_or("NotLocked", |lock| lock.effect.as_str()).to_owned(),
        message: lock.map_or_else(|| "no Lock stops everything here".to_owned(), Lock::text),
    }
}

/// The certificate issued last: the API server forgets signing requests after an hour, so what is recorded stays until a later
/// one is seen.
fn newest_certificate(object: &ManagedEndpoint, endpoint: &Endpoint, context: &Context) -> Option<Certificate> {
    let recorded = object.status.as_ref().and_then(|status| status.certificate.clone());
    let requests = context.certified.of(object);
    let requests = requests.iter().filter_map(|reference| context.certificates.get(reference));
    let issued = requests.filter_map(|csr| certificate::issued_to(&csr, &context.trust_domain, endpoint));
    recorded.into_iter().chain(issued).max_by_key(|certificate| certificate.expiration_time.0)
}
